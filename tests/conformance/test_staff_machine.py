"""The life of a few staff IDs, step by step, on a real database and in a plain model of the rule book: never apart.

CONFORMANCE_EXAMPLES and CONFORMANCE_SEED make it longer and different, for a soak.
"""

from __future__ import annotations

import asyncio
import os
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, seed, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule, run_state_machine_as_test

from authsvc.facts import FactSeal
from authsvc.flows.attempts import _digest as failing_key
from authsvc.flows.staff_changes import StaffChanges
from authsvc.lockout import Purpose, judge
from authsvc.profile import TELECOM_HALL
from authsvc.requests import Kind
from authsvc.store import credentials, staff
from infosec import ids
from infosec.ids import StaffId, TerminalId
from infosec.keys import KeyRing, SealingKind
from infosec.storage.postgres import together
from tests.conformance.staff_model import NEEDED, Model
from tests.sim.login_nodes import CRM, outcome
from tests.sim.request_desk import Desk, request_desk
from tests.sim.servers import SharedServers, sync_connection
from tests.sim.world import PASSWORD, Hire, World, build, first_password_in

CLERK, MANAGER, NEW = "li.na", "chen.jing", "he.ping"
WHO = st.sampled_from([CLERK, MANAGER, NEW])
PHONES = {CLERK: "13800000001", MANAGER: "13800000005", NEW: "13800000077"}
TERMINALS = ("e1-t1", "e1-t2")
TERMINAL = st.sampled_from(TERMINALS)
POOL = tuple(
    f"{word}-Fence.{number}"
    for word, number in zip(
        ("plum", "birch", "otter", "maple", "cobalt", "heron", "walnut"), range(31, 94, 9), strict=True
    )
)
SPELLINGS: tuple[Callable[[str], str], ...] = (
    str,
    str.upper,
    lambda text: f"  {text} ",
    lambda text: "".join(chr(ord(c) + 0xFEE0) if c != " " else c for c in text),
)
DECIDERS = {"region": ("zhao.lei", "e1-t5"), "carrier": ("zhou.tao", "hq-t1")}
OFFICIALS = ["zhao.lei", "sun.yan", "zhou.tao", "wu.fang", "xu.qiang", "ma.li", "liu.yang"]
PAUSES = st.sampled_from(
    [
        *({"seconds": 5}, {"minutes": 2}, {"minutes": 10}, {"minutes": 17, "seconds": 30}, {"minutes": 18}),
        *({"minutes": 30}, {"hours": 2}, {"hours": 12}, {"hours": 22}),
        *({"days": 1}, {"days": 12}, {"days": 75}, {"days": 88}, {"days": 89}),
    ]
)


