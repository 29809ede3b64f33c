"""What goes into the public record, besides what the spine hands over as it runs."""

from __future__ import annotations

from dataclasses import dataclass

from crypto.threshold.attestation import StatedRules, StatedTerms, opening_context
from darkpool.auction.outcome import AuctionOutcome
from darkpool.chain.evidence import Deployment, TransactionReceiptInfo
from darkpool.crossing.encrypted import EncryptedCross
from darkpool.margin.accounts.balances import Balance
from darkpool.margin.accounts.bond import BondTerms
from darkpool.margin.model.intent_margin import IntentMargin
from darkpool.protocol.references import SignedReference
from darkpool.protocol.terms import AuctionTerms, Pricing
from darkpool.record.forms import (
    AuctionSummary,
    BalanceRecord,
    BatchRecord,
    BondRecord,
    CommitteeRecord,
    FillRecord,
    InstrumentRecord,
    OutcomeRecord,
    OwnerRecord,
    ParticipationRecord,
    ReferenceRecord,
    RejectionRecord,
    SettlementRecord,
    TransactionRecord,
    VenueRecord,
)
from darkpool.settlement.leaves import results_root
from darkpool.units import (
    AccountId,
    InstrumentId,
    account_bytes,
)


@dataclass(frozen=True, slots=True)
class PublicTerms:
    """What everybody knows before an interval opens."""

    auction: AuctionTerms
    pricing: Pricing
    margin: IntentMargin
    bond: BondTerms
    deployment: Deployment


def auction_summary(terms: PublicTerms, outcome: AuctionOutcome) -> AuctionSummary:
    """All of an interval's auctions that is not a ciphertext, a key or an opening."""
    deployment, interval = terms.deployment, terms.auction.interval
    domain = deployment.domain()
    instruments = _instruments(terms, outcome)
    places = {InstrumentId(i.identifier): number for number, i in enumerate(instruments)}
    return AuctionSummary(
        interval=interval,
        closes_ms=terms.auction.closes_ms,
        pricing=terms.pricing.value,
        ticks=next(iter(terms.auction.grids.values())).ticks,
        reporter=account_bytes(terms.auction.reporter),
        references=tuple(reference_record(terms.auction.references[name]) for name in places),
        committee=_committee(terms),
        venue=VenueRecord(
            deployment.chain_id,
            account_bytes(deployment.settlement),
            account_bytes(deployment.vault),
        ),
        context=opening_context(domain, interval, outcome.batch.root),
        beacon_shares=outcome.beacon.shares,
        beacon=outcome.beacon.value,
        transcripts=dict(outcome.transcripts),
        instruments=instruments,
        rejections=tuple(
            RejectionRecord(rejection.batch_index, rejection.fault.value)
            for rejection in sorted(outcome.rejections, key=lambda rejection: rejection.batch_index)
        ),
        fills=tuple(
            FillRecord(
                places[fill.instrument],
                fill.intent,
                account_bytes(fill.account),
                int(fill.side),
                fill.size,
                fill.tick,
            )
            for fill in outcome.fills
        ),
        before=_balances(outcome.before),
        after=_balances(outcome.after),
        batch=BatchRecord(
            outcome.batch.root,
            outcome.batch.count,
            dict(outcome.batch_signatures),
            _transaction(outcome.batch_transaction),
        ),
        settlement=_settlement(outcome),
        participation=participation_record(terms.auction),
        bond=BondRecord(
            terms.bond.amount, terms.bond.charge_ppm, account_bytes(terms.bond.treasury)
        ),
    )


def terms_digest(
    auction: AuctionTerms,
    pricing: Pricing,
    margin: IntentMargin,
    bond: BondTerms,
    deployment: Deployment,
) -> bytes:
    """What the keypers sign that an auction ran under."""
    stated = StatedTerms(
        auction.material.digest(),
        account_bytes(deployment.vault),
        account_bytes(auction.reporter),
        [signed.message.digest(auction.domain) for _, signed in sorted(auction.references.items())],
        pricing.value,
        margin.inputs.digest(),
        StatedRules(
            {entry.account: entry.owner for entry in participation_record(auction).owners},
            auction.owners_min,
            auction.cap_min,
            bond.amount,
            bond.charge_ppm,
            account_bytes(bond.treasury),
        ),
    )
    return stated.digest()


def _balances(balances: tuple[Balance, ...]) -> tuple[BalanceRecord, ...]:
    return tuple(
        BalanceRecord(account_bytes(b.account), b.withdrawable, b.encumbered, b.positions)
        for b in balances
    )


def reference_record(reference: SignedReference) -> ReferenceRecord:
    """A signed reference price as it is published."""
    message = reference.message
    return ReferenceRecord(
        message.instrument,
        message.interval,
        message.price,
        message.tick_size,
        message.ticks,
        message.observed_at,
        reference.signature,
    )


def participation_record(auction: AuctionTerms) -> ParticipationRecord:
    """Owner groups and minima of an auction's terms, as they are published and signed."""
    owners = [
        OwnerRecord(account_bytes(account), account_bytes(AccountId(owner)))
        for account, owner in auction.owners.items()
    ]
    ascending = tuple(sorted(owners, key=lambda entry: entry.account))
    return ParticipationRecord(ascending, auction.owners_min, auction.cap_min)


def _committee(terms: PublicTerms) -> CommitteeRecord:
    committee, deployment = terms.auction.material.committee, terms.deployment
    addresses = tuple(account_bytes(keyper) for keyper in deployment.keypers)
    return CommitteeRecord(committee.size, committee.epoch, deployment.quorum, addresses)


def _instruments(terms: PublicTerms, outcome: AuctionOutcome) -> tuple[InstrumentRecord, ...]:
    """All that the keypers signed terms of, those without intents last.

    Openings number the instruments that have intents.
    """
    traded = {
        book.instrument: (tuple(book.intents), None if cross is None else _outcome(cross))
        for book, cross in zip(outcome.books, outcome.crosses, strict=True)
    }
    names = terms.margin.names
    without = {name: ((), None) for name in sorted(names) if name not in traded}
    return tuple(
        InstrumentRecord(names[name], name, intents, crossed)
        for name, (intents, crossed) in {**traded, **without}.items()
    )


def _outcome(cross: EncryptedCross) -> OutcomeRecord:
    return OutcomeRecord(cross.tick, cross.volume, int(cross.short_side), cross.exhausted)


def _settlement(outcome: AuctionOutcome) -> SettlementRecord:
    settled = outcome.settlement
    return SettlementRecord(
        results_root=results_root(settled.results),
        fills_root=settled.fills_root,
        balances_root=settled.balances_root,
        signatures=dict(settled.signatures),
        transaction=_transaction(settled.transaction),
    )


def _transaction(info: TransactionReceiptInfo) -> TransactionRecord:
    return TransactionRecord(info.hash, info.block)
