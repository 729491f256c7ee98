"""Proving that one holds the bound phone (RQ-1): a code out, a code back. Every path does the same for unknown IDs (ID-7)."""

from __future__ import annotations

import secrets
import uuid
from dataclasses import dataclass
from datetime import datetime, timedelta

from authsvc import proofs
from authsvc.facts import FactSeal
from authsvc.notices import Notices
from authsvc.profile import Profile
from authsvc.proofs import Challenge
from authsvc.requests import effective_state
from authsvc.staff import StaffState
from authsvc.store import proofs as store
from authsvc.work import Connection, Message, Work, Works
from infosec import ids, sms
from infosec.errors import PermissionDenied, Reason
from infosec.events.types import EventType
from infosec.ids import StaffId, SystemId, TerminalId
from infosec.keys import MacKey
from infosec.secret import Secret

_NOBODY = StaffId("nobody")
_NO_PHONE = Secret("00000000000")


@dataclass(frozen=True, slots=True, kw_only=True)
class Proved:
    """The code was right."""

    proof: str
    staff_id: StaffId
    state: StaffState


@dataclass(frozen=True, slots=True, kw_only=True)
class ProofOwner:
    """Whose proof it is. Whether it can still be used is found out by using it."""

    challenge_id: uuid.UUID
    staff_id: StaffId


class ProofOfPhone:
    """Sends codes, judges them, and knows whose a proof is."""

    def __init__(self, works: Works, *, seal: FactSeal, notices: Notices, codes: MacKey, profile: Profile) -> None:
        self._works = works
        self._seal = seal
        self._notices = notices
        self._codes = codes
        self._profile = profile

    async def send(self, raw_staff_id: str, terminal_id: TerminalId, system_id: SystemId) -> uuid.UUID:
        """Send a code to the bound phone. Raises ResourceExhausted(RATE_LIMITED), PermissionDenied(CALLER_OUT_OF_PLACE)."""
        named = ids.attempt_key(raw_staff_id)
        key = proofs.typed_digest(named)
        code = proofs.new_code(secrets.randbelow, self._profile)
        async with self._works.begin() as work:
            await _check_place(work.conn, system_id, terminal_id)
            await store.take_places(work.conn, key, terminal_id, work.now)
            proofs.check_may_send(await store.sent(work.conn, key, terminal_id, work.now), self._profile, work.now)
            bound = await store.bound(work.conn, named)
            challenge = self._challenge(key, bound, terminal_id, code, work.now)
            await store.insert(work.conn, challenge, work.now)
            # Made for nobody too, and then dropped: what it costs must not tell who exists.
            message = self._message(bound, code, challenge.expires_at)
            if bound is not None:
                work.message(message)
            work.event(EventType.PROOF_SENT, staff_id=challenge.staff_id, terminal_id=terminal_id, system_id=system_id)
        return challenge.challenge_id

    async def prove(
        self, raw_staff_id: str, terminal_id: TerminalId, system_id: SystemId, *, challenge_id: str, code: Secret
    ) -> Proved:
        """Judge a code. The try is committed before the answer. Raises PermissionDenied(PROOF_REFUSED)."""
        named = ids.attempt_key(raw_staff_id)
        key = proofs.typed_digest(named)
        async with self._works.begin() as work:
            await _check_place(work.conn, system_id, terminal_id)
            challenge = await store.count_try(work.conn, _uuid(challenge_id))
            bound = await store.bound(work.conn, named)
            proved = bound is not None and self._is_proved(challenge, key, terminal_id, code, work.now)
            kind = EventType.PROOF_GIVEN if proved else EventType.PROOF_FAILED
            staff_id = bound.staff_id if bound is not None else None
            work.event(kind, staff_id=staff_id, terminal_id=terminal_id, system_id=system_id)
            if challenge is None or bound is None or not proved:
                answer = None
            else:
                await store.mark_met(work.conn, challenge.challenge_id, work.now)
                state = effective_state(bound.state, bound.password_ends_at, work.now)
                proof = proofs.make_proof(challenge.challenge_id, self._codes)
                answer = Proved(proof=proof, staff_id=bound.staff_id, state=state)
        if answer is None:
            raise proofs.refused()
        return answer

    async def owner(self, proof: str, system_id: SystemId) -> ProofOwner:
        """Whose proof this is, for a system that may act where it was given.

        Raises PermissionDenied(PROOF_REFUSED | CALLER_OUT_OF_PLACE).
        """
        challenge_id = proofs.open_proof(proof, self._codes)
        async with self._works.read() as conn:
            found = await store.owner(conn, challenge_id)
            if found is None:
                raise proofs.refused()
            staff_id, terminal_id = found
            await _check_place(conn, system_id, terminal_id)
        return ProofOwner(challenge_id=challenge_id, staff_id=staff_id)

    async def use(self, work: Work, owner: ProofOwner) -> None:
        """Use the proof up, once. Raises PermissionDenied(PROOF_REFUSED)."""
        met_after = work.now - self._profile.proof_life
        if not await store.use_proof(work.conn, owner.challenge_id, met_after=met_after, now=work.now):
            raise proofs.refused()

    async def forget_old(self, now: datetime) -> None:
        """Periodic: drop what no limit counts any more."""
        async with self._works.begin() as work:
            await store.forget(work.conn, now - 2 * proofs.STAFF_WINDOW)

    def _challenge(
        self, key: str, bound: store.Bound | None, terminal_id: TerminalId, code: Secret, now: datetime
    ) -> Challenge:
        challenge_id = uuid.uuid4()
        return Challenge(
            challenge_id=challenge_id,
            attempt_key=key,
            staff_id=None if bound is None else bound.staff_id,
            terminal_id=terminal_id,
            tries=0,
            expires_at=now + self._profile.proof_code_life,
            used_at=None,
            digest=self._codes.digest(*proofs.digest_parts(challenge_id, code.reveal())),
        )

    def _message(self, bound: store.Bound | None, code: Secret, expires_at: datetime) -> Message:
        staff_id = _NOBODY if bound is None else bound.staff_id
        phone = _NO_PHONE if bound is None else self._seal.open_phone(staff_id, bound.phone_sealed)
        minutes = str(int(self._profile.proof_code_life / timedelta(minutes=1)))
        return self._notices.to_phone(sms.Template.PROOF_CODE, staff_id, phone, expires_at, code=code, minutes=minutes)

    def _is_proved(
        self, challenge: Challenge | None, key: str, terminal_id: TerminalId, code: Secret, now: datetime
    ) -> bool:
        if challenge is None:
            return False
        parts = proofs.digest_parts(challenge.challenge_id, code.reveal())
        return proofs.is_proved(
            challenge,
            attempt_key=key,
            terminal_id=terminal_id,
            is_right=self._codes.matches(challenge.digest, *parts),
            profile=self._profile,
            now=now,
        )


async def _check_place(conn: Connection, system_id: SystemId, terminal_id: TerminalId) -> None:
    if not await store.serves(conn, system_id, terminal_id):
        raise PermissionDenied(Reason.CALLER_OUT_OF_PLACE)


def _uuid(text: str) -> uuid.UUID:
    try:
        return uuid.UUID(text)
    except ValueError:
        raise proofs.refused() from None
