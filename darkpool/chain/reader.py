"""What the auditor asks of a chain, answered by the chain client: neither imports the other."""

from __future__ import annotations

from darkpool.chain.errors import ChainUnavailable
from darkpool.chain.evidence import BatchEvidence, SettlementEvidence
from darkpool.chain.reading import ReadableChain
from darkpool.record.forms import VenueRecord
from darkpool.units import Interval, account_bytes, account_of
from darkpool.verification.evidence import ChainBatch, ChainEvidence, ChainResult, ChainSettlement


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
            WrongDeployment: other code, or none, stands at the contracts' addresses.
            ChainUnavailable: the node does not answer, or has not come to `blocks` yet.
        """
        chain = self._chain
        settlement, vault = account_of(self._venue.settlement), account_of(self._venue.vault)
        chain.attach(chain.deployment_at(settlement, vault, 0))
        found, said = chain.deployment, chain.evidence(Interval(interval), blocks)
        if found.chain_id != self._venue.chain_id:
            reason = f"chain {found.chain_id}, after chain {self._venue.chain_id}"
            raise ChainUnavailable(chain.node, reason)
        if said.batch is None or said.settlement is None:
            self._require_height(max(blocks))
        until = None if said.batch is None else said.batch.block
        return ChainEvidence(
            settlement_contract=account_bytes(found.settlement),
            vault=account_bytes(found.vault),
            keypers=tuple(account_bytes(keyper) for keyper in found.keypers),
            quorum=found.quorum,
            batch=None if said.batch is None else _batch(said.batch),
            settlement=None if said.settlement is None else _settlement(said.settlement),
            halted=said.halted,
            is_first=said.is_first,
            paid_in={
                account_bytes(account): flow.deposited - flow.withdrawn
                for account, flow in chain.flows_before(Interval(interval), until).items()
            },
        )

    def _require_height(self, block: int) -> None:
        """What a node says did not happen counts only as far as it has come."""
        height = self._chain.height()
        if height < block:
            reason = f"blocks up to {height}, of which the record names {block}"
            raise ChainUnavailable(self._chain.node, reason)


def _signers(numbers: tuple[int, ...]) -> tuple[int, ...]:
    """The contracts count keypers from 1, records from 0."""
    return tuple(number - 1 for number in numbers)


def _batch(said: BatchEvidence) -> ChainBatch:
    signers = _signers(said.signers)
    return ChainBatch(said.root, said.count, signers, said.transaction, said.block)


def _settlement(said: SettlementEvidence) -> ChainSettlement:
    return ChainSettlement(
        tuple(ChainResult(r.instrument, r.crossed, r.price_tick, r.volume) for r in said.results),
        said.results_root,
        said.fills_root,
        said.balances_root,
        _signers(said.signers),
        said.transaction,
        said.block,
    )
