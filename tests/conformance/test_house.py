"""What review would say twice, as tests: where SQL and clocks stand, what things are called, and that the docs are true."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
BIN = Path(sys.executable).parent
OURS = ("infosec", "authsvc", "auditsvc", "services")
SQL_STANDS_IN = re.compile(r"^((authsvc|auditsvc)/store/\w+|services/(\w+/)?store|infosec/storage/.*)\.py$")
SQL = re.compile(
    r"^\s*(select\s.+\sfrom|select \w+\(|insert\s+into|update\s+[\w.]+\s+set|delete\s+from|with\s+\w+\s+as\s*\("
    r"|(create|alter|drop)\s+(table|schema|role|database|index|user))\b",
    re.IGNORECASE | re.DOTALL,
)
NOT_IN_THE_SUBSET = re.compile(
    r"advisory|^\s*(listen|notify|unlisten)\s|pg_notify|create\s+(extension|trigger|rule|function|procedure|unlogged)"
    r"|language\s+plpgsql|^\s*do\s+\$\$|\bdblink|\binherits\s*\(",
    re.IGNORECASE | re.MULTILINE,
)
READS_THE_CLOCK = {
    ("datetime", "now"),
    ("datetime", "utcnow"),
    ("datetime", "today"),
    ("date", "today"),
    ("time", "time"),
}
CLOCK_EDGES = {"infosec/clock.py", "infosec/client/guard.py"}
"""Besides services/, which runs processes: TLS and key files are judged by the machine's clock."""
BAD_NAMES = {"utils", "util", "helpers", "helper", "base", "manager", "common", "impl"}
FOREIGN = re.compile(
    r"pypi\.org|pythonhosted|registry\.npmjs|deb\.debian|proxy\.golang"
    r"|/wor[k]/|/roo[t]/|/tm[p]/|helpe[r]-\w|issu[e] #|sessio[n] note",
    re.IGNORECASE,
)


@cache
def tracked() -> tuple[str, ...]:
    """What is in the repository, or would be."""
    command = ["git", "ls-files", "--cached", "--others", "--exclude-standard"]
    listed = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout.splitlines()
    return tuple(name for name in listed if (ROOT / name).is_file())


def python(*folders: str) -> list[str]:
    """Our modules, generated ones left out."""
    return [
        name
        for name in tracked()
        if name.endswith(".py") and name.startswith(tuple(f"{f}/" for f in folders)) and "infosec/api/" not in name
    ]


@cache
def text_of(name: str) -> str:
    return (ROOT / name).read_text(encoding="utf-8")


@cache
def tree_of(name: str) -> ast.Module:
    return ast.parse(text_of(name))


def strings(name: str) -> Iterator[tuple[int, str]]:
    """Literals with their lines; f-strings by their fixed parts. Docstrings are prose."""
    nodes = list(ast.walk(tree_of(name)))
    prose = {id(node.value) for node in nodes if isinstance(node, ast.Expr)}
    for node in nodes:
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in prose:
            yield node.lineno, node.value


EDGES = {
    "authsvc": {
        "activity",
        "announcing",
        "app",
        "core",
        "desk",
        "feeder",
        "front",
        "hashing",
        "journal",
        "recorder",
        "watching",
        "work",
    },
    "auditsvc": {
        "app",
        "appending",
        "checkpoint_keys",
        "erasures",
        "last_signed",
        "opened_subjects",
        "signing",
        "witness_link",
        "witnesses",
    },
}
"""A service's own files that wire, follow, run or keep something; all its others are rules."""
RULE_FOLDERS = (
    "auditsvc",
    "authsvc",
    "infosec/decision",
    "infosec/events",
    "infosec/evidence",
    "infosec/review",
    "infosec/transparency",
)
RULES = [
    name
    for name in python(*RULE_FOLDERS)
    if Path(name).parent.as_posix() in RULE_FOLDERS and Path(name).stem not in EDGES.get(Path(name).parent.name, ())
]

# Where things stand


def test_sql_stands_in_stores_and_migrations_alone() -> None:
    stray = [
        f"{name}:{line}"
        for name in python(*OURS)
        if not SQL_STANDS_IN.match(name)
        for line, text in strings(name)
        if SQL.search(text)
    ]
    assert stray == []


def test_sql_keeps_to_the_subset_that_distributed_engines_run() -> None:
    stray = [
        f"{name}:{line}"
        for name in python(*OURS)
        if SQL_STANDS_IN.match(name)
        for line, text in strings(name)
        if NOT_IN_THE_SUBSET.search(text)
    ]
    without_comments = {name: re.sub(r"--[^\n]*", "", text_of(name)) for name in tracked() if name.endswith(".sql")}
    assert without_comments
    assert stray + [name for name, text in without_comments.items() if NOT_IN_THE_SUBSET.search(text)] == []


