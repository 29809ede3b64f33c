"""The states of an interval, each with what is true once it is reached.

The operator's spine (`darkpool.auction.interval`) passes them in this order. What happens before an
interval opens, skips it or voids it comes with the ledger that keeps them.
"""

from __future__ import annotations

from enum import StrEnum


class IntervalState(StrEnum):
    """What is true of an interval."""

    OPEN = "open"
    """Keypers accepted the terms; submissions are admitted."""
    CLOSED = "closed"
    """No more submissions; the batch is fixed, and a quorum of keypers signed its root."""
    COMMITTED = "committed"
    """The batch root is on the chain and final; the vault pays nothing out."""
    BEGUN = "begun"
    """Keypers answer openings of this batch; the beacon is known, and who is uncovered."""
    CHECKED = "checked"
    """Malformed intents are rejected; intents that may not take part are set aside."""
    CROSSED = "crossed"
    """Prices, volumes and fills are known, and a quorum signed all that was opened."""
    APPLIED = "applied"
    """Charges, fills and releases are booked; each trader covers its initial margin."""
    SETTLED = "settled"
    """The settlement root is on the chain and final."""
