"""How a Guard's decisions wait for the audit service (CI-1): sealed, because a customer's number is in them.

Each process seals under a key of its own, in a file beside its spool; both go when everything was delivered.
"""

from __future__ import annotations

import logging
import stat
from collections.abc import Callable, Collection, Sequence
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Protocol

from google.protobuf.message import DecodeError

from infosec.api.audit.v1 import record_pb2 as pb
from infosec.client.audit import faults_of
from infosec.errors import InfosecError, Reason, Unavailable
from infosec.events.event import Event
from infosec.journal import refused_for_good
from infosec.keys import SealingKeys
from infosec.rpc.event_codec import event_to_wire
from infosec.rpc.limits import Limits

_LOG = logging.getLogger(__name__)
_CONTEXT = b"a guard's decision"
_check_limits = Limits().check_for(pb.Event.DESCRIPTOR)


class Recorder(Protocol):
    """What a Guard needs of AuditService; infosec.client.audit.AuditClient is one."""

    async def record_wire(self, request: pb.RecordBatchRequest) -> Sequence[pb.RecordOutcome]:
        """A receipt or a reason for each event. Idempotent by event ID. Raises InfosecError."""
        ...


class GuardDelivery:
    """infosec.journal.Delivery of one process that guards: events as they go over the wire, sealed."""

    def __init__(self, directory: Path, recorder: Recorder, now: Callable[[], datetime]) -> None:
        self._directory = directory
        self._recorder = recorder
        self._now = now
        self._keys: SealingKeys | None = None
        self._kept: dict[str, SealingKeys] = {}

    def begun(self, spool: str) -> None:
        """The key is on the disk before the first record. Raises Misconfigured where it cannot be written."""
        self._sweep()
        self._keys = self._kept[spool] = SealingKeys.generate(_kind(spool), now=self._now())
        try:
            self._keys.write_new(self._key_file(spool))
        except OSError:
            raise Unavailable(Reason.RECORD_UNAVAILABLE, sink="spool", detail="disk") from None

    def packed(self, event: Event, customer: str) -> bytes:
        # Who we are the service knows from our certificate, and stamps; before the first snapshot we do not know it.
        facts = {name: value for name, value in event.facts.items() if name != "system_id"}
        wire = event_to_wire(replace(event, facts=facts), customer=customer)
        _check_limits(wire)
        if self._keys is None:
            raise Unavailable(Reason.RECORD_UNAVAILABLE, sink="spool")
        return self._keys.seal(wire.SerializeToString(), _CONTEXT)

    async def deliver(self, spool: str, records: Sequence[bytes]) -> Collection[int]:
        opened = [self._opened(spool, record) for record in records]
        good = [index for index, wire in enumerate(opened) if wire is not None]
        refused = [index for index, wire in enumerate(opened) if wire is None]
        if good:
            request = pb.RecordBatchRequest(events=[wire for wire in opened if wire is not None])
            outcomes = await self._recorder.record_wire(request)
            refused += [good[at] for at in refused_for_good(faults_of(outcomes))]
        return refused

    def ended(self, spool: str) -> None:
        self._kept.pop(spool, None)
        try:
            self._key_file(spool).unlink(missing_ok=True)
        except OSError as error:
            _LOG.warning("a spool's key stays: error %s", error.errno)

    def _opened(self, spool: str, record: bytes) -> pb.Event | None:
        """None for what cannot be opened: it is set aside, for a person who has the key."""
        try:
            return pb.Event.FromString(self._keys_of(spool).open(record, _CONTEXT))
        except (InfosecError, DecodeError):
            return None

    def _keys_of(self, spool: str) -> SealingKeys:
        if spool not in self._kept:
            self._kept[spool] = SealingKeys.load(self._key_file(spool))
        return self._kept[spool]

    def _key_file(self, spool: str) -> Path:
        return self._directory / f"{_kind(spool)}.json"

    def _sweep(self) -> None:
        """Keys whose spool is gone; a spool is there before its key is."""
        for file in self._directory.glob(f"{_kind('*')}.json"):
            name = file.stem.removeprefix(_kind(""))
            if not (self._directory / name).exists() and stat.S_ISREG(file.lstat().st_mode):
                file.unlink(missing_ok=True)


def _kind(spool: str) -> str:
    """The spool's name is sealed with every record: what was copied into another spool does not open."""
    return f"seal-{spool}"
