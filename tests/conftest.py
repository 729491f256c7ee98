"""What all tests share: the record of which rules a test proves."""

from __future__ import annotations

import gc
import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

from infosec import cli
from tests.sim.audit import audit
from tests.sim.servers import embedded, fresh_database, tcp_servers
from tests.sim.suite import suite, suite_world
from tests.sim.world import world, world_keys

__all__ = ["audit", "cli", "embedded", "fresh_database", "suite", "suite_world", "tcp_servers", "world", "world_keys"]
"""Fixtures. Here and nowhere else: a session fixture imported twice is two fixtures, with two sets of engines and keys.
And the package that says how gRPC is to behave in our processes, which has to come before gRPC.
"""

settings.register_profile("patient", settings(), deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("patient")
"""What is given by default, CI's or one's own, but that no example is wrong for being slow."""

_RESULTS = pytest.StashKey[dict[str, dict[str, str]]]()


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--rules-report", metavar="PATH", help="write which rules were proved by which tests, as JSON")
    parser.addoption(
        "--all-faults", action="store_true", help="interrupt operations at every step, not at a part of them"
    )


def pytest_configure(config: pytest.Config) -> None:
    config.stash[_RESULTS] = {}
    config.pluginmanager.register(_RuleRecorder(config), "rule-recorder")


def pytest_collection_finish() -> None:
    """Thousands of tests, and all that they import, stay to the end: the collector need not look at them again."""
    gc.collect()
    gc.freeze()


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item: pytest.Item) -> None:
    rules = [rule for mark in item.iter_markers("rule") for rule in mark.args]
    if rules:
        item.user_properties.append(("rules", rules))


class _RuleRecorder:
    """Gathers outcomes, from worker processes too."""

    def __init__(self, config: pytest.Config) -> None:
        self._config = config

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_logreport(self, report: pytest.TestReport) -> Iterator[None]:
        yield
        if report.when == "call" or report.outcome != "passed":
            for name, rules in report.user_properties:
                if name == "rules":
                    for rule in rules:
                        self._config.stash[_RESULTS].setdefault(rule, {})[report.nodeid] = report.outcome

    def pytest_sessionfinish(self) -> None:
        path = self._config.getoption("--rules-report")
        if path and not hasattr(self._config, "workerinput"):
            Path(path).parent.mkdir(parents=True, exist_ok=True)
            Path(path).write_text(json.dumps(self._config.stash[_RESULTS], indent=1), encoding="utf-8")
