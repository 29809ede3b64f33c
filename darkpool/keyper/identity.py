"""Who a keyper is, what it knows of its committee, and what it asks for itself."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from crypto.signing.ecdsa import sign
from crypto.signing.eip712 import Domain
from crypto.threshold.keys import KeyperSecrets, PublicMaterial
from darkpool.chain.evidence import BatchEvidence, BlockPoint
from darkpool.clock import Clock
from darkpool.record.forms import VenueRecord
from darkpool.units import Interval
from darkpool.verification.evidence import ChainReader

OpenBatch = Callable[[Interval], BatchEvidence | None]
"""Asks the chain: the batch of an interval, final and open; None where there is none."""

RequireFinal = Callable[[BlockPoint], None]
"""Raises `ChainError` unless the chain has a block in its place for good, asked now."""

RecordedChain = Callable[[VenueRecord], ChainReader]
"""The keyper's own node, as the check of a settlement asks it about a venue."""

RequireReferences = Callable[[Interval], None]
"""Raises `ReferenceRefused` unless this keyper accepted the reference prices of an interval."""


@dataclass(frozen=True, slots=True)
class KeyperIdentity:
    """What makes one keyper: its shares, and a secp256k1 private key, 32 bytes."""

    secrets: KeyperSecrets
    signing_key: bytes = field(repr=False)

    @property
    def number(self) -> int:
        """Number in the committee."""
        return self.secrets.keyper

    def sign(self, digest: bytes) -> bytes:
        """65 bytes over a 32-byte digest."""
        return sign(digest, self.signing_key)


@dataclass(frozen=True, slots=True)
class CommitteeView:
    """What a keyper knows of its committee; `addresses` are 20 bytes each, in keyper order."""

    material: PublicMaterial
    domain: Domain
    addresses: tuple[bytes, ...]


@dataclass(frozen=True, slots=True)
class KeyperSenses:
    """What a keyper asks for itself, and whose prices it believes; no word of the operator's.

    Attributes:
        clock, open_batch, require_final, recorded_chain: its clock, and its own node.
        require_references: its watch over references.
        reporter: address, 20 bytes, of who signs reference prices.
        price_reporters: of those whose prices balances may follow from, 20 bytes each.
    """

    clock: Clock
    open_batch: OpenBatch
    require_final: RequireFinal
    recorded_chain: RecordedChain
    require_references: RequireReferences
    reporter: bytes
    price_reporters: frozenset[bytes]
