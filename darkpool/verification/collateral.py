"""Collateral: it covers caps and bonds, is charged for what is no intent, and moves by fills."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from itertools import pairwise

from darkpool.record.core import RecordView
from darkpool.record.forms import StateRecord
from darkpool.units import account_of
from darkpool.verification.accounts import Position, live_intent, price_units, surplus
from darkpool.verification.basis import Basis
from darkpool.verification.custody import Settled
from darkpool.verification.errors import Unsound
from darkpool.verification.leaves import TREASURY
from darkpool.verification.report import Findings

UNITS_PER_ONE = 10**6


def check_terms(basis: Basis, findings: Findings) -> None:
    """What is traded are contracts that have not expired, on grids; bonds are a part at most.

    Charges go to the vault's own account of the treasury: what the treasury owns has a leaf that no
    client claims, so a client that was the treasury would lose all that it has.
    """
    record, model = basis.record, basis.model
    contracts = record.margin.specification.contracts
    for number, instrument in enumerate(record.summary.instruments):
        part = f"instrument {instrument.name}"
        with findings.watch(part):
            contract = contracts[live_intent(record, model, number, 1).contract_index]
            findings.equal(f"{part}, name", contract.name, instrument.name)
            expiry_ms = contract.expiry_ms
            if expiry_ms is not None and expiry_ms <= record.margin.market.time_ms:
                findings.add(f"{part}, expiry", "after the time of the market", expiry_ms)
    if record.summary.ticks < 1:
        findings.add("ticks", "at least one", record.summary.ticks)
    if record.summary.bond.charge_ppm > UNITS_PER_ONE:
        findings.add("bond, charge", "at most the whole", record.summary.bond.charge_ppm)
    findings.equal("bond, treasury", TREASURY, record.summary.bond.treasury)


def check_collateral(basis: Basis, findings: Findings) -> tuple[StateRecord, ...]:
    """Rebuild the states after the interval from those before it; returns them.

    Flows, caps, rejections, fills, marks and what was paid lead from one to the other.

    Raises:
        Unsound: the record's parts do not give any.
    """
    summary = basis.record.summary
    for what, states in (("before", summary.before), ("after", summary.after)):
        _check_order(f"collateral {what}, accounts", [s.account for s in states], findings)
    _check_order("paid, accounts", [paid.account for paid in summary.paid], findings)
    for paid in summary.paid:
        if not paid.amount:
            findings.add(f"paid to {account_of(paid.account)}", "more than nothing", 0)
    _check_flows(basis.record, findings)
    _check_covered(basis, findings)
    state = basis.committed()
    _charge_bonds(basis.record, state, findings)
    _book_fills(basis.record, state)
    _check_traders(basis, state, findings)
    paid_before = {paid.account: paid.amount for paid in summary.paid}
    derived = state.settle(basis.waiting.requests, paid_before, basis.model)
    _check_states(derived, summary.after, findings)
    _check_conservation(basis, state, findings)
    return derived


def _check_order(part: str, names: Sequence[bytes], findings: Findings) -> None:
    for one, next_one in pairwise(names):
        if one >= next_one:
            findings.add(part, "ascending, each once", next_one)
            return


def _check_flows(record: RecordView, findings: Findings) -> None:
    """Flows have the numbers up to the last one that the batch counts, none left out."""
    flows, last = record.summary.flows, record.summary.batch.flows
    expected = range(last - len(flows) + 1, last + 1)
    for number, flow in zip(expected, flows, strict=True):
        if flow.index != number:
            findings.add("flows, index", number, flow.index)
            return


def _check_covered(basis: Basis, findings: Findings) -> None:
    """Uncovered accounts have no fill and no rejection."""
    record, uncovered = basis.record, basis.uncovered
    expected = "one that covers its bond and its caps"
    for index, fill in enumerate(record.summary.fills):
        if fill.account in uncovered:
            findings.add(f"fill {index}, account", expected, fill.account)
    for index, rejection in enumerate(record.summary.rejections):
        name = record.intents[rejection.intent].sealed.account
        if name in uncovered:
            findings.add(f"rejection {index}, account", expected, name)


def _charge_bonds(record: RecordView, state: Settled, findings: Findings) -> None:
    """What each rejected intent costs its account, as long as there is something of its bond."""
    rejections, bond = record.summary.rejections, record.summary.bond
    rejected = [entry.intent for entry in rejections]
    if rejected != sorted(set(rejected)):
        findings.add("rejections", "intents that ascend, each once", rejected)
    left: dict[bytes, int] = {}
    for batch_index in rejected:
        name = record.intents[batch_index].sealed.account
        held = left.get(name, bond.amount)
        charge = min(held, -(-bond.amount * bond.charge_ppm // UNITS_PER_ONE))
        left[name] = held - charge
        state.balances.of(name).cash -= charge
        state.balances.of(bond.treasury).cash += charge


def _book_fills(record: RecordView, state: Settled) -> None:
    """What covers the rest of a cap is free again, so only fills change an account."""
    multipliers = {c.name: c.multiplier for c in record.margin.specification.contracts}
    for index, fill in enumerate(record.summary.fills):
        instrument = record.summary.instruments[fill.instrument]
        multiplier = multipliers.get(instrument.name)
        if multiplier is None:
            raise Unsound(f"fill {index}", "a contract of the specification", instrument.name)
        held = state.balances.of(fill.account).positions
        lots = -fill.size if fill.side else fill.size
        price = price_units(record, fill.instrument, fill.tick)
        held.setdefault(instrument.identifier, Position()).trade(lots, lots * price * multiplier)


def _check_traders(basis: Basis, state: Settled, findings: Findings) -> None:
    """Every account that traded has initial margin for what it holds then."""
    for name in sorted({fill.account for fill in basis.record.summary.fills}):
        left = surplus(basis.model, state.balances.of(name))
        if left is None or left < 0:
            part = f"collateral after of {account_of(name)}, equity less initial margin"
            findings.add(part, "at least 0", "no margin" if left is None else left)


def _check_states(
    derived: Sequence[StateRecord], stated: Sequence[StateRecord], findings: Findings
) -> None:
    """The stated states are the derived ones, of the same accounts."""
    expected = {state.account: state for state in derived}
    got = {state.account: state for state in stated}
    for name in sorted({*expected, *got}):
        if expected.get(name) == got.get(name):
            continue
        part = f"collateral after of {account_of(name)}"
        if name not in got:
            findings.add(part, "a state", "none")
        elif name not in expected:
            findings.add(part, "none", "a state")
        else:
            findings.equal(part, expected[name], got[name])


def _check_conservation(basis: Basis, state: Settled, findings: Findings) -> None:
    """What came in is what there is and what was granted; positions add up to nothing."""
    held = sum(before.cash + before.granted for before in basis.record.summary.before)
    counted = sum(basis.waiting.deposits.values())
    accounts = state.balances.accounts.values()
    derived = sum(account.cash for account in accounts) + sum(state.granted.values())
    findings.equal("collateral after, cash and grants", held + counted, derived)
    net: dict[bytes, int] = defaultdict(int)
    cost: dict[bytes, int] = defaultdict(int)
    for account in accounts:
        for instrument, position in account.positions.items():
            net[instrument] += position.net
            cost[instrument] += position.cost
    for instrument in net:
        findings.equal(f"positions in 0x{instrument.hex()}, lots", 0, net[instrument])
        findings.equal(f"positions in 0x{instrument.hex()}, cost", 0, cost[instrument])
