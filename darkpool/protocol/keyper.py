"""What a keyper is asked, and what it answers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from crypto.bfv.ciphertext import Ciphertext
from crypto.signing.messages import SealedIntent
from crypto.threshold.certificate import (
    SignedAnnouncement,
)
from crypto.threshold.knowledge import ReencryptedProof
from crypto.threshold.quorum import Numbered
from darkpool.protocol.intents import (
    CertifiedIntent,
    SignedCancellation,
)
from darkpool.protocol.terms import AuctionTerms
from darkpool.units import Interval


@dataclass(frozen=True, slots=True)
class CheckedProof:
    """What a keyper computed of a sealed vector, and what it announces of that to the others."""

    reencrypted: ReencryptedProof
    announced: SignedAnnouncement


@dataclass(frozen=True, slots=True)
class KnownIntents:
    """What a keyper knows of an interval that has closed, and demands of its batch.

    Attributes:
        intents: with a certificate that it was shown.
        cancellations: that it signed a receipt of.
    """

    intents: tuple[CertifiedIntent, ...]
    cancellations: tuple[SignedCancellation, ...]


class CertifyingKeyper(Numbered, Protocol):
    """What admission asks of a keyper; each may raise CryptoError or DarkpoolError to refuse."""

    def open_admission(self, terms: AuctionTerms) -> None:
        """Accept intents for the terms' interval until its close."""

    def check_proof(
        self, sealed: SealedIntent, ciphertext: Ciphertext, envelope: bytes
    ) -> CheckedProof:
        """Open the envelope, re-encrypt its shares, and announce their digests."""

    def certify(
        self,
        sealed: SealedIntent,
        signature: bytes,
        announcements: Sequence[SignedAnnouncement],
    ) -> bytes:
        """Sign the `AdmissionCertificate` of an intent whose opening was checked before."""

    def cancel(self, cancelled: SignedCancellation) -> bytes:
        """Sign the `CancellationReceipt` of a cancellation."""

    def close_admission(self, interval: Interval) -> KnownIntents:
        """End certification, when the interval has closed; tell what was certified, cancelled."""
