"""A decision as a CheckResponse: the same words from the centre and from a Guard."""

from __future__ import annotations

from datetime import UTC, datetime

from google.protobuf.timestamp_pb2 import Timestamp

from infosec.api.auth.v1 import check_pb2 as pb
from infosec.api.common.v1.revision_pb2 import Revision
from infosec.decision.check import Decision, Mode
from infosec.decision.operations import OperationClass, Purpose
from infosec.decision.reasons import reason_text
from infosec.ids import CARRIER
from infosec.messages import Locale

PURPOSES = {pb.Purpose.Value(f"PURPOSE_{purpose.value}"): purpose for purpose in Purpose}
"""Wire value -> purpose; PURPOSE_UNSPECIFIED is none."""
CLASSES = {cls: pb.OperationClass.Value(f"OPERATION_CLASS_{cls.value}") for cls in OperationClass}
_MODES = {mode: pb.DecisionMode.Value(f"DECISION_MODE_{mode.value}") for mode in Mode}
_FAR_S = 253_402_300_799
"""The last second that a Timestamp can say."""


def response(decision: Decision, locale: Locale, *, record_id: str = "") -> pb.CheckResponse:
    """The answer on the wire. A denial has its text; an allow has the masking and how long it holds."""
    answer = pb.CheckResponse(
        allowed=decision.allowed,
        reason=decision.reason.value,
        operation_class=CLASSES[decision.cls] if decision.cls is not None else 0,
        revisions=_revisions(decision),
        record_id=record_id,
        mode=_MODES[decision.mode],
    )
    if decision.allowed:
        masking = decision.masking
        answer.masking.phone = masking.phone
        answer.masking.name = masking.name
        answer.masking.id_number = masking.id_number
        answer.masking.address = masking.address
        answer.holds_until.CopyFrom(timestamp(decision.holds_until_s))
    else:
        answer.text = reason_text(decision.reason, locale)
        for required in decision.required:
            answer.required.add(kind=required.kind.value, any_of=required.accepted)
    return answer


def timestamp(seconds: float) -> Timestamp:
    """Epoch seconds as a Timestamp; what is further off than it can say is its last second."""
    stamp = Timestamp()
    stamp.FromDatetime(datetime.fromtimestamp(min(seconds, _FAR_S), UTC))
    return stamp


def _revisions(decision: Decision) -> list[Revision]:
    revisions = [Revision(region_id=CARRIER, number=decision.carrier_revision)]
    if decision.region != CARRIER:
        revisions.append(Revision(region_id=decision.region, number=decision.region_revision))
    return revisions
