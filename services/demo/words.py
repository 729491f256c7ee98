"""What is wrong with a password, in words: an answer carries codes, and each front words them."""

from __future__ import annotations

from collections.abc import Sequence

from authsvc.passwords import REQUIREMENT_TEXTS, Requirement
from authsvc.profile import TELECOM_HALL
from infosec.messages import Text

_LIMITS = {
    Requirement.LENGTH_MIN: TELECOM_HALL.min_length,
    Requirement.LENGTH_MAX: TELECOM_HALL.max_length,
    Requirement.CLASSES: TELECOM_HALL.min_classes,
    Requirement.REUSED: TELECOM_HALL.history_depth,
}


def unmet(violations: Sequence[str]) -> Text:
    """Every requirement that is named."""
    named = [Requirement(name) for name in violations if name in Requirement.__members__]
    texts = [REQUIREMENT_TEXTS[one].filled(limit=_LIMITS.get(one)) for one in named]
    return Text("；".join(text.zh_cn for text in texts), "; ".join(text.en for text in texts))
