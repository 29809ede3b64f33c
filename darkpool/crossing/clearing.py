"""The plain twin: what an auction computes, on orders in the clear. It is the specification.

The encrypted path gives this price, this volume, this short side and these fills on every book,
tie-breaks included.

**Curves.** Over ticks p = 0 .. T-1, demand D(p) is the size of all buys with a limit at or above p,
supply S(p) the size of all sells with a limit at or below p. D never rises, S never falls, so
X(p) = D(p) - S(p) never rises either.

**Whether it crosses.** It does when some tick has D >= 1 and S >= 1, which is when the best bid is
at or above the best ask. With u(p) = [D(p) >= 1], u(T) = 0 and w(p) = [S(p) >= 1] this is
g = sum over p of (u(p) - u(p+1)) * w(p) = 1: u falls from 1 to 0 once, behind the best bid, and w
is 1 there when the best ask is not above it. Without a bid all terms are 0.

**The uniform price** maximises the executed volume min(D, S). Where X(p) > 0 that minimum is S(p),
which is largest at the last such tick; where X(p) < 0 it is D(p), which is largest at the first.
Where X(p) = 0 nothing is left over, and the volume is the largest of all: S(p) is at least that of
any tick below, and D(p) at least that of any tick above. With m the tick of the reference price:

1. If ticks leave nothing over, they lie side by side, and the price is the nearest of them to m.
2. Otherwise it is the last tick with X > 0 or the first tick with X < 0, neighbours both, whichever
   trades more.
3. If these two trade the same volume, it is the higher one if X(m) > 0, buyers exceeding sellers at
   the reference price, else the lower one.

Sellers are the short side, who fill in full, where X > 0, and buyers where X < 0. Where nothing is
left over both fill in full; then sellers are called short at or below m, and buyers above m. A book
that crosses has a tick with min(D, S) >= 1, so the volume is at least 1.

An example: five lots to buy at 4806 and five to sell at 4804.50. Every price from 4804.50 to 4806
trades five lots and leaves nothing over, and with a reference price of 4805 the price is 4805.

So that it can be found encrypted, the rule is one of a step and of one comparison at the step. Z(p)
is [X(p) >= 0] for p <= m and [X(p) > 0] for p > m. It never rises; let z = #{p : Z(p) = 1}.

- z = T: tick T-1, sellers short. z = 0: tick 0, buyers short.
- Otherwise the tie bit at z decides: 1 gives tick z-1, sellers short, and 0 gives tick z, buyers
  short. With g(p) = [S(p-1) >= D(p)] for p <= m and [S(p-1) > D(p)] for p > m, it is g(z), but at
  z = m+1 it is 1 if X(m) = 0.

Rule 1 is in Z: the price that leaves nothing over is z-1 if it is at or below m, and z if it is
above. What must be seen is that the tie bit decides for it. If z-1 <= m leaves nothing over, then
S(z-1) = D(z-1) >= D(z), which is g(z) = 1 for z <= m, and z = m+1 is the exception. If z > m leaves
nothing over, then D(z) = S(z) >= S(z-1), which is g(z) = 0, unless m = z-1 leaves nothing over.

**The reference price** is tick m, fixed beforehand. It crosses when D(m) >= 1 and S(m) >= 1; the
volume is min(D(m), S(m)); sellers are the short side if X(m) >= 0, else buyers.

**Rationing.** An order is marketable when its limit allows the price. The short side's marketable
orders fill in full. The long side's fill in the order of their priority until the volume is used
up; the last of them gets what is left.

**Minimum execution size.** An order may carry a minimum m >= 1: it fills with m lots or more, or
not at all. Such an *minimum-fill order* takes only from the surplus that plain orders leave at the
price:

- It counts in no curve, so it neither makes a book cross nor moves the price, and the fills of
  plain orders are never smaller for its being there.
- The surplus at the price is E = |D - S|. Marketable minimum-fill orders on the short side stand in
  the order of their priority. With B the sizes of those before it, an order is offered E - B and
  takes min(its size, E - B) if that offer is at least its minimum. An order that refuses keeps its
  place: what it was offered goes to nobody behind it. On the long side minimum-fill orders get
  nothing.
- What they take, F lots in all, the plain long side fills too: its volume is min(D, S) + F.
- At a reference price minimum-fill orders may fill without any plain order opposite to the surplus;
  a book crosses there if anything fills. A call auction has no price unless plain orders cross.
- The surplus is *exhausted* if the sizes of the minimum-fill orders that fill add up to E or more.
  Then the plain long side fills in full, and of the minimum-fill orders that fill the last gets
  what is left. Else all of them fill in full, and on the plain long side the last.

So at most one order of an auction is cut, and only a plain one or a minimum_fill one that accepts
it. docs/decisions/0016 says why.

The principle of maximum executed volume is that of the opening auctions of Euronext and Xetra; the
reference price decides between prices that leave nothing over as in the latter.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray

from darkpool.crossing.errors import InvalidBook
from darkpool.errors import OutOfBounds
from darkpool.limits import TICKS_MAX
from darkpool.protocol.intents import LimitOrder
from darkpool.units import Lots, Side, Tick, require_kind, within

_INT64_MAX = 2**63 - 1


@dataclass(frozen=True, slots=True, eq=False)
class Book:
    """The orders of one instrument in one auction, as columns of equal length.

    `sides` (int64) holds `Side` values; `sizes` (int64) whole lots, 0 for cover traffic; `limits`
    (int64) ticks from 0 to `ticks` - 1. Sizes add up to less than 2**63. `minimums` (int64) holds
    the lots below which a minimum-fill order does not fill, from 1 to its size (1 for cover
    traffic), and 0 for plain orders; None if all are plain.

    Raises:
        InvalidBook: a column has another shape or type, or a value outside these bounds.
        WrongType: a column that is no array, or ticks that are no whole number.
    """

    sides: NDArray[np.int64]
    sizes: NDArray[np.int64]
    limits: NDArray[np.int64]
    ticks: int
    minimums: NDArray[np.int64] | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "ticks", _within("ticks", 1, TICKS_MAX, self.ticks))
        orders = len(self.sides) if isinstance(self.sides, np.ndarray) and self.sides.ndim else 0
        _check_column("sides", self.sides, orders, max(Side))
        _check_column("sizes", self.sizes, orders, _INT64_MAX // max(orders, 1))
        _check_column("limits", self.limits, orders, self.ticks - 1)
        if self.minimums is not None:
            _check_column("minimums", self.minimums, orders, _INT64_MAX)
            above = np.flatnonzero(self.minimums > np.maximum(self.sizes, 1))
            if above.size:
                size, least = self.sizes[above[0]], self.minimums[above[0]]
                raise InvalidBook("minimums", f"at most the size {size}", str(least))

    def __len__(self) -> int:
        """Return the number of orders."""
        return len(self.sides)

    @classmethod
    def from_orders(cls, orders: Sequence[LimitOrder], ticks: int) -> Self:
        """Take the orders of one instrument, in their order, on a grid of that many ticks."""
        return cls(
            sides=np.array([order.side for order in orders], dtype=np.int64),
            sizes=np.array([order.size for order in orders], dtype=np.int64),
            limits=np.array([order.limit for order in orders], dtype=np.int64),
            ticks=ticks,
            minimums=np.array([order.minimum for order in orders], dtype=np.int64),
        )


@dataclass(frozen=True, slots=True)
class NoCross:
    """No buyer pays what any seller asks; nothing trades."""


@dataclass(frozen=True, slots=True, eq=False)
class Cross:
    """An auction that traded: `fills` (int64) has each order's filled lots, 0 for none.

    On either side the fills add up to `volume`, which is at least 1. `short_side` is that of the
    plain orders. `exhausted` says that minimum-fill orders took their whole surplus.
    """

    tick: Tick
    volume: Lots
    short_side: Side
    exhausted: bool
    fills: NDArray[np.int64]


@dataclass(frozen=True, slots=True, eq=False)
class Curves:
    """Demand and supply in lots at every tick, int64 of shape (ticks,)."""

    demand: NDArray[np.int64]
    supply: NDArray[np.int64]


def curves(book: Book) -> Curves:
    """Add the step curves of all plain orders up."""
    at_limit = np.zeros(2 * book.ticks, dtype=np.int64)
    sizes = np.where(_minimums(book) == 0, book.sizes, 0)
    np.add.at(at_limit, book.sides * book.ticks + book.limits, sizes)
    bids, asks = at_limit.reshape(2, book.ticks)
    return Curves(demand=bids[::-1].cumsum()[::-1], supply=asks.cumsum())


def crosses(at: Curves) -> bool:
    """Whether the best bid is at or above the best ask: the bit g of the module's text."""
    bid = np.append(at.demand >= 1, False).astype(np.int64)
    ask = (at.supply >= 1).astype(np.int64)
    return bool(((bid[:-1] - bid[1:]) * ask).sum())


