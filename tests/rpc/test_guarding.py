"""The interceptor for other store systems: asks before, masks after, closed whatever fails."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import grpc
import pytest
from google.rpc import error_details_pb2, status_pb2

from infosec.api.auth.v1 import check_pb2, staff_pb2, staff_pb2_grpc
from infosec.client.interceptor import Guarded, GuardInterceptor, decision, guarded
from infosec.client.masking import NOTHING_SHOWN, Kind, MaskedFields
from infosec.decision.operations import Purpose
from infosec.errors import InfosecError, Misconfigured, Reason, Unavailable
from infosec.rpc.status import DETAILS_KEY

METADATA = (
    ("infosec-token", "t"),
    ("infosec-store", "s1"),
    ("infosec-terminal", "t1"),
    ("infosec-grant", "g1"),
    ("infosec-grant", "g2"),
    ("accept-language", "en"),
)
GET, LIST = "/infosec.api.auth.v1.StaffAdminService/GetStaff", "/infosec.api.auth.v1.StaffAdminService/ListStaff"


VIEW = MaskedFields(staff_pb2.GetStaffResponse, {"staff.name": Kind.NAME, "staff.staff_id": Kind.PHONE})
PAGE = MaskedFields(staff_pb2.ListStaffResponse, {"staff.name": Kind.NAME})


class Shop(staff_pb2_grpc.StaffAdminServiceServicer):
    """Any other system's servicer; a service of ours lends its types."""

    served = 0

    @guarded("1500", customer=lambda request: request.staff_id, purpose=Purpose.ORDER, masks=VIEW)
    async def GetStaff(self, request: Any, context: Any) -> Any:
        self.served += 1
        assert decision().allowed
        return staff_pb2.GetStaffResponse(staff=staff_pb2.Staff(staff_id=request.staff_id, name="Li Na"))

    async def ListStaff(self, request: Any, context: Any) -> Any:
        self.served += 1
        return staff_pb2.ListStaffResponse()


class Centre:
    def __init__(self) -> None:
        self.asked: list[check_pb2.CheckRequest] = []
        self.answer = check_pb2.CheckResponse(
            allowed=True, reason="OK", operation_class=check_pb2.OPERATION_CLASS_READ, masking={"name": True}
        )
        self.error: Exception | None = None

    async def ask(self, request: check_pb2.CheckRequest) -> check_pb2.CheckResponse:
        self.asked.append(request)
        if self.error is not None:
            raise self.error
        return self.answer


Call = Callable[..., Awaitable[Any]]


@asynccontextmanager
async def _shop(
    shop: Shop, *interceptors: grpc.aio.ServerInterceptor
) -> AsyncIterator[staff_pb2_grpc.StaffAdminServiceStub]:
    server = grpc.aio.server(interceptors=interceptors)
    staff_pb2_grpc.add_StaffAdminServiceServicer_to_server(shop, server)
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    try:
        async with grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel:
            yield staff_pb2_grpc.StaffAdminServiceStub(channel)
    finally:
        await server.stop(None)


def _info(error: grpc.aio.AioRpcError) -> error_details_pb2.ErrorInfo:
    body = dict(error.trailing_metadata())[DETAILS_KEY]
    info = error_details_pb2.ErrorInfo()
    assert status_pb2.Status.FromString(body).details[0].Unpack(info)
    return info


REQUEST = staff_pb2.GetStaffRequest(token="t", staff_id="13800138000")


@pytest.mark.rule("CI-2", "CI-4", "CI-5")
async def test_an_allowed_call_is_served_and_its_answer_masked() -> None:
    centre, shop = Centre(), Shop()
    async with _shop(shop, GuardInterceptor(centre)) as stub:
        answer = await stub.GetStaff(REQUEST, metadata=METADATA)
    assert (answer.staff.name, answer.staff.staff_id, shop.served) == ("L* **", "13800138000", 1)
    (asked,) = centre.asked
    assert (asked.token, asked.operation, asked.store_id, asked.terminal_id) == ("t", "1500", "s1", "t1")
    assert (asked.customer, asked.purpose, list(asked.grants)) == ("13800138000", check_pb2.PURPOSE_ORDER, ["g1", "g2"])


