"""Packed features: what comes out is what went in, to 24 bits, in as many bytes as are needed."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from detectors.features import NAMES
from detectors.labels import FEATURE_SET, PendingExample
from detectors.packed_features import pack_features, unpack_features
from detectors.pending import PendingExamples
from schemas.instants import DAY_MS

VALUES = st.lists(st.one_of(st.just(0.0), st.floats(-1e9, 1e9), st.integers(0, 500).map(float)), max_size=60)


@given(VALUES)
def test_what_comes_out_is_what_went_in_to_24_bits(values: list[float]) -> None:
    found = unpack_features(pack_features(values), len(values))
    assert found == pytest.approx(values, rel=2**-24, abs=1e-38)
    assert len(pack_features(values)) == math.ceil(len(values) / 8) + 4 * sum(value != 0 for value in values)


@given(st.lists(st.integers(-(2**24), 2**24).map(float), max_size=60))
def test_whole_numbers_to_16_million_are_exact(values: list[float]) -> None:
    assert unpack_features(pack_features(values), len(values)) == values


def test_what_is_too_large_for_32_bits_stays_finite() -> None:
    assert unpack_features(pack_features([1e300, -1e300, 1.0]), 3) == pytest.approx([3.4e38, -3.4e38, 1.0])


@pytest.mark.parametrize("packed", [b"", b"\x01", b"\x00\x01", b"\x09" + bytes(8), pack_features([1.0] * 9)])
def test_other_bytes_are_refused(packed: bytes) -> None:
    with pytest.raises(ValueError, match="no vector of 3 features"):
        unpack_features(packed, 3)


def test_a_pending_example_takes_200_bytes_at_most_with_its_key() -> None:
    store = PendingExamples()
    store.put(
        "customer-1234",
        2_000_000_000_000,
        PendingExample(FEATURE_SET, 365 * DAY_MS, active=True, packed=pack_features([0.1] * (len(NAMES) + 1))),
    )
    ((key, value),) = store.take_changes()
    assert value is not None
    assert 150 < len(key) + len(value) <= 200
