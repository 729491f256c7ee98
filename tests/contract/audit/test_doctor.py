"""The doctor on the audit logs: what is not signed, and what to do; who was erased; what dead processes left behind."""

from __future__ import annotations

import asyncio
import json
import shutil
from datetime import UTC, datetime
from pathlib import Path
from uuid import uuid4

import pytest

from auditsvc.checkpoint_keys import CheckpointKeys
from auditsvc.erasures import Erasure, ErasureJournal
from auditsvc.signing import CheckpointSigner
from infosec.config import Config
from infosec.keys import KeyRing, SigningKind
from infosec.private_files import locked
from infosec.spool import Spool
from services import store
from services.checking import SUITE
from services.doctor import audit as doctor
from services.doctor.findings import Finding, Verdict
from services.engines import Engines
from tests.sim.audit import EAST, INSTALLATION, AuditStand
from tests.sim.signing import ORIGINS, grow, signer


async def _nothing_fails() -> str:
    await asyncio.Event().wait()
    return ""


@pytest.fixture
def config(tmp_path: Path, world_keys: Path) -> Config:
    """An installation whose keys are those of the stand."""
    made = Config.from_mapping({"server": {"data_dir": "data"}}, base=tmp_path)
    shutil.copytree(world_keys, made.server.keys_dir)
    made.server.data_dir.chmod(0o700)
    return made


@pytest.fixture
def engines(audit: AuditStand) -> Engines:
    audit.rows("delete from audit.installation")
    audit.rows("insert into audit.installation (installation_id) values (%s)", INSTALLATION)
    return Engines(admin=None, roles=audit.addresses.role, redis=None, failed=_nothing_fails, is_embedded=False)


def _signer(audit: AuditStand, config: Config) -> CheckpointSigner:
    keys = KeyRing.load(config.server.keys_dir).signing[SigningKind.CHECKPOINT]
    return signer(audit, CheckpointKeys(keys, ORIGINS), config.server.data_dir)


async def _looked(engines: Engines, config: Config, audit: AuditStand) -> dict[str, Finding]:
    return {one.about: one for one in await doctor.look(engines, config, audit.clock)}


def _files(config: Config) -> dict[str, Finding]:
    return {one.about: one for one in doctor.files(config, SUITE)}


@pytest.mark.rule("CI-1")
async def test_a_log_that_went_back_is_found_with_what_to_do(
    audit: AuditStand, engines: Engines, config: Config
) -> None:
    await grow(audit, 3)
    await _signer(audit, config).sign_due()
    assert (await _looked(engines, config, audit))["audit.checkpoints"].verdict is Verdict.OK
    audit.rows("update audit.logs set size = 0, frontier = '', edges = '{}'")
    found = (await _looked(engines, config, audit))[f"audit.checkpoints.{EAST}"]
    assert found.verdict is Verdict.WRONG
    assert "accept-restore" in found.text.en and "accept-restore" in found.text.zh


async def test_what_was_signed_stays_as_it_is(audit: AuditStand, engines: Engines, config: Config) -> None:
    await grow(audit, 1)
    await _signer(audit, config).sign_due()
    await grow(audit, 1, first=1)
    record = config.server.audit_dir / "checkpoints.json"
    before = record.read_bytes()
    await _looked(engines, config, audit)
    assert record.read_bytes() == before
    assert audit.rows("select size from audit.checkpoints") == [(1,)]


async def test_where_audit_never_ran_nothing_is_made(audit: AuditStand, engines: Engines, config: Config) -> None:
    assert _files(config)["audit.files"].verdict is Verdict.WARNING
    assert await _looked(engines, config, audit) == {}
    assert not config.server.audit_dir.exists()


async def test_a_record_of_what_was_signed_that_is_not_whole_is_named(
    audit: AuditStand, engines: Engines, config: Config
) -> None:
    await grow(audit, 1)
    await _signer(audit, config).sign_due()
    record = config.server.audit_dir / "checkpoints.json"
    record.write_text(json.dumps({"v": 1, "logs": {EAST: {"size": "many"}}}), encoding="utf-8")
    found = (await _looked(engines, config, audit))["audit.checkpoints"]
    assert found.verdict is Verdict.WRONG and str(record) in found.text.en


async def test_a_job_of_the_audit_service_that_is_overdue_is_told(
    audit: AuditStand, engines: Engines, config: Config
) -> None:
    ErasureJournal(config.server.audit_dir)
    audit.rows(
        "insert into audit.jobs (name, next_due) values ('carry-out-acts', %s) "
        "on conflict (name) do update set next_due = excluded.next_due",
        audit.clock.now(),
    )
    audit.advance(minutes=10)
    assert (await _looked(engines, config, audit))["audit.jobs.carry-out-acts"].verdict is Verdict.WARNING


@pytest.mark.rule("CI-8")
def test_a_journal_of_erasures_that_is_not_whole_is_wrong(config: Config) -> None:
    journal = ErasureJournal(config.server.audit_dir)
    assert _files(config)["audit.erasures"].verdict is Verdict.OK
    journal.path.write_text("no erasure\n", encoding="utf-8")
    journal.path.chmod(0o600)
    found = _files(config)["audit.erasures"]
    assert found.verdict is Verdict.WRONG and str(journal.path) in found.text.en


@pytest.mark.rule("CI-8")
def test_a_journal_that_a_process_that_is_held_up_keeps_locked_is_told(config: Config) -> None:
    journal = ErasureJournal(config.server.audit_dir)
    journal.take_back(Erasure(act_id=uuid4(), subject_ids=(uuid4(),), at=datetime.now(UTC)))
    with locked(journal.path.parent):
        found = _files(config)["audit.erasures"]
    assert found.verdict is Verdict.WRONG and "held up" in found.text.en


@pytest.mark.rule("CI-1")
def test_records_that_a_dead_process_left_are_told_and_those_of_a_living_one_are_not(config: Config) -> None:
    assert _files(config)["audit.spool"].verdict is Verdict.OK
    config.server.spool_dir.mkdir(mode=0o700)
    spool = Spool.open(config.server.spool_dir / "one", max_bytes=1 << 20)
    spool.put(b"a decision")
    assert _files(config)["audit.spool"].verdict is Verdict.OK
    spool.close()
    found = _files(config)["audit.spool"]
    assert found.verdict is Verdict.WARNING and "1 folders" in found.text.en


def test_records_that_the_audit_service_refused_are_told(config: Config) -> None:
    config.server.spool_dir.mkdir(mode=0o700)
    spool = Spool.open(config.server.spool_dir / "one", max_bytes=1 << 20)
    spool.put(b"a decision")
    spool.set_aside([b"a decision"])
    found = _files(config)["audit.spool"]
    assert found.verdict is Verdict.WARNING and "1 records" in found.text.en
    spool.close()


@pytest.mark.rule("CI-1")
async def test_the_roles_of_the_audit_logs_have_no_right_too_many(audit: AuditStand) -> None:
    roles = ["audit_service", "audit_keeper"]
    assert await store.excess_rights(audit.db, roles) == []
    audit.rows("grant delete, update on audit.entries to audit_service")
    audit.rows("grant insert on audit.entries to audit_keeper")
    try:
        assert await store.excess_rights(audit.db, roles) == [
            "audit_keeper: INSERT on audit.entries",
            "audit_service: DELETE on audit.entries",
            "audit_service: UPDATE on audit.entries",
        ]
    finally:
        audit.rows("revoke delete, update on audit.entries from audit_service")
        audit.rows("revoke insert on audit.entries from audit_keeper")
