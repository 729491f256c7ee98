"""A whole export in one call of the SDK: a file that proves itself, and nothing left where it failed."""

from datetime import UTC, datetime
from pathlib import Path

import pytest

from infosec.client.audit_export import export_file
from infosec.client.audit_read import audit_filter
from infosec.errors import Internal
from infosec.evidence.manifest import manifest_path, read_manifest
from infosec.secret import Secret
from tests.sim.audit_log import NOW, ExportFeed, log_of
from tests.unit.evidence.exports import JSONL, verified

LOGS = (log_of(12), log_of(5, "west"))


async def _assertion() -> Secret:
    return Secret("assertion")


@pytest.mark.rule("CI-8")
async def test_the_file_is_proved_and_its_manifest_says_what_was_asked_for_but_not_of_whom(tmp_path: Path) -> None:
    since = datetime(2026, 3, 2, tzinfo=UTC)
    wanted = audit_filter(since=since, log_ids=["east"], customer=Secret("13800001234"))

    made = await export_file(ExportFeed(LOGS), _assertion, wanted, tmp_path / "a", format=JSONL, now=lambda: NOW)

    verified(tmp_path / "a", *LOGS)
    assert made.rows == 17
    shown = {"since": "2026-03-02T00:00:00Z", "log_ids": ["east"], "customer": True}
    assert read_manifest(manifest_path(tmp_path / "a")).filter == shown
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a", "a.manifest.json"]


async def test_an_export_that_failed_leaves_nothing_behind(tmp_path: Path) -> None:
    feed = ExportFeed((LOGS[1], LOGS[1]))

    with pytest.raises(Internal):
        await export_file(feed, _assertion, audit_filter(), tmp_path / "a", format=JSONL, now=lambda: NOW)

    assert list(tmp_path.iterdir()) == []
