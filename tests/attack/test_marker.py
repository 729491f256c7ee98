"""Secrets with marks on them go through everything, failures included; then everything is searched for the marks (ID-7).

Searched: logs at debug level, stderr, metrics, answers and refusals, every column of every table, the outbox and its bodies,
the audit log, spools and files beside it, Redis, every file of the engines (PostgreSQL's log and its write-ahead log among
them), command lines and environments.
"""

from __future__ import annotations

import asyncio
import base64
import json
import logging
import re
import time
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, quote, urlsplit
from uuid import uuid4

import grpc
import pyotp
import pytest
import redis

import authsvc.flows.attempts as attempts
import authsvc.flows.proof as proof_flow
from infosec.api.auth.v1 import login_pb2 as lpb
from infosec.api.auth.v1 import requests_pb2 as rpb
from infosec.api.auth.v1 import staff_pb2 as spb
from infosec.decision.operations import Purpose
from infosec.private_files import read_secret
from tests.sim.links import Link
from tests.sim.patience import PATIENCE_S
from tests.sim.servers import postgres_link_to, sync_connection
from tests.sim.suite import PACKAGE, PATIENT, Suite, random_text, raw_unary, served
from tests.sim.world import World

CLERK, AT = "marked.clerk", "e1-t1"
CONTROL = random_text("control")
"""Stands in a reason, which is no secret: a search that does not find it is none."""
OUR_LOCALS = "a value that nobody may see"


@dataclass
class Marks:
    """What may stand nowhere, by name. `short` ones are looked for as whole words, and not in binary files."""

    long: dict[str, str] = field(default_factory=dict)
    short: dict[str, str] = field(default_factory=dict)
    answered: set[str] = field(default_factory=set)
    """Those that an answer gives to whom they are for."""

    def mark(self, name: str, text: str = "") -> str:
        self.long[name] = text or random_text(name)
        return self.long[name]

    def given(self, name: str, text: str) -> str:
        """One that the suite made and answered with."""
        self.answered.add(name)
        return self.mark(name, text)

    def found_in(self, data: bytes, *, words: bool = False) -> list[str]:
        """The names of the marks in there, in any form in which bytes are written down."""
        lowered = data.lower()
        named = [name for name, text in self.long.items() if any(form in lowered for form in _forms(text))]
        if words:
            named += [
                n for n, text in self.short.items() if re.search(rb"(?<![\w.-])%s(?![\w-])" % text.encode(), data)
            ]
        return named

    def found_in_binary(self, data: bytes) -> list[str]:
        """The same for what is large: as it is and in hex. Most marks begin alike, which is looked for first."""
        plain = {form: n for n, text in self.long.items() for form in (text.encode(), text.encode().hex().encode())}
        alike = {form for form in plain if form.startswith(_ALIKE)}
        named = [name for form, name in plain.items() if form not in alike and form in data]
        if any(start in data for start in _ALIKE):
            named += [plain[form] for form in alike if form in data]
        return named


_ALIKE = (b"Mk-", b"4d6b2d")


@cache
def _forms(text: str) -> set[bytes]:
    raw = text.encode()
    forms = {raw, raw.hex().encode(), quote(text).encode(), json.dumps(text)[1:-1].encode(), text.encode("utf-16-le")}
    for shift in range(3):  # wherever it stands in what was encoded, but for its ends
        whole = base64.b64encode(b"x" * shift + raw)
        middle = whole[4:-4]
        forms |= {middle, middle.replace(b"+", b"-").replace(b"/", b"_")}
    return {form.lower() for form in forms if len(form) >= 8}


