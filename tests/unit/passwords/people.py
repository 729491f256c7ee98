"""The people and rooms of these tests: invented, with facts in every shape that the rule has to know."""

from __future__ import annotations

from datetime import date

from authsvc import word_lists
from authsvc.passwords import Requirement, check
from authsvc.personal import PersonalFacts
from authsvc.profile import TELECOM_HALL, Profile

COMMON = word_lists.common_passwords()
ROOM = (*word_lists.brand_words(), "朝阳门营业厅", "北京市朝阳区建国路2088号", "01085551234")
NOBODY = PersonalFacts()
LU_XIAOMING = PersonalFacts(
    names=("吕小明",),
    login_names=("bj-0123", "lvxm_01"),
    birthdays=(date(1990, 1, 2),),
    phones=("+86 139-1234-5678",),
    id_numbers=("11010119900102123X",),
)


def unmet(password: str, *, facts: PersonalFacts = NOBODY, profile: Profile = TELECOM_HALL) -> set[Requirement]:
    """What `password` does not meet."""
    return {one.requirement for one in check(password, profile, personal=facts, room_words=ROOM, common=COMMON)}
