"""The margin ledger: collateral is reserved, then posted for what was filled, the rest released.

An account that has live intents holds a bond as well, once for all of them; what is charged for
intents that are no orders goes from it to another account, and the rest is free again.

Two phases, as in TigerBeetle's two-phase transfers: a reservation holds cash for the most that an
order could need, under a key that one order has, and ends exactly once, by posting or releasing.

In this form margin that is posted stays with its position until the contracts settle, also when a
later fill reduces the position: gains and losses are still in `Position.cost`, and cash that leaves
before they are paid could be cash that is owed.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

from darkpool.errors import (
    DuplicateReservation,
    InsufficientMargin,
    NoBond,
    NotConserved,
    OutOfBounds,
    UnknownReservation,
)
from darkpool.limits import CASH_MAX
from darkpool.margin.bond import BondTerms
from darkpool.margin.positions import Position
from darkpool.margin.terms import MarginTerms
from darkpool.units import AccountId, AuctionId, Cash, InstrumentId, Lots, PriceUnits, Side


@dataclass(frozen=True, slots=True)
class Collateral:
    """An account's cash: `free` may be withdrawn, `reserved`, `posted` and `bond` may not."""

    free: Cash
    reserved: Cash
    posted: Cash
    bond: Cash

    @property
    def withdrawable(self) -> Cash:
        """Cash that nothing stands against."""
        return self.free

    @property
    def encumbered(self) -> Cash:
        """Cash held for orders and positions, and as a bond."""
        return Cash(self.reserved + self.posted + self.bond)


@dataclass(frozen=True, slots=True)
class Reservation:
    """Margin held for an order whose size is at most `cap`."""

    terms: MarginTerms
    cap: Lots
    amount: Cash


@dataclass(slots=True)
class _Account:
    paid: int = 0
    free: int = 0
    bond: int | None = None
    reservations: dict[AuctionId, Reservation] = field(default_factory=dict)
    positions: dict[InstrumentId, Position] = field(default_factory=dict)


