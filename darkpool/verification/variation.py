"""Variation of all accounts, computed apart from the engine: docs/custody.md has the rule.

An auditor, and a keyper before it signs, rebuilds what a settlement made of cash and positions. No
account has tokens, live intents or a bond then.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from fractions import Fraction

from darkpool.verification.accounts import Account, Position, contract_index_of, net_of
from darkpool.verification.requirement import MarginModel


@dataclass(slots=True)
class Balances:
    """All accounts by address, and what each was covered for and has not paid back.

    `fund` and `bad_debt` are the addresses of the accounts of the house.
    """

    accounts: dict[bytes, Account]
    fund: bytes
    bad_debt: bytes
    debts: dict[bytes, int] = field(default_factory=dict)

    def of(self, name: bytes) -> Account:
        """The account of an address, empty where there was none."""
        return self.accounts.setdefault(name, Account(0))

    def clients(self) -> list[bytes]:
        """All accounts but those of the house, ascending."""
        return sorted(self.accounts.keys() - {self.fund, self.bad_debt})


def settle_variation(balances: Balances, model: MarginModel) -> dict[bytes, int]:
    """Settle variation at the marks, cover who cannot pay; returns what each was covered for."""
    for account in balances.accounts.values():
        _settle(account, model)
    repay(balances)
    owing = [name for name in balances.clients() if balances.of(name).cash < 0]
    for name in owing:
        for contract_index, lots in _held(balances.of(name), model):
            _close(balances, model, name, contract_index, lots)
    covered = {}
    for name in owing:
        account, fund = balances.of(name), balances.of(balances.fund)
        covered[name] = -account.cash
        balances.debts[name] = balances.debts.get(name, 0) - account.cash
        paid = min(-account.cash, max(0, fund.cash))
        fund.cash -= paid
        balances.of(balances.bad_debt).cash += account.cash + paid
        account.cash = 0
    _close_fund(balances, model)
    _share(balances)
    return covered


def repay(balances: Balances) -> None:
    """Who was covered pays to the fund, out of what it has above zero."""
    for name in sorted(balances.debts):
        account = balances.of(name)
        paid = max(0, min(balances.debts[name], account.cash))
        account.cash -= paid
        balances.of(balances.fund).cash += paid
        balances.debts[name] -= paid
    balances.debts = {name: debt for name, debt in balances.debts.items() if debt}


def _settle(account: Account, model: MarginModel) -> None:
    for instrument, position in list(account.positions.items()):
        contract_index = contract_index_of(model, instrument)
        mark = model.mark(contract_index)
        if mark is None:
            continue
        worth = position.net * mark * model.multiplier(contract_index)
        account.cash += worth - position.cost
        position.cost = worth
        if not position.net:
            del account.positions[instrument]


def _held(account: Account, model: MarginModel) -> list[tuple[int, int]]:
    """Contract and lots of each position that has a mark, in the specification's order."""
    held = net_of(account, model)
    return [(k, held[k]) for k in sorted(held) if held[k] and model.mark(k) is not None]


def _close(
    balances: Balances, model: MarginModel, name: bytes, contract_index: int, lots: int
) -> None:
    """The fund takes what it can carry, then who gained most, then the fund again what is left."""
    carried = _room(balances.of(balances.fund), model, contract_index, lots)
    _move(balances, model, name, balances.fund, (contract_index, carried))
    left = lots - carried
    for other in _ranking(balances, model, contract_index, lots):
        if other != name and left:
            left -= _close_against(balances, model, name, other, (contract_index, left))
    _move(balances, model, name, balances.fund, (contract_index, left))


def _close_against(
    balances: Balances, model: MarginModel, name: bytes, other: bytes, lots: tuple[int, int]
) -> int:
    """Close lots against the opposite ones of another account; returns how many, signed."""
    contract_index, left = lots
    opposite = net_of(balances.of(other), model).get(contract_index, 0)
    size = min(abs(left), abs(opposite))
    signed = size if left > 0 else -size
    _move(balances, model, name, other, (contract_index, signed))
    return signed


