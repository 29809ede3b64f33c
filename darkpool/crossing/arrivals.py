"""What is computed of an intent as it arrives, in worker processes, long before the auction closes.

SEAL holds Python's global lock, so workers are processes. They write their results into files that
all of them map: an intent's result is a row of its own, so that whatever a worker that died has
left half-written is written again from the start by the next one.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from concurrent.futures import BrokenExecutor, Future, ProcessPoolExecutor
from dataclasses import dataclass
from mmap import MADV_DONTNEED, mmap
from multiprocessing import get_context
from pathlib import Path
from typing import Final, Self, cast

import numpy as np

from crypto.bfv.ciphertext import Ciphertext
from crypto.bfv.seal import EvaluationKeys, Evaluator
from crypto.circuits.packing import arranged
from crypto.circuits.wellformed import WORDS, sealed_in, shape_words
from crypto.ring.params import RingParameters
from crypto.ring.ring import Words
from crypto.threshold.keys import RingKeys
from darkpool.crossing.errors import WorkersKeepDying
from darkpool.durable import writing
from darkpool.errors import OutOfBounds
from darkpool.workers import end_with_parent

RESTARTS_MAX: Final = 3
"""Times in a row that workers may die over the same intents."""

_RELINEARISATION: Final = "relinearisation"
_GALOIS: Final = "galois"


@dataclass(frozen=True, slots=True)
class ArrivalFiles:
    """Rows of results, one an intent, mapped from two sparse files.

    `shape` rows are `crypto.circuits.wellformed.shape_words`, `packing` rows
    `crypto.circuits.packing.arranged`.
    """

    folder: Path
    ring: RingParameters
    capacity: int

    def shape(self) -> Words:
        """All rows, shape (capacity, WORDS, level, degree)."""
        return self._mapped("shape", WORDS)

    def packing(self) -> Words:
        """All rows, shape (capacity, 2, level, degree)."""
        return self._mapped("packing", 2)

    def allocate(self, place: int) -> None:
        """Have the disk set a row's space aside.

        A mapped file without it ends the process that writes there: the system cannot tell.

        Raises:
            UnwritableFolder: the disk is full.
        """
        for name, polynomials in (("shape", WORDS), ("packing", 2)):
            words = polynomials * len(self.ring.data_primes) * self.ring.degree
            size = words * np.dtype(np.uint64).itemsize
            with writing(self.folder), (self.folder / name).open("r+b") as file:
                os.posix_fallocate(file.fileno(), place * size, size)

    def _mapped(self, name: str, polynomials: int) -> Words:
        path = self.folder / name
        path.touch()
        rows = (self.capacity, polynomials, len(self.ring.data_primes), self.ring.degree)
        return np.memmap(path, dtype=np.uint64, mode="r+", shape=rows)


@dataclass(frozen=True, slots=True)
class KeyFiles:
    """Evaluation keys in files, for workers: what is sent to one that starts has to fit a pipe.

    A process that writes more into a pipe waits for ever, where the worker at the other end dies
    before it has read. `elements` are the Galois elements of the keys.
    """

    folder: Path
    ring: RingParameters
    elements: tuple[int, ...]

    @classmethod
    def of(cls, keys: RingKeys, folder: Path) -> Self:
        """Keep keys in a folder."""
        (folder / _RELINEARISATION).write_bytes(keys.relinearisation)
        (folder / _GALOIS).write_bytes(keys.galois)
        return cls(folder, keys.public.ring, keys.elements)

    def load(self) -> EvaluationKeys:
        """The keys, loaded into SEAL."""
        relinearisation = (self.folder / _RELINEARISATION).read_bytes()
        galois = (self.folder / _GALOIS).read_bytes()
        return EvaluationKeys(self.ring, relinearisation, galois, self.elements)


def unload(rows: Words) -> None:
    """Keep nothing of mapped rows in this process's memory; their file has them."""
    cast("mmap", rows.base).madvise(MADV_DONTNEED)


@dataclass(frozen=True, slots=True)
class _Tools:
    evaluator: Evaluator
    shape: Words
    packing: Words


_tools: _Tools | None = None


