"""The venue of one machine, on the small rings: everything real but the security of the rings."""

import json
import stat
from collections.abc import Iterator
from dataclasses import dataclass, replace
from decimal import Decimal
from multiprocessing import active_children
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from crypto.errors import SealingMismatch
from crypto.ring.params import TEST_INSECURE_SMALL
from darkpool.auction.listing import OutrightListing
from darkpool.auction.terms import VenueTerms
from darkpool.chain.client import Chain
from darkpool.client.disclosure import disclose
from darkpool.client.errors import InvalidOpeningFile
from darkpool.client.opening_file import OpeningFile
from darkpool.clock import SystemClock
from darkpool.errors import BadInput, NoBucket, OutOfBounds, WrongType
from darkpool.limits import REFERENCE_AGE_AT_CLOSE_MAX_MS, REFERENCE_AGE_MAX_MS
from darkpool.margin.errors import BeyondMargin
from darkpool.protocol.leaves import decode_leaves
from darkpool.protocol.refusals import StaleReference
from darkpool.protocol.terms import Pricing
from darkpool.record.errors import RecordExists
from darkpool.record.reader import Record
from darkpool.simulation import venue
from darkpool.simulation.clock import SimulatedClock
from darkpool.simulation.errors import FolderExists, FoldersNested, TwinDiffers, UnmakeableFolder
from darkpool.simulation.order_file import Order, parse_orders
from darkpool.simulation.result import VenueResult
from darkpool.simulation.twin import GRID, generated_orders, plain_twin, verify_twin
from darkpool.simulation.venue import Places, Progress, VenueSetting, run_orders
from darkpool.units import Cash, InstrumentName, PriceGrid, Side
from darkpool.verification.audit import audit
from tests.support.one_process import run_here

FEW_TICKS = PriceGrid(Decimal("0.25"), Decimal(4805), 32)
TERMS = VenueTerms(OutrightListing(FEW_TICKS, 100_000, 50), Pricing.UNIFORM, owners_min=1)
HEADER = "account,side,size,limit,instrument\n"
ORDERS = HEADER + (
    "ann,buy,5,4806,ES\n"
    "bob,sell,3,4804.5,ES\n"
    "cid,sell,7,4805,ES\n"
    "dan,buy,1,4802,ES\n"
    "ann,buy,1,4802,NQ\n"
    "bob,sell,1,4803,NQ\n"
)


def read(text: str) -> list[Order]:
    return parse_orders(text.encode(), "orders", FEW_TICKS, InstrumentName("ES"))


def silent(_step: str, _done: int, _total: int) -> None:
    return


def run(
    orders: list[Order],
    terms: VenueTerms = TERMS,
    places: Places = Places(),  # noqa: B008
    progress: Progress = silent,
) -> VenueResult:
    return run_here(orders, terms, places=places, progress=progress)


def run_with_workers(orders: list[Order], places: Places, progress: Progress) -> VenueResult:
    setting = VenueSetting(TEST_INSECURE_SMALL, Chain.embedded, places, progress)
    return run_orders(orders, TERMS, setting)


@dataclass(frozen=True)
class Run:
    orders: list[Order]
    result: VenueResult
    record: Path
    openings: Path
    state: Path
    steps: list[tuple[str, int, int]]


