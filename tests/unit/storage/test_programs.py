"""Engines' programs for another account: what it can read, and nobody but us can change."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest

from infosec.storage.embedded import programs
from infosec.storage.embedded.accounts import Account
from infosec.storage.embedded.programs import Programs, reachable_programs

NOBODY = Account(uid=65534, gid=65534)


@pytest.fixture
def found(tmp_path: Path) -> Programs:
    """As a wheel has them, each file with a mode of its own."""
    home = tmp_path / "wheel" / "pginstall"
    modes = {
        "bin/initdb": 0o755,
        "bin/postgres": 0o700,
        "lib/postgresql/plain.so": 0o644,
        "lib/postgresql/hidden.so": 0o600,
        "share/postgresql/shared.sql": 0o664,
    }
    for name, mode in modes.items():
        file = home / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(name)
        file.chmod(mode)
    (home / "lib/postgresql/link.so").symlink_to("plain.so")
    return Programs(postgres_home=home, redis=None)


def _placed(found: Programs, target: Path) -> dict[str, tuple[int, bool]]:
    """The mode of each file, and whether it is the wheel's own under a second name."""
    home = reachable_programs(found, NOBODY, target).postgres_home
    files = {str(file.relative_to(home)): file for file in home.rglob("*") if file.is_file()}
    assert {name: file.read_text() for name, file in files.items()} == {
        name: (found.postgres_home / name).read_text() for name in files
    }
    assert {stat.S_IMODE(path.stat().st_mode) for path in (target, *target.rglob("*")) if path.is_dir()} == {0o755}
    return {
        name: (stat.S_IMODE(file.lstat().st_mode), file.samefile(found.postgres_home / name))
        for name, file in files.items()
    }


def test_a_file_that_is_as_it_should_be_has_a_second_name_and_every_other_is_copied(
    found: Programs, tmp_path: Path
) -> None:
    assert _placed(found, tmp_path / "program") == {
        "bin/initdb": (0o755, True),
        "bin/postgres": (0o755, False),
        "lib/postgresql/plain.so": (0o644, True),
        "lib/postgresql/hidden.so": (0o644, False),
        "lib/postgresql/link.so": (0o644, False),
        "share/postgresql/shared.sql": (0o644, False),
    }
    assert stat.S_IMODE((found.postgres_home / "bin/postgres").stat().st_mode) == 0o700


def test_on_another_disk_all_are_copied(found: Programs, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(*_: object) -> None:
        raise OSError(18, "Invalid cross-device link")

    monkeypatch.setattr(Path, "hardlink_to", refused)
    placed = _placed(found, tmp_path / "program")
    assert not any(is_same for _, is_same in placed.values())
    assert {mode for name, (mode, _) in placed.items() if name.startswith("bin/")} == {0o755}
    assert {mode for name, (mode, _) in placed.items() if not name.startswith("bin/")} == {0o644}


def test_for_ourselves_they_are_run_where_they_are(found: Programs, tmp_path: Path) -> None:
    assert reachable_programs(found, None, tmp_path / "program") is found
    assert not (tmp_path / "program").exists()
    assert programs.find_programs().postgres.is_file()