@dataclass
class Story:
    """One shift of a marked clerk: everything that takes a secret, done right and done wrong."""

    suite: Suite
    marks: Marks

    async def hired(self) -> str:
        """By an administrator, with marked personal facts; answers the first password."""
        suite, marks = self.suite, self.marks
        token = marks.given("admin token", await suite.session("xu.qiang", system="cli"))
        staff = spb.NewStaff(
            staff_id=CLERK,
            name="王小明",
            phone=marks.mark("phone", "13987650421"),
            role_id="clerk",
            store_id="e1",
            birthday="1987-06-05",
            id_number=marks.mark("id number", "110105198706054318"),
        )
        cli = suite.as_system("cli")
        assert await suite.reason(cli.staff.create(token, staff)) == "OK"
        refused = spb.NewStaff(
            staff_id="x y", name="x", phone=marks.mark("bad phone", "+86-13987650422-x"), store_id="e1"
        )
        await suite.call(cli.staff.create(token, refused))
        row = spb.NewStaff(
            staff_id="in.file", name="新人", phone=marks.mark("file phone", "13987650423"), role_id="clerk"
        )
        row.store_id, row.id_number = "e1", marks.mark("file id number", "110105198706054334")
        assert await suite.reason(cli.staff.import_many(token, [row])) == "OK"
        row.legacy_hash = marks.mark("legacy hash", "$2b$04$" + "a" * 31 + uuid4().hex[:22])
        await suite.call(cli.staff.import_many(token, [row]))
        await suite.call(
            cli.directory.assign_customers(token, CLERK, [marks.mark("customer of a list", "13987650431")])
        )
        text = await suite.message(marks.long["phone"], r"^[a-z0-9]{4}(-[a-z0-9]{4}){2}$")
        return marks.mark("first password", text)

    async def logged_in(self, password: str, at: str = AT, code: str = "") -> str:
        made = await self.suite.login(CLERK, password, at=at, code=code)
        await self.suite.fresh()
        return self.marks.given(f"token {len(self.marks.long)}", made.token)

    async def passwords(self, first: str) -> tuple[str, str]:
        """First login, refused changes, the change, wrong ones; answers a token and the password."""
        suite, marks, sdk = self.suite, self.marks, self.suite.as_system().login
        await suite.call(suite.login(CLERK, marks.mark("wrong password")))
        token = await self.logged_in(first)
        for name, new in (
            ("with name", f"{CLERK} {random_text('n')}"),
            ("too plain", uuid4().hex.translate({48 + n: 97 + n for n in range(10)})),
        ):
            await suite.call(sdk.change_password(token, current=first, new=marks.mark(f"refused {name}", new)))
        await suite.call(
            sdk.change_password(token, current=marks.mark("wrong current"), new=marks.mark("not put in force"))
        )
        password = marks.mark("password")
        assert await suite.reason(sdk.change_password(token, current=first, new=password)) == "OK"
        await suite.call(sdk.change_password(token, current=password, new=first))
        await suite.call(sdk.lock_session(token))
        await suite.call(sdk.resume_session(token, marks.mark("wrong resume")))
        await suite.call(sdk.resume_session(token, password))
        await suite.call(suite.login(CLERK, marks.mark("wrong, elsewhere"), at="e1-t2"))
        await suite.call(suite.login(marks.mark("password as ID", f"{random_text('id')}"), "x", at="e1-t3"))
        await suite.call(suite.login(CLERK, marks.mark("wrong region"), at="w1-t1"))
        await suite.call(
            suite.login(CLERK, password, at="e1-t1", code=marks.mark("wrong code", "MkCode" + uuid4().hex[:8]))
        )
        return await self.logged_in(password), password

    async def second_factor(self, token: str, password: str) -> str:
        suite, marks, sdk = self.suite, self.marks, self.suite.as_system().login
        await suite.call(sdk.enroll_totp(token, marks.mark("wrong at enrolment")))
        uri = (await sdk.enroll_totp(token, password)).reveal()
        secret = marks.given("otp secret", parse_qs(urlsplit(uri).query)["secret"][0])
        raw = base64.b32decode(secret + "=" * (-len(secret) % 8))
        marks.mark("otp secret in hex", raw.hex())
        marks.mark("otp secret in base64", base64.b64encode(raw).decode())
        totp = pyotp.TOTP(secret)
        await suite.call(sdk.activate_totp(token, marks.mark("wrong first code", "MkAct" + uuid4().hex[:8])))
        for number, call in enumerate((sdk.activate_totp, sdk.step_up)):
            suite.world.advance(seconds=31)
            code = marks.short[f"code {number}"] = totp.at(suite.world.clock.now())
            assert await suite.reason(call(token, code)) == "OK"
        await suite.call(sdk.step_up(token, marks.mark("wrong step-up", "MkStep" + uuid4().hex[:8])))
        other = await sdk.issue_token(token, system_id="pos")
        marks.given("token for pos", other)
        marks.given("assertion", (await sdk.issue_assertion(token)).text.reveal())
        return token

    async def proofs_and_requests(self, token: str) -> None:
        suite, marks, sdk = self.suite, self.marks, self.suite.as_system().requests
        challenge = await sdk.send_code(CLERK, terminal_id=AT)
        code = marks.short["proof code"] = await suite.message(marks.long["phone"], r"^\d{6}$")
        wrong = marks.mark("wrong proof code", "MkProof" + uuid4().hex[:8])
        await suite.call(sdk.prove_identity(CLERK, terminal_id=AT, challenge_id=challenge, code=wrong))
        proved = await sdk.prove_identity(CLERK, terminal_id=AT, challenge_id=challenge, code=code)
        marks.given("proof", proved.proof)
        change = rpb.RebindPhone(phone=marks.mark("new phone", "13987650499"))
        kind = rpb.REQUEST_KIND_REBIND_PHONE
        await suite.call(sdk.submit(kind, CLERK, reason=CONTROL, token=token, change=change))
        await suite.call(sdk.submit(kind, CLERK, reason="again", proof=proved.proof, change=change))
        forgot = rpb.REQUEST_KIND_REISSUE_PASSWORD
        await suite.call(sdk.submit(forgot, CLERK, reason="forgot", proof=proved.proof))
        await suite.call(sdk.submit(forgot, CLERK, reason="forgot", proof=proved.proof))
        bad = rpb.RebindPhone(phone=marks.mark("bad new phone", "13987650498xyz"))
        await suite.call(sdk.submit(kind, CLERK, reason="again", token=token, change=bad))
        manager = marks.given("manager's token", await suite.session("zhao.lei", at="e1-t4", step_up=True))
        await suite.call(sdk.list(manager, decidable_by_me=True))
        made = suite.world.one(
            "select id from auth.requests where subject_id = %s and change_sealed is not null", CLERK
        )
        assert await suite.reason(sdk.approve(manager, str(made), note="verified")) == "OK"
        await suite.app.work_once()

    async def checks_and_approvals(self, token: str) -> None:
        suite, marks, sdk = self.suite, self.marks, self.suite.as_system()
        await suite.fresh()
        customer = marks.mark("customer", "13987650477")
        for operation, purpose in (("1302", None), ("1500", Purpose.ORDER), ("1121", None), ("1507", None)):
            await suite.call(suite.check(token, operation, customer=customer, purpose=purpose))
        await suite.call(suite.check(marks.mark("token that is none"), customer=customer))
        grants = [marks.mark("grant that is none", f"grant.{random_text('grant')}")]
        await suite.call(suite.check(token, "1121", customer=customer, grants=grants))
        await suite.call(suite.check(token, "1302", customer=marks.mark("customer too long", "7" * 129)))
        asked = await sdk.approvals.submit(token, "1121", reason="wrong number", customer=customer, order_id="o-1")
        second = marks.given("store manager's token", await self.manager())
        assert await suite.reason(sdk.approvals.approve(second, asked.id)) == "OK"
        approved = await sdk.approvals.get(token, asked.id)
        grant = marks.given("grant", approved.grant)
        await suite.fresh()
        await suite.call(suite.check(token, "1121", customer=customer, grants=[grant], order_id="o-1"))
        await suite.call(sdk.approvals.redeem(grant, order_id="o-1"))
        await suite.call(sdk.approvals.redeem(grant, order_id="o-2"))

    async def manager(self) -> str:
        """The store manager, with a second factor of the world's, stepped up."""
        suite = self.suite
        suite.world.advance(seconds=90)
        token = (await suite.login("boss", at="e1-t5", code=suite.world.code("boss"))).token
        suite.world.advance(seconds=31)
        await suite.as_system().login.step_up(token, suite.world.code("boss"))
        return token

    async def broken(self, link: Link, token: str, password: str) -> None:
        """The same once more, while everything fails that can."""
        suite, marks, sdk = self.suite, self.marks, self.suite.as_system()
        channel = suite.channel()

        async def all_paths(why: str) -> None:
            suite.world.advance(seconds=1)
            await suite.call(suite.login(CLERK, marks.mark(f"password, {why}"), at="e1-t2"))
            await suite.call(sdk.login.change_password(token, current=password, new=marks.mark(f"new password, {why}")))
            await suite.call(sdk.login.step_up(token, marks.mark(f"code, {why}", "MkCut" + uuid4().hex[:8])))
            proof = marks.mark(f"proof code, {why}", "MkPr" + uuid4().hex[:8])
            challenge = str(uuid4())
            await suite.call(sdk.requests.prove_identity(CLERK, terminal_id=AT, challenge_id=challenge, code=proof))
            customer = marks.mark(f"customer, {why}")
            await suite.call(suite.check(token, "1500", customer=customer, purpose=Purpose.ORDER))
            await suite.call(sdk.approvals.submit(token, "1121", reason="x", customer=customer))
            phone = rpb.RebindPhone(phone=marks.mark(f"phone, {why}", "1398766" + f"{len(marks.long):04}"))
            await suite.call(
                sdk.requests.submit(rpb.REQUEST_KIND_REBIND_PHONE, CLERK, reason=CONTROL, token=token, change=phone)
            )

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(attempts, "judge", _falls_over)
            patch.setattr(proof_flow.ProofOfPhone, "_is_proved", _falls_over)
            await all_paths("a fault of ours")
        for table in ("credentials", "requests", "proof_challenges"):
            suite.world.rows(f"alter table auth.{table} rename to {table}_away")
        await all_paths("a table away")
        for table in ("credentials", "requests", "proof_challenges"):
            suite.world.rows(f"alter table auth.{table}_away rename to {table}")
        suite.world.rows("alter table auth.outbox add constraint no_more check (created_at < '2000-01-01') not valid")
        await all_paths("a constraint")
        suite.world.rows("alter table auth.outbox drop constraint no_more")
        # With what follows each call waits in vain for a connection.
        suite.db._pool.timeout, patience_s = 0.5, suite.db._pool.timeout
        link.cut()
        await all_paths("the database cut")
        link.heal()
        suite.db._pool.timeout = patience_s
        for name, body in self.broken_bodies().items():
            for path in ("LoginService/Login", "RequestService/SubmitRequest", "CheckService/Check", "LoginService/No"):
                with suppress(grpc.aio.AioRpcError):
                    await raw_unary(channel, PACKAGE + path)(body, timeout=60)
                    raise AssertionError(name)
                suite.refusals.append(await _refusal(channel, PACKAGE + path, body))

    def broken_bodies(self) -> dict[str, bytes]:
        mark = self.marks.mark
        request = lpb.LoginRequest(staff_id=CLERK, password=mark("cut body"), terminal_id="nowhere").SerializeToString()
        long = lpb.LoginRequest(staff_id=CLERK, password=mark("in a long one") * 200, terminal_id=AT)
        field = mark("unknown field").encode()
        return {
            "cut": request[:-2],
            "no UTF-8": request + b"\x12\x03\xff\xfe\xfd" + mark("after bad UTF-8").encode(),
            "unknown field": request + b"\xfa\x06" + bytes([len(field)]) + field,
            "too long": long.SerializeToString(),
        }


