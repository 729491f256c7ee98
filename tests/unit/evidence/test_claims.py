"""What is said beside the rows is not believed: keys, checkpoints, witnesses, hashes, and the export that came before."""

import base64
import hashlib
import json
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from infosec import canonical
from infosec.errors import InvalidInput
from infosec.evidence.faults import NotProved
from infosec.evidence.keys import ConsistencyProof, consistency_proofs, log_keys, witness_keys
from infosec.evidence.manifest import Manifest, manifest_path, proof_path
from infosec.evidence.parts import LogBegun, Rows
from infosec.evidence.rendering import Order, render
from infosec.evidence.verifying import verify
from infosec.evidence.witnessing import Trust, notes_of
from tests.sim.audit_log import NOW, SimLog, entry, log_of, witness
from tests.unit.evidence.exports import JSONL, LATER, findings, rendered, said, trust, verified

LOG = log_of(300)


def rewritten(file: Path, change: Callable[[dict[str, Any]], None]) -> None:
    """The manifest with a change, and a digest that fits it."""
    path = manifest_path(file)
    fields = json.loads(path.read_bytes())
    change(fields)
    fields.pop("digest", None)
    fields["digest"] = hashlib.sha256(canonical.encode(fields)).hexdigest()
    path.write_text(json.dumps(fields), "utf-8")


def flaws(file: Path, *logs: SimLog, **more: object) -> set[str]:
    return {flaw for flaw, *_ in said(findings(file, *logs, **more))}


@pytest.fixture
def file(tmp_path: Path) -> Path:
    rendered(tmp_path / "export", LOG)
    return tmp_path / "export"


def test_another_logs_key_is_no_key(file: Path) -> None:
    assert flaws(file, log_of(1, "west")) == {"NO_KEY"}


def test_a_key_of_the_same_name_that_is_not_the_logs_is_refused(file: Path) -> None:
    from infosec.secret import SecretBytes
    from infosec.transparency.notes import NoteSigner

    other = NoteSigner.of_seed(LOG.origin, SecretBytes(bytes(32))).key

    with pytest.raises(NotProved, match="NOT_SIGNED"):
        verify(file, Trust(keys=[other]), now=LATER)


def test_with_an_old_key_and_a_new_one_either_does(file: Path) -> None:
    from infosec.secret import SecretBytes
    from infosec.transparency.notes import NoteSigner

    old = NoteSigner.of_seed(LOG.origin, SecretBytes(bytes(32))).key

    verify(file, Trust(keys=[old, LOG.signer.key]), now=LATER)


@pytest.mark.parametrize(
    ("change", "flaw"),
    [
        (lambda log: log.update(rows=299), "WRONG_COUNT"),
        (lambda log: log.update(end=299), "WRONG_ROOT"),
        (lambda log: log.update(size=301), "MANIFEST_CHANGED"),
        (lambda log: log.update(origin="elsewhere"), "MANIFEST_CHANGED"),
        (lambda log: log.update(without_payload=1), "WRONG_COUNT"),
        (lambda log: log.update(checkpoint=log_of(299).note().decode()), "MANIFEST_CHANGED"),
        (lambda log: log.update(checkpoint=log["checkpoint"].replace("\n300\n", "\n301\n")), "BAD_CHECKPOINT"),
        (lambda log: log.update(checkpoint="nothing"), "BAD_CHECKPOINT"),
        (lambda log: log.update(left=base64.b64encode(bytes(32)).decode()), "MALFORMED_MANIFEST"),
        (lambda log: log.update(right=base64.b64encode(bytes(32)).decode()), "WRONG_ROOT"),
        (lambda log: log.update(blocks=base64.b64encode(bytes(32 * 4)).decode()), "MANIFEST_CHANGED"),
        (lambda log: log.update(log="west"), "BAD_CHECKPOINT"),
        (lambda log: log.update(start=-1), "MALFORMED_MANIFEST"),
        (lambda log: log.pop("right"), "MALFORMED_MANIFEST"),
    ],
)
def test_a_manifest_that_was_edited_is_found(file: Path, change: Callable[[dict[str, Any]], None], flaw: str) -> None:
    rewritten(file, lambda fields: change(fields["logs"][0]))

    assert flaw in flaws(file, LOG)


def test_hints_that_were_edited_do_not_blame_the_rows(file: Path) -> None:
    rewritten(file, lambda fields: fields["logs"][0].update(blocks=base64.b64encode(bytes(32 * 4)).decode()))

    assert flaws(file, LOG) == {"MANIFEST_CHANGED"}


def test_a_manifest_edited_without_care_is_found_by_its_digest(file: Path) -> None:
    path = manifest_path(file)
    path.write_text(path.read_text().replace('"created_at": "2026', '"created_at": "2025'))

    assert flaws(file, LOG) == {"MANIFEST_CHANGED"}


