"""Somebody with every right on the database makes the record say something else: who finds it, and what it names (CI-1).

Each row of the table in docs/security.md, "Tampering with the record", is a case here.
"""

from __future__ import annotations

import asyncio
import json
import re
import subprocess
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from auditsvc.batch import Receipt
from auditsvc.checkpoints import SigningFault
from auditsvc.columns import WrongRow
from auditsvc.cosigning import Outcome
from auditsvc.flows.comparing import wrong_rows
from auditsvc.flows.erasing import replay
from infosec.cli.audit_words import told
from infosec.errors import FailedPrecondition, Reason, Unavailable
from infosec.evidence.faults import Finding, Flaw, NotProved
from infosec.evidence.manifest import EMPTIED, FILTERED
from infosec.transparency.merkle import leaf_hash
from tests.sim.audit import EAST, AuditStand
from tests.sim.audit_office import NUMBER, office
from tests.sim.audit_tampering import JSONL, SIZE, SIZES, Said, Scene, edited, forged, said, scene, stranger
from tests.sim.signing import grow, restore

pytestmark = pytest.mark.rule("CI-1")

NOTHING: Said = set()


@pytest.fixture
async def set_up(audit: AuditStand, tmp_path: Path) -> AsyncIterator[Scene]:
    async with scene(audit, tmp_path) as made:
        yield made


async def change_an_entry(at: Scene) -> None:
    at.edit(137, decision="DENIED")


async def change_an_entry_and_its_hash(at: Scene) -> None:
    before = at.bodies()[137]
    at.edit(137, decision="DENIED")
    (tile,) = at.audit.rows("select hashes from audit.tiles where log_id = 'east' and level = 0 and index = 0")[0]
    hashes = bytes(tile).replace(leaf_hash(before), leaf_hash(at.bodies()[137]))  # type: ignore[call-overload]
    at.audit.rows("update audit.tiles set hashes = %s where log_id = 'east' and level = 0 and index = 0", hashes)


async def make_an_entry_unreadable(at: Scene) -> None:
    at.put(137, b"{")


async def delete_the_newest_ten(at: Scene) -> None:
    at.audit.rows("delete from audit.entries where log_id = 'east' and index >= 490")


async def delete_the_newest_ten_and_rewind(at: Scene) -> None:
    at.rebuild(490)
    at.audit.rows("delete from audit.checkpoints where log_id = 'east' and size > 490")


async def delete_one_in_the_middle(at: Scene) -> None:
    at.audit.rows("delete from audit.entries where log_id = 'east' and index = 200")


async def delete_one_and_move_the_rest_up(at: Scene) -> None:
    await delete_one_in_the_middle(at)
    at.audit.rows("update audit.entries set index = -index where log_id = 'east' and index > 200")
    at.audit.rows("update audit.entries set index = -index - 1 where index < 0")


async def delete_one_and_rebuild(at: Scene) -> None:
    await delete_one_and_move_the_rest_up(at)
    at.rebuild()


async def swap_two(at: Scene) -> None:
    one, two = at.bodies()[100], at.bodies()[400]
    at.put(100, two)
    at.put(400, one)


async def put_one_over_another(at: Scene) -> None:
    at.put(51, at.bodies()[50])


async def insert_one(at: Scene) -> None:
    at.insert(450, forged(at.bodies()[450]))


async def insert_one_and_rebuild(at: Scene) -> None:
    await insert_one(at)
    at.rebuild()


async def sign_with_another_key(at: Scene) -> None:
    at.edit(137, decision="DENIED")
    at.rebuild()
    at.sign(stranger())


async def go_back_to_a_backup(at: Scene) -> None:
    restore(at.audit)


async def fork(at: Scene) -> None:
    restore(at.audit)
    await grow(at.audit, SIZE - SIZES[0], first=5000)
    at.sign()


async def rewrite_and_sign_with_the_real_key(at: Scene) -> None:
    at.edit(395, decision="DENIED")
    at.rebuild()
    at.sign()


def entries_changed(*indexes: int) -> Said:
    return {("ENTRY_CHANGED", index, None) for index in indexes}


def payloads_missing(*indexes: int) -> Said:
    return {("PAYLOAD_MISSING", index, None) for index in indexes}


