import signal
import sqlite3
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from crypto.bfv.ciphertext import Ciphertext
from crypto.ring.params import TEST_INSECURE_SMALL
from crypto.threshold.revealing import CoveredCiphertext, OpeningRequest
from darkpool.keyper import store as store_module
from darkpool.keyper.errors import Equivocation
from darkpool.keyper.store import KeyperStore
from darkpool.protocol.refusals import MaskUsed, OpeningRefused
from darkpool.units import Interval
from tests.support.interpreters import child

RING = TEST_INSECURE_SMALL.order_ring
DIGEST = b"\x07" * 32
CONTEXT, OTHER = b"\x01" * 32, b"\x02" * 32
ROOT = b"\x03" * 32


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "keyper.db"


@pytest.fixture
def store(path: Path) -> KeyperStore:
    return KeyperStore(path)


def request_of(sequence: int = 0, word: int = 1, **other: Any) -> OpeningRequest:
    """A request for a ciphertext that `word` tells from others."""
    words = np.full((2, 3, RING.degree), word, dtype=np.uint64)
    mask = other.pop("mask", (None, None))
    support = np.ones(RING.degree, dtype=np.bool_)
    covered = CoveredCiphertext(Ciphertext(RING, words), support, *mask)
    return replace(OpeningRequest(CONTEXT, 7, sequence, "bits", covered), **other)


def reopened(path: Path, store: KeyperStore) -> KeyperStore:
    store.close()
    return KeyperStore(path)


@pytest.mark.parametrize("restart", [False, True])
def test_one_batch_root_an_interval_for_ever(path: Path, store: KeyperStore, restart: bool) -> None:
    store.sign_batch_once(Interval(5), ROOT)
    if restart:
        store = reopened(path, store)
    store.sign_batch_once(Interval(5), ROOT)
    with pytest.raises(Equivocation) as caught:
        store.sign_batch_once(Interval(5), b"\x04" * 32)
    assert (caught.value.interval, caught.value.expected) == (5, ROOT)
    assert store.signed_batch(Interval(5)) == ROOT
    assert store.signed_batch(Interval(6)) is None
    store.sign_batch_once(Interval(6), b"\x04" * 32)


@pytest.mark.parametrize("restart", [False, True])
def test_one_settlement_an_interval_for_ever(path: Path, store: KeyperStore, restart: bool) -> None:
    store.sign_settlement_once(Interval(5), ROOT, b"leaves")
    if restart:
        store = reopened(path, store)
    store.sign_settlement_once(Interval(5), ROOT, b"leaves")
    with pytest.raises(Equivocation) as caught:
        store.sign_settlement_once(Interval(5), b"\x04" * 32, b"others")
    assert (caught.value.interval, caught.value.expected) == (5, ROOT)
    assert store.leaves(Interval(5)) == b"leaves"
    assert store.leaves(Interval(6)) is None
    store.sign_settlement_once(Interval(6), b"\x04" * 32, b"")
    assert store.leaves(Interval(6)) == b""


def test_a_mask_number_is_issued_once_and_consumed_once(path: Path, store: KeyperStore) -> None:
    assert store.next_mask(7) == 0
    store.issue_mask(7, 3)
    assert store.next_mask(7) == 4
    with pytest.raises(MaskUsed):
        store.issue_mask(7, 3)
    with pytest.raises(MaskUsed):
        store.consume_mask(7, 2, CONTEXT)
    with pytest.raises(MaskUsed):
        store.require_mask(7, 3, 0, CONTEXT)
    store.require_preparation(7, 3)
    with pytest.raises(MaskUsed):
        store.consume_mask(7, 3, CONTEXT)
    store.finish_mask(7, 3, DIGEST, 2)
    store.finish_mask(7, 3, DIGEST, 2)
    with pytest.raises(MaskUsed):
        store.finish_mask(7, 3, OTHER, 2)
    with pytest.raises(MaskUsed):
        store.require_preparation(7, 3)
    store.consume_mask(7, 3, CONTEXT)
    for _ in range(2):
        with pytest.raises(MaskUsed):
            store.finish_mask(7, 3, DIGEST, 2)
        for context in (CONTEXT, OTHER):
            with pytest.raises(MaskUsed):
                store.consume_mask(7, 3, context)
        store.require_mask(7, 3, 1, CONTEXT)
        for part, context in ((0, OTHER), (2, CONTEXT), (-1, CONTEXT), (None, CONTEXT)):
            with pytest.raises(MaskUsed):
                store.require_mask(7, 3, part, context)
        with pytest.raises(MaskUsed):
            store.issue_mask(7, 3)
        store = reopened(path, store)


