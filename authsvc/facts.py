"""What is personal about a member of staff, sealed at rest (ID-3): facts for the password checker, the phone for messages.

Each value opens only for its own staff ID and field. Knows no storage.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import date

from authsvc.personal import PersonalFacts
from infosec import canonical
from infosec.errors import Internal, InvalidInput, Reason
from infosec.ids import StaffId
from infosec.keys import SealingKeys
from infosec.secret import Secret


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """Opened for one check of one password. Its repr shows none of it."""

    names: tuple[str, ...] = field(default=(), repr=False)
    """In characters or in Latin letters; former names too."""
    birthday: date | None = field(default=None, repr=False)
    id_number: str = field(default="", repr=False)

    def personal(self, staff_id: StaffId, phone: Secret) -> PersonalFacts:
        """Everything of this person that ID-3 forbids."""
        return PersonalFacts(
            names=self.names,
            login_names=(staff_id,),
            birthdays=(self.birthday,) if self.birthday else (),
            phones=(phone.reveal(),),
            id_numbers=(self.id_number,) if self.id_number else (),
        )


class FactSeal:
    """Seals and opens under keys of kind FACTS. Opening what was sealed for another ID or field raises Internal."""

    def __init__(self, keys: SealingKeys) -> None:
        self._keys = keys

    def seal_phone(self, staff_id: StaffId, phone: Secret) -> bytes:
        """For `staff.phone_sealed`."""
        return self._keys.seal(phone.reveal().encode(), _context(staff_id, "phone"))

    def open_phone(self, staff_id: StaffId, sealed: bytes) -> Secret:
        """The bound phone."""
        return Secret(self._keys.open(sealed, _context(staff_id, "phone")).decode())

    def seal_facts(self, staff_id: StaffId, facts: Facts) -> bytes:
        """For `staff.facts_sealed`."""
        birthday = facts.birthday.isoformat() if facts.birthday else ""
        plain = canonical.encode({"names": list(facts.names), "birthday": birthday, "id_number": facts.id_number})
        return self._keys.seal(plain, _context(staff_id, "facts"))

    def open_facts(self, staff_id: StaffId, sealed: bytes) -> Facts:
        """For the password checker alone."""
        try:
            content = canonical.decode_strict(self._keys.open(sealed, _context(staff_id, "facts")))
        except InvalidInput:
            raise _unreadable() from None
        match content:
            case {"names": [*names], "birthday": str(birthday), "id_number": str(id_number)}:
                return Facts(
                    names=tuple(str(name) for name in names),
                    birthday=date.fromisoformat(birthday) if birthday else None,
                    id_number=id_number,
                )
            case _:
                raise _unreadable()


def _context(staff_id: StaffId, field_name: str) -> bytes:
    return canonical.encode(["infosec/auth.staff/v1", staff_id, field_name])


def _unreadable() -> Internal:
    return Internal(Reason.INTERNAL, detail="sealed facts are not facts")
