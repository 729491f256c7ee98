"""A day in the stores, and the ninety that follow: the scenes in order, on a server of its own with a clock of its own."""

from __future__ import annotations

import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from infosec.clock import CARRIER_ZONE, ManualClock
from infosec.config import Config
from infosec.errors import InfosecError
from infosec.messages import Text, localized
from services.demo.office import connected
from services.demo.scenes import (
    at_work,
    attack,
    auditor,
    evening,
    first_login,
    in_hand,
    ninety_days,
    on_record,
    opening,
    second_person,
    spot_checks,
    two_auditors,
    way_back,
)
from services.demo.show import Programme
from services.demo.stage import SceneBroken, Stage
from services.serving import serving

MORNING = "2026-03-02 08:30"
"""A Monday, so that the day is the same on every day on which it is shown."""


@dataclass(frozen=True, slots=True)
class Scene:
    """Acts under one heading, from a moment in carrier time on."""

    at: str
    title: Text
    acts: tuple[Callable[[Stage], Awaitable[None]], ...]


DAY = (
    Scene(MORNING, Text("初始化", "Setting up"), (opening.set_up_carrier,)),
    Scene("2026-03-02 08:35", Text("开业与入职", "Opening the stores, hiring"), (opening.open_for_business,)),
    Scene("2026-03-02 08:40", Text("特权工号须两人", "Privileged IDs take two people"), (opening.make_privileged,)),
    Scene("2026-03-02 09:00", Text("首次登录", "First login"), (first_login.first_login,)),
    Scene(
        "2026-03-02 09:02",
        Text("不能用的密码", "Passwords that will not do"),
        (first_login.refuse_bad_passwords, first_login.accept_password),
    ),
    Scene(
        "2026-03-02 09:10",
        Text("台席上的一个上午", "A morning at the counter"),
        (at_work.two_systems, at_work.serve_customers, at_work.leave_the_seat),
    ),
    Scene(
        "2026-03-02 09:12",
        Text("业务系统记入日志", "Store systems tell the log"),
        (on_record.systems_record, on_record.odd_things),
    ),
    Scene("2026-03-02 09:14", Text("记不下就不放行", "No record, no look"), (on_record.no_record_no_look,)),
    Scene("2026-03-02 09:15", Text("其他岗位", "Other roles"), (at_work.other_roles,)),
    Scene(
        "2026-03-02 09:20", Text("金库模式：第二人审批", "A second person approves"), (second_person.ask_and_approve,)
    ),
    Scene("2026-03-02 09:25", Text("五次错误密码", "Five wrong passwords"), (attack.five_wrong_passwords,)),
    Scene("2026-03-02 09:30", Text("本人证明与解锁申请", "Proof, and a request"), (way_back.ask_to_unlock,)),
    Scene(
        "2026-03-02 09:35",
        Text("谁能审批，谁不能", "Who may decide, and who may not"),
        (way_back.managers_begin, way_back.forbidden_decisions, way_back.approve_unlock),
    ),
    Scene("2026-03-02 09:42", Text("两处登录", "Two places at once"), (attack.two_places,)),
    Scene("2026-03-02 09:45", Text("台席攻击多个工号", "A terminal tries many IDs"), (attack.attack_from_a_terminal,)),
    Scene("2026-03-02 09:50", Text("管理员也不能", "Not even an administrator"), (opening.refuse_administrator,)),
    Scene("2026-03-02 18:30", Text("下班", "Closing time"), (evening.close_the_store,)),
    Scene(
        "2026-03-02 19:00",
        Text("稽核：谁看过谁", "The auditors: who looked at whom"),
        (
            auditor.auditors_begin,
            auditor.read_the_log,
            auditor.who_looked,
            auditor.what_is_odd,
            auditor.on_record_too,
        ),
    ),
    Scene(
        "2026-03-02 19:10",
        Text("证据在手", "Evidence in hand"),
        (in_hand.watch_begins, in_hand.take_away, in_hand.tamper, in_hand.too_soon),
    ),
    Scene("2026-03-09 09:00", Text("一周之后：抽查", "A week later: spot checks"), (spot_checks.draw,)),
    Scene(
        "2026-03-09 09:10",
        Text("保全与删除：须两名稽核员", "Hold and erasure take two auditors"),
        (two_auditors.hold, two_auditors.erase, in_hand.keep_watching, in_hand.set_back),
    ),
    Scene(
        "2026-05-17 09:00",
        Text("九十天", "Ninety days"),
        (ninety_days.reminders, ninety_days.midnight, ninety_days.off_the_blacklist),
    ),
)


async def play(programme: Programme) -> bool:
    """Play it all; whether every step was as expected."""
    async with _stage(programme) as stage:
        for scene in DAY:
            await stage.until(scene.at)
            programme.scene(scene.title, stage.clock.now())
            for act in scene.acts:
                await _played(stage, act)
    return programme.end()


async def _played(stage: Stage, act: Callable[[Stage], Awaitable[None]]) -> None:
    """One act. What breaks off is a step that was not as expected; the day goes on."""
    try:
        await act(stage)
    except SceneBroken:
        return
    except (InfosecError, LookupError) as error:  # a call was refused, or what it builds on is not there
        title = Text(f"场景中断：{act.__name__}", f"The scene broke off: {act.__name__}")
        told = localized(error, stage.programme.locale) if isinstance(error, InfosecError) else ""
        stage.noted(title, expected="OK", actual=str(error) or type(error).__name__, told=told)


@asynccontextmanager
async def _stage(programme: Programme) -> AsyncIterator[Stage]:
    """A server of its own in a directory of its own, which is gone afterwards."""
    clock = ManualClock(datetime.strptime(MORNING, "%Y-%m-%d %H:%M").replace(tzinfo=CARRIER_ZONE))
    async with AsyncExitStack() as stack:
        directory = stack.enter_context(tempfile.TemporaryDirectory(prefix="infosec-demo-"))
        config = Config.from_mapping({"server": {"data_dir": str(Path(directory) / "data"), "listen": "127.0.0.1:0"}})
        running = await stack.enter_async_context(serving(config, clock=clock))
        suites = connected(running, config, locale=programme.locale.value)
        for suite in suites.values():
            stack.push_async_callback(suite.close)
        kept = Path(directory) / "kept"
        kept.mkdir(mode=0o700)
        yield Stage(running=running, config=config, clock=clock, programme=programme, suites=suites, directory=kept)