def _start(keys: KeyFiles, files: ArrivalFiles) -> None:
    global _tools
    end_with_parent()
    evaluator = Evaluator(keys.load())
    _tools = _Tools(evaluator, files.shape(), files.packing())


def _compute(place: int, index: int) -> None:
    if _tools is None:
        raise RuntimeError("expected a started worker, got none")
    ciphertext = sealed_in(_tools.evaluator.ring, _tools.shape[place])
    _tools.packing[place] = arranged(_tools.evaluator, ciphertext, index)
    _tools.shape[place] = shape_words(_tools.evaluator, ciphertext)


def _ready() -> None:
    return


class Arrivals:
    """Hands intents to workers and gives their results back in the order in which they came.

    Use as a context manager: leaving it ends the workers. `keys` are those of the order ring.

    Raises:
        UnwritableFolder: the system refuses to make the folder, or files in it.
    """

    def __init__(self, keys: RingKeys, folder: Path, capacity: int, workers: int) -> None:
        self._workers = workers
        self._files = ArrivalFiles(folder, keys.public.ring, capacity)
        with writing(folder):
            folder.mkdir()
            self._keys = KeyFiles.of(keys, folder)
            self.shape = self._files.shape()
            self.packing = self._files.packing()
        self._executor = self._started()
        self._running: dict[int, tuple[int, Future[None]]] = {}
        self._used = 0
        self._free: list[int] = []

    def start(self) -> None:
        """Start the workers now instead of with the first intent."""
        self._executor.submit(_ready)

    def submit(self, ciphertext: Ciphertext, index: int) -> int:
        """Start on the next intent, number `index` of its instrument; returns its row.

        Raises:
            OutOfBounds: more intents at once than there are rows.
            UnwritableFolder: the disk is full.
        """
        if not self._free and self._used >= self._files.capacity:
            capacity = self._files.capacity
            raise OutOfBounds("intents of an interval at once", 0, capacity, capacity + 1)
        place = self._free.pop() if self._free else self._used
        if place == self._used:
            self._files.allocate(place)
        self._used = max(self._used, place + 1)
        self.shape[place, WORDS - 2 :] = ciphertext.words
        self._running[place] = (index, self._handed(place, index))
        return place

    def finished(self, *, wait: bool) -> Iterator[int]:
        """Rows that are done, in order, each once; with `wait` all that were submitted.

        Raises:
            WorkersKeepDying: see there.
        """
        deaths = 0
        while self._running:
            place = next(iter(self._running))
            _, future = self._running[place]
            if not wait and not future.done():
                return
            try:
                future.result()
            except BrokenExecutor:
                deaths += 1
                if deaths > RESTARTS_MAX:
                    raise WorkersKeepDying(len(self._running), RESTARTS_MAX) from None
                self._restart()
                continue
            deaths = 0
            del self._running[place]
            yield place

    def release(self, place: int) -> None:
        """Give back the row of an intent that is done and no longer wanted."""
        self._free.append(place)

    def unload(self) -> None:
        """Keep no row in this process's memory until it is read again."""
        unload(self.shape)
        unload(self.packing)

    def ciphertext(self, place: int) -> Ciphertext:
        """The intent of a row."""
        return sealed_in(self._files.ring, self.shape[place])

    def _restart(self) -> None:
        """Start afresh on everything that is not finished."""
        self._executor.shutdown(wait=True, cancel_futures=True)
        self._executor = self._started()
        for place, (index, _) in self._running.items():
            self._running[place] = (index, self._handed(place, index))

    def _handed(self, place: int, index: int) -> Future[None]:
        """What a worker will have done; it failed already where all workers are dead.

        A pool whose workers die while another is being started has closed the pipes that this one
        was to inherit: spawning it then fails with OSError or ValueError.
        """
        try:
            return self._executor.submit(_compute, place, index)
        except (BrokenExecutor, OSError, ValueError) as error:
            dead: Future[None] = Future()
            dead.set_exception(BrokenExecutor(str(error)))
            return dead

    def _started(self) -> ProcessPoolExecutor:
        return ProcessPoolExecutor(
            self._workers, get_context("spawn"), _start, (self._keys, self._files)
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_exception: object) -> None:
        self._executor.shutdown(wait=True, cancel_futures=True)
