"""Secret handles show nothing (ID-7)."""

import copy
import json
import pickle
from collections.abc import Callable
from dataclasses import asdict, dataclass

import pytest

from infosec.secret import Secret, SecretBytes

MARKER = "marker-9f2c"
HANDLES = [Secret(MARKER), SecretBytes(MARKER.encode())]


@pytest.mark.rule("ID-7")
@pytest.mark.parametrize("handle", HANDLES)
@pytest.mark.parametrize("shown", [str, repr, "{}".format, "{:>40}".format, "{!r}".format, "%s".__mod__])
def test_no_text_form_shows_the_value(handle: object, shown: Callable[[object], str]) -> None:
    assert MARKER not in shown(handle)


@pytest.mark.rule("ID-7")
@pytest.mark.parametrize("handle", HANDLES)
@pytest.mark.parametrize("leak", [pickle.dumps, copy.copy, copy.deepcopy, hash, json.dumps, vars, len, iter])
def test_it_is_not_copied_pickled_hashed_or_written(handle: object, leak: Callable[[object], object]) -> None:
    with pytest.raises(TypeError):
        leak(handle)


@pytest.mark.rule("ID-7")
def test_a_dataclass_that_holds_one_shows_nothing_either() -> None:
    @dataclass(frozen=True, slots=True, kw_only=True)
    class Login:
        password: Secret

    login = Login(password=Secret(MARKER))
    assert MARKER not in repr(login)
    with pytest.raises(TypeError):
        asdict(login)


def test_reveal_gives_the_value_and_equality_holds_between_handles_only() -> None:
    assert Secret("密码").reveal() == "密码"
    assert Secret("密码") == Secret("密码")
    assert Secret("密码") != Secret("口令")
    assert Secret("a") != "a"
    assert Secret("a") != SecretBytes(b"a")
