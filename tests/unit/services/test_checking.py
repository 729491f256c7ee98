"""What a configuration needs for the parts that are served, before a socket opens."""

from __future__ import annotations

from pathlib import Path

import pytest

from infosec.config import Config
from infosec.errors import Misconfigured
from services.checking import SUITE, Part, check


def wrong(listen: str, gateway: str, parts: frozenset[Part], **server: object) -> set[str]:
    """The keys that are named."""
    sections = {
        "server": {"listen": listen, **server},
        "notify": {"gateway": gateway},
        "audit": {"address": "127.0.0.1:7444"},
    }
    try:
        check(Config.from_mapping(sections), parts)
    except Misconfigured as error:
        return {line.split(":")[0] for line in error.violations} or {str(error.details["key"])}
    return set()


@pytest.mark.rule("ID-1")
@pytest.mark.parametrize(("part", "is_named"), [(Part.CORE, True), (Part.AUDIT, False), (Part.CHECK, False)])
def test_only_what_sends_messages_needs_a_gateway_beyond_loopback(part: Part, is_named: bool) -> None:
    assert ("notify.gateway" in wrong("0.0.0.0:7443", "sink", frozenset({part}))) is is_named
    page = wrong("127.0.0.1:7443", "sink", frozenset({part}), metrics_listen="0.0.0.0:9464")
    assert ("notify.gateway" in page) is is_named
    assert "notify.gateway" in wrong("0.0.0.0:7443", "sink", SUITE)
    assert ("notify.gateway" in wrong("127.0.0.1:7443", "smpp", frozenset({part}))) is is_named
    assert wrong("127.0.0.1:7443", "sink", frozenset({part})) == set()


def test_only_processes_on_servers_of_the_installation_share_a_port_and_it_has_to_be_named() -> None:
    audit = frozenset({Part.AUDIT})
    assert wrong("127.0.0.1:7443", "sink", audit, shares_port=True) == {"server.shares_port"}
    assert wrong("127.0.0.1:0", "sink", audit, shares_port=True) == {"server.shares_port", "server.listen"}


@pytest.mark.parametrize(
    ("parts", "may"),
    [([Part.AUDIT], True), ([Part.CHECK], True), ([Part.CORE], False), ([Part.AUDIT, Part.CHECK], False)],
)
def test_an_address_is_shared_by_processes_of_one_part_that_keeps_nothing_of_its_own(
    parts: list[Part], may: bool, tmp_path: Path
) -> None:
    problems = "\n".join(_told(frozenset(parts), tmp_path))
    assert ("by themselves" not in problems) is may


def _told(parts: frozenset[Part], folder: Path) -> tuple[str, ...]:
    postgres = {"host": str(folder)}
    sections = {"server": {"shares_port": True, "data_dir": str(folder)}, "postgres": postgres}
    with pytest.raises(Misconfigured) as caught:  # there are neither passwords nor keys
        check(Config.from_mapping(sections), parts)
    return caught.value.violations
