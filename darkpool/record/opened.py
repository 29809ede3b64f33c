"""An opening with its arrays."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from crypto.bfv.ciphertext import Ciphertext
from crypto.ring.params import ParameterSet
from crypto.ring.ring import Words
from crypto.threshold.attestation import OpeningEntry, share_purpose
from crypto.threshold.replicated import share_digest
from crypto.threshold.revealing import Revealed
from darkpool.record.forms import OpeningRecord
from darkpool.record.kinds import Ring


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


def opening_record(opened: Revealed, parameters: ParameterSet) -> OpeningRecord:
    """An opening as it is published, without its arrays."""
    request = opened.request
    ciphertext = request.covered.ciphertext
    ring: Ring = "order" if ciphertext.ring == parameters.order_ring else "comparison"
    return OpeningRecord(
        context=request.context,
        epoch=request.epoch,
        sequence=request.sequence,
        purpose=request.purpose,
        ring=ring,
        level=ciphertext.level,
        mask_number=request.covered.mask_number,
        mask_part=request.covered.mask_part,
        budget_before_bits=opened.budget_before_bits,
        budget_after_bits=opened.budget_after_bits,
        liars=opened.liars,
    )
