"""An export that breaks off goes on where it ended: after a lost connection, and after a kill at any byte of the part file."""

import asyncio
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from infosec.api.audit.v1 import read_pb2 as pb
from infosec.client.audit_export import parts_of, receive, received, resume_of
from infosec.errors import FailedPrecondition, Internal, Unavailable
from infosec.evidence.cells import Row
from infosec.evidence.part_file import MAGIC, PartFile
from infosec.evidence.parts import LogBegun, LogEnded, Part, Rows
from infosec.evidence.receiving import Receiving
from infosec.evidence.rendering import Order, render
from infosec.rpc.deadlines import Backoff
from infosec.secret import Secret
from tests.sim.audit_log import NOW, ExportFeed, SimLog, log_of
from tests.unit.evidence.exports import JSONL, rendered, verified

LOGS = (log_of(60), log_of(0, "north"), log_of(23, "west"))
ORDER = Order(format=JSONL, export_id="e", filter={}, now=NOW)


def every_third(index: int, _body: bytes) -> bool:
    return index % 3 == 1


async def _assertion() -> Secret:
    return Secret("assertion")


async def _at_once(_seconds: float) -> None:
    return None


async def got(feed: ExportFeed, part: PartFile, *, attempts: int = 8) -> None:
    await receive(
        feed,
        _assertion,
        pb.Filter(),
        export_id="e",
        into=part,
        state=received(part),
        backoff=Backoff(attempts=attempts),
        sleep=_at_once,
    )


@pytest.mark.parametrize("wanted", [None, every_third])
async def test_an_export_goes_on_after_each_broken_connection(tmp_path: Path, wanted: object) -> None:
    feed = ExportFeed(LOGS, wanted=wanted, breaks_after=[0, 1, 3, 2, 4, 5, 6, 3])  # type: ignore[arg-type]
    part = PartFile.begin(tmp_path / "a.part", {})

    await got(feed, part)
    render(parts_of(part), tmp_path / "a", ORDER)
    rendered(tmp_path / "b", *LOGS, wanted=wanted)  # type: ignore[arg-type]

    verified(tmp_path / "a", *LOGS)
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()
    assert len(feed.asked) == 9


async def test_what_is_asked_for_again_begins_where_the_last_one_ended(tmp_path: Path) -> None:
    feed = ExportFeed(LOGS[:1], breaks_after=[3])
    await got(feed, PartFile.begin(tmp_path / "a.part", {}))

    (resume,) = feed.asked[1].resume

    assert not feed.asked[0].resume
    assert (resume.log_id, resume.start, resume.end, resume.size, resume.next_index) == ("east", 0, 60, 60, 14)


async def test_a_connection_that_brings_nothing_new_is_given_up(tmp_path: Path) -> None:
    feed = ExportFeed(LOGS, breaks_after=[2, *[1] * 50])
    part = PartFile.begin(tmp_path / "a.part", {})

    with pytest.raises(Unavailable):
        await got(feed, part, attempts=3)

    assert len(feed.asked) == 3
    await got(ExportFeed(LOGS), part)
    render(parts_of(part), tmp_path / "a", ORDER)
    verified(tmp_path / "a", *LOGS)


async def _whole(path: Path) -> bytes:
    part = PartFile.begin(path, {"filter": "x"})
    await got(ExportFeed(LOGS, wanted=every_third), part)
    part.close()
    return path.read_bytes()


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_a_part_file_that_was_cut_at_any_byte_goes_on(tmp_path: Path, data: st.DataObject) -> None:
    folder = tmp_path / str(len(list(tmp_path.iterdir())))
    folder.mkdir()
    whole = asyncio.run(_whole(folder / "whole.part"))
    path = folder / "a.part"
    path.write_bytes(whole[: data.draw(st.integers(0, len(whole)))] + data.draw(st.binary(max_size=12)))

    part = _begun_or_continued(path)
    asyncio.run(got(ExportFeed(LOGS, wanted=every_third), part))
    render(parts_of(part), folder / "a", ORDER)

    assert verified(folder / "a", *LOGS).manifest.rows == 20 + 8


def _begun_or_continued(path: Path) -> PartFile:
    try:
        known = PartFile.go_on(path)
    except FailedPrecondition:  # the garbage after a cut within the first line
        known = None
    if known is None:
        path.unlink()
        return PartFile.begin(path, {"filter": "x"})
    assert known.ask == {"filter": "x"}
    return known


def test_a_file_of_another_kind_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "a.part"
    path.write_bytes(b"somebody's notes about many things")

    with pytest.raises(FailedPrecondition):
        PartFile.go_on(path)

    assert path.read_bytes() == b"somebody's notes about many things"


def test_a_part_file_is_its_owners_alone(tmp_path: Path) -> None:
    PartFile.begin(tmp_path / "a.part", {}).close()

    assert (tmp_path / "a.part").stat().st_mode & 0o777 == 0o600
    assert (tmp_path / "a.part").read_bytes().startswith(MAGIC)
    with pytest.raises(FileExistsError):
        PartFile.begin(tmp_path / "a.part", {})


ROW = Row(0, bytes(32), b"")


def _first(log: SimLog) -> LogBegun:
    first = next(log.parts())
    assert isinstance(first, LogBegun)
    return first


BEGUN, OTHER = _first(log_of(3)), _first(log_of(2, "west"))


@pytest.mark.parametrize(
    "parts",
    [
        [Rows(rows=(ROW,))],
        [BEGUN, BEGUN],
        [BEGUN, OTHER],
        [BEGUN, Rows(rows=(Row(1, bytes(32), b""),))],
        [BEGUN, Rows(rows=(ROW, ROW))],
        [BEGUN, LogEnded(log_id="east", right=())],
        [BEGUN, *[Rows(rows=(Row(at, bytes(32), b""),)) for at in range(4)]],
        [replace(BEGUN, end=4)],
        [replace(BEGUN, checkpoint=b"nothing")],
        [BEGUN, Rows(rows=tuple(Row(at, bytes(32), b"") for at in range(3))), LogEnded(log_id="west", right=())],
    ],
)
def test_parts_that_cannot_be_are_refused(parts: list[Part]) -> None:
    state = Receiving()

    with pytest.raises(Internal):
        for part in parts:
            state.accept(part)


@pytest.mark.parametrize("other", [replace(BEGUN, end=2), replace(BEGUN, left=(bytes(32),))])
def test_a_stream_that_goes_on_with_another_export_is_refused(other: LogBegun) -> None:
    state = Receiving()
    state.accept(BEGUN)
    state.connected()

    with pytest.raises(Internal):
        state.accept(other)


def test_the_beginning_of_a_log_is_kept_once() -> None:
    state = Receiving()

    assert state.accept(BEGUN)
    state.connected()
    assert not state.accept(BEGUN)
    assert resume_of(state)[0].next_index == 0


async def test_a_log_that_came_into_being_in_between_is_not_mixed_in(tmp_path: Path) -> None:
    feed = ExportFeed([LOGS[0]], breaks_after=[3])
    part = PartFile.begin(tmp_path / "a.part", {})
    with pytest.raises(Unavailable):
        await got(feed, part, attempts=1)

    await got(ExportFeed([log_of(5, "anew"), LOGS[0], LOGS[2]]), part)
    render(parts_of(part), tmp_path / "a", ORDER)

    assert [log.log_id for log in verified(tmp_path / "a", *LOGS).logs] == ["east", "west"]
