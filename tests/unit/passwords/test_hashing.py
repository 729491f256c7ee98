"""ID-5, ID-6, ID-7: comparing passwords costs the same for everybody, is bounded, and stands beside the event loop."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import threading
from collections.abc import Iterator
from datetime import timedelta

import argon2
import bcrypt
import pytest
from argon2.low_level import Type
from passlib.hash import ldap_salted_sha1, pbkdf2_sha256, pbkdf2_sha512, sha512_crypt

from authsvc import hashing
from authsvc.hash_schemes import HashParameters, Scheme, matches_legacy, validate_imported
from authsvc.hashing import Load, PasswordHasher, PoolLimits, Target, Verdict
from infosec.errors import Internal, InvalidInput, Reason, ResourceExhausted, Unavailable

CHEAP = HashParameters(memory_kib=64, time_cost=1, parallelism=1)
MARKER = "Kx9#mPq2vL-marker-密码"


@pytest.fixture
def seen() -> list[Target]:
    return []


@pytest.fixture
def hasher(seen: list[Target]) -> Iterator[PasswordHasher]:
    made = PasswordHasher(CHEAP, limits=PoolLimits(workers=2, max_waiting=8), observer=seen.append)
    yield made
    made.close()


def legacy_hashes(password: str) -> dict[Scheme, str]:
    return {
        Scheme.BCRYPT: bcrypt.hashpw(password.encode()[:72], bcrypt.gensalt(4)).decode(),
        Scheme.SHA512_CRYPT: sha512_crypt.using(rounds=1000).hash(password),
        Scheme.SSHA: ldap_salted_sha1.hash(password),
        Scheme.PBKDF2_SHA256: pbkdf2_sha256.using(rounds=10).hash(password),
        Scheme.PBKDF2_SHA512: pbkdf2_sha512.using(rounds=10).hash(password),
    }


@pytest.mark.rule("ID-5")
async def test_the_right_password_matches_and_a_wrong_one_does_not(hasher: PasswordHasher, seen: list[Target]) -> None:
    stored = await hasher.hash(MARKER)
    assert stored.startswith("$argon2id$v=19$m=64,t=1,p=1$")
    assert await hasher.hash(MARKER) != stored
    assert await hasher.verify(stored, MARKER) == Verdict(matches=True, rehash_needed=False)
    assert await hasher.verify(stored, MARKER.lower()) == Verdict(matches=False, rehash_needed=False)
    assert seen == [Target.OWN, Target.OWN]


@pytest.mark.rule("ID-5")
async def test_nobody_has_to_observe() -> None:
    hasher = PasswordHasher(CHEAP)
    assert await hasher.verify_dummy(MARKER) is None
    hasher.close()


@pytest.mark.rule("ID-7")
def test_the_default_parameters_are_argon2id_at_nineteen_mebibytes() -> None:
    found = argon2.extract_parameters(HashParameters().hasher().hash("x"))
    assert (found.type, found.memory_cost, found.time_cost, found.parallelism) == (Type.ID, 19456, 2, 1)


@pytest.mark.rule("ID-7")
async def test_the_dummy_is_hashed_at_the_parameters_in_force(hasher: PasswordHasher, seen: list[Target]) -> None:
    await hasher.verify_dummy(MARKER)
    assert seen == [Target.DUMMY]
    assert hasher._dummy.startswith("$argon2id$v=19$m=64,t=1,p=1$")


@pytest.mark.rule("ID-5")
async def test_a_hash_at_other_parameters_is_to_be_made_anew_after_a_match_only(hasher: PasswordHasher) -> None:
    stored = HashParameters(memory_kib=128, time_cost=1).hasher().hash(MARKER)
    assert await hasher.verify(stored, MARKER) == Verdict(matches=True, rehash_needed=True)
    assert await hasher.verify(stored, "wrong") == Verdict(matches=False, rehash_needed=False)


@pytest.mark.rule("ID-6")
async def test_the_history_is_compared_hash_by_hash(hasher: PasswordHasher, seen: list[Target]) -> None:
    last = [await hasher.hash(f"Kx9#mPq2v{n}") for n in range(5)]
    assert await hasher.matches_any("Kx9#mPq2v3", last)
    assert seen == [Target.HISTORY] * 4
    assert not await hasher.matches_any("Kx9#mPq2v7", last)
    assert not await hasher.matches_any("Kx9#mPq2v7", ())


@pytest.mark.rule("ID-6")
async def test_a_history_of_any_length_is_not_compared(hasher: PasswordHasher, seen: list[Target]) -> None:
    with pytest.raises(Internal):
        await hasher.matches_any(MARKER, [hasher._dummy] * (hashing.MAX_HISTORY + 1))
    assert seen == []


@pytest.mark.rule("ID-5")
@pytest.mark.parametrize("scheme", [scheme for scheme in Scheme if scheme is not Scheme.ARGON2ID])
@pytest.mark.parametrize("password", [MARKER, "密码" * 60, "a" * 72 + "bc"], ids=["short", "long", "ascii"])
async def test_imported_hashes_work_once_and_are_to_be_made_anew(
    hasher: PasswordHasher, scheme: Scheme, password: str
) -> None:
    stored = legacy_hashes(password)[scheme]
    assert validate_imported(stored) is scheme
    assert await hasher.verify(stored, password) == Verdict(matches=True, rehash_needed=True)
    assert await hasher.verify(stored, "x" + password) == Verdict(matches=False, rehash_needed=False)


@pytest.mark.rule("ID-5")
@pytest.mark.parametrize(
    ("stored", "password"),
    [
        # crypt_blowfish's own test vector, in the spellings of three systems
        ("$2a$05$CCCCCCCCCCCCCCCCCCCCC.E5YPO9kmyuRGyh0XouQYb4YMJKvyOeW", "U*U"),
        ("$2y$05$CCCCCCCCCCCCCCCCCCCCC.E5YPO9kmyuRGyh0XouQYb4YMJKvyOeW", "U*U"),
        ("$2b$05$CCCCCCCCCCCCCCCCCCCCC.E5YPO9kmyuRGyh0XouQYb4YMJKvyOeW", "U*U"),
        # the salt and password of the SHA-crypt specification's first vector, no rounds stated; from glibc's crypt()
        (
            "$6$saltstring$svn8UoSVapNtMuq1ukKS4tPQd8iKwSMHWjl/O817G3uBnIFNjnQJuesI68u4OTLiBFdcbYEdFCoEOfaS35inz1",
            "Hello world!",
        ),
        # RFC 6070's salt and password under SHA-256, one round, from hashlib
        (
            "$pbkdf2-sha256$1$c2FsdA$"
            + base64.b64encode(hashlib.pbkdf2_hmac("sha256", b"password", b"salt", 1))
            .decode()
            .rstrip("=")
            .replace("+", "."),
            "password",
        ),
        # RFC 2307's scheme, by its definition
        ("{SSHA}" + base64.b64encode(hashlib.sha1(b"secretsalt").digest() + b"salt").decode(), "secret"),
    ],
)
async def test_hashes_made_elsewhere_are_understood(hasher: PasswordHasher, stored: str, password: str) -> None:
    assert (await hasher.verify(stored, password)).matches


@pytest.mark.rule("ID-5")
def test_a_password_that_a_scheme_cannot_hold_does_not_match() -> None:
    for scheme, stored in legacy_hashes("plain").items():
        assert not matches_legacy(scheme, stored, "pl\x00ain")


BAD_HASHES = {
    "bcrypt cost": "$2b$15$CCCCCCCCCCCCCCCCCCCCC.E5YPO9kmyuRGyh0XouQYb4YMJKvyOeW",
    "bcrypt cost 31": "$2b$31$CCCCCCCCCCCCCCCCCCCCC.E5YPO9kmyuRGyh0XouQYb4YMJKvyOeW",
    "bcrypt cost 2": "$2b$02$CCCCCCCCCCCCCCCCCCCCC.E5YPO9kmyuRGyh0XouQYb4YMJKvyOeW",
    "sha512-crypt rounds": "$6$rounds=1000001$saltstring$" + "a" * 86,
    "sha512-crypt rounds of ten digits": "$6$rounds=9999999999$saltstring$" + "a" * 86,
    "pbkdf2 rounds": "$pbkdf2-sha256$2000001$c2FsdA$" + "a" * 43,
    "pbkdf2-sha512 rounds": "$pbkdf2-sha512$9999999999$c2FsdA$" + "a" * 86,
    "pbkdf2 zero rounds": "$pbkdf2-sha256$0$c2FsdA$" + "a" * 43,
    "argon2 memory": "$argon2id$v=19$m=1048576,t=1,p=1$c2FsdHNhbHQ$" + "a" * 43,
    "argon2 passes": "$argon2id$v=19$m=262144,t=5,p=1$c2FsdHNhbHQ$" + "a" * 43,
    "argon2 no passes": "$argon2id$v=19$m=64,t=0,p=1$c2FsdHNhbHQ$" + "a" * 43,
    "argon2 lanes": "$argon2id$v=19$m=65536,t=1,p=9$c2FsdHNhbHQ$" + "a" * 43,
    "argon2 too little memory": "$argon2id$v=19$m=8,t=1,p=4$c2FsdHNhbHQ$" + "a" * 43,
    "argon2 base64": "$argon2id$v=19$m=64,t=1,p=1$c2FsdHNhbHQab$" + "a" * 43,
    "argon2i": "$argon2i$v=19$m=64,t=1,p=1$c2FsdHNhbHQ$" + "a" * 43,
    "ssha without a salt": "{SSHA}" + base64.b64encode(b"x" * 24).decode()[:-1] + "!",
    "ssha of odd length": "{SSHA}" + "A" * 33,
    "md5": "5f4dcc3b5aa765d61d8327deb882cf99",
    "plain text": "Password123!",
    "empty": "",
    "endless": "$6$" + "a" * 1_000_000,
    "not ASCII": "$6$盐$" + "a" * 86,
}


@pytest.mark.rule("ID-5")
@pytest.mark.parametrize("stored", BAD_HASHES.values(), ids=BAD_HASHES)
async def test_a_hash_that_is_malformed_or_costs_too_much_is_refused_at_import_and_at_use(
    hasher: PasswordHasher, seen: list[Target], stored: str
) -> None:
    with pytest.raises(InvalidInput) as refused:
        validate_imported(stored)
    assert refused.value.reason is Reason.INVALID_ARGUMENT
    with pytest.raises(Internal) as broken:
        await hasher.verify(stored, MARKER)
    assert seen == []
    assert not stored or stored not in str(refused.value) + str(broken.value)


@pytest.mark.rule("ID-5")
async def test_a_digest_that_the_library_cannot_use_is_our_fault_not_the_persons(hasher: PasswordHasher) -> None:
    stored = "$argon2id$v=19$m=64,t=1,p=1$c2FsdHNhbHQ$" + "a" * 17
    with pytest.raises(InvalidInput):
        validate_imported(stored)
    tampered = "$argon2id$v=19$m=64,t=1,p=1$c2FsdHNhbHR$" + "b" * 43
    with pytest.raises(Internal) as broken:
        await hasher.verify(tampered, MARKER)
    assert MARKER not in str(broken.value) + repr(broken.value) and broken.value.__cause__ is None


@pytest.fixture
def gate(monkeypatch: pytest.MonkeyPatch) -> Iterator[threading.Event]:
    """Holds every hash in its thread until it is opened."""
    opened = threading.Event()
    plain = argon2.PasswordHasher.verify

    def held(self: argon2.PasswordHasher, stored: str, password: str) -> bool:
        opened.wait(120)
        return plain(self, stored, password)

    monkeypatch.setattr(argon2.PasswordHasher, "verify", held)
    yield opened
    opened.set()


@pytest.mark.rule("ID-5")
async def test_a_full_queue_refuses_at_once_with_a_time_to_come_back(
    hasher: PasswordHasher, seen: list[Target], gate: threading.Event
) -> None:
    waiting = [asyncio.create_task(hasher.verify_dummy(MARKER)) for _ in range(10)]
    await asyncio.sleep(0)
    assert hasher.health() == Load(under_way=10, capacity=10)
    with pytest.raises(ResourceExhausted) as refused:
        await hasher.verify_dummy(MARKER)
    assert refused.value.reason is Reason.OVERLOADED
    assert refused.value.retry_after is not None and refused.value.retry_after > timedelta(0)
    assert len(seen) == 10
    gate.set()
    await asyncio.gather(*waiting)
    assert hasher.health().under_way == 0


@pytest.mark.rule("ID-5")
async def test_cancelled_callers_leave_no_place_taken(hasher: PasswordHasher, gate: threading.Event) -> None:
    waiting = [asyncio.create_task(hasher.verify_dummy(MARKER)) for _ in range(10)]
    await asyncio.sleep(0)
    for task in waiting:
        task.cancel()
    assert all(
        isinstance(one, asyncio.CancelledError) for one in await asyncio.gather(*waiting, return_exceptions=True)
    )
    assert hasher.health().under_way <= 2
    gate.set()
    assert (await hasher.verify(await hasher.hash(MARKER), MARKER)).matches
    while hasher.health().under_way:
        await asyncio.sleep(0.001)


@pytest.mark.rule("ID-5")
async def test_the_event_loop_goes_on_while_hashes_are_made(hasher: PasswordHasher, gate: threading.Event) -> None:
    task = asyncio.create_task(hasher.verify_dummy(MARKER))
    for _ in range(50):
        await asyncio.sleep(0)
    assert not task.done()
    gate.set()
    await task


@pytest.mark.rule("ID-7")
async def test_no_thread_bears_the_password(hasher: PasswordHasher) -> None:
    await hasher.verify_dummy(MARKER)
    assert not any(MARKER in thread.name for thread in threading.enumerate())


@pytest.mark.rule("ID-7")
async def test_a_miss_on_an_imported_hash_pays_for_a_hash_of_our_own_too(
    hasher: PasswordHasher, monkeypatch: pytest.MonkeyPatch
) -> None:
    paid: list[str] = []
    plain = argon2.PasswordHasher.verify

    def counted(self: argon2.PasswordHasher, stored: str, password: str) -> bool:
        paid.append(stored)
        return plain(self, stored, password)

    monkeypatch.setattr(argon2.PasswordHasher, "verify", counted)
    stored = legacy_hashes("plain")[Scheme.SSHA]
    await hasher.verify(stored, "wrong")
    assert paid == [hasher._dummy]


@pytest.mark.rule("ID-5")
async def test_after_closing_nothing_is_taken_on(hasher: PasswordHasher) -> None:
    hasher.close()
    with pytest.raises(Unavailable):
        await hasher.hash(MARKER)
    assert hasher.health().under_way == 0


@pytest.mark.rule("ID-5")
async def test_an_observer_that_fails_takes_no_place() -> None:
    def broken(_target: Target) -> None:
        raise RuntimeError("observer")

    hasher = PasswordHasher(CHEAP, limits=PoolLimits(workers=1, max_waiting=0), observer=broken)
    for _ in range(3):
        with pytest.raises(RuntimeError):
            await hasher.verify_dummy(MARKER)
    assert hasher.health().under_way == 0
    hasher.close()
