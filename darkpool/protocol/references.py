"""The reference price of an auction: signed, for one interval, and not older than it may be.

A venue names one reporter. What it signs for an instrument and an interval lays down the price
grid, and the grid is the collar: an order has no tick for a price outside of it, so none can be
sealed, and none can come out. An auction opens on a fresh reference of each instrument, or not at
all.
"""

from __future__ import annotations

from dataclasses import dataclass

from crypto.errors import InvalidMessageField, InvalidSignature
from crypto.signing.ecdsa import verify_signature
from crypto.signing.eip712 import Domain
from crypto.signing.messages import ReferencePrice
from darkpool.limits import REFERENCE_AHEAD_MAX_MS
from darkpool.protocol.refusals import (
    ReferenceFromTheFuture,
    StaleReference,
    WrongReference,
    WrongReporter,
)
from darkpool.units import AccountId, InstrumentId, Interval, PriceGrid, account_bytes


@dataclass(frozen=True, slots=True)
class SignedReference:
    """A reference price and its reporter's signature, 65 bytes; prices are in price units."""

    message: ReferencePrice
    signature: bytes

    def verify(
        self, domain: Domain, reporter: AccountId, instrument: InstrumentId, interval: Interval
    ) -> None:
        """Check everything but the time.

        Raises:
            WrongReference: of another instrument or interval.
            WrongReporter: not signed by the reporter, for this chain and contract.
        """
        try:
            digest = self.message.digest(domain)
        except InvalidMessageField as error:
            raise WrongReporter(error.subject, error.expected, ascii(error.got)) from error
        if self.message.instrument != instrument:
            got = self.message.instrument.hex()
            raise WrongReference("instrument", instrument.hex(), got)
        if self.message.interval != interval:
            raise WrongReference("interval", str(interval), str(self.message.interval))
        try:
            verify_signature(digest, self.signature, account_bytes(reporter))
        except InvalidSignature as error:
            subject = f"signature, {error.subject}"
            raise WrongReporter(subject, error.expected, error.got) from error

    def require_fresh(self, now_ms: int, age_max_ms: int) -> None:
        """Check the time, `now_ms` in Unix milliseconds.

        Raises:
            StaleReference: older than `age_max_ms`.
            ReferenceFromTheFuture: more than `REFERENCE_AHEAD_MAX_MS` ahead.
        """
        age_ms = now_ms - self.message.observed_at
        if age_ms > age_max_ms:
            raise StaleReference(age_ms, age_max_ms)
        if -age_ms > REFERENCE_AHEAD_MAX_MS:
            raise ReferenceFromTheFuture(-age_ms, REFERENCE_AHEAD_MAX_MS)

    def grid(self) -> PriceGrid:
        """The only prices of the auction.

        Raises:
            InvalidGrid: the price is no multiple of the tick size, or there is no such grid.
        """
        message = self.message
        return PriceGrid.of_units(message.tick_size, message.price, message.ticks)
