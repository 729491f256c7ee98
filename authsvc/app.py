"""Puts authsvc together from its leaves, top to bottom; tests and the demo call the same function with other ones.

The clock is an argument here, and nowhere a setting.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import datetime, timedelta

from prometheus_client import CollectorRegistry, Counter, Gauge

from authsvc import deviations
from authsvc.activity import Activity
from authsvc.actor import Actors
from authsvc.announcing import Announcer
from authsvc.events import Event, EventType
from authsvc.facts import FactSeal
from authsvc.feeder import Feeder
from authsvc.flows.approvals import Approvals
from authsvc.flows.assign import CustomerLists
from authsvc.flows.attempts import Attempts
from authsvc.flows.carry_out import CarryOut
from authsvc.flows.decide import Decisions
from authsvc.flows.deliveries import Deliveries, NotifyService
from authsvc.flows.first_password import FirstPasswords
from authsvc.flows.hire import Hiring
from authsvc.flows.import_staff import Imports
from authsvc.flows.login import Logins, Tokens
from authsvc.flows.password_change import PasswordChanges
from authsvc.flows.policy_changes import PolicyChanges
from authsvc.flows.privileged import PrivilegedHires
from authsvc.flows.proof import ProofOfPhone
from authsvc.flows.request_clocks import RequestClocks
from authsvc.flows.seating import Seating
from authsvc.flows.second_factor import SecondFactors
from authsvc.flows.session_life import SessionLife
from authsvc.flows.staff_changes import StaffChanges
from authsvc.flows.submit import Submissions
from authsvc.flows.sweeps import Sweeps
from authsvc.front import CheckFront
from authsvc.hash_schemes import HashParameters
from authsvc.hashing import PasswordHasher, PoolLimits, Target
from authsvc.notices import Notices
from authsvc.profile import Profile
from authsvc.recorder import OutboxRecorder
from authsvc.requests import Kind
from authsvc.rpc.admin_calls import AdminCalls
from authsvc.rpc.approvals import ApprovalServicer
from authsvc.rpc.check import CheckServicer
from authsvc.rpc.directory import DirectoryAdminServicer
from authsvc.rpc.idempotent import Retries
from authsvc.rpc.login import LoginService
from authsvc.rpc.policy import PolicyAdminServicer, PolicyServicer
from authsvc.rpc.requests import RequestServicer
from authsvc.rpc.staff import StaffAdminServicer
from authsvc.store.grants import serves_store
from authsvc.word_lists import brand_words, common_passwords
from authsvc.work import NOTIFY, Works
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
from infosec.decision.policy import Policy
from infosec.decision.snapshot import PublicKeys
from infosec.decision.tables import Limits
from infosec.errors import Reason
from infosec.ids import StoreId, SystemId
from infosec.keys import KeyRing, MacKind, SealingKind, SigningKind
from infosec.rpc.server.builder import Registration
from infosec.rpc.server.refusals import Refusal
from infosec.rpc.server.retries import Fingerprints
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
    works: Works
    actors: Actors
    feeder: Feeder
    _relay: Relay
    _jobs: Jobs
    _recorder: OutboxRecorder
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
            group.create_task(self._jobs.run())

    async def run_check(self) -> None:
        """Only what the check needs: for a process that serves nothing else."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self.feeder.run())
            group.create_task(self._recorder.run())
            group.create_task(self._activity.run(self._activity_every_s))
            if self._hints is not None:
                group.create_task(_follow(self._hints, self._announcer))

    async def work_once(self) -> None:
        """Everything periodic, now: for a demo or test that moves the clock itself."""
        await self._jobs.run_due()
        while await self._relay.deliver_due():
            pass
        await self.feeder.refresh()

    async def ready(self, _service: str) -> bool:
        """Ready only with a fresh snapshot."""
        return self.feeder.is_fresh

    async def refused(self, refusal: Refusal) -> None:
        """Record a refused call (CI-1). A refused login was recorded with its attempt."""
        if refusal.reason is Reason.LOGIN_REFUSED:
            return
        facts: dict[str, str | int | None] = {
            "caller": refusal.caller,
            "method": refusal.method,
            "reason": refusal.reason.value,
            "peer": refusal.peer,
            "count": refusal.count,
            "first": refusal.first.isoformat(),
        }
        await self.works.record([Event(type=EventType.CALL_REFUSED, at=refusal.last, facts=facts)])

    async def close(self) -> None:
        """Let attempts under way end, then let go of the threads."""
        await self._attempts.drain()
        self._hasher.close()


