"""What the auditor asks of a chain, answered by the chain client: neither imports the other."""

from __future__ import annotations

from darkpool.chain.client import Chain
from darkpool.chain.evidence import BatchEvidence, SettlementEvidence
from darkpool.record.forms import VenueRecord
from darkpool.units import Interval, account_bytes, account_of
from darkpool.verification.evidence import ChainBatch, ChainEvidence, ChainResult, ChainSettlement


class RecordedVenue:
    """The contracts that a record names, on a node; implements `ChainReader`.

    They have to be the very code that this package ships. Events are read from the chain's first
    block on, because a record does not say when its contracts were deployed.
    """

    def __init__(self, chain: Chain, venue: VenueRecord) -> None:
        self._chain = chain
        self._venue = venue

    def evidence(self, interval: int) -> ChainEvidence:
        """Return all that the chain says about an interval.

        Raises:
            WrongDeployment: other code stands at the contracts' addresses.
            ChainUnavailable: the node does not answer, or there are no contracts.
        """
        chain = self._chain
        settlement, vault = account_of(self._venue.settlement), account_of(self._venue.vault)
        chain.attach(chain.deployment_at(settlement, vault, 0))
        found, said = chain.deployment, chain.evidence(Interval(interval))
        return ChainEvidence(
            chain_id=found.chain_id,
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
                for account, flow in chain.flows_before(Interval(interval)).items()
            },
        )


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