@dataclass(frozen=True, kw_only=True)
class Case:
    """What is done, and what each watcher says on its own."""

    do: Callable[[Scene], Awaitable[None]]
    export: Said
    """An export of the log and the log's key."""
    refused: str = ""
    """What the service answers that cannot export any more."""
    earlier: Said | None = None
    """The same with the checkpoints that the auditor kept from before; None where the export finds it already."""
    signer: SigningFault | None = None
    witness: Outcome | None = None

    def __str__(self) -> str:
        return self.do.__name__


REWRITTEN_FROM_300: Said = {("NOT_CONSISTENT", 300, 490), ("NOT_CONSISTENT", 300, 500)}
"""The earliest checkpoint still fits, so that what was rewritten lies behind it."""
ROLLED_BACK, FORKED = SigningFault.ROLLED_BACK, SigningFault.FORKED
CASES = (
    Case(do=change_an_entry, export=entries_changed(137)),
    Case(do=change_an_entry_and_its_hash, export={("WRONG_ROOT", 0, 500)}),
    Case(do=make_an_entry_unreadable, export=entries_changed(137)),
    Case(do=delete_the_newest_ten, export=payloads_missing(*range(490, 500))),
    Case(
        do=delete_the_newest_ten_and_rewind,
        export=NOTHING,
        earlier={("NOT_CONSISTENT", 490, 500)},
        signer=ROLLED_BACK,
        witness=Outcome.ROLLED_BACK,
    ),
    Case(do=delete_one_in_the_middle, export=payloads_missing(200)),
    Case(do=delete_one_and_move_the_rest_up, export=entries_changed(*range(200, 300))),
    Case(
        do=delete_one_and_rebuild,
        export=NOTHING,
        refused="500 entries were signed and 499 are left",
        signer=ROLLED_BACK,
    ),
    Case(do=swap_two, export=entries_changed(100, 400)),
    Case(do=put_one_over_another, export=entries_changed(51)),
    Case(do=insert_one, export=entries_changed(*range(450, 500))),
    Case(do=insert_one_and_rebuild, export={("WRONG_ROOT", 0, 500)}, signer=FORKED),
    Case(
        do=sign_with_another_key,
        export={("BAD_CHECKPOINT", None, None)},
        signer=SigningFault.FOREIGN_CHECKPOINT,
        witness=Outcome.REFUSED,
    ),
    Case(
        do=go_back_to_a_backup,
        export=NOTHING,
        earlier=REWRITTEN_FROM_300,
        signer=ROLLED_BACK,
        witness=Outcome.ROLLED_BACK,
    ),
    Case(do=fork, export=NOTHING, earlier=REWRITTEN_FROM_300, signer=FORKED, witness=Outcome.FORKED),
    Case(
        do=rewrite_and_sign_with_the_real_key,
        export=NOTHING,
        earlier=REWRITTEN_FROM_300,
        signer=FORKED,
        witness=Outcome.FORKED,
    ),
)


@pytest.mark.parametrize("case", CASES, ids=str)
async def test_what_is_done_to_the_database_is_found(set_up: Scene, case: Case) -> None:
    await case.do(set_up)

    if case.refused:
        with pytest.raises(FailedPrecondition) as refused:
            await set_up.exported()
        assert refused.value.details["log"] == EAST and case.refused in refused.value.details["detail"]
    else:
        alone = await set_up.exported("alone")
        assert said(alone) == case.export
        with_earlier = await set_up.exported("with earlier ones", previous=set_up.previous)
        assert said(with_earlier) >= (case.export if case.earlier is None else case.earlier)
        assert case.earlier is None or said(with_earlier) == case.earlier
        assert all(one.log == EAST for one in (*alone, *with_earlier))
    assert await set_up.signing() is case.signer
    # Life goes on, under a signer whose record was taken away, so that all is up to the witness.
    await set_up.audit.try_append(*(set_up.audit.check(7000 + number) for number in range(3)))
    await set_up.signing("without a record")
    assert await set_up.witnessing() is case.witness


