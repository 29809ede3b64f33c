"""What keypers sign about an auction's evidence, and what openings are bound to."""

from __future__ import annotations

import hashlib

from crypto import labels
from crypto.commitment import Domain
from crypto.sampling import absorb


def mask_attestation_digest(domain: Domain, mask_digest: bytes) -> bytes:
    """32 bytes that a keyper signs for a mask it saw combined from agreed contributions."""
    fields = absorb(labels.MASK_ATTESTATION, domain.separator(), mask_digest)
    return hashlib.sha256(fields).digest()


def opening_context(domain: Domain, interval: int, batch_root: bytes) -> bytes:
    """32 bytes that name an auction and its final batch root."""
    fields = absorb(labels.OPENING_CONTEXT, domain.separator(), interval, batch_root)
    return hashlib.sha256(fields).digest()
