"""A text in both languages of the suite. Knows no catalogue and no caller."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Bilingual:
    """What a person reads, in zh-CN and in English."""

    zh_cn: str
    en: str

    def in_language(self, language: str) -> str:
        """The text for a language tag: `en`, `en-GB` ... give English, anything else Chinese."""
        return self.en if language.lower().split("-")[0] == "en" else self.zh_cn

    def filled(self, **values: object) -> Bilingual:
        """The same text with its `{names}` filled in."""
        return Bilingual(zh_cn=self.zh_cn.format(**values), en=self.en.format(**values))
