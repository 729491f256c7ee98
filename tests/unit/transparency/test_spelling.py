"""One spelling for one value."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from infosec.transparency.errors import Fault, NotVerified
from infosec.transparency.spelling import MAX_SIZE, decode_base64, decode_decimal, encode_base64


@settings(deadline=None)
@given(st.binary())
def test_bytes_come_back(data: bytes) -> None:
    assert decode_base64(encode_base64(data)) == data


@settings(deadline=None)
@given(st.integers(0, MAX_SIZE))
def test_sizes_come_back(size: int) -> None:
    assert decode_decimal(str(size)) == size


@settings(deadline=None)
@given(st.text())
def test_what_decodes_is_spelt_in_the_one_way(text: str) -> None:
    for decode, encode in ((decode_decimal, str), (decode_base64, encode_base64)):
        try:
            value = decode(text)
        except ValueError:
            continue
        assert encode(value) == text  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "text", ["", "00", "01", "-1", "+1", " 1", "1 ", "1_0", "1e3", "٣", str(MAX_SIZE + 1), "9" * 19]
)
def test_another_decimal_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="decimal"):
        decode_decimal(text)


@pytest.mark.parametrize("text", ["A", "AA", "AA=", "AB==", "AA==\n", " AA==", "A-_A", "AA==AA==", "é"])
def test_another_base64_is_refused(text: str) -> None:
    with pytest.raises(ValueError):
        decode_base64(text)


def test_a_fault_without_facts_is_its_word() -> None:
    assert str(NotVerified(Fault.NOT_SIGNED)) == "NOT_SIGNED"
