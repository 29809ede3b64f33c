"""Masks prepared ahead of time, in processes of their own.

Preparing a mask takes seconds of homomorphic products and is nobody's business but the committee's,
so it happens off line. SEAL holds Python's global lock, so workers are processes; they are spawned,
not forked, because a forked child would share the parent's native memory pools.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from crypto.bfv.seal import Evaluator
from crypto.signing.ecdsa import address_of
from crypto.signing.eip712 import Domain
from crypto.threshold.keys import KeyperSecrets, PublicMaterial
from darkpool.clock import Clock
from darkpool.committee.committee import LocalCommittee
from darkpool.keyper.keyper import FinalRoot, Keyper, RequireReferences
from darkpool.keyper.share_work import ShareWork
from darkpool.keyper.store import KeyperStore


@dataclass(frozen=True, slots=True)
class CommitteeSeat:
    """What one keyper of a local committee is started with.

    Attributes:
        secrets: its shares.
        signing_key: secp256k1 private key, 32 bytes.
        store: path of its durable memory.
    """

    secrets: KeyperSecrets
    signing_key: bytes = field(repr=False)
    store: Path


def local_committee(
    material: PublicMaterial,
    seats: Sequence[CommitteeSeat],
    domain: Domain,
    clock: Clock,
    final_root: FinalRoot,
    order: Evaluator,
    comparison: Evaluator,
    require_references: RequireReferences,
) -> LocalCommittee:
    """Start all keypers of a committee in this process."""
    work = ShareWork()
    addresses = tuple(address_of(seat.signing_key) for seat in seats)
    keypers = [
        Keyper(
            seat.secrets,
            material,
            seat.signing_key,
            KeyperStore(seat.store),
            domain,
            addresses,
            clock,
            final_root,
            work,
            require_references,
        )
        for seat in seats
    ]
    return LocalCommittee(keypers, material, order, comparison, domain)
