"""Accounts under portfolio margin: cash, positions and what live intents could still add.

Every change either happens in full or raises and changes nothing, and every change but a deposit
and a withdrawal conserves cash to the last unit: a contract's lots add up to zero over all accounts
and so do their costs, so what a fill, funding or an expiry takes from some it gives to the others.
What an account owes after a loss beyond its means is paid by the insurance fund, and what that
cannot pay stands in an account of its own, `BAD_DEBT`, below zero.
"""

from __future__ import annotations

from fractions import Fraction
from typing import Final

import numpy as np

from darkpool.errors import (
    BadInput,
    DuplicateReservation,
    InsufficientMargin,
    NotConserved,
    OutOfBounds,
    UnknownReservation,
)
from darkpool.limits import CASH_MAX, ORDER_SIZE_MAX_LOTS
from darkpool.margin.account import Account
from darkpool.margin.caps import Holdings, LiveIntent, equity, surplus
from darkpool.margin.contracts import Contract, Kind, Specification
from darkpool.margin.payoffs import final_value
from darkpool.margin.portfolio import PortfolioMargin
from darkpool.units import AccountId, AuctionId, Cash, InstrumentId, Lots, PriceUnits, Side

INSURANCE_FUND: Final = AccountId("insurance fund")
BAD_DEBT: Final = AccountId("bad debt")
_OWN: Final = (INSURANCE_FUND, BAD_DEBT)


class UnknownContract(BadInput):
    """An instrument that the specification does not have, or not of the kind that is meant."""

    def __init__(self, expected: str, got: str) -> None:
        super().__init__(f"contract: expected {expected}, got {got}")
        self.expected = expected
        self.got = got


