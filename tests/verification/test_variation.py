"""The auditor's settlement of variation is the engine's, to the unit, over random venues."""

from __future__ import annotations

import json
from functools import cache

import numpy as np
import pytest

from darkpool.margin.accounts.accounts import PortfolioAccounts
from darkpool.margin.accounts.house import BAD_DEBT, INSURANCE_FUND
from darkpool.margin.liquidation.plan import mark
from darkpool.margin.liquidation.variation import Debts, settle_all_variation
from darkpool.margin.market.market import MarketForm
from darkpool.units import Cash, PriceUnits, account_bytes, account_of
from darkpool.verification.accounts import Account, Position
from darkpool.verification.requirement import MarginModel
from darkpool.verification.variation import Balances, settle_variation
from tests.support.margin_houses import margin_at, market_at, specification
from tests.support.margin_lives import CONTRACTS, ONE, house
from tests.support.margin_records import inputs_of

NAMES = [account_of(bytes([7 * number % 251, number]) * 10) for number in range(1, 9)]


@cache
def model_at(share: int) -> MarginModel:
    form = MarketForm.model_validate(json.loads(market_at(share)))
    return MarginModel(inputs_of(specification(), form))


def told(accounts: PortfolioAccounts, debts: Debts) -> Balances:
    """What the engine's accounts are, as the auditor holds them."""
    balances = {
        account_bytes(name): Account(
            accounts.cash(name),
            {i: Position(p.net, p.cost, p.entry) for i, p in accounts.positions(name).items()},
        )
        for name in accounts.accounts()
    }
    owed = {account_bytes(name): int(debt) for name, debt in debts.items()}
    return Balances(balances, account_bytes(INSURANCE_FUND), account_bytes(BAD_DEBT), owed)


Held = tuple[int, dict[bytes, Position]]


def contents(balances: Balances) -> tuple[dict[bytes, Held], dict[bytes, int]]:
    accounts = {
        name: (account.cash, {i: p for i, p in account.positions.items() if p != Position()})
        for name, account in balances.accounts.items()
    }
    return accounts, balances.debts


def venue(seed: int) -> tuple[PortfolioAccounts, int]:
    """Accounts with little cash and random positions, some of the fund's."""
    draw = np.random.default_rng(seed)
    rich = int(draw.integers(1, 5)) * 10_000
    accounts = house({name: int(draw.integers(0, rich)) for name in NAMES})
    accounts.deposit(INSURANCE_FUND, Cash(int(draw.integers(0, 20_000)) * ONE))
    everybody = [*NAMES, INSURANCE_FUND]
    for _ in range(int(draw.integers(1, 30))):
        index = int(draw.integers(0, len(CONTRACTS)))
        worth = mark(margin_at(100), CONTRACTS, index, 1)
        price = PriceUnits(worth * int(draw.integers(90, 111)) // 100)
        buyer, seller = draw.permutation(len(everybody))[:2]
        lots = int(draw.integers(1, 5))
        accounts.trade(everybody[buyer], everybody[seller], index, lots, price)
    return accounts, int(draw.integers(12, 30)) * 5


@pytest.mark.parametrize("seeds", [range(120), pytest.param(range(20_000), marks=pytest.mark.slow)])
def test_variation_is_the_engines_over_random_venues(seeds: range) -> None:
    shared = closed = fund_owed = 0
    for seed in seeds:
        accounts, share = venue(seed)
        debts: Debts = {}
        for at in (share, share + 5):
            balances = told(accounts, debts)
            covered = settle_variation(balances, model_at(at))
            made = settle_all_variation(accounts, margin_at(at), debts)
            assert contents(balances) == contents(told(accounts, debts))
            assert covered == {account_bytes(name): owed for name, owed in made.covered.items()}
            shared += made.shared > 0
            closed += bool(made.closed)
            fund_owed += made.shared > 0 and not made.covered
    assert shared
    assert closed
