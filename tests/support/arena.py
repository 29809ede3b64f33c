"""Whole encrypted crossings on the small rings, by real keypers, with everything opened kept."""

import secrets
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pytest

from crypto.bfv.ciphertext import Ciphertext
from crypto.bfv.encryption import encrypt_slots
from crypto.bfv.lanes import LaneShape
from crypto.circuits.curves import CurveLayout
from crypto.circuits.packing import arranged
from crypto.threshold.masks import DrawnMask
from crypto.threshold.revealing import Revealed
from darkpool.committee.masks import AttestedMask
from darkpool.crossing.clearing import Book, NoCross, clear_reference, clear_uniform
from darkpool.crossing.crossing_book import EncryptedCross
from darkpool.crossing.encrypted import EncryptedCrossing
from darkpool.crossing.lane_comparison import LaneComparison
from darkpool.crossing.minimum_fill import MinimumFillStep
from darkpool.crossing.prices import Exclude, PriceRule, PriceStep
from darkpool.crossing.rationing import RationStep
from darkpool.crossing.sealed_book import SealedBook
from darkpool.units import Lots, Side, Tick
from tests.support.house import House, HouseCommittee, built
from tests.support.one_process import recycled

Lanes = npt.NDArray[np.int64]
Row = tuple[int, int, int] | tuple[int, int, int, int]
"""Side, size, limit, and the minimum of a minimum-fill order; 0 or none for a plain one."""

Above = dict[int, list[int]]
"""Numbers of intents above their caps, by book."""


def within_caps(above: Above) -> None:
    """What a test that does not speak of caps wants to be told: nothing."""
    pytest.fail(f"expected all sizes within their caps, got {above}")


def own_caps(rows: Sequence[Row]) -> list[int]:
    """Caps that leave no room: each its order's own size, and one lot for cover."""
    return [max(1, size) for _, size, *_ in rows]


def minimum_of(row: Row) -> int:
    return row[3] if len(row) == 4 else 0


@dataclass(frozen=True)
class Steps:
    """What a crossing is made of; a test may put something else in the place of a step."""

    comparison: type[LaneComparison] = LaneComparison
    prices: type[PriceStep] = PriceStep
    rations: type[RationStep] = RationStep

    def crossing(
        self, comparison: LaneComparison, rule: PriceRule, exclude: Exclude
    ) -> EncryptedCrossing:
        return EncryptedCrossing(
            comparison,
            self.prices(comparison, rule, exclude),
            MinimumFillStep(comparison),
            self.rations(comparison),
        )


STEPS = Steps()


