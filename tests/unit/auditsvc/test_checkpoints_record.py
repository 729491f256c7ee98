"""The record of what was signed, outside of the database: it only grows, it is whole, and it is private."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from auditsvc.last_signed import LastSigned, Signed
from infosec.errors import Misconfigured
from infosec.ids import RegionId
from infosec.transparency.spelling import encode_base64

NOW = datetime(2026, 3, 2, 1, 0, tzinfo=UTC)
EAST, WEST = RegionId("east"), RegionId("west")


def _at(size: int) -> Signed:
    return Signed(size=size, root=bytes([size]) * 32, at=NOW)


def test_what_is_noted_is_read_back_by_every_process(tmp_path: Path) -> None:
    record = LastSigned(tmp_path / "audit")
    assert record.read() == {} and record.key() is None
    assert record.advance({EAST: _at(3), WEST: _at(9)}, {}) == {EAST, WEST}
    record.note_key("one")
    assert record.advance({EAST: _at(5)}, record.read()) == {EAST}
    other = LastSigned(tmp_path / "audit")
    assert other.read() == {EAST: _at(5), WEST: _at(9)}
    assert other.key() == "one"
    assert record.path.stat().st_mode & 0o777 == 0o600


def test_a_smaller_tree_and_another_of_the_same_size_change_nothing(tmp_path: Path) -> None:
    record = LastSigned(tmp_path / "audit")
    record.advance({EAST: _at(5)}, {})
    for other in (_at(4), replace(_at(5), root=bytes(32))):
        assert record.advance({EAST: other}, record.read()) == set()
    assert record.read() == {EAST: _at(5)}


def test_what_was_judged_against_another_record_is_not_to_be_published(tmp_path: Path) -> None:
    record, late = LastSigned(tmp_path / "audit"), LastSigned(tmp_path / "audit")
    record.advance({EAST: _at(5), WEST: _at(1)}, {})
    judged = late.read()
    record.advance({EAST: _at(7)}, record.read())
    assert late.advance({EAST: _at(8), WEST: _at(2)}, judged) == {WEST}
    assert late.advance({EAST: _at(7)}, judged) == {EAST}, "what is there already may be published by both"
    assert record.read() == {EAST: _at(7), WEST: _at(2)}


def test_only_a_person_takes_it_back_and_what_was_signed_before_stays_in_it(tmp_path: Path) -> None:
    record = LastSigned(tmp_path / "audit")
    record.advance({EAST: _at(5)}, {})
    record.accept(EAST, _at(4), reason="disk failure")
    record.advance({EAST: _at(6)}, record.read())
    assert record.read() == {EAST: _at(6)}
    (restore,) = json.loads(record.path.read_text())["logs"]["east"]["restores"]
    assert restore == {"size": 5, "root": encode_base64(_at(5).root), "reason": "disk failure"}
    record.accept(EAST, None, reason="given up")
    assert record.read() == {}


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{}",
        "[]",
        '{"logs": []}',
        '{"logs": {"east": {}}}',
        '{"logs": {"east": {"size": 1, "root": "AAAA", "at": "2026-03-02T01:00:00+00:00"}}}',
        '{"logs": {"east": {"size": true, "root": "' + "A" * 43 + '=", "at": "2026-03-02T01:00:00+00:00"}}}',
        '{"logs": {"east": {"size": 1, "root": "' + "A" * 43 + '=", "at": "soon"}}}',
    ],
)
def test_a_file_that_is_not_whole_is_no_file_without_logs(tmp_path: Path, text: str) -> None:
    record = LastSigned(tmp_path / "audit")
    record.path.write_text(text)
    record.path.chmod(0o600)
    for read in (record.read, record.key):
        with pytest.raises(Misconfigured):
            read()
    with pytest.raises(Misconfigured):
        record.advance({EAST: _at(1)}, {})


def test_a_file_that_others_may_read_or_write_is_refused(tmp_path: Path) -> None:
    record = LastSigned(tmp_path / "audit")
    record.advance({EAST: _at(5)}, {})
    record.path.chmod(0o666)
    with pytest.raises(Misconfigured):
        record.read()
