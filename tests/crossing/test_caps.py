"""Sizes that are negative or above the public cap: named, taken out, and nothing else opened."""

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from crypto.bfv.ciphertext import Ciphertext
from crypto.bfv.lanes import Lanes, LaneShape
from crypto.circuits.curves import size_max
from crypto.circuits.price_lanes import PriceLayout
from crypto.ring.params import TEST_INSECURE_SMALL
from crypto.threshold.revealing import Revealed
from darkpool.crossing.crossing_book import EncryptedCross
from darkpool.crossing.errors import ImplausibleOpening
from darkpool.crossing.lane_comparison import LaneComparison
from darkpool.units import Side
from tests.support.arena import Above, Arena, Row, Steps, in_turn, plain, twin

BUY, SELL = Side.BUY, Side.SELL
PARAMETERS = TEST_INSECURE_SMALL
T = PARAMETERS.order_ring.plain_modulus
MOST = size_max(PARAMETERS.order_ring)
TICKS = 8


@dataclass
class Auction:
    """Crosses books, and keeps what was told and opened, and how much was opened at each telling.

    Sizes are taken mod t: an intent takes part if its size is from 0 to its cap.
    """

    arena: Arena
    books: Sequence[Sequence[Row]]
    caps: Sequence[Sequence[int]]
    ticks: int = TICKS
    reference: int | None = None
    told: list[Above] = field(default_factory=list)
    opened_before: list[int] = field(default_factory=list)
    opened: list[Revealed] = field(default_factory=list)

    @property
    def ranks(self) -> list[Lanes]:
        return [np.random.default_rng(7).permutation(len(rows)) for rows in self.books]

    def above(self) -> Above:
        """Who is above the caps, from the definition."""
        found = {
            k: [
                i
                for i, ((_, size, *_), cap) in enumerate(zip(rows, caps, strict=True))
                if size % T > cap
            ]
            for k, (rows, caps) in enumerate(zip(self.books, self.caps, strict=True))
        }
        return {k: intents for k, intents in found.items() if intents}

    def rest(self) -> list[list[Row]]:
        """The books with nothing in the place of whoever is above a cap."""
        above = self.above()
        return [
            [(s, 0 if i in above.get(k, []) else q, m) for i, (s, q, m, *_) in enumerate(rows)]
            for k, rows in enumerate(self.books)
        ]

    def run(self) -> None:
        """Cross and hold the result against the twin of the rest."""

        def tell(above: Above) -> None:
            self.told.append(above)
            self.opened_before.append(len(self.opened))

        found = self.arena.cross(
            self.books,
            self.ticks,
            self.ranks,
            self.reference,
            self.opened,
            caps=self.caps,
            told=tell,
        )
        expected: list[EncryptedCross | None] = [
            twin(rows, self.ticks, ranks, self.reference)
            for rows, ranks in zip(self.rest(), self.ranks, strict=True)
        ]
        assert [plain(x) for x in found] == [plain(x) for x in expected]

    def purposes(self, stop: int | None = None) -> list[str]:
        return [revealed.request.purpose for revealed in self.opened[:stop]]

    def masks(self) -> list[int]:
        """Numbers of the masks of the first parts of all price lanes, in order."""
        out = []
        for revealed in self.opened:
            if revealed.request.purpose.startswith("price lanes"):
                number = revealed.request.covered.mask_number
                assert number is not None
                if revealed.request.purpose.endswith(".0"):
                    out.append(number)
        return out

    def cap_bits(self, number: int) -> Lanes:
        """Opened bits of a comparison by lane, shape (2, columns of the comparison ring)."""
        (values,) = [r.values for r in self.opened if r.request.purpose == f"cap bits {number}"]
        return values.reshape(2, -1)


HONEST: list[Row] = [(BUY, 9, 6), (SELL, 4, 2), (BUY, 3, 1), (SELL, 8, 5), (SELL, 0, 0)]
CAPS = [9, 1000, MOST, 8, 1]


def with_one(row: Row, cap: int, place: int = 2) -> tuple[list[Row], list[int]]:
    """The honest orders with another among them."""
    return [*HONEST[:place], row, *HONEST[place:]], [*CAPS[:place], cap, *CAPS[place:]]


def require_one(arena: Arena, size: int, cap: int, side: Side, reference: int | None) -> None:
    rows, caps = with_one((side, size, 4), cap)
    auction = Auction(arena, [rows], [caps], reference=reference)
    auction.run()
    if size % T <= cap:
        assert auction.told == []
        assert len(auction.masks()) == 1
        return
    assert auction.told == [{0: [2]}]
    assert auction.purposes(auction.opened_before[0]) == ["price lanes 0.0", "cap bits 0"]
    after = auction.purposes()[auction.opened_before[0] :]
    assert after[:3] == ["price lanes 1.0", "cap bits 1", "no-cross 1"]
    assert len(set(auction.masks())) == len(auction.masks()) == 2
    first, second = auction.cap_bits(0), auction.cap_bits(1)
    columns = 2 * PriceLayout(PARAMETERS, TICKS, 0, (len(rows),)).width + np.arange(len(rows))
    assert second[:, columns].all()
    others = np.delete(columns, 2)
    assert first[:, others].all()
    assert first[:, columns[2]].min() == 0
    assert first.sum() == first[:, columns].sum()


