"""Puts authsvc together from its leaves, top to bottom; tests and the demo call the same function with other ones.

The clock is an argument here, and nowhere a setting.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

from prometheus_client import CollectorRegistry, Counter, Gauge

from authsvc import deviations
from authsvc.activity import Activity
from authsvc.actor import Actors
from authsvc.announcing import Announcer
from authsvc.core import Core, build_core
from authsvc.desk import Desk, build_desk
from authsvc.feeder import Feeder
from authsvc.flows.assertions import Assertions
from authsvc.flows.assign import CustomerLists
from authsvc.flows.attempts import Attempts
from authsvc.flows.deliveries import Deliveries, NotifyService
from authsvc.flows.import_staff import Imports
from authsvc.flows.login import Logins
from authsvc.flows.password_change import PasswordChanges
from authsvc.flows.second_factor import SecondFactors
from authsvc.flows.session_life import SessionLife
from authsvc.flows.staff_changes import StaffChanges
from authsvc.flows.sweeps import Sweeps
from authsvc.front import CheckFront
from authsvc.hash_schemes import HashParameters
from authsvc.hashing import PasswordHasher, PoolLimits, Target
from authsvc.journal import CheckJournal
from authsvc.profile import Profile
from authsvc.recorder import RELAYED, AuditDelivery, AuditLog, GroupRecorder
from authsvc.rpc.admin_calls import AdminCalls
from authsvc.rpc.approvals import ApprovalServicer
from authsvc.rpc.check import CheckServicer
from authsvc.rpc.directory import DirectoryAdminServicer
from authsvc.rpc.login import LoginService
from authsvc.rpc.policy import PolicyAdminServicer, PolicyServicer
from authsvc.rpc.requests import RequestServicer
from authsvc.rpc.staff import StaffAdminServicer
from authsvc.word_lists import brand_words, common_passwords
from authsvc.work import AUDIT, NOTIFY, Works
from infosec.api.auth.v1 import (
    approvals_pb2_grpc,
    check_pb2_grpc,
    directory_pb2_grpc,
    login_pb2_grpc,
    policy_pb2_grpc,
    requests_pb2_grpc,
    staff_pb2_grpc,
)
from infosec.clock import Clock
from infosec.errors import Reason
from infosec.events.event import Event
from infosec.events.kinds import as_text
from infosec.events.types import EventType
from infosec.keys import KeyRing, MacKind, SigningKind
from infosec.rpc.server.builder import Registration
from infosec.rpc.server.refusals import Refusal
from infosec.rpc.server.retries import Fingerprints, Retries
from infosec.storage.jobs import Job, Jobs
from infosec.storage.outbox import Relay, RelayTimes
from infosec.storage.postgres import Database
from infosec.storage.redis import Hints

SCHEMA = "auth"
ROLE = "auth_service"
MIGRATIONS = "authsvc.migrations"
_PACKAGE = "infosec.api.auth.v1"
CHECK_SERVICE = f"{_PACKAGE}.CheckService"
LOGIN_SERVICE = f"{_PACKAGE}.LoginService"
PERSON_SERVICES = tuple(f"{_PACKAGE}.{name}" for name in ("RequestService", "ApprovalService", "PolicyService"))
ADMIN_SERVICES = tuple(
    f"{_PACKAGE}.{name}" for name in ("StaffAdminService", "DirectoryAdminService", "PolicyAdminService")
)
HOT_PATHS = frozenset(f"/{CHECK_SERVICE}/{method}" for method in ("Check", "CheckBatch", "CheckStream"))
"""Good answers of these leave no log line."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AuthApp:
    """The service, ready to be served. `run` has to run beside the server."""

    registrations: tuple[Registration, ...]
    """Every RPC service of auth.v1 but CheckService."""
    check_registrations: tuple[Registration, ...]
    """CheckService: the hot path, which may be served by processes of its own."""
    installation: str
    works: Works
    actors: Actors
    feeder: Feeder
    journal: CheckJournal
    _relay: Relay
    _audit_relay: Relay
    _jobs: Jobs
    _recorder: GroupRecorder
    _activity: Activity
    _announcer: Announcer
    _hints: Hints | None
    _hasher: PasswordHasher
    _attempts: Attempts
    _activity_every_s: float

    async def run(self) -> None:
        """Follow changes, deliver the outbox, do the periodic jobs; until cancelled."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self.run_check())
            group.create_task(self._announcer.run())
            group.create_task(self._relay.run())
            group.create_task(self._audit_relay.run())
            group.create_task(self._jobs.run())

    async def run_check(self) -> None:
        """Only what the check needs: for a process that serves nothing else."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self.feeder.run())
            group.create_task(self._recorder.run())
            group.create_task(self.journal.run())
            group.create_task(self._activity.run(self._activity_every_s))
            if self._hints is not None:
                group.create_task(_follow(self._hints, self._announcer))

    async def work_once(self) -> None:
        """Everything periodic, now: for a demo or test that moves the clock itself. `run` has to run beside it."""
        await self._jobs.run_due()
        while await self._relay.deliver_due() + await self._audit_relay.deliver_due():
            pass
        await self.journal.drained()
        await self.feeder.refresh()

    async def ready(self, _service: str) -> bool:
        """Ready only with a fresh snapshot."""
        return self.feeder.is_fresh

    async def refused(self, refusal: Refusal) -> None:
        """Record a refused call (CI-1). A refused login was recorded with its attempt."""
        if refusal.reason is Reason.LOGIN_REFUSED:
            return
        facts: dict[str, str | int | None] = {
            "caller": as_text(refusal.caller or ""),
            "method": as_text(refusal.method),
            "reason": refusal.reason.value,
            "peer": as_text(refusal.peer),
            "count": refusal.count,
            "first": refusal.first.isoformat(),
        }
        await self.works.record([Event(type=EventType.CALL_REFUSED, at=refusal.last, facts=facts)])

    async def close(self) -> None:
        """Let attempts under way end, then let go of the threads."""
        await self._attempts.drain()
        self._hasher.close()
        self.journal.close()


