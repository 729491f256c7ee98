"""A staff ID that exists and one that does not, seen from the wire: not one byte and not one hash apart (ID-7).

Times are shown (`pytest -s`), never judged: what is judged is what they come from.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from statistics import median
from typing import Any

import grpc
import psycopg
import pytest

from authsvc.app import ROLE
from authsvc.hashing import Target
from infosec.api.auth.v1 import login_pb2 as lpb
from infosec.api.auth.v1 import requests_pb2 as rpb
from infosec.client.connection import Connection
from infosec.messages import Locale
from infosec.rpc.server import identity
from infosec.rpc.server.refusals import RefusalReporter
from tests.sim.suite import PACKAGE, Suite, raw_unary
from tests.sim.world import PASSWORD, Hire


@dataclass(frozen=True, slots=True)
class Told:
    """Everything that a caller sees of a refusal."""

    code: grpc.StatusCode
    text: str
    trailing: tuple[tuple[str, bytes], ...]


async def _raw(channel: grpc.aio.Channel, path: str, body: bytes, locale: str = "en") -> Told:
    call = raw_unary(channel, path)(body, timeout=30, metadata=(("accept-language", locale),))
    with pytest.raises(grpc.aio.AioRpcError) as refused:
        await call
    error = refused.value
    trailing = tuple((str(key), _bytes(value)) for key, value in error.trailing_metadata() or ())
    return Told(error.code(), error.details() or "", trailing)


def _bytes(value: object) -> bytes:
    return value if isinstance(value, bytes) else str(value).encode()


async def _login(channel: grpc.aio.Channel, staff: str, at: str, locale: str = "en", password: str = "wrong") -> Told:
    request = lpb.LoginRequest(staff_id=staff, password=password, terminal_id=at)
    return await _raw(channel, f"{PACKAGE}LoginService/Login", request.SerializeToString(), locale)


async def _prove(channel: grpc.aio.Channel, staff: str, at: str, challenge: str) -> Told:
    request = rpb.ProveIdentityRequest(staff_id=staff, terminal_id=at, challenge_id=challenge, code="000000x")
    return await _raw(channel, f"{PACKAGE}RequestService/ProveIdentity", request.SerializeToString())


async def _people(suite: Suite) -> dict[str, tuple[str, str]]:
    """One of every kind, each with a password and a terminal: no terminal sees more than one."""
    people = {"known": Hire(staff_id="is.known", store="e2")}
    for state in ("LOCKED", "BLACKLISTED", "SUSPENDED", "CLOSED"):
        people[state] = Hire(staff_id=f"is.{state.lower()}", state=state, store="e2")
    people["first used"] = Hire(staff_id="first.used", first=True, store="e2")
    people["first expired"] = Hire(staff_id="first.expired", first=True, store="e2")
    await suite.hire(*people.values())
    suite.world.rows("update auth.credentials set first_used_at = now() where staff_id = 'first.used'")
    suite.world.rows(
        "update auth.credentials set first_expires_at = %s where staff_id = 'first.expired'", suite.world.clock.now()
    )
    kinds = {kind: (person.staff_id, "wrong" if kind == "known" else PASSWORD) for kind, person in people.items()}
    return kinds | {
        "unknown": ("nobody.here", PASSWORD),
        "no ID at all": ("’; drop table auth.staff; --", PASSWORD),
        "of another region": ("ouyang.xue", PASSWORD),
        "without a code": ("zhao.lei", PASSWORD),
    }


@pytest.mark.rule("ID-7", "ID-5")
@pytest.mark.parametrize("locale", [locale.value for locale in Locale])
async def test_every_refused_login_is_the_same_bytes_and_one_hash(suite: Suite, locale: str) -> None:
    channel, told, costs = suite.channel(), {}, {}
    for number, (kind, (staff, password)) in enumerate((await _people(suite)).items()):
        at = f"e{number % 2 + 1}-t{number // 2 % 5 + 1}"
        before = sum(suite.verified.values())
        told[kind] = await _login(channel, staff, at, locale, password)
        costs[kind] = sum(suite.verified.values()) - before
    assert set(costs.values()) == {1}, costs
    assert set(told.values()) == {told["unknown"]}, told
    one = told["unknown"]
    assert (one.code, one.text) == (grpc.StatusCode.UNAUTHENTICATED, "LOGIN_REFUSED")
    assert {key for key, _ in one.trailing} == {"grpc-status-details-bin"}


@pytest.mark.rule("ID-7", "ID-5")
async def test_twenty_at_once_are_the_same_bytes_and_twenty_hashes_each(suite: Suite) -> None:
    channel = suite.channel()
    told = {}
    for staff, at in (("li.na", "e1-t1"), ("nobody.here", "e1-t2")):
        before = sum(suite.verified.values())
        told[staff] = await asyncio.gather(*(_login(channel, staff, at) for _ in range(20)))
        assert sum(suite.verified.values()) - before == 20
    assert set(told["li.na"]) == set(told["nobody.here"])
    assert len(set(told["li.na"])) == 1
    assert suite.verified[Target.OWN] == 5


@pytest.mark.rule("ID-7", "RQ-1")
async def test_codes_to_the_phone_are_asked_for_and_refused_alike(suite: Suite) -> None:
    sdk: Connection = suite.as_system()
    channel, told = suite.channel(), {}
    for staff, at in (("li.na", "e1-t1"), ("nobody.here", "e1-t2"), ("ouyang.xue", "e1-t3")):
        answers: list[object] = []
        for _ in range(3):
            challenge = await sdk.requests.send_code(staff, terminal_id=at)
            assert len(challenge) == 36
            answers += [await _prove(channel, staff, at, challenge) for _ in range(6)]
        limited = rpb.ProveIdentityRequest(staff_id=staff, terminal_id=at).SerializeToString()
        answers.append(await _raw(channel, f"{PACKAGE}RequestService/ProveIdentity", limited))
        told[staff] = answers
    assert told["li.na"] == told["nobody.here"] == told["ouyang.xue"]
    assert told["li.na"][-1].code is grpc.StatusCode.RESOURCE_EXHAUSTED  # type: ignore[attr-defined]


@pytest.mark.rule("ID-7")
async def test_a_locked_id_costs_the_very_statements_that_an_unknown_one_costs(suite: Suite) -> None:
    channel, ran = suite.channel(), {}
    await suite.hire(Hire(staff_id="is.locked", state="LOCKED"))
    await _login(channel, "nobody.warm", "e1-t3")
    for staff, at in (("is.locked", "e1-t1"), ("nobody.here", "e1-t2"), ("li.na", "e1-t3")):
        with _statements() as ran[staff]:
            await _login(channel, staff, at)
    print(f"\nstatements: { ({staff: len(texts) for staff, texts in ran.items()}) }")
    assert ran["is.locked"] == ran["nobody.here"]
    assert len(ran["is.locked"]) > 3


@contextmanager
def _statements() -> Iterator[list[str]]:
    """What calls under way send to PostgreSQL, and what they leave to others to finish; not what runs by itself, nor what the
    audit service does with events that a relay brings it later.
    """
    sent: list[str] = []
    original = psycopg.AsyncConnection.execute

    async def execute(self: Any, query: Any, *arguments: Any, **options: Any) -> Any:
        if identity._CURRENT.get() is not None and self.info.user == ROLE:
            sent.append(str(query))
        return await original(self, query, *arguments, **options)

    async def told(*_: Any, **_who: Any) -> None:
        """The report of a refusal names no staff ID; on a slow disk it is written by another task, after its deadline."""

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(psycopg.AsyncConnection, "execute", execute)
        patch.setattr(RefusalReporter, "report", told)
        yield sent


@pytest.mark.rule("ID-7")
async def test_the_times_overlap_which_is_shown_and_not_judged(suite: Suite) -> None:
    channel, times = suite.channel(), {"known": list[float](), "unknown": list[float]()}
    people = [Hire(staff_id=f"clerk.{n:02}", store="e2") for n in range(15)]
    await suite.hire(*people)
    hashes = sum(suite.verified.values())
    for person in people:
        for kind, staff in (("known", person.staff_id), ("unknown", f"no{person.staff_id}")):
            began = time.perf_counter()
            await _login(channel, staff, "e2-t1" if kind == "known" else "e2-t2")
            times[kind].append(time.perf_counter() - began)
            suite.world.rows("delete from auth.terminal_failures")
    assert sum(suite.verified.values()) - hashes == 2 * len(people)
    between = [min(times["known"]), max(times["known"])]
    inside = sum(between[0] <= one <= between[1] for one in times["unknown"])
    print(
        f"\nknown {median(times['known']) * 1e3:.1f} ms, unknown {median(times['unknown']) * 1e3:.1f} ms,"
        f" {inside} of {len(people)} of the unknown within the range of the known"
    )
