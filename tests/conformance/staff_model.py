"""What the rule book says about a few staff IDs, as dictionaries and ifs: the slow, plain other half of test_staff_machine.

Knows nothing of the suite: no import of it, its own numbers. `now` is told with every call.
"""

from __future__ import annotations

from collections import Counter
from datetime import UTC, datetime, time, timedelta
from typing import Any
from zoneinfo import ZoneInfo

CARRIER = ZoneInfo("Asia/Shanghai")
MINUTE, HOUR, DAY = timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)
LATEST_IDLE = 18 * MINUTE
CERTAINLY_IDLE = 17 * MINUTE + timedelta(seconds=30)
NEEDED = {
    "unlock": {"LOCKED"},
    "unblacklist": {"BLACKLISTED"},
    "lift-suspension": {"SUSPENDED"},
    "reissue-password": {"ISSUED", "ACTIVE"},
}
Card = dict[str, Any]


def midnight_after(now: datetime, days: int) -> datetime:
    """00:00 carrier time, so many days after today."""
    day = now.astimezone(CARRIER).date() + timedelta(days=days)
    return datetime.combine(day, time(), CARRIER).astimezone(UTC)


def days_until(end: datetime, now: datetime) -> int:
    """Carrier calendar days."""
    return max(0, (end.astimezone(CARRIER).date() - now.astimezone(CARRIER).date()).days)