@pytest.mark.parametrize("text", ["", "{}", "[]", "null", '{"manifest": 2}', "\xff"])
def test_what_is_no_manifest_is_refused(file: Path, text: str) -> None:
    manifest_path(file).write_bytes(text.encode("latin-1"))

    assert flaws(file, LOG) == {"MALFORMED_MANIFEST"}


def test_a_mismatch_of_bytes_alone_is_told_as_such(file: Path) -> None:
    file.write_bytes(file.read_bytes().replace(b'{"log"', b'{ "log"'))

    assert flaws(file, LOG) == {"FILE_CHANGED"}


@pytest.mark.parametrize("line", [b"{", b"[]", b'{"log":1}', b"\xff\xfe", b'{"entry":1.5}'])
def test_a_line_that_is_no_row_is_told_with_its_number(file: Path, line: bytes) -> None:
    lines = file.read_bytes().splitlines(keepends=True)
    lines[7] = line + b"\n"
    file.write_bytes(b"".join(lines))

    (found,) = [one for one in findings(file, LOG) if one.flaw == "MALFORMED_FILE"]

    assert found.row == 8


@pytest.fixture
def filtered(tmp_path: Path) -> Path:
    rendered(tmp_path / "export", LOG, wanted=lambda index, _: index % 5 != 0 or index > 250)
    return tmp_path / "export"


def test_a_row_that_was_left_out_of_a_filtered_export_is_missed(filtered: Path) -> None:
    lines = filtered.read_bytes().splitlines(keepends=True)
    filtered.write_bytes(b"".join(lines[:10] + lines[11:]))

    assert ("ENTRIES_MISSING", 13, 14, "") in said(findings(filtered, LOG))


def test_a_changed_entry_of_a_filtered_export_is_named(filtered: Path) -> None:
    filtered.write_bytes(filtered.read_bytes().replace(b'"revision":13,', b'"revision":99,'))

    assert ("ENTRY_CHANGED", 13, None, "") in said(findings(filtered, LOG))


def test_a_row_put_where_the_proof_has_a_gap_is_found(filtered: Path, tmp_path: Path) -> None:
    rendered(tmp_path / "whole", LOG)
    lines = filtered.read_bytes().splitlines(keepends=True)
    lines.insert(4, (tmp_path / "whole").read_bytes().splitlines(keepends=True)[5])
    filtered.write_bytes(b"".join(lines))

    assert ("ENTRY_ADDED", 5, None, "") in said(findings(filtered, LOG))


def _edited_gap(line: dict[str, Any]) -> None:
    line["hashes"] = base64.b64encode(bytes(32)).decode()


@pytest.mark.parametrize(
    ("kind", "change", "flaw"),
    [
        ("gap", _edited_gap, "PROOF_CHANGED"),
        ("gap", lambda line: line.update(gap=[0, 3]), "MALFORMED_PROOF"),
        ("gap", lambda line: line.update(gap=[0, -1]), "MALFORMED_PROOF"),
        ("gap", lambda line: line.update(hashes="!"), "MALFORMED_PROOF"),
        ("gap", lambda line: line.update(gap="x"), "MALFORMED_PROOF"),
        ("block", _edited_gap, "PROOF_CHANGED"),
        ("block", lambda line: line.update(block="x"), "MALFORMED_PROOF"),
    ],
)
def test_a_proof_file_that_was_edited_is_found(
    filtered: Path, kind: str, change: Callable[[dict[str, Any]], None], flaw: str
) -> None:
    path = proof_path(filtered)
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    change(next(line for line in lines if kind in line))
    path.write_text("".join(json.dumps(line, separators=(",", ":")) + "\n" for line in lines))

    assert flaw in flaws(filtered, LOG)


def test_a_proof_file_that_is_gone_is_told(filtered: Path) -> None:
    proof_path(filtered).unlink()

    assert flaws(filtered, LOG) == {"MALFORMED_PROOF"}


ONE, TWO, THREE = witness("w.example/one"), witness("w.example/two"), witness("w.example/three")


def test_enough_witnesses_are_named(tmp_path: Path) -> None:
    log = log_of(10, witnesses=(ONE, TWO))
    rendered(tmp_path / "export", log)

    found = verified(tmp_path / "export", log, witnesses=[ONE.key, TWO.key, THREE.key], at_least=2)

    assert found.logs[0].witnesses == ("w.example/one", "w.example/two")


def test_too_few_witnesses_are_refused(tmp_path: Path) -> None:
    log = log_of(10, witnesses=(ONE,))
    rendered(tmp_path / "export", log)

    assert flaws(tmp_path / "export", log, witnesses=[ONE.key, TWO.key], at_least=2) == {"TOO_FEW_WITNESSES"}


