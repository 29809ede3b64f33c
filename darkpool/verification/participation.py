"""The public rules: owner groups, least caps, and who takes part beside whom."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from darkpool.record.forms import InstrumentRecord
from darkpool.record.reader import Record
from darkpool.units import Lots, cap_bucket
from darkpool.verification.accounts import live_intent, uncovered_accounts
from darkpool.verification.report import Findings
from darkpool.verification.requirement import MarginModel


@dataclass(frozen=True, slots=True)
class TakingPart:
    """Of an instrument's auction, by places in the batch.

    Attributes:
        participants: who takes part, ascending.
        lacking_others: who does not, because others have reserved too little: what it asks
            for and what there is, in cash units.
        owners: distinct owners of plain intents beside whom every minimum holds; fewer than the
            terms ask for, and nobody takes part.
    """

    participants: tuple[int, ...]
    lacking_others: Mapping[int, tuple[int, int]]
    owners: int


def covered(record: Record) -> frozenset[int]:
    """Places of all intents but those of accounts that do not cover what they have in the batch."""
    uncovered = uncovered_accounts(record)
    return frozenset(k for k, i in enumerate(record.intents) if i.sealed.account not in uncovered)


def taking_part(record: Record, instrument: InstrumentRecord, places: Iterable[int]) -> TakingPart:
    """Who takes part of the intents at some places, all of this instrument.

    Goes round after round over all that are left, and leaves out at once whoever has too little
    beside it.
    """
    asked = {place: record.intents[place].sealed for place in places}
    owners = owners_of(record)
    owner = {p: owners.get(sealed.account, sealed.account) for p, sealed in asked.items()}
    needs = _needs(record, instrument, {sealed.cap for sealed in asked.values()})
    # minimum-fill orders make no price, so they are nobody's company
    margin = {p: 0 if sealed.minimum_fill else needs[sealed.cap] for p, sealed in asked.items()}
    left = set(asked)
    while True:
        own: Counter[bytes] = Counter()
        for place in left:
            own[owner[place]] += margin[place]
        beside = {place: own.total() - own[owner[place]] for place in asked}
        holding = {p for p in left if beside[p] >= asked[p].others_collateral_min}
        if holding == left:
            break
        left = holding
    lacking = {p: (asked[p].others_collateral_min, beside[p]) for p in sorted(set(asked) - left)}
    count = len({owner[p] for p in left if not asked[p].minimum_fill})
    enough = count >= record.summary.participation.owners_min
    return TakingPart(tuple(sorted(left)) if enough else (), lacking, count)


def _needs(record: Record, instrument: InstrumentRecord, caps: Iterable[int]) -> dict[int, int]:
    """What an intent needs by itself, by its cap."""
    model = MarginModel(record.margin)
    number = record.summary.instruments.index(instrument)
    return {cap: model.alone(live_intent(record, model, number, cap)) for cap in caps}


def owners_of(record: Record) -> dict[bytes, bytes]:
    """Owner of every account that has one besides itself; all others own themselves."""
    return {entry.account: entry.owner for entry in record.summary.participation.owners}


def check_public_rules(record: Record, findings: Findings) -> None:
    """Owner groups are plain; intents keep to the least cap, and each owner to one a book."""
    rules, owners = record.summary.participation, owners_of(record)
    accounts = [entry.account for entry in rules.owners]
    if accounts != sorted(owners):
        findings.add("owners", "accounts that ascend, each once", [a.hex() for a in accounts])
    for account, owner in owners.items():
        findings.equal(f"owner of 0x{account.hex()}, owner", owner, owners.get(owner, owner))
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
