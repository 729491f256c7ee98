"""The contract as it stands in protos/: generated without a difference, clean, and commented so that a caller can rely on it."""

from __future__ import annotations

import importlib
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from google.protobuf.descriptor import Descriptor, FieldDescriptor, ServiceDescriptor

from infosec.errors import InvalidInput
from infosec.rpc.limits import Limits, limit_of

ROOT = Path(__file__).resolve().parents[2]
PROTOS = ROOT / "protos"
BIN = Path(sys.executable).parent
FILES = sorted(PROTOS.rglob("*.proto"))
AUTH_SERVICES = {
    "LoginService": "Login IssueToken IssueAssertion ChangePassword StepUp EnrollTotp ActivateTotp LockSession"
    " ResumeSession Logout",
    "CheckService": "Check CheckBatch CheckStream WatchSnapshot",
    "RequestService": "ProveIdentity SubmitRequest GetRequest ListRequests Approve Reject Cancel",
    "ApprovalService": "SubmitApproval GetApproval ListApprovals Redeem Release",
    "StaffAdminService": "CreateStaff GetStaff ListStaff UpdateStaff SuspendStaff CloseStaff ImportStaff ListFindings",
    "DirectoryAdminService": "PutRegion PutStore PutTerminal PutSystem AssignCustomers UnassignCustomers",
    "PolicyService": "GetPolicy ListOperations GetDeviationReport",
    "PolicyAdminService": "PutRole AssignRole PutOperation",
}
MAY_BE_UNSPECIFIED = re.compile(r"(\.purpose|List\w+Request\.\w+)$")
"""Where the zero value of an enum means "none": a purpose that is not stated, a filter that is not set."""
_METHOD = re.compile(r"((?:[ ]*//[^\n]*\n)*)[ ]*rpc (\w+)\(")
_SERVICE = re.compile(r"((?://[^\n]*\n)*)service (\w+) \{(.*?)\n\}", re.DOTALL)


def modules() -> Iterator[Any]:
    for path in FILES:
        name = str(path.relative_to(PROTOS).with_suffix("")).replace("/", ".")
        yield importlib.import_module(name + "_pb2")


def services() -> dict[str, ServiceDescriptor]:
    return {s.full_name: s for module in modules() for s in module.DESCRIPTOR.services_by_name.values()}


def inputs() -> list[Descriptor]:
    """Every message that a caller can send, nested ones included."""
    found: dict[str, Descriptor] = {}

    def add(descriptor: Descriptor) -> None:
        if descriptor.full_name not in found and descriptor.file.package.startswith("infosec."):
            found[descriptor.full_name] = descriptor
            for field in descriptor.fields:
                if field.message_type is not None:
                    add(field.message_type)

    for service in services().values():
        for method in service.methods:
            add(method.input_type)
    return list(found.values())


def comments() -> Iterator[tuple[str, str, str]]:
    """Each method with its own comment, and that of its service."""
    for path in FILES:
        for about, service, body in _SERVICE.findall(path.read_text(encoding="utf-8")):
            for comment, method in _METHOD.findall(body):
                yield f"{service}.{method}", comment, about


def contents(folder: Path) -> dict[str, bytes]:
    paths = (path for path in folder.rglob("*") if path.is_file() and "__pycache__" not in path.parts)
    return {str(path.relative_to(folder)): path.read_bytes() for path in paths}


def test_the_committed_code_is_what_the_contract_generates(tmp_path: Path) -> None:
    subprocess.run([sys.executable, PROTOS / "generate.py", tmp_path], check=True)
    assert contents(tmp_path / "infosec" / "api") == contents(ROOT / "infosec" / "api")


def test_the_contract_is_lint_clean() -> None:
    linted = subprocess.run([BIN / "buf", "lint"], cwd=PROTOS, capture_output=True, text=True)
    assert (linted.returncode, linted.stdout) == (0, "")


def test_every_service_and_method_of_auth_is_there() -> None:
    known = services()
    for name, methods in AUTH_SERVICES.items():
        assert set(methods.split()) <= set(known[f"infosec.api.auth.v1.{name}"].methods_by_name), name


def test_a_comment_on_every_method_says_who_may_call_it_whether_to_retry_and_what_it_refuses() -> None:
    assert sum(len(service.methods) for service in services().values()) == len(list(comments()))
    silent = {}
    for name, comment, about in comments():
        missing = [word for word in ("Callers", "Retry") if not re.search(word, comment + about, re.IGNORECASE)]
        missing += [] if re.search("reasons", comment, re.IGNORECASE) else ["Reasons"]
        if missing:
            silent[name] = missing
    assert silent == {}


def test_reasons_in_comments_are_of_the_closed_enum() -> None:
    from infosec.api.common.v1 import errors_pb2

    known = {name.removeprefix("ERROR_REASON_") for name in errors_pb2.ErrorReason.keys()}  # noqa: SIM118
    for name, comment, _ in comments():
        said = " ".join(comment.replace("//", " ").split()).partition("Reasons")[2]
        assert set(re.findall(r"\b[A-Z]+(?:_[A-Z]+)+\b", said)) <= known, name


@pytest.mark.parametrize("descriptor", inputs(), ids=lambda descriptor: descriptor.name)
def test_an_unspecified_enum_value_is_refused_unless_it_means_none(descriptor: Descriptor) -> None:
    for field in descriptor.fields:
        if field.enum_type is None:
            continue
        assert field.enum_type.values_by_number[0].name.endswith("_UNSPECIFIED")
        if MAY_BE_UNSPECIFIED.search(field.full_name):
            continue
        message = _filled(_message(descriptor), descriptor)
        if field.is_repeated:
            getattr(message, field.name).append(0)
        else:
            setattr(message, field.name, 0)
        with pytest.raises(InvalidInput) as refused:
            Limits().check_for(descriptor)(message)
        assert refused.value.details["field"].startswith(field.name)


@pytest.mark.parametrize("descriptor", inputs(), ids=lambda descriptor: descriptor.name)
def test_an_enum_value_that_the_contract_does_not_have_is_refused(descriptor: Descriptor) -> None:
    for field in descriptor.fields:
        if field.enum_type is None:
            continue
        message = _filled(_message(descriptor), descriptor)
        if field.is_repeated:
            getattr(message, field.name).append(99)
        else:
            setattr(message, field.name, 99)
        with pytest.raises(InvalidInput) as refused:
            Limits().check_for(descriptor)(message)
        assert refused.value.details["field"].startswith(field.name)


def _message(descriptor: Descriptor) -> Any:
    module = importlib.import_module(descriptor.file.name.removesuffix(".proto").replace("/", ".") + "_pb2")
    return getattr(module, descriptor.name)()


def _filled(message: Any, descriptor: Descriptor) -> Any:
    """With something in every text that has to be there, so that the enum is what is refused."""
    for field in descriptor.fields:
        if field.type == FieldDescriptor.TYPE_STRING and not field.is_repeated and field.containing_oneof is None:
            setattr(message, field.name, "x")
        elif field.message_type is not None and not field.is_repeated and limit_of(field).required:
            _filled(getattr(message, field.name), field.message_type)
            getattr(message, field.name).SetInParent()
    return message
