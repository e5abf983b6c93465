"""Which addresses a sink may call that are not named one by one: those of the public internet, and no others."""

from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address
from typing import Final

_NOT_PUBLIC: Final = (
    IPv4Network("192.0.0.0/24"),  # protocol assignments, and the metadata of one cloud
    IPv4Network("168.63.129.16/32"),  # public by its number: the metadata and agents of another
)
_PUBLIC_V6: Final = IPv6Network("2000::/3")
_NAT64: Final = IPv6Network("64:ff9b::/96")


def is_public(address: str) -> bool:
    """Whether an address is neither private, loopback, link-local, multicast, reserved nor one of a cloud's metadata.

    >>> [is_public(one) for one in ("8.8.8.8", "10.0.0.1", "169.254.169.254", "::1", "::ffff:127.0.0.1")]
    [True, False, False, False, False]
    """
    found = ip_address(address)
    return _is_public_v4(found) if isinstance(found, IPv4Address) else _is_public_v6(found)


def _is_public_v4(address: IPv4Address) -> bool:
    return address.is_global and not address.is_multicast and not any(address in network for network in _NOT_PUBLIC)


def _is_public_v6(address: IPv6Address) -> bool:
    # A route to IPv4 is as public as where it leads.
    if address.ipv4_mapped is not None:
        return _is_public_v4(address.ipv4_mapped)
    if address in _NAT64:
        return _is_public_v4(IPv4Address(int(address) & 0xFFFFFFFF))
    return address in _PUBLIC_V6 and address.is_global and address.sixtofour is None
