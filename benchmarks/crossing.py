"""1,000 sealed intents on 1,024 ticks: from the closed batch to price and fills, masks ready.

Everything from the aggregated ciphertexts on, the four local keypers' decryption shares included.
They compute each share once between them, which on machines of their own they would do at the same
time. Every book is crossed with the cap check and, in the same run, without it; the shape check,
which comes before, is timed by itself. The plain twin crosses the same book; the ratio is the
overhead of encryption.
"""

import resource
import secrets
import statistics
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from benchmarks.committees import Bench, start
from benchmarks.machine import show_result
from crypto.bfv.encryption import encrypt_slots
from crypto.bfv.lanes import Lanes, LaneShape
from crypto.circuits.curves import CurveLayout
from crypto.circuits.minimum_fill_lanes import MinimumFillLayout
from crypto.circuits.packing import arranged
from crypto.circuits.price_lanes import PriceLayout, price_lanes
from crypto.circuits.rationing import RationLayout
from crypto.circuits.wellformed import WORDS, shape_words
from crypto.ring.params import STANDARD
from crypto.ring.ring import Words
from crypto.threshold.masks import DrawnMask
from darkpool.committee.masks import AttestedMask
from darkpool.committee.session import Session
from darkpool.crossing.clearing import Book, Cross, clear_uniform
from darkpool.crossing.comparison import TakeMask
from darkpool.crossing.encrypted import EncryptedCross, EncryptedCrossing, _Price
from darkpool.crossing.sealed_book import SealedBook
from darkpool.crossing.shape import ShapeCheck
from darkpool.units import Interval, Lots

INTENTS = 1000
TICKS = 1024
CAP = 100
RUNS = 3
WORDS_SHAPE = (INTENTS, WORDS, len(STANDARD.order_ring.data_primes), STANDARD.order_ring.degree)


@dataclass(frozen=True, slots=True)
class Run:
    """Seconds of one auction; `arrival` is what is done before close, for all intents."""

    masks_s: float
    arrival_s: float
    shape_s: float
    crossing_s: float
    without_caps_s: float
    with_minimum_fills_s: float
    twin_s: float


class WithoutCaps(EncryptedCrossing):
    """A crossing that believes every size: the difference is what the cap check costs."""

    def _price_group(self, members: list[int], books: Sequence[SealedBook]) -> dict[int, _Price]:
        layout = PriceLayout(self._parameters, self._ticks, (0,) * len(members))
        lanes = price_lanes(self._order, layout, [books[k].sized() for k in members])
        none = np.array([], dtype=np.int64)
        bits = self._compare("price lanes 0", lanes, layout.shape, none)
        prices = self._prices(0, layout, bits, self._crossing(0, layout, bits))
        return {members[i]: price for i, price in prices.items()}


def random_book(generator: np.random.Generator) -> Book:
    """Buyers a little above sellers, around the middle of the grid."""
    sides = generator.integers(0, 2, INTENTS)
    centre = TICKS / 2 + np.where(sides == 0, 10, -10)
    limits = np.clip(np.rint(generator.normal(centre, TICKS / 20)), 0, TICKS - 1)
    return Book(sides, generator.integers(1, 100, INTENTS), limits.astype(np.int64), TICKS)


def with_minima(book: Book, generator: np.random.Generator) -> Book:
    """The same orders, about a third of them with a minimum of up to their size."""
    minimum_fill = generator.integers(0, 3, INTENTS) == 0
    return replace(book, minimums=np.where(minimum_fill, generator.integers(1, book.sizes + 1), 0))


def _sealed(bench: Bench, book: Book) -> tuple[SealedBook, Words, float]:
    """Seal a book and do what is done on arrival; with the seconds of the latter."""
    sealed_book, words = SealedBook(bench.order), np.empty(WORDS_SHAPE, dtype=np.uint64)
    minimums = np.zeros(INTENTS, dtype=np.int64) if book.minimums is None else book.minimums
    arrival_s = 0.0
    columns = np.stack([book.sides, book.sizes, book.limits, minimums], axis=1).tolist()
    for index, order in enumerate(columns):
        vector = CurveLayout(STANDARD.order_ring, TICKS).vector(*order)
        sealed = encrypt_slots(bench.material.order_keys.public, vector, secrets.token_bytes(32))
        begin = time.perf_counter()
        words[index] = shape_words(bench.order, sealed)
        moved = arranged(bench.order, sealed, index)
        sealed_book.add(sealed, moved, Lots(CAP), minimum_fill=order[3] > 0)
        arrival_s += time.perf_counter() - begin
    return sealed_book, words, arrival_s


def _crossed(
    bench: Bench,
    interval: Interval,
    kind: type[EncryptedCrossing],
    sealed: SealedBook,
    book: Book,
    ranks: Lanes,
) -> tuple[float, float]:
    """Seconds of the masks and of a crossing, whose result is held against the twin's."""
    counts, minimum_fills = (
        (0 if kind is WithoutCaps else INTENTS,),
        (sealed.intents.has_minimum_fills,),
    )
    begin = time.perf_counter()
    shapes = [PriceLayout(STANDARD, TICKS, counts, minimum_fills).shape]
    shapes += [MinimumFillLayout(STANDARD, (INTENTS,)).shape] * sealed.intents.has_minimum_fills
    shapes.append(RationLayout(STANDARD, (INTENTS,), (0,)).shape)
    masks = [bench.committee.prepare_mask(shape) for shape in shapes]
    masks_s = time.perf_counter() - begin
    session, _ = bench.begin(interval)
    take = _taking(bench, session, masks)
    crossing = kind(
        STANDARD, bench.order, bench.comparison, session, take, TICKS, None, no_exclusion
    )
    begin = time.perf_counter()
    (crossed,) = crossing.cross([sealed], [ranks])
    seconds = time.perf_counter() - begin
    require_equal(crossed, clear_uniform(book, ranks), book)
    return masks_s, seconds


