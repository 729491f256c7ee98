"""Every reason has words in both languages."""

import re
from datetime import timedelta

import pytest

from infosec.errors import InfosecError, InvalidInput, Misconfigured, Reason, ResourceExhausted
from infosec.messages import REQUIREMENTS, TEXTS, Locale, from_posix, localized, negotiate, violations

BOTH = tuple(Locale)
KNOWN = {"field", "detail", "violations", "retry_after", "incident", "key", "path", "hint"}


def test_every_reason_has_a_message() -> None:
    assert set(TEXTS) == set(Reason)


@pytest.mark.parametrize("reason", Reason)
def test_messages_are_whole_with_and_without_details(reason: Reason) -> None:
    for locale in BOTH:
        template = TEXTS[reason].in_(locale)
        assert set(re.findall(r"\{(\w+)\}", template)) <= KNOWN
        bare = localized(InfosecError(reason), locale)
        full = localized(
            InfosecError(
                reason,
                retry_after=timedelta(seconds=3),
                violations=("v1", "v2"),
                field="F",
                detail="D",
                key="K",
                path="P",
                hint="H",
                incident="I",
            ),
            locale,
        )
        for text in (bare, full):
            assert text.strip()
            assert not re.search(r"[\[\]{}]", text)
    assert re.search("[\u4e00-\u9fff]", TEXTS[reason].zh)
    assert TEXTS[reason].en.isascii()


@pytest.mark.rule("ID-7")
def test_a_refused_login_says_no_more_than_the_rule() -> None:
    error = InfosecError(Reason.LOGIN_REFUSED, detail="locked", field="password")
    assert localized(error, Locale.EN) == "wrong, or not allowed to log in; after five failures ask for an unlock"
    assert localized(error, Locale.ZH_CN) == "工号或密码错误，或不允许登录；连续五次失败后请申请解锁"


def test_details_are_put_in_and_never_taken_for_a_template() -> None:
    error = InvalidInput(Reason.INVALID_ARGUMENT, field="{detail}", detail="[x] {field}\x1b[31m\n")
    assert localized(error, Locale.EN).startswith("{detail}: this value is not valid ([x] {field} [31m ).")


def test_waiting_times_and_violations_are_told() -> None:
    wait = ResourceExhausted(Reason.RATE_LIMITED, retry_after=timedelta(seconds=12))
    assert "12 s" in localized(wait, Locale.EN)
    assert "12 秒" in localized(wait)
    wrong = Misconfigured(Reason.CONFIGURATION, key="server.listen", detail="bad", hint="correct it")
    assert (
        localized(wrong, Locale.EN)
        == "The server cannot start as configured: server.listen: bad. What to do: correct it."
    )


@pytest.mark.parametrize(
    ("header", "locale"),
    [
        (None, Locale.ZH_CN),
        ("", Locale.ZH_CN),
        ("zh", Locale.ZH_CN),
        ("zh-Hans-CN", Locale.ZH_CN),
        ("zh_CN", Locale.ZH_CN),
        ("en-GB", Locale.EN),
        ("fr", Locale.EN),
        ("en;q=0.5, zh;q=0.8", Locale.ZH_CN),
        ("fr, en;q=0.9, zh;q=0.1", Locale.EN),
        ("zh;q=0, en", Locale.EN),
        ("*", Locale.ZH_CN),
        (";;;,,q=", Locale.ZH_CN),
        ("en;q=banana", Locale.EN),
    ],
)
def test_a_callers_language_is_found(header: str | None, locale: Locale) -> None:
    assert negotiate(header) is locale


@pytest.mark.parametrize(
    ("environment", "locale"),
    [
        ({}, Locale.ZH_CN),
        ({"LANG": "zh_CN.UTF-8"}, Locale.ZH_CN),
        ({"LANG": "zh_CN.UTF-8", "LC_ALL": "en_US.UTF-8"}, Locale.EN),
        ({"LC_ALL": "", "LANG": "zh_CN"}, Locale.ZH_CN),
        ({"LANG": "C.UTF-8"}, Locale.EN),
    ],
)
def test_a_terminals_language_is_found(environment: dict[str, str], locale: Locale) -> None:
    assert from_posix(environment) is locale


@pytest.mark.parametrize("locale", Locale)
def test_every_unmet_requirement_of_a_password_is_told_in_words_with_its_limit(locale: Locale) -> None:
    error = InvalidInput(Reason.PASSWORD_REJECTED, violations=("LENGTH_MIN", "COMMON"), LENGTH_MIN="8")
    words = violations(error, locale)
    assert words == tuple(
        text.in_(locale).replace("{limit}", "8") for text in (REQUIREMENTS["LENGTH_MIN"], REQUIREMENTS["COMMON"])
    )
    assert all(one in localized(error, locale) for one in words)
