"""What goes into the public record, besides what the spine hands over as it runs."""

from __future__ import annotations

from crypto.threshold.attestation import opening_context
from darkpool.auction.environment import OpenInterval
from darkpool.auction.outcome import IntervalOutcome, Settlement
from darkpool.chain.errors import ChainError
from darkpool.chain.evidence import Deployment, TransactionReceiptInfo
from darkpool.crossing.crossing_book import EncryptedCross
from darkpool.margin.accounts.balances import Balance
from darkpool.margin.model.intent_margin import IntentMargin
from darkpool.protocol.references import SignedReference
from darkpool.protocol.terms import IntervalTerms, PublicRules
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
from darkpool.units import AccountId, InstrumentId, account_bytes


def auction_summary(
    opened: OpenInterval, deployment: Deployment, outcome: IntervalOutcome
) -> AuctionSummary:
    """All of an interval's auctions that is not a ciphertext, a key or an opening."""
    terms, bond = opened.terms, opened.terms.rules.bond
    instruments = _instruments(opened.margin, outcome)
    numbers = {InstrumentId(i.identifier): number for number, i in enumerate(instruments)}
    return AuctionSummary(
        interval=terms.interval,
        closes_ms=terms.closes_ms,
        pricing=terms.pricing.value,
        ticks=terms.ticks,
        reporter=account_bytes(terms.reporter),
        references=tuple(reference_record(terms.references[name]) for name in numbers),
        committee=_committee(terms, deployment),
        venue=VenueRecord(
            deployment.chain_id,
            account_bytes(deployment.settlement),
            account_bytes(deployment.vault),
        ),
        context=opening_context(terms.domain, terms.interval, outcome.batch.root),
        beacon_shares=outcome.beacon.shares,
        beacon=outcome.beacon.value,
        transcripts=dict(outcome.crossed.transcripts),
        instruments=instruments,
        rejections=tuple(
            RejectionRecord(rejection.batch_index, rejection.fault.value)
            for rejection in sorted(outcome.rejections, key=lambda rejection: rejection.batch_index)
        ),
        fills=tuple(
            FillRecord(
                numbers[fill.instrument],
                fill.intent,
                account_bytes(fill.account),
                int(fill.side),
                fill.size,
                fill.tick,
            )
            for fill in outcome.crossed.fills
        ),
        before=_balances(outcome.applied.before),
        after=_balances(outcome.applied.after),
        batch=BatchRecord(
            outcome.batch.root,
            outcome.batch.count,
            dict(outcome.batch.signatures),
            _transaction(outcome.batch.transaction),
        ),
        settlement=_settlement(outcome.settlement),
        participation=participation_record(terms.rules),
        bond=BondRecord(bond.amount, bond.charge_ppm, account_bytes(bond.treasury)),
    )


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


def participation_record(rules: PublicRules) -> ParticipationRecord:
    """Owner groups and minima, as they are published and signed."""
    owners = [
        OwnerRecord(account_bytes(account), account_bytes(AccountId(owner)))
        for account, owner in rules.owners.items()
    ]
    ascending = tuple(sorted(owners, key=lambda entry: entry.account))
    return ParticipationRecord(ascending, rules.owners_min, rules.cap_min)


def _committee(terms: IntervalTerms, deployment: Deployment) -> CommitteeRecord:
    committee = terms.material.committee
    return CommitteeRecord(committee.size, committee.epoch, deployment.quorum, terms.addresses())


def _instruments(margin: IntentMargin, outcome: IntervalOutcome) -> tuple[InstrumentRecord, ...]:
    """All that the keypers signed terms of, those without intents last.

    Openings number the instruments that have intents.
    """
    traded = {
        instrument.id: (
            tuple(instrument.batch_indices),
            None if cross is None else _outcome(cross),
        )
        for instrument, cross in zip(outcome.instruments, outcome.crossed.crosses, strict=True)
    }
    without = {name: ((), None) for name in sorted(margin.names) if name not in traded}
    return tuple(
        InstrumentRecord(margin.names[name], name, intents, crossed)
        for name, (intents, crossed) in {**traded, **without}.items()
    )


def _outcome(cross: EncryptedCross) -> OutcomeRecord:
    return OutcomeRecord(cross.tick, cross.volume, int(cross.short_side), cross.exhausted)


def _settlement(settled: Settlement) -> SettlementRecord:
    sent = settled.transaction
    return SettlementRecord(
        results_root=results_root(settled.results),
        fills_root=settled.fills_root,
        balances_root=settled.balances_root,
        signatures=dict(settled.signatures),
        transaction=None if isinstance(sent, ChainError) else _transaction(sent),
    )


def _transaction(info: TransactionReceiptInfo) -> TransactionRecord:
    return TransactionRecord(info.hash, info.block)
