"""What all use cases of authsvc stand on, made once from the leaves: writing, the snapshot, attempts, first passwords."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta

from authsvc.actor import Actors
from authsvc.announcing import Announcer
from authsvc.facts import FactSeal
from authsvc.feeder import Feeder
from authsvc.flows.attempts import Attempts
from authsvc.flows.first_password import FirstPasswords
from authsvc.flows.login import Tokens
from authsvc.hashing import PasswordHasher
from authsvc.notices import Notices
from authsvc.profile import Profile
from authsvc.store.grants import serves_store
from authsvc.work import Works
from infosec.clock import Clock
from infosec.decision.policy import Policy
from infosec.decision.snapshot import PublicKeys
from infosec.decision.tables import Limits
from infosec.ids import StoreId, SystemId, customer_number
from infosec.keys import KeyRing, MacKind, SealingKeys, SealingKind, SigningKind
from infosec.storage.postgres import Database
from infosec.storage.redis import Hints


@dataclass(frozen=True, slots=True, kw_only=True)
class Core:
    """The shared objects of one process."""

    keys: KeyRing
    profile: Profile
    clock: Clock
    installation: str
    works: Works
    announcer: Announcer
    feeder: Feeder
    hasher: PasswordHasher
    seal: FactSeal
    notices: Notices
    actors: Actors
    tokens: Tokens
    attempts: Attempts
    first_passwords: FirstPasswords

    @property
    def totp_keys(self) -> SealingKeys:
        return self.keys.sealing[SealingKind.TOTP]

    def policy(self) -> Policy:
        """Roles and operations as the snapshot has them."""
        return self.feeder.snapshot.policy

    def customer_digest(self, customer: str) -> bytes:
        """By which a customer is known here."""
        return self.keys.mac[MacKind.CUSTOMERS].digest(customer_number(customer).encode())

    async def system_serves(self, system_id: SystemId, store_id: StoreId) -> bool:
        """Whether the system is registered for the store."""
        async with self.works.read() as conn:
            return await serves_store(conn, system_id, store_id)


def build_core(
    *,
    db: Database,
    keys: KeyRing,
    profile: Profile,
    clock: Clock,
    installation: str,
    hints: Hints | None,
    hasher: PasswordHasher,
    nudge: Callable[[], None],
    poll_every: timedelta,
) -> Core:
    """From the leaves. `nudge` wakes what delivers the outbox."""
    announcer = Announcer(lambda: feeder.hint(), hints)
    works = Works(db, clock, announce=announcer.at_once, announce_soon=announcer.soon, nudge=nudge)
    feeder = Feeder(db, clock, limits=_limits(profile), public_keys=_public_keys_of(keys), poll_every=poll_every)
    session_keys = keys.signing[SigningKind.SESSION]
    seal = FactSeal(keys.sealing[SealingKind.FACTS])
    notices = Notices(message_keys=keys.sealing[SealingKind.MESSAGES], seal=seal)
    return Core(
        keys=keys,
        profile=profile,
        clock=clock,
        installation=installation,
        works=works,
        announcer=announcer,
        feeder=feeder,
        hasher=hasher,
        seal=seal,
        notices=notices,
        actors=Actors(works, session_keys, installation, clock, latest_idle=profile.idle_latest),
        tokens=Tokens(keys=session_keys, installation=installation),
        attempts=Attempts(
            works=works,
            hasher=hasher,
            totp_keys=keys.sealing[SealingKind.TOTP],
            notices=notices,
            profile=profile,
            clock=clock,
        ),
        first_passwords=FirstPasswords(hasher=hasher, notices=notices, profile=profile),
    )


def _limits(profile: Profile) -> Limits:
    return Limits(
        profile=profile.name,
        idle_s=profile.idle_limit.total_seconds(),
        idle_grace_s=profile.idle_grace.total_seconds(),
        staleness_s=profile.staleness_bound.total_seconds(),
    )


def _public_keys_of(keys: KeyRing) -> Callable[[], PublicKeys]:
    def public_keys() -> PublicKeys:
        return {kind.value: public for kind, public in keys.public_keys().items()}

    return public_keys
