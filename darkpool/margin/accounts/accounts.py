"""Accounts under portfolio margin: cash, positions and what live intents could still add.

Every change either happens in full or raises and changes nothing, and every change but a deposit
and a withdrawal conserves cash to the last unit: a contract's lots add up to zero over all accounts
and so do their costs, so what a fill, funding or an expiry takes from some it gives to the others.
`darkpool.margin.accounts.defaults` says what becomes of an account that cannot pay.

A reservation has a key that one intent has, and ends exactly once, by a fill or by its release, as
in TigerBeetle's two-phase transfers. An account with live intents holds a bond as well, once for
all of them, which is cash apart from what covers margin.
"""

from __future__ import annotations

from typing import Final

import numpy as np
from eth_hash.auto import keccak

from darkpool.errors import NotConserved, OutOfBounds
from darkpool.limits import CASH_MAX, ORDER_SIZE_MAX_LOTS, PRICE_MAX_UNITS
from darkpool.margin.accounts.account import Account
from darkpool.margin.accounts.positions import Position
from darkpool.margin.errors import (
    BeyondMargin,
    DuplicateReservation,
    InsufficientMargin,
    NoBond,
    UnknownContract,
    UnknownReservation,
)
from darkpool.margin.market.instruments import Contract, Kind, Specification
from darkpool.margin.market.payoffs import final_value
from darkpool.margin.model.caps import Holdings, LiveIntent, in_order, surplus
from darkpool.margin.model.portfolio import PortfolioMargin
from darkpool.protocol.terms import BondTerms
from darkpool.units import (
    AccountId,
    AuctionId,
    Cash,
    InstrumentId,
    Lots,
    PriceUnits,
    Side,
    account_of,
)

INSURANCE_FUND: Final = account_of(keccak(b"darkpool insurance fund")[-20:])
"""Nobody has the key of this address: whoever pays into it cannot take anything back."""
BAD_DEBT: Final = account_of(keccak(b"darkpool bad debt")[-20:])
HOUSE: Final = (INSURANCE_FUND, BAD_DEBT)


