"""Input that is too long, malformed, forged or replayed, over the wire: a clear reason, nothing written, nothing kept.

Each is sent many times, then the tables are compared and a good request is served. What may be written are refusals (CI-1).
"""

from __future__ import annotations

import asyncio
import base64
import json
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import grpc
import pytest

from infosec.api.auth.v1 import check_pb2 as cpb
from infosec.api.auth.v1 import login_pb2 as lpb
from infosec.api.auth.v1 import requests_pb2 as rpb
from infosec.api.auth.v1 import staff_pb2 as spb
from infosec.certificates import Authority
from infosec.client.staff import IMPORT_STAFF
from infosec.decision.session import SessionHandle, issue_token
from infosec.ids import RegionId, SessionId, StaffId, SystemId, TerminalId
from infosec.keys import KeyRing, SigningKind
from infosec.rpc.status import from_rpc_error
from tests.attack.test_floods import MIB, memory
from tests.sim.forging import altered
from tests.sim.suite import PACKAGE, Suite, raw_stream, raw_unary
from tests.sim.world import INSTALLATION, PASSWORD, START

LOGIN, CHECK = f"{PACKAGE}LoginService/Login", f"{PACKAGE}CheckService/Check"
SUBMIT, PROVE = f"{PACKAGE}RequestService/SubmitRequest", f"{PACKAGE}RequestService/ProveIdentity"
CREATE = f"{PACKAGE}StaffAdminService/CreateStaff"
RECORDED = ("auth.outbox", "auth.attempt_places", "auth.jobs", "auth.proof_places", "notify.jobs")
"""Where refusals are recorded, and what moves by itself."""


class Wire:
    """Bare channels, one a system, and what the error of a call says."""

    def __init__(self, suite: Suite) -> None:
        self.suite = suite
        self._channels: dict[str, grpc.aio.Channel] = {}

    async def reason(self, path: str, body: bytes, *, system: str = "crm") -> str:
        """`INVALID_ARGUMENT password: at most 1024 bytes`: the reason, and what it says about where."""
        if system not in self._channels:
            self._channels[system] = self.suite.channel(system)
        try:
            await raw_unary(self._channels[system], path)(body, timeout=20)
        except grpc.aio.AioRpcError as failure:
            error = from_rpc_error(failure)
            assert len(str(failure.debug_error_string())) < 2000
            return " ".join(
                [error.reason.value, *(error.details[key] for key in ("field", "detail") if key in error.details)]
            )
        return "OK"


@pytest.fixture
def wire(suite: Suite) -> Wire:
    return Wire(suite)


def written(suite: Suite) -> dict[str, str]:
    kept = {name: digest for name, digest in suite.tables().items() if name not in RECORDED}
    # Of messages how many there are: the one about an earlier login may still be on its way.
    del kept["notify.messages"]
    return kept | {"messages": str(suite.world.one("select count(*) from auth.outbox where topic = 'notify'"))}


def login_bytes(**fields: str) -> bytes:
    given = {"staff_id": "li.na", "password": PASSWORD, "terminal_id": "e1-t1", **fields}
    return lpb.LoginRequest(**given).SerializeToString()


def raw_field(number: int, value: bytes) -> bytes:
    """A length-delimited field, whatever is in it."""
    return _varint(number << 3 | 2) + _varint(len(value)) + value


def _varint(value: int) -> bytes:
    out = b""
    while value > 0x7F:
        out, value = out + bytes([value & 0x7F | 0x80]), value >> 7
    return out + bytes([value])


def check_bytes(token: str, **fields: Any) -> bytes:
    given = {"token": token, "operation": "1302", "store_id": "e1", "terminal_id": "e1-t1", "customer": "1", **fields}
    return cpb.CheckRequest(**given).SerializeToString()


