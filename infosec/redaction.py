"""What may stand in a log line (ID-7): decided by key, by type and by pattern, and closed by default.

A value of a type that is not listed here shows its type alone; an exception that is not ours shows no text that could
quote a value. Standard library only, so that anything which writes text can use it.
"""

from __future__ import annotations

import re
import traceback
from collections.abc import Mapping
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from enum import Enum
from ipaddress import IPv4Address, IPv6Address
from pathlib import PurePath
from typing import Any
from uuid import UUID

from infosec.errors import InfosecError

HIDDEN = "[redacted]"
MAX_TEXT = 8192
MAX_ITEMS = 100
MAX_FRAMES = 30
MAX_CAUSES = 5

_SECRET_WORD = re.compile(
    "pass(?:word|wd|phrase)?s?|pwd|pin|secrets?|tokens?|codes?|otp|totp|seed|credentials?|authorization|cookie|keys?"
    "|grants?|digests?|hash(?:es)?|salt"
    "|names?|phones?|mobile|msisdn|tel|birthday|birthdate|email|idcard|idnumber"
    "|body|text|sms|message|facts"
)
_SECRET_KEY = re.compile("id_(?:number|card|no)|customer(?:_id)?|new|old|proof")
_PUBLIC_KEY = re.compile(
    "(?:operation|status|grpc|error|exit|reason)_code|(?:service|system|role|logger|file|host)_name|hostname"
    "|(?:config|retry|lock)_key|key_kind"
)
_PLAIN = (datetime, date, time, timedelta, UUID, Decimal, IPv4Address, IPv6Address, PurePath)

_DIGIT = r"[0-9０-９]"
_PATTERNS: tuple[tuple[re.Pattern[str], str], ...] = (
    # PostgreSQL and asyncio quote values at the end of what they say; nothing behind these marks is kept. (re.A: a
    # Chinese character is no part of the word beside it.)
    (re.compile(r"(\bDETAIL|\bCONTEXT|\bSTATEMENT|详细信息|描述|上下文|语句)[:：].*", re.S | re.A), rf"\1: {HIDDEN}"),
    (re.compile(r"\bexception=([A-Za-z_][\w.]*)\(.*", re.S | re.A), rf"exception=\1({HIDDEN}"),
    (re.compile(r"-----BEGIN [A-Z ]*PRIVATE KEY-----.*?(?:-----END [A-Z ]*PRIVATE KEY-----|\Z)", re.S), HIDDEN),
    # Signed handles: every payload is a JSON object, whose base64 begins with eyJ. Cut-off ones too.
    (re.compile(r"\b([a-z][a-z-]{0,31})\.eyJ[A-Za-z0-9_-]*(?:\.[A-Za-z0-9_-]*)?", re.A), rf"\1.{HIDDEN}"),
    (re.compile(r"\beyJ[A-Za-z0-9_-]{16,}(?:\.[A-Za-z0-9_-]+)*", re.A), HIDDEN),
    (re.compile(r"\$(?:argon2(?:id|i|d)|2[abxy]|pbkdf2[\w-]*|scrypt|5|6)\$\S+"), HIDDEN),
    (re.compile(r"\botpauth://\S+", re.A), HIDDEN),
    (re.compile(r"(\w://[^\s:/@]{0,256}):[^\s@]{1,512}@"), rf"\1:{HIDDEN}@"),
    (
        re.compile(
            r"(?ia)\b(pass(?:word|wd)?|pwd|secret|token|otp|totp|code|pin)(['\"]?\s*[=:]\s*)(?:\"[^\"]*\"|'[^']*'|\S+)"
        ),
        rf"\1\2{HIDDEN}",
    ),
    (re.compile(r"((?:密码|口令|验证码|动态码)(?:为|是|:|：|\s)*)[^\s，。；,;]+"), rf"\1{HIDDEN}"),
    # Mainland ID-card numbers (GB 11643: 18 places; the old ones 15), then mobile numbers.
    (
        re.compile(
            rf"(?<!{_DIGIT})[1-9１-９]{_DIGIT}{{5}}[- ]?(?:18|19|20|１８|１９|２０){_DIGIT}{{2}}"
            rf"[01０１]{_DIGIT}[0-3０-３]{_DIGIT}[- ]?{_DIGIT}{{3}}[0-9０-９XxＸｘ](?!{_DIGIT})"
        ),
        "[id-number]",
    ),
    (re.compile(rf"(?<!{_DIGIT})[1-9]{_DIGIT}{{7}}[01]{_DIGIT}[0-3]{_DIGIT}{{4}}(?!{_DIGIT})"), "[id-number]"),
    (
        re.compile(
            rf"(?:(?<!{_DIGIT})(?:\+|00)?86[- ]?|(?<!{_DIGIT}))"
            rf"[1１][3-9３-９]{_DIGIT}[- ]?{_DIGIT}{{4}}[- ]?{_DIGIT}{{4}}(?!{_DIGIT})"
        ),
        "[phone]",
    ),
)

