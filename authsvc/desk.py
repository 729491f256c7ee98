"""The use cases that people decide about: hiring, requests of both faces, and what an approval does; made once from the core."""

from __future__ import annotations

from dataclasses import dataclass

from authsvc.core import Core
from authsvc.flows.approvals import Approvals
from authsvc.flows.carry_out import CarryOut
from authsvc.flows.decide import Decisions
from authsvc.flows.hire import Hiring
from authsvc.flows.policy_changes import PolicyChanges
from authsvc.flows.privileged import PrivilegedHires
from authsvc.flows.proof import ProofOfPhone
from authsvc.flows.request_clocks import RequestClocks
from authsvc.flows.seating import Seating
from authsvc.flows.submit import Submissions
from authsvc.requests import Kind
from infosec.keys import MacKind, SealingKind, SigningKind


@dataclass(frozen=True, slots=True, kw_only=True)
class Desk:
    """What the request, approval and administrators' services are made of."""

    hiring: Hiring
    privileged: PrivilegedHires
    policy_changes: PolicyChanges
    clocks: RequestClocks
    proofs: ProofOfPhone
    submissions: Submissions
    decisions: Decisions
    approvals: Approvals


def build_desk(core: Core) -> Desk:
    """On one core."""
    works, profile, keys, seal, notices = core.works, core.profile, core.keys, core.seal, core.notices
    change_keys = keys.sealing[SealingKind.FACTS]
    seating = Seating(core.policy)
    hiring = Hiring(works, seal=seal, first_passwords=core.first_passwords, profile=profile, clock=core.clock)
    privileged, policy_changes = PrivilegedHires(hiring, change_keys), PolicyChanges()
    carry_out = CarryOut(
        works,
        first_passwords=core.first_passwords,
        seal=seal,
        change_keys=change_keys,
        notices=notices,
        policy=core.policy,
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
        policy=core.policy,
        profile=profile,
    )
    return Desk(
        hiring=hiring,
        privileged=privileged,
        policy_changes=policy_changes,
        clocks=clocks,
        proofs=proofs,
        submissions=submissions,
        decisions=Decisions(works, seating=seating, carry_out=carry_out, notices=notices, profile=profile),
        approvals=_approvals(core, seating),
    )


def _approvals(core: Core, seating: Seating) -> Approvals:
    return Approvals(
        core.works,
        seating=seating,
        policy=core.policy,
        customer_digest=core.customer_digest,
        system_serves=core.system_serves,
        keys=core.keys.signing[SigningKind.GRANT_APPROVAL],
        installation=core.installation,
        profile=core.profile,
    )
