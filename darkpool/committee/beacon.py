"""Randomness that no party knew before the batch was final."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass

from crypto.errors import OutOfRange
from crypto.ring.sampling import SEED_BYTES
from crypto.threshold.replicated import Committee, agree
from darkpool.committee.quorum import KeyperPanel
from darkpool.protocol.keyper import BeaconRequest, Keyper


@dataclass(frozen=True, slots=True)
class Beacon:
    """Randomness that no party knew before the batch was final.

    Attributes:
        shares: 32 bytes from each virtual party, in share order.
        value: SHA-256 of the shares.
    """

    shares: tuple[bytes, ...]
    value: bytes


def ask_beacon(panel: KeyperPanel[Keyper], committee: Committee, request: BeaconRequest) -> Beacon:
    """The beacon of a final batch root, from all virtual parties.

    Raises:
        MissingShare, HoldersDisagree: as `crypto.threshold.replicated.agree`.
        OpeningRefused: too few keypers take the root for final.
    """
    answers = panel.ask_quorum(lambda keyper: _shares(keyper, request), committee.quorum)
    shares = []
    for share in committee.members:
        announced = {i: known[share] for i, known in answers.items() if share in known}
        shares.append(agree(committee, share, announced).digest)
    return Beacon(tuple(shares), hashlib.sha256(b"".join(shares)).digest())


def _shares(keyper: Keyper, request: BeaconRequest) -> Mapping[int, bytes]:
    shares = keyper.beacon_shares(request)
    for share in shares.values():
        if len(share) != SEED_BYTES:
            raise OutOfRange("bytes of a share of the beacon", SEED_BYTES, len(share))
    return shares
