"""What goes into the public record, besides what the spine hands over as it runs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from crypto.signing.settling import Settlement as SettlementMessage
from darkpool.auction.environment import OpenInterval
from darkpool.auction.outcome import CommittedBatch, Concluded, IntervalOutcome
from darkpool.chain.evidence import Deployment
from darkpool.crossing.crossing_book import EncryptedCross
from darkpool.margin.accounts.positions import encode_positions
from darkpool.margin.model.intent_margin import IntentMargin
from darkpool.protocol.flows import Flow
from darkpool.protocol.references import SignedReference
from darkpool.protocol.terms import IntervalTerms, PublicRules
from darkpool.record.due_forms import DueCharge, DueExpiry, DueFunding, DueRecord
from darkpool.record.forms import (
    AuctionSummary,
    BatchRecord,
    BondRecord,
    CommitmentRecord,
    CommitteeRecord,
    EvidenceRecord,
    FillRecord,
    FlowRecord,
    InstrumentRecord,
    OutcomeRecord,
    OwnerRecord,
    PaidRecord,
    ParticipationRecord,
    ReferenceRecord,
    RejectionRecord,
    SettlementRecord,
    StateRecord,
    TransactionRecord,
    TreeRecord,
    VenueRecord,
)
from darkpool.settlement.between import Between
from darkpool.settlement.state import AccountState
from darkpool.units import AccountId, InstrumentId, account_bytes, in_address_order


def auction_summary(
    opened: OpenInterval, deployment: Deployment, outcome: Concluded
) -> AuctionSummary:
    """All of an interval's auctions that is not a ciphertext, a key, an opening or evidence."""
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
            deployment.vaults[0].deposit_min,
        ),
        context=outcome.context,
        beacon_shares=outcome.beacon.shares,
        beacon=outcome.beacon.value,
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
        before=_states(outcome.applied.before),
        due=_due(opened.last.market_ms, opened.custody.between),
        flows=tuple(_flow(flow) for flow in outcome.batch.flows),
        paid=tuple(
            PaidRecord(account_bytes(account), outcome.applied.paid[account])
            for account in in_address_order(outcome.applied.paid)
        ),
        after=_states(outcome.applied.after),
        batch=_batch(outcome.batch),
        participation=participation_record(terms.rules),
        bond=BondRecord(bond.amount, bond.charge_ppm, account_bytes(bond.treasury)),
    )


def evidence_record(outcome: IntervalOutcome) -> EvidenceRecord:
    """Who signed, and where the chain has it."""
    batch, settled = outcome.batch, outcome.settlement
    sent = settled.final() if settled.is_final else None
    return EvidenceRecord(
        CommitmentRecord(dict(batch.signatures), batch.evidence.transaction),
        dict(outcome.crossed.transcripts),
        settlement_record(
            settled.message,
            settled.signatures,
            None if sent is None else TransactionRecord(sent.hash, sent.block),
        ),
    )


def settlement_record(
    message: SettlementMessage,
    signatures: Mapping[int, bytes],
    transaction: TransactionRecord | None,
) -> SettlementRecord:
    """A settlement as it is published, without what batch and terms say already."""
    return SettlementRecord(
        results=message.results,
        prices=message.prices,
        fills_root=message.fills_root,
        state_root=message.state_root,
        trees=tuple(
            TreeRecord(tree.vault, tree.root, tree.exit_total, tree.claim_total)
            for tree in message.trees
        ),
        leaf_hash=message.leaf_hash,
        leaf_blobs=message.leaf_blobs,
        record_digest=message.record_digest,
        signatures=dict(signatures),
        transaction=transaction,
    )


def _states(states: Sequence[AccountState]) -> tuple[StateRecord, ...]:
    return tuple(
        StateRecord(
            account_bytes(state.account),
            state.cash,
            state.debt,
            state.granted,
            state.is_pruned,
            state.free,
            encode_positions(state.positions),
        )
        for state in states
    )


def _due(settled_ms: int, between: Between) -> DueRecord:
    return DueRecord(
        settled_ms,
        between.market_ms,
        tuple(DueExpiry(e.interval, e.instrument, e.price) for e in between.expiries),
        tuple(DueFunding(f.interval, f.instrument, f.for_a_unit) for f in between.fundings),
        tuple(DueCharge(c.interval, account_bytes(c.account), c.amount) for c in between.charges),
    )


def _flow(flow: Flow) -> FlowRecord:
    vault, account = account_bytes(flow.vault), account_bytes(flow.account)
    return FlowRecord(flow.index, int(flow.kind), vault, account, flow.amount, flow.number)


def _batch(batch: CommittedBatch) -> BatchRecord:
    message, evidence = batch.message, batch.evidence
    return BatchRecord(
        message.root,
        message.count,
        message.previous_settlement,
        batch.masks,
        message.commit_by,
        evidence.flows,
        evidence.flows_head,
        evidence.block,
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


def _instruments(margin: IntentMargin, outcome: Concluded) -> tuple[InstrumentRecord, ...]:
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
