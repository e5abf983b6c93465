"""Each vendor's signature against one that the vendor publishes, or that was computed outside of this project."""

import base64
from collections.abc import Mapping
from typing import NamedTuple

import pytest
from multidict import CIMultiDict

from streams.door_signatures import Delivery, Verifier
from streams.door_terms import SIGNATURES, DoorTerms, Signature

STAMP_MS = 1_614_265_330_000


class Signed(NamedTuple):
    """A delivery that is signed, and with what."""

    signature: Signature
    secret: str
    body: bytes
    headers: Mapping[str, str]
    query: Mapping[str, str] = {}
    timed: bool = False
    """Whether the time is signed too: then it is `STAMP_MS`."""


# printf BODY | openssl dgst -sha256 -hmac SECRET -binary | base64, and its like with -sha1, or without -hmac.
PUBLISHED = [
    # docs.github.com, "Validating webhook deliveries"
    Signed(
        "github",
        "It's a Secret to Everybody",
        b"Hello, World!",
        {"X-Hub-Signature-256": "sha256=757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17"},
    ),
    # The library that goes with the specification, libraries/python/tests
    Signed(
        "standard-webhooks",
        "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
        b'{"test": 2432232314}',
        {
            "webhook-id": "msg_p5jXN8AQM9LWM0D4loKWxJek",
            "webhook-timestamp": "1614265330",
            "webhook-signature": "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=",
        },
        timed=True,
    ),
]
COMPUTED = [
    Signed("shopify", "hush", b'{"id":1}', {"X-Shopify-Hmac-Sha256": "VnKUjZsLuN5iZWjn5EntcBVCF9kMN43LglzCE1/GSeY="}),
    Signed(
        "zendesk",
        "dGhpc19zZWNyZXRfaXNfZm9yX3Rlc3Rpbmdfb25seQ==",
        b'{"say": "hello"}',
        {
            "X-Zendesk-Webhook-Signature": "QQCrNSSfcY4QUZF4cVj0LpQIavR/IHc76XWNRnpNlKo=",
            "X-Zendesk-Webhook-Signature-Timestamp": "2021-02-25T15:02:10Z",
        },
        timed=True,
    ),
    Signed("segment", "hush", b'{"type":"track"}', {"X-Signature": "3dcb226c925ca67d6a0a7f0cb0c0b979524204b8"}),
    Signed(
        "jiandaoyun",
        "test-secert",
        '{"op":"data_create","data":{"name":"简道云"}}'.encode(),
        {"X-JDY-Signature": "ced2ff4e51c2f9a67d2bdaccb9fa9b97efaf5f17"},
        {"nonce": "0f5ade", "timestamp": "1614265330"},
        timed=True,
    ),
    Signed(
        "hmac-sha256", "hush", b'{"id":1}', {"X-Signature": "5672948d9b0bb8de626568e7e449ed70154217d90c378dcb825cc2135fc649e6"}
    ),
]
ALL = PUBLISHED + COMPUTED
TIMED = [signed for signed in ALL if signed.timed]


def name_of(signed: Signed) -> str:
    return signed.signature


def header_of(signed: Signed) -> str:
    (name,) = [name for name in signed.headers if name.lower().endswith(("signature", "sha256", "signature-256"))]
    return name


def delivery(signed: Signed, **changes: str) -> Delivery:
    headers = CIMultiDict(signed.headers)
    headers.update({name.replace("_", "-"): value for name, value in changes.items()})
    return Delivery(headers, signed.query, signed.body)


def fault(signed: Signed, *secrets: str, now_ms: int = STAMP_MS, found: Delivery | None = None) -> str | None:
    verifier = Verifier(DoorTerms(signed.signature), secrets or [signed.secret])
    return verifier.fault(found or delivery(signed), now_ms)


def test_every_signature_that_can_be_asked_for_is_tried_here() -> None:
    assert {signed.signature for signed in ALL} == set(SIGNATURES) - {"none"}


@pytest.mark.parametrize("signed", ALL, ids=name_of)
def test_what_is_signed_as_the_vendor_does_is_believed(signed: Signed) -> None:
    assert fault(signed) is None


@pytest.mark.parametrize("signed", ALL, ids=name_of)
def test_one_changed_byte_is_noticed(signed: Signed) -> None:
    changed = Delivery(delivery(signed).headers, signed.query, signed.body[:-1] + b"?")
    assert "is wrong" in str(fault(signed, found=changed))


