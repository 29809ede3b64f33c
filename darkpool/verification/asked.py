"""What a chain says of a record that is not settled yet, asked once."""

from __future__ import annotations

from darkpool.record.core import RecordView
from darkpool.record.margin_forms import MarginInputs
from darkpool.verification import chain_check, continuity
from darkpool.verification.basis import Basis
from darkpool.verification.errors import NotChecked
from darkpool.verification.evidence import ChainEvidence, ChainReader
from darkpool.verification.report import Findings


class AskedChain:
    """A chain and a record; `said` is what it says, once it was asked.

    Args:
        prices_before: what margin followed from at the settlement before, as it is said.
    """

    def __init__(
        self, basis: Basis, chain: ChainReader, prices_before: MarginInputs | None
    ) -> None:
        self._basis = basis
        self._chain = chain
        self.prices_before = prices_before
        self.said: ChainEvidence | None = None

    @property
    def record(self) -> RecordView:
        """The record that the chain is asked about."""
        return self._basis.record

    def require(self) -> ChainEvidence:
        """What the chain says.

        Raises:
            NotChecked: it was not asked, or it is another chain.
        """
        if self.said is None:
            raise NotChecked("chain")
        return self.said

    def check_committed(self, findings: Findings) -> None:
        """The chain has batch, flows and payments of the record.

        Raises:
            Unanswered: it gives no answer that can be used.
        """
        self.said = chain_check.ask_chain(self._basis.record, self._chain, findings)
        if self.said is not None:
            chain_check.check_committed(self._basis, self.said, findings)

    def check_open(self, findings: Findings) -> None:
        """The batch can still be settled."""
        if self.require().is_void:
            findings.add("batch", "a batch that is open or settled", "void on the chain")

    def check_continuity(self, findings: Findings) -> None:
        """The states before are those of the settlement before, on the chain; so are contracts."""
        if continuity.is_first(self._basis.record):
            continuity.check_first(self._basis, findings)
        else:
            previous = self.require().previous
            continuity.check_previous(self._basis, previous, findings)
            continuity.check_prices_before(self._basis, previous, self.prices_before, findings)
