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


def mask_attestation_digest(domain: Domain, mask_digest: bytes) -> bytes:
    """32 bytes that a keyper signs for a mask it saw combined from agreed contributions."""
    fields = absorb(labels.MASK_ATTESTATION, domain.separator(), mask_digest)
    return hashlib.sha256(fields).digest()


def opening_context(domain: Domain, interval: int, batch_root: bytes) -> bytes:
    """32 bytes that name an auction and its final batch root."""
    fields = absorb(labels.OPENING_CONTEXT, domain.separator(), interval, batch_root)
    return hashlib.sha256(fields).digest()


def share_purpose(context: bytes, sequence: int, purpose: str) -> bytes:
    """What the digests of an opening's decryption shares are bound to."""
    return absorb(context, sequence, purpose.encode())


def public_rules_digest(
    groups: Mapping[bytes, bytes], numbers: Sequence[int], payee: bytes
) -> bytes:
    """32 bytes over who may take part, and what it costs to break the rules.

    Args:
        groups: owner of each account that is named, 20 bytes both.
        numbers: least number of owners, least cap in lots, bond in units of the collateral, and
            the part of it that is charged, in parts per million.
        payee: the account that charges go to, 20 bytes.
    """
    pairs = [field for account in sorted(groups) for field in (account, groups[account])]
    words = [number.to_bytes(32, "big") for number in numbers]
    fields = absorb(labels.PUBLIC_RULES, len(words), *words, payee, len(groups), *pairs)
    return hashlib.sha256(fields).digest()


def venue_terms_digest(
    material: bytes,
    vault: bytes,
    reporter: bytes,
    references: Sequence[bytes],
    pricing: str,
    margin: bytes,
    public_rules: bytes,
) -> bytes:
    """32 bytes over what an auction runs under.

    Args:
        material: digest of the public key material.
        vault: address of the vault, 20 bytes.
        reporter: address that reference prices are signed with, 20 bytes.
        references: digest of each signed reference price, 32 bytes; they lay down the grids.
        pricing: how the price is found, in a word.
        margin: digest of contracts, prices and risk arrays that margin follows from, 32 bytes.
        public_rules: `public_rules_digest`.
    """
    prices = absorb(b"", *references)
    named = (material, vault, reporter, prices, pricing.encode(), margin, public_rules)
    fields = absorb(labels.VENUE_TERMS, *named)
    return hashlib.sha256(fields).digest()


def transcript_digest(
    domain: Domain,
    context: bytes,
    terms: bytes,
    keyper: int,
    openings: Sequence[OpeningEntry],
    beacon_shares: Mapping[int, bytes],
) -> bytes:
    """32 bytes that a keyper signs for all openings of an auction, in order, and its beacon.

    It names the shares that the keyper holds, all but its own number's, of the openings as of the
    beacon: between them, a quorum of signatures covers every share at least twice.

    Args:
        terms: `venue_terms_digest`.
        beacon_shares: 32 bytes by share number; the keyper's own may be among them.
    """
    beacon = absorb(b"", *(beacon_shares[j] for j in sorted(beacon_shares) if j != keyper))
    entries = []
    for opening in openings:
        place = [0 if number is None else number + 1 for number in (opening.mask, opening.part)]
        shares = [opening.shares[j] for j in sorted(opening.shares) if j != keyper]
        entry = absorb(b"", opening.purpose.encode(), opening.ciphertext, *place, *shares)
        entries.append(hashlib.sha256(entry).digest())
    fields = absorb(
        labels.TRANSCRIPT,
        domain.separator(),
        context,
        terms,
        keyper,
        hashlib.sha256(beacon).digest(),
        *entries,
    )
    return hashlib.sha256(fields).digest()


def mask_context(epoch: int, number: int) -> bytes:
    """32 bytes that openings during the preparation of a mask are bound to."""
    return hashlib.sha256(absorb(labels.MASK_PREPARATION, epoch, number)).digest()
