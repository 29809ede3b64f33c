"""Whole auctions whose reference price chooses between prices, and the audit of their records."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from crypto.bfv.ciphertext import Ciphertext
from darkpool.auction import interval
from darkpool.crossing import prices
from darkpool.crossing.prices import PriceRule
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
    found = {shown.instrument: shown.price for shown in result.instruments}
    assert found == {name: GRID.price_of(Tick(tick)) for name, (tick, _) in BOOKS.items()}
    assert plain_twin(orders(), terms, result.outcome.beacon.value)[1] == result.fills
    report = audit(tmp_path / "record")
    assert report.ok, failed(report)


def another_reference(monkeypatch: pytest.MonkeyPatch) -> None:
    def rule(ticks: int, reference: Tick, fixed: bool) -> PriceRule:
        return PriceRule(ticks, Tick(reference + 1), fixed)

    monkeypatch.setattr(interval, "PriceRule", rule)


def ties_as_compared(monkeypatch: pytest.MonkeyPatch) -> None:
    """Above the reference too, where a tie bit is a product."""

    def bits_alone(_evaluator: object, _layout: object, bits: Ciphertext) -> Ciphertext:
        return bits

    monkeypatch.setattr(prices, "reference_tie_bits", bits_alone)


@pytest.mark.parametrize("change", [another_reference, ties_as_compared])
def test_a_venue_with_another_rule_is_found(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    change: Callable[[pytest.MonkeyPatch], None],
) -> None:
    """All else in its record fits, and keypers of its process have signed it."""
    change(monkeypatch)
    one_book = [order for order in orders() if order.instrument == "next-above"]
    run_here(one_book, replace(TERMS, owners_min=1), places=Places(tmp_path / "record"))
    assert set(failed(audit(tmp_path / "record"))) == {"circuits"}
