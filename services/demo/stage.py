"""The stage of the day: the server with its clock, the people with their phones, and what a scene can have happen.

Everything goes through the SDK over gRPC with mTLS. Beside it a scene may only read phones, move the clock, handle files
that people took away, and have the logs' database refuse entries for a while.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import TypeVar

from infosec import sms
from infosec.api.auth.v1 import check_pb2, login_pb2
from infosec.client.calls import SecretText
from infosec.client.connection import Connection
from infosec.clock import CARRIER_ZONE, ManualClock
from infosec.config import Config
from infosec.decision.operations import Purpose
from infosec.decision.reasons import DenyReason
from infosec.errors import InfosecError, Internal, Reason
from infosec.messages import Text, localized, violations
from infosec.secret import Secret
from services.demo.people import Person, new_password
from services.demo.places import COMMAND_LINE
from services.demo.show import Programme
from services.notify.sink import Kept, Sink
from services.serving import Serving

Value = TypeVar("Value")
_OK = "OK"
_DONE = Text("成功", "done")
_COLON = Text("：", ": ")
_SMS_WITHIN_S = 15.0
_POLL_S = 0.05
_ALL = 1_000
_CODE_STEP = timedelta(seconds=30)
_OVER = (DenyReason.SESSION_UNKNOWN, DenyReason.SESSION_IDLE, DenyReason.SHIFT_OVER)
_SAME = {reason.value: DenyReason.SESSION_ENDED.value for reason in _OVER}
"""Of a session that is over, a node says one or the other: by whether a sweep was there before, and whether it forgot it."""
_GAP = re.compile(r"\[[^\[\]]*\]|\{[a-z_]+\}")


class SceneBroken(Exception):
    """A step that the rest of the scene stands on was not as expected."""


@dataclass(slots=True, kw_only=True)
class Stage:
    """Where the day is played."""

    running: Serving
    config: Config
    clock: ManualClock
    programme: Programme
    suites: Mapping[str, Connection]
    directory: Path
    """What the people of the day keep as files; gone afterwards."""
    people: dict[str, Person] = field(default_factory=dict)
    _read: list[Kept] = field(default_factory=list)

    def __getitem__(self, staff_id: str) -> Person:
        return self.people[staff_id]

    def say(self, text: Text) -> str:
        """In the language of this run."""
        return text.in_(self.programme.locale)

    # What a step may expect

    def noted(self, title: Text, *, expected: object, actual: object, told: Text | str = "") -> None:
        """A step that compares two values."""
        words = told if isinstance(told, str) else self.say(told)
        self.programme.step(title, expected=str(expected), actual=str(actual), told=words)

    async def done(self, title: Text, call: Awaitable[Value], told: Text | Callable[[Value], Text] = _DONE) -> Value:
        """A call that must succeed; answers what it answered. Raises SceneBroken."""
        try:
            value = await call
        except InfosecError as error:
            self.noted(title, expected=_OK, actual=error.reason.value, told=self.words(error))
            raise SceneBroken from error
        self.noted(title, expected=_OK, actual=_OK, told=told(value) if callable(told) else told)
        return value

    async def refused(self, title: Text, reason: Reason, call: Awaitable[object]) -> InfosecError | None:
        """A call that must be refused for this reason."""
        try:
            await call
        except InfosecError as error:
            self.noted(title, expected=reason.value, actual=error.reason.value, told=self.words(error))
            return error
        self.noted(title, expected=reason.value, actual=_OK)
        return None

    async def checked(
        self,
        title: Text,
        reason: DenyReason,
        person: Person,
        operation: str,
        *,
        missing: Sequence[str] = (),
        system: str = "crm",
        caller: str = "",
        terminal: str = "",
        customer: str = "",
        purpose: Purpose | None = None,
        order_id: str = "",
        grants: Sequence[SecretText] = (),
    ) -> check_pb2.CheckResponse:
        """A check by `system`'s token that must be answered so. `caller` is who shows it, where that is another system."""
        at = terminal or person.terminal
        answer = await self.suites[caller or system].check.check(
            person.tokens[system],
            operation,
            store_id=at.rpartition("-")[0],
            terminal_id=at,
            customer=Secret(customer) if customer else None,
            purpose=purpose,
            order_id=order_id,
            grants=grants,
        )
        found = ",".join(sorted(one.kind for one in answer.required))
        told = f"{operation}{self.say(_COLON)}{self._allowed(answer) if answer.allowed else answer.text}"
        self.noted(
            title,
            expected=" ".join((reason.value, ",".join(sorted(missing)))).strip(),
            actual=" ".join((_SAME.get(answer.reason, answer.reason), found)).strip(),
            told=told,
        )
        return answer

    async def told_by_sms(self, title: Text, person: Person, template: sms.Template, **facts: str) -> Secret:
        """The next message of this kind on the person's phone. Raises SceneBroken."""
        kept = await self._message(person, template, facts)
        self.noted(title, expected=template, actual=template if kept else "-", told=_shown(kept, template))
        if kept is None:
            raise SceneBroken
        return kept.text

    async def secret_by_sms(self, title: Text, person: Person, template: sms.Template) -> Secret:
        """The password or code of the next such message: it stands on a line of its own."""
        return _secret(await self.told_by_sms(title, person, template))

    # What people do

    async def login(self, person: Person, terminal: str, *, system: str = "crm") -> login_pb2.LoginResponse:
        """Log in with the password in their head, and a code where they have an authenticator."""
        code = await self.code(person) if person.authenticator else None
        answer = await self.suites[system].login.login(
            person.staff_id, person.password, terminal_id=terminal, totp_code=code
        )
        person.terminal, person.tokens = terminal, {system: Secret(answer.token)}
        return answer

    async def change(self, person: Person, new: Secret, *, system: str = "crm") -> login_pb2.ChangePasswordResponse:
        """Change the password; remembered once it is in force."""
        answer = await self.suites[system].login.change_password(
            person.tokens[system], current=person.password, new=new
        )
        person.password = new
        return answer

    async def arrive(self, person: Person, terminal: str) -> None:
        """A first day without a word: log in with the first password, and choose another one (ID-1)."""
        await self.login(person, terminal)
        await self.change(person, new_password())
        await self.running.auth.feeder.refresh()

    async def phone_password(self, person: Person) -> None:
        """Read the first password from the phone. Raises SceneBroken."""
        kept = await self._message(person, sms.Template.FIRST_PASSWORD, {})
        if kept is None:
            raise SceneBroken
        person.password = _secret(kept.text)

    async def assertion(self, person: Person, *, system: str = COMMAND_LINE) -> Secret:
        """Who acts, signed for the audit service: as they are known now, for five minutes of our clock."""
        return (await self.suites[system].login.issue_assertion(person.tokens[system])).text

    async def code(self, person: Person) -> Secret:
        """A code that was not used yet; waits for the next one where there is none."""
        if person.authenticator is None:
            raise Internal(Reason.INTERNAL, detail="no authenticator")
        while (code := person.authenticator.code(self.clock.now())) is None:
            await self.pass_time(_CODE_STEP)
        return code

    # Time

    async def pass_time(self, by: timedelta) -> None:
        """Time passes, and what is due is done."""
        self.clock.advance(by)
        await self.running.work_once()

    async def until(self, text: str) -> None:
        """Time passes until a moment in carrier time, as in 2026-03-02 09:00."""
        moment = datetime.strptime(text, "%Y-%m-%d %H:%M").replace(tzinfo=CARRIER_ZONE)
        await self.running.work_once()  # what waits is on record before the clock moves on
        await self.pass_time(moment - self.clock.now())

    # Inside

    async def _message(self, person: Person, template: sms.Template, facts: Mapping[str, str]) -> Kept | None:
        pattern = _pattern(template, facts)
        loop = asyncio.get_running_loop()
        until = loop.time() + _SMS_WITHIN_S
        while True:
            for kept in self._sink.newest(_ALL, phone=person.phone):
                is_read = any(kept is one for one in self._read)
                if not is_read and pattern.fullmatch(kept.text.reveal()):
                    self._read.append(kept)
                    return kept
            if loop.time() > until:
                return None
            await self.running.auth.work_once()
            await asyncio.sleep(_POLL_S)

    @property
    def _sink(self) -> Sink:
        if self.running.sink is None:
            raise Internal(Reason.INTERNAL, detail="the day needs the sink")
        return self.running.sink

    def words(self, error: InfosecError) -> str:
        if error.reason is Reason.PASSWORD_REJECTED:
            return "；".join(violations(error, self.programme.locale))
        return localized(error, self.programme.locale)

    def _allowed(self, answer: check_pb2.CheckResponse) -> str:
        words = Text("可以办理", "allowed")
        if answer.record_id:
            masked = Text("脱敏显示", "shown masked") if answer.masking.phone else Text("完整显示", "shown in full")
            words = Text(f"{words.zh}，已留记录，{masked.zh}", f"{words.en}, recorded, {masked.en}")
        return self.say(words)


def _pattern(template: sms.Template, facts: Mapping[str, str]) -> re.Pattern[str]:
    """What a message of this template looks like, with these facts in it."""

    def part(gap: str) -> str:
        return re.escape(facts[gap[1:-1]]) if gap[1:-1] in facts else ".*"

    text = sms.TEXTS[template].zh
    gaps = [part(found[0]) for found in _GAP.finditer(text)]
    literals = [re.escape(literal) for literal in _GAP.split(text)]
    return re.compile("".join(a + b for a, b in zip(literals, [*gaps, ""], strict=True)), re.DOTALL)


def _secret(text: Secret) -> Secret:
    return Secret(text.reveal().splitlines()[1])


def _shown(kept: Kept | None, template: sms.Template) -> str:
    """The message as it may be printed: a password or a code is for the phone alone."""
    if kept is None:
        return ""
    lines = kept.text.reveal().splitlines()
    if template in (sms.Template.FIRST_PASSWORD, sms.Template.PROOF_CODE):
        lines[1] = "••••••。"
    return f"{sms.masked_phone(kept.phone.reveal())}：{''.join(lines)}"
