"""The public rules: owner groups, least caps, and who takes part beside whom."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from itertools import pairwise

from darkpool.record.forms import InstrumentRecord
from darkpool.units import Lots, account_of, cap_bucket
from darkpool.verification.accounts import live_intent
from darkpool.verification.basis import Basis
from darkpool.verification.report import Findings


@dataclass(frozen=True, slots=True)
class Participation:
    """Who takes part in an instrument's auction, by batch indices.

    Attributes:
        participants: who takes part, ascending.
        lacking_others: who does not, because others have reserved too little: what it asks
            for and what there is, in cash units.
        owners: distinct owners of plain intents beside whom every minimum holds; if they are fewer
            than the terms ask for, no intent takes part.
    """

    participants: tuple[int, ...]
    lacking_others: Mapping[int, tuple[int, int]]
    owners: int


class ParticipantSets:
    """Who takes part in each instrument's auction, while some are found to be at fault.

    Raises:
        Unsound: margin cannot be computed from the record.
    """

    def __init__(self, basis: Basis) -> None:
        self._basis = basis
        self._record = basis.record
        left = covered(basis)
        instruments = self._record.summary.instruments
        self._present = [left.intersection(instrument.intents) for instrument in instruments]
        self._leave_out()

    def all(self) -> frozenset[int]:
        """Batch indices of all participants."""
        return frozenset().union(*self._present)

    def has(self, instrument: int, *, minimum_fill: bool) -> bool:
        """Whether an intent of that kind takes part in an instrument, given by its number."""
        intents = self._record.intents
        present = self._present[instrument]
        return any(intents[index].sealed.minimum_fill == minimum_fill for index in present)

    def take_out(self, indices: Iterable[int]) -> None:
        """Take out intents that were found at fault, and those that may not stay without them."""
        fault = frozenset(indices)
        self._present = [present - fault for present in self._present]
        self._leave_out()

    def _leave_out(self) -> None:
        """Leave out intents that may not take part beside those that are left."""
        pairs = zip(self._record.summary.instruments, self._present, strict=True)
        self._present = [
            frozenset(participation(self._basis, instrument, present).participants)
            for instrument, present in pairs
        ]


def covered(basis: Basis) -> frozenset[int]:
    """Batch indices of intents of accounts that cover all that they have in the batch."""
    uncovered, intents = basis.uncovered, basis.record.intents
    return frozenset(k for k, i in enumerate(intents) if i.sealed.account not in uncovered)


def participation(
    basis: Basis, instrument: InstrumentRecord, indices: Iterable[int]
) -> Participation:
    """Who takes part of some intents, given by batch index, all of this instrument.

    Goes round after round over all that are left, and leaves out together all that have too little
    beside them.
    """
    record, owners = basis.record, basis.owners
    asked = {index: record.intents[index].sealed for index in indices}
    owner = {k: owners.get(sealed.account, sealed.account) for k, sealed in asked.items()}
    needs = _needs(basis, instrument, {sealed.cap for sealed in asked.values()})
    # minimum-fill orders make no price, so they do not count beside another intent
    reserved = {k: 0 if sealed.minimum_fill else needs[sealed.cap] for k, sealed in asked.items()}
    left = set(asked)
    while True:
        by_owner: Counter[bytes] = Counter()
        for k in left:
            by_owner[owner[k]] += reserved[k]
        beside = {k: by_owner.total() - by_owner[owner[k]] for k in asked}
        staying = {k for k in left if beside[k] >= asked[k].others_collateral_min}
        if staying == left:
            break
        left = staying
    lacking = {k: (asked[k].others_collateral_min, beside[k]) for k in sorted(set(asked) - left)}
    count = len({owner[k] for k in left if not asked[k].minimum_fill})
    enough = count >= record.summary.participation.owners_min
    return Participation(tuple(sorted(left)) if enough else (), lacking, count)


def _needs(basis: Basis, instrument: InstrumentRecord, caps: Iterable[int]) -> dict[int, int]:
    """What an intent needs by itself, by its cap."""
    record, model = basis.record, basis.model
    number = record.summary.instruments.index(instrument)
    return {cap: model.alone(live_intent(record, model, number, cap)) for cap in caps}


def check_public_rules(basis: Basis, findings: Findings) -> None:
    """Owner groups are plain; intents keep to the least cap, and each owner to one a book."""
    record, owners = basis.record, basis.owners
    rules = record.summary.participation
    for before, entry in pairwise(rules.owners):
        if before.account >= entry.account:
            findings.add("owners", "accounts that ascend, each once", entry.account)
            break
    for account, owner in owners.items():
        above = owners.get(owner, owner)
        if above != owner:
            findings.add(f"owner of {account_of(account)}, owner", owner, above)
    if rules.owners_min < 1:
        findings.add("owners_min", "at least 1", rules.owners_min)
    with findings.watch("cap_min"):
        findings.equal("cap_min", cap_bucket(Lots(rules.cap_min)), rules.cap_min)
    seen: set[tuple[bytes, bytes]] = set()
    for index, intent in enumerate(record.intents):
        sealed = intent.sealed
        owner = owners.get(sealed.account, sealed.account)
        if (owner, sealed.instrument) in seen:
            findings.add(f"intent {index}, owner", "an owner without an intent", owner)
        seen.add((owner, sealed.instrument))
        if sealed.cap < rules.cap_min:
            findings.add(f"intent {index}, cap", f"at least {rules.cap_min}", sealed.cap)
