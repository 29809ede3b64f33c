"""What a client can prove of its own order, to whom it chooses, with the opening that it kept."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path

from crypto.signing.ecdsa import verify_signature
from darkpool.client.opening_file import OpeningFile, verify_opening_file
from darkpool.errors import OutOfBounds
from darkpool.record.forms import AuctionSummary
from darkpool.record.reader import Record
from darkpool.units import PriceGrid, Side, Tick, account_of


@dataclass(frozen=True, slots=True)
class Disclosure:
    """An order that was proven to be what a sealed intent holds; `filled` lots of it traded.

    `minimum` is that of a minimum-fill order, 0 for a plain one.
    """

    intent: int
    account: str
    instrument: str
    side: Side
    size: int
    limit: Decimal
    minimum: int
    filled: int

    def lines(self) -> dict[str, str]:
        """Name and value of each part, for people."""
        return {
            "intent": f"{self.intent}: commitment, ciphertext and signature agree with the opening",
            "account": self.account,
            "order": f"{self.side.label} {self.size} of {self.instrument} at {self.limit:f}"
            + (f", {self.minimum} or more" if self.minimum else ""),
            "filled": f"{self.filled} of {self.size}",
        }


def disclose(directory: Path, intent: int, opening_text: str) -> Disclosure:
    """Check an opening against the intent at a place in the batch of a record.

    Raises:
        BadInput: no record, no such intent, no opening file.
        InsecureParameters: a record of a test-only parameter set, outside the tests.
        InvalidSignature, SealingMismatch: the opening is not that intent's.
    """
    opening = OpeningFile.from_json(opening_text)
    record = Record.load(directory)
    if not 0 <= intent < len(record.intents):
        raise OutOfBounds("intent", 0, len(record.intents) - 1, intent)
    entry = record.intents[intent]
    sealed, summary = entry.sealed, record.summary
    verify_signature(sealed.digest(summary.venue.domain()), entry.signature, sealed.account)
    verify_opening_file(opening, sealed, record.ciphertext(intent), record.material())
    order = opening.intent
    name, filled, grid = _traded(summary, intent)
    return Disclosure(
        intent,
        account_of(sealed.account),
        name,
        Side(order.side),
        order.size,
        grid.price_of(Tick(order.limit_tick)),
        order.minimum,
        filled,
    )


def _traded(summary: AuctionSummary, intent: int) -> tuple[str, int, PriceGrid]:
    """Name of an intent's instrument, the lots that it traded, and the instrument's grid."""
    for number, instrument in enumerate(summary.instruments):
        if intent in instrument.intents:
            reference = summary.references[number]
            grid = PriceGrid.of_units(reference.tick_size, reference.price, reference.ticks)
            place = instrument.intents.index(intent)
            fills = [f for f in summary.fills if (f.instrument, f.intent) == (number, place)]
            return instrument.name, sum(fill.size for fill in fills), grid
    raise OutOfBounds("intent of an instrument", 0, len(summary.instruments) - 1, intent)