def test_epochs_count_their_masks_apart(store: KeyperStore) -> None:
    store.issue_mask(7, 0)
    store.issue_mask(8, 0)
    store.finish_mask(7, 0, DIGEST, 1)
    store.consume_mask(7, 0, CONTEXT)
    store.require_preparation(8, 0)
    assert (store.next_mask(7), store.next_mask(9)) == (1, 0)
    with pytest.raises(MaskUsed):
        store.require_preparation(9, 0)


@pytest.mark.parametrize("restart", [False, True])
def test_an_opening_has_one_ciphertext_and_one_purpose(
    path: Path, store: KeyperStore, restart: bool
) -> None:
    store.log_opening(request_of())
    if restart:
        store = reopened(path, store)
    store.log_opening(request_of())
    store.require_opening(request_of())
    assert store.openings(7) == 1
    for other in (request_of(word=2), request_of(purpose="other bits")):
        with pytest.raises(OpeningRefused):
            store.log_opening(other)
        with pytest.raises(OpeningRefused):
            store.require_opening(other)
    assert store.openings(7) == 1


def test_openings_come_in_sequence(store: KeyperStore) -> None:
    with pytest.raises(OpeningRefused):
        store.log_opening(request_of(1))
    for sequence in range(3):
        store.log_opening(request_of(sequence, word=sequence))
    for sequence in (4, -1, 2**40):
        with pytest.raises(OpeningRefused):
            store.log_opening(request_of(sequence, word=9))
    store.log_opening(request_of(0, word=9, context=OTHER))
    assert store.openings(7) == 4


def test_nothing_is_required_that_was_not_written_down(store: KeyperStore) -> None:
    with pytest.raises(OpeningRefused):
        store.require_opening(request_of())
    store.log_opening(request_of())
    for other in (request_of(1), request_of(context=OTHER)):
        with pytest.raises(OpeningRefused):
            store.require_opening(other)


@pytest.mark.parametrize("restart", [False, True])
def test_a_part_of_a_mask_covers_one_ciphertext(
    path: Path, store: KeyperStore, restart: bool
) -> None:
    """y1 - y2 under one mask is the difference of two secrets."""
    store.log_opening(request_of(0, mask=(4, 0)))
    store.log_opening(request_of(1, word=2, mask=(4, 1)))
    if restart:
        store = reopened(path, store)
    for context, sequence in ((CONTEXT, 2), (OTHER, 0)):
        for part in (0, 1):
            with pytest.raises(MaskUsed):
                store.log_opening(request_of(sequence, word=3, mask=(4, part), context=context))
    store.log_opening(request_of(2, word=3, mask=(5, 0)))
    store.log_opening(request_of(0, word=3, mask=(4, 0), context=OTHER, epoch=8))


