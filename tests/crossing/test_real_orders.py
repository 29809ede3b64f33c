import csv
from decimal import Decimal
from pathlib import Path

import numpy as np

from darkpool.crossing.clearing import Book, Cross, clear_uniform
from darkpool.fills.priority import priority_permutation
from darkpool.simulation.order_file import Order, parse_orders
from darkpool.units import InstrumentId, InstrumentName, PriceGrid, Side

MINUTE = "2023-12-25T23:01"
GRID = PriceGrid(Decimal("0.25"), Decimal(4805), 1024)


def read_minute(path: Path) -> tuple[list[Order], list[tuple[str, int, Decimal]]]:
    with path.open(encoding="utf-8", newline="") as file:
        rows = [row for row in csv.DictReader(file) if row["time"].startswith(MINUTE)]
    lines = ["account,side,size,limit"]
    for number, row in enumerate(rows):
        lines.append(f"client-{number},{row['side']},{row['contracts']},{row['price']}")
    data = "\n".join(lines).encode()
    plain = [(row["side"], int(row["contracts"]), Decimal(row["price"])) for row in rows]
    return parse_orders(data, MINUTE, GRID, InstrumentName("ESH4")), plain


def test_a_minute_of_real_orders(es_orders_path: Path) -> None:
    orders, plain = read_minute(es_orders_path)
    assert len(orders) == 1302
    for order, (side, size, price) in zip(orders, plain, strict=True):
        assert (order.side.label, order.size, GRID.price_of(order.limit)) == (side, size, price)

    priority = priority_permutation(bytes(32), InstrumentId(bytes(32)), len(orders))
    cross = clear_uniform(
        Book.from_orders([o.limit_order for o in orders], GRID.ticks), GRID.reference_tick, priority
    )
    assert isinstance(cross, Cross)
    price = GRID.price_of(cross.tick)
    volume = {
        tick_price: min(
            sum(size for side, size, limit in plain if side == "buy" and limit >= tick_price),
            sum(size for side, size, limit in plain if side == "sell" and limit <= tick_price),
        )
        for tick_price in {limit for _, _, limit in plain}
    }
    assert volume[price] == cross.volume == max(volume.values())
    for filled_side in Side:
        fills = [int(cross.fills[o.row - 2]) for o in orders if o.side is filled_side]
        assert sum(fills) == cross.volume
    for order in orders:
        fill = int(cross.fills[order.row - 2])
        assert 0 <= fill <= order.size
        assert not fill or order.side is Side.SELL or GRID.price_of(order.limit) >= price
        assert not fill or order.side is Side.BUY or GRID.price_of(order.limit) <= price
    long_side = [order for order in orders if order.side is not cross.short_side]
    partial = [order for order in long_side if 0 < cross.fills[order.row - 2] < order.size]
    assert len(partial) <= 1
    ranks = np.array([priority[o.row - 2] for o in long_side if cross.fills[o.row - 2] == o.size])
    assert all(ranks.max() < priority[order.row - 2] for order in partial)
