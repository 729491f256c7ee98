"""The administrators' services as one process would wire them, on a world; called as the server calls them, limits included."""

from __future__ import annotations

import uuid
from collections.abc import AsyncIterator, Iterable
from dataclasses import dataclass
from typing import Any

from authsvc.deviations import Installation
from authsvc.facts import FactSeal
from authsvc.flows.assign import CustomerLists
from authsvc.flows.carry_out import CarryOut
from authsvc.flows.decide import Decisions
from authsvc.flows.hire import Hiring
from authsvc.flows.import_staff import Imports
from authsvc.flows.policy_changes import PolicyChanges
from authsvc.flows.privileged import PrivilegedHires
from authsvc.flows.proof import ProofOfPhone
from authsvc.flows.request_clocks import RequestClocks
from authsvc.flows.seating import Seating
from authsvc.flows.staff_changes import StaffChanges
from authsvc.flows.submit import Submissions
from authsvc.notices import Notices
from authsvc.profile import TELECOM_HALL
from authsvc.requests import Kind
from authsvc.rpc.admin_calls import AdminCalls
from authsvc.rpc.directory import DirectoryAdminServicer
from authsvc.rpc.policy import PolicyAdminServicer, PolicyServicer
from authsvc.rpc.requests import RequestServicer
from authsvc.rpc.staff import StaffAdminServicer
from infosec.api.auth.v1 import requests_pb2, staff_pb2
from infosec.certificates import CallerKind
from infosec.errors import InfosecError
from infosec.keys import MacKind, SealingKind
from infosec.messages import Locale
from infosec.rpc.limits import Limits
from infosec.rpc.server.identity import Caller, bind
from infosec.rpc.server.retries import Fingerprints, Retries
from tests.sim.login_nodes import LoginNode, login_node
from tests.sim.request_desk import POLICY
from tests.sim.world import World

LIMITS = Limits()
XU, MA = "xu.qiang", "ma.li"
"""The two administrators of the world."""


@dataclass(kw_only=True)
class Office:
    """One process's services for administrators, and shorthands for their stories."""

    world: World
    node: LoginNode
    staff: StaffAdminServicer
    directory: DirectoryAdminServicer
    policy: PolicyServicer
    policy_admin: PolicyAdminServicer
    requests: RequestServicer
    clocks: RequestClocks

    async def call(self, method: Any, request: Any, *, system: str = "crm", locale: Locale = Locale.EN) -> Any:
        """One unary call, as `system` makes it."""
        LIMITS.check_for(request.DESCRIPTOR)(request)
        return await method(request, self._context(system, locale))

    async def refused(self, method: Any, request: Any, **how: Any) -> str:
        """The reason for which a call is refused."""
        try:
            await self.call(method, request, **how)
        except InfosecError as error:
            return error.reason.value
        return "OK"

    async def send_file(
        self, parts: Iterable[staff_pb2.ImportStaffRequest], *, locale: Locale = Locale.EN
    ) -> list[staff_pb2.ImportStaffResponse]:
        """One import; what came back."""

        async def stream() -> AsyncIterator[staff_pb2.ImportStaffRequest]:
            for part in parts:
                LIMITS.check_for(part.DESCRIPTOR)(part)  # type: ignore[arg-type]
                yield part

        answers = [answer async for answer in self.staff.ImportStaff(stream(), self._context("crm", locale))]
        assert answers.pop(0) == staff_pb2.ImportStaffResponse()  # go on: the header was accepted
        return answers

    async def token(self, staff: str, at: str = "", *, step_up: bool = False) -> str:
        """Log in, with every factor that the role asks for."""
        self.world.advance(seconds=90)
        role, store = self.world.rows("select role_id, store_id from auth.staff where staff_id = %s", staff)[0]
        code = self.world.code(staff) if role in TELECOM_HALL.totp_login_roles else ""
        token = await self.node.token(staff, at=at or f"{store}-t1", code=code)
        if step_up:
            self.world.advance(seconds=30)
            await self.node.step_up(token, self.world.code(staff))
        return token

    async def approve(self, staff: str, request_id: str) -> str:
        """Decide for it, as somebody with a fresh step-up; OK, or why not."""
        approval = requests_pb2.ApproveRequest(
            request_id=str(uuid.uuid4()), token=await self.token(staff, step_up=True), id=request_id
        )
        return await self.refused(self.requests.Approve, approval)

    def _context(self, system: str, locale: Locale) -> object:
        context = object()
        bind(context, Caller(kind=CallerKind.SYSTEM, name=system, locale=locale, peer="test"))
        return context


