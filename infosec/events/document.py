"""The catalogue as a page for people, in both languages."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from infosec.events.facts import Meaning
from infosec.events.spec import EventSpec
from infosec.events.types import EventType

_TITLE = """# Audit events 审计事件

What is recorded, by whom it is told, with which facts, and for how long it is kept at least. This page is printed by
`python -m infosec.events`; a test compares the two.

*Facts* without a mark are always there; those with a `?` are there when they are known. A **sealed** fact is sealed
under the customer's own key when the event names a customer, and cannot be read after the customer was erased (CI-8); the
customer stands in the log under a random ID. Whoever may tell an event: *suite* is this suite alone, *systems* are store
systems too.

记录什么、由谁记录、含哪些内容、至少保存多久。带 `?` 的内容在已知时才有。标 **sealed** 的内容在涉及客户时以该客户的密钥
加密，客户身份删除后不可再读（CI-8）；客户在日志中只有随机编号。*suite* 只由本系统记录，*systems* 业务系统也可记录。
"""


def page(catalogue: Mapping[EventType, EventSpec], facts: Mapping[str, Meaning]) -> str:
    """The whole page."""
    return "\n".join([_TITLE, *_events(catalogue), "", *_facts(facts), ""])


def _events(catalogue: Mapping[EventType, EventSpec]) -> Iterator[str]:
    yield "## Events 事件\n"
    yield "| type | version | told by | facts | kept, days | meaning |"
    yield "| --- | --- | --- | --- | --- | --- |"
    for spec in catalogue.values():
        teller = "systems" if spec.recordable_by_systems else "suite"
        named = ", ".join(_fact(spec, name) for name in spec.facts)
        meaning = f"{spec.summary.zh}<br>{spec.summary.en}"
        yield f"| `{spec.type.value}` | {spec.version} | {teller} | {named} | {spec.term.days} | {meaning} |"


def _fact(spec: EventSpec, name: str) -> str:
    mark = "" if spec.facts[name].required else "?"
    sealed = " **sealed**" if name in spec.sealed else ""
    return f"`{name}`{mark}{sealed}"


def _facts(facts: Mapping[str, Meaning]) -> Iterator[str]:
    yield "## Facts 内容\n"
    yield "A name means the same, and is of the same kind, in every event.\n"
    yield "| fact | kind | meaning |"
    yield "| --- | --- | --- |"
    for name, meaning in facts.items():
        yield f"| `{name}` | {meaning.kind.value} | {meaning.words.zh}<br>{meaning.words.en} |"
