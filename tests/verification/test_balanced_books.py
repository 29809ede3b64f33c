"""Whole auctions whose reference price chooses between prices, and the audit of their records."""

from dataclasses import replace
from pathlib import Path

from darkpool.simulation.order_file import Order
from darkpool.simulation.twin import plain_twin
from darkpool.simulation.venue import Places
from darkpool.units import AccountLabel, InstrumentName, Lots, Side, Tick
from darkpool.verification.audit import audit
from tests.support.attacked_auctions import GRID, TERMS
from tests.support.audits import failed
from tests.support.one_process import run_here

BUY, SELL, MIDDLE = Side.BUY, Side.SELL, GRID.reference_tick
BOOKS: dict[str, tuple[int, list[tuple[Side, int, int]]]] = {
    "balanced-around": (MIDDLE, [(BUY, 5, MIDDLE + 4), (SELL, 5, MIDDLE - 3), (BUY, 1, 0)]),
    "balanced-at": (MIDDLE, [(BUY, 5, MIDDLE), (SELL, 5, MIDDLE - 3), (BUY, 1, 0)]),
    "balanced-below": (MIDDLE - 2, [(BUY, 5, MIDDLE - 2), (SELL, 5, MIDDLE - 4), (BUY, 1, 0)]),
    "balanced-above": (MIDDLE + 1, [(BUY, 5, MIDDLE + 3), (SELL, 5, MIDDLE + 1), (BUY, 1, 0)]),
    "next-above": (
        MIDDLE + 1,
        [(BUY, 5, MIDDLE), (BUY, 4, MIDDLE + 1), (SELL, 3, MIDDLE), (SELL, 9, MIDDLE + 1)],
    ),
    "at-the-middle": (
        MIDDLE,
        [(BUY, 5, MIDDLE), (BUY, 2, MIDDLE + 1), (SELL, 3, MIDDLE), (SELL, 9, MIDDLE + 1)],
    ),
}


def orders() -> list[Order]:
    made: list[Order] = []
    for name, (_, rows) in BOOKS.items():
        for client, (side, size, limit) in enumerate(rows):
            account = AccountLabel(f"client-{client}")
            instrument = InstrumentName(name)
            made.append(Order(len(made), account, instrument, side, Lots(size), Tick(limit)))
    return made


def test_the_reference_chooses_and_the_audit_holds(tmp_path: Path) -> None:
    terms = replace(TERMS, owners_min=1)
    result = run_here(orders(), terms, places=Places(tmp_path / "record"))
    prices = {shown.instrument: shown.price for shown in result.instruments}
    assert prices == {name: GRID.price_of(Tick(tick)) for name, (tick, _) in BOOKS.items()}
    assert plain_twin(orders(), terms, result.outcome.beacon.value)[1] == result.fills
    report = audit(tmp_path / "record")
    assert report.ok, failed(report)
