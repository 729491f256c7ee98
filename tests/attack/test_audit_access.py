"""Who gets at the record: every caller, role and assertion against every method, over mutual TLS."""

from __future__ import annotations

import base64
import json
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import grpc
import pytest
from google.protobuf.timestamp_pb2 import Timestamp

from infosec.api.audit.v1 import read_pb2 as pb
from infosec.api.audit.v1 import read_pb2_grpc
from infosec.decision.assertion import issue_assertion
from infosec.ids import SystemId
from infosec.keys import SigningKeys, SigningKind
from infosec.rpc.server.identity import ANY
from infosec.rpc.status import from_rpc_error
from tests.sim.audit import EAST, START, AuditStand
from tests.sim.audit_reading import EXPORT_ID, ReadStand, read_stand
from tests.sim.signing import grow
from tests.sim.wire import Wire, serving

SERVICE = "infosec.api.audit.v1.AuditReadService"
NUMBER = "13800000003"
DAY, NEXT_DAY = (Timestamp(seconds=int((START + timedelta(days=day)).timestamp())) for day in (0, 1))
ROLES = ("clerk", "duty-manager", "store-manager", "regional-manager", "administrator", "security-admin", "", "AUDITOR")


@dataclass(kw_only=True)
class Door:
    """The service behind mutual TLS."""

    stand: ReadStand
    wire: Wire

    async def ask(self, method: str, request: Any, *, system: str = "cli", service: bool = False) -> Any:
        """The answer; of a stream, all of it."""
        files = (
            self.wire.authority.issue_service("authd2", now=datetime.now(UTC)) if service else self.wire.files(system)
        )
        async with self.wire.channel(files) as channel:
            stub = read_pb2_grpc.AuditReadServiceStub(channel)
            call = getattr(stub, method)(request, timeout=30)
            return [part async for part in call] if method == "Export" else await call

    async def reason(self, method: str, request: Any, **caller: Any) -> str:
        """Why it was refused; OK where it was not."""
        try:
            await self.ask(method, request, **caller)
        except grpc.aio.AioRpcError as error:
            return from_rpc_error(error).reason.value
        return "OK"

    def recorded(self) -> int:
        return len(self.stand.stored())


@pytest.fixture
async def door(audit: AuditStand, tmp_path: Path) -> AsyncIterator[Door]:
    stand = await read_stand(audit, tmp_path)
    await grow(audit, 300)
    await stand.sign()
    more = [(read_pb2_grpc.add_AuditReadServiceServicer_to_server, stand.servicer())]
    async with serving(tmp_path, allow={SERVICE: ANY}, more=more) as wire:
        yield Door(stand=stand, wire=wire)


FOR_AUDITORS: dict[str, Callable[[str], Any]] = {
    "Query": lambda text: pb.QueryRequest(assertion=text, filter=pb.Filter(customer=NUMBER)),
    "Export": lambda text: pb.ExportRequest(assertion=text, export_id=EXPORT_ID),
    "WhoAccessed": lambda text: pb.WhoAccessedRequest(assertion=text, customer=NUMBER),
    "ListPatterns": lambda text: pb.ListPatternsRequest(assertion=text, since=DAY, until=NEXT_DAY),
    "DrawSample": lambda text: pb.DrawSampleRequest(assertion=text, store_id="e1", log_id=EAST, week="2026-02-23"),
}
FOR_ALL: dict[str, Any] = {
    "ListLogs": pb.ListLogsRequest(),
    "GetCheckpoint": pb.GetCheckpointRequest(log_id=EAST),
    "GetInclusionProof": pb.GetInclusionProofRequest(log_id=EAST, index=3, size=300),
    "GetConsistencyProof": pb.GetConsistencyProofRequest(log_id=EAST, old_size=3, new_size=300),
}
EACH = pytest.mark.parametrize("method", FOR_AUDITORS)


