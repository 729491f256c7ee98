"""Login: one session of one staff ID at one terminal (ID-5, ID-9), and what it answers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

from authsvc.flows.attempts import Attempts, nothing
from authsvc.flows.counting import Ask, Scene
from authsvc.flows.transitions import record_end
from authsvc.lockout import Purpose
from authsvc.notices import Notices, local_time
from authsvc.passwords import days_left
from authsvc.profile import Profile
from authsvc.sessions import Duty, EndReason, FindingKind, duties, ends_at, must_enroll, odd_uses
from authsvc.store import findings, sessions
from authsvc.store.findings import Finding
from authsvc.store.opening import Opening
from authsvc.store.places import Place
from authsvc.store.sessions import EndedSession, NewSession
from authsvc.store.staff import Person
from authsvc.work import ChangeKind, Draft, Work
from infosec import ids, sms
from infosec.decision.session import SessionHandle, issue_token
from infosec.events.types import EventType
from infosec.ids import RegionId, RoleId, SessionId, StaffId, StoreId, SystemId, TerminalId
from infosec.keys import SigningKeys
from infosec.secret import Secret


@dataclass(frozen=True, slots=True, kw_only=True)
class LoginAsk:
    """What a system sends for a person."""

    staff_text: str
    password: Secret
    code: Secret = field(default_factory=lambda: Secret(""))
    terminal_id: TerminalId
    system_id: SystemId


@dataclass(frozen=True, slots=True, kw_only=True)
class PastLogin:
    """The login before this one."""

    at: datetime
    terminal_id: TerminalId
    store_id: StoreId


@dataclass(frozen=True, slots=True, kw_only=True)
class Opened:
    """What a login answers with (section A), but for the token."""

    session_id: SessionId
    staff_id: StaffId
    role_id: RoleId
    store_id: StoreId
    session_region: RegionId
    terminal_id: TerminalId
    last_login: PastLogin | None
    failures_since: int
    password_days_left: int
    duties: tuple[Duty, ...]
    started_at: datetime
    ends_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class LoggedIn:
    """A session, its first token, and the revision at which every node knows it."""

    opened: Opened
    token: Secret
    revision: int


class Tokens:
    """Signs session tokens of this installation."""

    def __init__(self, *, keys: SigningKeys, installation: str) -> None:
        self._keys = keys
        self._installation = installation

    def issue(
        self,
        *,
        session_id: SessionId,
        staff_id: StaffId,
        system_id: SystemId,
        terminal_id: TerminalId,
        region_id: RegionId,
        revision: int,
        expires_s: int,
        now: datetime,
    ) -> Secret:
        """One token, for one system."""
        handle = SessionHandle(
            session_id=session_id,
            system=system_id,
            terminal=terminal_id,
            staff_id=staff_id,
            region=region_id,
            revision=revision,
            installation=self._installation,
            issued_s=int(now.timestamp()),
            expires_s=expires_s,
        )
        return Secret(issue_token(handle, self._keys))


class Logins:
    """Logs people in."""

    def __init__(self, *, attempts: Attempts, notices: Notices, tokens: Tokens, profile: Profile) -> None:
        self._attempts = attempts
        self._notices = notices
        self._tokens = tokens
        self._profile = profile

    async def login(self, ask: LoginAsk) -> LoggedIn:
        """One login. Raises as Attempts.run does."""

        async def settle(work: Work, scene: Scene, _: None) -> Opened:
            return await self._open(work, scene, ask.system_id)

        attempt = Ask(
            purpose=Purpose.LOGIN,
            staff_text=ask.staff_text,
            terminal_id=ask.terminal_id,
            system_id=ask.system_id,
            password=ask.password,
            code=ask.code,
        )

        def foretell(draft: Draft, scene: Scene, place: Place) -> tuple[Opened, Opening] | None:
            return self._foretell(draft, scene, ask.system_id, place)

        settled = await self._attempts.run(attempt, nothing, settle, foretell=foretell)
        opened = settled.value
        revision = settled.revisions[opened.session_region]
        token = self._tokens.issue(
            session_id=opened.session_id,
            staff_id=opened.staff_id,
            system_id=ask.system_id,
            terminal_id=opened.terminal_id,
            region_id=opened.session_region,
            revision=revision,
            # The longest that a session can last: a restricted one grows when it is completed. Its true end is in the record.
            expires_s=int((opened.started_at + self._profile.shift_limit).timestamp()),
            now=opened.started_at,
        )
        return LoggedIn(opened=opened, token=token, revision=revision)

    async def _open(self, work: Work, scene: Scene, system_id: SystemId) -> Opened:
        """The session and all that a complete login means, in the settling transaction."""
        new = self._new_session(scene, system_id, work.now)
        moved = await sessions.start_by_login(
            work.conn, new, failing_key=scene.failing_key, reason=EndReason.LOGGED_IN_AGAIN.value
        )
        self._record(work, scene, new, moved)
        await self._report(work, scene)
        return _opened(scene, new)

    def _foretell(self, draft: Draft, scene: Scene, system_id: SystemId, place: Place) -> tuple[Opened, Opening] | None:
        """The same, to be written in company; None for what should be looked at (ID-10)."""
        if any(self._odd_uses(scene, draft.now)):
            return None
        new = self._new_session(scene, system_id, draft.now)
        self._record(draft, scene, new, _unended(scene.person))
        opening = Opening(
            new=new,
            person=scene.person,
            place=place,
            failing_key=scene.failing_key,
            reason=EndReason.LOGGED_IN_AGAIN.value,
            outgoing=draft.outgoing(),
        )
        return _opened(scene, new), opening

    def _new_session(self, scene: Scene, system_id: SystemId, now: datetime) -> NewSession:
        person, terminal = scene.person, scene.tried.terminal
        change = person.is_first or person.must_change
        enroll = must_enroll(person.role_id, totp_active=person.totp_active, profile=self._profile)
        return NewSession(
            session_id=SessionId(ids.new_id()),
            staff_id=person.staff_id,
            terminal_id=terminal.terminal_id,
            store_id=terminal.store_id,
            region_id=terminal.region_id,
            system_id=system_id,
            staff_epoch=person.epoch,
            started_at=now,
            ends_at=ends_at(now, person.ends_at, is_restricted=change or enroll, profile=self._profile),
            must_change=change,
            must_enroll=enroll,
        )

    def _record(self, work: Draft, scene: Scene, new: NewSession, moved: EndedSession | None) -> None:
        """What is told of it: the record, the nodes, the person."""
        if moved is not None:
            has_moved = moved.terminal_id != new.terminal_id  # from the same terminal it was let go of in person
            record_end(work, moved, EndReason.LOGGED_IN_AGAIN, is_pressing=has_moved)
        work.change(new.region_id, ChangeKind.SESSION, new.session_id, is_pressing=False)
        work.event(EventType.LOGIN_SUCCEEDED, new.region_id, **_facts(new), failures_since=scene.person.failures_since)
        self._tell(work, scene, moved)

    def _tell(self, work: Draft, scene: Scene, moved: EndedSession | None) -> None:
        """Tell the bound phone of a session that was ended elsewhere (ID-9), and of a terminal never used before (ID-7)."""
        person, terminal = scene.person, scene.tried.terminal
        templates = []
        if moved is not None and moved.terminal_id != terminal.terminal_id:
            templates.append(sms.Template.SESSION_MOVED)
        # At the first login of all too: it may be by somebody else who came by the password.
        if not scene.person.knows_terminal:
            templates.append(sms.Template.NEW_TERMINAL)
        for template in templates:
            work.message(
                self._notices.to_staff(
                    template,
                    person.staff_id,
                    person.phone_sealed,
                    work.now,
                    at=local_time(work.now),
                    place=scene.tried.store_name,
                    hotline=scene.tried.hotline,
                )
            )

    async def _report(self, work: Work, scene: Scene) -> None:
        """ID-10: use from two places, and travel that is not possible."""
        person, terminal = scene.person, scene.tried.terminal
        last = person.last_sighting
        for kind in self._odd_uses(scene, work.now):
            await findings.put(
                work.conn,
                Finding(
                    kind=kind,
                    region_id=terminal.region_id,
                    staff_id=person.staff_id,
                    terminal_id=terminal.terminal_id,
                    store_id=terminal.store_id,
                    detail={"last_terminal": last.terminal_id, "last_store": last.store_id} if last else {},
                ),
                work.now,
            )

    def _odd_uses(self, scene: Scene, now: datetime) -> tuple[FindingKind, ...]:
        terminal = scene.tried.terminal
        return odd_uses(scene.person.last_sighting, terminal.terminal_id, terminal.store_id, now, self._profile)


def _opened(scene: Scene, new: NewSession) -> Opened:
    person = scene.person
    return Opened(
        session_id=new.session_id,
        staff_id=person.staff_id,
        role_id=person.role_id,
        store_id=person.store_id,
        session_region=new.region_id,
        terminal_id=new.terminal_id,
        last_login=_past_login(scene),
        failures_since=person.failures_since,
        password_days_left=days_left(person.ends_at, new.started_at),
        duties=duties(must_change=new.must_change, must_enroll=new.must_enroll),
        started_at=new.started_at,
        ends_at=new.ends_at,
    )


def _unended(person: Person) -> EndedSession | None:
    """The session that a login now ends, as far as was read."""
    session_id, terminal_id = person.unended_session_id, person.session_terminal_id
    if session_id is None or not terminal_id or not person.session_store_id or not person.session_region_id:
        return None
    return EndedSession(
        session_id=session_id,
        staff_id=person.staff_id,
        terminal_id=terminal_id,
        store_id=person.session_store_id,
        region_id=person.session_region_id,
    )


def _past_login(scene: Scene) -> PastLogin | None:
    person = scene.person
    if person.last_login_at is None or not person.last_login_terminal_id or not person.last_login_store_id:
        return None
    return PastLogin(
        at=person.last_login_at, terminal_id=person.last_login_terminal_id, store_id=person.last_login_store_id
    )


def _facts(new: NewSession) -> Mapping[str, str]:
    return {
        "staff_id": new.staff_id,
        "session_id": new.session_id,
        "terminal_id": new.terminal_id,
        "store_id": new.store_id,
        "system_id": new.system_id,
    }
