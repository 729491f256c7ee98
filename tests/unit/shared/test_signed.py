"""Signed handles: one text a payload, one kind a key."""

import base64
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from infosec.canonical import Json, encode
from infosec.errors import Reason, Unauthenticated
from infosec.keys import SigningKeys
from infosec.signed import MAX_BYTES, open_signed, sign

NOW = datetime(2026, 3, 1, tzinfo=UTC)
SESSION = SigningKeys.generate("session", now=NOW)
CLAIMS: dict[str, Json] = {"sid": "s-1", "revision": 7}
TOKEN = sign("session", CLAIMS, SESSION)


def b64(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def signed_by_hand(payload: bytes, *, kind: str = "session") -> str:
    signature = SESSION.sign(f"infosec/{kind}/v1\n".encode() + payload)
    return f"session.{b64(payload)}.{b64(signature)}"


def test_the_claims_come_back() -> None:
    assert open_signed("session", TOKEN, SESSION.public_keys()) == CLAIMS


def test_a_token_outlives_the_rotation_of_its_key() -> None:
    turned = SESSION.rotate(now=NOW)
    assert open_signed("session", TOKEN, turned.public_keys()) == CLAIMS
    assert open_signed("session", sign("session", CLAIMS, turned), turned.public_keys()) == CLAIMS


KID = SESSION.active.kid
PAYLOAD = encode({**CLAIMS, "kid": KID})
REFUSED = {
    "nothing": "",
    "no signature": TOKEN.rpartition(".")[0],
    "one piece more": TOKEN + ".x",
    "padding": TOKEN + "==",
    "another kind": TOKEN.replace("session.", "grant-approval.", 1),
    "a space": " " + TOKEN,
    "a line end": TOKEN + "\n",
    "not ASCII": TOKEN + "é",
    "no key identifier": signed_by_hand(encode(CLAIMS)),
    "an unknown key": signed_by_hand(encode({**CLAIMS, "kid": "other-kid-00"})),
    "an identifier that is no text": signed_by_hand(encode({**CLAIMS, "kid": [KID]})),
    "a list": signed_by_hand(encode([KID])),
    "another order of names": signed_by_hand(b'{"sid":"s-1","revision":7,"kid":"%s"}' % KID.encode()),
    "the same name twice": signed_by_hand(b'{"kid":"%s","kid":"%s"}' % (KID.encode(), KID.encode())),
    "spaces in the payload": signed_by_hand(PAYLOAD.replace(b":", b": ")),
    "a signature for another kind": signed_by_hand(PAYLOAD, kind="grant-approval"),
    "a signature cut short": TOKEN[:-4],
    "the signature of other claims": f"session.{b64(PAYLOAD)}.{sign('session', {}, SESSION).rpartition('.')[2]}",
    "too long": sign("session", {"pad": "x" * MAX_BYTES}, SESSION),
}


@pytest.mark.parametrize("text", REFUSED.values(), ids=REFUSED.keys())
def test_everything_else_is_refused_in_one_way(text: str) -> None:
    with pytest.raises(Unauthenticated) as refused:
        open_signed("session", text, SESSION.public_keys())
    assert refused.value.reason is Reason.TOKEN_INVALID
    assert refused.value.details == {}


@given(st.integers(0, len(TOKEN) - 1), st.characters(codec="ascii"))
def test_any_changed_character_is_refused(position: int, character: str) -> None:
    changed = TOKEN[:position] + character + TOKEN[position + 1 :]
    if changed == TOKEN:
        return
    with pytest.raises(Unauthenticated):
        open_signed("session", changed, SESSION.public_keys())


@given(st.text(max_size=200))
def test_no_text_breaks_it(text: str) -> None:
    with pytest.raises(Unauthenticated):
        open_signed("session", text, SESSION.public_keys())


def test_a_key_signs_its_own_kind_only() -> None:
    with pytest.raises(ValueError, match="do not sign"):
        sign("grant-approval", CLAIMS, SESSION)
    with pytest.raises(ValueError, match="kid"):
        sign("session", {"kid": "mine"}, SESSION)
