"""Accounts under portfolio margin: cash, positions and what live intents could still add.

Every change either happens in full or raises and changes nothing, and every change but a deposit
and a withdrawal conserves cash to the last unit: a contract's lots add up to zero over all accounts
and so do their costs, so a fill, funding or an expiry gives to some what it takes from the others.
`darkpool.margin.accounts.defaults` says what becomes of an account that cannot pay.

A reservation has a key that one intent has, and ends exactly once, by a fill or by its release, as
in TigerBeetle's two-phase transfers. An account with live intents also holds a bond, one for all of
them, which is cash apart from what covers margin.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np

from darkpool.errors import OutOfBounds
from darkpool.limits import CASH_MAX, ORDER_SIZE_MAX_LOTS, PRICE_MAX_UNITS
from darkpool.margin.accounts.account import NO_ENTRIES, Account, Coverage, Entries
from darkpool.margin.accounts.conservation import verify_cash, verify_positions, verify_tokens
from darkpool.margin.accounts.house import HOUSE, INSURANCE_FUND
from darkpool.margin.accounts.positions import Position
from darkpool.margin.errors import (
    ContractExpired,
    DuplicateReservation,
    InsufficientMargin,
    NoBond,
    UnknownContract,
    UnknownReservation,
)
from darkpool.margin.market.instruments import Contract, Kind, Specification
from darkpool.margin.market.payoffs import final_value
from darkpool.margin.model.caps import (
    Holdings,
    LiveIntent,
    PriceRange,
    in_order,
    surplus,
    within_margin,
)
from darkpool.margin.model.portfolio import PortfolioMargin
from darkpool.protocol.terms import BondTerms
from darkpool.units import AccountId, AuctionId, Cash, InstrumentId, Lots, PriceUnits, Side


class PortfolioAccounts:
    """All accounts of one specification; its methods alone change them. `entries` come first.

    Methods that add risk take the `PortfolioMargin` of all its contracts, in their order, at the
    prices that count.

    Attributes:
        contracts: of the specification, in its order: a contract's index is its place in it.
    """

    def __init__(self, specification: Specification, entries: Entries = NO_ENTRIES) -> None:
        self.contracts: tuple[Contract, ...] = tuple(specification.contracts.values())
        self._contract_indexes = {c.identifier: index for index, c in enumerate(self.contracts)}
        self._entries = {own: Account() for own in HOUSE} | dict(entries)
        self._expired: set[int] = set()
        self._paid_in = sum(entry.total for entry in self._entries.values())
        own = [entry.tokens for entry in self._entries.values()]
        tokens = (form.token for form in specification.form.collateral)
        self._tokens_in = {token: sum(held.get(token, 0) for held in own) for token in tokens}

    def __contains__(self, account: AccountId) -> bool:
        """Whether an account was ever credited."""
        return account in self._entries

    def accounts(self) -> tuple[AccountId, ...]:
        """Every account that was ever credited, with the two of the house; by their 20 bytes."""
        return tuple(sorted(self._entries, key=str.lower))

    def listed(self) -> tuple[AccountId, ...]:
        """All accounts but those of the house that have nothing."""
        without = {own for own in HOUSE if not self.cash(own) and self.is_flat(own)}
        return tuple(account for account in self.accounts() if account not in without)

    def cash(self, account: AccountId) -> Cash:
        """Cash with the bond, before what open positions have gained."""
        return Cash(self._view(account).total)

    def paid(self, account: AccountId) -> Cash:
        """Deposits of an account less its withdrawals."""
        return Cash(self._view(account).paid)

    def bond(self, account: AccountId) -> Cash | None:
        """The bond that an account holds, None while it holds none."""
        bond = self._view(account).bond
        return None if bond is None else Cash(bond)

    def is_flat(self, account: AccountId) -> bool:
        """Whether an account has nothing but cash: no position, token or live intent."""
        return self._view(account).is_flat

    def reservations(self, account: AccountId) -> dict[AuctionId, LiveIntent]:
        """Live intents of an account, by auction."""
        return dict(self._view(account).live)

    def intents(self, account: AccountId) -> list[LiveIntent]:
        """Live intents of an account in the order in which margin is computed for them."""
        return self._view(account).intents()

    def position(self, account: AccountId, contract_index: int) -> Position:
        """What an account holds of one contract, which may be nothing."""
        return self._view(account).position(contract_index)

    def positions(self, account: AccountId) -> dict[InstrumentId, Position]:
        """What an account holds, or has to settle, of each contract."""
        held = self._view(account).positions
        return {self.contracts[index].identifier: held[index] for index in held}

    def holdings(self, account: AccountId) -> Holdings:
        """Cash without the bond, cost, tokens, and lots by contract of the specification."""
        entry, net = self._view(account), np.zeros(len(self.contracts), dtype=np.int64)
        for contract_index, position in entry.positions.items():
            net[contract_index] = position.net
        cost = sum(position.cost for position in entry.positions.values())
        return Holdings(Cash(entry.cash), Cash(cost), net, dict(entry.tokens))

    def tokens_in(self, token: str) -> int:
        """Millionths of a token of collateral that were paid in and have not left.

        Raises:
            UnknownContract: no token of the specification.
        """
        if token not in self._tokens_in:
            raise UnknownContract("a token of the specification", token)
        return self._tokens_in[token]

    def is_unsettled(self, contract_index: int) -> bool:
        """Whether a contract has positions, or costs, that variation may still move cash for."""
        held = (entry.position(contract_index) for entry in self._entries.values())
        return any(position.net or position.cost for position in held)

    def deposit(self, account: AccountId, amount: Cash) -> None:
        """Add to an account's cash.

        Raises:
            OutOfBounds: a negative amount, or one that takes all cash above `CASH_MAX`.
        """
        if not 0 <= amount <= CASH_MAX - self._paid_in:
            raise OutOfBounds("deposit in cash units", 0, CASH_MAX - self._paid_in, amount)
        self._open(account).pay_in(amount)
        self._paid_in += amount

    def withdraw(self, account: AccountId, amount: Cash, margin: PortfolioMargin) -> None:
        """Take from an account's cash.

        Raises:
            OutOfBounds: a negative amount.
            InsufficientMargin, BeyondMargin, NoPrice: more than `withdrawable`, or see there.
        """
        if amount < 0:
            raise OutOfBounds("withdrawal in cash units", 0, CASH_MAX, amount)
        available = self.withdrawable(account, margin)
        if amount > available:
            raise InsufficientMargin(required=amount, available=available)
        if amount:
            self.book_withdrawal(account, amount)

    def book_withdrawal(self, account: AccountId, amount: Cash) -> None:
        """Take what has left the vault from an account's cash, which it may then owe."""
        self._open(account).pay_in(-amount)
        self._paid_in -= amount

    def transfer(self, debit: AccountId, credit: AccountId, amount: Cash) -> None:
        """Move cash from the account `debit` to `credit`; either may owe cash afterwards.

        Raises:
            OutOfBounds: a negative amount.
        """
        if amount < 0:
            raise OutOfBounds("transfer in cash units", 0, CASH_MAX, amount)
        self._open(debit).credit(-amount)
        self._open(credit).credit(amount)

    def book_tokens(self, account: AccountId, token: str, amount: int) -> None:
        """Add millionths of a token that came into the vault or, below zero, left it."""
        self._open(account).add_tokens(token, amount)
        self._tokens_in[token] += amount

    def transfer_tokens(self, debit: AccountId, credit: AccountId, token: str, amount: int) -> None:
        """Move millionths of a token from the account `debit` to `credit`."""
        self._open(debit).add_tokens(token, -amount)
        self._open(credit).add_tokens(token, amount)

    def trade(
        self,
        account: AccountId,
        counterparty: AccountId,
        contract_index: int,
        lots: int,
        price: PriceUnits,
    ) -> None:
        """Book lots that an account buys of its counterparty or, below zero, sells to it."""
        cost = lots * price * self.contracts[contract_index].multiplier
        self._open(account).trade(contract_index, lots, cost)
        self._open(counterparty).trade(contract_index, -lots, -cost)

    def withdrawable(self, account: AccountId, margin: PortfolioMargin) -> Cash:
        """The cash above what positions and live intents need; gains count once they are settled.

        It is nothing while accounts owe more than the insurance fund has: the first to withdraw
        would be paid with cash of the others. `share_bad_debt` ends that.

        Raises:
            BeyondMargin, NoPrice: positions that margin is not computed for.
        """
        return Cash(0) if self.uncovered() > 0 else self._free(account, margin)

    def surplus(self, account: AccountId, margin: PortfolioMargin) -> int:
        """Equity with the bond less initial margin of the positions, live intents not counted."""
        return surplus(margin, self.holdings(account)) + (self._view(account).bond or 0)

    def coverage(self, account: AccountId, margin: PortfolioMargin) -> Coverage:
        """What an account's live intents and bond need, and what it has for them."""
        available = self.surplus(account, margin)
        left = surplus(margin, self.holdings(account), self.intents(account))
        return Coverage(Cash(available - left), Cash(available))

    def reserve(
        self,
        account: AccountId,
        auction: AuctionId,
        cap: Lots,
        prices: PriceRange,
        margin: PortfolioMargin,
    ) -> None:
        """Cover a live intent of at most `cap` lots on a grid of `prices`.

        Raises:
            DuplicateReservation: there is one for this auction.
            UnknownContract, ContractExpired: no contract of the specification, or not any more.
            OutOfBounds: a cap out of bounds, or a lowest price above the highest.
            BeyondMargin, NoPrice: positions that margin is not computed for.
            InsufficientMargin: initial margin would not be covered in the worst case.
        """
        entry = self._view(account)
        if auction in entry.live:
            raise DuplicateReservation(account, auction)
        if not 0 <= cap <= ORDER_SIZE_MAX_LOTS:
            raise OutOfBounds("cap in lots", 0, ORDER_SIZE_MAX_LOTS, cap)
        if prices.lowest > prices.highest:
            what = "lowest price in price units"
            raise OutOfBounds(what, -PRICE_MAX_UNITS, prices.highest, prices.lowest)
        contract_index = self._open_contract(auction.instrument)
        multiplier = self.contracts[contract_index].multiplier
        intent = LiveIntent(contract_index, cap, prices, multiplier)
        held = self.holdings(account)
        with within_margin():
            left = surplus(margin, held, in_order([*entry.live.values(), intent]))
        if left < 0:
            available = surplus(margin, held, entry.intents())
            raise InsufficientMargin(required=available - left, available=available)
        self._open(account).reserve(auction, intent)

    def fill(
        self, account: AccountId, auction: AuctionId, side: Side, size: Lots, price: PriceUnits
    ) -> None:
        """Book what an intent traded, which ends it.

        Raises:
            UnknownReservation: there is none, or it has ended.
            OutOfBounds: a size below 1 or above the cap, or a price outside of its grid.
        """
        intent = self._live_intent(account, auction)
        if not 1 <= size <= intent.cap:
            raise OutOfBounds("filled lots", 1, intent.cap, size)
        lowest, highest = intent.prices.lowest, intent.prices.highest
        if not lowest <= price <= highest:
            raise OutOfBounds("price in price units", lowest, highest, price)
        lots = size if side is Side.BUY else -size
        entry = self._open(account)
        entry.release([auction])
        entry.trade(intent.contract_index, lots, lots * price * intent.multiplier)

    def release(self, account: AccountId, auction: AuctionId) -> None:
        """End a live intent without a fill; of a contract that has expired it has ended already.

        Raises:
            UnknownReservation: there is none, or it has ended.
        """
        if self._contract_indexes.get(auction.instrument) not in self._expired:
            self._live_intent(account, auction)
            self._open(account).release([auction])

    def hold_bond(self, account: AccountId, bond: BondTerms, margin: PortfolioMargin) -> None:
        """Hold an account's bond, whatever others owe: it is not paid out, and bears bad debt too.

        Raises:
            InsufficientMargin: positions and live intents do not leave what is missing of it.
            BeyondMargin, NoPrice: see `withdrawable`.
        """
        missing = max(0, bond.amount - (self._view(account).bond or 0))
        if missing:
            available = self._free(account, margin)
            if missing > available:
                raise InsufficientMargin(required=missing, available=available)
        self._open(account).hold_bond(missing)

    @contextmanager
    def bonded(
        self, account: AccountId, bond: BondTerms, margin: PortfolioMargin
    ) -> Iterator[None]:
        """Hold an account's bond for what the block does; as it was before, where that raises.

        Raises:
            InsufficientMargin, BeyondMargin, NoPrice: see `hold_bond`.
        """
        known, held = account in self._entries, self.bond(account)
        self.hold_bond(account, bond, margin)
        try:
            yield
        except Exception:
            self._open(account).return_bond(held)
            if not known:
                del self._entries[account]
            raise

    def charge_bond(self, account: AccountId, amount: Cash, to: AccountId) -> Cash:
        """Move an amount from an account's bond to the cash of another account.

        Returns what was moved: no more than is left of the bond.

        Raises:
            NoBond: the account holds none.
            OutOfBounds: a negative amount.
        """
        bond = self._view(account).bond
        if bond is None:
            raise NoBond(account)
        if amount < 0:
            raise OutOfBounds("charge in cash units", 0, CASH_MAX, amount)
        charged = min(amount, bond)
        self._open(account).charge_bond(charged)
        self._open(to).credit(charged)
        return Cash(charged)

    def release_bonds(self) -> None:
        """End every bond; what is left of it is cash again."""
        for entry in self._entries.values():
            entry.release_bond()

    def release_account(self, account: AccountId) -> None:
        """End all live intents of an account without a fill, and its bond."""
        entry = self._view(account)
        entry.release_bond()
        entry.release(entry.live)

    def pay_funding(self, instrument: InstrumentId, for_a_unit: PriceUnits) -> None:
        """Move so many price units for a unit of underlying from long positions to short ones.

        Raises:
            UnknownContract: no perpetual swap of the specification.
        """
        contract_index = self.contract_index(instrument)
        contract = self.contracts[contract_index]
        if contract.kind is not Kind.PERPETUAL:
            raise UnknownContract("a perpetual swap", contract.name)
        for entry in self._entries.values():
            lots = entry.position(contract_index).net
            entry.credit(-lots * contract.multiplier * for_a_unit)

    def settle_variation(self, instrument: InstrumentId, price: PriceUnits) -> None:
        """Pay out what positions gained and take what they lost since they were settled last.

        Afterwards a position has cost what it is worth at `price`, which is one integer for all
        accounts, so nothing is rounded. Options too: their premium is paid as their value changes.

        Raises:
            UnknownContract: no contract of the specification.
        """
        contract_index = self._open_contract(instrument)
        value = price * self.contracts[contract_index].multiplier
        for entry in self._entries.values():
            entry.settle(contract_index, value)

    def expire(self, instrument: InstrumentId, price: PriceUnits) -> None:
        """Settle all positions of a dated contract in cash, at its final settlement price.

        Live intents for the contract end, and it takes no change any more.

        Raises:
            UnknownContract: no dated contract of the specification.
        """
        contract_index = self._open_contract(instrument)
        contract = self.contracts[contract_index]
        if contract.kind is Kind.PERPETUAL:
            raise UnknownContract("a dated contract", contract.name)
        self._expired.add(contract_index)
        value = final_value(contract, price) * contract.multiplier
        for entry in self._entries.values():
            entry.expire(contract_index, value)

    def uncovered(self) -> int:
        """What accounts owe beyond the cash of the insurance fund."""
        owed = sum(max(0, -entry.total) for entry in self._entries.values())
        return owed - max(0, self._entries[INSURANCE_FUND].cash)

    def verify_conservation(self) -> None:
        """Check that cash is what was paid in, and that each contract adds up to zero.

        Raises:
            NotConserved: it is not, more was paid out than in, or a bond is less than nothing.
        """
        verify_cash(self._entries, self._paid_in)
        verify_tokens(self._entries, self._tokens_in)
        verify_positions(self._entries, self.contracts)

    def contract_index(self, instrument: InstrumentId) -> int:
        """The index of a contract among those of the specification.

        Raises:
            UnknownContract: the specification has no such contract.
        """
        contract_index = self._contract_indexes.get(instrument)
        if contract_index is None:
            raise UnknownContract("one of the specification", f"0x{instrument.hex()}")
        return contract_index

    @within_margin()
    def _free(self, account: AccountId, margin: PortfolioMargin) -> Cash:
        """The cash above what positions and live intents need."""
        held = self.holdings(account)
        return Cash(max(0, min(held.cash, surplus(margin, held, self.intents(account)))))

    def _open_contract(self, instrument: InstrumentId) -> int:
        contract_index = self.contract_index(instrument)
        if contract_index in self._expired:
            raise ContractExpired(self.contracts[contract_index].name)
        return contract_index

    def _view(self, account: AccountId) -> Account:
        """An account to read, empty if it was never credited."""
        return self._entries.get(account) or Account()

    def _open(self, account: AccountId) -> Account:
        """An account to change, which exists from now on."""
        return self._entries.setdefault(account, Account())

    def _live_intent(self, account: AccountId, auction: AuctionId) -> LiveIntent:
        intent = self._view(account).live.get(auction)
        if intent is None:
            raise UnknownReservation(account, auction)
        return intent