@pytest.mark.rule("CI-1")
@EACH
async def test_an_auditor_reads_and_is_on_record(door: Door, method: str) -> None:
    before = door.recorded()
    assert await door.reason(method, FOR_AUDITORS[method](door.stand.assertion())) == "OK"
    assert door.recorded() == before + 1


@EACH
async def test_no_other_role_reads(door: Door, method: str) -> None:
    before = door.recorded()
    reasons = {role: await door.reason(method, FOR_AUDITORS[method](door.stand.assertion(role))) for role in ROLES}
    assert set(reasons.values()) <= {"NOT_PERMITTED", "TOKEN_INVALID"}, reasons
    assert reasons["administrator"] == reasons["clerk"] == "NOT_PERMITTED"
    assert door.recorded() == before


@EACH
async def test_an_assertion_is_good_for_its_system_installation_and_minutes_alone(door: Door, method: str) -> None:
    stand, person = door.stand, door.stand.person()
    keys = stand.audit.keys.signing
    others = SigningKeys.generate(SigningKind.ASSERTION, now=stand.audit.clock.now())
    good = stand.assertion()
    kind, payload, signature = good.split(".")
    claims = json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))
    lifted = base64.urlsafe_b64encode(json.dumps({**claims, "rol": "auditor", "stf": "wang.wu"}).encode()).decode()
    wrong = {
        "of another system": issue_assertion(replace(person, system_id=SystemId("crm")), keys[SigningKind.ASSERTION]),
        "of another installation": issue_assertion(replace(person, installation="x" * 36), keys[SigningKind.ASSERTION]),
        "by another key": issue_assertion(person, others),
        "a changed payload": f"{kind}.{lifted.rstrip('=')}.{signature}",
        "no signature": f"{kind}.{payload}.",
        "text": "auditor",
    }
    before = door.recorded()
    for what, text in wrong.items():
        assert await door.reason(method, FOR_AUDITORS[method](text)) == "TOKEN_INVALID", what
    assert await door.reason(method, FOR_AUDITORS[method](good), system="crm") == "TOKEN_INVALID"
    assert await door.reason(method, FOR_AUDITORS[method]("")) == "INVALID_ARGUMENT"
    stand.audit.advance(seconds=301)
    assert await door.reason(method, FOR_AUDITORS[method](good)) == "TOKEN_INVALID"
    assert door.recorded() == before


@EACH
async def test_a_service_acts_for_nobody(door: Door, method: str) -> None:
    text = door.stand.assertion(system="authd2")
    assert await door.reason(method, FOR_AUDITORS[method](text), service=True) == "CALLER_NOT_ALLOWED"


@pytest.mark.parametrize("method", FOR_ALL)
@pytest.mark.parametrize("caller", [{"system": "pos"}, {"service": True}], ids=["system", "service"])
async def test_proofs_are_for_everybody_with_a_certificate(door: Door, method: str, caller: dict[str, Any]) -> None:
    before = door.recorded()
    assert await door.reason(method, FOR_ALL[method], **caller) == "OK"
    assert door.recorded() == before


async def test_what_is_for_everybody_says_nothing_of_what_was_recorded(door: Door) -> None:
    told = b"".join([(await door.ask(method, request)).SerializeToString() for method, request in FOR_ALL.items()])
    for word in (b"clerk", b"customer", b"1500", b"east-1", b"check.decided"):
        assert word not in told


@pytest.mark.rule("CI-1")
@EACH
async def test_what_cannot_be_recorded_gives_not_one_row(door: Door, method: str) -> None:
    request = FOR_AUDITORS[method](door.stand.assertion())
    assert await door.reason(method, request) == "OK"  # the log `carrier` has begun
    door.stand.audit.rows("revoke insert on audit.entries from audit_service")
    try:
        assert await door.reason(method, request) == "RECORD_UNAVAILABLE"
    finally:
        door.stand.audit.rows("grant insert on audit.entries to audit_service")