@pytest.mark.rule("CI-2")
async def test_a_denial_says_why_and_what_is_missing() -> None:
    centre, shop = Centre(), Shop()
    centre.answer = check_pb2.CheckResponse(
        reason="REQUIREMENTS_MISSING", text="bring", required=[{"kind": "IDENTITY", "any_of": ["ID_CARD", "PASSPORT"]}]
    )
    async with _shop(shop, GuardInterceptor(centre)) as stub:
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await stub.GetStaff(REQUEST, metadata=METADATA)
    info = _info(caught.value)
    assert caught.value.code() is grpc.StatusCode.PERMISSION_DENIED
    assert (info.reason, dict(info.metadata)) == ("REQUIREMENTS_MISSING", {"IDENTITY": "ID_CARD|PASSPORT"})
    assert shop.served == 0


@pytest.mark.rule("CI-1", "CI-2")
@pytest.mark.parametrize(
    "error", [Unavailable(Reason.PEER_UNAVAILABLE), Unavailable(Reason.SNAPSHOT_STALE), RuntimeError("bug"), OSError()]
)
async def test_without_a_decision_nothing_is_served(error: Exception) -> None:
    centre, shop = Centre(), Shop()
    centre.error = error
    async with _shop(shop, GuardInterceptor(centre)) as stub:
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await stub.GetStaff(REQUEST, metadata=METADATA)
    assert caught.value.code() is grpc.StatusCode.UNAVAILABLE
    assert _info(caught.value).reason == (error.reason if isinstance(error, InfosecError) else "PEER_UNAVAILABLE")
    assert shop.served == 0


async def test_without_a_token_nobody_is_asked() -> None:
    centre, shop = Centre(), Shop()
    async with _shop(shop, GuardInterceptor(centre)) as stub:
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await stub.GetStaff(REQUEST)
    assert caught.value.code() is grpc.StatusCode.UNAUTHENTICATED
    assert (centre.asked, shop.served) == ([], 0)


async def test_a_marked_method_on_a_server_without_the_interceptor_does_not_run() -> None:
    shop = Shop()
    async with _shop(shop) as stub:
        with pytest.raises(grpc.aio.AioRpcError):
            await stub.GetStaff(REQUEST, metadata=METADATA)
    assert shop.served == 0


async def test_methods_may_be_named_instead_of_marked() -> None:
    centre, shop = Centre(), Shop()
    centre.answer = check_pb2.CheckResponse(allowed=False, reason="ROLE")
    interceptor = GuardInterceptor(centre, {LIST: Guarded(operation="1267")})
    async with _shop(shop, interceptor) as stub:
        with pytest.raises(grpc.aio.AioRpcError):
            await stub.ListStaff(staff_pb2.ListStaffRequest(), metadata=METADATA)
    assert (len(centre.asked), shop.served) == (1, 0)


@pytest.mark.rule("CI-5")
def test_a_read_is_not_guarded_without_a_mask() -> None:
    with pytest.raises(Misconfigured):
        Guarded(operation="1500")
    with pytest.raises(Misconfigured):
        guarded("1500")
    Guarded(operation="1302")
    Guarded(operation="1500", masks=NOTHING_SHOWN)


@pytest.mark.rule("CI-5")
def test_the_refusal_says_what_to_write() -> None:
    with pytest.raises(Misconfigured) as caught:
        Guarded(operation="1500")
    assert "MaskedFields" in caught.value.details["hint"]
    assert "masks=NOTHING_SHOWN" in caught.value.details["hint"]


@pytest.mark.rule("CI-5")
async def test_a_code_that_turns_out_to_be_a_read_is_not_served_without_a_mask() -> None:
    centre, shop = Centre(), Shop()
    async with _shop(shop, GuardInterceptor(centre, {LIST: Guarded(operation="9999")})) as stub:
        with pytest.raises(grpc.aio.AioRpcError):
            await stub.ListStaff(staff_pb2.ListStaffRequest(), metadata=METADATA)
    assert shop.served == 0


