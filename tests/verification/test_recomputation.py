"""What the auditor computes by itself is what the engine computes."""

from contextlib import suppress
from dataclasses import replace
from decimal import Decimal
from types import SimpleNamespace
from typing import Any, cast

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from darkpool.fills.fills import Fill
from darkpool.fills.priority import priority_permutation
from darkpool.margin.accounts.account import Account
from darkpool.margin.accounts.positions import Position, encode_positions
from darkpool.protocol.results import BalanceLeaf, InstrumentResult, positions_root
from darkpool.record.forms import BalanceRecord
from darkpool.record.reader import Record
from darkpool.settlement import leaves
from darkpool.units import (
    AccountId,
    Cash,
    InstrumentId,
    Lots,
    PriceGrid,
    Side,
    Tick,
    account_id,
    account_of,
)
from darkpool.verification import accounts, outcome
from darkpool.verification.errors import Unsound
from darkpool.verification.report import Findings, Verdict
from darkpool.verification.requirement import MarginModel
from tests.support.records import Published
from tests.support.stated import Stated

SIGNED = st.integers(-(2**200), 2**200)


def account(raw: bytes) -> AccountId:
    return account_id("0x" + raw.hex())


@given(st.binary(min_size=32, max_size=32), st.integers(1, 2048))
def test_priority(beacon: bytes, intents: int) -> None:
    instrument = InstrumentId(bytes(range(32)))
    expected = priority_permutation(beacon, instrument, intents)
    assert np.array_equal(outcome.priority_ranks(beacon, instrument, intents), expected)


@given(st.integers(1, 10**6), st.integers(-1000, 1000), st.integers(1, 2047), st.data())
def test_prices(step: int, reference: int, ticks: int, data: st.DataObject) -> None:
    size = Decimal(step).scaleb(-6)
    grid = PriceGrid(size, reference * size, ticks)
    signed = SimpleNamespace(price=step * reference, tick_size=step, ticks=ticks)
    record = cast("Record", Stated(summary=SimpleNamespace(references=(signed,))))
    tick = data.draw(st.integers(0, ticks - 1))
    assert accounts.price_units(record, 0, tick) == grid.units_of(Tick(tick))


@given(st.lists(st.tuples(st.integers(-50, 50).filter(bool), st.integers(1, 100)), max_size=12))
def test_trades(trades: list[tuple[int, int]]) -> None:
    """Lots, cost and entry after any trades, and after they were closed in part."""
    engine, auditor = Account(), accounts.Position()
    for lots, price in trades:
        engine.trade(0, lots, lots * price)
        auditor.trade(lots, lots * price)
        held = engine.position(0)
        assert (held.net, held.cost, held.entry) == (auditor.net, auditor.cost, auditor.entry)


@given(
    st.dictionaries(
        st.binary(min_size=32, max_size=32),
        st.tuples(SIGNED, SIGNED, SIGNED),
        max_size=5,
    )
)
def test_positions(positions: dict[bytes, tuple[int, int, int]]) -> None:
    held = {InstrumentId(i): Position(n, Cash(c), Cash(p)) for i, (n, c, p) in positions.items()}
    encoded = encode_positions(held)
    read = accounts._positions("before", BalanceRecord(bytes(20), 0, 0, encoded))
    assert {i: (p.net, p.cost, p.entry) for i, p in read.items()} == {
        i: value for i, value in positions.items() if value != (0, 0, 0)
    }
    assert accounts._encode(read) == encoded


@given(st.binary(max_size=300))
def test_positions_that_are_none(encoded: bytes) -> None:
    balance = BalanceRecord(bytes(20), 0, 0, encoded)
    with suppress(Unsound):
        assert accounts._encode(accounts._positions("before", balance)) == encoded


@pytest.mark.parametrize("kind", ["uniform", "reference", "quiet"])
def test_roots(kind: str, request: pytest.FixtureRequest) -> None:
    record = Record.load(request.getfixturevalue(kind).directory)
    identifiers = [InstrumentId(i.identifier) for i in record.summary.instruments]
    fills = [
        Fill(
            fill.intent,
            account(fill.account),
            identifiers[fill.instrument],
            Side(fill.side),
            Lots(fill.size),
            Tick(fill.tick),
        )
        for fill in record.summary.fills
    ]
    results = [
        InstrumentResult(
            InstrumentId(i.identifier),
            i.outcome is not None,
            Tick(0 if i.outcome is None else i.outcome.tick),
            Lots(0 if i.outcome is None else i.outcome.volume),
        )
        for i in record.summary.instruments
    ]
    balance_leaves = [
        BalanceLeaf(
            account(balance.account),
            Cash(balance.withdrawable),
            Cash(balance.encumbered),
            positions_root(balance.positions),
        )
        for balance in record.summary.after
    ]
    assert outcome.fills_root(record) == leaves.fills_root(fills)
    assert outcome.results_root(record) == leaves.results_root(results)
    assert accounts.balances_root(record.summary.after) == leaves.balances_root(balance_leaves)


def margin_findings(record: Record, **changes: Any) -> Findings:
    changed = Stated(
        summary=replace(record.summary, **changes), intents=record.intents, margin=record.margin
    )
    findings = Findings("margin")
    with findings.watch("margin"):
        accounts.check_collateral(cast("Record", changed), findings)
    return findings


def test_collateral_that_does_not_cover_the_caps(uniform: Published) -> None:
    record = Record.load(uniform.directory)
    poor = tuple(replace(balance, withdrawable=0) for balance in record.summary.before)
    assert margin_findings(record).clean
    check = margin_findings(record, before=poor).check("", "")
    assert check.verdict is Verdict.FAILS
    assert check.part == "fill 0, account", "who is short may be in the batch, but not trade"


def test_positions_carry_over_from_the_auction_before(uniform: Published) -> None:
    """The balances after one auction are good balances before the next."""
    record = Record.load(uniform.directory)
    model = MarginModel(record.margin)
    owned = accounts.accounts_of("after", record.summary.after)
    for one in owned.values():
        one.cash += 10**15
    rich = tuple(accounts.balance_of(model, name, one) for name, one in owned.items())
    accounts._book_fills(record, owned)
    after = tuple(accounts.balance_of(model, name, one) for name, one in owned.items())
    assert any(balance.encumbered for balance in after)
    assert margin_findings(record, interval=2, before=rich, after=after).clean
    first = margin_findings(record, before=rich, after=after).check("", "")
    assert "positions" in first.detail
    stolen = replace(after[0], withdrawable=after[0].withdrawable + 1)
    balances = (stolen, *after[1:])
    check = margin_findings(record, interval=2, before=rich, after=balances).check("", "")
    assert "cash after" in check.detail


def test_who_trades_has_initial_margin_afterwards(uniform: Published) -> None:
    """Half of the positions' price range gone since, nobody could have traded."""
    record = Record.load(uniform.directory)
    findings, model = Findings("margin"), MarginModel(record.margin)
    owned = accounts.accounts_of("after", record.summary.after)
    accounts._check_traders(record, owned, model, findings)
    assert findings.clean
    name = record.summary.fills[0].account
    left = accounts.surplus(model, owned[name])
    assert left is not None
    owned[name].cash -= left + 1
    accounts._check_traders(record, owned, model, findings)
    check = findings.check("", "")
    assert check.part == f"collateral after of {account_of(name)}, equity less initial margin"
    assert "got -1" in check.detail
    instrument = next(iter(owned[name].positions))
    owned[name].positions[instrument].net = 10**30
    beyond = Findings("margin")
    accounts._check_traders(record, owned, model, beyond)
    assert "got no margin" in beyond.check("", "").detail
