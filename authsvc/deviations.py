"""Where the active profile departs from current standards and from the handbook (section H), computed from its values.

Changing a value changes the report. Pure: the caller says what cannot be read from a profile.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum

from authsvc.profile import TELECOM_HALL, Profile
from infosec.messages import Text


class Standard(StrEnum):
    """What the profile is held against."""

    NIST_800_63B_4 = "NIST SP 800-63B-4"
    ASVS_5 = "OWASP ASVS 5.0"
    GBT_22239 = "GB/T 22239-2019"
    HANDBOOK = "handbook"


class Stance(StrEnum):
    """How it departs."""

    CONTRADICTS = "CONTRADICTS"
    """Does what the clause forbids."""
    WEAKER = "WEAKER"
    """Does less than the clause asks for."""
    STRICTER = "STRICTER"
    NOT_ENFORCED = "NOT_ENFORCED"
    """Left to others."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Deviation:
    """One clause, what is done otherwise, and why."""

    standard: Standard
    clause: str
    rule: str
    """ID of the rule, or of the section, of the rule book that it comes from."""
    stance: Stance
    what: Text
    why: Text


@dataclass(frozen=True, slots=True, kw_only=True)
class Installation:
    """What the report needs to know beside the profile."""

    shows_messages: bool = False
    """The loopback demo, in which `infosec sms` shows what was sent to phones."""
    keeps_audit_log: bool = False
    """An audit service with its proved log is part of the installation."""


@dataclass(frozen=True, slots=True)
class _Clause:
    standard: Standard
    number: str
    rule: str

    def departs(self, stance: Stance, *, what: Text, why: Text) -> Deviation:
        return Deviation(standard=self.standard, clause=self.number, rule=self.rule, stance=stance, what=what, why=why)


_CARRIER_RULE = Text(zh="运营商手册的规定优先。", en="The carrier's handbook rule wins by default.")
_STANDARD_RULE = Text(
    zh="所选配置以所列标准为准，不以手册为准。", en="The chosen profile follows the standard that it is named after."
)
_NO_CORPUS = Text(
    zh="检查须能离线进行；随附词表由项目自行整理，并识别其变形。",
    en="The check must work offline; the shipped list was compiled for this project, and its disguises are recognised.",
)


def deviations(profile: Profile, installation: Installation) -> tuple[Deviation, ...]:
    """Every departure of `profile` in this installation, by standard and clause."""
    return (
        *_nist(profile),
        *_asvs(profile),
        *_gbt(profile, installation),
        *_handbook(profile),
        *_demo(installation),
    )


def _nist(p: Profile) -> Iterator[Deviation]:
    nist = Standard.NIST_800_63B_4
    if p.min_length < 15:
        yield _Clause(nist, "3.1.1.2", "ID-2").departs(
            Stance.WEAKER,
            what=Text(
                zh="单因素口令最短 {n} 个字符，标准要求 15 个。",
                en="A password used alone needs {n} characters; the standard asks for 15.",
            ).filled(n=p.min_length),
            why=_why(p),
        )
    if _has_composition_rule(p):
        yield _Clause(nist, "3.1.1.2", "ID-2").departs(
            Stance.CONTRADICTS,
            what=_composition(p),
            why=_why(p),
        )
    if p.password_life_days is not None:
        yield _Clause(nist, "3.1.1.2", "ID-4").departs(
            Stance.CONTRADICTS,
            what=_rotation(p.password_life_days),
            why=_why(p),
        )
    if p.max_failures > 100:
        yield _Clause(nist, "3.2.2", "ID-5").departs(
            Stance.WEAKER,
            what=Text(
                zh="连续 {n} 次错误后才加锁，标准上限为 100 次。",
                en="Locks after {n} wrong passwords in a row; the standard allows 100.",
            ).filled(n=p.max_failures),
            why=_why(p),
        )
    yield _Clause(nist, "3.1.3.3", "ID-1, RQ-1").departs(
        Stance.WEAKER,
        what=Text(
            zh="初始密码和身份验证码经短信发送；标准把公共电话网列为受限方式。",
            en="First passwords and proof codes travel by SMS; the standard restricts the public telephone network.",
        ),
        why=Text(
            zh="手册规定发往绑定手机；一次有效、限时、限次，改绑须审批并通知旧号码。",
            en="The handbook sends them to the bound phone. They serve once, briefly, with few tries; re-binding takes a "
            "decision, and the old phone is told.",
        ),
    )