_QUOTED = re.compile(r"[\"'`“‘].*[\"'`”’]", re.S)
"""From the first quotation mark to the last: a quoted value may hold marks itself."""

_TELLING = (RuntimeError, TypeError, AttributeError, NameError, ImportError, NotImplementedError, TimeoutError)
"""Those of Python's whose text names parts of a program; that of others (ValueError, KeyError) quotes values."""


def safe_text(text: str) -> str:
    """Free text with what looks like a secret or a person taken out, and bounded in length."""
    whole = len(text)
    # Bounds what the patterns cost on a text that somebody made long.
    text = text[: 8 * MAX_TEXT]
    for pattern, shown in _PATTERNS:
        text = pattern.sub(shown, text)
    return text if len(text) <= MAX_TEXT else f"{text[:MAX_TEXT]}… ({whole} characters)"


def is_secret_key(key: str) -> bool:
    """Whether a value under this key is hidden whatever it is."""
    snake = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", key).lower().replace("-", "_").replace(".", "_")
    if _PUBLIC_KEY.fullmatch(snake):
        return False
    return bool(_SECRET_KEY.fullmatch(snake)) or any(_SECRET_WORD.fullmatch(word) for word in snake.split("_"))


def safe_value(value: object) -> object:
    """What may be shown for `value`: plain things as they are after `safe_text`, of all others the type."""
    match value:
        case None | bool() | float():
            return value
        case Enum():
            return safe_value(value.value)
        case int():
            shown = safe_text(str(int(value)))
            return int(value) if shown == str(int(value)) else shown
        case str():
            return safe_text(str(value))
        case BaseException():
            return exception_text(value)
        case Mapping():
            return safe_mapping(value)
        case list() | tuple() | set() | frozenset():
            return [safe_value(item) for item in list(value)[:MAX_ITEMS]]
        case _ if isinstance(value, _PLAIN):
            return safe_text(str(value))
        case type():
            return value.__qualname__
        case _:
            return f"<{type(value).__qualname__}>"


def safe_mapping(values: Mapping[Any, object]) -> dict[str, object]:
    """Each value as its key allows."""
    return {
        safe_text(str(key)): HIDDEN if is_secret_key(str(key)) else safe_value(value)
        for key, value in list(values.items())[:MAX_ITEMS]
    }


def exception_text(error: BaseException) -> str:
    """One line for an exception: our own reason and facts, of others what cannot quote a value."""
    if isinstance(error, InfosecError):
        facts = ", ".join(f"{name}={safe_value(value)}" for name, value in error.details.items())
        return f"{type(error).__name__}: {error.reason}" + (f" ({facts})" if facts else "")
    name = f"{type(error).__module__}.{type(error).__qualname__}".removeprefix("builtins.")
    text = _foreign_text(error)
    return f"{name}: {text}" if text else name


def exception_facts(error: BaseException) -> dict[str, object]:
    """An exception with where it came from and what led to it: no source lines, no local variables, no values."""
    causes: list[dict[str, object]] = []
    seen = {id(error)}
    current = _cause(error)
    while current is not None and id(current) not in seen and len(causes) < MAX_CAUSES:
        seen.add(id(current))
        causes.append({"error": exception_text(current), "at": _frames(current)})
        current = _cause(current)
    facts: dict[str, object] = {"error": exception_text(error), "at": _frames(error)}
    if isinstance(error, InfosecError):
        facts["reason"] = error.reason.value
    if isinstance(error, BaseExceptionGroup):
        facts["members"] = [exception_text(member) for member in error.exceptions[:MAX_ITEMS]]
    if causes:
        facts["causes"] = causes
    return facts


def _foreign_text(error: BaseException) -> str:
    # Any driver that speaks SQL states (psycopg): the state and the primary message; DETAIL and context are never read.
    sqlstate, diagnosis = getattr(error, "sqlstate", None), getattr(error, "diag", None)
    if diagnosis is not None:
        primary = getattr(diagnosis, "message_primary", None) or (str(error) if sqlstate is None else "")
        return safe_text(f"{sqlstate or 'no SQL state'}: {_QUOTED.sub('…', primary)}".replace("\n", " "))
    if isinstance(error, OSError):
        return safe_text(f"[{error.errno}] {_QUOTED.sub('…', error.strerror or '')}" if error.errno else "")
    if isinstance(error, _TELLING):
        return safe_text(_QUOTED.sub("…", str(error)))
    return ""


def _cause(error: BaseException) -> BaseException | None:
    return error.__cause__ or (None if error.__suppress_context__ else error.__context__)


def _frames(error: BaseException) -> list[str]:
    frames = traceback.extract_tb(error.__traceback__, limit=-MAX_FRAMES)
    return [f"{frame.filename}:{frame.lineno} {frame.name}" for frame in frames]