# A multiple of the cap, and what is added to it.
SIZES = {
    "one above": (1, 1),
    "minus one": (0, -1),
    "minus the cap": (-1, 0),
    "minus the cap and one": (-1, -1),
    "half of t": (0, T // 2),
    "more than half of t": (0, T // 2 + 1),
    "a quarter of t": (0, T // 4),
    "the largest size": (0, MOST),
    "more than the largest size": (0, MOST + 1),
    "minus the largest size": (0, -MOST),
    "the cap": (1, 0),
    "nothing": (0, 0),
}


@pytest.mark.parametrize("name", SIZES)
@pytest.mark.parametrize("cap", [1, 1000, MOST])
def test_a_size_outside_its_cap_is_named_before_anything_of_a_price_is_opened(
    arena: Arena, name: str, cap: int
) -> None:
    for side, reference in ((BUY, None), (SELL, 4)):
        times, more = SIZES[name]
        require_one(arena, times * cap + more, cap, side, reference)


def any_row(ticks: int) -> st.SearchStrategy[tuple[Row, int]]:
    """An order and its cap; the size is any number modulo t, often near an end of the cap."""
    cap = st.one_of(st.sampled_from([1, 2, 5, MOST // 8]), st.integers(1, MOST // 8))
    size = st.one_of(
        st.integers(0, 5), st.integers(0, T - 1), st.sampled_from([T - 1, T // 2, MOST, MOST + 1])
    )
    near = st.tuples(cap, st.integers(-2, 2)).map(lambda p: (p[0] + p[1], p[0]))
    pair = st.one_of(near, near, st.tuples(size, cap))
    row = st.tuples(st.sampled_from(Side), pair, st.integers(0, ticks - 1))
    return row.map(lambda r: ((r[0], r[1][0], r[2]), r[1][1]))


def require_any(arena: Arena, data: st.DataObject) -> None:
    ticks = data.draw(st.sampled_from([1, 4, 17, 64]))
    drawn = st.lists(st.lists(any_row(ticks), min_size=1, max_size=6), min_size=1, max_size=4)
    pairs = data.draw(drawn)
    books, caps = [[r for r, _ in rows] for rows in pairs], [[c for _, c in rows] for rows in pairs]
    reference = data.draw(st.one_of(st.none(), st.integers(0, ticks - 1)))
    auction = Auction(arena, books, caps, ticks, reference)
    auction.run()
    told = {k: intents for above in auction.told for k, intents in above.items()}
    assert told == auction.above()
    assert sum(map(len, auction.told)) == len(told), "nobody is named twice"
    assert len(set(auction.masks())) == len(auction.masks())


@given(st.data())
@settings(max_examples=15)
def test_any_sizes(arena: Arena, data: st.DataObject) -> None:
    require_any(arena, data)


@pytest.mark.slow
@given(st.data())
@settings(max_examples=200)
def test_many_sizes(arena: Arena, data: st.DataObject) -> None:
    require_any(arena, data)


def test_several_instruments_are_compared_again_together(arena: Arena) -> None:
    first, caps = with_one((BUY, 10, 7), 9)
    third, limits = with_one((SELL, -3, 0), MOST, 4)
    auction = Auction(arena, [first, HONEST, third], [caps, CAPS, limits])
    auction.run()
    assert auction.told == [{0: [2], 2: [4]}]
    assert auction.purposes(auction.opened_before[0]) == ["price lanes 0.0", "cap bits 0"]
    assert auction.purposes()[2:5] == ["price lanes 1.0", "cap bits 1", "no-cross 1"]


def test_a_comparison_made_again_leaves_the_next_group_to_itself(arena: Arena) -> None:
    """Each book has a comparison of its own; what is opened of one is no matter of the others."""
    over, caps = with_one((BUY, 10, 7), 9)
    auction = Auction(arena, [HONEST, over, HONEST], [CAPS, caps, CAPS], ticks=127)
    auction.run()
    assert auction.told == [{1: [2]}]
    kinds = [p for p in auction.purposes() if p.startswith(("cap bits", "no-cross"))]
    assert kinds == [
        *("cap bits 0", "no-cross 0"),
        "cap bits 1",
        *("cap bits 2", "no-cross 2"),
        *("cap bits 3", "no-cross 3"),
    ]


def test_a_book_all_of_whose_intents_are_above_their_caps_does_not_cross(arena: Arena) -> None:
    bad: list[Row] = [(BUY, 9, 7), (SELL, -9, 0)]
    auction = Auction(arena, [bad, HONEST], [[8, 8], CAPS])
    auction.run()
    assert auction.told == [{0: [0, 1]}]
    again = [r for r in auction.opened if r.request.purpose == "no-cross 1"]
    assert len(again) == 1
    assert again[0].request.covered.support.sum() == 1


def test_nothing_more_is_opened_where_nobody_is_left(arena: Arena) -> None:
    bad: list[Row] = [(BUY, 9, 7), (SELL, -9, 0)]
    auction = Auction(arena, [bad, bad], [[8, 8], [1, MOST]])
    auction.run()
    assert auction.told == [{0: [0, 1], 1: [0, 1]}]
    assert auction.purposes() == ["price lanes 0.0", "cap bits 0"]


class Forgetful(LaneComparison):
    """Names every intent, also those that were taken out."""

    def open_lanes(self, purpose: str, bits: Ciphertext, shape: LaneShape, lanes: Lanes) -> Lanes:
        opened = super().open_lanes(purpose, bits, shape, lanes)
        return np.zeros_like(opened) if purpose.startswith("cap bits") else opened


def test_an_intent_that_was_taken_out_cannot_be_named_again(arena: Arena) -> None:
    """Bits that say so are nobody's sizes, and would have the comparison made again for ever."""
    told: list[Above] = []

    def tell(above: Above) -> None:
        told.append({k: intents[:1] for k, intents in above.items()})
        above[0][1:] = []

    with pytest.raises(ImplausibleOpening, match="cap bits 1"):
        arena.cross(
            [HONEST], TICKS, [in_turn(HONEST)], steps=Steps(Forgetful), caps=[CAPS], told=tell
        )
    assert told == [{0: [0]}]
