"""Setting up, opening the stores, and hiring by import (ID-1, ID-8)."""

from __future__ import annotations

from infosec.api.auth.v1 import requests_pb2, staff_pb2
from infosec.client.staff import UPDATE_STAFF
from infosec.errors import Reason
from infosec.ids import new_id
from infosec.messages import Text
from infosec.secret import Secret
from services.demo.office import hire, open_stores, propose, set_up
from services.demo.people import Person, listed, new_password
from services.demo.places import (
    ADMINISTRATOR_LIST,
    COMMAND_LINE,
    CONSOLE,
    PRIVILEGED_LIST,
    REGIONS,
    STAFF_LIST,
    STORES,
    SYSTEMS,
    TERMINALS,
)
from services.demo.stage import Stage

_PRIVILEGED = frozenset({"administrator", "regional-manager", "carrier-duty-officer", "auditor"})


async def set_up_carrier(stage: Stage) -> None:
    """Two administrators begin; neither can do anything before their first password is changed."""
    taken: set[str] = set()
    first, second = listed(ADMINISTRATOR_LIST, taken)
    for person in (first, second, *listed(STAFF_LIST, taken), *listed(PRIVILEGED_LIST, taken)):
        stage.people[person.staff_id] = person
    await stage.done(
        Text("初始化：两名管理员，两份应急码", "Set up: two administrators, two break-glass codes"),
        set_up(stage.running, stage.config, stage.clock, (first, second)),
        Text("已初始化；一次性密码只显示一次", "done; one-time passwords are shown once"),
    )
    await stage.done(
        Text(
            f"管理员 {first.name} 用一次性密码和动态口令登录", f"Administrator {first.staff_id} logs in, both factors"
        ),
        stage.login(first, CONSOLE, system=COMMAND_LINE),
        Text("须先改密码", "the password must be changed first"),
    )
    suite = stage.suites[COMMAND_LINE]
    await stage.refused(
        Text("不改密码就去建片区", "They go to work without changing it"),
        Reason.SESSION_RESTRICTED,
        suite.directory.put_region(first.tokens[COMMAND_LINE], REGIONS[0]),
    )
    await stage.login(second, CONSOLE, system=COMMAND_LINE)
    for person in (first, second):
        await stage.done(
            Text(f"管理员 {person.name} 改密码", f"Administrator {person.staff_id} changes the password"),
            stage.change(person, new_password(), system=COMMAND_LINE),
            lambda answer: Text(f"{answer.password_days_left} 天内有效", f"good for {answer.password_days_left} days"),
        )


async def open_for_business(stage: Stage) -> None:
    """Regions, stores, terminals, systems; then everybody is hired by one list, all or nothing."""
    suite, token = stage.suites[COMMAND_LINE], stage["admin-1"].tokens[COMMAND_LINE]
    await stage.done(
        Text("建立片区、营业厅、台席、业务系统", "Regions, stores, terminals and systems are made"),
        open_stores(suite, token),
        Text(
            f"{len(REGIONS)} 个片区，{len(STORES)} 个营业厅，{len(TERMINALS)} 个台席，{len(SYSTEMS)} 个系统",
            f"{len(REGIONS)} regions, {len(STORES)} stores, {len(TERMINALS)} terminals, {len(SYSTEMS)} systems",
        ),
    )
    await stage.running.auth.feeder.refresh()
    staff = [person for person in stage.people.values() if person.role_id not in _PRIVILEGED]
    answer = await hire(suite, token, [*staff, stage["rm-east"]])
    stage.noted(
        Text("名单里夹带一个片区经理", "The list has a regional manager in it"),
        expected="0 1",
        actual=f"{answer.imported} {len(answer.faults)}",
        told=f"{answer.faults[0].row}: {answer.faults[0].text}" if answer.faults else "",
    )
    answer = await hire(suite, token, staff)
    stage.noted(
        Text("导入入职名单", "The list of staff is imported"),
        expected=len(staff),
        actual=answer.imported,
        told=Text(f"{answer.imported} 人入职", f"{answer.imported} people hired"),
    )
    for person in staff:
        await stage.phone_password(person)
    stage.noted(
        Text("每人的手机收到各自的初始密码", "Every phone has got its own first password"),
        expected=len(staff),
        actual=len({person.password.reveal() for person in staff}),
        told=Text("除本人手机外无人可见", "seen by nobody but that phone"),
    )


async def make_privileged(stage: Stage) -> None:
    """ID-8: who decides, inspects or runs the system is made by two administrators."""
    suite = stage.suites[COMMAND_LINE]
    first, second = (stage[name].tokens[COMMAND_LINE] for name in ("admin-1", "admin-2"))
    manager = stage["rm-east"]
    pending = await stage.done(
        Text(f"管理员 admin-1 新建片区经理 {manager.name}", f"admin-1 makes {manager.staff_id}, a regional manager"),
        propose(suite, first, manager),
        Text("待另一位管理员批准", "waits for a second administrator"),
    )
    await stage.refused(
        Text("admin-1 想自己批准", "admin-1 tries to approve it alone"),
        Reason.SELF_DECISION,
        suite.requests.approve(first, pending.id),
    )
    await stage.refused(
        Text("admin-2 没有输入动态口令就批准", "admin-2 approves without a second factor"),
        Reason.STEP_UP_REQUIRED,
        suite.requests.approve(second, pending.id),
    )
    await stage.done(
        Text("admin-2 输入动态口令", "admin-2 gives a code of the authenticator"),
        suite.login.step_up(second, await stage.code(stage["admin-2"])),
        Text("五分钟内可审批", "good for five minutes of decisions"),
    )
    others = [person for person in stage.people.values() if person.role_id in _PRIVILEGED - {"administrator"}]
    for person in others:
        request = pending if person is manager else await propose(suite, first, person)
        await _approved(stage, person, request, second)


async def _approved(stage: Stage, person: Person, request: requests_pb2.StaffRequest, token: Secret) -> None:
    requests = stage.suites[COMMAND_LINE].requests
    await stage.done(
        Text(f"admin-2 批准 {person.name}（{person.staff_id}）", f"admin-2 approves {person.staff_id}"),
        requests.approve(token, request.id),
        Text("初始密码发往其手机", "the first password goes to their phone"),
    )
    await stage.phone_password(person)


async def refuse_administrator(stage: Stage) -> None:
    """ID-8: a bound phone changes by request alone, for administrators too."""
    admin = stage["admin-1"]
    await stage.login(admin, CONSOLE, system=COMMAND_LINE)
    change = staff_pb2.UpdateStaffRequest(
        request_id=new_id(),
        token=admin.tokens[COMMAND_LINE].reveal(),
        staff_id="e10004",
        phone=admin.phone.reveal(),
    )
    await stage.refused(
        Text("管理员把刘洋的绑定手机改成自己的", "An administrator binds a clerk's ID to their own phone"),
        Reason.PROTECTED_FIELD,
        stage.suites[COMMAND_LINE].invoker.unary(UPDATE_STAFF, change),
    )