def uniform_price(at: Curves, reference: Tick) -> tuple[Tick, Side]:
    """Price and short side of a book that crosses, by rules 1 to 3 of the module's text."""
    excess = at.demand - at.supply
    balanced = np.flatnonzero(excess == 0)
    if balanced.size:
        tick = Tick(int(np.clip(reference, balanced[0], balanced[-1])))
        return tick, Side.SELL if tick <= reference else Side.BUY
    upper = int(np.count_nonzero(excess > 0))
    lower = upper - 1
    if lower < 0:
        return Tick(upper), Side.BUY
    if upper == len(excess):
        return Tick(lower), Side.SELL
    below, above = int(at.supply[lower]), int(at.demand[upper])
    if above > below or (above == below and excess[reference] > 0):
        return Tick(upper), Side.BUY
    return Tick(lower), Side.SELL


def clear_uniform(book: Book, reference: Tick, priority: NDArray[np.int64]) -> Cross | NoCross:
    """Run a call auction at the one price that maximises the executed volume.

    `reference` chooses between prices as in rules 1 and 3 of the module's text. `priority` (int64,
    one for each order) is a permutation: the rank of each order, 0 first.

    Raises:
        InvalidBook: `priority` is no permutation of the book's orders, or the grid has no such
            tick.
    """
    _check_reference(book, reference)
    at = curves(book)
    if not crosses(at):
        check_priority(priority, len(book))
        return NoCross()
    tick, short_side = uniform_price(at, reference)
    return _fill(book, priority, at, tick, short_side)


