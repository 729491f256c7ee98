"""What is exported is proved again from the file alone, whatever texts are in it, in every format."""

from datetime import timedelta
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from infosec.errors import InvalidInput
from infosec.events.types import EventType
from infosec.evidence import csv_file, ocsf_classes, xlsx
from infosec.evidence.cells import derived
from infosec.evidence.formats import EncodingName, FormatName, format_of
from infosec.evidence.manifest import manifest_path, proof_path, read_manifest
from infosec.evidence.xlsx import XlsxWriter, read_xlsx
from tests.sim.audit_log import NOW, SimLog, entry, log_of
from tests.unit.evidence.edits import EDITORS, Editor
from tests.unit.evidence.exports import findings, rendered, said, verified

ODD = st.one_of(
    st.text(st.characters(exclude_categories=("Cc", "Cs")), max_size=30),
    st.sampled_from(
        [
            "=1+1",
            "+86",
            "-x",
            "@SUM(A1)",
            "'quoted",
            "''",
            "＝全角",
            'a,b;"c"',
            "_x0041_",
            "_x005F_x0041_",
            "<r>x</r>",
            "<r><t>",
        ]
    ),
    st.sampled_from(
        ["𠮷野家", "𰻝面", "€", "a\u2028b", " 空 格 ", "\ufeffbom", "\ufffe", "\uffff", "&amp;<>", "\\n", "@@1@@"]
    ),
)


@pytest.mark.rule("CI-1")
@pytest.mark.parametrize("editor", EDITORS, ids=str)
@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(texts=st.lists(st.tuples(ODD, ODD), min_size=1, max_size=6))
def test_any_text_comes_back_as_it_was(tmp_path: Path, editor: Editor, texts: list[tuple[str, str]]) -> None:
    file = tmp_path / "export"
    facts = [{"reason": one, "grounds": two} for one, two in texts]
    log = SimLog(entries=[entry(at, facts=fact) for at, fact in enumerate(facts)])

    rendered(file, log, format=editor.format)

    assert verified(file, log).logs[0].rows == len(texts)


@pytest.mark.parametrize("text", ["two\nlines", "\ttab", "\rreturn", "cr\r\nlf", '"', "\n=1"])
@pytest.mark.parametrize("editor", EDITORS, ids=str)
def test_line_ends_and_tabs_come_back_too(tmp_path: Path, editor: Editor, text: str) -> None:
    file = tmp_path / "export"
    log = SimLog(entries=[entry(0, facts={"reason": text})])

    rendered(file, log, format=editor.format)

    verified(file, log)


@given(st.text())
def test_a_safe_cell_is_no_formula_and_comes_back(text: str) -> None:
    safe = csv_file.safe(text)

    assert not safe.startswith(("=", "+", "-", "@", "\t", "\r", "＝", "＋", "－", "＠"))
    assert csv_file.unsafe(safe) == text


def test_gbk_files_are_gbk_for_what_gbk_has_and_lose_nothing(tmp_path: Path) -> None:
    file = tmp_path / "a.csv"
    log = SimLog(entries=[entry(0, facts={"reason": "营业厅"}), entry(1, facts={"reason": "𠮷"})])

    manifest = rendered(file, log, format=format_of(FormatName.CSV, EncodingName.GBK))

    assert "营业厅".encode("gbk") in file.read_bytes()
    assert manifest.encoding == "gb18030"
    assert any("GB18030" in rule.en for rule in manifest.rules)
    verified(file, log)


def test_csv_is_rfc_4180_with_a_mark_for_spreadsheets(tmp_path: Path) -> None:
    file = tmp_path / "a.csv"
    rendered(file, log_of(3), format=format_of(FormatName.CSV))

    data = file.read_bytes()

    assert data.startswith(b"\xef\xbb\xbflog,index,")
    assert data.count(b"\r\n") == data.count(b"\n") == 4


def test_only_csv_has_a_choice_of_encodings() -> None:
    with pytest.raises(InvalidInput):
        format_of(FormatName.XLSX, EncodingName.GBK)


def test_a_full_sheet_goes_on_in_another(tmp_path: Path) -> None:
    log = log_of(25)
    writer = XlsxWriter(tmp_path / "a.xlsx", max_rows=11)
    for part in log.parts():
        for row in getattr(part, "rows", ()):
            writer.add("east", row)
    writer.close()

    rows = [row for batch in read_xlsx(tmp_path / "a.xlsx") for row in batch]

    assert [row.index for row in rows] == list(range(25))
    assert not any(row.wrong for row in rows)