def _move(
    balances: Balances, model: MarginModel, giver: bytes, taker: bytes, lots: tuple[int, int]
) -> None:
    """Move lots at the mark."""
    contract_index, moved = lots
    mark = model.mark(contract_index)
    if not moved or mark is None:
        return
    cost = moved * mark * model.multiplier(contract_index)
    instrument = next(i for i, k in model.contract_indices.items() if k == contract_index)
    for name, sign in ((taker, 1), (giver, -1)):
        held = balances.of(name).positions.setdefault(instrument, Position())
        held.trade(sign * moved, sign * cost)


def _room(fund: Account, model: MarginModel, contract_index: int, lots: int) -> int:
    """The most lots, of these and of their sign, with which the fund still has its margin."""
    sign, least = (1 if lots > 0 else -1), _surplus_after(fund, model, contract_index, 0)
    if least is None:
        return 0
    passes, fails = 0, abs(lots) + 1
    while fails - passes > 1:
        size = (passes + fails) // 2
        left = _surplus_after(fund, model, contract_index, sign * size)
        if left is None or left < min(0, least):
            fails = size
        else:
            passes = size
    return sign * passes


def _surplus_after(fund: Account, model: MarginModel, contract_index: int, lots: int) -> int | None:
    """Surplus of the fund with more lots at the mark."""
    net = net_of(fund, model)
    net[contract_index] = net.get(contract_index, 0) + lots
    mark = model.mark(contract_index) or 0
    cost = sum(position.cost for position in fund.positions.values())
    cost += lots * mark * model.multiplier(contract_index)
    return model.surplus(fund.cash, cost, net, ())


def _ranking(balances: Balances, model: MarginModel, contract_index: int, lots: int) -> list[bytes]:
    """Clients with lots of the other sign, who gained most for what they risk first."""
    ranked = []
    for name in balances.clients():
        held = net_of(balances.of(name), model).get(contract_index, 0)
        if held * lots < 0:
            ranked.append((-_rank(balances.of(name), model, contract_index, held), name))
    return [name for _, name in sorted(ranked)]


def _rank(account: Account, model: MarginModel, contract_index: int, lots: int) -> Fraction:
    net = net_of(account, model)
    [entry] = [
        p.entry for i, p in account.positions.items() if model.contract_indices[i] == contract_index
    ]
    gain = Fraction(model.value({contract_index: lots}) - entry, max(1, abs(entry)))
    gross = sum(abs(model.value({k: abs(n)})) for k, n in net.items() if n)
    cost = sum(position.cost for position in account.positions.values())
    equity = account.cash - cost + model.value(net)
    leverage = Fraction(gross, max(1, equity))
    return gain * leverage if gain > 0 else gain / max(leverage, Fraction(1))


def _close_fund(balances: Balances, model: MarginModel) -> None:
    """A fund that owes loses its positions; what it owes is bad debt."""
    fund = balances.of(balances.fund)
    if fund.cash >= 0:
        return
    for contract_index, lots in _held(fund, model):
        left = lots
        for other in _ranking(balances, model, contract_index, lots):
            if left:
                pair = (contract_index, left)
                left -= _close_against(balances, model, balances.fund, other, pair)
    balances.of(balances.bad_debt).cash += fund.cash
    fund.cash = 0


def _share(balances: Balances) -> None:
    """All cash of clients bears bad debt, pro rata and rounded down, then a unit each."""
    cash = {name: balances.of(name).cash for name in balances.clients()}
    holders = {name: amount for name, amount in cash.items() if amount > 0}
    total = sum(holders.values())
    owed = min(-balances.of(balances.bad_debt).cash, total)
    if owed <= 0:
        return
    shares = {name: amount * owed // total for name, amount in holders.items()}
    missing = owed - sum(shares.values())
    for number, name in enumerate(shares):
        balances.of(name).cash -= shares[name] + (number < missing)
    balances.of(balances.bad_debt).cash += owed
