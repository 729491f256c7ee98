"""The request slice as one process would wire it, on a world: real sessions, real SQL, and shorthands for its stories."""

from __future__ import annotations

import uuid
from dataclasses import dataclass, field
from typing import Any

from authsvc.actor import Actor
from authsvc.facts import FactSeal
from authsvc.flows.approvals import ApprovalAsk, Approvals, Seen
from authsvc.flows.carry_out import CarryOut
from authsvc.flows.decide import Decisions, Outcome
from authsvc.flows.proof import ProofOfPhone, ProofOwner
from authsvc.flows.request_clocks import RequestClocks
from authsvc.flows.seating import Seating
from authsvc.flows.submit import Ask, Submissions
from authsvc.notices import Notices
from authsvc.profile import TELECOM_HALL
from authsvc.requests import Kind, Request
from authsvc.store import grants
from authsvc.work import Work
from infosec.decision.operations import CATALOGUE
from infosec.decision.policy import compile_policy
from infosec.decision.roles import ROLES
from infosec.errors import InvalidInput, Reason
from infosec.ids import OperationCode, RequestId, StaffId, StoreId, SystemId, TerminalId
from infosec.keys import MacKind, SealingKind, SigningKind
from infosec.rpc.server.retries import Retry, StoredCall
from infosec.secret import Secret
from tests.sim.login_nodes import CRM, LoginNode, login_node
from tests.sim.world import INSTALLATION, World

TERMINAL_OF = {"e1": "e1-t", "e2": "e2-t", "w1": "w1-t", "hq": "hq-t"}
POLICY = compile_policy(CATALOGUE, ROLES)


@dataclass(slots=True)
class RecordedEffect:
    """Stands for what another part does when a second administrator approved."""

    done: list[Request] = field(default_factory=list)

    async def carry_out(self, work: Work, request: Request) -> uuid.UUID | None:
        self.done.append(request)
        return None


@dataclass(kw_only=True)
class Desk:
    """One process's request objects."""

    world: World
    node: LoginNode
    proofs: ProofOfPhone
    submissions: Submissions
    decisions: Decisions
    approvals: Approvals
    clocks: RequestClocks
    effect: RecordedEffect

    async def actor(self, staff: str, at: str = "", *, stepped_up: bool = True) -> Actor:
        """Log in with every factor; for who has a second factor, with a fresh step-up."""
        # A code is accepted once: a new step for whoever needs one.
        self.world.advance(seconds=90)
        role, store = self.world.rows("select role_id, store_id from auth.staff where staff_id = %s", staff)[0]
        terminal = at or f"{TERMINAL_OF[store]}1"
        code = self.world.code(staff) if role in TELECOM_HALL.totp_login_roles else ""
        token = await self.node.token(staff, at=terminal, code=code)
        if stepped_up and self.world.rows("select 1 from auth.totp where staff_id = %s and active", staff):
            self.world.advance(seconds=30)
            await self.node.step_up(token, self.world.code(staff))
        return await self.node.actors.of(token, CRM)

    async def proof(self, staff: str, at: str = "e1-t1") -> ProofOwner:
        """Prove that one holds the bound phone."""
        challenge = await self.proofs.send(staff, TerminalId(at), CRM)
        code = self.world.messages("PROOF_CODE")[-1].text.split("\n")[1]
        proved = await self.proofs.prove(staff, TerminalId(at), CRM, challenge_id=str(challenge), code=Secret(code))
        return await self.proofs.owner(proved.proof, CRM)

    async def submit(self, who: Actor | ProofOwner, staff: str, kind: Kind, **change: Any) -> Request:
        """Submit a request with a reason."""
        ask = Ask(kind=kind, staff_id=StaffId(staff), reason="忘记密码", **change)
        return await self.submissions.submit(who, ask, retry())

    async def approve(self, actor: Actor, request: Request | Seen, **face: Any) -> Outcome:
        return await self.decisions.approve(actor, _id(request), "已核实", retry(), **face)

    async def reject(self, actor: Actor, request: Request | Seen, **face: Any) -> Outcome:
        return await self.decisions.reject(actor, _id(request), "情况不符", retry(), **face)

    async def ask_second(self, actor: Actor, operation: str, customer: str | None = "13700001111", **more: str) -> Seen:
        """Ask for a second person."""
        ask = ApprovalAsk(
            operation=OperationCode(operation),
            customer=None if customer is None else Secret(customer),
            product=more.get("product", ""),
            order_id=more.get("order_id", ""),
            reason="客户要求",
        )
        return await self.approvals.submit(actor, ask, retry())

    def lock(self, staff: str, terminal: str = "e1-t2", store: str = "e1") -> None:
        """As after five wrong passwords."""
        self.world.rows("update auth.staff set state = 'LOCKED' where staff_id = %s", staff)
        self.world.rows("update auth.credentials set failures = 5 where staff_id = %s", staff)
        self.world.rows(
            "insert into auth.lock_history (staff_id, locked_at, terminal_id, store_id) values (%s, %s, %s, %s)",
            *(staff, self.world.clock.now(), terminal, store),
        )

    def state(self, request: Request | Seen) -> str:
        """What the record says."""
        return str(self.world.one("select state from auth.requests where id = %s", _id(request)))

    def level(self, request: Request | Seen) -> str:
        return str(self.world.one("select level from auth.requests where id = %s", _id(request)))

    async def sweep(self) -> None:
        await self.clocks.sweep(self.world.clock.now())

    async def delivered(self, request: Request, state: str = "ACCEPTED") -> None:
        """The gateway reports on the SMS of an approval."""
        message_id = self.world.one("select delivery_id from auth.requests where id = %s", str(request.id))
        await self.clocks.on_delivery(message_id, state)


