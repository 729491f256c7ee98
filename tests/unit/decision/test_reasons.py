"""Every answer has words in both languages, and they say what to do next."""

from __future__ import annotations

import pytest

from infosec.decision.grants import ConsentChannel, DocumentType
from infosec.decision.operations import Purpose
from infosec.decision.reasons import (
    DenyReason,
    GrantFault,
    RequiredKind,
    accepted_text,
    fault_text,
    reason_text,
    required_text,
)
from infosec.messages import Locale


@pytest.mark.parametrize("locale", Locale)
def test_nothing_is_without_words(locale: Locale) -> None:
    texts = [reason_text(reason, locale) for reason in DenyReason]
    texts += [required_text(kind, locale) for kind in RequiredKind]
    texts += [fault_text(fault, locale) for fault in GrantFault]
    texts += [accepted_text(value, locale) for value in (*DocumentType, *ConsentChannel, *Purpose)]
    assert all(text.isascii() == (locale is Locale.EN) for text in texts)
    assert len(set(texts)) == len(texts)


def test_a_role_among_what_is_accepted_comes_back_as_it_is() -> None:
    assert accepted_text("store-manager", Locale.EN) == "store-manager"