@pytest.fixture(scope="module")
def state(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Where temporary folders are made."""
    folder = tmp_path_factory.mktemp("state")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("tempfile.tempdir", str(folder))
        yield folder


@pytest.fixture(scope="module")
def done(tmp_path_factory: pytest.TempPathFactory, state: Path) -> Run:
    folder = tmp_path_factory.mktemp("venue")
    steps: list[tuple[str, int, int]] = []
    places = Places(folder / "record", folder / "openings")
    orders = read(ORDERS)
    result = run_with_workers(
        orders, places, lambda step, done, total: steps.append((step, done, total))
    )
    return Run(orders, result, folder / "record", folder / "openings", state, steps)


def test_the_result_is_the_twin_s(done: Run) -> None:
    first, second = done.result.instruments
    assert (first.instrument, first.price, first.volume) == ("ES", Decimal("4805.00"), 5)
    assert first.short_side is Side.BUY
    assert (second.instrument, second.price, second.volume) == ("NQ", None, 0)
    verify_twin(done.orders, TERMS, done.result)
    assert {fill.row for fill in done.result.fills} <= {2, 3, 4}


def test_a_twin_that_differs_is_noticed(done: Run) -> None:
    others = read(ORDERS.replace("cid,sell,7", "cid,buy,7"))
    with pytest.raises(TwinDiffers):
        verify_twin(others, TERMS, done.result)


def test_the_record_passes_its_audit(done: Run) -> None:
    report = audit(done.record)
    assert report.ok, report.checks
    assert done.result.record == done.record


def test_steps_are_told_in_order(done: Run) -> None:
    names = list(dict.fromkeys(name for name, _, _ in done.steps))
    expected = "keys chain deposit admit masks close shape cross margin settle record"
    assert names == expected.split()
    assert list(done.result.timings_ms) == [
        *("keys", "chain", "deposit", "seal", "admit", "masks", "close"),
        *("shape", "close_to_fills", "margin", "settle", "record"),
    ]
    assert min(done.result.timings_ms.values()) >= 0


def test_every_opening_opens_its_own_intent_and_no_other(done: Run) -> None:
    for index, order in enumerate(done.orders):
        text = (done.openings / f"{index}.json").read_text()
        disclosed = disclose(done.record, index, text)
        assert (disclosed.side, disclosed.size) == (order.side, order.size)
        assert disclosed.limit == FEW_TICKS.price_of(order.limit)
        assert disclosed.instrument == order.instrument
        filled = [fill.size for fill in done.result.fills if fill.row == order.row]
        assert disclosed.filled == sum(filled)
        with pytest.raises(SealingMismatch):
            disclose(done.record, (index + 1) % len(done.orders), text)


@pytest.mark.parametrize("intent", [-1, 6])
def test_there_is_no_such_intent(done: Run, intent: int) -> None:
    with pytest.raises(OutOfBounds, match="expected 0 to 5"):
        disclose(done.record, intent, (done.openings / "0.json").read_text())


def test_an_opening_file_has_to_be_one(done: Run) -> None:
    with pytest.raises(InvalidOpeningFile):
        disclose(done.record, 0, "{}")


def test_openings_are_for_their_owners_alone(done: Run) -> None:
    assert stat.S_IMODE(done.openings.stat().st_mode) == 0o700
    for path in done.openings.iterdir():
        assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_nothing_of_an_opening_is_in_the_record(done: Run) -> None:
    public = b"\0".join(path.read_bytes() for path in done.record.rglob("*") if path.is_file())
    for index in range(len(done.orders)):
        opening = OpeningFile.from_json((done.openings / f"{index}.json").read_text())
        for secret in (opening.intent.salt, opening.intent.root_seed):
            assert secret not in public
            assert secret.hex().encode() not in public
    for label in ("ann", "bob", "cid", "dan"):
        assert f'"{label}"'.encode() not in public


def test_the_state_of_the_keypers_is_gone(done: Run) -> None:
    assert not list(done.state.glob("darkpool-*"))
    assert not active_children()


def test_accounts_are_fresh_in_every_run(done: Run) -> None:
    record = Record.load(done.record)
    accounts = {flow.account for flow in record.summary.flows}
    assert len(accounts) == 4
    again = run(done.orders)
    assert again.record is None
    assert again.instruments == done.result.instruments
    (leaves,) = decode_leaves(again.outcome.settlement.leaves, 1)
    assert not accounts & {leaf.account for leaf in leaves}


@pytest.mark.parametrize("places", ["record", "openings"])
def test_nothing_is_written_over(done: Run, tmp_path: Path, places: str) -> None:
    (tmp_path / "there").mkdir()
    here = Places(**{places: tmp_path / "there"})
    with pytest.raises((RecordExists, FolderExists)):
        run(done.orders, places=here, progress=unexpected)
    assert [path.name for path in tmp_path.iterdir()] == ["there"]


def unexpected(step: str, _done: int, _total: int) -> None:
    pytest.fail(f"{step} has begun")


@pytest.mark.parametrize(("record", "openings"), [("a", "a"), ("a", "a/b"), ("a/b", "a")])
def test_openings_lie_apart_from_the_record(
    done: Run, tmp_path: Path, record: str, openings: str
) -> None:
    with pytest.raises(FoldersNested):
        run(done.orders, places=Places(tmp_path / record, tmp_path / openings))
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("places", ["record", "openings"])
@pytest.mark.parametrize(
    ("path", "error"), [(Path("a\0b"), UnmakeableFolder), ("record", WrongType)]
)
def test_what_is_no_path_is_refused_before_anything_is_done(
    done: Run, places: str, path: Any, error: type[BadInput]
) -> None:
    with pytest.raises(error):
        run(done.orders, places=Places(**{places: path}), progress=unexpected)


class Interrupted(BaseException):
    pass


@pytest.mark.parametrize("last", ["deposit", "admit", "cross", "record"])
def test_whatever_ends_a_run_leaves_nothing(done: Run, tmp_path: Path, last: str) -> None:
    def interrupt(step: str, _done: int, _total: int) -> None:
        if step == last:
            raise Interrupted

    with pytest.raises(Interrupted):
        run_with_workers(done.orders, Places(tmp_path / "record", tmp_path / "openings"), interrupt)
    assert not list(tmp_path.iterdir())
    assert not list(done.state.glob("darkpool-*"))
    for child in active_children():
        child.join(10)
    assert not active_children()


@pytest.mark.parametrize(("rate", "multiplier"), [(-1, 1), (1_000_001, 1), (1, 0), (1, 1_000_001)])
def test_terms_have_bounds(rate: int, multiplier: int) -> None:
    with pytest.raises(OutOfBounds):
        OutrightListing(FEW_TICKS, rate, multiplier)


@pytest.mark.parametrize(
    "changes", [{"pricing": "uniform"}, {"owners_min": 4.0}, {"owners_min": True}, {"bond": "4"}]
)
def test_terms_are_of_their_kinds(changes: dict[str, Any]) -> None:
    with pytest.raises(WrongType):
        replace(TERMS, **changes)
    for rate, multiplier in ((0.5, 1), ("10%", 1), (1, 1.0), (1, None)):
        with pytest.raises(WrongType):
            OutrightListing(FEW_TICKS, rate, multiplier)  # type: ignore[arg-type]
    with pytest.raises(WrongType):
        OutrightListing(Decimal(4805))  # type: ignore[arg-type]
    listing = OutrightListing(FEW_TICKS, np.int64(5), np.uint8(2))  # type: ignore[arg-type]
    assert (type(listing.margin_rate_ppm), type(listing.multiplier)) == (int, int)
    with pytest.raises(WrongType):
        generated_orders(7.0)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("changes", "error"),
    [
        ({"owners_min": 0}, OutOfBounds),
        ({"owners_min": 2049}, OutOfBounds),
        ({"cap_min": 3}, NoBucket),
        ({"bond": -1}, OutOfBounds),
        ({"bond_charge_ppm": 1_000_001}, OutOfBounds),
    ],
)
def test_public_rules_have_bounds(changes: dict[str, int], error: type[BadInput]) -> None:
    with pytest.raises(error):
        replace(TERMS, **changes)  # type: ignore[arg-type]


@pytest.mark.parametrize("pricing", list(Pricing))
def test_no_bond_and_no_margin(tmp_path: Path, pricing: Pricing) -> None:
    terms = VenueTerms(OutrightListing(FEW_TICKS, 0, 1), pricing, owners_min=1, bond=Cash(0))
    orders = read(ORDERS)
    result = run(orders, terms, Places(tmp_path / "record"))
    verify_twin(orders, terms, result)
    held = [state for state in result.outcome.applied.after if state.positions]
    assert held
    assert all(state.free == state.cash for state in held)
    assert all(one.before == one.after == 0 <= one.equity for one in result.margins)
    assert audit(tmp_path / "record", quick=True).ok


class StandingClock(SimulatedClock):
    """A clock that stands still until it is moved, or skipped."""

    def skip_to(self, unix_ms: int) -> None:
        self.advance(max(0, unix_ms - SimulatedClock.unix_ms(self)))


class PassingClock(StandingClock):
    """A clock on which some time passes whenever somebody looks at it."""

    def __init__(self, unix_ms: int, passes_ms: int) -> None:
        super().__init__(unix_ms)
        self.passes_ms = passes_ms

    def unix_ms(self) -> int:
        now_ms = super().unix_ms()
        self.advance(self.passes_ms)
        return now_ms


def test_no_auction_opens_on_a_stale_reference(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    clock = PassingClock(SystemClock().unix_ms(), REFERENCE_AGE_MAX_MS + 1)
    monkeypatch.setattr(venue, "SkippingClock", lambda _begins_ms: clock)
    steps: list[str] = []
    with pytest.raises(StaleReference):
        run(read(ORDERS), places=Places(tmp_path / "r"), progress=lambda s, *_: steps.append(s))
    assert steps[-1] == "chain"
    assert not (tmp_path / "r").exists()


def test_keypers_open_nothing_on_a_reference_that_is_too_old_by_then(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    clock = StandingClock(SystemClock().unix_ms())
    monkeypatch.setattr(venue, "SkippingClock", lambda _begins_ms: clock)
    steps: list[str] = []

    def wait_at_close(step: str, _done: int, _total: int) -> None:
        steps.append(step)
        if step == "close":
            clock.advance(REFERENCE_AGE_AT_CLOSE_MAX_MS + 1)

    with pytest.raises(StaleReference):
        run(read(ORDERS), places=Places(tmp_path / "r"), progress=wait_at_close)
    assert steps[-1] == "close"
    assert not (tmp_path / "r").exists()


def test_an_order_beyond_what_margin_is_computed_for_is_refused() -> None:
    orders = read(HEADER + "ann,sell,10000000,4805,ES\n")
    with pytest.raises(BeyondMargin, match="exposure") as caught:
        run(orders)
    assert caught.value.exit_code == 2


def test_one_order_does_not_cross() -> None:
    orders = read(HEADER + "ann,sell,1000000,4805,ES\n")
    result = run(orders)
    assert plain_twin(orders, TERMS, result.outcome.beacon.value) == (result.instruments, ())
    assert result.instruments[0].price is None


def test_the_orders_of_the_demonstration_follow_from_their_seed() -> None:
    orders = generated_orders(7)
    assert orders == generated_orders(7) != generated_orders(8)
    assert [order.row for order in orders] == list(range(2, 26))
    assert all(0 <= order.limit < GRID.ticks and order.size >= 1 for order in orders)
    assert len({(order.account, order.instrument) for order in orders}) == 24


def test_an_opening_file_tells_the_order(done: Run) -> None:
    document = json.loads((done.openings / "2.json").read_text())
    assert document["intent"]["size"] == 7
    assert document["intent"]["side"] == Side.SELL