def build(
    *,
    db: Database,
    keys: KeyRing,
    profile: Profile,
    clock: Clock,
    installation: str,
    notify: NotifyService,
    audit: AuditLog,
    spool_dir: Path,
    registry: CollectorRegistry,
    hints: Hints | None = None,
    hashing: HashParameters | None = None,
    hash_pool: PoolLimits | None = None,
    observe_hash: Callable[[Target], None] | None = None,
    poll_every: timedelta = timedelta(milliseconds=250),
    shows_messages: bool = False,
) -> AuthApp:
    """The service on these leaves: `db` as role auth_service, `installation` the ID that tokens are good for.

    `spool_dir` keeps the checks that are not in the log yet: on a disk that outlives the process.
    """
    metrics = _Metrics(registry, hints, observe_hash)
    relay: list[Relay] = []
    core = build_core(
        db=db,
        keys=keys,
        profile=profile,
        clock=clock,
        installation=installation,
        hints=hints,
        hasher=PasswordHasher(hashing or HashParameters(), limits=hash_pool or PoolLimits(), observer=metrics.verified),
        nudge=lambda: relay[0].nudge(),
        poll_every=poll_every,
    )
    desk = build_desk(core)
    deliveries = Deliveries(core.works, notify=notify, clocks=desk.clocks)
    relay.append(_relay(db, clock, deliveries))
    recorder = GroupRecorder(audit, deadline=profile.record_deadline)
    audit_relay = Relay(
        db,
        schema=SCHEMA,
        topic=AUDIT,
        deliver=AuditDelivery(audit).deliver,
        clock=clock,
        batch=RELAYED,
        shipment=RELAYED,
        times=RelayTimes(poll_s=0.5),
    )
    journal = CheckJournal(spool_dir, audit, clock)
    activity = Activity(core.works, clock, step=profile.idle_recording_step, latest_idle=profile.idle_latest)
    jobs = _jobs(core, desk, deliveries, (relay[0], audit_relay))
    metrics.watch(journal)
    return AuthApp(
        registrations=(*_for_people(core, desk, shows_messages), *_for_administrators(core, desk)),
        check_registrations=(_check(core, recorder, journal, activity),),
        installation=installation,
        works=core.works,
        actors=core.actors,
        feeder=core.feeder,
        journal=journal,
        _relay=relay[0],
        _audit_relay=audit_relay,
        _jobs=Jobs(db, schema=SCHEMA, jobs=jobs, clock=clock, on_success=metrics.job_done),
        _recorder=recorder,
        _activity=activity,
        _announcer=core.announcer,
        _hints=hints,
        _hasher=core.hasher,
        _attempts=core.attempts,
        _activity_every_s=profile.idle_flush.total_seconds(),
    )


def _relay(db: Database, clock: Clock, deliveries: Deliveries) -> Relay:
    return Relay(
        db,
        schema=SCHEMA,
        topic=NOTIFY,
        deliver=deliveries.deliver,
        clock=clock,
        erase_body=True,
        times=RelayTimes(give_up_after=timedelta(hours=25)),
    )


def _jobs(core: Core, desk: Desk, deliveries: Deliveries, relays: Sequence[Relay]) -> tuple[Job, ...]:
    return (
        *Sweeps(works=core.works, notices=core.notices, profile=core.profile).jobs(),
        Job(name="request-clocks", every=timedelta(seconds=30), run=desk.clocks.sweep),
        Job(name="follow-up-deliveries", every=timedelta(seconds=10), run=deliveries.follow_up),
        Job(name="forget-proofs", every=timedelta(hours=1), run=desk.proofs.forget_old),
        Job(name="forget-delivered", every=timedelta(hours=1), run=_forgetting(relays)),
    )


