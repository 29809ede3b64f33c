"""Whole auctions with minimum-fill orders, their records, and attackers whose minimum is none."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from coincurve import PrivateKey

from crypto.signing.messages import instrument_id
from darkpool.chain.client import Chain
from darkpool.protocol.terms import Pricing
from darkpool.record.reader import Record
from darkpool.simulation.order_file import Order
from darkpool.simulation.result import VenueResult
from darkpool.simulation.twin import plain_twin
from darkpool.simulation.venue import Places
from darkpool.units import InstrumentId, Lots, Side, Tick
from darkpool.verification.audit import audit
from darkpool.wargames.intruders import INTRUDER_CAP, Intruder
from darkpool.wargames.minimums import NO_MINIMUM
from tests.support.attacked_auctions import TERMS, require_twin_of_the_rest, run
from tests.support.audits import failed
from tests.support.one_process import run_here
from tests.support.records import Copy, Published, orders_of


def with_minima(names: str, seed: int) -> list[Order]:
    """Every third order has a minimum, of one lot, half its size or all of it."""
    return [
        replace(order, minimum=Lots((1, -(-order.size // 2), order.size)[order.row // 3 % 3]))
        if order.row % 3 == 1
        else order
        for order in orders_of(names, seed)
    ]


def surplus(exhausted: bool) -> list[Order]:
    """Plain buyers want 20 lots, sellers offer 8; two minimum-fill sellers would fill the rest."""
    base = orders_of("A", 1)[:6]
    wanted = [(Side.BUY, 9, 0), (Side.BUY, 11, 0), (Side.SELL, 8, 0), (Side.SELL, 4, 4)]
    wanted += [(Side.SELL, 30 if exhausted else 5, 5), (Side.BUY, 3, 3)]
    return [
        replace(order, side=side, size=Lots(size), limit=Tick(5), minimum=Lots(minimum))
        for order, (side, size, minimum) in zip(base, wanted, strict=True)
    ]


@pytest.mark.parametrize("pricing", Pricing)
@pytest.mark.parametrize("seed", [1, 2])
def test_the_result_is_the_plain_twins_and_the_audit_holds(
    tmp_path: Path, pricing: Pricing, seed: int
) -> None:
    orders, terms = with_minima("AB", seed), replace(TERMS, pricing=pricing)
    result = run_here(orders, terms, places=Places(tmp_path / "record"))
    instruments, fills = plain_twin(orders, terms, result.outcome.beacon.value)
    assert {i.instrument: i for i in result.instruments} == {i.instrument: i for i in instruments}
    assert result.fills == fills
    report = audit(tmp_path / "record")
    assert report.ok, failed(report)


@pytest.fixture(params=[False, True], ids=["surplus left", "surplus used up"])
def filled(request: pytest.FixtureRequest, tmp_path: Path) -> tuple[VenueResult, Published, bool]:
    directory = tmp_path / "record"
    result = run(surplus(request.param), (), directory)
    return result, Published(directory, Chain.embedded()), request.param


def test_minimum_fill_orders_fill_from_the_surplus_and_a_forged_record_is_found(
    filled: tuple[VenueResult, Published, bool], copy_of: Callable[[Published], Copy]
) -> None:
    result, published, exhausted = filled
    require_twin_of_the_rest(surplus(exhausted), result)
    (only,) = result.instruments
    assert only.exhausted == exhausted
    filling = {fill.row for fill in result.fills}
    assert filling & {3, 4}
    assert 5 not in filling
    assert not failed(audit(published.directory))

    def claim(tree: Any) -> None:
        tree["summary"]["instruments"][0]["outcome"]["exhausted"] ^= True

    copy: Copy = copy_of(published)
    copy.change("record.json", claim)
    copy.reseal()
    assert "exhausted" in failed(audit(copy.directory, quick=True))["results"]

    def kind(tree: Any) -> None:
        tree["intents"][0]["sealed"]["minimum_fill"] ^= True

    copy = copy_of(published)
    copy.change("intents.json", kind)
    copy.reseal()
    assert "intents" in failed(audit(copy.directory, quick=True))


def test_what_is_opened_of_minimum_fill_orders_are_their_fills(
    filled: tuple[VenueResult, Published, bool],
) -> None:
    result, published, exhausted = filled
    record = Record.load(published.directory)
    purposes = [entry.purpose for entry in record.openings if "lanes" not in entry.purpose]
    minimum_fill = [
        purpose for purpose in purposes if purpose.startswith(("minimum-fill", "exhausted"))
    ]
    shown = len([fill for fill in result.fills if fill.row in (3, 4)]) - exhausted
    assert minimum_fill == ["minimum-fill bits 0", "exhausted 0"] + ["minimum-fill row 0"] * (
        shown > 0
    )
    assert ("ration bits 0" in purposes) != exhausted


@pytest.mark.parametrize("kind", NO_MINIMUM)
def test_a_minimum_that_is_none_is_named_and_the_rest_trades(tmp_path: Path, kind: str) -> None:
    orders = with_minima("A", 3)
    instrument = InstrumentId(instrument_id("A"))
    attackers = [Intruder(kind, instrument, INTRUDER_CAP, PrivateKey().secret) for _ in range(2)]
    result = run(orders, attackers, tmp_path / "record")
    assert [(taken.kind, taken.fault.value) for taken in result.taken_out] == [(kind, "cap")] * 2
    require_twin_of_the_rest(orders, result)
    assert audit(tmp_path / "record").ok


def test_an_auction_of_minimum_fill_orders_alone_opens_no_price_and_its_record_holds(
    tmp_path: Path,
) -> None:
    orders = [replace(order, minimum=Lots(1)) for order in orders_of("A", 2)]
    result = run(orders, (), tmp_path / "record")
    assert not result.fills
    assert {left.missing.value for left in result.left_out} == {"owners"}
    assert not failed(audit(tmp_path / "record"))


class Disguised(Intruder):
    """Seals what is no order, and says that it is a minimum-fill order."""

    @property
    def minimum_fill(self) -> bool:
        return True


def test_a_malformed_minimum_fill_order_is_named_among_orders_of_both_kinds(tmp_path: Path) -> None:
    """The search opens sums over minimum-fill orders alone."""
    orders, instrument = with_minima("A", 3), InstrumentId(instrument_id("A"))
    attackers = [
        Disguised(kind, instrument, INTRUDER_CAP, PrivateKey().secret) for kind in ("hump", "gap")
    ]
    result = run(orders, attackers, tmp_path / "record")
    named = sorted((str(taken.kind), taken.fault.value) for taken in result.taken_out)
    assert named == [("gap", "shape"), ("hump", "shape")]
    require_twin_of_the_rest(orders, result)
    assert not failed(audit(tmp_path / "record"))
