"""Demo data for `infosec serve --demo-data`: seeded once, at the first start on loopback, by playing both administrators.

Nobody's password is fixed: what is shown here is random and shown this once.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AsyncExitStack

from authsvc.flows.setup import Initialised
from infosec.cli.words import ROLE_WORDS, SPOKEN, t
from infosec.client.connection import Connection
from infosec.clock import Clock, SystemClock
from infosec.config import Config
from infosec.errors import FailedPrecondition, Internal, Misconfigured, Reason
from infosec.ids import StoreId
from infosec.secret import Secret
from services.demo.office import connected, hire, open_stores, propose, set_up
from services.demo.people import Person, listed, new_password
from services.demo.places import ADMINISTRATOR_LIST, COMMAND_LINE, CONSOLE, OFFICE, PRIVILEGED_LIST, STAFF_LIST, STORES
from services.serving import Serving

Say = Callable[[str], None]


async def seed_demo_data(running: Serving, config: Config, say: Say) -> None:
    """Seed where nobody has set up yet, and say who can log in with what. Raises Misconfigured off loopback."""
    if not config.server.listen.is_loopback:
        raise Misconfigured(Reason.CONFIGURATION, key="server.listen", detail="demo data is for loopback only")
    if running.sink is None:
        raise Misconfigured(Reason.CONFIGURATION, key="notify.gateway", detail="demo data needs the sink")
    clock, taken = SystemClock(), set[str]()
    first, second = listed(ADMINISTRATOR_LIST, taken)
    try:
        made = await set_up(running, config, clock, (first, second))
    except FailedPrecondition as error:
        if error.reason is not Reason.ALREADY_INITIALISED:
            raise
        _say_what_is_there(running, say)
        return
    people, privileged = listed(STAFF_LIST, taken), listed(PRIVILEGED_LIST, taken)
    await _seed(running, config, clock, (first, second), people, privileged)
    _say_administrators(say, made, (first, second))
    _say_others(say, config, [*privileged, *people])


async def _seed(
    running: Serving,
    config: Config,
    clock: Clock,
    administrators: tuple[Person, Person],
    people: list[Person],
    privileged: list[Person],
) -> None:
    first, second = administrators
    async with AsyncExitStack() as stack:
        suites = connected(running, config, locale="zh-CN")
        for each in suites.values():
            stack.push_async_callback(each.close)
        suite = suites[COMMAND_LINE]
        for person in administrators:
            person.tokens[COMMAND_LINE] = await _begin(suite, person, clock)
        ours, theirs = first.tokens[COMMAND_LINE], second.tokens[COMMAND_LINE]
        await open_stores(suite, ours)
        await running.auth.feeder.refresh()
        await hire(suite, ours, people)
        await suite.login.step_up(theirs, _code(second, clock))
        for person in privileged:
            await suite.requests.approve(theirs, (await propose(suite, ours, person)).id)
        for person in administrators:
            await suite.login.logout(person.tokens[COMMAND_LINE])


async def _begin(suite: Connection, person: Person, clock: Clock) -> Secret:
    """First login and a password of their own (ID-1)."""
    first = person.password
    session = await suite.login.login(person.staff_id, first, terminal_id=CONSOLE, totp_code=_code(person, clock))
    person.password = new_password()
    await suite.login.change_password(session.token, current=first, new=person.password)
    return Secret(session.token)


def _code(person: Person, clock: Clock) -> Secret:
    code = person.authenticator.code(clock.now()) if person.authenticator else None
    if code is None:
        raise Internal(Reason.INTERNAL, detail="no unused code")
    return code


def _say_what_is_there(running: Serving, say: Say) -> None:
    stores = running.auth.feeder.snapshot.stores
    if all(StoreId(store.store_id) in stores for store in STORES):
        say(
            t(
                "演示数据已在。短信只留在内存中，重启后清空：尚未首次登录的人请申请重发初始密码。",
                "The demo data is there. Messages live in memory and ended with the last run: whoever has not logged in "
                "yet asks for a new first password.",
            )
        )
    else:
        say(t("本机早已初始化，未写入演示数据。", "This installation was set up before; no demo data was added."))


def _say_administrators(say: Say, made: Initialised, people: tuple[Person, Person]) -> None:
    say(t("演示数据已写入。以下内容只显示这一次。", "Demo data is seeded. This is shown this once."))
    for person, issued in zip(people, made.administrators, strict=True):
        say(t(f"管理员 {person.staff_id}（{person.name}）", f"Administrator {person.staff_id} ({person.name})"))
        say(t("  密码      ", "  password       ") + person.password.reveal())
        say(t("  动态口令  ", "  second factor  ") + issued.totp_uri.reveal())
    say(t("应急码：分别密封，由两人分开保管", "Break-glass codes: seal each, keep them apart"))
    for code in made.break_glass:
        say(f"  {code.holder}  {code.code.reveal()}")


def _say_others(say: Say, config: Config, people: list[Person]) -> None:
    say(t("其他人的初始密码在 infosec sms 中：", "The first passwords of all others are in `infosec sms`:"))
    for person in people:
        terminal = CONSOLE if person.store_id == OFFICE else f"{person.store_id}-t1"
        role = ROLE_WORDS[person.role_id].in_(SPOKEN)
        say(f"  {person.staff_id:<8} {terminal:<10} …{person.phone.reveal()[-4:]}  {person.name}  {role}")
    say(
        t(
            "登录示例：infosec login e10003 --system crm --terminal east-1-t1（console-1 用 --system cli）",
            "To log in, for example: infosec login e10003 --system crm --terminal east-1-t1 (at console-1: --system cli)",
        )
    )
    say(
        t(
            f"业务系统 crm、pos、queue 的证书在 {config.server.tls_dir}",
            f"Certificates of the systems crm, pos and queue are in {config.server.tls_dir}",
        )
    )
