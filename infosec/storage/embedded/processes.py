"""Starting, recognising and stopping engine processes. Ours is what fits its record: number, start time and boot.

So a number that the kernel has given to somebody else since is never signalled.
"""

from __future__ import annotations

import os
import select
import signal
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias, TypedDict

from infosec.storage.embedded.accounts import Account
from infosec.storage.embedded.files import read_small, write_file

StopPlan: TypeAlias = Sequence[tuple[signal.Signals, float]]
"""Signals to send in turn, each with the seconds given to it."""

_START_TIME_FIELD = 19
"""Of /proc/<pid>/stat, counted after the command's closing bracket (proc(5): field 22)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ProcessMark:
    """One process, told from every other that had or will have its number."""

    pid: int
    start_ticks: int
    boot_id: str

    def text(self) -> str:
        return f"{self.pid} {self.start_ticks} {self.boot_id}\n"


def mark_of(pid: int) -> ProcessMark | None:
    """The mark of a living process; None if there is none (a zombie is none)."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace").rpartition(")")[2].split()
        boot_id = Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
    except (OSError, ValueError):
        return None
    if fields[0] in ("Z", "X"):
        return None
    return ProcessMark(pid=pid, start_ticks=int(fields[_START_TIME_FIELD]), boot_id=boot_id)


def recorded_process(record: Path) -> ProcessMark | None:
    """The living process that a record file of ours names, or None."""
    try:
        pid, start_ticks, boot_id = (read_small(record) or "").split()
        noted = ProcessMark(pid=int(pid), start_ticks=int(start_ticks), boot_id=boot_id)
    except ValueError:
        return None
    return noted if mark_of(noted.pid) == noted else None


def command_of(pid: int) -> list[str]:
    """The arguments that a process was started with; empty if it is gone."""
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes().decode("utf-8", "replace").split("\0")
    except OSError:
        return []


def stop_process(mark: ProcessMark, plan: StopPlan) -> bool:
    """Stop a process that need not be our child; True once it is gone."""
    try:
        handle = os.pidfd_open(mark.pid)
    except ProcessLookupError:
        return True
    try:
        if mark_of(mark.pid) != mark:  # the number was given away; from here on the handle cannot be
            return True
        poll = select.poll()
        poll.register(handle, select.POLLIN)
        for number, seconds in plan:
            try:
                signal.pidfd_send_signal(handle, number)
            except ProcessLookupError:
                return True
            if poll.poll(seconds * 1000):
                return True
        return False
    finally:
        os.close(handle)


class Engine:
    """A child process of ours and its record file."""

    def __init__(self, name: str, process: subprocess.Popen[bytes], record: Path) -> None:
        self.name = name
        self.pid = process.pid
        self._process = process
        self._record = record

    def exit_code(self) -> int | None:
        """None while it runs."""
        return self._process.poll()

    def stop(self, plan: StopPlan) -> None:
        """Signals in turn until it is gone; the last of a plan is SIGKILL, for its whole group."""
        for number, seconds in plan:
            if self._process.poll() is None:
                self._signal(number)
            try:
                self._process.wait(seconds)
                break
            except subprocess.TimeoutExpired:
                continue
        self._record.unlink(missing_ok=True)

    def _signal(self, number: signal.Signals) -> None:
        if number is signal.SIGKILL:
            os.killpg(self.pid, number)  # not reaped yet, so the group's number is still its own
        else:
            self._process.send_signal(number)


def start_engine(
    name: str,
    command: Sequence[str],
    *,
    folder: Path,
    account: Account | None,
    environment: Mapping[str, str],
    log: Path,
    record: Path,
    standard_input: str = "",
) -> Engine:
    """Start `command` in `folder` as `account`, in a session of its own (the terminal's Ctrl-C is for us alone)."""
    with log.open("ab") as output:
        process = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=output,
            stderr=output,
            cwd=folder,
            env=dict(environment),
            start_new_session=True,
            umask=0o077,
            **as_account(account),
        )
    engine = Engine(name, process, record)
    try:
        mark = mark_of(process.pid)
        if mark is not None:
            write_file(record, mark.text())
        _hand_over(process, standard_input)
    except BaseException:
        engine.stop(((signal.SIGKILL, 5.0),))  # what we cannot recognise later must not stay
        raise
    return engine


def _hand_over(process: subprocess.Popen[bytes], text: str) -> None:
    if process.stdin is None:
        return
    try:
        process.stdin.write(text.encode())
        process.stdin.close()
    except BrokenPipeError:
        return  # it is gone already; whoever waits for it to be ready will say so


class _ChildAccount(TypedDict, total=False):
    user: int
    group: int
    extra_groups: list[int]


def as_account(account: Account | None) -> _ChildAccount:
    """Arguments of subprocess that make a child run as `account`."""
    return {} if account is None else {"user": account.uid, "group": account.gid, "extra_groups": []}
