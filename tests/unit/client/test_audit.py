"""What the audit clients ask, by the contract, and what they may repeat."""

from datetime import UTC, datetime
from typing import Any, cast

import pytest
from google.protobuf.message import Message

from infosec.api.audit.v1 import admin_pb2, read_pb2
from infosec.client import audit_admin, audit_read
from infosec.client.audit_admin import AuditAdminClient
from infosec.client.audit_read import AuditReadClient, audit_filter
from infosec.client.calls import Invoker, Method
from infosec.secret import Secret

SHOWN = Secret("assertion")
CUSTOMER = Secret("13900005678")
AT = datetime(2026, 3, 2, 1, 0, tzinfo=UTC)


class Wire:
    """Notes what is asked, and answers with an empty message of the method's own type."""

    def __init__(self) -> None:
        self.path = ""
        self.asked: Any = None

    async def unary(self, method: Method[Any, Any], request: Message) -> Message:
        assert isinstance(request, method.request)
        self.path, self.asked = method.path.rpartition("/")[2], request
        answer: Message = method.response()
        return answer

    async def server_stream(self, method: Method[Any, Any], request: Message) -> Any:
        await self.unary(method, request)
        yield method.response()


@pytest.fixture
def wire() -> Wire:
    return Wire()


@pytest.fixture
def reads(wire: Wire) -> AuditReadClient:
    return AuditReadClient(cast(Invoker, wire))


@pytest.fixture
def admin(wire: Wire) -> AuditAdminClient:
    return AuditAdminClient(cast(Invoker, wire))


def test_all_methods_of_the_contract_are_there_and_may_be_repeated() -> None:
    for client, contract, name in (
        (audit_read, read_pb2, "AuditReadService"),
        (audit_admin, admin_pb2, "AuditAdminService"),
    ):
        methods = [value for value in vars(client).values() if isinstance(value, Method)]
        service = contract.DESCRIPTOR.services_by_name[name]
        assert {one.path for one in methods} == {f"/{service.full_name}/{one.name}" for one in service.methods}
        assert all(one.is_repeatable for one in methods)


async def test_a_filter_carries_all_that_was_asked(reads: AuditReadClient, wire: Wire) -> None:
    wanted = audit_filter(since=AT, until=AT, log_ids=["east"], types=["check.decided"], customer=CUSTOMER)

    await reads.query(SHOWN, wanted, oldest_first=True, page_size=7, page_token="next")

    assert (wire.asked.assertion, wire.asked.page_size, wire.asked.page_token) == ("assertion", 7, "next")
    assert wire.asked.filter.customer == "13900005678"
    assert wire.asked.filter.since.ToDatetime(UTC) == AT


async def test_an_export_has_an_id_of_its_own(reads: AuditReadClient, wire: Wire) -> None:
    parts = [part async for part in reads.export(SHOWN)]

    assert len(parts) == 1
    assert len(wire.asked.export_id) == 36


async def test_proofs_and_checkpoints_need_no_assertion(reads: AuditReadClient, wire: Wire) -> None:
    assert await reads.checkpoint("east", at_least_size=5) == b""
    assert wire.asked.at_least_size == 5
    await reads.inclusion_proof("east", 3, size=9)
    assert (wire.asked.index, wire.asked.size) == (3, 9)
    assert not await reads.consistency_proof("east", old_size=3, new_size=9)
    assert not await reads.logs()


async def test_reviews_name_what_they_are_about(reads: AuditReadClient, wire: Wire) -> None:
    await reads.draw_sample(SHOWN, store_id="s1", log_id="east", week="2026-03-02")
    assert (wire.asked.store_id, wire.asked.week) == ("s1", "2026-03-02")
    await reads.who_accessed(SHOWN, CUSTOMER, since=AT)
    assert wire.asked.customer == "13900005678"
    assert not await reads.patterns(SHOWN, since=AT, until=AT)


async def test_what_changes_has_a_request_id(admin: AuditAdminClient, wire: Wire) -> None:
    for call in (
        admin.erase_subject(SHOWN, CUSTOMER, reason="asked"),
        admin.place_hold(SHOWN, CUSTOMER, reason="asked"),
        admin.release_hold(SHOWN, "h", reason="over"),
        admin.apply_retention(SHOWN, reason="term", dry_run=True),
        admin.confirm_act(SHOWN, "a"),
        admin.withdraw_act(SHOWN, "a", reason="no"),
        admin.record_finding(SHOWN, log_id="east", index=3, verdict=admin_pb2.VERDICT_IN_ORDER),
    ):
        await call
        assert len(wire.asked.request_id) == 36
        assert wire.asked.assertion == "assertion"


async def test_lists_of_holds_and_acts_are_paged(admin: AuditAdminClient, wire: Wire) -> None:
    await admin.holds(SHOWN, active_only=True, page_size=3)
    assert (wire.asked.active_only, wire.asked.page_size) == (True, 3)
    await admin.acts(SHOWN, open_only=True, page_token="next")
    assert (wire.asked.open_only, wire.asked.page_token) == (True, "next")
