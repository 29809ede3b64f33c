"""What keypers sign about an auction's evidence, and what openings are bound to."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from crypto import labels
from crypto.ring.sampling import absorb
from crypto.signing.eip712 import Domain


@dataclass(frozen=True, slots=True)
class OpeningEntry:
    """One opening as a keyper wrote it down.

    Attributes:
        purpose: what was opened, in words.
        ciphertext: 32-byte digest of the opened ciphertext.
        mask, part: the part of the mask that covered it, or None where slots were selected.
        shares: digests of decryption shares, as `crypto.threshold.replicated.share_digest`, by
            share number.
    """

    purpose: str
    ciphertext: bytes
    mask: int | None
    part: int | None
    shares: Mapping[int, bytes]

    def digest(self, keyper: int | None = None) -> bytes:
        """32 bytes over the opening; as a keyper knows it without the share of its own number."""
        cover = [0 if number is None else number + 1 for number in (self.mask, self.part)]
        shares = _without(keyper, self.shares)
        fields = absorb(b"", self.purpose.encode(), self.ciphertext, *cover, *shares)
        return hashlib.sha256(fields).digest()


def mask_attestation_digest(domain: Domain, mask_digest: bytes) -> bytes:
    """32 bytes that a keyper signs for a mask it saw combined from agreed contributions."""
    fields = absorb(labels.MASK_ATTESTATION, domain.separator(), mask_digest)
    return hashlib.sha256(fields).digest()


def opening_context(batch: bytes, block: int) -> bytes:
    """32 bytes that name an auction: what was signed of its batch, and the commitment's block.

    `batch` is the digest that a quorum signed to commit it, 32 bytes: it binds chain, contract,
    interval, root, previous settlement, terms and masks.
    """
    return hashlib.sha256(absorb(labels.OPENING_CONTEXT, batch, block)).digest()


def plan_digest(masks: Sequence[tuple[int, int, bytes]]) -> bytes:
    """32 bytes over the masks that are set aside for an auction: number, lanes, digest of each."""
    fields = [field for mask in masks for field in mask]
    return hashlib.sha256(absorb(labels.MASK_PLAN, len(masks), *fields)).digest()


def share_purpose(context: bytes, sequence: int, purpose: str) -> bytes:
    """What the digests of an opening's decryption shares are bound to."""
    return absorb(context, sequence, purpose.encode())


@dataclass(frozen=True, slots=True)
class StatedRules:
    """Who may take part, and what it costs to break the rules.

    Attributes:
        owners: owner of each account that is named, 20 bytes both.
        owners_min: least number of distinct owners.
        cap_min: least public cap, in lots.
        bond: in units of the collateral.
        charge_ppm: the part of the bond that is charged.
        treasury: the account that charges go to, 20 bytes.
    """

    owners: Mapping[bytes, bytes]
    owners_min: int
    cap_min: int
    bond: int
    charge_ppm: int
    treasury: bytes

    def digest(self) -> bytes:
        """32 bytes over all rules."""
        pairs = [octets for pair in sorted(self.owners.items()) for octets in pair]
        numbers = (self.owners_min, self.cap_min, self.bond, self.charge_ppm)
        words = [number.to_bytes(32, "big") for number in numbers]
        fields = absorb(
            labels.PUBLIC_RULES, len(words), *words, self.treasury, len(self.owners), *pairs
        )
        return hashlib.sha256(fields).digest()


@dataclass(frozen=True, slots=True)
class StatedTerms:
    """What an auction runs under; certificates and transcripts are signed for its digest.

    Attributes:
        material: digest of the public key material, 32 bytes.
        vault: address of the vault, 20 bytes.
        reporter: address that reference prices are signed with, 20 bytes.
        references: digest of each signed reference price, 32 bytes; they lay down the grids.
        pricing: how the price is found, in a word.
        margin: digest of contracts, prices and risk arrays that margin follows from, 32 bytes.
        rules: who may take part, and what it costs to break the rules.
    """

    material: bytes
    vault: bytes
    reporter: bytes
    references: Sequence[bytes]
    pricing: str
    margin: bytes
    rules: StatedRules

    def digest(self) -> bytes:
        """32 bytes over all terms."""
        fields = absorb(
            labels.VENUE_TERMS,
            self.material,
            self.vault,
            self.reporter,
            absorb(b"", *self.references),
            self.pricing.encode(),
            self.margin,
            self.rules.digest(),
        )
        return hashlib.sha256(fields).digest()


@dataclass(frozen=True, slots=True)
class OpeningTranscript:
    """All openings of an auction, in order, and its beacon.

    Attributes:
        context: `opening_context` of the auction.
        terms_digest: `StatedTerms.digest`.
        beacon_shares: 32 bytes by share number; of a keyper's own view, its number's is missing.
    """

    domain: Domain
    context: bytes
    terms_digest: bytes
    openings: Sequence[OpeningEntry]
    beacon_shares: Mapping[int, bytes]

    def digest(self, keyper: int) -> bytes:
        """32 bytes that a keyper signs.

        They name the shares that the keyper holds, all but its own number's, of the openings and of
        the beacon: between them, a quorum of signatures covers every share at least twice.
        """
        beacon = absorb(b"", *_without(keyper, self.beacon_shares))
        fields = absorb(
            labels.TRANSCRIPT,
            self.domain.separator(),
            self.context,
            self.terms_digest,
            keyper,
            hashlib.sha256(beacon).digest(),
            *(opening.digest(keyper) for opening in self.openings),
        )
        return hashlib.sha256(fields).digest()


def _without(keyper: int | None, shares: Mapping[int, bytes]) -> list[bytes]:
    """Shares, or their digests, in share order, without the one that the keyper does not hold."""
    return [shares[j] for j in sorted(shares) if j != keyper]


def mask_context(epoch: int, number: int) -> bytes:
    """32 bytes that openings during the preparation of a mask are bound to."""
    return hashlib.sha256(absorb(labels.MASK_PREPARATION, epoch, number)).digest()
