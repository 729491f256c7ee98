"""Every `infosec ...` line of the docs is one that the command line takes, as far as its parser goes."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from typing import Any

import pytest
import typer

from infosec.cli.app import app
from tests.conformance.test_house import DOCS, text_of


def lines() -> Iterator[tuple[str, str]]:
    """Whole commands: the lines of code blocks, comments and pipes cut off."""
    for name in DOCS:
        for block in re.findall(r"```\w*\n(.*?)```", text_of(name), re.DOTALL):
            joined = block.replace("\\\n", " ")
            for line in re.findall(r"^(?:\$ )?infosec (.*)$", joined, re.MULTILINE):
                yield name, line


def mentions() -> Iterator[tuple[str, str]]:
    """Commands named in a sentence, perhaps without their arguments."""
    for name in DOCS:
        prose = re.sub(r"```.*?```", "", text_of(name), flags=re.DOTALL)
        for words in re.findall(r"`infosec ([^`]+)`", prose):
            yield name, " ".join(words.split())


def words_of(line: str) -> list[str]:
    words = shlex.split(line, comments=True)
    ends = [words.index(mark) for mark in ("|", ">", "<", "&&", "&") if mark in words]
    return words[: min(ends, default=len(words))]


def parse(words: list[str], *, whole: bool) -> None:
    """Go down the groups. Raises what the parser raises; `whole` has the last command judge its arguments too."""
    command: Any = typer.main.get_command(app)
    context: Any = None
    name, rest = "infosec", words
    while True:
        is_group = hasattr(command, "resolve_command")
        if not is_group and not whole:
            known = {
                option for owner in (command, typer.main.get_command(app)) for p in owner.params for option in p.opts
            }
            given = {word.partition("=")[0] for word in rest if word.startswith("-")}
            assert given <= known | {"--help"}
            return
        if is_group and not rest:
            assert not whole, f"{name}: a group, not a command"
            return
        context = command.make_context(name, list(rest), parent=context)
        if not is_group:
            return
        name, command, rest = command.resolve_command(context, [*context._protected_args, *context.args])


@pytest.mark.parametrize(("name", "line"), sorted(set(lines())))
def test_a_command_line_of_the_docs_is_understood(name: str, line: str) -> None:
    parse(words_of(line), whole=True)


@pytest.mark.parametrize(("name", "line"), sorted(set(mentions())))
def test_a_command_that_the_docs_name_exists(name: str, line: str) -> None:
    parse([word for word in words_of(line) if word != "..."], whole=False)


def test_the_readme_shows_commands() -> None:
    assert any(name == "README.md" for name, _ in lines())