def build(
    *,
    db: Database,
    keys: KeyRing,
    profile: Profile,
    clock: Clock,
    installation: str,
    notify: NotifyService,
    registry: CollectorRegistry,
    hints: Hints | None = None,
    hashing: HashParameters | None = None,
    hash_pool: PoolLimits | None = None,
    observe_hash: Callable[[Target], None] | None = None,
    poll_every: timedelta = timedelta(milliseconds=250),
    shows_messages: bool = False,
) -> AuthApp:
    """The service on these leaves: `db` as role auth_service, `installation` the ID that tokens are good for."""
    metrics = _Metrics(registry, hints)
    relay: list[Relay] = []

    announcer = Announcer(lambda: feeder.hint(), hints)
    works = Works(
        db,
        clock,
        announce=announcer.at_once,
        announce_soon=announcer.soon,
        nudge=lambda: relay[0].nudge(),
    )
    limits = Limits(
        profile=profile.name,
        idle_s=profile.idle_limit.total_seconds(),
        idle_grace_s=profile.idle_grace.total_seconds(),
        staleness_s=profile.staleness_bound.total_seconds(),
    )

    def public_keys() -> PublicKeys:
        return {kind.value: public for kind, public in keys.public_keys().items()}

    feeder = Feeder(db, clock, limits=limits, public_keys=public_keys, poll_every=poll_every)

    def observe(target: Target) -> None:
        metrics.verified(target)
        if observe_hash is not None:
            observe_hash(target)

    hasher = PasswordHasher(hashing or HashParameters(), limits=hash_pool or PoolLimits(), observer=observe)
    session_keys = keys.signing[SigningKind.SESSION]
    totp_keys = keys.sealing[SealingKind.TOTP]
    change_keys = keys.sealing[SealingKind.FACTS]
    seal = FactSeal(keys.sealing[SealingKind.FACTS])
    notices = Notices(message_keys=keys.sealing[SealingKind.MESSAGES], seal=seal)
    actors = Actors(works, session_keys, installation, clock, latest_idle=profile.idle_latest)
    tokens = Tokens(keys=session_keys, installation=installation)
    attempts = Attempts(works=works, hasher=hasher, totp_keys=totp_keys, notices=notices, profile=profile, clock=clock)
    first_passwords = FirstPasswords(hasher=hasher, notices=notices, profile=profile)

    def customer_digest(customer: str) -> bytes:
        return keys.mac[MacKind.CUSTOMERS].digest(customer.encode())

    def policy() -> Policy:
        return feeder.snapshot.policy

    async def system_serves(system_id: SystemId, store_id: StoreId) -> bool:
        async with works.read() as conn:
            return await serves_store(conn, system_id, store_id)

    seating = Seating(policy)
    hiring = Hiring(works, seal=seal, first_passwords=first_passwords, profile=profile, clock=clock)
    privileged = PrivilegedHires(hiring, change_keys)
    policy_changes = PolicyChanges()
    carry_out = CarryOut(
        works,
        first_passwords=first_passwords,
        seal=seal,
        change_keys=change_keys,
        notices=notices,
        policy=policy,
        effects={Kind.CREATE_PRIVILEGED: privileged, Kind.CHANGE_POLICY: policy_changes},
    )
    clocks = RequestClocks(works, seating=seating, notices=notices, profile=profile)
    proofs = ProofOfPhone(works, seal=seal, notices=notices, codes=keys.mac[MacKind.CODES], profile=profile)
    submissions = Submissions(
        works,
        proofs=proofs,
        clocks=clocks,
        seating=seating,
        carry_out=carry_out,
        seal=seal,
        policy=policy,
        profile=profile,
    )
    decisions = Decisions(works, seating=seating, carry_out=carry_out, notices=notices, profile=profile)
    approvals = Approvals(
        works,
        seating=seating,
        policy=policy,
        customer_digest=customer_digest,
        system_serves=system_serves,
        keys=keys.signing[SigningKind.GRANT_APPROVAL],
        installation=installation,
        profile=profile,
    )
    following = Deliveries(works, notify=notify, clocks=clocks)
    relay.append(
        Relay(
            db,
            schema=SCHEMA,
            topic=NOTIFY,
            deliver=following.deliver,
            clock=clock,
            erase_body=True,
            times=RelayTimes(give_up_after=timedelta(hours=25)),
        )
    )
    activity = Activity(works, clock, step=profile.idle_recording_step, latest_idle=profile.idle_latest)
    recorder = OutboxRecorder(works)
    front = CheckFront(
        feeder,
        recorder,
        activity,
        clock,
        installation=installation,
        customer_digest=customer_digest,
        revision_wait=profile.revision_wait,
    )
    jobs = (
        *Sweeps(works=works, notices=notices, profile=profile).jobs(),
        Job(name="request-clocks", every=timedelta(seconds=30), run=clocks.sweep),
        Job(name="follow-up-deliveries", every=timedelta(seconds=10), run=following.follow_up),
        Job(name="forget-proofs", every=timedelta(hours=1), run=proofs.forget_old),
        Job(name="forget-delivered", every=timedelta(hours=1), run=_forgetting(relay[0])),
    )
    retries = Retries(Fingerprints(keys.mac[MacKind.REQUESTS]))
    calls = AdminCalls(works=works, actors=actors, retries=retries)
    login = LoginService(
        logins=Logins(attempts=attempts, notices=notices, tokens=tokens, profile=profile),
        passwords=PasswordChanges(
            works=works,
            actors=actors,
            attempts=attempts,
            hasher=hasher,
            seal=seal,
            common=common_passwords(),
            brand_words=brand_words(),
            profile=profile,
        ),
        factors=SecondFactors(works=works, actors=actors, attempts=attempts, totp_keys=totp_keys, profile=profile),
        sessions=SessionLife(works=works, actors=actors, attempts=attempts, tokens=tokens, clock=clock),
    )
    requests = RequestServicer(
        actors=actors, proofs=proofs, submissions=submissions, decisions=decisions, retries=retries
    )
    return AuthApp(
        registrations=(
            (login_pb2_grpc.add_LoginServiceServicer_to_server, login),
            (requests_pb2_grpc.add_RequestServiceServicer_to_server, requests),
            (
                approvals_pb2_grpc.add_ApprovalServiceServicer_to_server,
                ApprovalServicer(actors=actors, approvals=approvals, decisions=decisions, retries=retries),
            ),
            (
                staff_pb2_grpc.add_StaffAdminServiceServicer_to_server,
                StaffAdminServicer(
                    works=works,
                    calls=calls,
                    hiring=hiring,
                    imports=Imports(works, hiring, clock),
                    privileged=privileged,
                    changes=StaffChanges(works, seal),
                    submissions=submissions,
                ),
            ),
            (
                directory_pb2_grpc.add_DirectoryAdminServiceServicer_to_server,
                DirectoryAdminServicer(works=works, calls=calls, lists=CustomerLists(customer_digest, profile)),
            ),
            (
                policy_pb2_grpc.add_PolicyServiceServicer_to_server,
                PolicyServicer(
                    works=works,
                    calls=calls,
                    profile=profile,
                    installation=deviations.Installation(shows_messages=shows_messages),
                ),
            ),
            (
                policy_pb2_grpc.add_PolicyAdminServiceServicer_to_server,
                PolicyAdminServicer(works=works, calls=calls, changes=policy_changes, submissions=submissions),
            ),
        ),
        check_registrations=(
            (
                check_pb2_grpc.add_CheckServiceServicer_to_server,
                CheckServicer(front, feeder, installation=installation),
            ),
        ),
        works=works,
        actors=actors,
        feeder=feeder,
        _relay=relay[0],
        _jobs=Jobs(db, schema=SCHEMA, jobs=jobs, clock=clock, on_success=metrics.job_done),
        _recorder=recorder,
        _activity=activity,
        _announcer=announcer,
        _hints=hints,
        _hasher=hasher,
        _attempts=attempts,
        _activity_every_s=profile.idle_flush.total_seconds(),
    )


class _Metrics:
    """What authsvc counts beside its calls."""

    def __init__(self, registry: CollectorRegistry, hints: Hints | None) -> None:
        self._verified = Counter(
            "infosec_hash_verifications", "Password verifications by target.", ("target",), registry=registry
        )
        self._last_success = Gauge(
            "infosec_job_last_success_seconds", "When a periodic job last succeeded.", ("job",), registry=registry
        )
        lost = Gauge("infosec_hints_lost", "Change hints that Redis did not take.", registry=registry)
        lost.set_function(lambda: hints.lost if hints is not None else 0)

    def verified(self, target: Target) -> None:
        self._verified.labels(target.value).inc()

    def job_done(self, name: str, at: datetime) -> None:
        self._last_success.labels(name).set(at.timestamp())


async def _follow(hints: Hints, announcer: Announcer) -> None:
    async for hint in hints.follow():
        announcer.heard(hint)


def _forgetting(relay: Relay) -> Callable[[datetime], Awaitable[None]]:
    async def forget(now: datetime) -> None:
        await relay.forget_delivered(now - timedelta(days=7))

    return forget