NO_MESSAGE = "INVALID_ARGUMENT LoginRequest not a message"
MALFORMED: dict[str, tuple[str, bytes, str]] = {
    "a password of a megabyte": (LOGIN, login_bytes(password="x" * MIB), "INVALID_ARGUMENT password at most 1024 bytes"),
    "a message beyond what is taken": (LOGIN, login_bytes(password="x" * 5 * MIB), "OVERLOADED"),
    "a staff ID too long": (LOGIN, login_bytes(staff_id="a" * 257), "INVALID_ARGUMENT staff_id at most 256 bytes"),
    "no staff ID": (LOGIN, login_bytes(staff_id=""), "INVALID_ARGUMENT staff_id required"),
    "a line break in a staff ID": (LOGIN, login_bytes(staff_id="li\nna"), "INVALID_ARGUMENT staff_id control characters"),
    "a NUL in a terminal": (LOGIN, login_bytes(terminal_id="e1\0t1"), "INVALID_ARGUMENT terminal_id control characters"),
    "a C1 control in a terminal": (LOGIN, login_bytes(terminal_id="e1\x9b"), "INVALID_ARGUMENT terminal_id control characters"),
    "mixed scripts in a terminal": (LOGIN, login_bytes(terminal_id="е1-t1"), "INVALID_ARGUMENT terminal_id"),
    "a terminal that is nowhere": (LOGIN, login_bytes(terminal_id="e9-t9"), "CALLER_OUT_OF_PLACE"),
    "no UTF-8 in an ID": (LOGIN, raw_field(1, b"li\xff\xfe") + login_bytes(staff_id=""), NO_MESSAGE),
    "a surrogate in a password": (LOGIN, raw_field(2, b"\xed\xa0\x80abc12345"), NO_MESSAGE),
    "a body cut in the middle": (LOGIN, login_bytes()[:-3], NO_MESSAGE),
    "no message at all": (LOGIN, b"\xff" * 64, NO_MESSAGE),
    "a method that is not there": (f"{PACKAGE}LoginService/Backdoor", b"", "UNIMPLEMENTED"),
    "a purpose that is none": (CHECK, check_bytes("t", purpose=99), "INVALID_ARGUMENT purpose not a value of this list"),
    "an operation too long": (CHECK, check_bytes("t", operation="1" * 17), "INVALID_ARGUMENT operation at most 16 bytes"),
    "too many grants": (CHECK, check_bytes("t", grants=["g"] * 7), "INVALID_ARGUMENT grants at most 6 entries"),
    "a token too long": (CHECK, check_bytes("t" * 1025), "INVALID_ARGUMENT token at most 1024 bytes"),
    "a kind of request that is none": (
        SUBMIT,
        rpb.SubmitRequestRequest(request_id=str(uuid4()), staff_id="li.na", kind=77, reason="x").SerializeToString(),  # type: ignore[arg-type]
        "INVALID_ARGUMENT kind not a value of this list",
    ),
    "a proof that is none": (
        SUBMIT,
        rpb.SubmitRequestRequest(request_id=str(uuid4()), staff_id="li.na", kind=1, reason="x", proof="p.p.p").SerializeToString(),  # type: ignore[arg-type]
        "PROOF_REFUSED",
    ),
    "a challenge that is none": (
        PROVE,
        rpb.ProveIdentityRequest(staff_id="li.na", terminal_id="e1-t1", challenge_id="x", code="1").SerializeToString(),
        "PROOF_REFUSED",
    ),
}  # fmt: skip


@pytest.mark.rule("ID-7")
async def test_what_is_malformed_is_refused_with_its_reason_and_leaves_nothing(suite: Suite, wire: Wire) -> None:
    await suite.login("li.na")
    before = written(suite)
    told = {name: await wire.reason(path, body) for name, (path, body, _) in MALFORMED.items()}
    wrong = {name: told[name] for name, (_, _, expected) in MALFORMED.items() if not told[name].startswith(expected)}
    assert not wrong
    assert written(suite) == before
    assert await suite.reason(suite.login("li.na")) == "OK"


async def test_thousands_of_them_leave_the_memory_as_it_was(suite: Suite, wire: Wire) -> None:
    token = await suite.session("wang.wei")
    small = [(path, body) for path, body, _ in MALFORMED.values() if len(body) < 10_000]
    large = (LOGIN, login_bytes(password="x" * MIB))

    async def rounds(count: int) -> None:
        for _ in range(count):
            await asyncio.gather(*(wire.reason(path, body) for path, body in (*small, *small, *small, *small)))
            await wire.reason(*large)

    await rounds(3)
    _forget_logs(suite)
    before = memory()
    await rounds(12)
    _forget_logs(suite)
    grown = memory() - before
    print(f"\n{12 * (4 * len(small) + 1)} refusals, memory {grown / MIB:+.1f} MiB")
    assert grown < 30 * MIB
    assert await suite.reason(suite.check(token)) == "OK"


def _forget_logs(suite: Suite) -> None:
    suite.log.seek(0)
    suite.log.truncate()


