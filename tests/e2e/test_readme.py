"""README.md's last block, run: what was recorded is looked up, exported, and verified offline; an edit is found."""

from __future__ import annotations

import re
import shlex
import subprocess
from pathlib import Path

import pytest

from tests.sim.installation import Installation, Process, auditor_of, opened

README = Path(__file__).parents[2] / "README.md"


def auditors_lines() -> list[str]:
    """The lines behind the auditor's first login."""
    block = next(
        one for one in re.findall(r"```console\n(.*?)```", README.read_text("utf-8"), re.DOTALL) if "verify" in one
    )
    return [line.removeprefix("$ ") for line in block.splitlines() if " audit " in line]


@pytest.mark.rule("CI-1")
def test_the_readme_ends_with_evidence_that_holds_and_an_edit_that_is_found(
    place: Path, processes: list[Process], tmp_path: Path
) -> None:
    here = Installation(place=place)
    processes.append(here.start())
    first, second = opened(here).administrators
    first.log_in()
    first.change_password("plum.Fence-27")
    desk = auditor_of(here, second)
    for line in (lines := auditors_lines()):
        ended = _run(desk, line, tmp_path)
        assert ended.returncode == 0, f"{line}: {ended.stderr}"
        assert ended.stdout or ">" in line
    file = tmp_path / "record.jsonl"
    file.write_bytes(file.read_bytes().replace(b"adm01", b"adm02", 1))
    ended = _run(desk, lines[-1], tmp_path)
    assert ended.returncode == 7, ended.stdout + ended.stderr


def _run(desk: Installation, line: str, folder: Path) -> subprocess.CompletedProcess[str]:
    """As a shell would, in a folder of one's own."""
    words, _, into = line.partition(" > ")
    command = [*desk.command()[:1], "--locale", "en", "--terminal", "console-1", *shlex.split(words)[1:]]
    ended = subprocess.run(
        command, cwd=folder, env=desk.environment, capture_output=True, text=True, timeout=180, check=False
    )
    if into:
        (folder / into).write_text(ended.stdout, encoding="utf-8")
    return ended