@pytest.mark.parametrize("signed", ALL, ids=name_of)
def test_another_secret_is_noticed(signed: Signed) -> None:
    other = base64.b64encode(b"another").decode()
    assert "is wrong" in str(fault(signed, other))


@pytest.mark.parametrize("signed", ALL, ids=name_of)
def test_while_a_secret_is_changed_the_old_and_the_new_one_are_good(signed: Signed) -> None:
    other = base64.b64encode(b"another").decode()
    assert fault(signed, other, signed.secret) is None
    assert fault(signed, signed.secret, other) is None


@pytest.mark.parametrize("signed", ALL, ids=name_of)
def test_a_missing_signature_is_told_by_its_header(signed: Signed) -> None:
    header = header_of(signed)
    unsigned = Delivery(CIMultiDict(), signed.query, signed.body)
    assert f"the header {header} is missing" in str(fault(signed, found=unsigned))


@pytest.mark.parametrize("text", ["", "=", "sha256=", "v1,", "zz", "ö", "\udcff", "v1,AAAA"])
@pytest.mark.parametrize("signed", ALL, ids=name_of)
def test_what_is_no_signature_is_a_wrong_one(signed: Signed, text: str) -> None:
    header = header_of(signed)
    headers = CIMultiDict(signed.headers)
    headers[header] = text
    assert "is wrong" in str(fault(signed, found=Delivery(headers, signed.query, signed.body)))


@pytest.mark.parametrize("signed", TIMED, ids=name_of)
def test_a_delivery_that_was_overheard_cannot_be_sent_again_later(signed: Signed) -> None:
    #  300 s     signed     300 s
    #  [---------- | ----------]
    assert [fault(signed, now_ms=STAMP_MS + off_ms) for off_ms in (-300_000, 300_000)] == [None, None]
    assert [str(fault(signed, now_ms=STAMP_MS + off_ms)).split(":")[0] for off_ms in (-300_001, 300_001)] == [
        "the signature is of another time"
    ] * 2


@pytest.mark.parametrize("signed", TIMED, ids=name_of)
def test_the_time_is_signed_too(signed: Signed) -> None:
    later = {name: "1614269999" if value == "1614265330" else value for name, value in signed.query.items()}
    headers = {
        name: {"1614265330": "1614269999", "2021-02-25T15:02:10Z": "2021-02-25T16:02:10Z"}.get(value, value)
        for name, value in signed.headers.items()
    }
    assert "is wrong" in str(
        fault(signed, found=Delivery(CIMultiDict(headers), later, signed.body), now_ms=STAMP_MS + 4_669_000)
    )


def test_of_several_signatures_of_a_standard_webhook_one_is_enough() -> None:
    signed = PUBLISHED[1]
    both = f"v1,AAAA v2,BBBB {signed.headers['webhook-signature']}"
    assert fault(signed, found=delivery(signed, webhook_signature=both)) is None


def test_a_secret_that_cannot_be_one_is_refused_without_being_shown() -> None:
    with pytest.raises(ValueError, match="base64") as told:
        Verifier(DoorTerms("standard-webhooks"), ["whsec_???secret"])
    assert "???secret" not in str(told.value)


@pytest.mark.parametrize(
    "text",
    [
        "5672948d9b0bb8de626568e7e449ed70154217d90c378dcb825cc2135fc649e6",
        "sha256=5672948d9b0bb8de626568e7e449ed70154217d90c378dcb825cc2135fc649e6",
        "VnKUjZsLuN5iZWjn5EntcBVCF9kMN43LglzCE1/GSeY=",
        "sha256=VnKUjZsLuN5iZWjn5EntcBVCF9kMN43LglzCE1/GSeY=",
    ],
)
def test_a_plain_hmac_may_be_written_in_hex_or_base64(text: str) -> None:
    signed = COMPUTED[-1]
    assert fault(signed, found=delivery(signed, x_signature=text)) is None


def test_a_plain_hmac_stands_in_the_header_that_the_source_names() -> None:
    verifier = Verifier(DoorTerms("hmac-sha256", header="X-Shop-Sign"), ["hush"])
    body, text = COMPUTED[-1].body, COMPUTED[-1].headers["X-Signature"]
    assert verifier.fault(Delivery(CIMultiDict({"x-shop-sign": text}), {}, body), 0) is None
    assert "X-Shop-Sign is missing" in str(verifier.fault(Delivery(CIMultiDict({"X-Signature": text}), {}, body), 0))


def test_a_source_that_asks_for_no_signature_takes_everything() -> None:
    assert Verifier(DoorTerms("none"), []).fault(Delivery({}, {}, b"x"), 0) is None
