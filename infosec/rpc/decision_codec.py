"""A decision as a CheckResponse: the same words from the centre and from a Guard."""

from __future__ import annotations

from functools import lru_cache

from google.protobuf.timestamp_pb2 import Timestamp

from infosec.api.auth.v1 import check_pb2 as pb
from infosec.decision.check import Decision, MaskingProfile, Mode, Required
from infosec.decision.operations import OperationClass, Purpose
from infosec.decision.reasons import accepted_text, fault_text, reason_text, required_text
from infosec.decision.roles import ROLES
from infosec.ids import CARRIER, RoleId
from infosec.messages import Locale

PURPOSES = {pb.Purpose.Value(f"PURPOSE_{purpose.value}"): purpose for purpose in Purpose}
"""Wire value -> purpose; PURPOSE_UNSPECIFIED is none."""
_NO_CLASS = pb.OPERATION_CLASS_UNSPECIFIED
CLASSES = {cls: pb.OperationClass.Value(f"OPERATION_CLASS_{cls.value}") for cls in OperationClass}
_MODES = {mode: pb.DecisionMode.Value(f"DECISION_MODE_{mode.value}") for mode in Mode}
_FAR_S = 253_402_300_799
"""The last second that a Timestamp can say."""
_PUNCTUATION = {Locale.ZH_CN: ("；", "（", "、", "）", "。"), Locale.EN: ("; ", " (", ", ", ")", ".")}


def response(decision: Decision, locale: Locale, *, record_id: str = "") -> pb.CheckResponse:
    """The answer on the wire. A denial has its text; an allow has the masking and how long it holds."""
    cls = decision.cls
    answer = pb.CheckResponse(
        allowed=decision.allowed,
        reason=decision.reason.value,
        operation_class=_NO_CLASS if cls is None else CLASSES[cls],
        record_id=record_id,
        mode=_MODES[decision.mode],
    )
    revisions = answer.revisions
    revisions.add(region_id=CARRIER, number=decision.carrier_revision)
    if decision.region != CARRIER:
        revisions.add(region_id=decision.region, number=decision.region_revision)
    if decision.allowed:
        answer.masking.CopyFrom(_masking(decision.masking))
        _set(answer.holds_until, decision.holds_until_s)
    else:
        answer.text = reason_text(decision.reason, locale)
        if decision.required:
            answer.text += _missing(decision.required, locale)
            for required in decision.required:
                answer.required.add(kind=required.kind.value, any_of=required.accepted)
    return answer


def timestamp(seconds: float) -> Timestamp:
    """Epoch seconds as a Timestamp; what is further off than it can say is its last second."""
    stamp = Timestamp()
    _set(stamp, seconds)
    return stamp


def _set(stamp: Timestamp, seconds: float) -> None:
    """To the microsecond, which is what the clocks here have; downwards, so that an answer holds no longer than it may."""
    micros = int(min(seconds, _FAR_S) * 1_000_000)
    stamp.seconds, left = divmod(micros, 1_000_000)
    stamp.nanos = left * 1000


@lru_cache(maxsize=16)
def _masking(masking: MaskingProfile) -> pb.Masking:
    return pb.Masking(phone=masking.phone, name=masking.name, id_number=masking.id_number, address=masking.address)


def _missing(required: tuple[Required, ...], locale: Locale) -> str:
    """CI-3: everything that is missing, and what would do, at once."""
    between, opening, comma, closing, stop = _PUNCTUATION[locale]
    phrases = []
    for one in required:
        phrase = required_text(one.kind, locale)
        if one.accepted:
            phrase += opening + comma.join(_named(value, locale) for value in one.accepted) + closing
        if one.fault is not None:
            phrase += comma + fault_text(one.fault, locale)
        phrases.append(phrase)
    return ("" if locale is Locale.ZH_CN else " ") + between.join(phrases) + stop


def _named(accepted: str, locale: Locale) -> str:
    """A document, channel or purpose; a role by its name, where it is one that comes with the suite."""
    role = ROLES.get(RoleId(accepted))
    if role is None:
        return accepted_text(accepted, locale)
    return role.name_zh if locale is Locale.ZH_CN else role.name_en
