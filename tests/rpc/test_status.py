"""The error table: complete, and the same error on both sides of the wire."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta

import grpc
import pytest
from google.rpc import error_details_pb2, status_pb2

from infosec import errors
from infosec.api.common.v1 import errors_pb2
from infosec.errors import InfosecError, Internal, InvalidInput, Reason, ResourceExhausted, Unavailable
from infosec.messages import Locale, localized
from infosec.rpc.status import DETAILS_KEY, MAX_STATUS_BYTES, STATUS_OF, from_rpc_error, from_status, to_status
from tests.sim.wire import Wire


def _tree(cls: type[InfosecError]) -> Iterator[type[InfosecError]]:
    for below in cls.__subclasses__():
        yield below
        yield from _tree(below)


CLASSES = sorted(
    {cls for cls in _tree(InfosecError) if cls.__module__ == errors.__name__}, key=lambda cls: cls.__name__
)


def test_every_class_of_the_tree_has_a_status_of_its_own() -> None:
    assert set(STATUS_OF) == set(CLASSES)
    assert len(set(STATUS_OF.values())) == len(STATUS_OF)


def test_the_contract_lists_the_same_reasons() -> None:
    listed = {name.removeprefix("ERROR_REASON_") for name in errors_pb2.ErrorReason.DESCRIPTOR.values_by_name}
    assert listed - {"UNSPECIFIED"} == {reason.value for reason in Reason}


@pytest.mark.parametrize("cls", CLASSES)
@pytest.mark.parametrize("reason", Reason)
@pytest.mark.parametrize("locale", Locale)
def test_an_error_comes_back_as_it_was(cls: type[InfosecError], reason: Reason, locale: Locale) -> None:
    sent = cls(
        reason, retry_after=timedelta(milliseconds=1500), violations=("TOO_SHORT", "NO_DIGIT"), field="new_password"
    )
    got = from_status(*to_status(sent, locale))
    assert type(got) is cls
    assert (got.reason, got.retry_after, got.violations, got.details) == (
        sent.reason,
        sent.retry_after,
        sent.violations,
        sent.details,
    )


def test_without_a_delay_none_is_read() -> None:
    assert from_status(*to_status(InvalidInput(Reason.INVALID_ARGUMENT), Locale.EN)).retry_after is None


def test_more_violations_than_a_status_holds_are_counted() -> None:
    sent = InvalidInput(Reason.FILE_REJECTED, violations=tuple(f"row {row}: no such store" for row in range(5000)))
    code, body = to_status(sent, Locale.ZH_CN)
    got = from_status(code, body)
    assert len(body) <= MAX_STATUS_BYTES
    assert 0 < len(got.violations) < 5000
    assert int(got.details["violations_omitted"]) == 5000 - len(got.violations)


@pytest.mark.parametrize(
    ("code", "cls"),
    [
        (grpc.StatusCode.UNAVAILABLE, Unavailable),
        (grpc.StatusCode.DEADLINE_EXCEEDED, errors.DeadlineExceeded),
        (grpc.StatusCode.RESOURCE_EXHAUSTED, ResourceExhausted),
        (grpc.StatusCode.DATA_LOSS, Internal),
        (grpc.StatusCode.UNKNOWN, Internal),
    ],
)
@pytest.mark.parametrize("body", [None, b"", b"\xff\xff not a status"])
def test_a_status_that_is_not_ours_is_read_by_its_code(
    code: grpc.StatusCode, cls: type[InfosecError], body: bytes | None
) -> None:
    assert type(from_status(code, body)) is cls


@pytest.mark.parametrize("locale", Locale)
async def test_the_sentence_is_in_the_callers_language(wire: Wire, locale: Locale) -> None:
    refused = errors.Unauthenticated(Reason.LOGIN_REFUSED)

    async def refuse(_request: object) -> object:
        raise refused

    wire.login.login.act = refuse
    async with wire.suite(locale=locale.value) as suite:
        with pytest.raises(errors.Unauthenticated) as caught:
            await suite.login.login("li.na", "secret-1", terminal_id="t1")
    assert caught.value.reason is Reason.LOGIN_REFUSED
    assert isinstance(caught.value.__cause__, grpc.aio.AioRpcError)
    details = dict(caught.value.__cause__.trailing_metadata() or ())[DETAILS_KEY]
    status, told = status_pb2.Status.FromString(bytes(details)), error_details_pb2.LocalizedMessage()
    assert any(detail.Unpack(told) for detail in status.details)
    assert (told.locale, told.message) == (locale.value, localized(refused, locale))
    assert from_rpc_error(caught.value.__cause__).reason is Reason.LOGIN_REFUSED
