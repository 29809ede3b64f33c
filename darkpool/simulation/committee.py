"""A committee whose keypers all run in this process."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from crypto.signing.ecdsa import address_of
from crypto.signing.eip712 import Domain
from crypto.threshold.evaluators import Evaluators
from crypto.threshold.keys import PublicMaterial
from darkpool.committee.committee import KeyperCommittee
from darkpool.keyper.identity import CommitteeView, KeyperIdentity, KeyperSenses
from darkpool.keyper.keyper import LocalKeyper
from darkpool.keyper.share_work import ShareWork
from darkpool.keyper.store import KeyperStore


@dataclass(frozen=True, slots=True)
class CommitteeSeat:
    """What one keyper of a local committee is started with: itself, and its memory's path."""

    identity: KeyperIdentity
    store: Path


def view_of(
    material: PublicMaterial, domain: Domain, seats: Sequence[CommitteeSeat]
) -> CommitteeView:
    """What every keyper of some seats knows of its committee."""
    addresses = tuple(address_of(seat.identity.signing_key) for seat in seats)
    return CommitteeView(material, domain, addresses)


def local_committee(
    view: CommitteeView,
    seats: Sequence[CommitteeSeat],
    senses: KeyperSenses,
    evaluators: Evaluators,
) -> KeyperCommittee:
    """Start all keypers of a committee in this process; they share what they compute."""
    work = ShareWork()
    keypers = [
        LocalKeyper(seat.identity, KeyperStore(seat.store), view, senses, work) for seat in seats
    ]
    return KeyperCommittee(keypers, view.material, view.domain, evaluators)
