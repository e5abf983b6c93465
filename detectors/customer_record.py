"""A customer as bytes: what a restore needs at once, then the rest, compressed.

    format | length of the first part (2) | wake-ups and look | the rest, deflated by zstd | checksum (4)

Most of a customer is names that all customers share: of rules, types of events, states. A dictionary that is part of
the format has the usual ones. The same bytes are written to `churn.state`, read back, and kept in memory.
"""

from base64 import b85decode
from typing import Final

import msgspec
import zstandard

from detectors.state import Customer, Wakes
from detectors.state_dictionary import DICTIONARY
from detectors.state_error import StateError
from detectors.state_frame import BEGIN, END, sealed

PREFIX: Final = b"c/"
_LEVEL: Final = 2
_CUSTOMER_SIZE: Final = 1024
"""About as large as most are, before they are compressed."""
_REST: Final = BEGIN + 2

_dictionary: Final = zstandard.ZstdCompressionDict(b85decode(DICTIONARY), dict_type=zstandard.DICT_TYPE_FULLDICT)
_parameters: Final = zstandard.ZstdCompressionParameters.from_level(
    _LEVEL,
    source_size=_CUSTOMER_SIZE,
    dict_size=len(_dictionary),
    format=zstandard.FORMAT_ZSTD1_MAGICLESS,
    write_content_size=True,
    write_dict_id=False,
)
_dictionary.precompute_compress(compression_params=_parameters)
_wakes_decoder: Final = msgspec.msgpack.Decoder(Wakes)
_decoder: Final = msgspec.msgpack.Decoder(Customer)
_encoder: Final = msgspec.msgpack.Encoder()
_NO_WAKES: Final[dict[int, int]] = {}


class CustomerCodec:
    """Packs and unpacks; not to be shared between threads, because the compressor is not."""

    def __init__(self) -> None:
        self._packer = zstandard.ZstdCompressor(compression_params=_parameters, dict_data=_dictionary)
        self._unpacker = zstandard.ZstdDecompressor(dict_data=_dictionary, format=zstandard.FORMAT_ZSTD1_MAGICLESS)

    def pack(self, customer: Customer) -> bytes:
        """The value of a customer's record."""
        wakes, look_ms, customer_id = customer.wakes, customer.look_ms, customer.id
        first = _encoder.encode((wakes, look_ms))
        customer.wakes, customer.look_ms, customer.id = _NO_WAKES, None, ""  # said already, and no use in saying it twice
        try:
            rest = self._packer.compress(_encoder.encode(customer))
        finally:
            customer.wakes, customer.look_ms, customer.id = wakes, look_ms, customer_id
        return sealed(customer_key(customer_id), len(first).to_bytes(2, "big") + first + rest)

    def unpack(self, customer_id: str, value: bytes) -> Customer:
        """The customer in a value that was checked.

        Raises:
            StateError: it cannot be read all the same.
        """
        first = wakes_in(customer_id, value)
        try:
            customer = _decoder.decode(self._unpacker.decompress(value[_REST + _first_length(value) : END]))
        except (zstandard.ZstdError, msgspec.MsgspecError, UnicodeDecodeError, MemoryError) as error:
            raise StateError(customer_key(customer_id), f"cannot be read: {error}") from error
        customer.wakes, customer.look_ms, customer.id = first.wakes, first.look_ms, customer_id
        return customer


def customer_key(customer_id: str) -> bytes:
    """Of the customer's record."""
    return PREFIX + customer_id.encode()


def wakes_in(customer_id: str, value: bytes) -> Wakes:
    """What a restore needs of a customer, without decoding the rest.

    Raises:
        StateError: it cannot be read.
    """
    try:
        return _wakes_decoder.decode(value[_REST : _REST + _first_length(value)])
    except (msgspec.MsgspecError, IndexError) as error:
        raise StateError(customer_key(customer_id), f"cannot be read: {error}") from error


def _first_length(value: bytes) -> int:
    return value[BEGIN] << 8 | value[BEGIN + 1]