@pytest.mark.parametrize("case", [one for one in CASES if one.export or one.earlier], ids=str)
def test_each_finding_is_told_in_both_languages_with_log_and_index(case: Case) -> None:
    for flaw, index, end in case.export | (case.earlier or NOTHING):
        text = told(Finding(flaw=Flaw(flaw), log=EAST, index=index, end=end))
        assert "日志 east" in text.zh and "log east" in text.en
        if index is not None:
            assert str(index) in text.zh and str(index) in text.en


async def test_where_nothing_says_the_place_exports_of_shorter_periods_narrow_it_down(set_up: Scene) -> None:
    await change_an_entry_and_its_hash(set_up)
    later = await set_up.fetched("later", since=set_up.since(300))
    set_up.rendered(later, set_up.folder / "later")
    assert set_up.verified(set_up.folder / "later").logs[0].start == 300
    sooner = await set_up.fetched("sooner", until=set_up.since(300))
    with pytest.raises(NotProved) as refused:
        set_up.rendered(sooner, set_up.folder / "sooner")
    assert said(refused.value.findings) == {("WRONG_ROOT", 0, 300)}


# Found by others than those four.


async def test_a_changed_column_hides_an_entry_from_a_filter_and_not_from_a_whole_export(set_up: Scene) -> None:
    """NOT found in a filtered export, which says that it does not prove completeness; a whole one goes by the entries."""
    set_up.audit.rows("update audit.entries set staff_id = 'clerk.1' where log_id = 'east' and index = 3")
    filtered = await set_up.fetched("filtered", staff_ids=["clerk.3"])
    set_up.rendered(filtered, set_up.folder / "filtered")
    rows = [json.loads(line) for line in (set_up.folder / "filtered").read_text().splitlines()]
    assert [row["index"] for row in rows][:2] == [10, 17]
    assert FILTERED in set_up.verified(set_up.folder / "filtered").statements()

    assert await set_up.exported("whole") == ()
    rows = [json.loads(line) for line in (set_up.folder / "whole").read_text().splitlines()]
    assert [row["index"] for row in rows if row["staff_id"] == "clerk.3"][:3] == [3, 10, 17]


async def test_a_changed_time_moves_the_bounds_of_a_period_and_the_indexes_show_it(set_up: Scene) -> None:
    """NOT found in a period's export: what it proves is a range of indexes. The period before it ends where this begins."""
    moment = set_up.since(300)
    set_up.audit.rows(
        "update audit.entries set recorded_at = %s where log_id = 'east' and index between 300 and 310", set_up.since(0)
    )
    part = await set_up.fetched("period", since=moment)
    set_up.rendered(part, set_up.folder / "period")
    assert set_up.verified(set_up.folder / "period").logs[0].start > 300


@pytest.mark.parametrize(
    ("column", "value"),
    [
        ("event_id", "'00000000-0000-4000-8000-000000000000'"),
        ("recorded_at", "recorded_at + interval '1 hour'"),
        ("type", "'session.opened'"),
        ("store_id", "null"),
        ("staff_id", "'clerk.1'"),
        ("operation", "null"),
        ("decision", "'DENIED'"),
        ("subject_id", "null"),
    ],
)
async def test_a_comparison_on_the_server_names_every_column_that_was_changed(
    set_up: Scene, column: str, value: str
) -> None:
    assert [one async for one in wrong_rows(set_up.audit.db)] == []
    set_up.audit.rows(f"update audit.entries set {column} = {value} where log_id = 'east' and index = 3")
    assert [one async for one in wrong_rows(set_up.audit.db)] == [WrongRow(EAST, 3, (column,))]


async def test_a_comparison_names_rows_without_an_entry_and_rows_without_a_log(set_up: Scene) -> None:
    set_up.put(7, b"{")
    set_up.insert(SIZE, set_up.bodies()[0])
    set_up.audit.rows("update audit.entries set log_id = 'north' where log_id = 'east' and index = 9")
    found = {(one.log_id, one.position): set(one.columns) for one in [one async for one in wrong_rows(set_up.audit.db)]}
    assert found[EAST, 7] == {"body"}
    assert {"index", "event_id"} <= found[EAST, SIZE]
    assert found["north", 9] == {"index", "log_id"}
    assert len(found) == 3


