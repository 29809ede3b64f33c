"""Instruments that an order file alone names: one that cannot cross is taken for a misspelling."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from typing import Final

from darkpool.simulation.errors import RareInstruments
from darkpool.simulation.order_file import Order
from darkpool.units import InstrumentName

_SIDES: Final = 2
"""An account has one order for an instrument, so nothing trades with fewer accounts."""


def require_no_misspelling(orders: Sequence[Order], source: str, owners_min: int) -> None:
    """Check that every instrument of several has enough accounts to cross at all.

    Raises:
        RareInstruments: names those that have not, each with the row that names it first.
    """
    rows: dict[InstrumentName, list[int]] = defaultdict(list)
    for order in orders:
        rows[order.instrument].append(order.row)
    accounts_min = max(owners_min, _SIDES)
    rare = [
        f"{name}, from row {found[0]} on: {len(found)}"
        for name, found in rows.items()
        if len(found) < accounts_min
    ]
    if len(rows) > 1 and rare:
        raise RareInstruments(source, accounts_min, rare)