def test_a_witness_from_the_future_is_refused(tmp_path: Path) -> None:
    log = log_of(10, witnesses=(ONE,))
    rendered(tmp_path / "export", log)

    with pytest.raises(NotProved, match="BAD_COSIGNATURE"):
        verify(tmp_path / "export", trust(log, witnesses=[ONE.key], at_least=1), now=NOW - timedelta(days=1))


@pytest.mark.parametrize("size", [0, 1, 255, 256, 299, 300])
def test_the_rows_themselves_show_that_the_log_went_on(file: Path, size: int) -> None:
    found = verified(file, LOG, previous=[LOG.note(size)])

    assert found.logs[0].continues == (size,)


@pytest.mark.parametrize("size", [1, 200, 256, 299, 300])
def test_a_log_that_was_rewritten_since_is_found(file: Path, size: int) -> None:
    other = SimLog(entries=[entry(number, facts={"reason": "OTHER"}) for number in range(size)])

    assert flaws(file, LOG, previous=[other.note()]) == {"NOT_CONSISTENT"}


def test_a_log_that_was_cut_since_is_found(file: Path) -> None:
    assert flaws(file, LOG, previous=[log_of(301).note()]) == {"NOT_CONSISTENT"}


def test_where_the_rows_do_not_reach_a_proof_does(tmp_path: Path) -> None:
    file = tmp_path / "export"
    render(LOG.parts(start=100), file, Order(format=JSONL, export_id="e", filter={}, now=NOW))
    proof = ConsistencyProof(log_id="east", old_size=50, new_size=300, hashes=LOG.consistency(50, 300))

    assert flaws(file, LOG, previous=[LOG.note(50)]) == {"CONSISTENCY_UNPROVED"}
    verified(file, LOG, previous=[LOG.note(50)], consistency=[proof])
    assert flaws(file, LOG, previous=[log_of(50, "east").note(49)], consistency=[proof]) == {"CONSISTENCY_UNPROVED"}


def test_a_manifest_serves_as_what_was_seen_before(file: Path) -> None:
    assert notes_of(manifest_path(file).read_bytes()) == (LOG.note(),)
    assert notes_of(LOG.note(7)) == (LOG.note(7),)


def test_keys_come_one_a_line_with_comments() -> None:
    vkey = LOG.signer.key.vkey()

    assert log_keys([f"# ours\n\n{vkey}\n", vkey]) == (LOG.signer.key,)
    assert witness_keys([ONE.key.vkey()]) == (ONE.key,)
    with pytest.raises(InvalidInput):
        log_keys(["nothing"])
    with pytest.raises(InvalidInput):
        log_keys([ONE.key.vkey()])


def test_consistency_proofs_come_as_json() -> None:
    fields = {"log_id": "east", "old_size": 1, "new_size": 2, "proof": [base64.b64encode(bytes(32)).decode()]}
    wanted = (ConsistencyProof(log_id="east", old_size=1, new_size=2, hashes=(bytes(32),)),)

    assert consistency_proofs(json.dumps(fields)) == wanted
    assert consistency_proofs(f"{json.dumps(fields)}\n{json.dumps(fields)}\n") == wanted * 2
    with pytest.raises(InvalidInput):
        consistency_proofs("{}")


def test_a_server_whose_rows_do_not_add_up_writes_no_file(tmp_path: Path) -> None:
    parts = list(LOG.parts())
    assert isinstance(parts[1], Rows)
    parts[1] = Rows(rows=(parts[1].rows[0]._replace(leaf_hash=bytes(32)), *parts[1].rows[1:]))  # type: ignore[union-attr]

    with pytest.raises(NotProved, match="ENTRY_CHANGED"):
        render(parts, tmp_path / "export", Order(format=JSONL, export_id="e", filter={}, now=NOW))

    assert list(tmp_path.iterdir()) == []


def test_a_server_with_another_root_writes_no_file(tmp_path: Path) -> None:
    first, *rest = LOG.parts()
    assert isinstance(first, LogBegun)
    from dataclasses import replace

    other = replace(first, checkpoint=SimLog(entries=[b"{}"] * 300).note())

    with pytest.raises(NotProved, match="WRONG_ROOT"):
        render([other, *rest], tmp_path / "export", Order(format=JSONL, export_id="e", filter={}, now=NOW))


def test_a_manifest_reads_as_it_was_written(tmp_path: Path) -> None:
    manifest = rendered(tmp_path / "export", LOG, wanted=lambda index, _: index % 2 == 0)

    assert Manifest.parse(manifest.encode()) == manifest