def test_what_excel_would_cut_is_refused_and_not_cut(tmp_path: Path) -> None:
    log = SimLog(entries=[entry(0, facts={"reason": "长" * xlsx.MAX_CELL})])

    with pytest.raises(InvalidInput, match="longer than a cell"):
        rendered(tmp_path / "a.xlsx", log, format=format_of(FormatName.XLSX))

    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("editor", EDITORS, ids=str)
def test_filtered_ranges_of_several_logs_are_proved_with_their_gaps(tmp_path: Path, editor: Editor) -> None:
    file = tmp_path / "export"
    east, west, north = log_of(700), log_of(5, "west"), log_of(0, "north")

    manifest = rendered(file, east, west, north, format=editor.format, wanted=lambda index, _: index % 97 in (3, 4))

    found = verified(file, east, west, north)
    assert [(log.rows, log.is_complete) for log in found.logs] == [(16, False), (2, False), (0, True)]
    assert proof_path(file).exists() and manifest.proof
    assert "不在" not in found.statements()[0].zh and "未证明" in found.statements()[0].zh


@pytest.mark.parametrize("start", [0, 1, 255, 256, 257, 300, 511])
@pytest.mark.parametrize("end", [512, 513, 600, 700])
def test_any_range_is_proved_complete(tmp_path: Path, start: int, end: int) -> None:
    from infosec.evidence.rendering import Order, render
    from tests.unit.evidence.exports import JSONL

    file, log = tmp_path / "export", log_of(700)
    render(log.parts(start=start, end=end), file, Order(format=JSONL, export_id="e", filter={}, now=NOW))

    found = verified(file, log)

    assert (found.logs[0].rows, found.logs[0].is_complete) == (end - start, True)
    assert not proof_path(file).exists()


@pytest.mark.parametrize("editor", EDITORS, ids=str)
def test_entries_past_their_term_keep_their_hash(tmp_path: Path, editor: Editor) -> None:
    file, log = tmp_path / "export", log_of(20, emptied={0, 3, 4, 19})
    manifest = rendered(file, log, format=editor.format, now=NOW + timedelta(days=400))
    from infosec.evidence.verifying import verify
    from tests.unit.evidence.exports import trust

    found = verify(file, trust(log), now=NOW + timedelta(days=401))

    assert found.logs[0].emptied == 4
    assert any("保存期限" in one.zh for one in manifest.statements())


def test_entries_without_content_before_any_term_are_named(tmp_path: Path) -> None:
    file, log = tmp_path / "export", log_of(20, emptied={3})
    rendered(file, log)

    assert said(findings(file, log)) == {("PAYLOAD_MISSING", 3, None, "")}


@pytest.mark.parametrize(
    ("emptied", "days", "unjudged"),
    [
        ({0, 1}, 0, (0, 2)),  # nothing before them; what comes after is young
        ({0, 1}, 400, None),  # what comes after is old, and so they are older still
        ({18, 19}, 400, (18, 20)),  # nothing after them
        (set(range(20)), 0, (0, 20)),
        (set(), 0, None),
    ],
)
def test_where_the_neighbours_do_not_say_whether_a_term_was_over_that_is_told(
    tmp_path: Path, emptied: set[int], days: int, unjudged: tuple[int, int] | None
) -> None:
    from infosec.evidence.verifying import verify
    from tests.unit.evidence.exports import trust

    file, log, made = tmp_path / "export", log_of(20, emptied=emptied), NOW + timedelta(days=days)
    rendered(file, log, now=made)

    found = verify(file, trust(log), now=made)

    assert found.logs[0].unjudged == unjudged
    assert any("audit.retention-applied" in one.en for one in found.statements()) is (unjudged is not None)


def test_an_entry_after_one_that_was_too_young_is_judged_though_the_first_is_not(tmp_path: Path) -> None:
    file, log = tmp_path / "export", log_of(20, emptied={0, 5})
    rendered(file, log)

    assert said(findings(file, log)) == {("PAYLOAD_MISSING", 5, None, "")}


def test_the_manifest_says_what_was_asked_for_in_both_languages(tmp_path: Path) -> None:
    file, log = tmp_path / "export", log_of(3)
    rendered(file, log)

    text = manifest_path(file).read_text("utf-8")

    assert "完整区间" in text and "A whole range" in text
    assert read_manifest(manifest_path(file)).is_as_written
    assert file.stat().st_mode & 0o777 == 0o600


def test_cells_say_what_the_entry_says() -> None:
    cells = derived(entry(4, facts={"grounds": "客户投诉"}))

    assert cells["staff_id"] == "clerk4"
    assert cells["facts"] == '{"grounds":"客户投诉","revision":4}'
    assert cells["type"] == "check.decided"


def test_every_type_of_event_has_an_ocsf_class() -> None:
    assert set(ocsf_classes.ACTIVITIES) == set(EventType)
