"""Workers hold key shares, so they end with whoever started them."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

PARENT = """
import secrets, sys, time
from multiprocessing import active_children
from pathlib import Path
from crypto.signing.eip712 import Domain
from crypto.threshold.keys import deal
from crypto.bfv.lanes import LaneShape
from crypto.ring.params import TEST_INSECURE_SMALL
from crypto.threshold.replicated import Committee
from darkpool.simulation.committee import CommitteeSeat
from darkpool.keyper.identity import KeyperIdentity
from darkpool.simulation.committee import view_of
from darkpool.simulation.mask_factory import MaskFactory

if __name__ == "__main__":
    folder = Path(sys.argv[1])
    material, held = deal(TEST_INSECURE_SMALL, Committee(4, 0))
    seats = [
        CommitteeSeat(
            KeyperIdentity(own, secrets.token_bytes(32)), folder / f"{own.keyper}.sqlite"
        )
        for own in held
    ]
    masks = MaskFactory(view_of(material, Domain(1, bytes(20)), seats), seats, 1)
    shape = LaneShape(TEST_INSECURE_SMALL, 128)
    masks.order(shape)
    masks.take(shape)
    print(*(child.pid for child in active_children()), flush=True)
    time.sleep(600)
"""


def alive(process: int) -> bool:
    try:
        state = Path(f"/proc/{process}/stat").read_text(encoding="utf-8").rpartition(")")[2]
    except (FileNotFoundError, ProcessLookupError):
        return False
    return state.split()[0] != "Z"


def test_workers_end_with_a_killed_parent(tmp_path: Path) -> None:
    script = tmp_path / "parent.py"
    script.write_text(PARENT, encoding="utf-8")
    with subprocess.Popen(  # noqa: S603  # its own script, its own interpreter
        [sys.executable, str(script), str(tmp_path)],
        stdout=subprocess.PIPE,
        text=True,
        env=os.environ | {"PYTHONPATH": str(Path(__file__).parents[2])},
    ) as parent:
        assert parent.stdout is not None
        workers = [int(number) for number in parent.stdout.readline().split()]
        assert workers
        assert all(map(alive, workers))
        parent.send_signal(signal.SIGKILL)
    give_up = time.monotonic() + 60
    while any(map(alive, workers)) and time.monotonic() < give_up:
        time.sleep(0.1)
    assert not any(map(alive, workers))
