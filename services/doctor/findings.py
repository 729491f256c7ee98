"""What a look at the installation came to."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from infosec.errors import InfosecError
from infosec.messages import Locale, Text, localized


class Verdict(StrEnum):
    """How bad it is; WRONG makes the command fail."""

    OK = "OK"
    WARNING = "WARNING"
    WRONG = "WRONG"


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One thing that was looked at, and what to do where it is not as it should be."""

    about: str
    verdict: Verdict
    text: Text


def fine(about: str, zh: str, en: str) -> Finding:
    return Finding(about=about, verdict=Verdict.OK, text=Text(zh, en))


def warning(about: str, zh: str, en: str) -> Finding:
    return Finding(about=about, verdict=Verdict.WARNING, text=Text(zh, en))


def wrong(about: str, zh: str, en: str) -> Finding:
    return Finding(about=about, verdict=Verdict.WRONG, text=Text(zh, en))


def failed(about: str, error: InfosecError) -> Finding:
    """A look that ended in an error is a finding."""
    return wrong(about, localized(error, Locale.ZH_CN), localized(error, Locale.EN))
