"""1,000 sealed intents on 1,024 ticks: from the closed batch to price and fills, masks ready.

Everything from the aggregated ciphertexts on, the four local keypers' decryption shares included.
They compute each share once between them, which on machines of their own they would do at the same
time. The comparison that finds the price is made once more with and without cap lanes; the
difference is what the cap check costs. A book whose price is at the reference, or next above it,
needs one product of bits more, which is timed by itself. The shape check, which comes before, is
timed by itself. The plain twin crosses the same book; the ratio is the overhead of encryption.
Memory holds one book at a time, with all that is computed of it on arrival, and its masks.
"""

import secrets
import statistics
import tempfile
import time
from dataclasses import dataclass, fields, replace
from pathlib import Path

import numpy as np

from benchmarks.committees import Bench, start
from benchmarks.machine import Arguments, argument_parser, peak_memory_mib
from crypto.bfv.encryption import encrypt_slots
from crypto.bfv.lanes import Lanes, LaneShape
from crypto.circuits.comparison import BITS_LEVEL, Comparator
from crypto.circuits.curves import CurveLayout
from crypto.circuits.minimum_fill_lanes import MinimumFillLayout
from crypto.circuits.packing import arranged
from crypto.circuits.price_lanes import PriceLayout, price_lanes, reference_tie_bits
from crypto.circuits.rationing import RationLayout
from crypto.circuits.wellformed import shape_words
from crypto.ring.params import STANDARD
from crypto.ring.ring import Words
from crypto.threshold.masks import DrawnMask
from crypto.threshold.revealing import masked, selected
from darkpool.committee.masks import AttestedMask
from darkpool.committee.session import Session
from darkpool.crossing.arrivals import ArrivalFiles, unload
from darkpool.crossing.clearing import Book, Cross, clear_uniform
from darkpool.crossing.crossing_book import EncryptedCross
from darkpool.crossing.encrypted import EncryptedCrossing
from darkpool.crossing.lane_comparison import LaneComparison, TakeMask
from darkpool.crossing.prices import PriceRule
from darkpool.crossing.sealed_book import SealedBook
from darkpool.crossing.shape import ShapeCheck, ShapeRows
from darkpool.units import Interval, Lots, Tick

