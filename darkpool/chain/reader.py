"""What the auditor asks of a chain, answered by the chain client: neither imports the other."""

from __future__ import annotations

from itertools import takewhile

from darkpool.chain.errors import ChainUnavailable
from darkpool.chain.evidence import BatchEvidence, SettlementEvidence
from darkpool.chain.reading import ReadableChain
from darkpool.protocol.flows import Flow
from darkpool.record.forms import VenueRecord
from darkpool.units import Interval, account_bytes, account_of
from darkpool.verification.custody import FlowEvent
from darkpool.verification.evidence import (
    ChainBatch,
    ChainEvidence,
    ChainResult,
    ChainSettlement,
    PreviousSettlement,
)


class RecordedVenue:
    """The contracts that a record names, on a node; implements `ChainReader`.

    They have to be the very code that this package ships. Events are read back to the chain's first
    block, because a record does not say when its contracts were deployed.
    """

    def __init__(self, chain: ReadableChain, venue: VenueRecord) -> None:
        self._chain = chain
        self._venue = venue

    def chain_id(self) -> int:
        """Return the number of the chain.

        Raises:
            ChainUnavailable: the node does not answer.
        """
        return self._chain.chain_id()

    def evidence(self, interval: int, blocks: tuple[int, int]) -> ChainEvidence:
        """Return all that the chain says about an interval.

        Raises:
            WrongDeployment: other code, or none, stands at the contract's address.
            ChainUnavailable: the node does not answer, or has not come to `blocks` yet.
        """
        chain = self._chain
        found = chain.follow(account_of(self._venue.settlement))
        said = chain.evidence(Interval(interval), blocks)
        if found.chain_id != self._venue.chain_id:
            reason = f"chain {found.chain_id}, after chain {self._venue.chain_id}"
            raise ChainUnavailable(chain.node, reason)
        if said.batch is None or said.settlement is None:
            self._require_height(max(blocks))
        previous, flows, paid = self._built_on(said.batch)
        keypers = found.keypers
        if said.batch is not None:
            keypers = chain.committee_at(said.batch.block)
        voids = self._voids(said.batch, previous)
        return ChainEvidence(
            settlement_contract=account_bytes(found.settlement),
            vaults=tuple(account_bytes(vault.address) for vault in found.vaults),
            deposit_min=found.vaults[0].deposit_min,
            keypers=tuple(map(account_bytes, keypers)),
            quorum=found.quorum,
            batch=None if said.batch is None else _batch(said.batch),
            settlement=None if said.settlement is None else _settlement(said.settlement),
            previous=previous,
            flows=flows,
            paid=paid,
            is_void=said.voided,
            is_declared=said.is_declared,
            voids=voids,
        )

    def _built_on(
        self, batch: BatchEvidence | None
    ) -> tuple[PreviousSettlement | None, tuple[FlowEvent, ...], dict[bytes, int]]:
        """The settlement before a batch, and what happened at the vaults until its commitment."""
        if batch is None:
            return None, (), {}
        chain, name = self._chain, batch.message.previous_settlement
        named = chain.settlement_named(name) if any(name) else None
        previous, after = None, 0
        if named is not None:
            before, settled = named
            after = before.flows
            previous = PreviousSettlement(
                before.message.interval,
                before.flows,
                settled.message.state_root,
                settled.message.leaf_hash,
                settled.message.prices,
            )
        flows = tuple(map(_flow, chain.flows(batch.flows, after)))
        paid = chain.paid(chain.deployment.vault, batch.block)
        return previous, flows, {account_bytes(account): paid[account] for account in paid}

    def _voids(
        self, batch: BatchEvidence | None, previous: PreviousSettlement | None
    ) -> tuple[ChainBatch, ...]:
        """Batches that were committed since the settlement before, in their order."""
        if batch is None:
            return ()
        settled, last = 0 if previous is None else previous.interval, batch.message.interval
        since = takewhile(
            lambda b: b.message.interval > settled, self._chain.committed(batch.block)
        )
        voids = [_batch(found) for found in since if found.message.interval < last]
        return tuple(reversed(voids))

    def _require_height(self, block: int) -> None:
        """What a node says did not happen counts only as far as it has come."""
        height = self._chain.height()
        if height < block:
            reason = f"blocks up to {height}, of which the record names {block}"
            raise ChainUnavailable(self._chain.node, reason)


def _signers(numbers: tuple[int, ...]) -> tuple[int, ...]:
    """The contracts count keypers from 1, records from 0."""
    return tuple(number - 1 for number in numbers)


def _flow(said: Flow) -> FlowEvent:
    vault, account = account_bytes(said.vault), account_bytes(said.account)
    return FlowEvent(said.index, int(said.kind), vault, account, said.amount, said.number)


def _batch(said: BatchEvidence) -> ChainBatch:
    signers = _signers(said.signers)
    return ChainBatch(
        said.message, said.flows, said.flows_head, signers, said.transaction, said.block
    )


def _settlement(said: SettlementEvidence) -> ChainSettlement:
    return ChainSettlement(
        said.message,
        tuple(ChainResult(r.instrument, r.crossed, r.price_tick, r.volume) for r in said.results),
        _signers(said.signers),
        said.transaction,
        said.block,
    )