@pytest.mark.rule("ID-8", "ID-1")
async def test_a_request_id_with_another_body_another_person_or_a_field_too_many_is_refused(
    suite: Suite, wire: Wire
) -> None:
    token = await suite.session("xu.qiang", system="cli")
    staff = suite.as_system("cli").staff
    given = {"name": "新人", "phone": "13912345678", "role_id": "clerk", "store_id": "e1"}
    request_id = str(uuid4())
    made = await staff.create(token, spb.NewStaff(staff_id="new.one", **given), request_id=request_id)
    before = written(suite)
    again = await staff.create(token, spb.NewStaff(staff_id="new.one", **given), request_id=request_id)
    assert again.staff.staff_id == made.staff.staff_id
    none = staff.create(token, spb.NewStaff(staff_id="new.three", **given), request_id="1")
    assert await suite.reason(none) == "INVALID_ARGUMENT"
    for other in ("new.two", "NEW.ONE"):
        call = staff.create(token, spb.NewStaff(staff_id=other, **given), request_id=request_id)
        assert await suite.reason(call) == "REQUEST_ID_REUSED"
    request = spb.CreateStaffRequest(
        request_id=str(uuid4()), token=token, staff=spb.NewStaff(staff_id="new.x", **given)
    )
    unknown = request.SerializeToString() + raw_field(99, b"new.y")
    assert await wire.reason(CREATE, unknown, system="cli") == "UNKNOWN_FIELD 99"
    assert (
        await wire.reason(CREATE, request.SerializeToString(), system="crm")
        == "CALLER_NOT_ALLOWED infosec.api.auth.v1.StaffAdminService"
    )
    sent = {"auth.credentials", "notify.messages"}  # how the first password's SMS fares
    assert {name for name, digest in written(suite).items() if before[name] != digest} <= sent
    assert suite.world.rows("select staff_id from auth.staff where staff_id like 'new%%'") == [("new.one",)]


@pytest.mark.rule("ID-9")
async def test_tokens_of_others_are_refused_by_every_path(suite: Suite, tmp_path: Any) -> None:
    good = await suite.session("li.na")
    handle = _claims(suite, good)
    strangers = KeyRing.create_missing(tmp_path / "other-keys", now=START)
    own = suite.world.keys
    bad = {
        "forged": altered(good, -2),
        "claims changed": altered(good, len("session.") + 12),
        "cut": good[:-7],
        "another kind": "grant" + good.removeprefix("session"),
        "unsigned": good.rpartition(".")[0] + ".",
        "keys of strangers": _signed(handle, strangers),
        "another installation": _signed(handle, own, installation="another-installation"),
        "another system": _signed(handle, own, system="pos"),
        "expired": _signed(handle, own, exp=int(suite.world.clock.now().timestamp())),
        "another person": _signed(handle, own, stf="chen.jing"),
        "another session": _signed(handle, own, sid=str(uuid4())),
        "two at once": good + good,
        "a signature in other letters": good.replace("-", "+").replace("_", "/") + "=",
        "nothing like it": "x",
    }
    before = written(suite)
    for name, token in bad.items():
        sdk = suite.as_system().login
        for call in (
            sdk.issue_token(token, system_id="pos"),
            sdk.issue_assertion(token),
            sdk.resume_session(token, PASSWORD),
            sdk.change_password(token, current=PASSWORD, new="Quiet#river8"),
            suite.as_system().requests.list(token),
            suite.as_system().policy.get(token),
        ):
            assert await suite.reason(call) in {"TOKEN_INVALID", "SESSION_ENDED"}, name
        answer = await suite.check(token)
        assert not answer.allowed and answer.reason in _DENIED, (name, answer.reason)
    elsewhere = await suite.check(good, at="e1-t2")
    assert not elsewhere.allowed, "a token used at another terminal"
    assert await suite.reason(suite.as_system("pos").requests.list(good)) == "TOKEN_INVALID"
    assert written(suite) == before
    assert (await suite.check(good)).allowed


_DENIED = {"TOKEN_INVALID", "TOKEN_EXPIRED", "SESSION_UNKNOWN", "SESSION_ENDED", "TOKEN_MISMATCH"}


def _claims(suite: Suite, token: str) -> dict[str, Any]:
    payload = token.split(".")[1]
    claims: dict[str, Any] = json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))
    return claims


def _signed(
    claims: dict[str, Any], keys: KeyRing, *, installation: str = INSTALLATION, system: str = "crm", **other: Any
) -> str:
    given = claims | other
    handle = SessionHandle(
        session_id=SessionId(given["sid"]),
        system=SystemId(system),
        terminal=TerminalId(given["trm"]),
        staff_id=StaffId(given["stf"]),
        region=RegionId(given["rgn"]),
        revision=given["rev"],
        installation=installation,
        issued_s=given["iat"],
        expires_s=given["exp"],
    )
    return issue_token(handle, keys.signing[SigningKind.SESSION])


