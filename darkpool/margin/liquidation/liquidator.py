"""The liquidator: the account of the house whose sealed intents close positions of others.

Its intents are ordinary ones, covered by its own margin: no participant sees what they are for. It
gives its fills up to the accounts that they were made for, at the auction's price, and is flat
again.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from darkpool.errors import OutOfBounds
from darkpool.limits import ORDER_SIZE_MAX_LOTS
from darkpool.margin.accounts.accounts import PortfolioAccounts
from darkpool.margin.accounts.defaults import CloseOut
from darkpool.margin.errors import ReserveOffGrid
from darkpool.margin.liquidation.plan import LiquidationOrder
from darkpool.protocol.intents import LimitOrder
from darkpool.units import AccountId, Lots, PriceGrid, Side, Tick


def in_one_auction(
    orders: Mapping[AccountId, Sequence[LiquidationOrder]],
) -> tuple[LiquidationOrder, ...]:
    """What the liquidator orders for several accounts: it has one intent for each contract.

    The side with more lots, to sell where they are equal, at the best reserve price of those on it;
    the other side waits for the next auction. By contract index.
    """
    books: dict[int, dict[Side, list[LiquidationOrder]]] = {}
    for order in (order for account in sorted(orders) for order in orders[account]):
        books.setdefault(order.contract_index, {}).setdefault(order.side, []).append(order)
    return tuple(
        max(map(_joined, sides.values()), key=lambda order: (order.size, order.side))
        for _, sides in sorted(books.items())
    )


def _joined(orders: Sequence[LiquidationOrder]) -> LiquidationOrder:
    """Orders for one side of one contract as one."""
    best = max if orders[0].side is Side.SELL else min
    return replace(
        orders[0],
        size=Lots(sum(order.size for order in orders)),
        reserve=best(order.reserve for order in orders),
    )


def shares_of_fill(
    order: LiquidationOrder, filled: Lots, orders: Mapping[AccountId, Sequence[LiquidationOrder]]
) -> dict[AccountId, Lots]:
    """What of a fill of `in_one_auction` each account gets: by how much each has to close.

    Raises:
        OutOfBounds: more than all of them have to close.
    """
    sizes = {
        account: int(own.size)
        for account in sorted(orders)
        for own in orders[account]
        if (own.contract_index, own.side) == (order.contract_index, order.side)
    }
    if not 0 <= filled <= sum(sizes.values()):
        raise OutOfBounds("filled lots", 0, sum(sizes.values()), filled)
    parts = shared_out(filled, sizes, sizes)
    return {account: Lots(lots) for account, lots in parts.items() if lots}


def shared_out(
    lots: int, shares: Mapping[AccountId, int], room: Mapping[AccountId, int]
) -> dict[AccountId, int]:
    """Share lots out by weight, to each account no more than it has room for.

    Parts of a lot are rounded down, and lots that are left then go round, one to each, in the order
    of `room`. What an account has no room for is shared out again among the others.

    Ten lots by weights 2, 1 and 1, with room for 3, 9 and 9: the parts are 5, 2 and 2 with one lot
    odd, which goes to the first. It takes 3 of its 6; the other 3 are then shared out by 1 and 1,
    the odd one to the second account. The result is 3, 4 and 3.
    """
    taken = dict.fromkeys(room, 0)
    left = lots
    while left and (open_ := [account for account in room if taken[account] < room[account]]):
        total = sum(shares[account] for account in open_)
        parts = [left * shares[account] // total for account in open_]
        odd = left - sum(parts)
        for number, (account, part) in enumerate(zip(open_, parts, strict=True)):
            got = min(part + (number < odd), room[account] - taken[account])
            taken[account] += got
            left -= got
    return taken


def limit_order(order: LiquidationOrder, grid: PriceGrid) -> LimitOrder:
    """The intent of an order: its limit is the tick at the reserve price, or the next better one.

    Where the whole grid is better than the reserve price the limit is the grid's worst price. Lots
    above the largest size wait for the next auction.

    Raises:
        ReserveOffGrid: the whole grid is worse than the reserve price.
    """
    above_lowest = order.reserve - grid.units_of(Tick(0))
    last = grid.ticks - 1
    if order.side is Side.BUY:
        tick, end = min(last, above_lowest // grid.tick_units), Tick(0)
    else:
        tick, end = max(0, -(-above_lowest // grid.tick_units)), Tick(last)
    if not 0 <= tick <= last:
        raise ReserveOffGrid(order.side, grid.units_of(end), order.reserve)
    return LimitOrder(order.side, Lots(min(order.size, ORDER_SIZE_MAX_LOTS)), Tick(tick))


def give_up(
    accounts: PortfolioAccounts,
    liquidator: AccountId,
    account: AccountId,
    side: Side,
    close_out: CloseOut,
) -> None:
    """Move a fill of the liquidator on a side to the account that it was made for, at its price.

    It closes lots of the account, never more than it holds.

    Raises:
        UnknownContract: no contract of the specification.
        OutOfBounds: fewer than 1 lot, or more than the liquidator has on that side, or than the
            account has on the other.
    """
    contract_index = accounts.contract_index(close_out.instrument)
    sign = 1 if side is Side.BUY else -1
    filled = accounts.position(liquidator, contract_index).net * sign
    closable = accounts.position(account, contract_index).net * -sign
    most = max(0, min(filled, closable))
    if not 1 <= close_out.size <= most:
        raise OutOfBounds("lots to give up", 1, most, close_out.size)
    accounts.trade(account, liquidator, contract_index, sign * close_out.size, close_out.price)
