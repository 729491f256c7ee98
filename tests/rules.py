"""Prints the table rule -> tests -> result from a report written by `pytest --rules-report`. Run by `make rules`."""

from __future__ import annotations

import json
import sys
import tomllib
from pathlib import Path

BOOK = Path(__file__).with_name("rules.toml")


def main(report: Path) -> int:
    """0 when every rule that should be proved has tests, and all of them passed."""
    book = tomllib.loads(BOOK.read_text(encoding="utf-8"))
    results: dict[str, dict[str, str]] = json.loads(report.read_text(encoding="utf-8"))
    faults = [
        f"{rule}: named by a test, not in {BOOK.name}"
        for rule in results
        if rule not in book["proved"] | book["pending"]
    ]
    for rule, text in book["proved"].items():
        tests = results.get(rule, {})
        bad = sorted(name for name, outcome in tests.items() if outcome != "passed")
        verdict = "proved" if tests and not bad else "NOT PROVED"
        print(f"{rule:<6} {verdict:<11} {len(tests) - len(bad):>3} of {len(tests):<3} tests  {text}")
        if not tests or bad:
            faults.append(f"{rule}: {'no test' if not tests else ', '.join(bad)}")
    for rule, why in book["pending"].items():
        print(f"{rule:<6} {'pending':<11} {len(results.get(rule, {})):>3} tests         {why}")
    for fault in faults:
        print(f"! {fault}", file=sys.stderr)
    if "--tests" in sys.argv:
        for rule, tests in sorted(results.items()):
            for name, outcome in sorted(tests.items()):
                print(f"{rule:<6} {outcome:<8} {name}")
    return 1 if faults else 0


if __name__ == "__main__":
    raise SystemExit(main(Path(sys.argv[1])))