async def admin_office(world: World) -> Office:
    """Wire one, with a pool of connections of its own; it is closed with the world."""
    node = await login_node(world)
    works, keys, profile, clock = node.works, world.keys, TELECOM_HALL, world.clock
    fact_keys = keys.sealing[SealingKind.FACTS]
    seal = FactSeal(fact_keys)
    notices = Notices(message_keys=keys.sealing[SealingKind.MESSAGES], seal=seal)
    hiring = Hiring(works, seal=seal, first_passwords=node.firsts, profile=profile, clock=clock)
    privileged, changes, seating = PrivilegedHires(hiring, fact_keys), PolicyChanges(), Seating(lambda: POLICY)
    proofs = ProofOfPhone(works, seal=seal, notices=notices, codes=keys.mac[MacKind.CODES], profile=profile)
    clocks = RequestClocks(works, seating=seating, notices=notices, profile=profile)
    carry_out = CarryOut(
        works,
        first_passwords=node.firsts,
        seal=seal,
        change_keys=fact_keys,
        notices=notices,
        policy=lambda: POLICY,
        effects={Kind.CREATE_PRIVILEGED: privileged, Kind.CHANGE_POLICY: changes},
    )
    submissions = Submissions(
        works,
        proofs=proofs,
        clocks=clocks,
        seating=seating,
        carry_out=carry_out,
        seal=seal,
        policy=lambda: POLICY,
        profile=profile,
    )
    decisions = Decisions(works, seating=seating, carry_out=carry_out, notices=notices, profile=profile)
    retries = Retries(Fingerprints(keys.mac[MacKind.REQUESTS]))
    calls = AdminCalls(works=works, actors=node.actors, retries=retries)
    lists = CustomerLists(lambda text: keys.mac[MacKind.CUSTOMERS].digest(text.encode()), profile)
    return Office(
        world=world,
        node=node,
        staff=StaffAdminServicer(
            works=works,
            calls=calls,
            hiring=hiring,
            imports=Imports(works, hiring, clock),
            privileged=privileged,
            changes=StaffChanges(works, seal),
            submissions=submissions,
        ),
        directory=DirectoryAdminServicer(works=works, calls=calls, lists=lists),
        policy=PolicyServicer(works=works, calls=calls, profile=profile, installation=Installation()),
        policy_admin=PolicyAdminServicer(works=works, calls=calls, changes=changes, submissions=submissions),
        requests=RequestServicer(
            actors=node.actors, proofs=proofs, submissions=submissions, decisions=decisions, retries=retries
        ),
        clocks=clocks,
    )


def new_staff(staff_id: str = "new.clerk", **values: str) -> staff_pb2.NewStaff:
    """Somebody to be hired."""
    given = {"name": "新人", "phone": "13912345678", "role_id": "clerk", "store_id": "e1", **values}
    return staff_pb2.NewStaff(staff_id=staff_id, **given)


def import_parts(
    token: str, rows: Iterable[staff_pb2.NewStaff], *, request_id: str = "", dry_run: bool = False, declared: int = -1
) -> list[staff_pb2.ImportStaffRequest]:
    """A file on the wire."""
    given = list(rows)
    header = staff_pb2.ImportHeader(
        request_id=request_id or str(uuid.uuid4()),
        token=token,
        dry_run=dry_run,
        rows=len(given) if declared < 0 else declared,
    )
    return [
        staff_pb2.ImportStaffRequest(header=header),
        *(staff_pb2.ImportStaffRequest(row=row) for row in given),
    ]


def rid() -> str:
    """A request_id that was never used."""
    return str(uuid.uuid4())
