"""Limits of the contract: each one stated, each one enforced, on real calls."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import grpc
import pytest
from google.protobuf.descriptor import Descriptor, FieldDescriptor, ServiceDescriptor
from google.protobuf.message import Message

from infosec.api.auth.v1 import (
    approvals_pb2,
    check_pb2,
    directory_pb2,
    login_pb2,
    policy_pb2,
    requests_pb2,
    staff_pb2,
)
from infosec.api.notify.v1 import notify_pb2
from infosec.errors import InvalidInput, Reason
from infosec.rpc.limits import Limits, limit_of
from infosec.rpc.status import from_rpc_error
from tests.sim.wire import CHECK, LOGIN, STAFF, Wire

FILES = (approvals_pb2, check_pb2, directory_pb2, login_pb2, policy_pb2, requests_pb2, staff_pb2, notify_pb2)
SERVICES: list[ServiceDescriptor] = [s for file in FILES for s in file.DESCRIPTOR.services_by_name.values()]


def _fields(descriptor: Descriptor, seen: set[str]) -> Iterator[FieldDescriptor]:
    if descriptor.full_name in seen or descriptor.file.package == "google.protobuf":
        return
    seen.add(descriptor.full_name)
    for field in descriptor.fields:
        yield field
        if field.message_type is not None:
            yield from _fields(field.message_type, seen)


def _request_fields() -> list[FieldDescriptor]:
    seen: set[str] = set()
    return [f for service in SERVICES for m in service.methods for f in _fields(m.input_type, seen)]


@pytest.mark.parametrize("field", _request_fields(), ids=lambda field: field.full_name)
def test_every_text_and_list_of_a_request_has_a_limit(field: FieldDescriptor) -> None:
    limit = limit_of(field)
    if field.type in (FieldDescriptor.TYPE_STRING, FieldDescriptor.TYPE_BYTES):
        assert limit.max_bytes > 0
    if field.is_repeated:
        assert limit.max_items > 0


def test_every_request_type_can_be_checked() -> None:
    limits = Limits()
    for service in SERVICES:
        for method in service.methods:
            limits.check_for(method.input_type)


def _good_check(**more: Any) -> check_pb2.CheckRequest:
    given = {"token": "t", "operation": "1500", "store_id": "s1", "terminal_id": "t1"} | more
    return check_pb2.CheckRequest(**given)


def _field_of(message: Message) -> tuple[str, str]:
    with pytest.raises(InvalidInput) as caught:
        Limits().check_for(message.DESCRIPTOR)(message)
    assert caught.value.reason is Reason.INVALID_ARGUMENT
    return caught.value.details["field"], caught.value.details["detail"]


def test_what_keeps_its_limits_passes() -> None:
    good = _good_check(customer="13800138000", purpose=1, grants=["g"] * 6, at_least=[{"region_id": "r1", "number": 3}])
    Limits().check_for(good.DESCRIPTOR)(good)


@pytest.mark.parametrize(
    ("message", "field", "detail"),
    [
        (_good_check(token=""), "token", "required"),
        (_good_check(token="x" * 1025), "token", "at most 1024 bytes"),
        (_good_check(store_id="店" * 22), "store_id", "at most 63 bytes"),
        (_good_check(operation="15\x0000"), "operation", "control characters"),
        (_good_check(operation="15\n00"), "operation", "control characters"),
        (_good_check(work_order="\x85"), "work_order", "control characters"),
        (_good_check(purpose=99), "purpose", "not a value of this list"),
        (_good_check(grants=["g"] * 7), "grants", "at most 6 entries"),
        (_good_check(grants=["g", "x" * 2049]), "grants[1]", "at most 2048 bytes"),
        (_good_check(at_least=[{"number": 3}]), "at_least[0].region_id", "required"),
        (check_pb2.CheckBatchRequest(), "checks", "required"),
        (check_pb2.CheckBatchRequest(checks=[_good_check(), _good_check(token="")]), "checks[1].token", "required"),
        (check_pb2.CheckStreamRequest(number=1), "check", "required"),
        (requests_pb2.ListRequestsRequest(token="t", page_size=501), "page_size", "0 to 500"),
        (
            requests_pb2.SubmitRequestRequest(request_id="i", staff_id="s", reason="r"),
            "kind",
            "required",
        ),
        (
            requests_pb2.SubmitRequestRequest(request_id="i", staff_id="s", reason="r", kind=6, move_store={}),
            "move_store.store_id",
            "required",
        ),
        (directory_pb2.DayHours(opens_at_min=1, closes_at_min=2), "weekday", "required"),
        (
            notify_pb2.SubmitRequest(message_id="i", template="T", sealed=b"x", expires_at={"seconds": 1 << 60}),
            "expires_at",
            "a time between the years 1 and 9999",
        ),
        (notify_pb2.SubmitRequest(message_id="i", template="T", sealed=b"x"), "expires_at", "required"),
        (
            notify_pb2.SubmitRequest(message_id="i", template="T", sealed=b"x" * 4097, expires_at={"seconds": 1}),
            "sealed",
            "at most 4096 bytes",
        ),
    ],
)
def test_what_breaks_a_limit_is_refused_by_the_name_of_its_field(message: Message, field: str, detail: str) -> None:
    assert _field_of(message) == (field, detail)


def test_reasons_may_have_lines_and_no_other_control_characters() -> None:
    def rejected(reason: str) -> requests_pb2.RejectRequest:
        return requests_pb2.RejectRequest(request_id="i", token="t", id="i", reason=reason)

    Limits().check_for(requests_pb2.RejectRequest.DESCRIPTOR)(rejected("one\r\n\ttwo"))
    assert _field_of(rejected("bell\x07")) == ("reason", "control characters")


def test_fields_of_a_newer_contract_are_found_at_any_depth() -> None:
    message = staff_pb2.CreateStaffRequest()
    message.staff.MergeFromString(b"\x98\x06\x01")
    assert Limits().unknown_in(message) == "staff.99"
    assert Limits().unknown_in(_good_check()) is None


async def _refused(wire: Wire, path: str, body: bytes) -> Any:
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await wire.raw(path, body)
    return from_rpc_error(caught.value)


@pytest.mark.rule("ID-7")
async def test_a_password_of_a_megabyte_gets_a_clear_answer(wire: Wire) -> None:
    async with wire.suite() as suite:
        with pytest.raises(InvalidInput) as caught:
            await suite.login.login("li.na", "p" * 1_000_000, terminal_id="t1")
    assert caught.value.details["field"] == "password"
    assert wire.login.login.calls == 0


async def test_bytes_that_are_no_utf8_get_a_clear_answer(wire: Wire) -> None:
    error = await _refused(wire, f"/{LOGIN}/Login", b"\x0a\x02\xff\xfe")
    assert isinstance(error, InvalidInput)
    assert error.details["field"] == "LoginRequest"


async def test_bytes_that_are_no_message_get_a_clear_answer(wire: Wire) -> None:
    assert isinstance(await _refused(wire, f"/{LOGIN}/Login", b"\xff\xff\xff"), InvalidInput)


async def test_unknown_fields_are_refused_by_admin_services(wire: Wire) -> None:
    body = staff_pb2.GetStaffRequest(token="t", staff_id="li.na").SerializeToString() + b"\x98\x06\x01"
    error = await _refused(wire, f"/{STAFF}/GetStaff", body)
    assert (error.reason, error.details["field"]) == (Reason.UNKNOWN_FIELD, "99")


async def test_unknown_fields_are_counted_elsewhere(wire: Wire) -> None:
    await wire.raw(f"/{CHECK}/Check", _good_check().SerializeToString() + b"\x98\x06\x01")
    labels = {"method": f"/{CHECK}/Check"}
    assert wire.registry.get_sample_value("infosec_rpc_unknown_fields_total", labels) == 1
    assert wire.check.check.calls == 1


async def test_each_message_of_a_stream_is_checked(wire: Wire) -> None:
    async def questions() -> Any:
        yield 1, _good_check()
        yield 2, _good_check(token="")

    answered = []
    async with wire.suite() as suite:
        with pytest.raises(InvalidInput) as caught:
            async for number, _answer in suite.check.stream(questions()):
                answered.append(number)
    assert caught.value.details["field"] == "check.token"
    assert set(answered) <= {1}
    assert wire.check.check.calls == 1