def _asvs(p: Profile) -> Iterator[Deviation]:
    asvs = Standard.ASVS_5
    if p.min_length < 8:
        yield _Clause(asvs, "6.2.1", "ID-2").departs(
            Stance.WEAKER,
            what=Text(
                zh="密码最短 {n} 个字符，要求至少 8 个。", en="Passwords need {n} characters; 8 are required."
            ).filled(n=p.min_length),
            why=_why(p),
        )
    yield _Clause(asvs, "6.2.4", "ID-3").departs(
        Stance.WEAKER,
        what=Text(
            zh="常见密码表不是按频次排出的前 3000 名。",
            en="The list of common passwords is no ranking of the top 3000.",
        ),
        why=_NO_CORPUS,
    )
    if _has_composition_rule(p):
        yield _Clause(asvs, "6.2.5", "ID-2").departs(
            Stance.CONTRADICTS,
            what=_composition(p),
            why=_why(p),
        )
    yield _Clause(asvs, "6.2.8", "ID-2").departs(
        Stance.CONTRADICTS,
        what=Text(
            zh="散列前按 NFKC 规范化，控制字符被拒绝；不截断，不改大小写。",
            en="Passwords are normalised (NFKC) before hashing and control characters refused; nothing is cut off, case is kept.",
        ),
        why=Text(
            zh="全角与半角输入法下应得到同一密码；NIST SP 800-63B-4 3.1.1.2 建议如此。",
            en="Full-width and half-width input must give one password; NIST SP 800-63B-4 3.1.1.2 advises it.",
        ),
    )
    if p.password_life_days is not None:
        yield _Clause(asvs, "6.2.10", "ID-4").departs(
            Stance.CONTRADICTS,
            what=_rotation(p.password_life_days),
            why=_why(p),
        )
    yield _Clause(asvs, "6.2.12", "ID-3").departs(
        Stance.NOT_ENFORCED,
        what=Text(zh="不与泄露密码库比对。", en="Passwords are not compared with a corpus of breached ones."),
        why=_NO_CORPUS,
    )
    yield _Clause(asvs, "6.3.3", "RQ-3").departs(
        Stance.WEAKER,
        what=_second_factor(p),
        why=_ONE_FACTOR_WHY,
    )


_ONE_FACTOR_WHY = Text(
    zh="手册规定前台只用工号和密码；审批人和管理员的登录与决定须第二因素，终端另有证书。",
    en="The handbook gives the front line a staff ID and a password; approvers and administrators need a second factor to log in "
    "and to decide, and terminals come through systems with certificates.",
)


def _gbt(p: Profile, installation: Installation) -> Iterator[Deviation]:
    gbt = Standard.GBT_22239
    if p.password_life_days is None:
        yield _Clause(gbt, "8.1.4.1 a)", "ID-4").departs(
            Stance.WEAKER,
            what=Text(zh="口令不要求定期更换。", en="Passwords need not be changed at intervals."),
            why=_STANDARD_RULE,
        )
    if not _has_composition_rule(p):
        yield _Clause(gbt, "8.1.4.1 a)", "ID-2").departs(
            Stance.WEAKER,
            what=Text(
                zh="复杂度只靠长度（至少 {n} 个字符）和禁用词，不要求混用字符类。",
                en="Complexity rests on length ({n} characters at least) and on forbidden words, not on mixed classes.",
            ).filled(n=p.min_length),
            why=_STANDARD_RULE,
        )
    yield _Clause(gbt, "8.1.4.1 d)", "RQ-3").departs(
        Stance.WEAKER,
        what=_second_factor(p),
        why=_ONE_FACTOR_WHY,
    )
    yield _Clause(gbt, "8.1.4.2 g)", "CI-2").departs(
        Stance.NOT_ENFORCED,
        what=Text(
            zh="不设安全标记；按角色、地点和业务代码授权，默认拒绝。",
            en="There are no security labels; a role at a place is allowed an operation code, and nothing else.",
        ),
        why=Text(
            zh="本套件不保存客户数据，标记由保存数据的系统设置。",
            en="The suite holds no customer data; labels belong to the systems that do.",
        ),
    )
    if not installation.keeps_audit_log:
        yield _Clause(gbt, "8.1.4.3 a)-d)", "CI-1").departs(
            Stance.NOT_ENFORCED,
            what=Text(zh="本安装不含独立的审计日志服务。", en="This installation has no audit log service of its own."),
            why=Text(
                zh="审计由调用系统及数据库保存的申请和登录记录承担。",
                en="Auditing rests with the calling systems, and with the requests and logins kept in the database.",
            ),
        )


def _handbook(p: Profile) -> Iterator[Deviation]:
    rule = TELECOM_HALL
    yield from _handbook_password(p)
    if p.max_failures != rule.max_failures:
        yield _from_handbook(
            "ID-5",
            Stance.WEAKER if p.max_failures > rule.max_failures else Stance.STRICTER,
            Text(
                zh="连续 {n} 次错误后加锁，手册为 {m} 次。",
                en="Locks after {n} wrong passwords in a row; the handbook says {m}.",
            ).filled(n=p.max_failures, m=rule.max_failures),
        )
    if p.idle_limit != rule.idle_limit:
        yield _from_handbook(
            "ID-9",
            Stance.WEAKER if p.idle_limit > rule.idle_limit else Stance.STRICTER,
            Text(
                zh="空闲 {n} 分钟后结束会话，默认为 {m} 分钟。",
                en="Sessions end after {n} idle minutes; the default is {m}.",
            ).filled(n=_minutes(p.idle_limit), m=_minutes(rule.idle_limit)),
        )
    yield _Clause(Standard.HANDBOOK, "工号安全", "H").departs(
        Stance.NOT_ENFORCED,
        what=Text(
            zh="开机密码、屏幕保护密码和文件密码不由本套件执行。",
            en="Workstation start-up passwords, screen savers and file passwords are not enforced by this suite.",
        ),
        why=Text(zh="它们属于工作站管理。", en="They belong to the management of workstations."),
    )


