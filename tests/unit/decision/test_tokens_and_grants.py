"""Session tokens, grants and the memory of what was verified."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest

from infosec.canonical import Json
from infosec.decision.grants import (
    MAX_GRANT_S,
    ConsentChannel,
    DocumentType,
    Grant,
    GrantId,
    GrantKind,
    GrantMemo,
    issue_grant,
    open_grant,
)
from infosec.decision.memo import VerifiedMemo
from infosec.decision.session import HandleMemo, SessionHandle, issue_token, open_token
from infosec.errors import InvalidInput, PermissionDenied, Reason, Unauthenticated
from infosec.ids import RoleId, SessionId, TerminalId
from infosec.keys import SigningKeys
from infosec.signed import sign
from tests.unit.decision.world import ACTOR, INSTALLATION, NOON, OTHER, Case, case_of, grant_for

SESSION_KEYS = SigningKeys.generate("session", now=NOON)
GRANT_KEYS = {kind: SigningKeys.generate(kind.value, now=NOON) for kind in GrantKind}
PUBLIC: Mapping[str, Mapping[str, bytes]] = {kind.value: keys.public_keys() for kind, keys in GRANT_KEYS.items()}
HANDLE = case_of("clerk", "1104").handle


def opened(text: str) -> SessionHandle:
    return open_token(text, SESSION_KEYS.public_keys(), INSTALLATION)


@pytest.mark.rule("ID-9")
def test_a_token_says_what_was_signed() -> None:
    assert opened(issue_token(HANDLE, SESSION_KEYS)) == HANDLE


def test_a_token_of_the_longest_names_is_within_the_limit_of_the_wire() -> None:
    widest = replace(
        HANDLE,
        system="s" * 63,  # type: ignore[arg-type]
        terminal="t" * 63,  # type: ignore[arg-type]
        staff_id="p" * 32,  # type: ignore[arg-type]
        region="r" * 63,  # type: ignore[arg-type]
        revision=2**53 - 1,
    )
    assert opened(issue_token(widest, SESSION_KEYS)) == widest


def test_a_token_of_another_installation_or_key_is_refused() -> None:
    text = issue_token(HANDLE, SESSION_KEYS)
    other = SigningKeys.generate("session", now=NOON)
    with pytest.raises(Unauthenticated):
        open_token(text, SESSION_KEYS.public_keys(), "installation-2")
    with pytest.raises(Unauthenticated):
        open_token(text, other.public_keys(), INSTALLATION)
    with pytest.raises(Unauthenticated):
        opened(text + "A" * 2000)


@pytest.mark.parametrize("change", [{"sid": None}, {"sid": ""}, {"stf": 7}, {"rev": "7"}, {"rev": True}, {"rev": -1}])
def test_signed_claims_of_another_shape_are_no_token(change: dict[str, Json]) -> None:
    claims: dict[str, Json] = {
        "sid": "s", "sys": "billing", "trm": "t", "stf": "p", "rgn": "east", "rev": 1, "ins": INSTALLATION,
        "iat": 1, "exp": 2,
    }  # fmt: skip
    assert opened(sign("session", claims, SESSION_KEYS)).revision == 1
    with pytest.raises(Unauthenticated):
        opened(sign("session", claims | change, SESSION_KEYS))


def a_grant(kind: GrantKind, **changes: Any) -> Grant:
    case: Case = case_of("clerk", "x001")
    return grant_for(case, kind, **changes)


FULL = {
    "session": SessionId("s"),
    "terminal": TerminalId("t"),
    "order": "o",
    "product": "p",
}


@pytest.mark.rule("RQ-7")
@pytest.mark.parametrize("kind", GrantKind)
@pytest.mark.parametrize("changes", [{}, FULL, {"customer": None, "product": None}])
def test_a_grant_says_what_was_signed(kind: GrantKind, changes: dict[str, Any]) -> None:
    grant = a_grant(kind, **changes)
    assert open_grant(issue_grant(grant, GRANT_KEYS[kind]), PUBLIC, INSTALLATION) == grant


@pytest.mark.rule("RQ-7")
def test_a_key_is_good_for_one_kind_of_grant_only() -> None:
    consent = issue_grant(a_grant(GrantKind.CONSENT), GRANT_KEYS[GrantKind.CONSENT])
    renamed = consent.replace("grant-consent.", "grant-approval.")
    crossed = {kind.value: GRANT_KEYS[GrantKind.IDENTITY].public_keys() for kind in GrantKind}
    for text, keys in ((renamed, PUBLIC), (consent, crossed), (consent, {})):
        with pytest.raises(PermissionDenied) as refusal:
            open_grant(text, keys, INSTALLATION)
        assert refusal.value.reason is Reason.GRANT_INVALID
    with pytest.raises(ValueError, match="do not sign"):
        issue_grant(a_grant(GrantKind.CONSENT), GRANT_KEYS[GrantKind.APPROVAL])


@pytest.mark.parametrize("text", ["", "session.e30.AA", "grant-identity", "grant-identity.e30.AA", "x" * 5000])
def test_what_is_no_grant_is_refused(text: str) -> None:
    with pytest.raises(PermissionDenied):
        open_grant(text, PUBLIC, INSTALLATION)


def test_a_grant_of_another_installation_is_refused() -> None:
    text = issue_grant(a_grant(GrantKind.IDENTITY), GRANT_KEYS[GrantKind.IDENTITY])
    with pytest.raises(PermissionDenied):
        open_grant(text, PUBLIC, "installation-2")


@pytest.mark.parametrize(
    "change", [{"doc": "LIBRARY_CARD"}, {"doc": None}, {"cus": "zz"}, {"exp": 10**9}, {"chn": "SMS_REPLY"}]
)
def test_signed_claims_that_do_not_fit_their_kind_are_no_grant(change: dict[str, Json]) -> None:
    claims: dict[str, Json] = {
        "gid": "g", "ins": INSTALLATION, "sub": "p", "op": "1104", "cus": "00ff", "sto": "hall", "iat": 0, "exp": 60,
        "doc": "ID_CARD",
    }  # fmt: skip
    keys = GRANT_KEYS[GrantKind.IDENTITY]
    assert open_grant(sign(keys.kind, claims, keys), PUBLIC, INSTALLATION).customer == b"\x00\xff"
    with pytest.raises(PermissionDenied):
        open_grant(sign(keys.kind, claims | change, keys), PUBLIC, INSTALLATION)


@pytest.mark.rule("RQ-7")
@pytest.mark.parametrize(
    "changes",
    [
        {"document": None},
        {"channel": ConsentChannel.SMS_REPLY},
        {"document": None, "channel": ConsentChannel.SMS_REPLY},
        {"approver": OTHER, "approver_role": RoleId("store-manager")},
        {"approver_role": RoleId("store-manager")},
        {"expires_s": int(NOON.timestamp()) - 60},
        {"expires_s": int(NOON.timestamp()) - 60 + MAX_GRANT_S + 1},
    ],
)
def test_a_grant_carries_the_proof_of_its_kind_and_lives_for_minutes(changes: dict[str, Any]) -> None:
    assert a_grant(GrantKind.IDENTITY, expires_s=int(NOON.timestamp()) - 60 + MAX_GRANT_S).person == ACTOR
    with pytest.raises(InvalidInput):
        a_grant(GrantKind.IDENTITY, **changes)
    assert a_grant(GrantKind.IDENTITY).document is DocumentType.ID_CARD


class Door:
    """An opener that counts, and refuses what begins with `bad`."""

    def __init__(self) -> None:
        self.seen: list[str] = []

    def __call__(self, text: str, keys: Mapping[str, bytes], installation: str) -> str:
        self.seen.append(text)
        if text.startswith("bad"):
            raise Unauthenticated(Reason.TOKEN_INVALID)
        return f"{installation}:{text}"


def test_a_text_is_verified_once_while_it_is_remembered() -> None:
    door, keys = Door(), {"k": b"1"}
    memo = VerifiedMemo(door, capacity=2)
    assert [memo.open(text, keys, "i") for text in ("a", "a", "b", "a", "c", "a")] == [
        "i:a", "i:a", "i:b", "i:a", "i:c", "i:a",
    ]  # fmt: skip
    assert door.seen == ["a", "b", "c"]
    assert len(memo) == 2
    memo.open("b", keys, "i")
    assert door.seen == ["a", "b", "c", "b"]


def test_a_flood_of_forged_texts_pushes_out_nothing() -> None:
    door, keys = Door(), {"k": b"1"}
    memo = VerifiedMemo(door, capacity=2)
    memo.open("good", keys, "i")
    for number in range(10):
        with pytest.raises(Unauthenticated):
            memo.open(f"bad-{number}", keys, "i")
    memo.open("good", keys, "i")
    assert door.seen.count("good") == 1
    assert len(memo) == 1


def test_other_keys_or_another_installation_forget_everything() -> None:
    door, keys = Door(), {"k": b"1"}
    memo = VerifiedMemo(door)
    for use in ((keys, "i"), (dict(keys), "i"), (keys, "j"), (keys, "j")):
        memo.open("a", *use)
    assert door.seen == ["a", "a", "a"]


def test_what_was_verified_with_keys_that_are_replaced_meanwhile_is_not_kept() -> None:
    old, new = {"k": b"1"}, {"k": b"2"}

    def rotating(text: str, keys: Mapping[str, bytes], installation: str) -> str:
        if keys is old:
            memo.open("other", new, installation)
        return text

    memo = VerifiedMemo(rotating)
    assert memo.open("a", old, "i") == "a"
    assert len(memo) == 1


def test_the_memories_of_tokens_and_grants_verify_what_they_are_made_for() -> None:
    text = issue_token(HANDLE, SESSION_KEYS)
    keys = SESSION_KEYS.public_keys()
    handles, grants = HandleMemo(), GrantMemo()
    assert handles.open(text, keys, INSTALLATION) is handles.open(text, keys, INSTALLATION)
    approval = replace(a_grant(GrantKind.APPROVAL), grant_id=GrantId("g-2"))
    signed = issue_grant(approval, GRANT_KEYS[GrantKind.APPROVAL])
    assert grants.open(signed, PUBLIC, INSTALLATION) is grants.open(signed, PUBLIC, INSTALLATION)
