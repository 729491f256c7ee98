"""RFC 8785, on our subset."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from infosec.canonical import MAX_DEPTH, MAX_INT, decode_strict, encode, encode_checked
from infosec.errors import InvalidInput

texts = st.text(st.characters(exclude_categories=["Cs"]))
values = st.recursive(
    st.none() | st.booleans() | st.integers(-MAX_INT, MAX_INT) | texts,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(texts, inner, max_size=4),
    max_leaves=20,
)


@given(values)
def test_what_is_encoded_is_read_back_and_is_plain_json(value: Any) -> None:
    data = encode(value)
    assert decode_strict(data) == value == json.loads(data)


@given(st.dictionaries(texts, st.integers(0, 9), min_size=2, max_size=6))
def test_the_order_of_insertion_leaves_no_trace(members: dict[str, int]) -> None:
    assert encode(members) == encode(dict(reversed(members.items())))


def test_names_are_ordered_as_in_rfc_8785_section_3_2_3() -> None:
    members = {
        "\u20ac": "Euro Sign",
        "\r": "Carriage Return",
        "\ufb33": "Hebrew Letter Dalet With Dagesh",
        "1": "One",
        "\U0001f600": "Emoji: Grinning Face",
        "\u0080": "Control",
        "\u00f6": "Latin Small Letter O With Diaeresis",
    }
    assert list(json.loads(encode(members)).values()) == [
        "Carriage Return",
        "One",
        "Control",
        "Latin Small Letter O With Diaeresis",
        "Euro Sign",
        "Emoji: Grinning Face",
        "Hebrew Letter Dalet With Dagesh",
    ]


def test_strings_are_escaped_as_in_rfc_8785_section_3_2_2_2() -> None:
    assert encode('\u20ac$\u000f\nA\'B"\\\\"/\x7f') == '"€$\\u000f\\nA\'B\\"\\\\\\\\\\"/\x7f"'.encode()


@pytest.mark.parametrize("value", [1.0, float("nan"), 2**53, -(2**53), "\ud800", {"\udfff": 1}, {1: 2}, b"x", {1, 2}])
def test_what_has_no_one_spelling_is_not_encoded(value: Any) -> None:
    with pytest.raises(InvalidInput):
        encode(value)


@pytest.mark.parametrize(
    "data",
    [
        b'{"b":1,"a":2}',
        b'{"a":1,"a":1}',
        b'{"a": 1}',
        b' {"a":1}',
        b'{"a":1}\n',
        b'{"a":1}{}',
        b"1.0",
        b"1e3",
        b"-0",
        b"01",
        b"NaN",
        b"Infinity",
        b'"\\u0041"',
        b'"\\/"',
        b'"\\ud800"',
        b"9007199254740992",
        b"9" * 5000,
        b'\xef\xbb\xbf"a"',
        b'"\xff"',
        b"",
        b"[" * 100_000,
        b"[" * (MAX_DEPTH + 2) + b"]" * (MAX_DEPTH + 2),
    ],
)
def test_other_spellings_are_refused(data: bytes) -> None:
    with pytest.raises(InvalidInput):
        decode_strict(data)


@given(st.binary(max_size=40))
def test_any_bytes_are_refused_or_are_the_canonical_spelling(data: bytes) -> None:
    try:
        value = decode_strict(data)
    except InvalidInput:
        return
    assert encode(value) == data


checked = st.recursive(
    st.booleans() | st.integers(-MAX_INT, MAX_INT) | texts,
    lambda inner: st.dictionaries(st.text(st.characters(codec="ascii")), inner, max_size=4),
    max_leaves=20,
)


@given(st.dictionaries(st.text(st.characters(codec="ascii")), checked, max_size=5))
def test_what_was_checked_before_is_spelled_in_the_same_way(value: dict[str, Any]) -> None:
    assert encode_checked(value) == encode(value)


@pytest.mark.parametrize("value", ["a\ud800b", MAX_INT + 1, -MAX_INT - 1, 2**64, b"bytes", {1}], ids=repr)
def test_of_what_was_checked_the_worst_is_refused_all_the_same(value: Any) -> None:
    with pytest.raises(InvalidInput):
        encode_checked({"name": value})