class StaffMachine(RuleBasedStateMachine):
    """Each rule does one thing to both; after each, everything that the rule book speaks of is compared."""

    def __init__(self, servers: SharedServers, keys_dir: Path) -> None:
        super().__init__()
        self.runner = asyncio.Runner()
        keys = KeyRing.load(keys_dir)
        template = servers.template("world_template", lambda addresses: build(addresses, keys))
        self.servers = servers
        self.world = World(addresses=servers.database(template), keys=keys, keys_dir=keys_dir)
        self.world.hire(Hire(staff_id=NEW, name="何平", phone=PHONES[NEW], first=True))
        self.peek = sync_connection(self.world.addresses.postgres)
        self.desk: Desk = self.runner.run(request_desk(self.world))
        self.node = self.desk.node
        self.changes = StaffChanges(self.node.works, FactSeal(keys.sealing[SealingKind.FACTS]))
        self.model = Model()
        for who in (CLERK, MANAGER, NEW):
            self.model.add(who, password=PASSWORD, is_first=who == NEW, now=self.now)
        self.tokens: dict[str, str] = {}
        self.records: list[Any] = []
        self.steps = 0
        self.opened, self.sent = 0, Counter[tuple[str, str]]()

    def teardown(self) -> None:
        self.runner.run(self.world.close())
        self.runner.close()
        self.peek.close()
        self.servers.drop(self.world.addresses)

    @property
    def now(self) -> Any:
        return self.world.clock.now()

    def outcome(self, call: Any) -> str:
        return self.runner.run(outcome(call))

    def password(self, who: str, how: str) -> tuple[str, bool]:
        """One to give, and whether it is the right one."""
        card = self.model.cards[who]
        text = {"right": card["password"], "wrong": "willow-Gate.17", "before": card["history"][-1]}[how]
        return text, text == card["password"]

    # At a terminal

    @rule(
        who=WHO,
        terminal=TERMINAL,
        how=st.sampled_from(["right", "right", "wrong", "before"]),
        spelt=st.sampled_from(SPELLINGS),
    )
    def log_in(self, who: str, terminal: str, how: str, spelt: Callable[[str], str]) -> None:
        text, is_right = self.password(who, how)
        expected = self.model.login(who, terminal, right=is_right, now=self.now)
        if expected is None:
            assert self.outcome(self.node.login(spelt(who), text, at=terminal)) == "LOGIN_REFUSED"
            return
        done = self.runner.run(self.node.login(spelt(who), text, at=terminal))
        self.tokens[who] = done.token.reveal()
        opened = done.opened
        last = opened.last_login
        assert expected == {
            "last_login": None if last is None else (last.at, last.terminal_id),
            "failures_since": opened.failures_since,
            "days_left": opened.password_days_left,
            "must_change": bool(opened.duties),
            "ends": opened.ends_at,
        }

    @rule(
        who=st.sampled_from([CLERK, MANAGER, NEW, "nobody", "no.one"]),
        terminal=TERMINAL,
        times=st.sampled_from([2, 4, 5]),
    )
    def somebody_guesses(self, who: str, terminal: str, times: int) -> None:
        for _ in range(times):
            assert self.model.attempt(who, terminal, "login", right=False, now=self.now) == "LOGIN_REFUSED"
            assert self.outcome(self.node.login(who, "willow-Gate.17", at=terminal)) == "LOGIN_REFUSED"

    @rule(who=WHO, terminal=TERMINAL, new=st.sampled_from(POOL))
    def begin_the_day(self, who: str, terminal: str, new: str) -> None:
        """What people mostly do: log in, choose a password where that is due, and work."""
        self.log_in(who, terminal, "right", str)
        if self.model.live_sessions(who):
            if self.model.cards[who]["is_first"]:
                self.change_to(who, "right", new)
            assert self.outcome(self.node.actors.of(self.tokens[who], CRM)) == self.model.use(who, self.now)

    @precondition(lambda self: self.tokens)
    @rule(
        data=st.data(),
        how=st.sampled_from(["right", "right", "right", "wrong"]),
        new=st.sampled_from([*POOL, PASSWORD]),
    )
    def change_the_password(self, data: st.DataObject, how: str, new: str) -> None:
        self.change_to(data.draw(st.sampled_from(sorted(self.tokens))), how, new)

    def change_to(self, who: str, how: str, new: str) -> None:
        text, is_right = self.password(who, how)
        expected = self.model.change(who, new, right=is_right, now=self.now)
        assert self.outcome(self.node.change(self.tokens[who], text, new)) == expected

    @precondition(lambda self: self.tokens)
    @rule(data=st.data(), what=st.sampled_from(["use", "use", "lock", "resume", "resume wrongly", "log out"]))
    def go_on_in_the_session(self, data: st.DataObject, what: str) -> None:
        who = data.draw(st.sampled_from(sorted(self.tokens)))
        token, now, model = self.tokens[who], self.now, self.model
        if what == "use":
            assert self.outcome(self.node.actors.of(token, CRM)) == model.use(who, now)
        elif what == "lock":
            assert self.outcome(self.node.sessions.lock(token, CRM)) == model.lock(who, now)
        elif what == "log out":
            assert self.outcome(self.node.sessions.logout(token, CRM)) == model.logout(who, now)
        else:
            text, is_right = self.password(who, "right" if what == "resume" else "wrong")
            assert self.outcome(self.node.resume(token, text)) == model.resume(who, right=is_right, now=now)

    # Time

    @rule(by=PAUSES)
    def time_passes(self, by: dict[str, float]) -> None:
        self.world.advance(**by)
        query = "update auth.credentials set changed_at = %s, ends_at = %s where staff_id = any(%s)"
        self.peek.execute(query, (self.now, self.now.replace(year=2099), OFFICIALS))

    @rule()
    def the_sweeps_run(self) -> None:
        self.model.sweep(self.now)
        for sweep in (
            self.node.sweeps.blacklist,
            self.node.sweeps.end_sessions,
            self.desk.clocks.sweep,
            self.node.sweeps.remind,
        ):
            self.runner.run(sweep(self.now))

    # Others

    @rule(who=WHO, does=st.sampled_from(["nothing"] * 3 + ["suspend"] * 3 + ["close"]))
    def an_administrator_may_take_it_away(self, who: str, does: str) -> None:
        if does == "nothing":
            return
        admin = self.runner.run(self.desk.actor("xu.qiang", "hq-t1"))

        async def act() -> None:
            async with self.node.works.begin() as work:
                leave = self.changes.close if does == "close" else self.changes.suspend
                await leave(work, admin, StaffId(who), "离岗")

        assert self.outcome(act()) == self.model.leave(who, "CLOSED" if does == "close" else "SUSPENDED")

    @rule(
        who=WHO, kind=st.sampled_from([None, None, *NEEDED]), by=st.sampled_from(["self", MANAGER, "liu.yang", CLERK])
    )
    def somebody_asks(self, who: str, kind: str | None, by: str) -> None:
        self.submit(who, kind or self.fitting(who), who if by == "self" else by)

    @precondition(lambda self: self.records)
    @rule(data=st.data(), level=st.sampled_from(["region", "carrier"]), approve=st.booleans())
    def somebody_decides(self, data: st.DataObject, level: str, approve: bool) -> None:
        self.decide(self.draw_request(data), level, approve=approve)

    @rule(who=WHO, level=st.sampled_from(["region", "carrier"]), approve=st.sampled_from([True, True, True, False]))
    def a_request_is_made_and_decided(self, who: str, level: str, approve: bool) -> None:
        """A clerk who cannot log in, mostly; the carrier's officer after two hours, the region's manager at once."""
        self.submit(who, self.fitting(who), "liu.yang")
        if not self.records:
            return
        if level == "carrier":
            self.time_passes({"hours": 2})
        self.decide(len(self.records) - 1, level, approve=approve)

    def fitting(self, who: str) -> str:
        """The kind of request that helps now."""
        state = self.model.state(who, self.now)
        return next((kind for kind, states in NEEDED.items() if state in states), "unlock")

    def submit(self, who: str, kind: str, by: str) -> None:
        if by == "liu.yang":
            actor = self.runner.run(self.desk.actor(by, "e1-t4"))
        elif by in self.tokens:
            worth = self.model.use(by, self.now)
            assert self.outcome(self.node.actors.of(self.tokens[by], CRM)) == worth
            if worth != "OK":
                return
            actor = self.runner.run(self.node.actors.of(self.tokens[by], CRM))
        else:
            return
        expected = self.model.submit(who, kind, by=by, now=self.now)

        async def act() -> None:
            self.records.append(await self.desk.submit(actor, who, Kind(kind)))

        assert self.outcome(act()) == expected

    def decide(self, number: int, level: str, *, approve: bool) -> None:
        request, record = self.model.requests[number], self.records[number]
        actor = self.runner.run(self.desk.actor(*DECIDERS[level]))
        expected = self.model.decide(request, level, approve=approve, now=self.now)
        given = self.outcome((self.desk.approve if approve else self.desk.reject)(actor, record))
        assert ("REFUSED" if given in ("NOT_FOUND", "NOT_PERMITTED") else given) == expected
        if expected == "OK" and approve:
            sent = [sms for sms in self.world.messages("FIRST_PASSWORD") if sms.phone == PHONES[request["who"]]]
            self.model.issued(request["who"], first_password_in(sent[-1].text))

    @precondition(lambda self: any(request["state"] == "approved" for request in self.model.requests))
    @rule(data=st.data(), state=st.sampled_from(["ACCEPTED", "DELIVERED", "FAILED"]))
    def the_gateway_reports(self, data: st.DataObject, state: str) -> None:
        number = self.draw_request(data, "approved")
        if state != "FAILED":
            self.model.delivered(self.model.requests[number], self.now)
        self.runner.run(self.desk.delivered(self.records[number], state))

    def draw_request(self, data: st.DataObject, state: str = "") -> int:
        """The newest ones are where something happens."""
        numbers = [n for n, request in enumerate(self.model.requests) if not state or request["state"] == state]
        return data.draw(st.sampled_from(numbers[-3:][::-1]))

    # The comparison

    @invariant()
    def both_know_the_same_people(self) -> None:
        query = (
            "select s.staff_id, s.state, c.failures, c.failures_since, c.ends_at, c.hash,"
            " (select count(*) from auth.sessions e where e.staff_id = s.staff_id and e.ended_at is null)"
            " from auth.staff s join auth.credentials c on c.staff_id = s.staff_id where s.staff_id = any(%s)"
        )
        rows = self.peek.execute(query, ([CLERK, MANAGER, NEW],)).fetchall()
        assert len(rows) == 3
        for who, state, failures, since, ends, stored, sessions in rows:
            card = self.model.cards[who]
            expected = (
                card["state"],
                card["failures"],
                card["failures_since"],
                card["ends"],
                self.model.live_sessions(who),
            )
            assert (state, failures, since, ends, sessions) == expected, who
            assert self.runner.run(self.node.hasher.verify(stored, card["password"])).matches, who

    @invariant()
    def both_would_answer_a_login_alike(self) -> None:
        for number, who in enumerate((CLERK, MANAGER, NEW)):
            terminal = TERMINALS[(self.steps + number) % 2]
            assert self.runner.run(self._answer(who, terminal)) == self.model.login_answer(who, terminal, self.now)

    async def _answer(self, who: str, terminal: str) -> str:
        """To the right password, without giving it."""
        key = ids.attempt_key(who)
        since = self.now - TELECOM_HALL.terminal_window
        async with self.node.works.read() as conn:
            one = staff.Try(staff_key=key, terminal_id=TerminalId(terminal), failing_key=failing_key(key))
            tried = staff.tried((await together(conn, staff.trying([one], failing_since=since)))[0])[0]
        assert tried.person is not None
        refusal = judge(tried.person.standing, tried.terminal, Purpose.LOGIN, self.now, TELECOM_HALL)
        return "OK" if refusal is None else "LOGIN_REFUSED"

    @invariant()
    def both_allow_the_same_next_password(self) -> None:
        self.steps += 1
        who, text = (CLERK, MANAGER, NEW)[self.steps % 3], POOL[self.steps % len(POOL)]

        async def is_new() -> bool:
            async with self.node.works.read() as conn:
                checked = await credentials.checked(conn, StaffId(who), TELECOM_HALL.history_depth)
            assert checked is not None
            return not await self.node.hasher.matches_any(text, checked.hashes)

        assert self.runner.run(is_new()) == self.model.may_choose(who, text)

    @invariant()
    def both_know_the_same_requests(self) -> None:
        names = {"region": "regional-manager", "carrier": "carrier-duty-officer"}
        rows = self.peek.execute("select id, state, level from auth.requests").fetchall()
        known = {row[0]: row[1:] for row in rows}
        assert len(known) == len(self.records) == len(self.model.requests)
        for record, request in zip(self.records, self.model.requests, strict=True):
            assert known[record.id] == (request["state"], names[request["level"]])

    @invariant()
    def both_sent_the_same_messages(self) -> None:
        [(count,)] = self.peek.execute("select count(*) from auth.outbox where topic = 'notify'").fetchall()
        if count != self.opened:
            whose = {phone: who for who, phone in PHONES.items()}
            sent = [(whose.get(sms.phone, ""), sms.template) for sms in self.world.messages()]
            self.opened, self.sent = count, Counter(one for one in sent if one[0])
        assert self.sent == self.model.sms


@pytest.mark.rule("ID-1", "ID-4", "ID-5", "ID-6", "ID-9", "ID-11", "RQ-1", "RQ-2", "RQ-4", "RQ-5")
def test_staff_ids_live_as_the_rule_book_says(embedded: SharedServers, world_keys: Path) -> None:
    def machine() -> StaffMachine:
        return StaffMachine(embedded, world_keys)

    chosen = os.environ.get("CONFORMANCE_SEED", "")
    run_state_machine_as_test(
        seed(int(chosen))(machine) if chosen else machine,
        settings=settings(
            max_examples=int(os.environ.get("CONFORMANCE_EXAMPLES", "20")),
            stateful_step_count=25,
            derandomize=not chosen,
            deadline=None,
            database=None,
            print_blob=False,
            suppress_health_check=list(HealthCheck),
        ),
    )
