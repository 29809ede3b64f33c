"""What the encrypted method of docs/protocol/minimum.md opens, as a plain function of the orders.

`simulated` knows the public result, which intents are minimum-fill orders, and their priority.
`opened` computes each opening from the orders, lane by lane, as the protocol states it. They are
equal on every small book, and results and transcripts determine each other. Openings that would be
easier to make fail the same checks.
"""

import itertools
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache

import numpy as np
import pytest

from darkpool.crossing.clearing import Book, Cross, clear_reference, clear_uniform
from darkpool.units import Side, Tick
from tests.support.price_steps import opened_price

Row = tuple[Side, int, int, int]
"""Side, size, limit, minimum."""
Transcript = tuple[tuple[str, tuple[int, ...]], ...]
"""Purpose and values of each opening that is not masked; in turn, as the rows are."""
BUY, SELL = Side.BUY, Side.SELL
TICKS = 2
NEAR = Tick(0)
"""Of the two, the one that chooses between prices that trade the same in the most ways."""


@dataclass(frozen=True)
class Result:
    """The public result of a book that traded."""

    tick: int
    volume: int
    short_side: Side
    exhausted: bool
    bought: tuple[int, ...]
    sold: tuple[int, ...]

    def fills(self, side: Side) -> tuple[int, ...]:
        return self.bought if side is BUY else self.sold


@dataclass(frozen=True)
class Public:
    """What everybody knows besides; intents are numbered by priority."""

    minimum_fill: tuple[bool, ...]
    reference: int | None


def result_of(rows: Sequence[Row], reference: int | None) -> Result | None:
    columns = np.array(rows, dtype=np.int64).reshape(-1, 4)
    book = Book(columns[:, 0], columns[:, 1], columns[:, 2], TICKS, columns[:, 3])
    ranks = np.arange(len(rows), dtype=np.int64)
    if reference is None:
        cross = clear_uniform(book, NEAR, ranks)
    else:
        cross = clear_reference(book, Tick(reference), ranks)
    if not isinstance(cross, Cross):
        return None
    bought, sold = (tuple(np.where(book.sides == s, cross.fills, 0).tolist()) for s in Side)
    return Result(cross.tick, cross.volume, cross.short_side, cross.exhausted, bought, sold)


# From the public result.


def simulated(result: Result | None, public: Public) -> Transcript:
    return tuple(_simulated(result, public))


def _simulated(result: Result | None, public: Public) -> Iterator[tuple[str, tuple[int, ...]]]:
    everybody = range(len(public.minimum_fill))
    short = () if result is None else result.fills(result.short_side)
    plain_short = tuple(0 if public.minimum_fill[k] else short[k] for k in everybody if result)
    plain_cross = any(plain_short)
    yield "no-cross", (int(plain_cross),)
    if result is not None and plain_cross:
        yield from _simulated_price(result, public)
        yield "short row", plain_short
    if any(public.minimum_fill) and (plain_cross or public.reference is not None):
        for side in Side:
            fills = [0] * len(everybody) if result is None else result.fills(side)
            bits = (int(public.minimum_fill[k] and fills[k] > 0) for k in everybody)
            yield f"minimum-fill bits {side.name}", tuple(bits)
    if result is None:
        return
    taken = [k for k in everybody if public.minimum_fill[k] and short[k]]
    if taken:
        yield "exhausted", (int(result.exhausted),)
    long = result.fills(Side(1 - result.short_side))
    last = max(k for k in everybody if long[k])
    if result.exhausted:
        yield "long row", long
        yield "minimum-fill row", tuple(short[k] for k in taken[:-1])
    else:
        yield "ration bits", tuple(int(k <= last) for k in everybody)
        yield "long row", long[:last]
        yield "minimum-fill row", tuple(short[k] for k in taken)


def _simulated_price(result: Result, public: Public) -> Iterator[tuple[str, tuple[int, ...]]]:
    sellers = int(result.short_side is SELL)
    if public.reference is not None:
        yield "price bits", (sellers,)
        return
    count = result.tick + sellers
    yield "price bits", tuple(int(p < count) for p in range(TICKS))
    if 0 < count < TICKS:
        yield "tie lanes", (sellers,)


# From the orders.


@dataclass(frozen=True)
class Leaks:
    """Openings made otherwise than the protocol says."""

    unmarketable_bits: bool = False
    refusals: bool = False
    exhausted_always: bool = False
    last_minimum_fill_row: bool = False
    last_long_lane: bool = False


NONE = Leaks()


def meets(side: Side, limit: int, tick: int) -> bool:
    return limit >= tick if side is BUY else limit <= tick


def curve(rows: Sequence[Row], side: Side) -> list[int]:
    """Lots of plain orders by tick."""
    plain = [row for row in rows if row[0] is side and row[3] == 0]
    return [sum(q for _, q, limit, _ in plain if meets(side, limit, p)) for p in range(TICKS)]


def opened(rows: Sequence[Row], reference: int | None, leaks: Leaks = NONE) -> Transcript:
    return tuple(_opened(rows, reference, leaks))


