"""Repeats: only where the contract says safe, and recognised by the server when they come."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from google.protobuf.descriptor_pool import Default

from infosec.api.auth.v1 import login_pb2, requests_pb2, staff_pb2
from infosec.client import (
    approvals,
    audit,
    audit_admin,
    audit_read,
    check,
    directory,
    login,
    notify,
    policy,
    requests,
    staff,
)
from infosec.client.calls import Method
from infosec.errors import (
    Aborted,
    DeadlineExceeded,
    InfosecError,
    Internal,
    InvalidInput,
    PermissionDenied,
    Reason,
    ResourceExhausted,
    Unavailable,
)
from infosec.keys import MacKey, MacKind
from infosec.rpc.deadlines import Backoff, ServerDeadlines
from infosec.rpc.server.retries import Fingerprints, StoredCall, without_secrets
from tests.sim.wire import Wire

PROTOS = Path(__file__).parents[2] / "protos"
MODULES = (approvals, audit, audit_admin, audit_read, check, directory, login, notify, policy, requests, staff)
METHODS: dict[str, Method[Any, Any]] = {
    value.path: value for module in MODULES for value in vars(module).values() if isinstance(value, Method)
}


def _is_safe(comment: str) -> bool:
    return re.search(r"[Rr]etry:? (is )?safe", comment) is not None


def _promises() -> Iterator[tuple[str, bool]]:
    """Path of every method -> whether its comment, or its service's, says that a retry is safe."""
    for file in PROTOS.rglob("*.proto"):
        text, comment, whole, service = file.read_text("utf-8"), "", "", ""
        package = re.search(r"^package (\S+);", text, re.M)
        assert package
        for line in text.splitlines():
            if found := re.match(r"\s*//(.*)", line):
                comment += found[1]
                continue
            if found := re.match(r"service (\w+)", line):
                service, whole = found[1], comment
            elif found := re.match(r"\s+rpc (\w+)\(", line):
                own = comment if re.search("[Rr]etry|Callers, retry and reasons as|As Approve", comment) else whole
                inherits = re.search(r"retry and reasons as Approve|As ApproveOperation|Callers, retry", own)
                yield f"/{package[1]}.{service}/{found[1]}", _is_safe(own) or inherits is not None
            comment = ""


def test_the_sdk_has_every_method_and_repeats_what_the_contract_calls_safe() -> None:
    assert {path: method.is_repeatable for path, method in METHODS.items()} == dict(_promises())


def test_the_sdk_sends_and_expects_the_contracts_types() -> None:
    for path, method in METHODS.items():
        _, service, name = path.split("/")
        described = Default().FindServiceByName(service).methods_by_name[name]
        assert method.request.DESCRIPTOR.full_name == described.input_type.full_name
        assert method.response.DESCRIPTOR.full_name == described.output_type.full_name


@pytest.mark.rule("ID-5")
@pytest.mark.parametrize("name", ["Login", "ChangePassword", "StepUp", "EnrollTotp", "ActivateTotp", "ResumeSession"])
def test_what_judges_a_person_is_never_repeated(name: str) -> None:
    assert not METHODS[f"/infosec.api.auth.v1.LoginService/{name}"].is_repeatable


def _failing(times: int, error: InfosecError, answer: Any) -> Any:
    left = times

    async def act(_request: Any) -> Any:
        nonlocal left
        left -= 1
        if left >= 0:
            raise error
        return answer

    return act


@pytest.mark.rule("ID-5")
async def test_a_login_is_sent_once_whatever_happens(wire: Wire) -> None:
    async with wire.suite() as suite:
        for error in (
            Unavailable(Reason.STORAGE_UNAVAILABLE, retry_after=timedelta(0)),
            Aborted(Reason.ATTEMPT_DISCARDED, retry_after=timedelta(0)),
            ResourceExhausted(Reason.OVERLOADED, retry_after=timedelta(0)),
        ):
            before = wire.login.login.calls
            wire.login.login.act = _failing(1, error, login_pb2.LoginResponse())
            with pytest.raises(type(error)):
                await suite.login.login("li.na", "secret-1", terminal_id="t1")
            assert wire.login.login.calls == before + 1


@pytest.mark.parametrize(
    "error",
    [
        Unavailable(Reason.STORAGE_UNAVAILABLE),
        Unavailable(Reason.SNAPSHOT_STALE, retry_after=timedelta(milliseconds=5)),
        ResourceExhausted(Reason.OVERLOADED, retry_after=timedelta(milliseconds=5)),
    ],
)
async def test_a_safe_call_is_repeated_until_it_succeeds(wire: Wire, error: InfosecError) -> None:
    wire.login.logout.act = _failing(2, error, login_pb2.LogoutResponse())
    async with wire.suite() as suite:
        await suite.login.logout("t")
    assert wire.login.logout.calls == 3


