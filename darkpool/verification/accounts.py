"""Collateral: reserved for caps and bonds, posted for fills, charged for intents that are none."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction

from eth_hash.auto import keccak

from crypto.merkle import merkle_root
from darkpool.record import Record
from darkpool.record_schema import BalanceRecord, MarginRecord
from darkpool.units import FIRST_INTERVAL
from darkpool.verification.report import Findings, Unsound

POSITIONS_VERSION = 1
UNITS_PER_ONE = 10**6
_WORD = 32
_ENTRY = 4 * _WORD


@dataclass(slots=True)
class Position:
    """Lots bought less lots sold, their cost in cash units, and the margin that is held."""

    net: int = 0
    cost: int = 0
    posted: int = 0


Positions = dict[bytes, Position]


def price_units(record: Record, tick: int) -> Fraction:
    """Price of a tick in units of 10**-6; a whole number on a proper grid."""
    grid = record.summary.grid
    offset = tick - grid.ticks // 2
    return (Fraction(grid.reference) + offset * Fraction(grid.tick_size)) * UNITS_PER_ONE


def initial_margin(terms: MarginRecord, lots: int) -> int:
    """Margin in cash units, rounded up."""
    notional = terms.worst_price_units * terms.multiplier * lots
    return -(-notional * terms.rate_ppm // UNITS_PER_ONE)


def check_terms(record: Record, findings: Findings) -> None:
    """The grid is one, and margins are at its worst price."""
    grid = record.summary.grid
    if grid.ticks < 1 or Fraction(grid.tick_size) <= 0:
        findings.add("grid", "at least one tick, of a size above 0", (grid.ticks, grid.tick_size))
        return
    ends = [price_units(record, tick) for tick in (0, grid.ticks - 1)]
    if any(end.denominator != 1 for end in ends):
        findings.add("grid", "prices of at most six decimals", [str(end) for end in ends])
    if (Fraction(grid.reference) / Fraction(grid.tick_size)).denominator != 1:
        findings.add("grid, reference", f"a multiple of {grid.tick_size}", grid.reference)
    for instrument in record.summary.instruments:
        part, margin = f"instrument {instrument.name}, margin", instrument.margin
        findings.equal(f"{part}, worst price", max(map(abs, ends)), margin.worst_price_units)
        if margin.rate_ppm > UNITS_PER_ONE or margin.multiplier < 1:
            findings.add(part, "a rate up to the whole and a multiplier from 1", margin)
    if record.summary.bond.charge_ppm > UNITS_PER_ONE:
        findings.add("bond, charge", "at most the whole", record.summary.bond.charge_ppm)


def check_collateral(record: Record, findings: Findings) -> None:
    """Rebuild every account after the auction from before it, the caps, rejections and fills."""
    before, after = record.summary.before, record.summary.after
    for what, balances in (("before", before), ("after", after)):
        accounts = [balance.account for balance in balances]
        findings.equal(f"collateral {what}, accounts", len(set(accounts)), len(accounts))
    free = {balance.account: balance.withdrawable for balance in before}
    positions = {balance.account: _positions("before", balance) for balance in before}
    for balance in before:
        held = sum(position.posted for position in positions[balance.account].values())
        part = f"collateral before of 0x{balance.account.hex()}"
        findings.equal(f"{part}, encumbered", held, balance.encumbered)
        if record.summary.interval == FIRST_INTERVAL:
            # nothing was settled before, so nobody has a position
            findings.equal(f"{part}, positions", _encode({}), balance.positions)
    _check_covered(record, free, findings)
    _charge_bonds(record, free, findings)
    _post_fills(record, free, positions)
    expected = [balance.account for balance in before]
    if expected != [balance.account for balance in after]:
        findings.add("collateral after, accounts", "those before, in their order", "others")
    for balance in after:
        if balance.account not in free:
            continue
        part, owned = f"collateral after of 0x{balance.account.hex()}", positions[balance.account]
        findings.equal(f"{part}, withdrawable", free[balance.account], balance.withdrawable)
        posted = sum(position.posted for position in owned.values())
        findings.equal(f"{part}, encumbered", posted, balance.encumbered)
        findings.equal(f"{part}, positions", _encode(owned), balance.positions)
    _check_conservation(before, after, findings)


def short_accounts(record: Record) -> set[bytes]:
    """Accounts that did not cover the bond and all their caps at once at the commitment."""
    terms = {i.identifier: i.margin for i in record.summary.instruments}
    bond = record.summary.bond.amount
    needed = {intent.sealed.account: bond for intent in record.intents}
    for intent in record.intents:
        margin = terms.get(intent.sealed.instrument)
        if margin is not None:
            needed[intent.sealed.account] += initial_margin(margin, intent.sealed.cap)
    free = {balance.account: balance.withdrawable for balance in record.summary.before}
    return {account for account, amount in needed.items() if amount > free.get(account, 0)}


def _check_covered(record: Record, free: dict[bytes, int], findings: Findings) -> None:
    """Whoever has intents has a balance; whose it does not cover has no fill and no rejection."""
    for account in sorted({intent.sealed.account for intent in record.intents} - free.keys()):
        findings.add(f"collateral before of 0x{account.hex()}", "a balance", "none")
    short, expected = short_accounts(record), "one that covers its bond and its caps"
    for index, fill in enumerate(record.summary.fills):
        if fill.account in short:
            findings.add(f"fill {index}, account", expected, fill.account.hex())
    for index, rejection in enumerate(record.summary.rejections):
        account = record.intents[rejection.intent].sealed.account
        if account in short:
            findings.add(f"rejection {index}, account", expected, account.hex())


def _charge_bonds(record: Record, free: dict[bytes, int], findings: Findings) -> None:
    """What each rejected intent costs its account, as long as there is something of its bond."""
    rejections, bond = record.summary.rejections, record.summary.bond
    if bond.treasury not in free:
        findings.add("bond, treasury", "an account with a balance", bond.treasury.hex())
        return
    places = [entry.intent for entry in rejections]
    if places != sorted(set(places)):
        findings.add("rejections", "intents that ascend, each once", places)
    left: dict[bytes, int] = {}
    for place in places:
        account = record.intents[place].sealed.account
        if account not in free:
            raise Unsound(f"rejection of intent {place}", "an account with collateral", account)
        held = left.get(account, bond.amount)
        charge = min(held, -(-bond.amount * bond.charge_ppm // UNITS_PER_ONE))
        left[account] = held - charge
        free[account] -= charge
        free[bond.treasury] += charge


def _post_fills(record: Record, free: dict[bytes, int], positions: dict[bytes, Positions]) -> None:
    """What is reserved for the rest of a cap is free again, so only fills change anything."""
    for index, fill in enumerate(record.summary.fills):
        if fill.account not in free:
            raise Unsound(f"fill {index}", "an account with collateral", fill.account.hex())
        instrument = record.summary.instruments[fill.instrument]
        margin = initial_margin(instrument.margin, fill.size)
        free[fill.account] -= margin
        held = positions[fill.account].setdefault(instrument.identifier, Position())
        signed = -fill.size if fill.side else fill.size
        price = price_units(record, fill.tick)
        if price.denominator != 1:
            raise Unsound("grid", "prices of at most six decimals", str(price))
        held.net += signed
        held.cost += signed * price.numerator * instrument.margin.multiplier
        held.posted += margin


def _check_conservation(
    before: tuple[BalanceRecord, ...], after: tuple[BalanceRecord, ...], findings: Findings
) -> None:
    """Cash in equals cash out, and positions add up to nothing in lots and in cost."""
    cash = [sum(b.withdrawable + b.encumbered for b in balances) for balances in (before, after)]
    findings.equal("collateral, cash after", *cash)
    net: dict[bytes, int] = defaultdict(int)
    cost: dict[bytes, int] = defaultdict(int)
    for balance in after:
        for instrument, position in _positions("after", balance).items():
            net[instrument] += position.net
            cost[instrument] += position.cost
    for instrument in net:
        findings.equal(f"positions in 0x{instrument.hex()}, lots", 0, net[instrument])
        findings.equal(f"positions in 0x{instrument.hex()}, cost", 0, cost[instrument])


def balances_root(balances: Sequence[BalanceRecord]) -> bytes:
    """Merkle root over (address, uint256, uint256, bytes32) of all accounts, ascending."""
    leaves = [
        balance.account.rjust(_WORD, b"\0")
        + balance.withdrawable.to_bytes(_WORD, "big")
        + balance.encumbered.to_bytes(_WORD, "big")
        + keccak(balance.positions)
        for balance in sorted(balances, key=lambda balance: balance.account)
    ]
    return merkle_root(leaves)


def _positions(when: str, balance: BalanceRecord) -> Positions:
    """Read an account's positions: a version byte, then instrument, net, cost and posted each.

    Raises:
        Unsound: other lengths or version, or instruments that do not ascend.
    """
    part = f"collateral {when} of 0x{balance.account.hex()}, positions"
    data = balance.positions
    if data[:1] != bytes([POSITIONS_VERSION]) or len(data) % _ENTRY != 1:
        raise Unsound(part, f"version {POSITIONS_VERSION} and whole entries", data.hex()[:80])
    found: Positions = {}
    for start in range(1, len(data), _ENTRY):
        words = [data[start + k : start + k + _WORD] for k in range(0, _ENTRY, _WORD)]
        found[words[0]] = Position(
            int.from_bytes(words[1], "big", signed=True),
            int.from_bytes(words[2], "big", signed=True),
            int.from_bytes(words[3], "big"),
        )
    if _encode(found) != data:
        raise Unsound(part, "ascending instruments, none empty", "another encoding")
    return found


def _encode(positions: Positions) -> bytes:
    parts = [bytes([POSITIONS_VERSION])]
    for instrument, position in sorted(positions.items()):
        if position == Position():
            continue
        try:
            parts.append(instrument)
            parts += [n.to_bytes(_WORD, "big", signed=True) for n in (position.net, position.cost)]
            parts.append(position.posted.to_bytes(_WORD, "big"))
        except OverflowError as error:
            raise Unsound("positions", "numbers of 32 bytes", position) from error
    return b"".join(parts)