def _falls_over(*arguments: Any, **_named: Any) -> Any:
    """An error that no one expected, with whatever it was given in its text and in its frame."""
    kept = [OUR_LOCALS, arguments, [getattr(one, "__dict__", one) for one in arguments]]
    raise ValueError(f"cannot work with {kept} {arguments!r}")


async def _refusal(channel: grpc.aio.Channel, path: str, body: bytes) -> str:
    try:
        await raw_unary(channel, path)(body, timeout=10)
    except grpc.aio.AioRpcError as error:
        return repr((error.code(), error.details(), error.debug_error_string(), error.trailing_metadata()))
    return ""


@pytest.mark.rule("ID-7")
async def test_no_secret_is_anywhere_it_went_through_whatever_failed(
    suite_world: World, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    marks, began = Marks(), time.time()
    link = postgres_link_to(suite_world.addresses.postgres)
    role = suite_world.addresses.role("auth_service")
    far = type(role)(
        host="127.0.0.1", port=link.port, dbname=role.dbname, user=role.user, password_file=role.password_file
    )
    try:
        async with served(suite_world, tmp_path, postgres=far, profile=PATIENT) as suite:
            await suite.hire(_boss())
            story = Story(suite, marks)
            first = await story.hired()
            token, password = await story.passwords(first)
            token = await story.second_factor(token, password)
            await story.checks_and_approvals(token)
            await story.broken(link, token, password)
            totp = pyotp.TOTP(marks.long["otp secret"])
            await _until_serving(suite)
            suite.world.advance(seconds=31)
            marks.short["last code"] = totp.at(suite.world.clock.now())
            token = await story.logged_in(password, at="e1-t1", code=marks.short["last code"])
            await story.proofs_and_requests(token)
            outputs = {
                "log": suite.log.getvalue().encode(),
                "metrics": suite.metrics().encode(),
                "refusals": "\n".join(suite.refusals).encode(),
                "answers": b"\n".join(suite.seen),
            }
            kinds = {event["type"] for event in suite.world.events() + suite.world.entries()}
            outputs |= {str(path): path.read_bytes() for path in _own_files(tmp_path)}
    finally:
        link.close()
    out = capfd.readouterr()
    outputs |= {"stdout": out.out.encode(), "stderr": out.err.encode()}
    outputs |= _tables(suite_world) | _redis(suite_world) | dict(_processes())
    leaks: dict[str, set[str]] = {}
    for where, data in outputs.items():
        seen = set(marks.found_in(data, words=not where.startswith("/proc")))
        allowed = marks.answered if where == "answers" else set[str]()
        if seen - allowed:
            leaks[where] = seen - allowed
    assert leaks == {}
    control = Marks()
    control.mark("control", CONTROL)
    controls = searched = 0
    in_files = dict[str, list[str]]()
    for path in _files(suite_world, since=began - 1):
        data = path.read_bytes()
        searched += len(data)
        controls += bool(control.found_in_binary(data))
        if hits := marks.found_in_binary(data):
            in_files[str(path)] = hits
    assert in_files == {}
    assert controls, "not even in the write-ahead log"
    assert OUR_LOCALS not in outputs["log"].decode()
    _was_worth_it(outputs, kinds)
    print(
        f"\n{len(marks.long) + len(marks.short)} marks; log {len(outputs['log'])} bytes,"
        f" {len(suite.refusals)} refusals, {searched >> 20} MiB of files"
    )


def _was_worth_it(outputs: dict[str, bytes], kinds: set[str]) -> None:
    """The search finds what is there, and what should have happened did."""
    control = Marks()
    control.mark("control", CONTROL)
    assert control.found_in(outputs["auth.requests"])
    assert b"call failed inside" in outputs["log"] and b"STORAGE_UNAVAILABLE" in outputs["log"]
    assert b"$argon2id$" in outputs["auth.credentials"]
    assert {"login.failed", "login.refused", "password.rejected", "password.changed", "check.decided"} <= kinds, kinds
    assert logging.getLogger().level == logging.DEBUG


def _boss() -> Any:
    from tests.sim.world import Hire

    return Hire(staff_id="boss", role="store-manager", store="e1", totp=True)


async def _until_serving(suite: Suite) -> None:
    """The pool finds the database again."""
    async with asyncio.timeout(PATIENCE_S):
        while await suite.reason(suite.login("li.na", at="e1-t3")) != "OK":
            await asyncio.sleep(0.02)


def _tables(world: World) -> dict[str, bytes]:
    """Every table of every schema of ours, as PostgreSQL writes it out; binary columns as text too."""
    out: dict[str, bytes] = {}
    with sync_connection(world.addresses.postgres) as connection:
        names = connection.execute(
            "select schemaname, tablename from pg_tables where schemaname not in ('pg_catalog', 'information_schema')"
        ).fetchall()
        for schema, table in names:
            with connection.cursor().copy(f'copy "{schema}"."{table}" to stdout'.encode()) as copy:
                out[f"{schema}.{table}"] = b"".join(bytes(block) for block in copy)
        bodies = connection.execute("select body from auth.outbox").fetchall()
        out["auth.outbox as text"] = b"\n".join(bytes(row[0]) for row in bodies)
        entries = connection.execute("select body from audit.entries").fetchall()
        out["audit.entries as text"] = b"\n".join(bytes(row[0]) for row in entries)
        answers = connection.execute("select answer from auth.retries").fetchall()
        out["auth.retries as text"] = b"\n".join(bytes(row[0]) for row in answers)
        sealed = connection.execute("select sealed from notify.messages").fetchall()
        out["notify.messages as text"] = b"\n".join(bytes(row[0]) for row in sealed)
    return out


def _own_files(folder: Path) -> list[Path]:
    """What the audit service and the checks' journal keep outside of the database, while they run."""
    found = [path for name in ("audit", "spool") for path in (folder / name).rglob("*") if path.is_file()]
    assert found
    return found


def _redis(world: World) -> dict[str, bytes]:
    """All that it keeps, as far as the suite's own user may look."""
    address = world.addresses.redis
    if address is None or address.password_file is None:
        return {}
    password = read_secret(address.password_file).reveal()
    client = redis.Redis(unix_socket_path=str(address.socket), username=address.user, password=password, protocol=2)
    entries: Any = client.xrange("infosec:changes")
    client.close()
    return {"redis": repr(entries).encode()}


def _processes() -> Iterable[tuple[str, bytes]]:
    """Command lines and environments of every process that we may look at."""
    for folder in Path("/proc").iterdir():
        if folder.name.isdigit():
            for name in ("cmdline", "environ"):
                with suppress(OSError):
                    yield str(folder / name), (folder / name).read_bytes()


def _files(world: World, *, since: float) -> list[Path]:
    """Every file of the engines: data, write-ahead log, logs, Redis's own."""
    passwords = world.addresses.passwords
    return [path for path in passwords.parent.rglob("*") if path.is_file() and path.stat().st_mtime >= since]
