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
from darkpool.errors import BadInput
from darkpool.limits import (
    REFERENCE_AHEAD_MAX_MS,
)
from darkpool.units import (
    AccountId,
    InstrumentId,
    Interval,
    PriceGrid,
    account_bytes,
)


class ReferenceRefused(BadInput):
    """No auction on this reference price."""

    def __init__(self, what: str, expected: str, got: str) -> None:
        super().__init__(f"reference price, {what}: expected {expected}, got {got}")
        self.what = what
        self.expected = expected
        self.got = got


class WrongReporter(ReferenceRefused):
    """The reporter did not sign this reference for this chain and contract."""


class WrongReference(ReferenceRefused):
    """A reference of another instrument or interval."""


class MissingReference(ReferenceRefused):
    """There is no reference where there has to be one."""


class SecondReference(ReferenceRefused):
    """Other references for an interval than those that were accepted already."""


class StaleReference(ReferenceRefused):
    """A reference that is older than it may be."""

    def __init__(self, age_ms: int, age_max_ms: int) -> None:
        super().__init__("age", f"at most {age_max_ms} ms", f"{age_ms} ms")
        self.age_ms = age_ms
        self.age_max_ms = age_max_ms


class ReferenceFromTheFuture(ReferenceRefused):
    """A reference that was observed later than now, by more than clocks may differ."""

    def __init__(self, ahead_ms: int, ahead_max_ms: int) -> None:
        super().__init__("time", f"at most {ahead_max_ms} ms ahead", f"{ahead_ms} ms ahead")
        self.ahead_ms = ahead_ms
        self.ahead_max_ms = ahead_max_ms


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
        if self.message.instrument != instrument:
            got = self.message.instrument.hex()
            raise WrongReference("instrument", instrument.hex(), got)
        if self.message.interval != interval:
            raise WrongReference("interval", str(interval), str(self.message.interval))
        try:
            digest = self.message.digest(domain)
            verify_signature(digest, self.signature, account_bytes(reporter))
        except InvalidMessageField as error:
            raise WrongReporter(error.field, error.expected, ascii(error.got)) from error
        except InvalidSignature as error:
            what = f"signature, {error.what}"
            raise WrongReporter(what, str(error.expected), str(error.got)) from error

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
