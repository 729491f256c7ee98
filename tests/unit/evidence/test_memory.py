"""An export of any length is written and verified in the same memory."""

import subprocess
import sys

import pytest

PROGRAM = """
import resource, sys, tempfile
from datetime import timedelta
from pathlib import Path
from infosec.evidence.cells import Row
from infosec.evidence.formats import FormatName, format_of
from infosec.evidence.parts import LogBegun, LogEnded, Rows
from infosec.evidence.rendering import Order, render
from infosec.evidence.verifying import verify
from infosec.evidence.witnessing import Trust
from infosec.transparency.checkpoints import Checkpoint, sign_checkpoint
from infosec.transparency.merkle import leaf_hash
from infosec.transparency.ranges import EMPTY
from tests.sim.audit_log import NOW, SimLog, entry

count, form = int(sys.argv[1]), format_of(FormatName(sys.argv[2]))
log, tree = SimLog(), EMPTY
first = entry(0)

def body(at):
    return first.replace(b'"revision":0', b'"revision":%d' % at)

for begin in range(0, count, 500):
    tree, _ = tree.extend(leaf_hash(body(at)) for at in range(begin, begin + 500))
note = sign_checkpoint(Checkpoint(origin=log.origin, size=count, root=tree.root()), log.signer).encode()

def parts():
    yield LogBegun(log_id="east", start=0, end=count, checkpoint=note, left=())
    for begin in range(0, count, 500):
        yield Rows(rows=tuple(Row(at, leaf_hash(body(at)), body(at)) for at in range(begin, begin + 500)))
    yield LogEnded(log_id="east", right=())

with tempfile.TemporaryDirectory() as folder:
    file = Path(folder) / "export"
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    render(parts(), file, Order(format=form, export_id="e", filter={}, now=NOW))
    found = verify(file, Trust(keys=[log.signer.key]), now=NOW + timedelta(hours=1))
    assert found.logs[0].rows == count
    print((resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) // 1024, file.stat().st_size >> 20)
"""


@pytest.mark.parametrize(("form", "count"), [("jsonl", 200_000), ("csv", 20_000), ("parquet", 50_000), ("xlsx", 5_000)])
def test_memory_does_not_grow_with_the_export(form: str, count: int) -> None:
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, str(count), form], capture_output=True, text=True, check=False
    )

    assert done.returncode == 0, done.stderr
    grown_mb, file_mb = map(int, done.stdout.split())
    # Generous: pyarrow and openpyxl are loaded on the way.
    assert grown_mb < 160, (grown_mb, file_mb)
