"""What each account would leave with: the state that goes from one settlement to the next.

A settlement books what happened since the one before (`darkpool.settlement.between`), counts the
flows before its commitment, books what the auctions did, settles variation, and grants requests
last, out of what is free then. `Custody` is what stands after it: accounts, grants, debts, and what
was free. An interval works on a copy, which takes its place when the interval has settled. A void
leaves balances as they were: its flows count in the next batch, and what its market made due stays
due.
"""

from __future__ import annotations

from collections.abc import Mapping
from copy import deepcopy
from dataclasses import dataclass, field, replace

from crypto.signing.sum_tree import SumLeaf
from darkpool.errors import NotConserved
from darkpool.margin.accounts.accounts import PortfolioAccounts
from darkpool.margin.accounts.house import INSURANCE_FUND
from darkpool.margin.accounts.vault_flows import Committed, book_vault, release_uncovered
from darkpool.margin.liquidation.variation import Variation, repay_debts, settle_all_variation
from darkpool.margin.model.portfolio import PortfolioMargin
from darkpool.settlement.between import Between, VoidCharge
from darkpool.settlement.claims import FUND, TREASURY, Claims
from darkpool.settlement.flows import FlowBook
from darkpool.settlement.grants import GrantTerms, free_cash, grant_requests
from darkpool.settlement.trees import leaves_of
from darkpool.units import AccountId, Cash


@dataclass(frozen=True, slots=True)
class CashVault:
    """The vault that holds the cash of all accounts, and whose treasury gets the charges.

    Attributes:
        address: of the vault.
        treasury: the account that charges go to; its leaf is the vault's account of the treasury.
        deposit_min: the least deposit that the vault takes, token units.
    """

    address: AccountId
    treasury: AccountId
    deposit_min: int


@dataclass(frozen=True, slots=True)
class SettledBalances:
    """What a settlement made of all balances.

    Attributes:
        leaves: of the cash vault, ascending by account.
        variation: what became of accounts that could not pay.
        granted: what requests were granted, cash units.
    """

    leaves: tuple[SumLeaf, ...]
    variation: Variation
    granted: Mapping[AccountId, Cash]


@dataclass(slots=True)
class Custody:
    """The state between two settlements.

    Attributes:
        vault: of the cash.
        accounts: cash, bonds and positions.
        claims: grants of the cash vault.
        flows: those that no settlement has answered.
        debts: what accounts were covered for and have not paid back.
        free: what each account with positions did not need at the last settlement, cash units.
        settled_paid: deposits less grants of each account, as the last settlement counted them.
        between: what is due since the last settlement, from void intervals; in a copy that it was
            booked in, charges that are not booked yet. Its market is the last one.
    """

    vault: CashVault
    accounts: PortfolioAccounts
    claims: Claims = field(default_factory=Claims)
    flows: FlowBook = field(default_factory=FlowBook)
    debts: dict[AccountId, Cash] = field(default_factory=dict)
    free: dict[AccountId, Cash] = field(default_factory=dict)
    settled_paid: dict[AccountId, Cash] = field(default_factory=dict)
    between: Between = field(default_factory=Between)

    def copy(self) -> Custody:
        """The same state, which changes by itself."""
        return deepcopy(self)

    def apply_between(self, due: Between) -> None:
        """Book what is due when this interval settles; first of all, on the interval's own copy.

        Expiries, then funding; an account may owe cash then, until variation is settled. Charges of
        void intervals are booked by `commit`, after the flows: a deposit that the void interval
        counted bears them too.

        Raises:
            UnknownContract: a contract that is not of the specification, or has expired.
        """
        for expiry in due.expiries:
            self.accounts.expire(expiry.instrument, expiry.price)
        for funding in due.fundings:
            self.accounts.pay_funding(funding.instrument, funding.for_a_unit)
        self.between = Between(due.market_ms, charges=due.charges)

    def void(self, due: Between, charges: tuple[VoidCharge, ...]) -> None:
        """An interval ended void: what was due when it settled stays due, and what it found.

        On what was before the interval, not on its copy. `charges` are those that it found itself.
        """
        self.between = replace(due, charges=due.charges + charges)

    def credit(self) -> dict[AccountId, Cash]:
        """Book what a batch counts that is committed now; returns what changed, none of it zero.

        Intents are covered by that until the commitment, and then again by what it counts. Until
        then a deposit may still go back, so it pays no debt.

        Raises:
            OutOfBounds: more cash than `CASH_MAX`.
        """
        counted = self._of_vault(self.flows.counted().deposits)
        held = {*self.settled_paid, *counted}
        paid = {
            account: Cash(self.settled_paid.get(account, 0) + counted.get(account, 0))
            for account in held
        }
        return book_vault(self.accounts, paid)

    def commit(self, margin: PortfolioMargin) -> Committed:
        """Count the flows up to the commitment; accounts that do not cover their intents are told.

        Then who owes what it was covered for pays, and charges of void intervals are booked, both
        out of all that an account has above zero. With less than its bond left it is uncovered.

        Raises:
            OutOfBounds: more cash than `CASH_MAX`.
        """
        changed = self.credit()
        repay_debts(self.accounts, self.debts)
        for charge in self.between.charges:
            has = self.accounts.cash(charge.account)
            if amount := min(charge.amount, max(0, has)):
                self.accounts.transfer(charge.account, self.vault.treasury, Cash(amount))
        self.between = Between(self.between.market_ms)
        return Committed(changed, release_uncovered(self.accounts, margin))

    def settle(self, margin: PortfolioMargin, paid: Mapping[AccountId, int]) -> SettledBalances:
        """End the interval: bonds, variation, debts, grants; then nothing waits any more.

        After the flows were counted and the fills booked. `paid` is what the vault had paid each
        account at the commitment, zero for who is not in it.

        Raises:
            NotConserved: balances and grants are not what was paid in.
        """
        self.accounts.release_bonds()
        variation = settle_all_variation(self.accounts, margin, self.debts)
        requests = self._of_vault(self.flows.counted().requests)
        terms = GrantTerms(self.free, self.vault.deposit_min)
        granted = grant_requests(self.accounts, requests, terms, margin)
        for account, amount in granted.items():
            self.claims.grant(account, amount)
        self.flows.settle()
        names = self.accounts.accounts()
        self.settled_paid = {account: self.accounts.paid(account) for account in names}
        self.free = {
            account: free_cash(self.accounts, account, margin)
            for account in names
            if not self.accounts.is_flat(account)
        }
        self.accounts.verify_conservation()
        owned = self._owned()
        everybody = {*owned, *self.claims.granted, *self.claims.left}
        self.claims.prune(everybody, owned, paid)
        return SettledBalances(leaves_of(owned, self.claims), variation, granted)

    def _of_vault(
        self, amounts: Mapping[tuple[AccountId, AccountId], int]
    ) -> dict[AccountId, Cash]:
        return {
            account: Cash(amount)
            for (vault, account), amount in amounts.items()
            if vault == self.vault.address
        }

    def _owned(self) -> dict[AccountId, int]:
        """Cash by the account of its leaf.

        Raises:
            NotConserved: an account owes cash.
        """
        names = {INSURANCE_FUND: FUND, self.vault.treasury: TREASURY}
        owned: dict[AccountId, int] = {}
        for account in self.accounts.accounts():
            cash = self.accounts.cash(account)
            if cash < 0:
                raise NotConserved(f"cash of {account}, in cash units", 0, cash)
            if cash:
                owned[names.get(account, account)] = cash
        return owned
