"""Spot checks and odd patterns on the wire; AuditReadServicer knows who asks, and hands the rest over."""

from __future__ import annotations

from datetime import UTC, datetime

from google.protobuf.timestamp_pb2 import Timestamp

from auditsvc.flows.reviewing import Found, Reviewing
from infosec import ids
from infosec.api.audit.v1 import read_pb2 as pb
from infosec.decision.assertion import IdentityAssertion
from infosec.errors import InvalidInput, Reason
from infosec.ids import RegionId, StoreId
from infosec.review.sampling import Week


async def draw_sample(
    reviewing: Reviewing, request: pb.DrawSampleRequest, person: IdentityAssertion
) -> pb.DrawSampleResponse:
    """CI-6."""
    signed = await reviewing.sample(
        StoreId(ids.node_id(request.store_id, "store_id")),
        RegionId(ids.node_id(request.log_id, "log_id")),
        Week.parse(request.week),
        person,
    )
    sample = signed.sample
    return pb.DrawSampleResponse(
        checkpoint=signed.note,
        seed=sample.seed,
        population=sample.population,
        drawn=[pb.SampledPerson(staff_id=one.staff, indices=one.indices) for one in sample.drawn],
    )


async def list_patterns(
    reviewing: Reviewing, request: pb.ListPatternsRequest, person: IdentityAssertion
) -> pb.ListPatternsResponse:
    """CI-7."""
    logs = [RegionId(ids.node_id(one, "log_ids")) for one in request.log_ids]
    found = await reviewing.patterns(_moment(request.since, "since"), _moment(request.until, "until"), logs, person)
    return pb.ListPatternsResponse(patterns=map(_pattern, found))


def _pattern(found: Found) -> pb.Pattern:
    one = found.pattern
    return pb.Pattern(
        kind=one.kind.value,
        log_id=found.log_id,
        staff_id=one.staff,
        store_id=one.store,
        terminal_id=one.terminal,
        first=_stamp(one.first),
        last=_stamp(one.last),
        count=one.count,
        threshold=one.threshold,
        indices=one.indices,
    )


def _stamp(at: datetime) -> Timestamp:
    stamp = Timestamp()
    stamp.FromDatetime(at)
    return stamp


def _moment(wire: Timestamp, field: str) -> datetime:
    at = wire.ToDatetime(UTC)
    if not 2000 <= at.year < 9999:  # arithmetic of periods stays within what a datetime holds
        raise InvalidInput(Reason.INVALID_ARGUMENT, field=field, detail="a moment of this age")
    return at