def _for_people(core: Core, desk: Desk, shows_messages: bool) -> tuple[Registration, ...]:
    """What everybody uses: login, requests, approvals, and what the policy is."""
    retries = _retries(core)
    requests = RequestServicer(
        actors=core.actors,
        proofs=desk.proofs,
        submissions=desk.submissions,
        decisions=desk.decisions,
        retries=retries,
    )
    approvals = ApprovalServicer(
        actors=core.actors, approvals=desk.approvals, decisions=desk.decisions, retries=retries
    )
    policy = PolicyServicer(
        works=core.works,
        calls=_calls(core),
        profile=core.profile,
        installation=deviations.Installation(shows_messages=shows_messages),
    )
    return (
        (login_pb2_grpc.add_LoginServiceServicer_to_server, _login(core)),
        (requests_pb2_grpc.add_RequestServiceServicer_to_server, requests),
        (approvals_pb2_grpc.add_ApprovalServiceServicer_to_server, approvals),
        (policy_pb2_grpc.add_PolicyServiceServicer_to_server, policy),
    )


def _for_administrators(core: Core, desk: Desk) -> tuple[Registration, ...]:
    calls = _calls(core)
    staff = StaffAdminServicer(
        works=core.works,
        calls=calls,
        hiring=desk.hiring,
        imports=Imports(core.works, desk.hiring, core.clock),
        privileged=desk.privileged,
        changes=StaffChanges(core.works, core.seal),
        submissions=desk.submissions,
    )
    lists = CustomerLists(core.customer_digest, core.profile)
    directory = DirectoryAdminServicer(works=core.works, calls=calls, lists=lists)
    policy = PolicyAdminServicer(
        works=core.works, calls=calls, changes=desk.policy_changes, submissions=desk.submissions
    )
    return (
        (staff_pb2_grpc.add_StaffAdminServiceServicer_to_server, staff),
        (directory_pb2_grpc.add_DirectoryAdminServiceServicer_to_server, directory),
        (policy_pb2_grpc.add_PolicyAdminServiceServicer_to_server, policy),
    )


def _login(core: Core) -> LoginService:
    works, actors, attempts, profile = core.works, core.actors, core.attempts, core.profile
    return LoginService(
        logins=Logins(attempts=attempts, notices=core.notices, tokens=core.tokens, profile=profile),
        passwords=PasswordChanges(
            works=works,
            actors=actors,
            attempts=attempts,
            hasher=core.hasher,
            seal=core.seal,
            common=common_passwords(),
            brand_words=brand_words(),
            profile=profile,
        ),
        factors=SecondFactors(works=works, actors=actors, attempts=attempts, totp_keys=core.totp_keys, profile=profile),
        sessions=SessionLife(works=works, actors=actors, attempts=attempts, tokens=core.tokens, clock=core.clock),
        assertions=Assertions(
            actors=actors,
            keys=core.keys.signing[SigningKind.ASSERTION],
            installation=core.installation,
            clock=core.clock,
            life=profile.assertion_life,
        ),
    )


def _check(core: Core, recorder: GroupRecorder, journal: CheckJournal, activity: Activity) -> Registration:
    front = CheckFront(
        core.feeder,
        recorder,
        journal,
        activity,
        core.clock,
        installation=core.installation,
        customer_digest=core.customer_digest,
        revision_wait=core.profile.revision_wait,
    )
    servicer = CheckServicer(front, core.feeder, installation=core.installation)
    return check_pb2_grpc.add_CheckServiceServicer_to_server, servicer


def _calls(core: Core) -> AdminCalls:
    return AdminCalls(works=core.works, actors=core.actors, retries=_retries(core))


def _retries(core: Core) -> Retries:
    return Retries(Fingerprints(core.keys.mac[MacKind.REQUESTS]))


class _Metrics:
    """What authsvc counts beside its calls."""

    def __init__(
        self, registry: CollectorRegistry, hints: Hints | None, observe_hash: Callable[[Target], None] | None
    ) -> None:
        self._observe_hash = observe_hash
        self._verified = Counter(
            "infosec_hash_verifications", "Password verifications by target.", ("target",), registry=registry
        )
        self._last_success = Gauge(
            "infosec_job_last_success_seconds", "When a periodic job last succeeded.", ("job",), registry=registry
        )
        lost = Gauge("infosec_hints_lost", "Change hints that Redis did not take.", registry=registry)
        lost.set_function(lambda: hints.lost if hints is not None else 0)

        self._undelivered = Gauge(
            "infosec_check_records_undelivered", "Decisions that are not in the audit log yet.", registry=registry
        )

    def watch(self, journal: CheckJournal) -> None:
        self._undelivered.set_function(lambda: journal.backlog().count)

    def verified(self, target: Target) -> None:
        self._verified.labels(target.value).inc()
        if self._observe_hash is not None:
            self._observe_hash(target)

    def job_done(self, name: str, at: datetime) -> None:
        self._last_success.labels(name).set(at.timestamp())


async def _follow(hints: Hints, announcer: Announcer) -> None:
    async for hint in hints.follow():
        announcer.heard(hint)


def _forgetting(relays: Sequence[Relay]) -> Callable[[datetime], Awaitable[None]]:
    async def forget(now: datetime) -> None:
        for relay in relays:
            await relay.forget_delivered(now - timedelta(days=7))

    return forget