def rule_of(ticks: int, reference: int | None, near: int | None = None) -> PriceRule:
    """A fixed price, or else the uniform price nearest to a tick, the middle one unless given."""
    if reference is not None:
        return PriceRule(ticks, Tick(reference), fixed=True)
    return PriceRule(ticks, Tick(ticks // 2 if near is None else near), fixed=False)


@dataclass(repr=False)
class Arena:
    """Runs crossings; every one has an interval, and mask numbers, of its own."""

    house: House
    committee: HouseCommittee

    def fresh(self, shape: LaneShape) -> AttestedMask:
        return self.committee.prepare_mask(shape)

    def recycled(self, shape: LaneShape) -> AttestedMask:
        return recycled(self.committee, shape)

    def distinct(self) -> Callable[[LaneShape], AttestedMask]:
        """Gives masks that are all different, and the same ones again when asked anew."""
        given: Counter[int] = Counter()

        def mask(shape: LaneShape) -> AttestedMask:
            given[shape.lanes] += 1
            return recycled(self.committee, shape, given[shape.lanes])

        return mask

    def ciphertexts(self, rows: Sequence[Row], ticks: int) -> list[Ciphertext]:
        """Seal orders; a size is taken mod t, and need not be one that an order can have."""
        ring, key = self.house.parameters.order_ring, self.house.material.order_keys.public
        out = []
        for row in rows:
            side, size, limit, *_ = row
            vector = CurveLayout(ring, ticks).vector(side, 1, limit) * size % ring.plain_modulus
            if minimum_of(row):
                layout = CurveLayout(ring, ticks)
                vector[layout.minimum] = (minimum_of(row) - 1) % ring.plain_modulus
            out.append(encrypt_slots(key, vector, secrets.token_bytes(32)))
        return out

    def sealed(
        self, ciphertexts: Sequence[Ciphertext], caps: Sequence[int], rows: Sequence[Row]
    ) -> SealedBook:
        book = SealedBook(self.house.evaluators.order)
        for index, (ciphertext, cap) in enumerate(zip(ciphertexts, caps, strict=True)):
            words = arranged(self.house.evaluators.order, ciphertext, index)
            book.add(ciphertext, words, Lots(cap), minimum_fill=minimum_of(rows[index]) > 0)
        return book

    def cross(
        self,
        books: Sequence[Sequence[Row]],
        ticks: int,
        ranks: Sequence[Lanes],
        reference: int | None = None,
        opened: list[Revealed] | None = None,
        mask: Callable[[LaneShape], AttestedMask] | None = None,
        steps: Steps = STEPS,
        caps: Sequence[Sequence[int]] | None = None,
        told: Callable[[Above], None] = within_caps,
        near: int | None = None,
    ) -> tuple[EncryptedCross | None, ...]:
        """Seal and cross books; what is opened goes to `opened`, also when it ends early.

        Caps are `own_caps` unless given. Intents above them are dropped once `told` returns.
        """
        interval = self.house.closed(self.committee)
        opened = [] if opened is None else opened
        session = self.committee.begin_auction(interval, opened.append)
        draw = self.recycled if mask is None else mask

        def take_mask(shape: LaneShape) -> DrawnMask:
            return self.committee.consume_mask(draw(shape), session.context)

        ciphertexts = [self.ciphertexts(rows, ticks) for rows in books]
        limits = [own_caps(rows) for rows in books] if caps is None else caps
        sealed = [self.sealed(*book) for book in zip(ciphertexts, limits, books, strict=True)]

        def exclude(above: Above) -> None:
            told(above)
            for number, intents in above.items():
                for intent in intents:
                    sealed[number].drop(intent, ciphertexts[number][intent])

        comparison = steps.comparison(
            self.house.parameters, self.house.evaluators, session, take_mask
        )
        engine = steps.crossing(comparison, rule_of(ticks, reference, near), exclude)
        return engine.cross(sealed, ranks)


def book_of_rows(rows: Sequence[Row], ticks: int) -> Book:
    whole = [(*row[:3], minimum_of(row)) for row in rows]
    columns = np.array(whole, dtype=np.int64).reshape(-1, 4)
    return Book(columns[:, 0], columns[:, 1], columns[:, 2], ticks, columns[:, 3])


def twin(
    rows: Sequence[Row],
    ticks: int,
    ranks: Lanes,
    reference: int | None,
    near: int | None = None,
) -> EncryptedCross | None:
    """The result of the plain twin, in the form of the encrypted one."""
    book = book_of_rows(rows, ticks)
    rule = rule_of(ticks, reference, near)
    clear = clear_reference if rule.fixed else clear_uniform
    result = clear(book, rule.reference, ranks)
    if isinstance(result, NoCross):
        return None
    buys = book.sides == Side.BUY
    bought, sold = np.where(buys, result.fills, 0), np.where(buys, 0, result.fills)
    return EncryptedCross(
        result.tick, result.volume, result.short_side, result.exhausted, bought, sold
    )


def in_turn(rows: Sequence[Row]) -> Lanes:
    return np.arange(len(rows), dtype=np.int64)


def plain(result: EncryptedCross | None) -> object:
    """A value that compares."""
    if result is None:
        return None
    fills = (result.bought.tolist(), result.sold.tolist())
    return (result.tick, result.volume, result.short_side, result.exhausted, *fills)


@pytest.fixture(scope="session")
def arena_of(tmp_path_factory: pytest.TempPathFactory) -> Callable[[int], Arena]:
    """Arena with a committee of 3 or 4."""
    made: dict[int, Arena] = {}

    def arena(size: int) -> Arena:
        if size not in made:
            house = built(size, tmp_path_factory.mktemp(f"arena-{size}"))
            made[size] = Arena(house, house.committee())
        return made[size]

    return arena


@pytest.fixture(scope="session")
def arena(arena_of: Callable[[int], Arena]) -> Arena:
    """Arena of four keypers."""
    return arena_of(4)


def require_twin(
    arena: Arena,
    books: Sequence[Sequence[Row]],
    ticks: int,
    ranks: list[Lanes] | None = None,
    reference: int | None = None,
    near: int | None = None,
) -> None:
    ranks = [in_turn(rows) for rows in books] if ranks is None else ranks
    found = arena.cross(books, ticks, ranks, reference, near=near)
    expected = [
        twin(rows, ticks, order, reference, near) for rows, order in zip(books, ranks, strict=True)
    ]
    assert [plain(x) for x in found] == [plain(x) for x in expected]