async def test_a_deleted_row_is_not_missed_by_a_filtered_export(set_up: Scene) -> None:
    """NOT found in a filtered export, which says so; found in a whole one."""
    set_up.audit.rows("delete from audit.entries where log_id = 'east' and index = 10")
    filtered = await set_up.fetched("filtered", staff_ids=["clerk.3"])
    set_up.rendered(filtered, set_up.folder / "filtered")
    assert FILTERED in set_up.verified(set_up.folder / "filtered").statements()
    assert said(await set_up.exported("whole")) == payloads_missing(10)


async def test_rows_deleted_at_the_very_beginning_are_counted_and_told_but_not_judged(set_up: Scene) -> None:
    """NOT a fault: retention may have taken them. It says where to look."""
    set_up.audit.rows("delete from audit.entries where log_id = 'east' and index < 5")
    part = await set_up.fetched()
    set_up.rendered(part, set_up.folder / "export")
    found = set_up.verified(set_up.folder / "export")
    assert (found.logs[0].emptied, found.logs[0].unjudged) == (5, (0, 5))
    told_last = found.statements()[-1]
    for text in (told_last.zh, told_last.en):
        assert "east" in text and "0–4" in text and "audit.retention-applied" in text  # a range


async def test_rows_deleted_past_the_shortest_term_look_like_retention(set_up: Scene) -> None:
    """NOT found, but counted: that two people agreed is for audit.retention-applied to show."""
    set_up.audit.advance(days=200)
    set_up.audit.rows("delete from audit.entries where log_id = 'east' and index in (250, 499)")
    part = await set_up.fetched()
    set_up.rendered(part, set_up.folder / "export")
    found = set_up.verified(set_up.folder / "export")
    assert (found.logs[0].emptied, found.logs[0].unjudged) == (2, (499, 500))
    assert EMPTIED in found.statements()


async def test_a_row_put_behind_the_end_is_in_no_export_and_stops_the_recording(set_up: Scene) -> None:
    set_up.insert(SIZE, forged(set_up.bodies()[-1]))
    assert await set_up.exported() == ()
    assert len((set_up.folder / "export").read_text().splitlines()) == SIZE
    (outcome,) = await set_up.audit.try_append(set_up.audit.check(1))
    assert isinstance(outcome, Unavailable) and outcome.reason is Reason.RECORD_UNAVAILABLE


async def test_an_erased_customer_who_was_put_back_is_erased_again_at_the_next_start(
    audit: AuditStand, tmp_path: Path
) -> None:
    """Found by the journal of erasures, which is no part of the database."""
    desk = office(audit, tmp_path / "journal")
    await audit.append(*(audit.check(number) for number in range(50)))
    before = audit.rows("select digest, subject_id, data_key, made_at from audit.subjects")
    await desk.confirm((await desk.erase(number=NUMBER)).act_id)
    assert desk.subjects() == len(before) - 1
    for row in before:
        audit.rows("insert into audit.subjects values (%s, %s, %s, %s) on conflict do nothing", *row)
    assert await replay(desk.journal, audit.keeper) == 1
    assert desk.subjects() == len(before) - 1


async def test_a_rewritten_log_without_the_witness_is_no_evidence_to_who_asks_for_cosignatures(set_up: Scene) -> None:
    await rewrite_and_sign_with_the_real_key(set_up)
    found = await set_up.exported(witnesses=[set_up.running.key], at_least=1)
    assert said(found) == {("TOO_FEW_WITNESSES", None, None)}
    assert "见证人不足" in told(found[0]).zh and "log east: too few witnesses" in told(found[0]).en


# What nobody finds: said here, so that nobody believes otherwise.


async def test_not_found_an_insider_with_the_key_the_record_and_nobody_who_watched(set_up: Scene) -> None:
    """The log's key, the database, the signer's record; no witness, no checkpoint kept elsewhere."""
    await rewrite_and_sign_with_the_real_key(set_up)
    (set_up.folder / "audit" / "checkpoints.json").unlink()
    assert await set_up.exported() == ()
    assert await set_up.signing() is None


