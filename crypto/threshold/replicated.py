"""Replicated shares: the one primitive of the committee.

Every secret is a sum of n shares, and share j is known to every keyper except keyper j. What the
*virtual party* j sends is a deterministic function of its seed and of public data, so its n - 1
holders compute the same bytes. They announce digests first; bytes leave only when digests agree.
With n = 4 the strict majority (two of three) decides and names a liar; with n = 3 both holders
must agree, and a difference names two suspects. At most one keyper may be corrupt.

Source: M. Ito, A. Saito and T. Nishizeki, "Secret sharing scheme realizing general access
structure" (1989), for the 1-private structure.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from crypto import labels
from crypto.errors import HoldersDisagree, MissingShare, OutOfRange
from crypto.ring.sampling import SEED_BYTES, absorb


@dataclass(frozen=True, slots=True)
class Committee:
    """n keypers of one key epoch, numbered 0 .. n - 1; n is 3 or 4.

    Raises:
        OutOfRange: another n, or an epoch below 0.
    """

    size: int
    epoch: int

    def __post_init__(self) -> None:
        if self.size not in (3, 4):
            raise OutOfRange("keypers of a committee", "3 or 4", self.size)
        if not 0 <= self.epoch < 1 << 32:
            raise OutOfRange("key epoch", "0 .. 2^32 - 1", self.epoch)

    @property
    def members(self) -> range:
        """Keyper numbers, which are also the share numbers."""
        return range(self.size)

    @property
    def quorum(self) -> int:
        """Fewest keypers that are more than (n + 1) / 2: two quorums share an honest keyper."""
        return (self.size + 1) // 2 + 1

    def holders(self, share: int) -> tuple[int, ...]:
        """Keypers that hold a share: all but its own number."""
        return tuple(i for i in self.members if i != share)

    def shares_of(self, keyper: int) -> tuple[int, ...]:
        """Shares that a keyper holds: all but its own number."""
        return tuple(j for j in self.members if j != keyper)


def split_seeds(shares: Sequence[int], data: bytes) -> dict[int, bytes]:
    """Seeds of 32 bytes, one behind the other in the order of `shares`, by share number."""
    return {share: data[SEED_BYTES * k : SEED_BYTES * (k + 1)] for k, share in enumerate(shares)}


@dataclass(frozen=True, slots=True)
class Agreement:
    """What the holders of a share agreed on, and which of them answered something else."""

    share: int
    digest: bytes
    liars: tuple[int, ...]


def share_digest(share: int, purpose: bytes, data: bytes) -> bytes:
    """32 bytes that a holder announces for what virtual party `share` sends."""
    prefix = absorb(labels.SHARE_DIGEST, share, purpose)
    return hashlib.sha256(prefix + data).digest()


def agree(committee: Committee, share: int, announced: Mapping[int, bytes]) -> Agreement:
    """Decide what virtual party `share` says from its holders' digests.

    Args:
        announced: digest by keyper; answers of keypers that do not hold the share are not counted.

    Raises:
        MissingShare: fewer answers than a decision needs (n = 4: two, n = 3: both).
        HoldersDisagree: no strict majority of the holders; names all who answered.
    """
    holders = committee.holders(share)
    answers = {i: digest for i, digest in announced.items() if i in holders}
    needed = len(holders) // 2 + 1
    if len(answers) < needed:
        raise MissingShare(share, needed, len(answers))
    digest, votes = Counter(answers.values()).most_common(1)[0]
    if votes < needed:
        raise HoldersDisagree(share, tuple(sorted(answers)))
    liars = tuple(sorted(i for i, answer in answers.items() if answer != digest))
    return Agreement(share, digest, liars)
