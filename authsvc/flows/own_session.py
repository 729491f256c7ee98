"""What is common to everything that a person does to their own credentials within a session."""

from __future__ import annotations

from datetime import datetime

from authsvc.actor import Actor
from authsvc.flows.counting import Ask, Scene
from authsvc.lockout import Purpose
from authsvc.profile import Profile
from authsvc.sessions import Duty, duties, ends_at
from authsvc.store import sessions
from authsvc.work import ChangeKind, Work
from infosec.errors import PermissionDenied, Reason, Unauthenticated
from infosec.secret import Secret

_NO_CODE = Secret("")


def ask_in_session(actor: Actor, purpose: Purpose, *, password: Secret | None = None, code: Secret = _NO_CODE) -> Ask:
    """An attempt by the person of this session, at its terminal."""
    return Ask(
        purpose=purpose,
        staff_text=actor.staff_id,
        terminal_id=actor.terminal_id,
        system_id=actor.system_id,
        password=password,
        code=code,
    )


def require_open(actor: Actor) -> None:
    """Raises PermissionDenied(SESSION_LOCKED): whoever left the terminal resumes first (ID-9)."""
    if actor.is_locked:
        raise PermissionDenied(Reason.SESSION_LOCKED)


def require_same_session(actor: Actor, scene: Scene) -> None:
    """Raises Unauthenticated(SESSION_ENDED) if it ended while the secret was verified."""
    if scene.person.live_session_id != actor.session_id:
        raise Unauthenticated(Reason.SESSION_ENDED)


async def complete(
    work: Work, actor: Actor, scene: Scene, profile: Profile, *, duty: Duty, password_ends_at: datetime
) -> tuple[Duty, ...]:
    """One duty is done; the session becomes a full one when it was the last. Answers what is left."""
    person = scene.person
    change = bool(person.session_must_change) and duty is not Duty.CHANGE_PASSWORD
    enroll = bool(person.session_must_enroll) and duty is not Duty.ENROLL_TOTP
    started = person.session_started_at or work.now
    end = ends_at(started, password_ends_at, is_restricted=change or enroll, profile=profile)
    await sessions.complete_duty(work.conn, actor.session_id, must_change=change, must_enroll=enroll, ends_at=end)
    work.change(scene.tried.terminal.region_id, ChangeKind.SESSION, actor.session_id)
    return duties(must_change=change, must_enroll=enroll)
