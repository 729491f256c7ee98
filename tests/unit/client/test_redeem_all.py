"""redeem_all binds every grant or none."""

from __future__ import annotations

from typing import Any

import pytest

from infosec.api.auth.v1 import approvals_pb2 as pb
from infosec.client.approvals import ApprovalClient
from infosec.client.calls import Method
from infosec.errors import FailedPrecondition, Reason


class _Centre:
    """Remembers which grant is bound to which order."""

    def __init__(self) -> None:
        self.bound: dict[str, str] = {}

    async def unary(self, method: Method[Any, Any], request: Any) -> Any:
        if isinstance(request, pb.ReleaseRequest):
            self.bound.pop(request.grant, None)
        elif self.bound.setdefault(request.grant, request.order_id) != request.order_id:
            raise FailedPrecondition(Reason.GRANT_BOUND)
        return method.response()


@pytest.mark.rule("RQ-7")
async def test_all_are_bound_and_the_same_order_may_do_it_again() -> None:
    centre = _Centre()
    client = ApprovalClient(centre)  # type: ignore[arg-type]
    for _ in range(2):
        assert len(await client.redeem_all("o1", ["g1", "g2"])) == 2
    assert centre.bound == {"g1": "o1", "g2": "o1"}


@pytest.mark.rule("RQ-7")
async def test_when_one_is_refused_none_stays_bound_by_this_order() -> None:
    centre = _Centre()
    centre.bound = {"g2": "another"}
    with pytest.raises(FailedPrecondition):
        await ApprovalClient(centre).redeem_all("o1", ["g1", "g2", "g3"])  # type: ignore[arg-type]
    assert centre.bound == {"g2": "another"}