class PortfolioAccounts:
    """All accounts of one specification.

    Methods that add risk take the `PortfolioMargin` of all its contracts, in their order, at the
    prices that count.
    """

    def __init__(self, specification: Specification) -> None:
        self._contracts: tuple[Contract, ...] = tuple(specification.contracts.values())
        self._places = {c.identifier: place for place, c in enumerate(self._contracts)}
        self._accounts: dict[AccountId, Account] = {own: Account() for own in _OWN}
        self._expired: set[int] = set()
        self._paid_in = 0

    def accounts(self) -> tuple[AccountId, ...]:
        """Every account that was ever credited, in ascending order, with the two of the house."""
        return tuple(sorted(self._accounts))

    def cash(self, account: AccountId) -> Cash:
        """Cash, before what open positions have gained."""
        return Cash(self._accounts.get(account, Account()).cash)

    def holdings(self, account: AccountId) -> Holdings:
        """Cash, cost and lots by contract of the specification."""
        found = self._accounts.get(account, Account())
        net = np.zeros(len(self._contracts), dtype=np.int64)
        for place, lots in found.net.items():
            net[place] = lots
        return Holdings(Cash(found.cash), Cash(sum(found.cost.values())), net)

    def deposit(self, account: AccountId, amount: Cash) -> None:
        """Add to an account's cash.

        Raises:
            OutOfBounds: a negative amount, or one that takes all cash above `CASH_MAX`.
        """
        if not 0 <= amount <= CASH_MAX - self._paid_in:
            raise OutOfBounds("deposit", 0, CASH_MAX - self._paid_in, amount)
        self._accounts.setdefault(account, Account()).cash += amount
        self._paid_in += amount

    def withdraw(self, account: AccountId, amount: Cash, margin: PortfolioMargin) -> None:
        """Take from an account's cash.

        Raises:
            OutOfBounds: a negative amount.
            InsufficientMargin: more than `withdrawable`.
        """
        if amount < 0:
            raise OutOfBounds("withdrawal", 0, CASH_MAX, amount)
        available = self.withdrawable(account, margin)
        if amount > available:
            raise InsufficientMargin(required=amount, available=available)
        if amount:
            self._accounts[account].cash -= amount
            self._paid_in -= amount

    def withdrawable(self, account: AccountId, margin: PortfolioMargin) -> Cash:
        """What nothing stands against: gains that are not settled are not paid out.

        Nothing at all while somebody owes more than the insurance fund has: whoever came first
        would be paid with what is others'. `share_bad_debt` ends that.
        """
        if self._uncovered() > 0:
            return Cash(0)
        live = tuple(self._accounts.get(account, Account()).live.values())
        free = surplus(margin, self.holdings(account), live)
        return Cash(max(0, min(self.cash(account), free)))

    def reserve(
        self,
        account: AccountId,
        auction: AuctionId,
        cap: Lots,
        prices: tuple[PriceUnits, PriceUnits],
        margin: PortfolioMargin,
    ) -> None:
        """Cover a live intent of at most `cap` lots on a grid of lowest to highest `prices`.

        Raises:
            DuplicateReservation: there is one for this auction.
            UnknownContract: no contract of the specification.
            OutOfBounds: a negative cap, or positions beyond what margin is computed for.
            InsufficientMargin: initial margin would not be covered in the worst case.
        """
        found = self._accounts.get(account, Account())
        if auction in found.live:
            raise DuplicateReservation(account, auction)
        if not 0 <= cap <= ORDER_SIZE_MAX_LOTS:
            raise OutOfBounds("cap", 0, ORDER_SIZE_MAX_LOTS, cap)
        if prices[0] > prices[1]:
            raise OutOfBounds("lowest price", 0, prices[1], prices[0])
        place = self._open_place(auction.instrument)
        intent = LiveIntent(place, cap, *prices, self._contracts[place].multiplier)
        left = surplus(margin, self.holdings(account), [*found.live.values(), intent])
        if left < 0:
            raise InsufficientMargin(required=-left, available=0)
        self._accounts.setdefault(account, found).live[auction] = intent

    def fill(
        self, account: AccountId, auction: AuctionId, side: Side, size: Lots, price: PriceUnits
    ) -> None:
        """Book what an intent traded; it is live no more.

        Raises:
            UnknownReservation: there is none, or it has ended.
            OutOfBounds: a size below 1 or above the cap, or a price outside of its grid.
        """
        found, intent = self._live(account, auction)
        if not 1 <= size <= intent.cap:
            raise OutOfBounds("filled lots", 1, intent.cap, size)
        if not intent.lowest <= price <= intent.highest:
            raise OutOfBounds("price", intent.lowest, intent.highest, price)
        del found.live[auction]
        lots = size if side is Side.BUY else -size
        found.trade(intent.contract, lots, lots * price * intent.multiplier)

    def release(self, account: AccountId, auction: AuctionId) -> None:
        """End a live intent without a fill.

        Raises:
            UnknownReservation: there is none, or it has ended.
        """
        found, _ = self._live(account, auction)
        del found.live[auction]

    def pay_funding(self, instrument: InstrumentId, for_a_unit: PriceUnits) -> None:
        """Long positions pay, and short ones get, so many price units for a unit of underlying.

        Raises:
            UnknownContract: no perpetual swap of the specification.
        """
        place = self._place(instrument)
        contract = self._contracts[place]
        if contract.kind is not Kind.PERPETUAL:
            raise UnknownContract("a perpetual swap", contract.name)
        for found in self._accounts.values():
            found.cash -= found.net.get(place, 0) * contract.multiplier * for_a_unit

    def settle_variation(self, instrument: InstrumentId, price: PriceUnits) -> None:
        """Pay out what positions gained and take what they lost since they last cost something.

        Afterwards a position has cost what it is worth at `price`, which is one integer for all, so
        nothing is rounded. Options too: their premium is paid as their value changes.

        Raises:
            UnknownContract: no contract of the specification.
        """
        place = self._open_place(instrument)
        value = price * self._contracts[place].multiplier
        for found in self._accounts.values():
            lots = found.net.get(place, 0)
            found.cash += lots * value - found.cost.get(place, 0)
            if lots:
                found.cost[place] = lots * value
            else:
                found.close(place)

    def expire(self, instrument: InstrumentId, price: PriceUnits) -> None:
        """Settle all positions of a dated contract in cash, at its final settlement price.

        Live intents for it end, and nothing can be done with it any more.

        Raises:
            UnknownContract: no dated contract of the specification.
        """
        place = self._open_place(instrument)
        contract = self._contracts[place]
        if contract.kind is Kind.PERPETUAL:
            raise UnknownContract("a dated contract", contract.name)
        self._expired.add(place)
        value = final_value(contract, price) * contract.multiplier
        for found in self._accounts.values():
            lots, cost = found.close(place)
            found.cash += lots * value - cost
            for auction in [a for a, intent in found.live.items() if intent.contract == place]:
                del found.live[auction]

    def take_over(self, account: AccountId) -> None:
        """Move all that an account has, and owes, to the insurance fund; live intents end.

        Raises:
            OutOfBounds: it is one of the house.
        """
        if account in _OWN:
            raise OutOfBounds("accounts of the house to take over", 0, 0, 1)
        found = self._accounts.get(account)
        if found is None:
            return
        fund = self._accounts[INSURANCE_FUND]
        for place in list(found.net):
            fund.trade(place, *found.close(place))
        fund.cash += found.cash
        found.cash = 0
        found.live.clear()

    def cover_debts(self) -> Cash:
        """Pay what accounts owe that hold nothing; returns what the insurance fund could not pay.

        The fund pays what its cash covers, and the rest is booked as bad debt.
        """
        unpaid = 0
        fund, bad = self._accounts[INSURANCE_FUND], self._accounts[BAD_DEBT]
        for account in self.accounts():
            found = self._accounts[account]
            if account in _OWN or found.cash >= 0 or not found.is_flat:
                continue
            paid = min(-found.cash, max(0, fund.cash))
            fund.cash -= paid
            bad.cash += found.cash + paid
            unpaid -= found.cash + paid
            found.cash = 0
        return Cash(unpaid)

    def share_bad_debt(self) -> Cash:
        """Take bad debt from all who have cash, by how much they have; returns what was taken.

        Shares are rounded down, and what is missing then, less than a unit for each, is taken by a
        unit from the first accounts, in ascending order.
        """
        bad = self._accounts[BAD_DEBT]
        holders = [
            found
            for account in self.accounts()
            if account not in _OWN and (found := self._accounts[account]).cash > 0
        ]
        total = sum(found.cash for found in holders)
        owed = min(-bad.cash, total)
        if owed <= 0:
            return Cash(0)
        shares = [found.cash * owed // total for found in holders]
        missing = owed - sum(shares)
        for index, (found, share) in enumerate(zip(holders, shares, strict=True)):
            found.cash -= share + (index < missing)
        bad.cash += owed
        return Cash(owed)

    def _uncovered(self) -> int:
        """What is owed beyond the cash of the insurance fund."""
        owed = sum(max(0, -found.cash) for found in self._accounts.values())
        return owed - max(0, self._accounts[INSURANCE_FUND].cash)

    def bankruptcy_price(
        self, account: AccountId, instrument: InstrumentId, margin: PortfolioMargin
    ) -> PriceUnits:
        """The price at which closing a position leaves an account nothing.

        What the account is short of, or has left, is shared out over its positions by their value,
        so that nobody pays for a loss on a contract in which it has no part. If each is closed at
        the price that the account has for it then, nothing is owed, and what is left is less than a
        price unit of each.

        Raises:
            UnknownContract: no position in such a contract.
        """
        place = self._place(instrument)
        held = self.holdings(account)
        units = int(held.net[place]) * self._contracts[place].multiplier
        if units == 0:
            raise UnknownContract("one that the account holds", self._contracts[place].name)
        lots = int(held.net[place])
        size, every = margin.value_of(place, abs(lots)), margin.value(np.abs(held.net))
        # of the value of positions, what this one may fall by until its share of equity is gone
        left = margin.value_of(place, lots) - equity(margin, held) * size // max(1, every)
        return PriceUnits(-(-left // units) if units > 0 else -left // -units)

    def deleveraging_order(
        self, instrument: InstrumentId, side: Side, margin: PortfolioMargin
    ) -> tuple[AccountId, ...]:
        """Who is closed out first of those that hold a side of a contract: the published ranking.

        By gain on the contract relative to what its lots cost when they were taken, times the value
        of all positions relative to equity; both as fractions, exactly, and by account where they
        are equal.
        """
        place = self._place(instrument)
        ranked = []
        for account in self.accounts():
            lots = self._accounts[account].net.get(place, 0)
            if account not in _OWN and (lots > 0 if side is Side.BUY else lots < 0):
                ranked.append((-self._rank(account, place, margin), account))
        return tuple(account for _, account in sorted(ranked))

    def _rank(self, account: AccountId, place: int, margin: PortfolioMargin) -> Fraction:
        held = self.holdings(account)
        cost = self._accounts[account].entry.get(place, 0)
        value = margin.value_of(place, int(held.net[place]))
        gain = Fraction(value - cost, max(1, abs(cost)))
        leverage = Fraction(margin.value(np.abs(held.net)), max(1, equity(margin, held)))
        return gain * leverage if gain > 0 else gain / max(leverage, Fraction(1))

    def deleverage(
        self,
        account: AccountId,
        instrument: InstrumentId,
        price: PriceUnits,
        margin: PortfolioMargin,
    ) -> dict[AccountId, Lots]:
        """Close an account's position at a price against the first in the ranking opposite to it.

        Returns what each of them was closed by.

        Raises:
            UnknownContract: no contract of the specification.
        """
        place = self._place(instrument)
        found = self._accounts.get(account, Account())
        left = found.net.get(place, 0)
        opposite = Side.SELL if left > 0 else Side.BUY
        closed: dict[AccountId, Lots] = {}
        for other in self.deleveraging_order(instrument, opposite, margin):
            held = self._accounts[other]
            lots = min(abs(left), abs(held.net[place]))
            signed = lots if left > 0 else -lots
            if lots == 0 or other == account:
                continue
            value = signed * price * self._contracts[place].multiplier
            held.trade(place, signed, value)
            found.trade(place, -signed, -value)
            left -= signed
            closed[other] = Lots(lots)
        return closed

    def verify_conservation(self) -> None:
        """Check that cash is what was paid in, and that each contract adds up to zero.

        Raises:
            NotConserved: it is not, or more was paid out than in.
        """
        if self._paid_in < 0:
            raise NotConserved("cash paid in", 0, self._paid_in)
        cash = sum(found.cash for found in self._accounts.values())
        if cash != self._paid_in:
            raise NotConserved("cash", self._paid_in, cash)
        for place, contract in enumerate(self._contracts):
            lots = sum(found.net.get(place, 0) for found in self._accounts.values())
            cost = sum(found.cost.get(place, 0) for found in self._accounts.values())
            if lots or cost:
                raise NotConserved(
                    f"{'lots' if lots else 'cost'} of {contract.name}", 0, lots or cost
                )

    def _place(self, instrument: InstrumentId) -> int:
        place = self._places.get(instrument)
        if place is None:
            raise UnknownContract("one of the specification", f"0x{instrument.hex()}")
        return place

    def _open_place(self, instrument: InstrumentId) -> int:
        place = self._place(instrument)
        if place in self._expired:
            raise UnknownContract("one that has not expired", self._contracts[place].name)
        return place

    def _live(self, account: AccountId, auction: AuctionId) -> tuple[Account, LiveIntent]:
        found = self._accounts.get(account)
        if found is None or auction not in found.live:
            raise UnknownReservation(account, auction)
        return found, found.live[auction]