async def test_not_found_entries_that_were_deleted_before_any_checkpoint_had_them(set_up: Scene) -> None:
    """The second between an entry and its checkpoint: only the caller's receipt says that there was one."""
    (receipt,) = await set_up.audit.append(set_up.audit.check(900))
    set_up.rebuild(SIZE)
    assert await set_up.exported(previous=set_up.previous) == ()
    assert await set_up.signing() is None
    assert await set_up.witnessing() is None
    (other,) = await set_up.audit.append(set_up.audit.check(901))
    assert isinstance(receipt, Receipt)
    assert (other.log_id, other.index) == (receipt.log_id, receipt.index) and other.leaf_hash != receipt.leaf_hash


async def test_an_untouched_record_is_proved_and_nobody_complains(set_up: Scene) -> None:
    """And so is one into which an event never came: that it comes in, or is refused, is for the callers to see to."""
    await set_up.audit.append(set_up.audit.check(900))
    assert await set_up.exported(previous=set_up.previous) == ()
    assert await set_up.signing() is None
    assert await set_up.witnessing() is None


def test_the_table_in_the_documentation_has_every_case_and_names_no_other() -> None:
    here = Path(__file__)
    text = (here.parents[2] / "docs" / "security.md").read_text("utf-8")
    section = text.partition("## Tampering with the record")[2].partition("\n## ")[0]
    named = set(re.findall(r"`(\w+)`", section.partition("| --- |")[2]))
    assert {str(case) for case in CASES} <= named
    written = "".join((here.parent / name).read_text("utf-8") for name in (here.name, "test_audit_export_edits.py"))
    assert {name for name in named if f"def {name}(" not in written} <= {"carrier"}


# What an auditor sees on the command line.


@dataclass(frozen=True, kw_only=True)
class Answer:
    code: int
    out: str
    err: str


async def verify_command(at: Scene, file: Path, *words: str) -> Answer:
    keys = at.folder / "keys.txt"
    keys.write_text(at.vkeys)
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", "from infosec.cli.app import main; main()", *words[:2],
        "audit", "verify", str(file), "--key", str(keys), *words[2:],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    )  # fmt: skip
    out, err = await process.communicate()
    assert process.returncode is not None
    return Answer(code=process.returncode, out=out.decode(), err=err.decode())


@pytest.mark.parametrize(
    ("locale", "says", "not_proved"),
    [
        ("zh-CN", "日志 east，序号 200，文件第 201 行：内容在保存期限之前缺失", "未证实：1 处问题。"),
        ("en", "log east, index 200, row 201 of the file: the content is missing", "NOT PROVED: 1 faults."),
    ],
)
async def test_the_command_names_the_entry_that_was_deleted(
    set_up: Scene, locale: str, says: str, not_proved: str
) -> None:
    await delete_one_in_the_middle(set_up)
    file = set_up.folder / "export.jsonl"
    set_up.rendered(await set_up.fetched(), file)
    shown = await verify_command(set_up, file, "--locale", locale)
    assert shown.code == 7
    assert says in shown.out.replace("\n", "") and not_proved in shown.err


@pytest.mark.parametrize(
    ("locale", "says"),
    [
        ("zh-CN", "日志 east，序号 490–499：日志不是先前检查点的延续"),
        ("en", "log east, index 490–499: the log does not"),
    ],  # a range
)
async def test_the_command_names_where_the_log_was_cut_off(set_up: Scene, locale: str, says: str) -> None:
    kept = set_up.folder / "kept.txt"
    kept.write_bytes(set_up.previous[-1])
    await delete_the_newest_ten_and_rewind(set_up)
    file = set_up.folder / "export.jsonl"
    set_up.rendered(await set_up.fetched(), file)
    assert (await verify_command(set_up, file, "--locale", locale)).code == 0
    shown = await verify_command(set_up, file, "--locale", locale, "--previous", str(kept))
    assert shown.code == 7 and says in shown.out.replace("\n", "")


async def test_of_many_changed_entries_all_are_named_and_no_file_is_written(set_up: Scene) -> None:
    for index in (7, 8, 300, 499):
        set_up.put(index, edited(set_up.bodies()[index], purpose="COMPLAINT"))
    with pytest.raises(NotProved) as refused:
        set_up.rendered(await set_up.fetched(), set_up.folder / "export", JSONL)
    assert [one.index for one in refused.value.findings] == [7, 8, 300, 499]
    assert not list(set_up.folder.glob("export"))
    assert not list(set_up.folder.glob(".export*"))
