"""Has every new checkpoint cosigned by every witness, and says loudly when one contradicts us.

Never in the way of recording or signing: a witness that is slow, away or wrong is only measured.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from datetime import timedelta

from prometheus_client import CollectorRegistry, Counter, Gauge

from auditsvc.cosigning import CONTRADICTIONS, Asking, Outcome, Witness
from auditsvc.store import checkpoints as store
from infosec import logging
from infosec.cancellation import raise_if_cancelled
from infosec.clock import Clock
from infosec.errors import InfosecError
from infosec.ids import RegionId
from infosec.storage.postgres import Database, Isolation

__all__ = ["Outcome", "Witness", "Witnesses"]

FIRST_PAUSE = timedelta(seconds=1)
LONGEST_PAUSE = timedelta(seconds=60)
LOOK_AGAIN = timedelta(seconds=60)
_LOG = logging.get(__name__)


_WHAT: Mapping[Outcome, str] = {
    Outcome.ROLLED_BACK: "the witness has cosigned a larger tree of this log than the database has: entries were lost or "
    "deleted. Keep the database as it is, and ask the witness for the checkpoint that it has",
    Outcome.FORKED: "the witness has cosigned another history of this log: signed entries were rewritten, or a backup was "
    "restored and written to. Keep the database as it is, and ask the witness for the checkpoint that it has",
}


class Witnesses:
    """Asks every witness about every log, for one process."""

    def __init__(
        self,
        db: Database,
        witnesses: Sequence[Witness],
        clock: Clock,
        *,
        registry: CollectorRegistry | None = None,
        look_again: timedelta = LOOK_AGAIN,
    ) -> None:
        """`db` as role audit_service. `look_again`: how often it is looked for what other processes signed and left."""
        self._db = db
        metrics = _Metrics(clock, registry)
        self._desks = [_Desk(db, witness, metrics, look_again) for witness in witnesses]

    @property
    def outcomes(self) -> Mapping[tuple[str, RegionId], Outcome]:
        """What last came of asking each witness, by its name, about each log."""
        return {(desk.name, log_id): outcome for desk in self._desks for log_id, outcome in desk.outcomes.items()}

    @property
    def contradictions(self) -> Mapping[tuple[str, RegionId], Outcome]:
        """Where a witness has seen another log than ours: for the doctor."""
        return {asked: outcome for asked, outcome in self.outcomes.items() if outcome in CONTRADICTIONS}

    def offer(self, log_id: RegionId) -> None:
        """A checkpoint was signed and stored: have the newest one cosigned, soon."""
        for desk in self._desks:
            desk.offer(log_id)

    async def run(self) -> None:
        """Ask for ever, beginning with the newest checkpoint of every log; ends by cancellation."""
        async with asyncio.TaskGroup() as group:
            for desk in self._desks:
                group.create_task(desk.run())

    async def close(self) -> None:
        """Close the links."""
        for desk in self._desks:
            await desk.close()

    async def ask_all(self) -> None:
        """Ask every witness once about the newest checkpoint of every log. Raises Unavailable without a database."""
        async with self._db.transaction(Isolation.SNAPSHOT_READ_ONLY) as conn:
            logs = [one.log_id for one in await store.standings(conn) if one.signed_size]
        for desk in self._desks:
            for log_id in filter(desk.is_for, logs):
                await desk.ask(log_id)


class _Metrics:
    """What is measured of all witnesses."""

    def __init__(self, clock: Clock, registry: CollectorRegistry | None) -> None:
        self._clock = clock
        self._cosigned = Gauge(
            "infosec_audit_cosigned_seconds",
            "When a witness last cosigned the newest checkpoint of a log.",
            ("witness", "log"),
            registry=registry,
        )
        self._waiting = Gauge(
            "infosec_audit_cosignature_waiting_since_seconds",
            "Since when a checkpoint has waited for a witness; 0 while none waits.",
            ("witness", "log"),
            registry=registry,
        )
        self._answers = Counter(
            "infosec_audit_witness_answers", "Answers of witnesses.", ("witness", "outcome"), registry=registry
        )
        self._contradicts = Gauge(
            "infosec_audit_witness_contradicts",
            "1 while a witness has seen another log than ours.",
            ("witness", "log"),
            registry=registry,
        )

    def waits(self, witness: str, log_id: RegionId) -> None:
        self._waiting.labels(witness, log_id).set(self._clock.now().timestamp())

    def answered(self, witness: str, log_id: RegionId, outcome: Outcome) -> None:
        self._answers.labels(witness, outcome.value).inc()
        self._contradicts.labels(witness, log_id).set(float(outcome in CONTRADICTIONS))
        if outcome is Outcome.COSIGNED:
            self._cosigned.labels(witness, log_id).set(self._clock.now().timestamp())
            self._waiting.labels(witness, log_id).set(0)


class _Pauses:
    """Until when each log is put off: twice as long after each failure."""

    def __init__(self) -> None:
        self._lengths: dict[RegionId, float] = {}
        self._until: dict[RegionId, float] = {}

    def until(self, log_id: RegionId) -> float:
        return self._until.get(log_id, 0.0)

    def is_over(self, log_id: RegionId) -> bool:
        return self.until(log_id) <= asyncio.get_running_loop().time()

    def begin(self, log_id: RegionId) -> None:
        length = self._lengths.get(log_id, FIRST_PAUSE.total_seconds())
        self._until[log_id] = asyncio.get_running_loop().time() + length
        self._lengths[log_id] = min(2 * length, LONGEST_PAUSE.total_seconds())

    def end(self, log_id: RegionId) -> None:
        self._lengths.pop(log_id, None)
        self._until.pop(log_id, None)


class _Desk:
    """One witness: what waits for it, and which size of each log it has."""

    def __init__(self, db: Database, witness: Witness, metrics: _Metrics, look_again: timedelta) -> None:
        self._db = db
        self._look_again_s = look_again.total_seconds()
        self._witness = witness
        self._asking = Asking(db, witness)
        self._metrics = metrics
        self._waiting: dict[RegionId, None] = {}
        self._arrived = asyncio.Event()
        self._pauses = _Pauses()
        self.outcomes: dict[RegionId, Outcome] = {}

    @property
    def name(self) -> str:
        return self._witness.key.name

    async def close(self) -> None:
        await self._witness.link.close()

    def is_for(self, log_id: RegionId) -> bool:
        return self._witness.is_for(log_id)

    def offer(self, log_id: RegionId) -> None:
        if not self.is_for(log_id):
            return
        if log_id not in self._waiting:
            self._waiting[log_id] = None
            if self.outcomes.get(log_id, Outcome.COSIGNED) is Outcome.COSIGNED:
                self._metrics.waits(self.name, log_id)
        self._arrived.set()

    async def run(self) -> None:
        loop = asyncio.get_running_loop()
        look_again = loop.time()
        while True:
            if loop.time() >= look_again:
                await self._offer_all()
                look_again = loop.time() + self._look_again_s
            self._arrived.clear()
            await self._ask_waiting()
            raise_if_cancelled()
            # Logs that wait have all been put off, or came in between.
            soonest = min([look_again, *(self._pauses.until(log_id) for log_id in self._waiting)])
            try:
                async with asyncio.timeout_at(soonest):
                    await self._arrived.wait()
            except TimeoutError:
                continue

    async def ask(self, log_id: RegionId) -> Outcome:
        """Have the newest checkpoint of a log cosigned. Raises Unavailable without a database."""
        outcome = await self._asking.about(log_id)
        self._metrics.answered(self.name, log_id, outcome)
        if self.outcomes.get(log_id) is not outcome:
            self._tell(log_id, outcome)
        self.outcomes[log_id] = outcome
        return outcome

    async def _offer_all(self) -> None:
        """What was signed while this process did not run, or by another that was ended before it could ask."""
        while True:
            try:
                async with self._db.transaction(Isolation.SNAPSHOT_READ_ONLY) as conn:
                    standings = await store.standings(conn)
            except InfosecError as error:
                _LOG.warning("witnesses are not asked", witness=self.name, reason=error.reason.value)
                raise_if_cancelled()
                await asyncio.sleep(FIRST_PAUSE.total_seconds())
                continue
            for one in standings:
                if one.signed_size:
                    self.offer(one.log_id)
            return

    async def _ask_waiting(self) -> None:
        """Ask about each log that waits and is not put off; one that is refused does not hold up the others."""
        for log_id in tuple(self._waiting):
            if self._pauses.is_over(log_id):
                del self._waiting[log_id]  # before asking: what is signed meanwhile is offered again
                outcome = await self._safely_asked(log_id)
                if outcome is Outcome.COSIGNED:
                    self._pauses.end(log_id)
                    continue
                self._waiting.setdefault(log_id)
                # A witness that is away costs its deadline once, not once for every log.
                for put_off in self._waiting if outcome is Outcome.UNREACHABLE else (log_id,):
                    self._pauses.begin(put_off)

    async def _safely_asked(self, log_id: RegionId) -> Outcome | None:
        try:
            return await self.ask(log_id)
        except InfosecError as error:
            _LOG.warning("a witness was not asked", witness=self.name, log=log_id, reason=error.reason.value)
        except Exception as error:
            # A fault of ours about one log must not end all asking until a restart.
            _LOG.error("a witness was not asked", witness=self.name, log=log_id, exc_info=error)
        return None

    def _tell(self, log_id: RegionId, outcome: Outcome) -> None:
        """Once for each change, not once for each try."""
        if outcome in CONTRADICTIONS:
            _LOG.critical(
                "a witness contradicts the log", witness=self.name, log=log_id, fault=outcome.value, what=_WHAT[outcome]
            )
        elif outcome is Outcome.COSIGNED:
            _LOG.info("a witness cosigns", witness=self.name, log=log_id)
        else:
            _LOG.warning("a witness does not cosign", witness=self.name, log=log_id, outcome=outcome.value)