def test_openings_of_an_epoch_are_limited(
    store: KeyperStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(store_module, "KEY_EPOCH_OPENINGS_MAX", 3)
    for sequence in range(3):
        store.log_opening(request_of(sequence, word=sequence))
    for context, sequence in ((CONTEXT, 3), (OTHER, 0)):
        with pytest.raises(OpeningRefused):
            store.log_opening(request_of(sequence, word=9, context=context))
    # What was answered may be asked for again, and another epoch has its own count.
    store.log_opening(request_of(2, word=2))
    store.log_opening(request_of(0, context=OTHER, epoch=8))


def test_a_failed_write_leaves_no_trace(path: Path, store: KeyperStore) -> None:
    store.issue_mask(7, 1)
    with pytest.raises(MaskUsed):
        store.issue_mask(7, 1)
    with pytest.raises(OpeningRefused):
        store.log_opening(request_of(5))
    store.finish_mask(7, 1, DIGEST, 1)
    store.consume_mask(7, 1, CONTEXT)
    with sqlite3.connect(path) as other:
        assert other.execute("SELECT epoch, number, context FROM masks").fetchall() == [
            (7, 1, CONTEXT)
        ]
        assert other.execute("SELECT COUNT(*) FROM openings").fetchone() == (0,)


ISSUE_THEN_DIE = """
import os, signal, sys
from pathlib import Path
from darkpool.keyper.store import KeyperStore
store = KeyperStore(Path(sys.argv[1]))
number = store.next_mask(7)
store.issue_mask(7, number)
if sys.argv[2] == "consumed":
    store.finish_mask(7, number, b"\\x07" * 32, 1)
    store.consume_mask(7, number, b"\\x01" * 32)
print(number, flush=True)
os.kill(os.getpid(), signal.SIGKILL)
"""


@pytest.mark.parametrize("stage", ["issued", "consumed"])
def test_a_killed_keyper_never_issues_or_consumes_a_number_again(path: Path, stage: str) -> None:
    numbers = []
    for _ in range(3):
        process = child(ISSUE_THEN_DIE, str(path), stage)
        output, _ = process.communicate(timeout=120)
        assert process.returncode == -signal.SIGKILL
        numbers.append(int(output))
    assert numbers == [0, 1, 2]
    store = KeyperStore(path)
    assert store.next_mask(7) == 3
    for number in numbers:
        with pytest.raises(MaskUsed):
            store.issue_mask(7, number)
        if stage == "issued":
            store.finish_mask(7, number, DIGEST, 1)
            store.consume_mask(7, number, OTHER)
        else:
            store.require_mask(7, number, 0, CONTEXT)
        with pytest.raises(MaskUsed):
            store.consume_mask(7, number, OTHER)


RACE = """
import sys
from pathlib import Path
from darkpool.keyper.store import KeyperStore, MaskUsed
store = KeyperStore(Path(sys.argv[1]))
name, consumed, issued = sys.argv[2].encode() * 32, [], []
print("ready", flush=True)
sys.stdin.readline()
for number in range(40):
    try:
        store.consume_mask(7, number, name)
        consumed.append(number)
    except MaskUsed:
        pass
while len(issued) < 40:
    number = store.next_mask(7)
    try:
        store.issue_mask(7, number)
        issued.append(number)
    except MaskUsed:
        pass
print(*consumed, "|", *issued, flush=True)
"""


def test_two_processes_never_get_the_same_number(path: Path, store: KeyperStore) -> None:
    for number in range(40):
        store.issue_mask(7, number)
        store.finish_mask(7, number, DIGEST, 1)
    processes = [child(RACE, str(path), name) for name in ("a", "b")]
    for process in processes:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
    for process in processes:
        assert process.stdin is not None
        process.stdin.write("go\n")
        process.stdin.flush()
    consumed, issued = [], []
    for process in processes:
        output, _ = process.communicate(timeout=120)
        assert process.returncode == 0
        first, second = (list(map(int, part.split())) for part in output.split("|"))
        consumed += first
        issued += second
    assert sorted(consumed) == list(range(40))
    assert sorted(issued) == list(range(40, 120))


def test_a_store_opens_while_another_process_starts_too(tmp_path: Path) -> None:
    code = """
import sys
from pathlib import Path
from darkpool.keyper.store import KeyperStore
sys.stdin.readline()
for k in range(20):
    KeyperStore(Path(sys.argv[1]) / f"{k}.db").issue_mask(7, int(sys.argv[2]))
"""
    processes = [child(code, str(tmp_path), str(number)) for number in range(3)]
    for process in processes:
        process.communicate("go\n", timeout=120)
        assert process.returncode == 0
    for k in range(20):
        assert KeyperStore(tmp_path / f"{k}.db").next_mask(7) == 3