@pytest.mark.parametrize(
    "error",
    [
        Internal(Reason.INTERNAL),
        InvalidInput(Reason.INVALID_ARGUMENT),
        PermissionDenied(Reason.NOT_PERMITTED),
        ResourceExhausted(Reason.RATE_LIMITED),
        DeadlineExceeded(Reason.DEADLINE_EXCEEDED),
    ],
)
async def test_what_will_not_pass_by_itself_is_not_repeated(wire: Wire, error: InfosecError) -> None:
    wire.login.logout.act = _failing(1, error, login_pb2.LogoutResponse())
    async with wire.suite() as suite:
        with pytest.raises(type(error)):
            await suite.login.logout("t")
    assert wire.login.logout.calls == 1


async def test_repeats_end(wire: Wire) -> None:
    wire.login.logout.act = _failing(99, Unavailable(Reason.STORAGE_UNAVAILABLE), login_pb2.LogoutResponse())
    async with wire.suite() as suite:
        with pytest.raises(Unavailable):
            await suite.login.logout("t")
    assert wire.login.logout.calls == 4


async def test_no_repeat_is_begun_that_the_deadline_would_not_see(wire: Wire) -> None:
    later = ResourceExhausted(Reason.RATE_LIMITED, retry_after=timedelta(hours=1))
    wire.login.logout.act = _failing(99, later, login_pb2.LogoutResponse())
    async with wire.suite() as suite:
        with pytest.raises(ResourceExhausted) as caught:
            await suite.login.logout("t")
    assert caught.value.retry_after == timedelta(hours=1)
    assert wire.login.logout.calls == 1


def test_waits_grow_are_capped_and_never_shorter_than_told() -> None:
    backoff = Backoff()
    assert [backoff.wait_s(n, told=None, jitter=1.0) for n in (1, 2, 3, 9)] == [0.1, 0.2, 0.4, 3.0]
    assert backoff.wait_s(1, told=None, jitter=0.0) == 0.05
    assert backoff.wait_s(1, told=timedelta(seconds=2), jitter=0.0) >= 2.0


def test_a_server_grants_at_most_its_own_deadline() -> None:
    deadlines = ServerDeadlines(unary_s=30, stream_s=3600)
    assert deadlines.granted_s(is_stream=False, asked_s=None) == 30
    assert deadlines.granted_s(is_stream=False, asked_s=31) == 30
    assert deadlines.granted_s(is_stream=False, asked_s=5) is None
    assert deadlines.granted_s(is_stream=True, asked_s=None) == 3600


async def test_a_repeated_write_keeps_its_request_id_and_the_next_one_has_another(wire: Wire) -> None:
    suspend = wire.staff.suspend
    suspend.act = _failing(2, Unavailable(Reason.STORAGE_UNAVAILABLE), staff_pb2.SuspendStaffResponse())
    async with wire.suite() as suite:
        await suite.staff.suspend("t", "li.na", reason="left")
        await suite.staff.suspend("t", "li.na", reason="left")
    first, second, third, fourth = (request.request_id for request in suspend.seen)
    assert first == second == third != fourth


async def test_an_import_tells_how_far_it_is(wire: Wire) -> None:
    told: list[int] = []
    row = staff_pb2.NewStaff(staff_id="s001", name="n", phone="1", role_id="clerk", store_id="s1")
    async with wire.suite() as suite:
        await suite.staff.import_many("t", [row, row], progress=lambda part: told.append(part.checked))
    assert told == [0, 1, 2]  # the first says go on
    assert wire.staff.rows == ["s001", "s001"]


KEY = MacKey.generate(MacKind.REQUESTS, now=datetime(2026, 3, 2, tzinfo=UTC))


def _rebind(**more: Any) -> requests_pb2.SubmitRequestRequest:
    given: dict[str, Any] = {"request_id": "i", "token": "t1", "staff_id": "li.na", "kind": 5, "reason": "lost"}
    return requests_pb2.SubmitRequestRequest(**(given | {"rebind_phone": {"phone": "13800138000"}} | more))


def _print(request: Any, *, caller: str = "system/billing", actor: str = "li.na") -> bytes:
    return Fingerprints(KEY).fingerprint(method="/x/Y", caller=caller, request=request, actor=actor)


@pytest.mark.rule("ID-7")
def test_a_fingerprint_holds_nothing_of_secret_fields() -> None:
    assert _print(_rebind()) == _print(_rebind(token="t2", rebind_phone={"phone": "13900139000"}))
    assert b"138" not in without_secrets(_rebind()).SerializeToString()
    assert _rebind().rebind_phone.phone == "13800138000"


def test_another_content_caller_or_person_has_another_fingerprint() -> None:
    prints = [
        _print(_rebind()),
        _print(_rebind(reason="stolen")),
        _print(_rebind(), caller="system/crm"),
        _print(_rebind(), actor="wang.wei"),
    ]
    assert len(set(prints)) == 4


def test_the_same_id_for_another_request_is_refused_and_a_key_rotation_changes_nothing() -> None:
    stored = StoredCall(fingerprint=_print(_rebind()), outcome=b"id")
    rotated = Fingerprints(KEY.rotate(now=datetime(2026, 3, 3, tzinfo=UTC)))

    def check(request: Any) -> None:
        rotated.check_same(stored, method="/x/Y", caller="system/billing", request=request, actor="li.na")

    check(_rebind())
    with pytest.raises(InvalidInput) as caught:
        check(_rebind(reason="stolen"))
    assert caught.value.reason is Reason.REQUEST_ID_REUSED
