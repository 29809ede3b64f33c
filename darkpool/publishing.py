"""What goes into the public record, besides what the spine hands over as it runs."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

from crypto.attestation import opening_context, venue_terms_digest
from darkpool.admission.intent import AuctionTerms
from darkpool.auction import AuctionOutcome, Pricing
from darkpool.crossing.encrypted import EncryptedCross
from darkpool.margin.ledger import MarginLedger
from darkpool.margin.positions import encode_positions
from darkpool.margin.terms import MarginTerms
from darkpool.record_schema import (
    AuctionSummary,
    BalanceRecord,
    BatchRecord,
    CommitteeRecord,
    FillRecord,
    GridRecord,
    InstrumentRecord,
    MarginRecord,
    OutcomeRecord,
    SettlementRecord,
    TransactionRecord,
    VenueRecord,
)
from darkpool.settlement.balances import results_root
from darkpool.settlement.evidence import Deployment, TransactionReceiptInfo
from darkpool.units import (
    AccountId,
    Cash,
    InstrumentId,
    InstrumentName,
    PriceGrid,
    account_bytes,
    account_id,
)


@dataclass(frozen=True, slots=True)
class PublicTerms:
    """What everybody knows before an interval opens; instruments by the names that people use."""

    auction: AuctionTerms
    pricing: Pricing
    margin: Mapping[InstrumentId, MarginTerms]
    names: Mapping[InstrumentId, InstrumentName]
    deployment: Deployment


def balances_of(ledger: MarginLedger) -> tuple[BalanceRecord, ...]:
    """Everyone's collateral and positions as they stand now, in the ledger's order."""
    records = []
    for account in ledger.accounts():
        held = ledger.collateral(account)
        positions = encode_positions(ledger.positions(account))
        address = account_bytes(account)
        records.append(BalanceRecord(address, held.withdrawable, held.encumbered, positions))
    return tuple(records)


def auction_summary(
    terms: PublicTerms,
    outcome: AuctionOutcome,
    before: tuple[BalanceRecord, ...],
    after: tuple[BalanceRecord, ...],
) -> AuctionSummary:
    """All of an interval's auctions that is not a ciphertext, a key or an opening.

    `before` and `after` are `balances_of` the ledger before admission and after settlement.
    """
    deployment, interval = terms.deployment, terms.auction.interval
    domain = deployment.domain()
    places = {book.instrument: number for number, book in enumerate(outcome.books)}
    return AuctionSummary(
        interval=interval,
        closes_ms=terms.auction.closes_ms,
        pricing=terms.pricing.value,
        grid=_grid(next(iter(terms.auction.grids.values()))),
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
        instruments=tuple(_instruments(terms, outcome)),
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
        before=_with_deposits(before, outcome.credited),
        after=after,
        batch=BatchRecord(
            outcome.batch.root,
            outcome.batch.count,
            dict(outcome.batch_signatures),
            _transaction(outcome.batch_transaction),
        ),
        settlement=_settlement(outcome),
    )


def terms_digest(
    auction: AuctionTerms,
    pricing: Pricing,
    margin: Mapping[InstrumentId, MarginTerms],
    deployment: Deployment,
) -> bytes:
    """What the keypers sign that an auction ran under."""
    grid = _grid(next(iter(auction.grids.values())))
    return venue_terms_digest(
        auction.material.digest(),
        account_bytes(deployment.vault),
        (pricing.value, grid.tick_size, grid.reference, str(grid.ticks)),
        [(name, margin[name].rate_ppm, margin[name].multiplier) for name in sorted(margin)],
    )


def _with_deposits(
    balances: tuple[BalanceRecord, ...], credited: Mapping[AccountId, Cash]
) -> tuple[BalanceRecord, ...]:
    """Balances that count late deposits, also of accounts that had none, in the same order."""
    late = {account_bytes(account): amount for account, amount in credited.items()}
    none = encode_positions({})
    known = {balance.account: balance for balance in balances}
    for account, amount in late.items():
        before = known.get(account, BalanceRecord(account, 0, 0, none))
        known[account] = replace(before, withdrawable=before.withdrawable + amount)
    return tuple(known[account] for account in sorted(known, key=_in_ledger_order))


def _in_ledger_order(account: bytes) -> AccountId:
    return account_id(f"0x{account.hex()}")


def _grid(grid: PriceGrid) -> GridRecord:
    return GridRecord(f"{grid.tick_size:f}", f"{grid.reference:f}", grid.ticks)


def _committee(terms: PublicTerms) -> CommitteeRecord:
    committee, deployment = terms.auction.material.committee, terms.deployment
    addresses = tuple(account_bytes(keyper) for keyper in deployment.keypers)
    return CommitteeRecord(committee.size, committee.epoch, deployment.quorum, addresses)


def _instruments(terms: PublicTerms, outcome: AuctionOutcome) -> Iterable[InstrumentRecord]:
    for book, cross in zip(outcome.books, outcome.crosses, strict=True):
        margin = terms.margin[book.instrument]
        yield InstrumentRecord(
            name=terms.names[book.instrument],
            identifier=book.instrument,
            intents=tuple(book.intents),
            outcome=None if cross is None else _outcome(cross),
            margin=MarginRecord(margin.rate_ppm, margin.multiplier, margin.worst_price),
        )


def _outcome(cross: EncryptedCross) -> OutcomeRecord:
    return OutcomeRecord(cross.tick, cross.volume, int(cross.short_side))


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