@pytest.mark.rule("CI-5")
@pytest.mark.parametrize(
    ("masking", "shown"),
    [
        ({"phone": True, "name": True, "id_number": True, "address": True}, ("138****8000", "L* **")),
        ({"phone": True}, ("138****8000", "Li Na")),
        ({}, ("13800138000", "Li Na")),
        (None, ("138****8000", "L* **")),
    ],
)
async def test_the_answer_shows_what_the_decision_names_as_unmasked_and_no_more(
    masking: dict[str, bool] | None, shown: tuple[str, str]
) -> None:
    centre, shop = Centre(), Shop()
    centre.answer.ClearField("masking")
    if masking is not None:
        centre.answer.masking.CopyFrom(check_pb2.Masking(**masking))
    async with _shop(shop, GuardInterceptor(centre)) as stub:
        answer = await stub.GetStaff(REQUEST, metadata=METADATA)
    assert (answer.staff.staff_id, answer.staff.name) == shown


@pytest.mark.rule("CI-5")
async def test_an_answer_that_the_plan_was_not_made_for_does_not_leave() -> None:
    centre, shop = Centre(), Shop()
    interceptor = GuardInterceptor(centre, {LIST: Guarded(operation="1500", masks=VIEW)})
    async with _shop(shop, interceptor) as stub:
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await stub.ListStaff(staff_pb2.ListStaffRequest(), metadata=METADATA)
    assert caught.value.code() is grpc.StatusCode.INTERNAL


async def _pages() -> AsyncIterator[staff_pb2.ListStaffResponse]:
    yield staff_pb2.ListStaffResponse(staff=[staff_pb2.Staff(name="张三"), staff_pb2.Staff(name="欧阳娜娜")])
    yield staff_pb2.ListStaffResponse(staff=[staff_pb2.Staff(name="Li Na")])


async def _yields(_request: Any, _context: Any) -> AsyncIterator[staff_pb2.ListStaffResponse]:
    async for page in _pages():
        yield page


async def _writes(_request: Any, context: Any) -> None:
    assert context.peer()
    async for page in _pages():
        await context.write(page)


async def _yields_and_writes(_request: Any, context: Any) -> AsyncIterator[staff_pb2.ListStaffResponse]:
    is_first = True
    async for page in _pages():
        if is_first:
            await context.write(page)
        else:
            yield page
        is_first = False


@pytest.mark.rule("CI-5")
@pytest.mark.parametrize("handler", [_yields, _writes, _yields_and_writes])
async def test_every_message_of_a_stream_leaves_masked_however_it_is_sent(handler: Callable[..., Any]) -> None:
    centre = Centre()
    marked = guarded("1500", masks=PAGE)(handler)
    method = grpc.unary_stream_rpc_method_handler(
        marked, staff_pb2.ListStaffRequest.FromString, staff_pb2.ListStaffResponse.SerializeToString
    )
    server = grpc.aio.server(interceptors=(GuardInterceptor(centre),))
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler("shop.v1.Shop", {"Pages": method}),))
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    try:
        async with grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel:
            call = channel.unary_stream(
                "/shop.v1.Shop/Pages",
                staff_pb2.ListStaffRequest.SerializeToString,
                staff_pb2.ListStaffResponse.FromString,
            )
            pages = [page async for page in call(staff_pb2.ListStaffRequest(), metadata=METADATA)]
    finally:
        await server.stop(None)
    assert [[one.name for one in page.staff] for page in pages] == [["张*", "欧阳**"], ["L* **"]]


async def test_a_stream_of_requests_is_not_served() -> None:
    centre, shop = Centre(), Shop()
    path = "/infosec.api.auth.v1.StaffAdminService/ImportStaff"
    async with _shop(shop, GuardInterceptor(centre, {path: Guarded(operation="1302")})) as stub:
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            async for _answer in stub.ImportStaff(iter([staff_pb2.ImportStaffRequest()]), metadata=METADATA):
                pass
    assert caught.value.code() is grpc.StatusCode.INTERNAL
