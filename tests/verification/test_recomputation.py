"""What the auditor computes by itself is what the engine computes."""

from concurrent.futures import ThreadPoolExecutor
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
from darkpool.protocol.leaves import BLOB_BYTES, blobs_of, versioned_hashes
from darkpool.protocol.results import InstrumentResult, encode_results
from darkpool.record.reader import Record
from darkpool.settlement.fill_tree import fills_root
from darkpool.settlement.state import AccountState, state_root
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
from darkpool.verification import accounts, collateral, leaves, outcome
from darkpool.verification.basis import Basis
from darkpool.verification.custody import Settled
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
    read = accounts.read_positions("positions", encoded)
    assert {i: (p.net, p.cost, p.entry) for i, p in read.items()} == {
        i: value for i, value in positions.items() if value != (0, 0, 0)
    }
    assert accounts.encode_positions(read) == encoded


@given(st.binary(max_size=300))
def test_positions_that_are_none(encoded: bytes) -> None:
    with suppress(Unsound):
        assert accounts.encode_positions(accounts.read_positions("before", encoded)) == encoded


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
    traded = {i.identifier for i in record.summary.instruments if i.intents}
    results = [
        InstrumentResult(
            InstrumentId(i.identifier),
            i.outcome is not None,
            Tick(0 if i.outcome is None else i.outcome.tick),
            Lots(0 if i.outcome is None else i.outcome.volume),
        )
        for i in record.summary.instruments
    ]
    states = [
        AccountState(
            account(state.account),
            state.cash,
            state.debt,
            state.granted,
            state.is_pruned,
            state.free,
            {
                InstrumentId(i): Position(p.net, Cash(p.cost), Cash(p.entry))
                for i, p in accounts.read_positions("after", state.positions).items()
            },
        )
        for state in record.summary.after
    ]
    time_ms = record.margin.market.time_ms
    assert outcome.fills_root(record) == fills_root(fills)
    assert outcome.encode_results(record) == encode_results(
        r for r in results if r.instrument in traded
    )
    assert leaves.state_root(record.summary.after, time_ms) == state_root(states, time_ms)


def changed_basis(record: Record, **changes: Any) -> Basis:
    summary = replace(record.summary, **changes)
    stated = Stated(summary=summary, intents=record.intents, margin=record.margin)
    return Basis(cast("Record", stated))


def findings_of(record: Record, **changes: Any) -> Findings:
    findings = Findings("collateral")
    with findings.watch("collateral"):
        collateral.check_collateral(changed_basis(record, **changes), findings)
    return findings


def test_collateral_that_does_not_cover_the_caps(uniform: Published) -> None:
    record = Record.load(uniform.directory)
    poor = tuple(replace(flow, amount=0) for flow in record.summary.flows)
    assert findings_of(record).clean
    check = findings_of(record, flows=poor).check("", "")
    assert check.verdict is Verdict.FAILS
    assert check.part == "fill 0, account", "who is short may be in the batch, but not trade"


def test_positions_carry_over_from_the_auction_before(uniform: Published) -> None:
    """The states after one auction are good states before the next."""
    record = Record.load(uniform.directory)
    rich = tuple(replace(state, cash=10**15) for state in record.summary.after)
    basis = changed_basis(record, before=rich, flows=())
    after = collateral.check_collateral(basis, Findings("collateral"))
    assert any(0 < state.free < state.cash for state in after)
    nothing: Any = {"before": rich, "flows": ()}
    assert findings_of(record, **nothing, after=after).clean
    stolen = replace(after[0], cash=after[0].cash + 1)
    check = findings_of(record, **nothing, after=(stolen, *after[1:])).check("", "")
    assert check.part == f"collateral after of {account_of(stolen.account)}, cash"


def test_what_came_in_is_what_there_is(uniform: Published, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also where code that books a deposit twice were to agree with the record."""
    record = Record.load(uniform.directory)

    def twice(state: Settled, *counted: Any) -> None:
        count(state, *counted)
        next(iter(state.balances.accounts.values())).cash += 1

    count = Settled.count
    monkeypatch.setattr(Settled, "count", twice)
    basis = changed_basis(record)
    after = collateral.check_collateral(basis, Findings("collateral"))
    check = findings_of(record, after=after).check("", "")
    assert check.part == "collateral after, cash and grants"


def test_who_trades_has_initial_margin_afterwards(uniform: Published) -> None:
    """Half of the positions' price range gone since, nobody could have traded."""
    record = Record.load(uniform.directory)
    findings, basis = Findings("collateral"), Basis(record)
    state = basis.committed()
    collateral._book_fills(record, state)
    collateral._check_traders(basis, state, findings)
    assert findings.clean
    name = record.summary.fills[0].account
    owned = state.balances.of(name)
    left = accounts.surplus(basis.model, owned)
    assert left is not None
    owned.cash -= left + 1
    collateral._check_traders(basis, state, findings)
    check = findings.check("", "")
    assert check.part == f"collateral after of {account_of(name)}, equity less initial margin"
    assert "got -1" in check.detail
    owned.positions[next(iter(owned.positions))].net = 10**30
    beyond = Findings("collateral")
    collateral._check_traders(basis, state, beyond)
    assert "got no margin" in beyond.check("", "").detail


def test_blobs_are_named_as_those_that_are_sent() -> None:
    for data in (b"", bytes(range(256)), b"\7" * (BLOB_BYTES + 1)):
        assert leaves.blob_hashes(data) == versioned_hashes(blobs_of(data))
    with pytest.raises(Unsound, match="bytes"):
        leaves.blob_hashes(bytes(6 * BLOB_BYTES + 1))


def test_examinations_in_several_threads_share_nothing(uniform: Published) -> None:
    """Each has its own model of margin, made once."""
    records = [Record.load(uniform.directory) for _ in range(4)]
    made: list[MarginModel] = []

    def examine(record: Record) -> MarginModel:
        basis = Basis(record)
        assert collateral.check_collateral(basis, Findings("collateral"))
        made.append(basis.model)
        return basis.model

    with ThreadPoolExecutor(4) as pool:
        models = list(pool.map(examine, records))
    assert len({id(model) for model in models}) == len(made) == 4