INTENTS = 1000
TICKS = 1024
CAP = 100
RUNS = 3
RULE = PriceRule(TICKS, Tick(TICKS // 2), fixed=False)


@dataclass(frozen=True, slots=True)
class Run:
    """Seconds of one auction; `arrival` is what is done before close, for all intents."""

    masks_s: float
    arrival_s: float
    shape_s: float
    crossing_s: float
    cap_check_s: float
    tie_above_reference_s: float
    with_minimum_fills_s: float
    twin_s: float


@dataclass(frozen=True, slots=True)
class Sealed:
    """A book with what is computed on arrival: see `ArrivalFiles`."""

    book: Book
    intents: SealedBook
    shape: Words
    packing: Words
    arrival_s: float

    def unload(self) -> None:
        """Do what the venue does when a batch is closed, and when its shapes are checked."""
        unload(self.shape)
        unload(self.packing)


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


def minimums_of(book: Book) -> Lanes:
    """Minimum of each order, 0 for plain ones."""
    return np.zeros(INTENTS, dtype=np.int64) if book.minimums is None else book.minimums


def sealed(bench: Bench, files: ArrivalFiles, book: Book) -> Sealed:
    """Seal a book and do what is done on arrival."""
    intents, shape, packing = SealedBook(bench.evaluators.order), files.shape(), files.packing()
    arrival_s = 0.0
    columns = [book.sides, book.sizes, book.limits, minimums_of(book)]
    for index, order in enumerate(np.stack(columns, axis=1).tolist()):
        vector = CurveLayout(STANDARD.order_ring, TICKS).vector(*order)
        ciphertext = encrypt_slots(
            bench.material.order_keys.public, vector, secrets.token_bytes(32)
        )
        begin = time.perf_counter()
        shape[index] = shape_words(bench.evaluators.order, ciphertext)
        packing[index] = arranged(bench.evaluators.order, ciphertext, index)
        intents.add(ciphertext, packing[index], Lots(CAP), minimum_fill=order[3] > 0)
        arrival_s += time.perf_counter() - begin
        unload(shape)  # in a venue it is a worker that writes the row
    arrived = Sealed(book, intents, shape, packing, arrival_s)
    arrived.unload()
    return arrived


def prepared(bench: Bench, minimum_fills: bool) -> list[AttestedMask]:
    """The masks of a crossing, in the order of their use."""
    shapes = [PriceLayout(STANDARD, TICKS, RULE.reference, (INTENTS,), (minimum_fills,)).shape]
    shapes += [MinimumFillLayout(STANDARD, (INTENTS,)).shape] * minimum_fills
    shapes.append(RationLayout(STANDARD, (INTENTS,), (0,)).shape)
    return [bench.committee.prepare_mask(shape) for shape in shapes]


def crossed(
    bench: Bench, session: Session, arrived: Sealed, ranks: Lanes, masks: list[AttestedMask]
) -> float:
    """Seconds of a crossing, whose result is held against the twin's."""
    take = _taking(bench, session, masks)
    comparison = LaneComparison(STANDARD, bench.evaluators, session, take)
    crossing = EncryptedCrossing.of(comparison, RULE, no_exclusion)
    begin = time.perf_counter()
    (cross,) = crossing.cross([arrived.intents], [ranks])
    seconds = time.perf_counter() - begin
    require_equal(cross, clear_uniform(arrived.book, RULE.reference, ranks), arrived.book)
    return seconds


def price_bits(
    bench: Bench, session: Session, intents: SealedBook, counts: tuple[int, ...]
) -> tuple[float, float]:
    """Seconds to the bits that prices follow from, and of the tie bit above the reference.

    `counts` are the intents with cap lanes.
    """
    layout = PriceLayout(STANDARD, TICKS, RULE.reference, counts)
    attested = bench.committee.prepare_mask(layout.shape)
    mask = bench.committee.consume_mask(attested, session.context)
    bounded = np.zeros(layout.shape.lanes, dtype=np.bool_)
    bounded[layout.cap_lanes(0).reshape(-1)] = True
    begin = time.perf_counter()
    lanes = price_lanes(bench.evaluators.order, layout, [intents.sized()])
    opened = [
        session.open(f"price lanes {part}", masked(bench.evaluators.order, lane, mask, part))
        for part, lane in enumerate(lanes)
    ]
    values = layout.shape.from_order(np.stack(opened))
    bits = Comparator(bench.evaluators.comparison).compare(mask, values, bounded)
    if bounded.any():
        keep = layout.shape.first_block(bounded.astype(np.int64)) == 1
        session.open("cap bits", selected(bench.evaluators.comparison, bits, keep, BITS_LEVEL))
    middle = time.perf_counter()
    reference_tie_bits(bench.evaluators.comparison, layout, bits)
    return middle - begin, time.perf_counter() - middle


def check_shapes(bench: Bench, session: Session, arrived: Sealed) -> float:
    """Seconds from the final batch to the end of its shape check."""
    begin = time.perf_counter()
    rows, beacon = range(INTENTS), secrets.token_bytes(32)
    minimum_fills = [order > 0 for order in minimums_of(arrived.book).tolist()]
    batch = ShapeRows(arrived.shape, rows, minimum_fills)
    check = ShapeCheck(bench.evaluators.order, session, TICKS, batch, beacon)
    if found := check.malformed(rows):
        raise RuntimeError(f"expected orders, got malformed intents {found}")
    arrived.unload()
    return time.perf_counter() - begin


def auction(
    bench: Bench, files: ArrivalFiles, interval: Interval, generator: np.random.Generator
) -> Run:
    """Seal, gather and cross one random book, and hold the result against the twin's.

    The same orders, a third of them with minima, are crossed in the interval after it.
    """
    book = random_book(generator)
    ranks = generator.permutation(INTENTS)
    begin = time.perf_counter()
    clear_uniform(book, RULE.reference, ranks)
    twin_s = time.perf_counter() - begin
    begin = time.perf_counter()
    masks = prepared(bench, minimum_fills=False)
    masks_s = time.perf_counter() - begin
    session, arrived = bench.begin(interval), sealed(bench, files, book)
    arrival_s, shape_s = arrived.arrival_s, check_shapes(bench, session, arrived)
    crossing_s = crossed(bench, session, arrived, ranks, masks)
    with_caps_s, tie_s = price_bits(bench, session, arrived.intents, (INTENTS,))
    caps_s = with_caps_s - price_bits(bench, session, arrived.intents, (0,))[0]
    del arrived
    masks, mixed = prepared(bench, minimum_fills=True), with_minima(book, generator)
    session, arrived = bench.begin(Interval(interval + 1)), sealed(bench, files, mixed)
    check_shapes(bench, session, arrived)
    minimum_fills_s = crossed(bench, session, arrived, ranks, masks)
    return Run(masks_s, arrival_s, shape_s, crossing_s, caps_s, tie_s, minimum_fills_s, twin_s)


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
    arguments = argument_parser(__doc__).parse_args(namespace=Arguments())
    generator = np.random.default_rng(1)
    runs = []
    with tempfile.TemporaryDirectory() as directory:
        bench = start(Path(directory))
        files = ArrivalFiles(Path(directory), STANDARD.order_ring, INTENTS)
        for number in range(RUNS + 1):
            run = auction(bench, files, Interval(2 * number + 1), generator)
            print(f"{'warm-up' if number == 0 else f'run {number}'}: {run}", flush=True)
            runs.append(run)
    samples: dict[str, list[float]] = {
        field.name: [getattr(run, field.name) for run in runs[1:]] for field in fields(Run)
    }
    median = {name: statistics.median(taken) for name, taken in samples.items()}
    crossing_s, caps_s = median["crossing_s"], median["cap_check_s"]
    figures = {
        "intents": INTENTS,
        "ticks": TICKS,
        "keypers": 4,
        "crossing_s": round(crossing_s, 3),
        "cap_check_s": round(caps_s, 3),
        "cap_check_adds_percent": round(100 * caps_s / (crossing_s - caps_s), 1),
        "tie_above_reference_adds_percent": round(
            100 * median["tie_above_reference_s"] / crossing_s, 1
        ),
        "with_minimum_fill_orders_s": round(median["with_minimum_fills_s"], 3),
        "minimum_fill_orders_add_percent": round(
            100 * (median["with_minimum_fills_s"] / crossing_s - 1), 1
        ),
        "shape_check_before_it_s": round(median["shape_s"], 3),
        "crossing_cold_s": round(runs[0].crossing_s, 3),
        "arrival_ms_an_intent": round(1e3 * median["arrival_s"] / INTENTS, 2),
        "masks_off_line_s": round(median["masks_s"], 1),
        "twin_us": round(1e6 * median["twin_s"], 1),
        "overhead_of_encryption": round(crossing_s / median["twin_s"]),
        "peak_memory_mib": peak_memory_mib(),
    }
    arguments.write("crossing", figures, samples)


if __name__ == "__main__":
    main()
