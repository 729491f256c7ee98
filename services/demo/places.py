"""The demo's carrier as data: regions, stores, terminals, systems, and the list of staff to be hired."""

from __future__ import annotations

import csv
import io

from infosec.api.auth.v1 import directory_pb2 as pb

OFFICE, CONSOLE, COMMAND_LINE = "carrier-hq", "console-1", "cli"
"""What the set-up makes by itself: the carrier's office, its terminal, and the system of the command line."""

_DAY_MIN = 1440


def _hours(opens_at_min: int, closes_at_min: int) -> list[pb.DayHours]:
    return [pb.DayHours(weekday=day, opens_at_min=opens_at_min, closes_at_min=closes_at_min) for day in range(1, 8)]


REGIONS = (pb.Region(region_id="east", name="东城片区"), pb.Region(region_id="west", name="西城片区"))

STORES = (
    pb.Store(
        store_id="east-1",
        region_id="east",
        name="人民路营业厅",
        address="东城区人民路88号",
        hotline="021-55550101",
        hours=_hours(9 * 60, 18 * 60),
    ),
    pb.Store(
        store_id="east-2",
        region_id="east",
        name="火车站营业厅",
        address="东城区站前街1号",
        hotline="021-55550102",
        hours=_hours(0, _DAY_MIN),
    ),
    pb.Store(
        store_id="west-1",
        region_id="west",
        name="高新路营业厅",
        address="西城区高新路6号",
        hotline="021-55550201",
        hours=_hours(9 * 60, 18 * 60),
    ),
)

TERMINALS = tuple(
    pb.Terminal(terminal_id=f"{store.store_id}-t{number}", store_id=store.store_id, name=f"{number}号台席")
    for store in STORES
    for number in (1, 2, 3)
)

_EVERY_STORE = [store.store_id for store in STORES]
SYSTEMS = (
    pb.System(system_id="crm", name="客户关系管理", store_ids=_EVERY_STORE),
    pb.System(system_id="pos", name="收银", store_ids=_EVERY_STORE),
    pb.System(system_id="queue", name="排队叫号", terminal_ids=["east-1-t3"]),
)

STAFF_LIST = """\
staff_id,name,role_id,store_id,birthday
e10001,李秀梅,store-manager,east-1,1980-04-12
e10002,王建国,duty-manager,east-1,1985-11-23
e10003,陈晓燕,clerk,east-1,1996-05-18
e10004,刘洋,clerk,east-1,1998-07-30
e10005,赵敏,concierge,east-1,2000-02-14
e10006,周涛,community-manager,east-1,1990-09-09
e20001,吴桂英,store-manager,east-2,1978-12-01
e20002,郑浩,clerk,east-2,1995-03-27
e20003,孙丽,vip-clerk,east-2,1993-06-06
w10001,马国强,store-manager,west-1,1982-08-15
w10002,杨雪,clerk,west-1,1999-01-20
w10003,欧阳明,clerk,west-1,1997-10-11
"""
"""As a personnel department would hand it over; phones are added by whoever plays it."""

PRIVILEGED_LIST = """\
staff_id,name,role_id,store_id,birthday
rm-east,黄志远,regional-manager,east-1,1975-05-05
rm-west,林芳,regional-manager,west-1,1979-09-19
duty-1,高峰,carrier-duty-officer,carrier-hq,1974-03-03
duty-2,罗兰,carrier-duty-officer,carrier-hq,1981-07-17
audit-1,宋文,auditor,carrier-hq,1983-11-29
audit-2,韩冰,auditor,carrier-hq,1987-08-08
"""
"""ID-8: each of these takes a second administrator."""

ADMINISTRATOR_LIST = """\
staff_id,name,role_id,store_id,birthday
admin-1,钱立,administrator,carrier-hq,1984-02-02
admin-2,冯玉,administrator,carrier-hq,1986-06-16
"""

HOLDERS = ("何静", "蒋平")
"""Who keeps the two break-glass codes."""


def rows(listed: str) -> list[dict[str, str]]:
    """The rows of a list with a heading."""
    return list(csv.DictReader(io.StringIO(listed)))