class MarginLedger:
    """Every account's collateral, bonds, reservations and positions.

    An account has one order for an instrument in an auction, so account and auction are the key of
    a reservation. A method that raises has changed nothing.
    """

    def __init__(self) -> None:
        self._accounts: dict[AccountId, _Account] = {}
        self._credited = 0

    def accounts(self) -> tuple[AccountId, ...]:
        """Return every account that was credited or has reserved, in ascending order."""
        return tuple(sorted(self._accounts))

    def credit(self, account: AccountId, amount: Cash) -> None:
        """Add a deposit to an account's free cash.

        Raises:
            OutOfBounds: the amount is negative, or the account would hold more than `CASH_MAX`.
        """
        holder = self._accounts.get(account, _Account())
        held = self.collateral(account)
        highest = CASH_MAX - held.free - held.encumbered
        if not 0 <= amount <= highest:
            raise OutOfBounds("deposit", 0, highest, amount)
        holder.free += amount
        holder.paid += amount
        self._accounts[account] = holder
        self._credited += amount

    def debit(self, account: AccountId, amount: Cash) -> None:
        """Take a withdrawal from an account's free cash.

        Raises:
            OutOfBounds: the amount is negative.
            InsufficientMargin: the account's free cash does not cover it.
        """
        if amount < 0:
            raise OutOfBounds("withdrawal", 0, CASH_MAX, amount)
        holder = self._accounts.get(account, _Account())
        if amount > holder.free:
            raise InsufficientMargin(required=amount, available=holder.free)
        holder.free -= amount
        holder.paid -= amount
        self._credited -= amount

    def paid(self, account: AccountId) -> int:
        """What was credited to an account less what was debited; charges do not change it."""
        return self._accounts.get(account, _Account()).paid

    def reserve(
        self, account: AccountId, auction: AuctionId, terms: MarginTerms, cap: Lots
    ) -> Reservation:
        """Hold the initial margin for an order of at most `cap` lots.

        Raises:
            DuplicateReservation: the account has one for this auction.
            InsufficientMargin: the account's free cash does not cover it.
            OutOfBounds: `cap` is negative or too large.
        """
        holder = self._accounts.get(account, _Account())
        if auction in holder.reservations:
            raise DuplicateReservation(account, auction)
        reservation = Reservation(terms, cap, terms.initial_margin(cap))
        if reservation.amount > holder.free:
            raise InsufficientMargin(required=reservation.amount, available=holder.free)
        holder.free -= reservation.amount
        holder.reservations[auction] = reservation
        self._accounts[account] = holder
        return reservation

    def post(
        self, account: AccountId, auction: AuctionId, side: Side, size: Lots, price: PriceUnits
    ) -> Position:
        """Turn a reservation into a position of the filled size; what it does not need is free.

        Raises:
            UnknownReservation: there is none, or it has ended.
            OutOfBounds: `size` is below 1 or above the reservation's cap, or the price beyond the
                worst one that the margin was reserved for.
        """
        holder, reservation = self._open_reservation(account, auction)
        if not 1 <= size <= reservation.cap:
            raise OutOfBounds("filled lots", 1, reservation.cap, size)
        terms = reservation.terms
        if abs(price) > terms.worst_price:
            raise OutOfBounds("price", -terms.worst_price, terms.worst_price, price)
        margin = terms.initial_margin(size)
        before = holder.positions.get(auction.instrument, Position())
        position = before.after(side, size, price, terms.multiplier, margin)
        del holder.reservations[auction]
        holder.free += reservation.amount - margin
        holder.positions[auction.instrument] = position
        return position

    def release(self, account: AccountId, auction: AuctionId) -> None:
        """End a reservation without a fill.

        Raises:
            UnknownReservation: there is none, or it has ended.
        """
        holder, reservation = self._open_reservation(account, auction)
        del holder.reservations[auction]
        holder.free += reservation.amount

    def release_account(self, account: AccountId) -> None:
        """End all reservations of an account without a fill, and its bond; all of it is free."""
        holder = self._accounts.get(account, _Account())
        holder.free += sum(held.amount for held in holder.reservations.values())
        holder.free += holder.bond or 0
        holder.reservations.clear()
        holder.bond = None

    def hold_bond(self, account: AccountId, bond: BondTerms) -> None:
        """Hold an account's bond; what was charged of one that is held is filled up.

        Raises:
            InsufficientMargin: the account's free cash does not cover what is missing.
        """
        holder = self._accounts.get(account, _Account())
        missing = max(0, bond.amount - (holder.bond or 0))
        if missing > holder.free:
            raise InsufficientMargin(required=missing, available=holder.free)
        holder.free -= missing
        holder.bond = (holder.bond or 0) + missing
        if account in self._accounts or missing:
            self._accounts[account] = holder

    def charge_bond(self, account: AccountId, amount: Cash, to: AccountId) -> Cash:
        """Move an amount from an account's bond to free cash of another account.

        Returns what was moved: no more than is left of the bond.

        Raises:
            NoBond: the account holds none.
            OutOfBounds: the amount is negative, or `to` would hold more than `CASH_MAX`.
        """
        holder = self._accounts.get(account)
        if holder is None or holder.bond is None:
            raise NoBond(account)
        payee = self._accounts.get(to, _Account())
        held = self.collateral(to)
        # what goes from an account to itself adds nothing
        highest = CASH_MAX if to == account else CASH_MAX - held.free - held.encumbered
        moved = min(amount, holder.bond)
        if not 0 <= moved <= highest:
            raise OutOfBounds("charge", 0, highest, amount)
        holder.bond -= moved
        payee.free += moved
        self._accounts[to] = payee
        return Cash(moved)

    def release_bonds(self) -> None:
        """End every bond; what is left of it is free."""
        for holder in self._accounts.values():
            holder.free += holder.bond or 0
            holder.bond = None

    def collateral(self, account: AccountId) -> Collateral:
        """Return an account's cash; an account that was never credited has none."""
        holder = self._accounts.get(account, _Account())
        return Collateral(
            free=Cash(holder.free),
            reserved=Cash(sum(held.amount for held in holder.reservations.values())),
            posted=Cash(sum(position.posted for position in holder.positions.values())),
            bond=Cash(holder.bond or 0),
        )

    def positions(self, account: AccountId) -> Mapping[InstrumentId, Position]:
        """Return a copy of an account's positions."""
        return dict(self._accounts.get(account, _Account()).positions)

    def verify_conservation(self) -> None:
        """Check that value in equals value out, between auctions.

        Raises:
            NotConserved: cash is not what was credited less what was debited, an account or its
                bond has less than nothing, or the positions of an instrument do not add up to zero
                in lots and in cost.
        """
        net: dict[InstrumentId, int] = {}
        cost: dict[InstrumentId, int] = {}
        cash = 0
        for account, holder in self._accounts.items():
            held = self.collateral(account)
            if holder.free < 0:
                raise NotConserved(f"free cash of {account}", 0, holder.free)
            if held.bond < 0:
                raise NotConserved(f"bond of {account}", 0, held.bond)
            cash += held.withdrawable + held.encumbered
            for instrument, position in holder.positions.items():
                net[instrument] = net.get(instrument, 0) + position.net
                cost[instrument] = cost.get(instrument, 0) + position.cost
        if cash != self._credited:
            raise NotConserved("cash", self._credited, cash)
        for instrument in net:
            if net[instrument] or cost[instrument]:
                quantity = "lots" if net[instrument] else "cost"
                got = net[instrument] or cost[instrument]
                raise NotConserved(f"{quantity} of instrument 0x{instrument.hex()}", 0, got)

    def _open_reservation(
        self, account: AccountId, auction: AuctionId
    ) -> tuple[_Account, Reservation]:
        holder = self._accounts.get(account)
        if holder is None or auction not in holder.reservations:
            raise UnknownReservation(account, auction)
        return holder, holder.reservations[auction]
