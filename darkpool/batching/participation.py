"""Who takes part in an instrument's auction, decided on public data alone, before anything opens.

An intent may carry a signed minimum: it takes part only beside so much reserved collateral of
*other owners* in the same auction. To set one intent aside takes its collateral away from all
others, so the rule is applied until nothing changes. The order does not matter:

Write F(S) for the intents of S whose minimum is at most what other owners of S have reserved.
Amounts are not negative, so S within T makes F(S) part of F(T). Let U be the union of all sets that
stay whole, F(S) = S. Every such S is in U, so S = F(S) is part of F(U): U is part of F(U), hence
F(U) = U, and U is the greatest of them. Now take away, one at a time and in any order, an intent
that fails beside those left. No intent of U ever fails: while all of U is left, it has beside it at
least what it has in U. What is left at the end stays whole, so it is part of U as well: it is U.

Only plain orders count for others: they make the price, and whoever hides among others hides in
their curves. What a minimum-fill order has reserved is therefore taken as nothing, and it is no
owner.

The minimum of owners is asked of U alone: fewer than that, and nobody takes part. A set that stays
whole and has enough owners is part of U, so U then has enough too: this result is also the
greatest.
"""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from heapq import heapify, heappop, heappush

from darkpool.units import Cash, OwnerId


@dataclass(frozen=True, slots=True)
class Candidate:
    """What is public of an intent that may take part.

    Attributes:
        batch_index: its place in the batch; every candidate has one of its own.
        owner: whose it is.
        reserved: margin that its cap needs by itself, the bond not counted.
        others_min: signed minimum of what other owners have reserved in the auction.
        minimum_fill: whether it is a minimum-fill order.
    """

    batch_index: int
    owner: OwnerId
    reserved: Cash
    others_min: Cash
    minimum_fill: bool = False

    @property
    def counted(self) -> int:
        """What it has reserved as far as others may count on it."""
        return 0 if self.minimum_fill else self.reserved


class Missing(StrEnum):
    """What there is too little of for an intent to take part."""

    COLLATERAL = "collateral of others"
    OWNERS = "owners"
    OWN_COLLATERAL = "collateral of its own"


@dataclass(frozen=True, slots=True)
class SetAside:
    """An intent that does not take part, through no fault of its own: nothing is charged.

    Attributes:
        batch_index: its place in the batch.
        missing: what there is too little of.
        required: cash units that it signed, or owners that the terms ask for; or, of its own
            collateral, the bond and the margin of all intents of its account.
        available: cash units that other owners have reserved, or owners, in the greatest set in
            which every minimum holds. The same whatever the order in which intents are set aside.
            Of its own collateral, what its account had when the batch was committed, less margin
            of its positions.
    """

    batch_index: int
    missing: Missing
    required: int
    available: int


@dataclass(frozen=True, slots=True)
class Participation:
    """Who takes part in an auction, and who does not; both ascending by place in the batch."""

    participants: tuple[int, ...]
    set_aside: tuple[SetAside, ...]


@dataclass(slots=True)
class _Owned:
    """An owner's candidates that are left, the greatest minimum last, and their collateral."""

    left: list[Candidate]
    reserved: int


def decide_participation(candidates: Sequence[Candidate], owners_min: int) -> Participation:
    """Set aside every intent whose minimum does not hold, and all if too few owners are left.

    Takes time n log n in the number of candidates, however long the chain of those that fall.
    """
    owned = _by_owner(candidates)
    total = sum(candidate.counted for candidate in candidates)
    # An intent holds if its minimum and what its own owner has reserved are at most the total.
    heap = [(-_needed(own), owner) for owner, own in owned.items()]
    heapify(heap)
    fallen: list[Candidate] = []
    while heap and -heap[0][0] > total:
        _, owner = heappop(heap)
        own = owned[owner]
        last = own.left.pop()
        own.reserved -= last.counted
        total -= last.counted
        fallen.append(last)
        if own.left:
            heappush(heap, (-_needed(own), owner))
    aside = [
        SetAside(c.batch_index, Missing.COLLATERAL, c.others_min, total - owned[c.owner].reserved)
        for c in fallen
    ]
    participants = [c.batch_index for own in owned.values() for c in own.left]
    owners = sum(any(not c.minimum_fill for c in own.left) for own in owned.values())
    if owners < owners_min:
        aside += [SetAside(i, Missing.OWNERS, owners_min, owners) for i in participants]
        participants = []
    return Participation(
        tuple(sorted(participants)), tuple(sorted(aside, key=lambda entry: entry.batch_index))
    )


def _by_owner(candidates: Sequence[Candidate]) -> dict[OwnerId, _Owned]:
    grouped: dict[OwnerId, list[Candidate]] = defaultdict(list)
    for candidate in sorted(candidates, key=lambda candidate: candidate.others_min):
        grouped[candidate.owner].append(candidate)
    return {
        owner: _Owned(own, sum(candidate.counted for candidate in own))
        for owner, own in grouped.items()
    }


def _needed(own: _Owned) -> int:
    return own.left[-1].others_min + own.reserved
