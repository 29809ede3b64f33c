"""Randomness that nobody knew before the batch was final."""

from __future__ import annotations

from dataclasses import dataclass

from crypto.errors import OutOfRange
from crypto.ring.sampling import SEED_BYTES
from darkpool.keyper.keyper import Keyper
from darkpool.units import Interval


@dataclass(frozen=True, slots=True)
class Beacon:
    """Randomness that nobody knew before the batch was final.

    Attributes:
        shares: 32 bytes from each virtual party, in share order.
        value: SHA-256 of the shares.
    """

    shares: tuple[bytes, ...]
    value: bytes


def _beacon_shares(keyper: Keyper, interval: Interval, root: bytes) -> dict[int, bytes]:
    shares = dict(keyper.beacon_share(interval, root))
    for share in shares.values():
        if not isinstance(share, bytes) or len(share) != SEED_BYTES:
            raise OutOfRange("share of the beacon", f"{SEED_BYTES} bytes", type(share).__name__)
    return shares
