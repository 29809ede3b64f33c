"""Collateral: it covers caps and bonds, is charged for what is no intent, and moves by fills."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from itertools import zip_longest

from eth_hash.auto import keccak

from crypto.signing.merkle import merkle_root
from darkpool.record.forms import BalanceRecord
from darkpool.record.reader import Record
from darkpool.units import FIRST_INTERVAL, account_of
from darkpool.verification.errors import Unsound
from darkpool.verification.report import Findings
from darkpool.verification.requirement import LiveIntent, MarginModel

POSITIONS_VERSION = 1
UNITS_PER_ONE = 10**6
_WORD = 32
_ENTRY = 4 * _WORD


@dataclass(slots=True)
class Position:
    """Lots bought less lots sold, what they cost, and what the open ones cost when taken."""

    net: int = 0
    cost: int = 0
    entry: int = 0

    def trade(self, lots: int, cost: int) -> None:
        """Add a fill; lots that close others leave the rest of their entry in proportion."""
        after = self.net + lots
        if self.net * lots >= 0:
            self.entry += cost
        elif self.net * after >= 0:
            self.entry = self.entry * after // self.net
        else:
            self.entry = cost * after // lots
        self.net = after
        self.cost += cost


Positions = dict[bytes, Position]


@dataclass(slots=True)
class Account:
    """Cash with all that stands against it, and positions by instrument."""

    cash: int
    positions: Positions = field(default_factory=dict)


@lru_cache(maxsize=1)
def margin_model(record: Record) -> MarginModel:
    """Margin as a record says; made once for the record that is audited.

    Raises:
        Unsound: see `MarginModel`.
    """
    return MarginModel(record.margin)


def price_units(record: Record, instrument: int, tick: int) -> int:
    """Price of a tick of an instrument's grid, in units of 10**-6."""
    reference = record.summary.references[instrument]
    return reference.price + (tick - reference.ticks // 2) * reference.tick_size


def live_intent(record: Record, model: MarginModel, instrument: int, cap: int) -> LiveIntent:
    """What is public of an intent for an instrument, for margin."""
    contract = record.summary.instruments[instrument]
    index = model.contract_indices.get(contract.identifier)
    if index is None:
        raise Unsound(f"instrument {contract.name}", "a contract of the specification", "none")
    ends = [price_units(record, instrument, tick) for tick in (0, record.summary.ticks - 1)]
    return LiveIntent(index, cap, *ends)


def surplus(model: MarginModel, account: Account, live: Sequence[LiveIntent] = ()) -> int | None:
    """Equity less initial margin in the worst case of live intents, in cash units.

    None where margin is not computed, see `MarginModel.surplus`.
    """
    net: dict[int, int] = {}
    for instrument, position in account.positions.items():
        index = model.contract_indices.get(instrument)
        if index is None:
            part = f"position in 0x{instrument.hex()}"
            raise Unsound(part, "a contract of the specification", "none")
        net[index] = position.net
    cost = sum(position.cost for position in account.positions.values())
    return model.surplus(account.cash, cost, net, live)


def accounts_of(when: str, balances: Sequence[BalanceRecord]) -> dict[bytes, Account]:
    """Accounts as balances tell them."""
    return {
        balance.account: Account(
            balance.withdrawable + balance.encumbered, _positions(when, balance)
        )
        for balance in balances
    }


def balance_of(model: MarginModel, name: bytes, account: Account) -> BalanceRecord:
    """The balance of an account: what initial margin leaves of its cash, the rest, positions.

    Without margin of its positions nothing of its cash is left.
    """
    left = surplus(model, account)
    free = 0 if left is None else max(0, min(account.cash, left))
    return BalanceRecord(name, free, account.cash - free, _encode(account.positions))


def check_terms(record: Record, findings: Findings) -> None:
    """What is traded are contracts that have not expired, on grids; bonds are a part at most."""
    model = margin_model(record)
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


def check_collateral(record: Record, findings: Findings) -> None:
    """Rebuild every account after the auction from before it, the caps, rejections and fills."""
    before, after = record.summary.before, record.summary.after
    for what, balances in (("before", before), ("after", after)):
        names = [balance.account for balance in balances]
        findings.equal(f"collateral {what}, accounts", len(set(names)), len(names))
    model, accounts = margin_model(record), accounts_of("before", before)
    for balance in before:
        _check_balance("before", balance, accounts[balance.account], model, findings)
        # nothing was settled before the first, so no account has a position
        if record.summary.interval == FIRST_INTERVAL and balance.positions != _encode({}):
            part = f"collateral before of {account_of(balance.account)}, positions"
            findings.add(part, _encode({}), balance.positions)
    _check_covered(record, accounts, findings)
    _charge_bonds(record, accounts, findings)
    _book_fills(record, accounts)
    _check_traders(record, accounts, model, findings)
    for index, pair in enumerate(zip_longest(before, after)):
        expected, got = (None if one is None else one.account for one in pair)
        if expected != got:
            findings.add(f"collateral after, accounts, number {index}", expected, got)
            break
    for balance in after:
        if balance.account in accounts:
            _check_balance("after", balance, accounts[balance.account], model, findings)
    _check_conservation(before, after, findings)


def _check_balance(
    when: str, balance: BalanceRecord, account: Account, model: MarginModel, findings: Findings
) -> None:
    """Cash and positions are those of the account."""
    expected = balance_of(model, balance.account, account)
    if expected == balance:
        return
    part = f"collateral {when} of {account_of(balance.account)}"
    findings.equal(f"{part}, withdrawable", expected.withdrawable, balance.withdrawable)
    findings.equal(f"{part}, encumbered", expected.encumbered, balance.encumbered)
    findings.equal(f"{part}, positions", expected.positions, balance.positions)


def _check_traders(
    record: Record, accounts: dict[bytes, Account], model: MarginModel, findings: Findings
) -> None:
    """Every account that traded has initial margin for what it holds then."""
    for name in sorted({fill.account for fill in record.summary.fills}):
        left = surplus(model, accounts[name])
        if left is None or left < 0:
            part = f"collateral after of {account_of(name)}, equity less initial margin"
            findings.add(part, "at least 0", "no margin" if left is None else left)


def uncovered_accounts(record: Record) -> set[bytes]:
    """Accounts that did not cover the bond and all their caps at once at the commitment."""
    model = margin_model(record)
    numbers = {i.identifier: k for k, i in enumerate(record.summary.instruments)}
    live: dict[bytes, list[LiveIntent]] = defaultdict(list)
    for intent in record.intents:
        number, of_account = numbers.get(intent.sealed.instrument), live[intent.sealed.account]
        if number is not None:
            of_account.append(live_intent(record, model, number, intent.sealed.cap))
    accounts = accounts_of("before", record.summary.before)
    bond, missing = record.summary.bond.amount, Account(0)
    uncovered = set()
    for name, intents in live.items():
        account = accounts.get(name, missing)
        left = surplus(model, account, intents)
        if left is None or min(left, account.cash) < bond:
            uncovered.add(name)
    return uncovered


def _check_covered(record: Record, accounts: dict[bytes, Account], findings: Findings) -> None:
    """Accounts with intents have balances; uncovered ones have no fill and no rejection."""
    for name in sorted({intent.sealed.account for intent in record.intents} - accounts.keys()):
        findings.add(f"collateral before of {account_of(name)}", "a balance", "none")
    uncovered, expected = uncovered_accounts(record), "one that covers its bond and its caps"
    for index, fill in enumerate(record.summary.fills):
        if fill.account in uncovered:
            findings.add(f"fill {index}, account", expected, fill.account)
    for index, rejection in enumerate(record.summary.rejections):
        name = record.intents[rejection.intent].sealed.account
        if name in uncovered:
            findings.add(f"rejection {index}, account", expected, name)


def _charge_bonds(record: Record, accounts: dict[bytes, Account], findings: Findings) -> None:
    """What each rejected intent costs its account, as long as there is something of its bond."""
    rejections, bond = record.summary.rejections, record.summary.bond
    if bond.treasury not in accounts:
        findings.add("bond, treasury", "an account with a balance", bond.treasury)
        return
    rejected = [entry.intent for entry in rejections]
    if rejected != sorted(set(rejected)):
        findings.add("rejections", "intents that ascend, each once", rejected)
    left: dict[bytes, int] = {}
    for batch_index in rejected:
        name = record.intents[batch_index].sealed.account
        if name not in accounts:
            part = f"rejection of intent {batch_index}"
            raise Unsound(part, "an account with collateral", name)
        held = left.get(name, bond.amount)
        charge = min(held, -(-bond.amount * bond.charge_ppm // UNITS_PER_ONE))
        left[name] = held - charge
        accounts[name].cash -= charge
        accounts[bond.treasury].cash += charge


def _book_fills(record: Record, accounts: dict[bytes, Account]) -> None:
    """What covers the rest of a cap is free again, so only fills change an account."""
    multipliers = {c.name: c.multiplier for c in record.margin.specification.contracts}
    for index, fill in enumerate(record.summary.fills):
        if fill.account not in accounts:
            raise Unsound(f"fill {index}", "an account with collateral", fill.account)
        instrument = record.summary.instruments[fill.instrument]
        multiplier = multipliers.get(instrument.name)
        if multiplier is None:
            raise Unsound(f"fill {index}", "a contract of the specification", instrument.name)
        held = accounts[fill.account].positions
        lots = -fill.size if fill.side else fill.size
        price = price_units(record, fill.instrument, fill.tick)
        held.setdefault(instrument.identifier, Position()).trade(lots, lots * price * multiplier)


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
    """Read an account's positions: a version byte, then instrument, net, cost and entry each.

    Raises:
        Unsound: other lengths or version, or instruments that do not ascend.
    """
    data = balance.positions
    if data[:1] != bytes([POSITIONS_VERSION]) or len(data) % _ENTRY != 1:
        expected = f"version {POSITIONS_VERSION} and whole entries"
        raise Unsound(_positions_of(when, balance), expected, data)
    positions: Positions = {}
    for start in range(1, len(data), _ENTRY):
        words = [data[start + k : start + k + _WORD] for k in range(0, _ENTRY, _WORD)]
        positions[words[0]] = Position(
            *(int.from_bytes(word, "big", signed=True) for word in words[1:])
        )
    if _encode(positions) != data:
        raise Unsound(_positions_of(when, balance), "ascending instruments, none empty", data)
    return positions


def _positions_of(when: str, balance: BalanceRecord) -> str:
    return f"collateral {when} of {account_of(balance.account)}, positions"


def _encode(positions: Positions) -> bytes:
    parts = [bytes([POSITIONS_VERSION])]
    for instrument, position in sorted(positions.items()):
        if position == Position():
            continue
        numbers = (position.net, position.cost, position.entry)
        try:
            parts.append(instrument)
            parts += [number.to_bytes(_WORD, "big", signed=True) for number in numbers]
        except OverflowError as error:
            raise Unsound("positions", "numbers of 32 bytes", position) from error
    return b"".join(parts)
