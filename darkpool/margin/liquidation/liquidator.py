"""The liquidator: the account of the house whose sealed intents close positions of others.

Its intents are ordinary ones, covered by its own margin: nobody sees what they are for. Its fills
it gives up to the accounts that they were made for, at the auction's price, and is flat again.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from darkpool.errors import OutOfBounds
from darkpool.limits import ORDER_SIZE_MAX_LOTS
from darkpool.margin.accounts.account import Account
from darkpool.margin.accounts.accounts import PortfolioAccounts
from darkpool.margin.errors import ReserveOffGrid
from darkpool.margin.liquidation.plan import LiquidationOrder
from darkpool.protocol.intents import LimitOrder
from darkpool.units import AccountId, InstrumentId, Lots, PriceGrid, PriceUnits, Side, Tick


def in_one_auction(
    orders: Mapping[AccountId, Sequence[LiquidationOrder]],
) -> tuple[LiquidationOrder, ...]:
    """What the liquidator orders for several accounts: it has one intent for each contract.

    The side with more lots, to sell where they are equal, at the best reserve price of those on it;
    the other side waits for the next auction. By place.
    """
    found: dict[int, dict[Side, list[LiquidationOrder]]] = {}
    for order in (order for account in sorted(orders) for order in orders[account]):
        found.setdefault(order.place, {}).setdefault(order.side, []).append(order)
    return tuple(
        max(map(_joined, found[place].values()), key=lambda order: (order.size, order.side))
        for place in sorted(found)
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
    """Whom a fill of `in_one_auction` is given up to: by how much each has to close.

    Raises:
        OutOfBounds: more than all of them have to close.
    """
    sizes = {
        account: int(one.size)
        for account in sorted(orders)
        for one in orders[account]
        if (one.place, one.side) == (order.place, order.side)
    }
    if not 0 <= filled <= sum(sizes.values()):
        raise OutOfBounds("filled lots", 0, sum(sizes.values()), filled)
    return {one: Lots(lots) for one, lots in shared_out(filled, sizes, sizes).items() if lots}


def shared_out(
    lots: int, shares: Mapping[AccountId, int], room: Mapping[AccountId, int]
) -> dict[AccountId, int]:
    """Share lots out by weight, to each no more than it has room for.

    Parts of a lot are rounded down, and lots that are left then go round, one to each, in the order
    of `room`. What one of them has no room for is shared out again among the others.
    """
    taken = dict.fromkeys(room, 0)
    left = lots
    while left and (open_ := [one for one in room if taken[one] < room[one]]):
        total = sum(shares[one] for one in open_)
        parts = [left * shares[one] // total for one in open_]
        odd = left - sum(parts)
        for index, (one, part) in enumerate(zip(open_, parts, strict=True)):
            got = min(part + (index < odd), room[one] - taken[one])
            taken[one] += got
            left -= got
    return taken


def limit_order(order: LiquidationOrder, grid: PriceGrid) -> LimitOrder:
    """The intent of an order: its limit is the tick at the reserve price, or the next better one.

    Where the whole grid is better than the reserve price the limit is the grid's worst price. Lots
    above the largest size wait for the next auction.

    Raises:
        ReserveOffGrid: the whole grid is worse than the reserve price.
    """
    offset = order.reserve - grid.units_of(Tick(0))
    last = grid.ticks - 1
    if order.side is Side.BUY:
        tick, end = min(last, offset // grid.tick_units), Tick(0)
    else:
        tick, end = max(0, -(-offset // grid.tick_units)), Tick(last)
    if not 0 <= tick <= last:
        raise ReserveOffGrid(order.side, grid.units_of(end), order.reserve)
    return LimitOrder(order.side, Lots(min(order.size, ORDER_SIZE_MAX_LOTS)), Tick(tick))


def give_up(
    accounts: PortfolioAccounts,
    liquidator: AccountId,
    account: AccountId,
    instrument: InstrumentId,
    side: Side,
    size: Lots,
    price: PriceUnits,
) -> None:
    """Move a fill of the liquidator to the account that it was made for, at its price.

    It closes lots of the account, never more than it holds.

    Raises:
        UnknownContract: no contract of the specification.
        OutOfBounds: fewer than 1 lot, or more than the liquidator has on that side, or than the
            account has on the other.
    """
    place = accounts.place(instrument)
    sign = 1 if side is Side.BUY else -1
    filled = accounts.entries.get(liquidator, Account()).net.get(place, 0) * sign
    closable = accounts.entries.get(account, Account()).net.get(place, 0) * -sign
    most = max(0, min(filled, closable))
    if not 1 <= size <= most:
        raise OutOfBounds("lots to give up", 1, most, size)
    transfer(accounts, account, liquidator, place, -sign * size, price)


def transfer(
    accounts: PortfolioAccounts,
    giver: AccountId,
    taker: AccountId,
    place: int,
    lots: int,
    price: PriceUnits,
) -> None:
    """Move lots, bought or below zero sold, from one account to another at a price."""
    value = lots * price * accounts.contracts[place].multiplier
    accounts.entries[giver].trade(place, -lots, -value)
    accounts.entries.setdefault(taker, Account()).trade(place, lots, value)
