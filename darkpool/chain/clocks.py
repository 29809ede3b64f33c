"""When what a venue's contract waits for is due: the contract's own clocks, in Unix seconds.

The lengths are those of `contracts/Settlement.vy` and `contracts/CollateralVault.vy`, whose code is
compared before a venue is used.
"""

from __future__ import annotations

from typing import Final

from darkpool.chain.evidence import VenueStanding

SETTLEMENT_TIMEOUT_S: Final = 3_600
REQUEST_TIMEOUT_S: Final = 7 * 86_400
SILENCE_TIMEOUT_S: Final = 14 * 86_400
CLOSING_TIMEOUT_S: Final = 86_400
NOTICE_PERIOD_S: Final = 86_400


def void_from(standing: VenueStanding) -> int | None:
    """From when the open batch can no longer settle; None without one."""
    return standing.committed_at + SETTLEMENT_TIMEOUT_S if standing.is_open else None


def due_from(standing: VenueStanding) -> int:
    """From when the venue has to end, if it settles nothing until then."""
    silence = standing.settled_at + SILENCE_TIMEOUT_S
    if not standing.waiting_since:
        return silence
    return min(silence, standing.waiting_since + REQUEST_TIMEOUT_S)


def declarable_from(standing: VenueStanding) -> int | None:
    """From when any sender can declare the end, if nothing settles until then; None after it."""
    if standing.declared_at:
        return None
    return max(due_from(standing), void_from(standing) or 0)


def exits_from(standing: VenueStanding) -> int | None:
    """From when everybody can leave: 0 for at once, None before the end was declared."""
    if not standing.declared_at:
        return None
    return 0 if standing.is_closed else standing.declared_at + CLOSING_TIMEOUT_S