async def test_the_number_asked_for_is_nowhere_afterwards(door: Door) -> None:
    for method, request in FOR_AUDITORS.items():
        assert await door.reason(method, request(door.stand.assertion())) == "OK"
    kept = "\n".join(json.dumps(line) for line in door.wire.lines)
    kept += str(door.stand.audit.rows("select convert_from(body, 'UTF8') from audit.entries"))
    assert NUMBER not in kept


@pytest.mark.parametrize(
    "wrong",
    [
        pb.Filter(log_ids=["north"]),
        pb.Filter(log_ids=["east'; drop table audit.entries; --"]),
        pb.Filter(types=["check.decided' or true --"]),
        pb.Filter(types=["no.such"]),
        pb.Filter(staff_ids=["x"]),
        pb.Filter(operations=["15000"]),
        pb.Filter(decision="allowed"),
        pb.Filter(store_ids=["%"]),
    ],
    ids=lambda wrong: str(wrong).strip()[:40],
)
async def test_a_filter_that_is_none_is_refused_before_anything_is_read(door: Door, wrong: pb.Filter) -> None:
    text, before = door.stand.assertion(), door.recorded()
    assert await door.reason("Query", pb.QueryRequest(assertion=text, filter=wrong)) == "INVALID_ARGUMENT"
    request = pb.ExportRequest(assertion=text, filter=wrong, export_id=EXPORT_ID)
    assert await door.reason("Export", request) == "INVALID_ARGUMENT"
    assert door.recorded() == before


async def test_other_things_that_no_caller_means_are_refused(door: Door) -> None:
    text = door.stand.assertion()
    resume = pb.ExportResume(log_id=EAST, start=0, end=300, size=300, next_index=0)
    requests = [
        ("Query", pb.QueryRequest(assertion=text, page_token="x")),
        ("Query", pb.QueryRequest(assertion=text, page_size=1001)),
        ("Export", pb.ExportRequest(assertion=text, export_id="a b")),
        ("Export", pb.ExportRequest(assertion=text, export_id=EXPORT_ID, resume=[resume, resume])),
        ("Export", pb.ExportRequest(assertion=text, export_id=EXPORT_ID, resume=[pb.ExportResume(log_id="north")])),
        ("GetInclusionProof", pb.GetInclusionProofRequest(log_id=EAST, index=2**64 - 1, size=2**64 - 1)),
        ("GetConsistencyProof", pb.GetConsistencyProofRequest(log_id=EAST, old_size=2**64 - 1, new_size=1)),
    ]
    for method, request in requests:
        assert await door.reason(method, request) == "INVALID_ARGUMENT", request


async def test_an_export_over_the_wire_is_what_the_flow_gives(door: Door) -> None:
    request = pb.ExportRequest(assertion=door.stand.assertion(), export_id=EXPORT_ID, filter=pb.Filter(log_ids=[EAST]))
    begun, *pieces, ended = await door.ask("Export", request)
    rows = [row.entry for piece in pieces for row in piece.rows.rows]
    stored = [one for one in door.stand.stored() if one.log_id == EAST]
    assert [(row.log_id, row.index, row.body) for row in rows] == [(one.log_id, one.index, one.body) for one in stored]
    assert (begun.log.start, begun.log.end, begun.log.expected) == (0, 300, 300)
    assert begun.log.checkpoint == await door.stand.proving.checkpoint(EAST, 0)
    assert (ended.log_end.log_id, list(ended.log_end.right)) == (EAST, [])
    filtered = replace_filter(request, pb.Filter(log_ids=[EAST], customer=NUMBER))
    parts = await door.ask("Export", filtered)
    found = [row.WhichOneof("row") for part in parts[1:-1] for row in part.rows.rows]
    assert found.count("entry") == 8
    assert set(found[::2]) == {"gap"}


def replace_filter(request: pb.ExportRequest, chosen: pb.Filter) -> pb.ExportRequest:
    other = pb.ExportRequest()
    other.CopyFrom(request)
    other.filter.CopyFrom(chosen)
    return other
