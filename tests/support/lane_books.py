"""Books in the clear and sealed, for the tests of what is packed and compared of them."""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from crypto.bfv.aggregation import AggregateSum
from crypto.bfv.ciphertext import Ciphertext
from crypto.bfv.encryption import encrypt_slots
from crypto.bfv.lanes import LaneCiphertext
from crypto.bfv.seal import Evaluator
from crypto.circuits.curves import BUY, SELL, CurveLayout
from crypto.circuits.packing import LANES_LEVEL, Packer, arranged, power_of_two
from crypto.circuits.price_lanes import PriceLayout, SizedBook
from crypto.circuits.rationing import RationLayout
from tests.support.epochs import Epoch, SealOracle

Lanes = npt.NDArray[np.int64]
Order = tuple[int, int, int]
"""Side, size, limit."""


def sealed(epoch: Epoch, ticks: int, orders: Sequence[Order]) -> list[Ciphertext]:
    ring, key = epoch.parameters.order_ring, epoch.material.order_keys.public
    return [
        encrypt_slots(key, CurveLayout(ring, ticks).vector(*order), k.to_bytes(32, "big"))
        for k, order in enumerate(orders)
    ]


def aggregated(ciphertexts: Sequence[Ciphertext]) -> Ciphertext:
    total = AggregateSum(ciphertexts[0].ring)
    for ciphertext in ciphertexts:
        total.add(ciphertext)
    return total.ciphertext()


def packer_of(evaluator: Evaluator, ciphertexts: Sequence[Ciphertext]) -> Packer:
    packer = Packer(evaluator)
    for index, ciphertext in enumerate(ciphertexts):
        packer.add(arranged(evaluator, ciphertext, index))
    return packer


def sized_book(
    evaluator: Evaluator, ciphertexts: Sequence[Ciphertext], caps: Sequence[int]
) -> SizedBook:
    sizes = packer_of(evaluator, ciphertexts).sizes()
    return SizedBook(aggregated(ciphertexts), sizes, np.array(caps, dtype=np.int64))


def book_of(draw: np.random.Generator, ticks: int, count: int, most: int = 9) -> list[Order]:
    return [
        (int(draw.integers(0, 2)), int(draw.integers(0, most)), int(draw.integers(0, ticks)))
        for _ in range(count)
    ]


def curves(ticks: int, orders: Sequence[Order]) -> tuple[Lanes, Lanes]:
    """Demand and supply, tick by tick, from their definition."""
    demand = [sum(q for s, q, m in orders if s == BUY and m >= p) for p in range(ticks)]
    supply = [sum(q for s, q, m in orders if s == SELL and m <= p) for p in range(ticks)]
    return np.array(demand), np.array(supply)


def cap_columns(layout: PriceLayout) -> list[int]:
    """First column of each book's cap lanes: behind the price lanes, none across a border."""
    row = layout.parameters.order_ring.row
    column, starts = 2 * power_of_two(layout.ticks) * len(layout.counts), []
    for count in layout.counts:
        if column // row != (column + count - 1) // row:
            column = (column // row + 1) * row
        starts.append(column)
        column += count
    return starts


def expected_price_lanes(
    layout: PriceLayout, books: Sequence[Sequence[Order]], caps: Sequence[Sequence[int]]
) -> Lanes:
    """Lane values, signed, from the table of the module's text."""
    ticks, width = layout.ticks, power_of_two(layout.ticks)
    lanes = np.zeros((2, layout.shape.width), dtype=np.int64)
    for number, orders in enumerate(books):
        start = 2 * width * number
        lanes[:, start : start + 2 * width] = -1
        demand, supply = curves(ticks, orders)
        above = np.arange(ticks) > layout.reference
        lanes[0, start : start + ticks] = demand - supply - above
        lanes[1, start : start + ticks - 1] = supply[:-1] - demand[1:] - above[1:]
        lanes[1, start + ticks - 1] = (demand - supply)[layout.reference] - 1
        lanes[0, start + width : start + width + ticks] = demand - 1
        lanes[1, start + width : start + width + ticks] = supply - 1
    for start, orders, limits in zip(cap_columns(layout), books, caps, strict=True):
        sizes = np.array([size for _, size, _ in orders])
        lanes[0, start : start + sizes.size] = sizes
        lanes[1, start : start + sizes.size] = np.array(limits) - sizes
    return lanes.reshape(-1)


def packed_values(row: int, orders: Sequence[Order], tick: int) -> Lanes:
    """Slot k of both rows from the definition; every other slot zero."""
    values = np.zeros((2, row), dtype=np.int64)
    for k, (side, size, limit) in enumerate(orders):
        if limit >= tick if side == BUY else limit <= tick:
            values[side, k] = size
    return values


def require_lanes(
    oracle: SealOracle,
    layout: PriceLayout | RationLayout,
    lanes: tuple[LaneCiphertext, ...],
    expected: Lanes,
) -> None:
    """Every slot of every ciphertext is what it must be, and zero outside the support."""
    slots = np.stack([oracle.slots(lane.ciphertext) for lane in lanes])
    t = layout.parameters.order_ring.plain_modulus
    assert np.array_equal(slots, layout.shape.to_order(expected) % t)
    for lane, values in zip(lanes, slots, strict=True):
        assert lane.ciphertext.level == LANES_LEVEL
        assert not values[~lane.support].any()
