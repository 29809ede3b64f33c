"""An opening with its arrays."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from crypto.bfv.ciphertext import Ciphertext
from crypto.ring.ring import Words
from crypto.threshold.attestation import OpeningEntry, share_purpose
from crypto.threshold.replicated import share_digest
from darkpool.record.forms import OpeningRecord


@dataclass(frozen=True, slots=True)
class OpenedRecord:
    """An opening with its arrays.

    Attributes:
        support: slots that may be other than zero, shape (degree,).
        shares: in share order, each of shape (level, degree).
        values: slots in [0, t), shape (degree,).
    """

    entry: OpeningRecord
    ciphertext: Ciphertext
    support: npt.NDArray[np.bool_]
    shares: tuple[Words, ...]
    values: npt.NDArray[np.int64]

    def written(self) -> OpeningEntry:
        """What keypers write down of the opening, with the digests of all shares."""
        entry = self.entry
        purpose = share_purpose(entry.context, entry.sequence, entry.purpose)
        octets = [np.ascontiguousarray(share).astype("<u8", copy=False) for share in self.shares]
        return OpeningEntry(
            entry.purpose,
            self.ciphertext.digest(),
            entry.mask_number,
            entry.mask_part,
            {j: share_digest(j, purpose, data.tobytes()) for j, data in enumerate(octets)},
        )