@pytest.mark.rule("ID-9")
async def test_a_certificate_of_another_carrier_opens_no_connection(suite: Suite, tmp_path: Any) -> None:
    stranger = Authority.create_or_load(tmp_path / "other", carrier="carrier.example", now=datetime.now(UTC))
    files = suite.files("crm", stranger)
    ours = suite.files("crm")
    channel = suite.channel(files=type(files)(ca=ours.ca, certificate=files.certificate, key=files.key))
    with pytest.raises(grpc.aio.AioRpcError) as refused:
        await raw_unary(channel, LOGIN)(login_bytes(), timeout=10)
    assert refused.value.code() is grpc.StatusCode.UNAVAILABLE
    assert suite.world.live_sessions("li.na") == []


@pytest.mark.rule("ID-9", "RQ-3")
async def test_a_clock_that_is_wrong_opens_nothing(suite: Suite) -> None:
    token = await suite.session("li.na")
    for skew in (timedelta(hours=13), timedelta(days=400)):
        ahead = suite.world.code("zhao.lei", steps=int(skew / timedelta(seconds=30)))
        assert await suite.reason(suite.login("zhao.lei", at="e1-t2", code=ahead)) == "LOGIN_REFUSED"
    assert (
        await suite.reason(suite.login("zhao.lei", at="e1-t2", code=suite.world.code("zhao.lei", steps=-3)))
        == "LOGIN_REFUSED"
    )
    suite.world.advance(hours=13)
    await suite.fresh()
    answer = await suite.check(token)
    assert not answer.allowed
    assert await suite.reason(suite.as_system().login.issue_token(token, system_id="pos")) in {
        "TOKEN_INVALID",
        "SESSION_ENDED",
    }
    assert await suite.reason(suite.login("li.na")) == "OK"


@pytest.mark.rule("ID-1")
async def test_a_file_that_is_cut_broken_or_abandoned_imports_nobody(suite: Suite) -> None:
    token = await suite.session("xu.qiang", system="cli")
    rows = [
        spb.NewStaff(staff_id=f"new.{n:03}", name="新人", phone=f"139{n:08}", role_id="clerk", store_id="e1")
        for n in range(60)
    ]
    channel, before = suite.channel("cli"), written(suite)

    def parts(*, declared: int = 60, count: int = 60) -> list[bytes]:
        header = spb.ImportHeader(request_id=str(uuid4()), token=token, rows=declared)
        return [
            spb.ImportStaffRequest(header=header).SerializeToString(),
            *(spb.ImportStaffRequest(row=row).SerializeToString() for row in rows[:count]),
        ]

    files: dict[str, tuple[list[bytes], str]] = {
        "its end is missing": (parts(count=59), "FILE_REJECTED"),
        "nothing but its head": (parts(count=0), "FILE_REJECTED"),
        "more than it says": (parts(declared=59), "FILE_REJECTED"),
        "no head": (parts()[1:2], "FILE_REJECTED"),
        "a row cut in the middle": ([*parts()[:-1], parts()[-1][:-3]], "INVALID_ARGUMENT"),
        "a row of something else": ([*parts()[:-1], b"\xff" * 20], "INVALID_ARGUMENT"),
        "empty": ([], "FILE_REJECTED"),
    }
    for name, (sent, reason) in files.items():
        assert await _import(channel, sent) == reason, name
    await _abandoned(channel, parts())
    assert written(suite) == before
    assert await suite.reason(suite.as_system("cli").staff.import_many(token, rows)) == "OK"
    assert suite.world.one("select count(*) from auth.staff where staff_id like 'new.%%'") == 60


async def _import(channel: grpc.aio.Channel, parts: list[bytes]) -> str:
    async def sent() -> AsyncIterator[bytes]:
        for part in parts:
            yield part

    try:
        async for _ in raw_stream(channel, IMPORT_STAFF.path)(sent(), timeout=20):
            pass
    except grpc.aio.AioRpcError as failure:
        return from_rpc_error(failure).reason.value
    return "OK"


async def _abandoned(channel: grpc.aio.Channel, parts: list[bytes]) -> None:
    """The caller goes away while the last row is awaited."""
    call = raw_stream(channel, IMPORT_STAFF.path)(timeout=20)
    for part in parts[:-1]:
        await call.write(part)
    call.cancel()
    with pytest.raises((asyncio.CancelledError, grpc.aio.AioRpcError)):
        await call.code()
        raise asyncio.CancelledError


async def test_who_may_not_import_is_told_so_however_long_the_file(suite: Suite) -> None:
    rows = [spb.NewStaff(staff_id=f"many.{n}", name="王芳", phone="13900000000") for n in range(3000)]
    cli = suite.as_system("cli")
    clerk = await suite.session("li.na")
    assert await suite.reason(suite.as_system("crm").staff.import_many(clerk, rows)) == "CALLER_NOT_ALLOWED"
    assert await suite.reason(cli.staff.import_many("session.forged.token", rows)) == "TOKEN_INVALID"
