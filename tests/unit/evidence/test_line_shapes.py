"""A line that is recognised by its shape is, byte for byte, what the writer makes of the entry in it. Whatever was done to it."""

from __future__ import annotations

from hypothesis import example, given
from hypothesis import strategies as st

from infosec.evidence.cells import Row, fields_of
from infosec.evidence.jsonl import line_of
from infosec.evidence.line_shapes import shape_of
from infosec.transparency.merkle import leaf_hash
from tests.sim.audit_log import entry

values = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=20) | st.sampled_from(
    ['"', "\\", "\\u0041", "\\\\", "\x00", "\x1f", "\n", "营业厅", '","id":"x', "a\\", '\\"']
)


def line(**facts: str) -> bytes:
    body = entry(5, facts={"reason": "OK", "grounds": "plain", "count": 7, **facts})
    return line_of("east", Row(5, leaf_hash(body), body))


SHAPE = shape_of(fields_of(entry(0, facts={"reason": "OK", "grounds": "plain", "count": 7})), line_of)


def matches(text: bytes) -> bool:
    """Whether the line is recognised; and if it is, that it is what the writer makes."""
    assert SHAPE is not None
    found = SHAPE.match(text)
    if found is None:
        return False
    index, leaf, recorded, body = found.group(*SHAPE.groups)
    assert line_of(SHAPE.log, Row(int(index), bytes.fromhex(leaf.decode()), body)) == text
    assert fields_of(body)["recorded"] == recorded.decode()
    return True


@given(reason=values, grounds=values)
@example(reason="\\", grounds="\x00")
def test_what_matches_is_what_the_writer_makes_whatever_its_values(reason: str, grounds: str) -> None:
    is_plain = not any(sign in reason + grounds for sign in '"\\') and (reason + grounds).isprintable()
    assert matches(line(reason=reason, grounds=grounds)) or not is_plain


@given(at=st.integers(0, 2000), put=st.binary(max_size=3), cut=st.integers(0, 3))
def test_what_was_edited_matches_only_where_it_is_still_what_the_writer_makes(at: int, put: bytes, cut: int) -> None:
    text = line()
    place = at % len(text)
    matches(text[:place] + put + text[place + cut :])


@given(value=values)
@example(value="\x00")
@example(value="\\")
@example(value="\\u0041")
def test_what_was_edited_everywhere_alike_is_no_exception(value: str) -> None:
    matches(line().replace(b"plain", value.encode()))
