"""The login slice as one process would wire it, on a world: real hashing, real PostgreSQL, and a count of verifications."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from authsvc.actor import Actors
from authsvc.facts import FactSeal
from authsvc.flows.assertions import Assertions
from authsvc.flows.attempts import Attempts
from authsvc.flows.first_password import FirstPasswords
from authsvc.flows.login import LoggedIn, LoginAsk, Logins, Tokens
from authsvc.flows.password_change import Changed, PasswordChanges
from authsvc.flows.second_factor import SecondFactors
from authsvc.flows.session_life import SessionLife
from authsvc.flows.sweeps import Sweeps
from authsvc.guessable import CommonPasswords
from authsvc.hashing import PasswordHasher, PoolLimits, Target
from authsvc.notices import Notices
from authsvc.profile import TELECOM_HALL, Profile
from authsvc.work import Works
from infosec.errors import InfosecError, Reason
from infosec.ids import RegionId, SystemId, TerminalId
from infosec.keys import SealingKind, SigningKind
from infosec.secret import Secret
from tests.sim.world import CHEAP, INSTALLATION, PASSWORD, World

CRM = SystemId("crm")


@dataclass(kw_only=True)
class LoginNode:
    """One process's login objects, and shorthands for what tests do all the time."""

    world: World
    works: Works
    actors: Actors
    attempts: Attempts
    logins: Logins
    passwords: PasswordChanges
    factors: SecondFactors
    sessions: SessionLife
    assertions: Assertions
    sweeps: Sweeps
    firsts: FirstPasswords
    hasher: PasswordHasher
    verified: Counter[Target]
    """How many verifications there were against what."""
    announced: list[Mapping[RegionId, int]] = field(default_factory=list)

    async def login(
        self, staff: str, password: str = PASSWORD, *, at: str = "e1-t1", code: str = "", system: str = "crm"
    ) -> LoggedIn:
        """Log in, or raise."""
        ask = LoginAsk(
            staff_text=staff,
            password=Secret(password),
            code=Secret(code),
            terminal_id=TerminalId(at),
            system_id=SystemId(system),
        )
        return await self.logins.login(ask)

    async def try_login(self, staff: str, password: str = PASSWORD, **where: Any) -> str:
        """OK, or the reason why not."""
        return await outcome(self.login(staff, password, **where))

    async def token(self, staff: str, **where: Any) -> str:
        """Log in; the token."""
        return (await self.login(staff, **where)).token.reveal()

    async def change(self, token: str, current: str, new: str) -> Changed:
        """Change the password, as `crm`."""
        return await self.passwords.change(token, CRM, current=Secret(current), new=Secret(new))

    async def resume(self, token: str, password: str = PASSWORD) -> Any:
        return await self.sessions.resume(token, CRM, password=Secret(password))

    async def step_up(self, token: str, code: str) -> Any:
        return await self.factors.step_up(token, CRM, code=Secret(code))

    async def enroll(self, token: str, password: str = PASSWORD, code: str = "") -> str:
        uri = await self.factors.enroll(token, CRM, password=Secret(password), code=Secret(code))
        return uri.reveal()

    async def activate(self, token: str, code: str) -> Any:
        return await self.factors.activate(token, CRM, code=Secret(code))


async def outcome(call: Any) -> str:
    """OK, or the reason of the refusal."""
    try:
        await call
    except InfosecError as error:
        return error.reason.value
    return "OK"


REFUSED = Reason.LOGIN_REFUSED.value


async def login_node(
    world: World, *, profile: Profile = TELECOM_HALL, patience_s: float = 25.0, workers: int = 2, hasher: Any = None
) -> LoginNode:
    """Wire one, with a pool of connections of its own; it is closed with the world."""
    database = await world.database()
    verified: Counter[Target] = Counter()
    announced: list[Mapping[RegionId, int]] = []

    def count(target: Target) -> None:
        verified[target] += 1

    async def announce(revisions: Mapping[RegionId, int]) -> None:
        announced.append(revisions)

    hasher = hasher or PasswordHasher(CHEAP, limits=PoolLimits(workers=workers, max_waiting=1000), observer=count)
    works = Works(database, world.clock, announce=announce)
    seal = FactSeal(world.keys.sealing[SealingKind.FACTS])
    notices = Notices(message_keys=world.keys.sealing[SealingKind.MESSAGES], seal=seal)
    signing = world.keys.signing[SigningKind.SESSION]
    actors = Actors(works, signing, INSTALLATION, world.clock, latest_idle=profile.idle_latest)
    attempts = Attempts(
        works=works,
        hasher=hasher,
        totp_keys=world.keys.sealing[SealingKind.TOTP],
        notices=notices,
        profile=profile,
        clock=world.clock,
        patience_s=patience_s,
    )
    tokens = Tokens(keys=signing, installation=INSTALLATION)
    world.on_close(hasher.close)
    world.on_close(attempts.drain)
    return LoginNode(
        world=world,
        works=works,
        actors=actors,
        attempts=attempts,
        logins=Logins(attempts=attempts, notices=notices, tokens=tokens, profile=profile),
        passwords=PasswordChanges(
            works=works,
            actors=actors,
            attempts=attempts,
            hasher=hasher,
            seal=seal,
            common=CommonPasswords(("password1", "letmein99")),
            brand_words=("中国移动", "10086"),
            profile=profile,
        ),
        factors=SecondFactors(
            works=works,
            actors=actors,
            attempts=attempts,
            totp_keys=world.keys.sealing[SealingKind.TOTP],
            profile=profile,
        ),
        sessions=SessionLife(works=works, actors=actors, attempts=attempts, tokens=tokens, clock=world.clock),
        assertions=Assertions(
            actors=actors,
            keys=world.keys.signing[SigningKind.ASSERTION],
            installation=INSTALLATION,
            clock=world.clock,
            life=profile.assertion_life,
        ),
        sweeps=Sweeps(works=works, notices=notices, profile=profile),
        firsts=FirstPasswords(hasher=hasher, notices=notices, profile=profile),
        hasher=hasher,
        verified=verified,
        announced=announced,
    )