def _opened(
    rows: Sequence[Row], reference: int | None, leaks: Leaks
) -> Iterator[tuple[str, tuple[int, ...]]]:
    everybody = range(len(rows))
    demand, supply = curve(rows, BUY), curve(rows, SELL)
    at = range(TICKS) if reference is None else [reference]
    crosses = any(demand[p] >= 1 and supply[p] >= 1 for p in at)
    yield "no-cross", (int(crosses),)
    if not crosses and reference is None:
        return
    tick, short_side, openings = _price(demand, supply, reference)
    if crosses:
        yield from openings
    x = [q if meets(s, m, tick) else 0 for s, q, m, _ in rows]
    plain = [not least for *_, least in rows]
    short_row = tuple(x[k] * (plain[k] and rows[k][0] is short_side) for k in everybody)
    if crosses:
        yield "short row", short_row
    surplus = {BUY: supply[tick] - demand[tick], SELL: demand[tick] - supply[tick]}
    taken: list[int] = []
    if not all(plain):
        for side in Side:
            queue = [x[k] * (not plain[k] and rows[k][0] is side) for k in everybody]
            offered = [surplus[side] - sum(queue[:k]) for k in everybody]
            accepts = [int(offered[k] - 1 - max(rows[k][3] - 1, 0) >= 0) for k in everybody]
            bits = [accepts[k] * (queue[k] >= 1) for k in everybody]
            taken += [k for k in everybody if bits[k]]
            shown = accepts if leaks.unmarketable_bits else bits
            yield (
                f"minimum-fill bits {side.name}",
                tuple(shown[k] * (not plain[k]) for k in everybody),
            )
            if leaks.refusals:
                refused = any(offered[k] >= 1 and queue[k] and not bits[k] for k in everybody)
                yield f"refused {side.name}", (int(refused),)
    if not crosses and not taken:
        return
    if not crosses:
        short_side = rows[taken[0]][0]
    yield from _opened_long(rows, x, short_side, sum(short_row), surplus[short_side], taken, leaks)


def _opened_long(
    rows: Sequence[Row],
    x: list[int],
    short_side: Side,
    matched: int,
    surplus: int,
    taken: list[int],
    leaks: Leaks,
) -> Iterator[tuple[str, tuple[int, ...]]]:
    everybody = range(len(rows))
    most = sum(x[k] for k in taken)
    exhausted = most - surplus >= 0
    if taken or leaks.exhausted_always:
        yield "exhausted", (int(exhausted),)
    long = [x[k] * (rows[k][3] == 0 and rows[k][0] is not short_side) for k in everybody]
    if taken and exhausted:
        yield "long row", tuple(long)
        before = taken if leaks.last_minimum_fill_row else taken[:-1]
        yield "minimum-fill row", tuple(x[k] for k in before)
        return
    bits = [int(matched + most - 1 - sum(long[:k]) >= 0) for k in everybody]
    yield "ration bits", tuple(bits)
    yield "long row", tuple(long[: sum(bits) - (not leaks.last_long_lane)])
    yield "minimum-fill row", tuple(x[k] for k in taken)


def _price(
    demand: list[int], supply: list[int], reference: int | None
) -> tuple[int, Side, Transcript]:
    """Tick, short side, and what is opened to find them."""
    if reference is not None:
        sign = demand[reference] >= supply[reference]
        return reference, SELL if sign else BUY, (("price bits", (int(sign),)),)
    price = opened_price(demand, supply, NEAR)
    openings: list[tuple[str, tuple[int, ...]]] = [("price bits", price.steps)]
    if price.tie is not None:
        openings.append(("tie lanes", (price.tie,)))
    return price.tick, price.short_side, tuple(openings)


# The books.


def small_books() -> Iterator[tuple[Row, ...]]:
    """Up to three orders on two ticks, and four and five on one, all of one or two lots.

    They are in the order of priority: another order is another book.
    """
    kinds = [
        (side, size, limit, minimum)
        for side, size, limit in itertools.product(Side, (1, 2), range(TICKS))
        for minimum in range(size + 1)
    ]
    for count in range(1, 4):
        yield from itertools.product(kinds, repeat=count)
    on_one_tick = [kind for kind in kinds if kind[2] == 0]
    yield from itertools.product(on_one_tick, repeat=4)
    one_long_side = [kind for kind in on_one_tick if kind[0] is SELL or kind[3] == 0]
    yield from itertools.product(one_long_side, repeat=5)


BOOKS = tuple(small_books())
Key = tuple[Public, Result | None]


def public_of(rows: Sequence[Row], reference: int | None) -> Public:
    return Public(tuple(least > 0 for *_, least in rows), reference)


@cache
def keys(reference: int | None) -> tuple[Key, ...]:
    return tuple((public_of(rows, reference), result_of(rows, reference)) for rows in BOOKS)


