"""Every command explains itself, in both languages, and takes no secret as an argument."""

import os
import re
import subprocess
import sys
from collections.abc import Iterator

import pytest
import typer

from infosec.cli.app import app

SECRETS = {"password", "totp_code", "code", "token", "phone", "customer", "birthday", "id_number", "grant", "proof"}


def commands(command: object, path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], object]]:
    found = getattr(command, "commands", None)
    if found is None:
        yield path, command
        return
    for name, inner in found.items():
        yield from commands(inner, (*path, name))


ALL = list(commands(typer.main.get_command(app)))


@pytest.mark.parametrize(("path", "command"), ALL, ids=[" ".join(path) for path, _ in ALL])
def test_every_command_and_option_has_help(path: tuple[str, ...], command: object) -> None:
    assert getattr(command, "help", None)
    for parameter in command.params:  # type: ignore[attr-defined]
        assert parameter.name == "help" or getattr(parameter, "help", None), (path, parameter.name)


@pytest.mark.rule("ID-7")
@pytest.mark.parametrize(("path", "command"), ALL, ids=[" ".join(path) for path, _ in ALL])
def test_no_secret_is_an_argument(path: tuple[str, ...], command: object) -> None:
    for parameter in command.params:  # type: ignore[attr-defined]
        assert parameter.name not in SECRETS or parameter.is_flag, (path, parameter.name)


@pytest.mark.parametrize(("locale", "words"), [("zh_CN.UTF-8", "新建工号"), ("en_US.UTF-8", "Make a staff ID")])
def test_help_speaks_the_language_of_the_terminal(locale: str, words: str) -> None:
    shown = subprocess.run(
        [sys.executable, "-c", "from infosec.cli.app import main; main()", "staff", "--help"],
        env=os.environ | {"LC_ALL": locale, "COLUMNS": "100", "PYTHONUTF8": "1"},
        capture_output=True,
        text=True,
        check=True,
    )
    assert words in re.sub(r"\s+", " ", shown.stdout)


def test_a_reader_that_goes_away_is_no_error() -> None:
    piped = subprocess.run(
        [
            "bash",
            "-c",
            f"{sys.executable} -c 'from infosec.cli.app import main; main()' staff --help | true; echo ${{PIPESTATUS[0]}}",
        ],
        capture_output=True,
        text=True,
        check=True,
    )
    assert piped.stdout.strip() == "0"
    assert piped.stderr == ""
