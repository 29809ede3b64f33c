"""The forms of an order on its way into an auction, and the terms that it is sealed under.

A client wants a `LimitOrder`; `crypto.signing.messages.Intent` is its committed form, which only
the client holds; a `SealedSubmission` is what leaves the client; a `ProvenIntent` has passed the
proof of knowledge; an `AdmittedIntent` has a certificate and takes part.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from crypto.bfv.ciphertext import Ciphertext
from crypto.signing.ecdsa import verify_signature
from crypto.signing.eip712 import Domain
from crypto.signing.messages import Cancellation, SealedIntent
from crypto.threshold.certificate import IntentCertificate, SignedAnnouncement
from darkpool.limits import ORDER_SIZE_MAX_LOTS, TICKS_MAX
from darkpool.units import (
    AccountId,
    AuctionId,
    InstrumentId,
    Interval,
    Lots,
    Side,
    Tick,
    account_of,
    require_kind,
    within,
)

_PLAIN: Final = Lots(0)


@dataclass(frozen=True, slots=True)
class LimitOrder:
    """What a client wants: up to `size` at `limit` or better. Size 0 is cover traffic.

    With a `minimum` it is a minimum-fill order: it takes from the surplus of plain orders alone,
    and fills with so many lots or not at all. It is from 1 to the size, 1 for cover traffic; 0 for
    a plain order.

    Raises:
        WrongType: a side that is no `Side`, or a number that is no whole one.
        OutOfBounds: a size, limit or minimum that no order has on any grid.
    """

    side: Side
    size: Lots
    limit: Tick
    minimum: Lots = _PLAIN

    def __post_init__(self) -> None:
        size = within("size in lots", 0, ORDER_SIZE_MAX_LOTS, self.size)
        checked = {
            "side": require_kind("side", Side, self.side),
            "size": size,
            "limit": within("limit tick", 0, TICKS_MAX - 1, self.limit),
            "minimum": within("minimum in lots", 0, max(size, 1), self.minimum),
        }
        for name, value in checked.items():
            object.__setattr__(self, name, value)


@dataclass(frozen=True, slots=True)
class SealedSubmission:
    """What a client sends: nothing in it tells side, size or limit.

    Attributes:
        sealed: the public part, which the account signs.
        signature: 65 bytes over its EIP-712 digest.
        ciphertext: wire form.
        envelopes: share openings for each keyper, in keyper order.
    """

    sealed: SealedIntent
    signature: bytes
    ciphertext: bytes
    envelopes: tuple[bytes, ...]


@dataclass(frozen=True, slots=True)
class SignedCancellation:
    """An intent taken back, with its account's signature, 65 bytes."""

    cancellation: Cancellation
    signature: bytes

    def verify(self, domain: Domain) -> None:
        """Check that the account signed it.

        Raises:
            InvalidSignature: it did not.
            InvalidMessageField: a field does not fit its type.
        """
        digest = self.cancellation.digest(domain)
        verify_signature(digest, self.signature, self.cancellation.account)

    def is_of(self, sealed: SealedIntent, domain: Domain) -> bool:
        """Whether it is about this intent."""
        return self.cancellation == Cancellation.of(sealed, domain)


@dataclass(frozen=True, slots=True)
class CertifiedIntent:
    """A sealed intent that takes part, with its account's signature and its certificate."""

    sealed: SealedIntent
    signature: bytes
    certificate: IntentCertificate


@dataclass(frozen=True, slots=True)
class ProvenIntent:
    """A sealed intent whose sender has been shown to know what is in it.

    Attributes:
        sealed: the public part.
        signature: the account's, 65 bytes.
        digest: EIP-712 digest of the public part.
        ciphertext: parsed and checked.
        announcements: what the keypers announced of their share openings.
    """

    sealed: SealedIntent
    signature: bytes
    digest: bytes
    ciphertext: Ciphertext
    announcements: tuple[SignedAnnouncement, ...]


@dataclass(frozen=True, slots=True)
class AdmittedIntent:
    """A sealed intent that takes part, unless it is cancelled.

    Attributes:
        sealed: the public part.
        signature: the account's, 65 bytes.
        digest: EIP-712 digest of the public part.
        ciphertext: parsed and checked.
        certificate: a quorum of keypers checked the proof of knowledge before the close.
    """

    sealed: SealedIntent
    signature: bytes
    digest: bytes
    ciphertext: Ciphertext
    certificate: IntentCertificate

    def certified(self) -> CertifiedIntent:
        """Without the ciphertext, as keypers know it."""
        return CertifiedIntent(self.sealed, self.signature, self.certificate)


@dataclass(frozen=True, slots=True)
class ClosedBatch:
    """What is handed to the keypers with a batch root.

    Attributes:
        intents: in batch order.
        cancellations: signed by their accounts; they say why certified intents are left out.
    """

    intents: tuple[CertifiedIntent, ...]
    cancellations: tuple[SignedCancellation, ...]


def account_and_auction(sealed: SealedIntent) -> tuple[AccountId, AuctionId]:
    """Whose intent it is, and for which auction."""
    auction = AuctionId(InstrumentId(sealed.instrument), Interval(sealed.interval))
    return account_of(sealed.account), auction