def test_nobody_reads_the_clock_but_at_the_edges() -> None:
    readers = {
        name
        for name in python("infosec", "authsvc", "auditsvc")
        for node in ast.walk(tree_of(name))
        if isinstance(node, ast.Attribute)
        and isinstance(node.value, ast.Name)
        and (node.value.id, node.attr) in READS_THE_CLOCK
    }
    assert readers <= CLOCK_EDGES


@pytest.mark.parametrize("name", RULES)
def test_a_rule_module_knows_no_clock_no_loop_and_no_wire(name: str) -> None:
    nodes = list(ast.walk(tree_of(name)))
    imported = {alias.name for node in nodes if isinstance(node, ast.Import) for alias in node.names}
    imported |= {node.module or "" for node in nodes if isinstance(node, ast.ImportFrom)}
    assert not {"time", "asyncio", "socket", "grpc", "psycopg", "redis"} & {module.split(".")[0] for module in imported}


def test_who_may_import_whom() -> None:
    done = subprocess.run([BIN / "lint-imports"], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout


# What things are called, and what they say


def test_no_module_is_named_after_nothing() -> None:
    parts = {part for name in python(*OURS, "tests") for part in Path(name).with_suffix("").parts}
    assert not BAD_NAMES & parts


def test_every_module_says_what_it_is_for() -> None:
    assert [name for name in python(*OURS, "tests", "protos") if not ast.get_docstring(tree_of(name))] == []


def test_the_repository_speaks_of_the_project_alone() -> None:
    found = {}
    for name in tracked():
        try:
            text = text_of(name)
        except UnicodeDecodeError:
            continue
        if (here := FOREIGN.search(text)) is not None and Path(name) != Path(__file__).relative_to(ROOT):
            found[name] = here.group()
    assert found == {}


@pytest.mark.parametrize("rule", tomllib.loads(text_of("tests/rules.toml"))["proved"])
def test_a_proved_rule_stands_in_the_code_and_at_a_test(rule: str) -> None:
    word = re.compile(rf"\b{rule}\b")
    assert any(word.search(text_of(name)) for name in python(*OURS))
    assert any(re.search(rf'mark\.rule\([^)]*"{rule}"', text_of(name)) for name in python("tests"))


def test_every_marked_rule_is_of_the_book_and_none_is_both_proved_and_pending() -> None:
    table = tomllib.loads(text_of("tests/rules.toml"))
    assert not set(table["proved"]) & set(table["pending"])
    marked = {
        rule
        for name in python("tests")
        for marks in re.findall(r"mark\.rule\(([^)]*)\)", text_of(name))
        for rule in re.findall(r'"([A-Z]+-\d+)"', marks)
    }
    assert set(table["proved"]) <= marked <= set(table["proved"]) | set(table["pending"])


# What is installed


def test_every_requirement_is_pinned_by_hashes_and_comes_from_no_address() -> None:
    lock = text_of("requirements.lock")
    entries = re.split(r"\n(?=\S)", lock.strip())
    assert not re.search(r"://|--index|--find-links|-e ", lock)
    for entry in entries:
        assert re.match(r"[a-z0-9._-]+(\[[a-z0-9,-]+\])?==[^\s;]+", entry), entry.partition("\n")[0]
        assert "--hash=sha256:" in entry, entry.partition("\n")[0]


def test_the_changelog_has_a_place_for_what_comes_next() -> None:
    assert "## [Unreleased]" in text_of("CHANGELOG.md")


# What the docs promise

DOCS = [name for name in tracked() if name.endswith(".md")]


@pytest.mark.parametrize("name", DOCS)
def test_links_lead_somewhere(name: str) -> None:
    targets = re.findall(r"\]\(([^)#\s]+)[^)]*\)", text_of(name))
    lost = [
        to
        for to in targets
        if "://" not in to and not to.startswith("mailto:") and not (ROOT / name).parent.joinpath(to).exists()
    ]
    assert lost == []


@pytest.mark.parametrize("name", DOCS)
def test_make_targets_exist(name: str) -> None:
    targets = set(re.findall(r"^([a-z]+):", text_of("Makefile"), re.MULTILINE))
    asked = set(re.findall(r"(?:`|^\$ |^)make ([a-z]+)", text_of(name), re.MULTILINE))
    assert asked <= targets


@pytest.mark.parametrize("name", DOCS)
def test_paths_in_backticks_exist(name: str) -> None:
    """Files of ours that the docs name."""
    named = re.findall(r"`((?:infosec|authsvc|auditsvc|services|tests|docs|deploy|protos)/[\w./-]+)`", text_of(name))
    assert [path for path in named if not (ROOT / path).exists()] == []
