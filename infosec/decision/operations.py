"""Operation codes (section G) and what their class asks for. The catalogue is data; an installation may change it.

Knows neither roles nor customers.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from infosec.errors import InvalidInput, Reason
from infosec.ids import OperationCode, RoleId


class OperationClass(StrEnum):
    """What kind of act an operation is; it drives everything else (section G)."""

    READ = "READ"
    OPEN = "OPEN"
    CHANGE = "CHANGE"
    SIM = "SIM"
    REVERSE = "REVERSE"
    PAY = "PAY"

    @property
    def needs_consent(self) -> bool:
        """CO-1: nothing is opened or changed without the customer's own confirmation."""
        return self is _OPEN or self is _CHANGE or self is _SIM

    @property
    def needs_identity(self) -> bool:
        """CI-3, whatever the purpose; a walk-in `read` needs it too."""
        return self is _REVERSE or self.needs_consent


_READ, _OPEN, _CHANGE, _SIM, _REVERSE, _PAY = OperationClass


class Purpose(StrEnum):
    """Why a customer's data is looked at (CI-4)."""

    ORDER = "ORDER"
    COMPLAINT = "COMPLAINT"
    WORK_ORDER = "WORK_ORDER"
    WALK_IN = "WALK_IN"


@dataclass(frozen=True, slots=True, kw_only=True)
class Operation:
    """One operation code. Raises InvalidInput for one that would leave out a second person which the rules demand."""

    code: OperationCode
    name_zh: str
    name_en: str
    cls: OperationClass
    second_person_roles: tuple[RoleId, ...] = ()
    """Roles that may give the second-person approval (RQ-7); empty where none is needed."""
    customer_bound: bool = True
    """False where the act concerns no one customer (bulk export)."""
    unmasks: bool = False
    """True where the approved act is to show customer data unmasked (CI-5)."""

    def __post_init__(self) -> None:
        if not self.second_person_roles and (self.cls is OperationClass.REVERSE or self.unmasks):
            raise InvalidInput(
                Reason.INVALID_ARGUMENT, field="second_person_roles", detail="this class needs them (RQ-7)"
            )
        if not self.customer_bound and self.cls is not OperationClass.READ:
            raise InvalidInput(
                Reason.INVALID_ARGUMENT, field="customer_bound", detail="only a read has no one customer"
            )


_STORE_MANAGER = (RoleId("store-manager"),)
_DUTY_OR_STORE_MANAGER = (RoleId("duty-manager"), RoleId("store-manager"))
_REGIONAL_MANAGER = (RoleId("regional-manager"),)


def _handbook(code: str, name_zh: str, name_en: str, cls: OperationClass) -> Operation:
    second = _DUTY_OR_STORE_MANAGER if cls is OperationClass.REVERSE else ()
    return Operation(code=OperationCode(code), name_zh=name_zh, name_en=name_en, cls=cls, second_person_roles=second)


HANDBOOK_CODES = (
    _handbook("1104", "用户开户", "Open an account", _OPEN),
    _handbook("e199", "用户开户", "Open an account (variant)", _OPEN),
    _handbook("1121", "用户开户冲正", "Reverse an opening", _REVERSE),
    _handbook("1210", "客户资料变更", "Change customer data", _CHANGE),
    _handbook("1213", "综合变更(报停)", "Suspend, other changes", _CHANGE),
    _handbook("1220", "换卡变更", "Replace the SIM", _SIM),
    _handbook("1247", "白卡写卡", "Write a blank SIM", _SIM),
    _handbook("1267", "附加资费变更", "Change add-on tariff", _CHANGE),
    _handbook("1270", "主资费变更", "Change main tariff", _CHANGE),
    _handbook("1285", "黑名单号码信息查询", "Blacklisted number query", _READ),
    _handbook("1302", "普通缴费", "Pay a bill", _PAY),
    _handbook("1333", "代理商交费", "Agent payment", _PAY),
    _handbook("1354", "陈死帐查询", "Bad-debt query", _READ),
    _handbook("1500", "综合信息查询", "Full customer view", _READ),
    _handbook("1522", "帐单明细费用查询", "Itemised bill", _READ),
    _handbook("1548", "费用综合信息查询", "Charges overview", _READ),
    _handbook("1549", "停机催缴信息查询", "Suspension and dunning", _READ),
    _handbook("1557", "存费送费查询", "Top-up campaign query", _READ),
    _handbook("1936", "来电提醒业务受理", "Missed-call service", _CHANGE),
    _handbook("1937", "无线音乐会员管理", "Music membership", _CHANGE),
    _handbook("1956", "铃音盒业务模块", "Ring-tone box", _CHANGE),
    _handbook("2122", "营销活动资格验证", "Campaign eligibility", _READ),
    _handbook("2420", "客户积分申请", "Loyalty points claim", _CHANGE),
    _handbook("3356", "彩铃业务办理", "Caller tunes", _CHANGE),
    _handbook("3381", "移动合家欢", "Family plan", _CHANGE),
    _handbook("8783", "积分查询", "Points query", _READ),
    _handbook("123f", "业务定制变更", "Change subscriptions", _CHANGE),
    _handbook("b083", "存费送费冲正", "Reverse a top-up campaign", _REVERSE),
)
"""The 28 named codes of the handbook. `1507` has no name there, is not here, and is denied like any unknown code."""

TRANSFER = Operation(
    code=OperationCode("x001"),
    name_zh="过户",
    name_en="Transfer of ownership",
    cls=_CHANGE,
    second_person_roles=_STORE_MANAGER,
)
CLOSE_NUMBER = Operation(
    code=OperationCode("x002"),
    name_zh="销号",
    name_en="Close a number",
    cls=_CHANGE,
    second_person_roles=_STORE_MANAGER,
)
ALLOCATE_NUMBER = Operation(
    code=OperationCode("x003"),
    name_zh="号码资源分配",
    name_en="Number-resource allocation",
    cls=_CHANGE,
    second_person_roles=_STORE_MANAGER,
)
UNMASK = Operation(
    code=OperationCode("x004"),
    name_zh="客户信息脱敏还原",
    name_en="Unmask customer data",
    cls=_READ,
    second_person_roles=_STORE_MANAGER,
    unmasks=True,
)
BULK_EXPORT = Operation(
    code=OperationCode("x005"),
    name_zh="批量导出",
    name_en="Bulk export",
    cls=_READ,
    second_person_roles=_REGIONAL_MANAGER,
    customer_bound=False,
)

CATALOGUE: dict[OperationCode, Operation] = {
    operation.code: operation
    for operation in (*HANDBOOK_CODES, TRANSFER, CLOSE_NUMBER, ALLOCATE_NUMBER, UNMASK, BULK_EXPORT)
}
"""The built-in operations by code: the handbook's 28, and five of ours for what its prohibitions name."""
