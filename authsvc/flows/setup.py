"""The installation's first set-up: policy, the carrier's own office, two administrators, two break-glass codes (ID-8).

Runs once, offline, as the owner of the schema: with the service's own role nobody can set up anything.
"""

from __future__ import annotations

import secrets
from dataclasses import dataclass

from authsvc import hiring, totp
from authsvc.directory import ALWAYS_OPEN, Region, Store, System, Terminal, shown_text
from authsvc.facts import Facts, FactSeal
from authsvc.flows.attempts import Hasher, totp_context
from authsvc.flows.shown_secrets import IssuedCode, ShownPassword, fresh_codes, shown_password
from authsvc.profile import Profile
from authsvc.sight import ADMINISTRATOR
from authsvc.staff import StaffState
from authsvc.store import directory, installation, policy, staff_admin
from authsvc.store.staff_admin import NewRow
from authsvc.work import ChangeKind, Work, Works
from infosec import ids
from infosec.decision.operations import CATALOGUE
from infosec.decision.roles import ROLES
from infosec.errors import FailedPrecondition, InvalidInput, Reason
from infosec.events.types import EventType
from infosec.ids import CARRIER, StaffId, StoreId, SystemId, TerminalId
from infosec.keys import SealingKeys
from infosec.secret import Secret, SecretBytes
from infosec.sms import masked_phone

HEADQUARTERS = StoreId("carrier-hq")
CONSOLE = TerminalId("console-1")
COMMAND_LINE = SystemId("cli")
SETUP = StaffId("setup")
"""Who made what the set-up made: nobody's staff ID."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FirstAdministrator:
    """One of the two people that the installation starts with, as typed."""

    staff_id: str
    name: str
    phone: str


@dataclass(frozen=True, slots=True, kw_only=True)
class IssuedAdministrator:
    """What is shown once to one of them. The password serves one login and must be changed there."""

    staff_id: StaffId
    password: Secret
    totp_uri: Secret


@dataclass(frozen=True, slots=True, kw_only=True)
class Initialised:
    """The installation is set up."""

    installation: str
    administrators: tuple[IssuedAdministrator, ...]
    break_glass: tuple[IssuedCode, ...]
    """One for each of two holders, to be kept sealed and apart."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Made:
    row: NewRow
    shown: ShownPassword
    totp_secret: SecretBytes


class Setup:
    """Sets an installation up. `works` runs as the owner of the schema."""

    def __init__(
        self, works: Works, *, hasher: Hasher, seal: FactSeal, totp_keys: SealingKeys, profile: Profile
    ) -> None:
        self._works = works
        self._hasher = hasher
        self._seal = seal
        self._totp_keys = totp_keys
        self._profile = profile

    async def initialise(
        self,
        installation_id: str,
        administrators: tuple[FirstAdministrator, FirstAdministrator],
        holders: tuple[str, str],
    ) -> Initialised:
        """Set up, if nobody has. `holders` are the names of the two people who keep the break-glass codes.

        Raises InvalidInput, and FailedPrecondition(ALREADY_INITIALISED) where there is, or was, an administrator.
        """
        made = [await self._made(one) for one in administrators]
        if made[0].row.staff_id == made[1].row.staff_id:
            raise InvalidInput(Reason.INVALID_ARGUMENT, field="staff_id", detail="two different people")
        issued, held = await fresh_codes(self._hasher, _two_holders(holders))
        async with self._works.begin() as work:
            claimed = await installation.claim(work.conn, installation_id)
            if await installation.has_administrator(work.conn):
                raise FailedPrecondition(Reason.ALREADY_INITIALISED)
            await _put_policy(work)
            await _put_office(work)
            for one in made:
                await self._put(work, one)
            await installation.replace_codes(work.conn, held, work.now)
            work.event(EventType.INSTALLATION_INITIALISED, CARRIER, installation_id=claimed)
        return Initialised(
            installation=claimed,
            administrators=tuple(
                IssuedAdministrator(
                    staff_id=one.row.staff_id,
                    password=one.shown.password,
                    totp_uri=totp.provisioning_uri(one.totp_secret, one.row.staff_id, self._profile),
                )
                for one in made
            ),
            break_glass=tuple(issued),
        )

    async def _made(self, person: FirstAdministrator) -> _Made:
        staff_id, name, phone = ids.staff_id(person.staff_id), hiring.name(person.name), hiring.mobile(person.phone)
        row = NewRow(
            staff_id=staff_id,
            name=name,
            role_id=ADMINISTRATOR,
            store_id=HEADQUARTERS,
            region_id=CARRIER,
            state=StaffState.ISSUED.value,
            is_partner=False,
            phone_sealed=self._seal.seal_phone(staff_id, Secret(phone)),
            phone_masked=masked_phone(phone),
            facts_sealed=self._seal.seal_facts(staff_id, Facts(names=(name,))),
            created_by=SETUP,
        )
        shown = await shown_password(self._hasher, self._profile)
        return _Made(row=row, shown=shown, totp_secret=SecretBytes(secrets.token_bytes(totp.SECRET_BYTES)))

    async def _put(self, work: Work, made: _Made) -> None:
        staff_id = made.row.staff_id
        await staff_admin.insert(work.conn, made.row, work.now)
        expires_at = work.now + self._profile.first_password_life
        await installation.put_shown_first(
            work.conn, staff_id, hash=made.shown.hash, expires_at=expires_at, now=work.now
        )
        sealed = self._totp_keys.seal(made.totp_secret.reveal(), totp_context(staff_id))
        await installation.put_active_totp(work.conn, staff_id, sealed)
        work.event(
            EventType.STAFF_CREATED,
            CARRIER,
            staff_id=SETUP,
            subject_staff_id=staff_id,
            subject_role_id=ADMINISTRATOR,
            store_id=HEADQUARTERS,
        )
        work.change(CARRIER, ChangeKind.STAFF, staff_id)


async def _put_policy(work: Work) -> None:
    """Roles and operations, told to nodes that are running already: they read their snapshot before there were any."""
    await policy.seed_policy(work.conn)
    for code in CATALOGUE:
        work.change(CARRIER, ChangeKind.OPERATION, code)
    for role_id in ROLES:
        work.change(CARRIER, ChangeKind.ROLE, role_id)


async def _put_office(work: Work) -> None:
    """The carrier itself: a region, an office that is always open, a terminal in it, and the command line."""
    await directory.put_region(work.conn, Region(region_id=CARRIER, name="公司"))
    office = Store(store_id=HEADQUARTERS, region_id=CARRIER, name="公司", hours=ALWAYS_OPEN)
    await directory.put_store(work.conn, office)
    await directory.put_terminal(work.conn, Terminal(terminal_id=CONSOLE, store_id=HEADQUARTERS, name="console"))
    await directory.put_system(work.conn, System(system_id=COMMAND_LINE, name="CLI", store_ids=(HEADQUARTERS,)))
    work.change(CARRIER, ChangeKind.REGION, CARRIER)
    work.change(CARRIER, ChangeKind.STORE, HEADQUARTERS)
    work.change(CARRIER, ChangeKind.TERMINAL, CONSOLE)
    work.change(CARRIER, ChangeKind.SYSTEM, COMMAND_LINE)


def _two_holders(holders: tuple[str, str]) -> tuple[str, str]:
    """Two people, by name: one alone must never be able to break the glass (ID-8)."""
    first, second = (shown_text(holder, "holder", is_required=True) for holder in holders)
    if first.casefold() == second.casefold():
        raise InvalidInput(Reason.INVALID_ARGUMENT, field="holder", detail="two different people")
    return first, second
