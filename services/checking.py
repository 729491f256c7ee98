"""Everything about a configuration that can be found wrong before an engine starts or a socket opens."""

from __future__ import annotations

from collections.abc import Iterator
from enum import StrEnum

from auditsvc import app as audit
from authsvc import app as auth
from authsvc.profile import PROFILES
from infosec.config import Config
from infosec.errors import Misconfigured, Reason
from infosec.events.types import EventType
from infosec.keys import KeyRing
from services.notify import app as notify

SINK = "sink"


class Part(StrEnum):
    """What a process may serve."""

    CORE = "core"
    """Login, requests, administration, and the notify service beside them."""
    CHECK = "check"
    """The check: as many processes as it takes."""
    AUDIT = "audit"
    """The audit logs; everything else needs them, and they need nothing. One process, or several on one data directory."""


SUITE = frozenset(Part)
ROLES = {
    Part.CORE: (auth.ROLE, notify.ROLE),
    Part.CHECK: (auth.ROLE,),
    Part.AUDIT: (audit.ROLE, audit.KEEPER),
}
"""The login roles that each part needs a password for."""
KINDS_OF_EVENTS = frozenset(kind.value for kind in EventType)
RPC_SERVICES = frozenset(
    {
        auth.CHECK_SERVICE,
        auth.LOGIN_SERVICE,
        *auth.PERSON_SERVICES,
        *auth.ADMIN_SERVICES,
        notify.NOTIFY_SERVICE,
        notify.SINK_SERVICE,
        audit.RECORD_SERVICE,
        audit.READ_SERVICE,
        audit.ADMIN_SERVICE,
    }
)


def check(config: Config, parts: frozenset[Part] = SUITE) -> None:
    """Raises Misconfigured, naming every key that is wrong."""
    problems: list[Misconfigured] = []
    try:
        config.check()
    except Misconfigured as problem:
        problems.append(problem)
    problems += _problems(config, parts)
    if not problems:
        return
    told = tuple(line for problem in problems for line in problem.violations or (_line(problem),))
    first = Misconfigured(Reason.CONFIGURATION, violations=told if len(told) > 1 else ())
    first.details.update(problems[0].details)
    raise first


def _problems(config: Config, parts: frozenset[Part]) -> Iterator[Misconfigured]:
    if config.profile.name not in PROFILES:
        yield _wrong("profile.name", "there is no such profile", f"one of {', '.join(PROFILES)}")
    if Part.CORE in parts:
        if config.notify.gateway != SINK:
            yield _wrong("notify.gateway", f"there is no gateway {config.notify.gateway}", "sink is the only one yet")
        elif config.server.open_to_others:
            hint = "there is no carrier's gateway yet: serve the core on 127.0.0.1"
            yield _wrong("notify.gateway", "the sink is for loopback only", hint)
    if Part.AUDIT not in parts and config.audit.address is None:
        yield _wrong("audit.address", "is missing", "where the process that serves the part audit listens")
    if config.server.shares_port:
        if config.postgres is None:
            yield _wrong(
                "server.shares_port",
                "servers of its own belong to one process",
                "configure [postgres], or leave it out",
            )
        if parts not in ({Part.AUDIT}, {Part.CHECK}):
            yield _wrong(
                "server.shares_port", "is for audit or check by themselves", "serve one of these parts, or leave it out"
            )
        if config.server.listen.port == 0:
            yield _wrong("server.listen", "names no port to share", "choose one for all processes")
    for kind in config.audit.terms:
        if kind not in KINDS_OF_EVENTS:
            yield _wrong(f"audit.terms.{kind}", "there is no such type of event", "docs/events.md lists them")
    for service in config.callers.allow:
        if service not in RPC_SERVICES:
            yield _wrong(f"callers.allow.{service}", "there is no such service", "for example " + auth.CHECK_SERVICE)
    if config.postgres is not None:
        yield from _shared(config, frozenset(config.postgres.role_password_files), parts)


def _shared(config: Config, given: frozenset[str], parts: frozenset[Part]) -> Iterator[Misconfigured]:
    """Where the engines are not our own, passwords and keys have to be there before the start."""
    for role in sorted({role for part in parts for role in ROLES[part]} - given):
        yield _wrong(f"postgres.role_password_files.{role}", "is missing", "name a file of mode 0600")
    try:
        KeyRing.load(config.server.keys_dir)
    except Misconfigured as problem:
        yield _wrong(
            "server.data_dir", f"{problem.details['path']}: {problem.details['detail']}", problem.details["hint"]
        )


def _wrong(key: str, detail: str, hint: str) -> Misconfigured:
    return Misconfigured(Reason.CONFIGURATION, key=key, detail=detail, hint=hint)


def _line(problem: Misconfigured) -> str:
    facts = problem.details
    return f"{facts.get('key', '')}: {facts.get('detail', '')} ({facts.get('hint', '')})"
