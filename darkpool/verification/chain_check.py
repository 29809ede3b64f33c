"""A record beside what a chain says: the same batch, flows and payments, and the same outcome."""

from __future__ import annotations

from collections.abc import Iterable

from crypto.signing.settling import Settlement
from darkpool.record.core import RecordView
from darkpool.record.forms import FlowRecord
from darkpool.units import account_of
from darkpool.verification.basis import Basis
from darkpool.verification.batch import batch_message
from darkpool.verification.evidence import (
    ChainBatch,
    ChainEvidence,
    ChainReader,
    ChainResult,
    ChainSettlement,
)
from darkpool.verification.outcome import settled_instruments
from darkpool.verification.report import Findings
from darkpool.verification.settlement import stated_settlement


def ask_chain(record: RecordView, chain: ChainReader, findings: Findings) -> ChainEvidence | None:
    """What the chain says of the record's interval; None where it is another chain.

    Raises:
        Unanswered: the chain gives no answer that can be used.
        DarkpoolError: the contracts of the record are not there.
    """
    expected, got = record.summary.venue.chain_id, chain.chain_id()
    if expected != got:
        findings.add("chain id", f"{expected} as in the record", got)
        return None
    settled = record.evidence.settlement.transaction
    blocks = (record.summary.batch.block, 0 if settled is None else settled.block)
    return chain.evidence(record.summary.interval, blocks)


def check_committed(basis: Basis, said: ChainEvidence, findings: Findings) -> None:
    """Venue, batch, flows and payments are those on the chain."""
    summary = basis.record.summary
    venue, committee = summary.venue, summary.committee
    findings.equal("venue, settlement", said.settlement_contract, venue.settlement)
    findings.equal("venue, vaults", said.vaults, (venue.vault,))
    findings.equal("venue, least deposit", said.deposit_min, venue.deposit_min)
    findings.equal("committee, quorum", said.quorum, committee.quorum)
    findings.equal("committee, addresses", len(said.keypers), len(committee.addresses))
    for number, (on_chain, stated) in enumerate(zip(said.keypers, committee.addresses)):  # noqa: B905
        findings.equal(f"committee, addresses, keyper {number}", on_chain, stated)
    if said.batch is None:
        findings.add("batch", "a committed batch", "none on the chain")
        return
    _check_batch(basis, said.batch, findings)
    flows = tuple(
        FlowRecord(flow.index, flow.kind, flow.vault, flow.account, flow.amount, flow.number)
        for flow in said.flows
    )
    findings.equal("flows", flows, summary.flows)
    stated_paid = {paid.account: paid.amount for paid in summary.paid}
    for account in sorted({*stated_paid, *said.paid}):
        part = f"paid to {account_of(account)}"
        findings.equal(part, said.paid.get(account, 0), stated_paid.get(account, 0))


def is_unsettled(record: RecordView) -> bool:
    """Whether no block had the settlement when the record was written; the batch may be void."""
    return record.evidence.settlement.transaction is None


def check_outcome(basis: Basis, said: ChainEvidence, findings: Findings) -> None:
    """Who signed the batch, and its settlement, are those on the chain."""
    evidence = basis.record.evidence
    if said.batch is not None:
        commitment = evidence.commitment
        findings.equal("batch, transaction", said.batch.transaction, commitment.transaction)
        _check_signers("batch", said.batch.signers, commitment.signatures, findings)
    if said.is_void and is_unsettled(basis.record):
        return  # a record that says of no settlement that a block has it
    if said.settlement is None:
        findings.add("settlement", "a settled batch", "none on the chain")
        return
    _check_results(basis.record, said.settlement, findings)
    stated = stated_settlement(basis.record, basis.terms)
    for name in Settlement.__dataclass_fields__:
        part = f"settlement, {name.replace('_', ' ')}"
        findings.equal(part, getattr(said.settlement.message, name), getattr(stated, name))
    settled = evidence.settlement
    _check_signers("settlement", said.settlement.signers, settled.signatures, findings)
    if settled.transaction is not None:  # else it was on no block when the record was written
        sent = said.settlement
        findings.equal("settlement, transaction", sent.transaction, settled.transaction.hash)
        findings.equal("settlement, block", sent.block, settled.transaction.block)


def _check_batch(basis: Basis, said: ChainBatch, findings: Findings) -> None:
    batch = basis.record.summary.batch
    stated = batch_message(basis.record, basis.terms)
    for name in ("interval", "root", "count", "previous_settlement", "terms", "plan", "commit_by"):
        part = f"batch, {name.replace('_', ' ')}"
        findings.equal(part, getattr(said.message, name), getattr(stated, name))
    findings.equal("batch, flows", said.flows, batch.flows)
    findings.equal("batch, flows head", said.flows_head, batch.flows_head)
    findings.equal("batch, block", said.block, batch.block)


def _check_results(record: RecordView, said: ChainSettlement, findings: Findings) -> None:
    instruments = settled_instruments(record)
    findings.equal("settlement, number of results", len(said.results), len(instruments))
    for instrument, on_chain in zip(instruments, said.results, strict=False):
        outcome = instrument.outcome
        tick, volume = (0, 0) if outcome is None else (outcome.tick, outcome.volume)
        stated = ChainResult(instrument.identifier, outcome is not None, tick, volume)
        if on_chain != stated:
            part = f"instrument {instrument.name}, outcome"
            findings.add(part, _result(on_chain), _result(stated))


def _result(result: ChainResult) -> str:
    crossed = f"tick {result.tick}, volume {result.volume}" if result.crossed else "no cross"
    return f"{crossed} of instrument 0x{result.instrument.hex()}"


def _check_signers(
    part: str, counted: Iterable[int], stated: Iterable[int], findings: Findings
) -> None:
    """The record has a signature of every keyper whose signature counted.

    It may have more: whoever sends a quorum's signatures need not send all, and those of a keyper
    that is excluded do not count.
    """
    for keyper in sorted(set(counted) - set(stated)):
        findings.add(f"{part}, signatures", f"one of keyper {keyper}", "none")