class Model:
    """A card for each staff ID, its last session, every request, and what each terminal saw fail."""

    def __init__(self) -> None:
        self.cards: dict[str, Card] = {}
        self.sessions: dict[str, dict[str, Any]] = {}
        self.requests: list[dict[str, Any]] = []
        self.failed_at: dict[str, dict[str, datetime]] = {}
        self.sms: Counter[tuple[str, str]] = Counter()

    def add(self, who: str, *, password: str, is_first: bool, now: datetime) -> None:
        """Somebody whose password was set yesterday, or who got a first one just now."""
        self.cards[who] = {
            "state": "ISSUED" if is_first else "ACTIVE",
            "password": password,
            "history": [password],
            "is_first": is_first,
            "first_used": False,
            "first_ends": now + DAY if is_first else None,
            "ends": now + DAY if is_first else midnight_after(now - DAY, 90),
            "failures": 0,
            "failures_since": 0,
            "last_login": None,
            "terminals": set(),
            "reminded": None,
            "sms_of": None,
        }

    # What is true now

    def state(self, who: str, now: datetime) -> str:
        """ID-4: over is over, written down or not."""
        card = self.cards[who]
        return "BLACKLISTED" if card["state"] == "ACTIVE" and card["ends"] <= now else str(card["state"])

    def refuses_terminal(self, who: str, terminal: str, now: datetime) -> bool:
        """ID-11: more than three failing there in ten minutes."""
        recent = {key for key, at in self.failed_at.get(terminal, {}).items() if at > now - 10 * MINUTE}
        return len(recent | {who}) > 3

    def refuses_person(self, who: str, purpose: str, now: datetime) -> bool:
        """Whether there is no password that could be right."""
        card = self.cards[who]
        if card["state"] not in ("ISSUED", "ACTIVE") or card["failures"] >= 5 or card["ends"] <= now:
            return True
        if not card["is_first"]:
            return False
        return bool(card["first_ends"] <= now or (card["first_used"] and purpose == "login"))

    def login_answer(self, who: str, terminal: str, now: datetime) -> str:
        """What the right password gets."""
        refused = self.refuses_terminal(who, terminal, now) or self.refuses_person(who, "login", now)
        return "LOGIN_REFUSED" if refused else "OK"

    def may_choose(self, who: str, password: str) -> bool:
        """ID-6."""
        return password not in self.cards[who]["history"][:5]

    def live_sessions(self, who: str) -> int:
        """Those that nothing has ended yet."""
        return int(who in self.sessions and self.sessions[who]["open"])

    # Attempts

    def attempt(self, who: str, terminal: str, purpose: str, *, right: bool, now: datetime) -> str:
        """One secret given: what it counts."""
        if self.refuses_terminal(who, terminal, now):
            return "LOGIN_REFUSED"
        marks = self.failed_at.setdefault(terminal, {})
        if who not in self.cards or self.refuses_person(who, purpose, now):
            marks[who] = now
            return "LOGIN_REFUSED"
        if right:
            return "OK"
        card = self.cards[who]
        marks[who] = now
        card["failures"] += 1
        card["failures_since"] += 1
        if card["failures"] == 5:
            card["state"] = "LOCKED"
            self.end_session(who)
            self.sms[who, "LOCKED"] += 1
        return "LOGIN_REFUSED"

    def login(self, who: str, terminal: str, *, right: bool, now: datetime) -> dict[str, Any] | None:
        """What a complete login answers with; None where it is refused."""
        if self.attempt(who, terminal, "login", right=right, now=now) != "OK":
            return None
        card = self.cards[who]
        answer = {
            "last_login": card["last_login"],
            "failures_since": card["failures_since"],
            "days_left": days_until(card["ends"], now),
            "must_change": card["is_first"],
            "ends": min(now + (15 * MINUTE if card["is_first"] else 12 * HOUR), card["ends"]),
        }
        if self.live_sessions(who) and self.sessions[who]["terminal"] != terminal:
            self.sms[who, "SESSION_MOVED"] += 1
        if terminal not in card["terminals"]:
            self.sms[who, "NEW_TERMINAL"] += 1
        self.failed_at.get(terminal, {}).pop(who, None)
        card["failures"] = card["failures_since"] = 0
        card["last_login"] = (now, terminal)
        card["terminals"].add(terminal)
        card["first_used"] = card["is_first"]
        self.sessions[who] = {
            "open": True,
            "terminal": terminal,
            "started": now,
            "seen": now,
            "ends": answer["ends"],
            "locked": False,
            "must_change": card["is_first"],
        }
        return answer

    # Sessions

    def touch(self, who: str, now: datetime) -> str:
        """What a token of the last session is worth; using it is a use, unless the session is locked."""
        session, card = self.sessions[who], self.cards[who]
        if now >= session["started"] + 12 * HOUR:
            return "TOKEN_INVALID"
        over = now >= session["ends"] or now >= card["ends"] or now - session["seen"] > LATEST_IDLE
        if not session["open"] or over or card["state"] not in ("ISSUED", "ACTIVE"):
            return "SESSION_ENDED"
        if not session["locked"] and now - session["seen"] >= 2 * MINUTE:
            session["seen"] = now
        return "OK"

    def use(self, who: str, now: datetime) -> str:
        """As for any call of a person at work."""
        worth = self.touch(who, now)
        if worth != "OK":
            return worth
        if self.sessions[who]["locked"]:
            return "SESSION_LOCKED"
        return "SESSION_RESTRICTED" if self.sessions[who]["must_change"] else "OK"

    def lock(self, who: str, now: datetime) -> str:
        worth = self.touch(who, now)
        if worth == "OK":
            self.sessions[who]["locked"] = True
        return worth

    def resume(self, who: str, *, right: bool, now: datetime) -> str:
        worth = self.touch(who, now)
        if worth != "OK":
            return worth
        session = self.sessions[who]
        answer = self.attempt(who, session["terminal"], "resume", right=right, now=now)
        if answer == "OK" and session["locked"]:
            session["locked"], session["seen"] = False, now
        return answer

    def logout(self, who: str, now: datetime) -> str:
        if now >= self.sessions[who]["started"] + 12 * HOUR:
            return "TOKEN_INVALID"
        self.end_session(who)
        return "OK"

    def end_session(self, who: str) -> None:
        if who in self.sessions:
            self.sessions[who]["open"] = False

    def change(self, who: str, new: str, *, right: bool, now: datetime) -> str:
        """A new password in the session; the count stays as it is."""
        worth = self.touch(who, now)
        if worth != "OK":
            return worth
        session, card = self.sessions[who], self.cards[who]
        if session["locked"]:
            return "SESSION_LOCKED"
        answer = self.attempt(who, session["terminal"], "change", right=right, now=now)
        if answer != "OK":
            return answer
        if not self.may_choose(who, new):
            return "PASSWORD_REJECTED"
        card |= {"state": "ACTIVE", "password": new, "is_first": False, "first_used": False, "reminded": None}
        card["history"].insert(0, new)
        card["ends"] = midnight_after(now, 90)
        session["must_change"] = False
        session["ends"] = min(session["started"] + 12 * HOUR, card["ends"])
        return "OK"

    # What others do

    def leave(self, who: str, state: str) -> str:
        """Suspended, or closed for ever."""
        before = self.cards[who]["state"]
        if before == "CLOSED" or before == state:
            return "STATE_CONFLICT"
        self.cards[who]["state"] = state
        self.end_session(who)
        return "OK"

    def submit(self, who: str, kind: str, *, by: str, now: datetime) -> str:
        """A request by somebody whose session was found good."""
        if by != who and by not in ("chen.jing", "liu.yang"):
            return "NOT_PERMITTED"
        if self.state(who, now) not in NEEDED[kind]:
            return "STATE_CONFLICT"
        for request in self.requests:
            if request["who"] == who and request["kind"] == kind and request["state"] in ("pending", "approved"):
                if not self._is_over(request, now):
                    return "ALREADY_EXISTS"
                self._end(request, now)
        self.requests.append({"who": who, "kind": kind, "state": "pending", "at": now, "level": "region"})
        return "OK"

    def decide(self, request: dict[str, Any], level: str, *, approve: bool, now: datetime) -> str:
        """By somebody of the region or, after two hours, of the carrier. An approval is open until its SMS is taken."""
        is_overdue = request["state"] == "pending" and now >= request["at"] + 2 * HOUR
        if level != ("carrier" if is_overdue else request["level"]):
            return "REFUSED"
        if request["state"] != "pending" or now >= request["at"] + DAY:
            return "REQUEST_CLOSED"
        who = request["who"]
        if not approve:
            request |= {"state": "rejected", "level": level}
            self.sms[who, "REQUEST_DECIDED"] += 1
            return "OK"
        if self.state(who, now) not in NEEDED[request["kind"]]:
            return "STATE_CONFLICT"
        request |= {"state": "approved", "level": level, "decided": now}
        self.cards[who] |= {
            "state": "ISSUED",
            "is_first": True,
            "first_used": False,
            "first_ends": now + 30 * MINUTE,
            "ends": now + DAY,
            "failures": 0,
            "reminded": None,
            "sms_of": request,
        }
        self.end_session(who)
        self.sms[who, "FIRST_PASSWORD"] += 1
        return "OK"

    def issued(self, who: str, password: str) -> None:
        """Which password it was that the phone got."""
        card = self.cards[who]
        card["password"] = password
        card["history"].insert(0, password)

    def delivered(self, request: dict[str, Any], now: datetime) -> None:
        """The gateway has the SMS: in time, the password is good for a day from the decision."""
        if request["state"] != "approved":
            return
        if self._is_over(request, now):
            self._end(request, now)
            return
        request["state"] = "carried-out"
        card = self.cards[request["who"]]
        if card["sms_of"] is request and card["is_first"] and not card["first_used"]:
            card["first_ends"] = request["decided"] + DAY

    def sweep(self, now: datetime) -> None:
        """All that is done from time to time."""
        for who, card in self.cards.items():
            if card["state"] == "ACTIVE" and card["ends"] <= now:
                card["state"] = "BLACKLISTED"
                self.end_session(who)
                self.sms[who, "BLACKLISTED"] += 1
        for session in self.sessions.values():
            if now >= session["ends"] or now - session["seen"] > CERTAINLY_IDLE:
                session["open"] = False
        for request in self.requests:
            if self._is_over(request, now):
                self._end(request, now)
            elif request["state"] == "pending" and now >= request["at"] + 2 * HOUR:
                request["level"] = "carrier"
        for who, card in self.cards.items():
            self._remind(who, card, now)

    def _remind(self, who: str, card: Card, now: datetime) -> None:
        left = days_until(card["ends"], now)
        if card["state"] != "ACTIVE" or not 1 <= left <= 14:
            return
        due = 14 if left > 7 else 7 if left > 3 else 3 if left > 1 else 1
        if card["reminded"] is None or card["reminded"] > due:
            card["reminded"] = due
            self.sms[who, "PASSWORD_REMINDER"] += 1

    def _is_over(self, request: dict[str, Any], now: datetime) -> bool:
        if request["state"] == "pending":
            return bool(now >= request["at"] + DAY)
        return bool(request["state"] == "approved" and now >= request["decided"] + 30 * MINUTE)

    def _end(self, request: dict[str, Any], now: datetime) -> None:
        card = self.cards[request["who"]]
        if request["state"] == "pending":
            request |= {"state": "expired", "level": "carrier"}
        elif card["sms_of"] is request and (card["first_used"] or not card["is_first"]):
            request["state"] = "carried-out"
            return
        else:
            request["state"] = "lapsed"
        self.sms[request["who"], "REQUEST_DECIDED"] += 1