class PortfolioAccounts:
    """All accounts of one specification.

    Methods that add risk take the `PortfolioMargin` of all its contracts, in their order, at the
    prices that count.

    Attributes:
        contracts: of the specification, in its order.
        entries: what each account has.
        tokens_in: millionths of each token of collateral that were paid in and have not left.
    """

    def __init__(self, specification: Specification) -> None:
        self.contracts: tuple[Contract, ...] = tuple(specification.contracts.values())
        self._places = {c.identifier: place for place, c in enumerate(self.contracts)}
        self.entries: dict[AccountId, Account] = {own: Account() for own in HOUSE}
        self._expired: set[int] = set()
        self._paid_in = 0
        self.tokens_in: dict[str, int] = {t.token: 0 for t in specification.form.collateral}

    def accounts(self) -> tuple[AccountId, ...]:
        """Every account that was ever credited, in ascending order, with the two of the house."""
        return tuple(sorted(self.entries))

    def listed(self) -> tuple[AccountId, ...]:
        """All of them but those of the house that have nothing."""
        return tuple(
            account
            for account in self.accounts()
            if account not in HOUSE or self.cash(account) or not self.entries[account].is_flat
        )

    def cash(self, account: AccountId) -> Cash:
        """Cash with the bond, before what open positions have gained."""
        return Cash(self.entries.get(account, Account()).total)

    def paid(self, account: AccountId) -> Cash:
        """Deposits of an account less its withdrawals."""
        return Cash(self.entries.get(account, Account()).paid)

    def positions(self, account: AccountId) -> dict[InstrumentId, Position]:
        """What an account holds, or has to settle, of each contract."""
        found = self.entries.get(account, Account())
        return {
            self.contracts[place].identifier: Position(
                lots, Cash(found.cost.get(place, 0)), Cash(found.entry.get(place, 0))
            )
            for place, lots in found.net.items()
        }

    def holdings(self, account: AccountId) -> Holdings:
        """Cash, cost and lots by contract of the specification."""
        found = self.entries.get(account, Account())
        net = np.zeros(len(self.contracts), dtype=np.int64)
        for place, lots in found.net.items():
            net[place] = lots
        cost = Cash(sum(found.cost.values()))
        return Holdings(Cash(found.cash), cost, net, dict(found.tokens))

    def deposit(self, account: AccountId, amount: Cash) -> None:
        """Add to an account's cash.

        Raises:
            OutOfBounds: a negative amount, or one that takes all cash above `CASH_MAX`.
        """
        if not 0 <= amount <= CASH_MAX - self._paid_in:
            raise OutOfBounds("deposit", 0, CASH_MAX - self._paid_in, amount)
        found = self.entries.setdefault(account, Account())
        found.cash += amount
        found.paid += amount
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
            self.book_withdrawal(account, amount)

    def book_withdrawal(self, account: AccountId, amount: Cash) -> None:
        """Take what has left the vault from an account's cash, which it may then owe."""
        found = self.entries.setdefault(account, Account())
        found.cash -= amount
        found.paid -= amount
        self._paid_in -= amount

    def withdrawable(self, account: AccountId, margin: PortfolioMargin) -> Cash:
        """What nothing stands against: gains that are not settled are not paid out.

        Nothing at all while somebody owes more than the insurance fund has: whoever came first
        would be paid with what is others'. `share_bad_debt` ends that.
        """
        if self.uncovered() > 0:
            return Cash(0)
        found = self.entries.get(account, Account())
        free = surplus(margin, self.holdings(account), found.intents())
        return Cash(max(0, min(found.cash, free)))

    def surplus(self, account: AccountId, margin: PortfolioMargin) -> int:
        """Equity with the bond less initial margin of the positions, live intents not counted."""
        found = self.entries.get(account, Account())
        return surplus(margin, self.holdings(account)) + (found.bond or 0)

    def required(self, account: AccountId, margin: PortfolioMargin) -> tuple[Cash, Cash]:
        """What an account's live intents need besides its positions, with its bond; and has.

        Both in cash units; it covers them if the second is not less than the first.
        """
        found, available = self.entries.get(account, Account()), self.surplus(account, margin)
        left = surplus(margin, self.holdings(account), found.intents())
        return Cash(available - left), Cash(available)

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
            OutOfBounds: a cap out of bounds, or prices of which the lowest is not.
            BeyondMargin: positions beyond what margin is computed for.
            InsufficientMargin: initial margin would not be covered in the worst case.
        """
        found = self.entries.get(account, Account())
        if auction in found.live:
            raise DuplicateReservation(account, auction)
        if not 0 <= cap <= ORDER_SIZE_MAX_LOTS:
            raise OutOfBounds("cap", 0, ORDER_SIZE_MAX_LOTS, cap)
        if prices[0] > prices[1]:
            raise OutOfBounds("lowest price", -PRICE_MAX_UNITS, prices[1], prices[0])
        place = self._open_place(auction.instrument)
        intent = LiveIntent(place, cap, *prices, self.contracts[place].multiplier)
        held = self.holdings(account)
        try:
            left = surplus(margin, held, in_order([*found.live.values(), intent]))
        except OutOfBounds as error:
            raise BeyondMargin(error.subject, error.highest, error.got) from error
        if left < 0:
            available = surplus(margin, held, found.intents())
            raise InsufficientMargin(required=available - left, available=available)
        self.entries.setdefault(account, found).live[auction] = intent

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

    def hold_bond(self, account: AccountId, bond: BondTerms, margin: PortfolioMargin) -> None:
        """Hold an account's bond; what was charged of one that is held is filled up.

        Raises:
            InsufficientMargin: what the account could withdraw does not cover what is missing.
        """
        found = self.entries.get(account, Account())
        missing = max(0, bond.amount - (found.bond or 0))
        if missing:
            available = self.withdrawable(account, margin)
            if missing > available:
                raise InsufficientMargin(required=missing, available=available)
        found.cash -= missing
        found.bond = (found.bond or 0) + missing
        self.entries[account] = found

    def charge_bond(self, account: AccountId, amount: Cash, to: AccountId) -> Cash:
        """Move an amount from an account's bond to the cash of another account.

        Returns what was moved: no more than is left of the bond.

        Raises:
            NoBond: the account holds none.
            OutOfBounds: a negative amount.
        """
        found = self.entries.get(account)
        if found is None or found.bond is None:
            raise NoBond(account)
        if amount < 0:
            raise OutOfBounds("charge", 0, CASH_MAX, amount)
        moved = min(amount, found.bond)
        found.bond -= moved
        self.entries.setdefault(to, Account()).cash += moved
        return Cash(moved)

    def release_bonds(self) -> None:
        """End every bond; what is left of it is cash again."""
        for found in self.entries.values():
            found.release_bond()

    def release_account(self, account: AccountId) -> None:
        """End all live intents of an account without a fill, and its bond."""
        found = self.entries.get(account, Account())
        found.release_bond()
        found.live.clear()

    def pay_funding(self, instrument: InstrumentId, for_a_unit: PriceUnits) -> None:
        """Long positions pay, and short ones get, so many price units for a unit of underlying.

        Raises:
            UnknownContract: no perpetual swap of the specification.
        """
        place = self.place(instrument)
        contract = self.contracts[place]
        if contract.kind is not Kind.PERPETUAL:
            raise UnknownContract("a perpetual swap", contract.name)
        for found in self.entries.values():
            found.cash -= found.net.get(place, 0) * contract.multiplier * for_a_unit

    def settle_variation(self, instrument: InstrumentId, price: PriceUnits) -> None:
        """Pay out what positions gained and take what they lost since they last cost something.

        Afterwards a position has cost what it is worth at `price`, which is one integer for all, so
        nothing is rounded. Options too: their premium is paid as their value changes.

        Raises:
            UnknownContract: no contract of the specification.
        """
        place = self._open_place(instrument)
        value = price * self.contracts[place].multiplier
        for found in self.entries.values():
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
        contract = self.contracts[place]
        if contract.kind is Kind.PERPETUAL:
            raise UnknownContract("a dated contract", contract.name)
        self._expired.add(place)
        value = final_value(contract, price) * contract.multiplier
        for found in self.entries.values():
            lots, cost = found.close(place)
            found.cash += lots * value - cost
            for auction in [a for a, intent in found.live.items() if intent.contract == place]:
                del found.live[auction]

    def uncovered(self) -> int:
        """What is owed beyond the cash of the insurance fund."""
        owed = sum(max(0, -found.total) for found in self.entries.values())
        return owed - max(0, self.entries[INSURANCE_FUND].cash)

    def verify_conservation(self) -> None:
        """Check that cash is what was paid in, and that each contract adds up to zero.

        Raises:
            NotConserved: it is not, more was paid out than in, or a bond is less than nothing.
        """
        if self._paid_in < 0:
            raise NotConserved("cash paid in", 0, self._paid_in)
        for account, found in self.entries.items():
            if (found.bond or 0) < 0:
                raise NotConserved(f"bond of {account}", 0, found.bond or 0)
        cash = sum(self.cash(account) for account in self.entries)
        if cash != self._paid_in:
            raise NotConserved("cash", self._paid_in, cash)
        for token, paid in self.tokens_in.items():
            held = [found.tokens.get(token, 0) for found in self.entries.values()]
            if sum(held) != paid or min(held, default=0) < 0:
                raise NotConserved(token, paid, sum(held))
        for place, contract in enumerate(self.contracts):
            lots = sum(found.net.get(place, 0) for found in self.entries.values())
            cost = sum(found.cost.get(place, 0) for found in self.entries.values())
            if lots or cost:
                raise NotConserved(
                    f"{'lots' if lots else 'cost'} of {contract.name}", 0, lots or cost
                )

    def place(self, instrument: InstrumentId) -> int:
        """The place of a contract in the specification.

        Raises:
            UnknownContract: there is none.
        """
        place = self._places.get(instrument)
        if place is None:
            raise UnknownContract("one of the specification", f"0x{instrument.hex()}")
        return place

    def _open_place(self, instrument: InstrumentId) -> int:
        place = self.place(instrument)
        if place in self._expired:
            raise UnknownContract("one that has not expired", self.contracts[place].name)
        return place

    def _live(self, account: AccountId, auction: AuctionId) -> tuple[Account, LiveIntent]:
        found = self.entries.get(account)
        if found is None or auction not in found.live:
            raise UnknownReservation(account, auction)
        return found, found.live[auction]