def clear_reference(book: Book, reference: Tick, priority: NDArray[np.int64]) -> Cross | NoCross:
    """Cross at a price that was fixed beforehand.

    `priority` (int64, one for each order) is a permutation: the rank of each order, 0 first.

    Raises:
        InvalidBook: `priority` is no permutation of the book's orders, or the grid has no such
            tick.
    """
    _check_reference(book, reference)
    at = curves(book)
    short_side = Side.SELL if at.demand[reference] >= at.supply[reference] else Side.BUY
    return _fill(book, priority, at, reference, short_side)


def _check_reference(book: Book, reference: Tick) -> None:
    require_kind("book", Book, book)
    _within("reference tick", 0, book.ticks - 1, reference)


def check_priority(priority: NDArray[np.int64], orders: int) -> None:
    """Check that ranks are a permutation of 0 .. `orders` - 1.

    Raises:
        InvalidBook: they are not.
    """
    _check_column("priority", priority, orders, orders - 1)
    taken = np.zeros(orders, dtype=np.bool_)
    taken[priority] = True
    if not taken.all():
        raise InvalidBook("priority", "every rank once", f"rank {int(taken.argmin())} missing")


def _fill(
    book: Book, priority: NDArray[np.int64], at: Curves, tick: Tick, short_side: Side
) -> Cross | NoCross:
    check_priority(priority, len(book))
    buys = book.sides == Side.BUY
    marketable = np.where(buys, book.limits >= tick, book.limits <= tick)
    lots = np.where(marketable, book.sizes, 0)
    on_long_side = buys if short_side is Side.SELL else ~buys
    plain = _minimums(book) == 0

    matched = min(int(at.demand[tick]), int(at.supply[tick]))
    surplus = max(int(at.demand[tick]), int(at.supply[tick])) - matched
    queue = np.where(plain | on_long_side, 0, lots)
    offered = surplus - _sum_before(queue, priority)
    takes = (queue > 0) & (offered >= _minimums(book))
    minimum_fill = np.where(takes, np.minimum(queue, offered), 0)
    volume = matched + int(minimum_fill.sum())
    if volume == 0:
        return NoCross()

    queue = np.where(plain & on_long_side, lots, 0)
    left = np.maximum(volume - _sum_before(queue, priority), 0)
    fills = np.where(on_long_side, np.minimum(queue, left), np.where(plain, lots, minimum_fill))
    exhausted = bool(takes.any()) and int(lots[takes].sum()) >= surplus
    return Cross(tick, Lots(volume), short_side, exhausted, fills)


def _sum_before(lots: NDArray[np.int64], priority: NDArray[np.int64]) -> NDArray[np.int64]:
    """Sum, for each order, the lots of all orders that come before it."""
    queue = np.zeros_like(lots)
    queue[priority] = lots
    before: NDArray[np.int64] = (queue.cumsum() - queue)[priority]
    return before


def _minimums(book: Book) -> NDArray[np.int64]:
    return np.zeros(len(book), dtype=np.int64) if book.minimums is None else book.minimums


def _within(name: str, lowest: int, highest: int, value: object) -> int:
    try:
        return within(name, lowest, highest, value)
    except OutOfBounds as error:
        raise InvalidBook(name, error.expected, error.got) from None


def _check_column(name: str, column: NDArray[np.int64], orders: int, highest: int) -> None:
    require_kind(name, np.ndarray, column)
    if column.dtype != np.int64 or column.shape != (orders,):
        raise InvalidBook(name, f"int64 ({orders},)", f"{column.dtype} {column.shape}")
    if orders and (column.min() < 0 or column.max() > highest):
        raise InvalidBook(name, f"0 to {highest}", f"{column.min()} to {column.max()}")