def retry(request_id: str = "", fingerprint: bytes = b"same") -> Retry:
    """A call that is recognised by its fingerprint."""

    def check_same(stored: StoredCall) -> None:
        if stored.fingerprint != fingerprint:
            raise InvalidInput(Reason.REQUEST_ID_REUSED)

    return Retry(
        caller="system/crm",
        request_id=RequestId(request_id or str(uuid.uuid4())),
        fingerprint=fingerprint,
        check_same=check_same,
    )


def _id(request: Request | Seen) -> str:
    return str((request.request if isinstance(request, Seen) else request).id)


async def request_desk(world: World, node: LoginNode | None = None) -> Desk:
    """Wire one beside `node`, or a new one with a pool of connections of its own; it is closed with the world."""
    node = node or await login_node(world)
    keys, works, profile = world.keys, node.works, TELECOM_HALL
    seal = FactSeal(keys.sealing[SealingKind.FACTS])
    notices = Notices(message_keys=keys.sealing[SealingKind.MESSAGES], seal=seal)
    seating, effect = Seating(lambda: POLICY), RecordedEffect()
    proofs = ProofOfPhone(works, seal=seal, notices=notices, codes=keys.mac[MacKind.CODES], profile=profile)
    clocks = RequestClocks(works, seating=seating, notices=notices, profile=profile)
    carry_out = CarryOut(
        works,
        first_passwords=node.firsts,
        seal=seal,
        change_keys=keys.sealing[SealingKind.FACTS],
        notices=notices,
        policy=lambda: POLICY,
        effects={Kind.CREATE_PRIVILEGED: effect, Kind.CHANGE_POLICY: effect},
    )

    async def serves(system: SystemId, store: StoreId) -> bool:
        async with works.read() as conn:
            return await grants.serves_store(conn, system, store)

    return Desk(
        world=world,
        node=node,
        proofs=proofs,
        submissions=Submissions(
            works,
            proofs=proofs,
            clocks=clocks,
            seating=seating,
            carry_out=carry_out,
            seal=seal,
            policy=lambda: POLICY,
            profile=profile,
        ),
        decisions=Decisions(works, seating=seating, carry_out=carry_out, notices=notices, profile=profile),
        approvals=Approvals(
            works,
            seating=seating,
            policy=lambda: POLICY,
            customer_digest=lambda text: keys.mac[MacKind.CUSTOMERS].digest(text.encode()),
            system_serves=serves,
            keys=keys.signing[SigningKind.GRANT_APPROVAL],
            installation=INSTALLATION,
            profile=profile,
        ),
        clocks=clocks,
        effect=effect,
    )