def auction(bench: Bench, interval: Interval, generator: np.random.Generator) -> Run:
    """Seal, gather and cross one random book, and hold the result against the twin's."""
    book = random_book(generator)
    sealed, words, arrival_s = _sealed(bench, book)
    ranks = generator.permutation(INTENTS)
    begin = time.perf_counter()
    clear_uniform(book, ranks)
    twin_s = time.perf_counter() - begin
    shape_s = _check_shapes(bench, interval, words)
    mixed = with_minima(book, generator)
    runs = (
        (EncryptedCrossing, sealed, book),
        (WithoutCaps, sealed, book),
        (EncryptedCrossing, _sealed(bench, mixed)[0], mixed),
    )
    times = [
        _crossed(bench, Interval(interval + number), *run, ranks)
        for number, run in enumerate(runs, start=1)
    ]
    masks_s, (crossing_s, without_s, minimum_fills_s) = times[0][0], [taken for _, taken in times]
    return Run(masks_s, arrival_s, shape_s, crossing_s, without_s, minimum_fills_s, twin_s)


def _check_shapes(bench: Bench, interval: Interval, words: Words) -> float:
    """Seconds from the final batch to the end of its shape check."""
    session, _ = bench.begin(interval)
    begin = time.perf_counter()
    rows = range(INTENTS)
    beacon = secrets.token_bytes(32)
    check = ShapeCheck(bench.order, session, TICKS, words, rows, [False] * INTENTS, beacon)
    if found := check.malformed(rows):
        raise RuntimeError(f"expected orders, got malformed intents {found}")
    return time.perf_counter() - begin


def _taking(bench: Bench, session: Session, masks: list[AttestedMask]) -> TakeMask:
    def take(shape: LaneShape) -> DrawnMask:
        mask = masks.pop(0)
        if mask.mask.draw.shape != shape:
            raise RuntimeError(f"expected a mask of {mask.mask.draw.shape}, got asked for {shape}")
        return bench.committee.consume_mask(mask, session.context)

    return take


def no_exclusion(above: dict[int, list[int]]) -> None:
    """Refuse: no order of a random book is above the cap."""
    raise RuntimeError(f"expected sizes within {CAP} lots, got {above} above")


def require_equal(crossed: EncryptedCross | None, twin: object, book: Book) -> None:
    """Check that the encrypted result is the twin's."""
    if not isinstance(twin, Cross) or crossed is None:
        raise RuntimeError(f"expected a cross, got {crossed} and {twin}")
    fills = np.where(book.sides == 0, crossed.bought, crossed.sold)
    same = (crossed.tick, crossed.volume, crossed.short_side) == (
        twin.tick,
        twin.volume,
        twin.short_side,
    )
    if not same or not np.array_equal(fills, twin.fills):
        raise RuntimeError(f"expected {twin}, got {crossed}")


def main() -> None:
    """Run auctions in one process, the first to warm up, and write the result."""
    generator = np.random.default_rng(1)
    runs = []
    with tempfile.TemporaryDirectory() as directory:
        bench = start(Path(directory))
        for number in range(RUNS + 1):
            run = auction(bench, Interval(4 * number + 1), generator)
            print(f"{'warm-up' if number == 0 else f'run {number}'}: {run}", flush=True)
            runs.append(run)
    measured = runs[1:]
    crossing_s = statistics.median(run.crossing_s for run in measured)
    without_s = statistics.median(run.without_caps_s for run in measured)
    minimum_fills_s = statistics.median(run.with_minimum_fills_s for run in measured)
    twin_s = statistics.median(run.twin_s for run in measured)
    figures = {
        "intents": INTENTS,
        "ticks": TICKS,
        "keypers": 4,
        "crossing_s": round(crossing_s, 3),
        "without_cap_check_s": round(without_s, 3),
        "cap_check_adds_percent": round(100 * (crossing_s / without_s - 1), 1),
        "with_minimum_fill_orders_s": round(minimum_fills_s, 3),
        "minimum_fill_orders_add_percent": round(100 * (minimum_fills_s / crossing_s - 1), 1),
        "shape_check_before_it_s": round(statistics.median(run.shape_s for run in measured), 3),
        "crossing_cold_s": round(runs[0].crossing_s, 3),
        "arrival_ms_an_intent": round(
            1e3 * statistics.median(run.arrival_s for run in measured) / INTENTS, 2
        ),
        "masks_off_line_s": round(statistics.median(run.masks_s for run in measured), 1),
        "twin_us": round(1e6 * twin_s, 1),
        "overhead_of_encryption": round(crossing_s / twin_s),
        "peak_memory_mib": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024,
    }
    show_result("crossing", figures)


if __name__ == "__main__":
    main()