def transcripts_by_result(
    reference: int | None, opens: Callable[[Sequence[Row]], Transcript]
) -> dict[Key, set[Transcript]]:
    found: dict[Key, set[Transcript]] = {}
    for rows, key in zip(BOOKS, keys(reference), strict=True):
        found.setdefault(key, set()).add(opens(rows))
    return found


@pytest.mark.parametrize("reference", [None, 0])
def test_results_and_transcripts_determine_each_other(reference: int | None) -> None:
    found = transcripts_by_result(reference, lambda rows: opened(rows, reference))
    for (public, result), transcripts in found.items():
        assert transcripts == {simulated(result, public)}
    told_apart = {(public, *transcripts) for (public, _), transcripts in found.items()}
    assert len(told_apart) == len(found) > 1000
    assert any(result and result.exhausted for _, result in found)


@pytest.mark.parametrize("reference", [None, 0])
@pytest.mark.parametrize(
    "leaks",
    [
        Leaks(unmarketable_bits=True),
        Leaks(refusals=True),
        Leaks(exhausted_always=True),
        Leaks(last_minimum_fill_row=True),
        Leaks(last_long_lane=True),
    ],
    ids=repr,
)
def test_openings_that_are_easier_to_make_tell_more_than_the_result(
    leaks: Leaks, reference: int | None
) -> None:
    found = transcripts_by_result(reference, lambda rows: opened(rows, reference, leaks))
    assert any(len(transcripts) > 1 for transcripts in found.values())


def test_the_exhausted_bit_has_to_be_in_the_result() -> None:
    """Fills alone do not say who was cut: the last with a minimum, or the last on the long side."""
    found: dict[object, set[bool]] = {}
    for public, result in keys(None):
        if result is not None:
            key = (public, result.tick, result.short_side, result.bought, result.sold)
            found.setdefault(key, set()).add(result.exhausted)
    assert {False, True} in found.values()


# The other meaning of a minimum: it takes part in the price, and the marginal order may refuse.


def refused_rest(rows: Sequence[Row]) -> tuple[Transcript, object]:
    """Minima in the price formation: what is opened for the price, and the result.

    The marginal order that refuses its rest trades nothing, the side opposite is cut to what is
    left, and so on until nobody refuses; an auction in which nobody fills is no cross.
    """
    bare = tuple((*row[:3], 0) for row in rows)
    cross = result_of(bare, None)
    if cross is None:
        return opened(bare, None)[:1], None
    lots = [q if meets(s, m, cross.tick) else 0 for s, q, m, _ in rows]
    volume, settled, refused = cross.volume, False, 0
    fills = [0] * len(rows)
    while not settled:
        reached = []
        for side in Side:
            left = volume
            for k in (k for k, row in enumerate(rows) if row[0] is side):
                fills[k] = min(lots[k], left) if left >= rows[k][3] else 0
                left = left - fills[k] if fills[k] or not lots[k] else 0
            reached.append(sum(f for f, row in zip(fills, rows, strict=True) if row[0] is side))
        settled = reached == [volume, volume]
        refused |= not settled
        volume = min(reached)
    prices = tuple(o for o in opened(bare, None) if o[0] in ("no-cross", "price bits"))
    sides = tuple(row[0] for row, fill in zip(rows, fills, strict=True) if fill)
    result = (cross.tick, cross.short_side, tuple(fills), sides) if volume else None
    return (*prices, ("refused", (refused,))), result


def test_minima_in_the_price_formation_tell_more_than_the_result() -> None:
    """The price of an auction in which nobody fills, and that there was a refusal."""
    prices: set[Transcript] = set()
    refusals: dict[object, set[Transcript]] = {}
    for rows in BOOKS:
        transcript, result = refused_rest(rows)
        if result is None:
            prices.add(transcript)
        else:
            refusals.setdefault(result, set()).add(transcript[-1:])
    assert len(prices) > 2, "one would be simulatable"
    assert any(len(answers) > 1 for answers in refusals.values())


@pytest.mark.parametrize("reference", [None, 0])
def test_a_minimum_of_one_lot_above_the_size_tells_no_more_either(
    monkeypatch: pytest.MonkeyPatch, reference: int | None
) -> None:
    """The checks at admission let it pass; the twin takes it only without its own."""
    monkeypatch.setattr(Book, "__post_init__", lambda _book: None)
    plain_kinds = [(side, size, 0, 0) for side, size in itertools.product(Side, (1, 2, 3))]
    above = [(side, size, 0, size + 1) for side, size in itertools.product(Side, (0, 1, 2))]
    whole = [(side, 2, 0, least) for side in Side for least in (1, 2)]
    filled = 0
    for rows in itertools.product(plain_kinds, [*plain_kinds, *above], above, [*above, *whole]):
        result = result_of(rows, reference)
        assert opened(rows, reference) == simulated(result, public_of(rows, reference))
        if result is not None:
            fills = [max(pair) for pair in zip(result.bought, result.sold, strict=True)]
            filled += sum(fill == row[1] > 0 for fill, row in zip(fills[2:], rows[2:], strict=True))
    assert filled > 50