def _handbook_password(p: Profile) -> Iterator[Deviation]:
    rule = TELECOM_HALL
    if p.min_length != rule.min_length:
        yield _from_handbook(
            "ID-2",
            Stance.WEAKER if p.min_length < rule.min_length else Stance.STRICTER,
            Text(
                zh="密码最短 {n} 个字符，手册为 {m} 个。", en="Passwords need {n} characters; the handbook says {m}."
            ).filled(n=p.min_length, m=rule.min_length),
        )
    if (p.min_classes, p.required_classes) != (rule.min_classes, rule.required_classes):
        weaker = p.min_classes < rule.min_classes and len(p.required_classes) < rule.min_classes
        yield _from_handbook("ID-2", Stance.WEAKER if weaker else Stance.STRICTER, _composition(p))
    if p.password_life_days is None:
        yield _from_handbook(
            "ID-4",
            Stance.WEAKER,
            Text(zh="密码不到期，手册为 90 天。", en="Passwords do not end; the handbook says 90 days."),
        )
    elif p.password_life_days != rule.password_life_days:
        yield _from_handbook(
            "ID-4",
            Stance.WEAKER if p.password_life_days > 90 else Stance.STRICTER,
            Text(zh="密码 {n} 天到期，手册为 90 天。", en="Passwords end after {n} days; the handbook says 90.").filled(
                n=p.password_life_days
            ),
        )
    if p.history_depth != rule.history_depth:
        yield _from_handbook(
            "ID-6",
            Stance.WEAKER if p.history_depth < rule.history_depth else Stance.STRICTER,
            Text(
                zh="不得重复最近 {n} 个密码，手册为 {m} 个。",
                en="None of the last {n} passwords may come again; the handbook says {m}.",
            ).filled(n=p.history_depth, m=rule.history_depth),
        )


def _demo(installation: Installation) -> Iterator[Deviation]:
    if installation.shows_messages:
        yield _Clause(Standard.HANDBOOK, "工号安全", "ID-1").departs(
            Stance.CONTRADICTS,
            what=Text(
                zh="本机演示中 `infosec sms` 会显示发往手机的短信，初始密码和验证码也在内。",
                en="In this loopback demo `infosec sms` shows what was sent to phones, first passwords and codes included.",
            ),
            why=Text(
                zh="演示没有短信网关；绑定其他地址或配置网关后此命令即被拒绝。",
                en="The demo has no SMS gateway; with any other address or a gateway the command is refused.",
            ),
        )


def _from_handbook(rule: str, stance: Stance, what: Text) -> Deviation:
    return _Clause(Standard.HANDBOOK, "工号安全", rule).departs(stance, what=what, why=_STANDARD_RULE)


def _has_composition_rule(p: Profile) -> bool:
    return p.min_classes > 1 or bool(p.required_classes)


def _composition(p: Profile) -> Text:
    if p.required_classes:
        named = ", ".join(sorted(one.value.lower() for one in p.required_classes))
        return Text(
            zh="密码须混用字符类，且必含：{named}。",
            en="Passwords must mix classes of characters, and have these among them: {named}.",
        ).filled(named=named)
    if p.min_classes > 1:
        return Text(
            zh="密码须混用字母、数字、符号中至少 {n} 类。",
            en="Passwords must mix at least {n} of letters, digits and symbols.",
        ).filled(n=p.min_classes)
    return Text(zh="密码不要求混用字符类。", en="Passwords need not mix classes of characters.")


def _rotation(life_days: int) -> Text:
    return Text(
        zh="密码满 {n} 天必须更换，无论有无泄露迹象。",
        en="Passwords end after {n} days, without any sign of compromise.",
    ).filled(n=life_days)


def _second_factor(p: Profile) -> Text:
    return Text(
        zh="登录须第二因素的角色只有：{roles}；其余角色只用密码。",
        en="Only these roles log in with a second factor: {roles}; the others with a password alone.",
    ).filled(roles=", ".join(sorted(p.totp_login_roles)) or "-")


def _why(p: Profile) -> Text:
    return _CARRIER_RULE if p.name == TELECOM_HALL.name else _STANDARD_RULE


def _minutes(span: timedelta) -> int:
    return round(span / timedelta(minutes=1))
