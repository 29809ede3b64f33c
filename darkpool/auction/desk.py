"""The admission desk of an interval: submissions come in, a closed batch goes out."""

from __future__ import annotations

from dataclasses import dataclass

from crypto.bfv.seal import Evaluator
from darkpool.admission.admit import Admission
from darkpool.auction.books import Books
from darkpool.auction.outcome import Refusal
from darkpool.crossing.arrivals import Arrivals
from darkpool.margin.accounts.accounts import PortfolioAccounts
from darkpool.margin.accounts.bond import BondTerms
from darkpool.margin.errors import MarginError
from darkpool.margin.model.intent_margin import IntentMargin
from darkpool.protocol.intents import ClosedBatch, SealedSubmission, SignedCancellation, place_of
from darkpool.protocol.refusals import AdmissionRefused, CancellationUncertain
from darkpool.protocol.terms import AuctionTerms
from darkpool.record.forms import CancellationRecord
from darkpool.record.writer import RecordSink
from darkpool.units import AccountId, AuctionId, Lots


@dataclass(frozen=True, slots=True)
class Arrived:
    """What an interval closed with.

    Attributes:
        closed: the batch, as keypers are handed it.
        admitted: numbers of the submissions that became intents, by place in the batch.
        refusals: the other submissions.
    """

    books: Books
    closed: ClosedBatch
    admitted: tuple[int, ...]
    refusals: tuple[Refusal, ...]


class Desk:
    """Takes submissions until the interval closes.

    Collateral is reserved before keypers certify an intent: from then on it has to take part.
    """

    def __init__(
        self,
        order: Evaluator,
        arrivals: Arrivals,
        accounts: PortfolioAccounts,
        terms: AuctionTerms,
        margin: IntentMargin,
        bond: BondTerms,
        admission: Admission,
    ) -> None:
        self._accounts = accounts
        self._margin = margin
        self._bond = bond
        self._admission = admission
        self._reserved: dict[bytes, tuple[AccountId, AuctionId]] = {}
        self._submissions: dict[bytes, int] = {}
        self._refusals: list[Refusal] = []
        self.books = Books(order, arrivals, terms.grids)

    def take(self, number: int, submission: SealedSubmission | SignedCancellation) -> None:
        """Admit or cancel an intent; what is refused is noted."""
        try:
            if isinstance(submission, SignedCancellation):
                self._cancel(submission)
            else:
                self._admit(number, submission)
        except (AdmissionRefused, MarginError) as error:
            self._refusals.append(Refusal(number, error))

    def _admit(self, number: int, submission: SealedSubmission) -> None:
        proven = self._admission.prove(submission)
        account, auction = place_of(proven.sealed)
        self._margin.require_open(auction.instrument)
        margin, prices = self._margin.portfolio, self._margin.prices(auction.instrument)
        self._accounts.hold_bond(account, self._bond, margin)
        self._accounts.reserve(account, auction, Lots(proven.sealed.cap), prices, margin)
        self._reserved[proven.digest] = (account, auction)
        self._submissions[proven.digest] = number
        self.books.add(proven)
        try:
            self._admission.certify(proven)
        except AdmissionRefused:
            if not self._admission.holds(proven.digest):
                self._release(proven.digest)
            raise

    def _cancel(self, cancelled: SignedCancellation) -> None:
        intent = cancelled.cancellation.intent
        try:
            self._admission.cancel(cancelled)
        except CancellationUncertain:
            self._release(intent)
            raise
        self._release(intent)

    def _release(self, intent: bytes) -> None:
        if intent in self._reserved:
            self._accounts.release(*self._reserved.pop(intent))
            self.books.cancel(intent)

    def close(self, record: RecordSink) -> Arrived:
        """End admission, fix the batch and free what was reserved for others.

        Raises:
            AdmissionRefused, MarginError: of the first submission, where all were refused.
        """
        intents, cancellations = self._admission.close()
        for digest in self._reserved.keys() - intents.keys():
            self._release(digest)
        if self._refusals and not intents:
            raise self._refusals[0].error
        for cancelled in cancellations:
            record.add_cancellation(CancellationRecord(cancelled.cancellation, cancelled.signature))
        certified = self.books.close(intents, record.add_intent)
        admitted = [self._submissions[i.certificate.message.intent] for i in certified]
        refusals = [r for r in self._refusals if r.submission not in set(admitted)]
        closed = ClosedBatch(tuple(certified), cancellations)
        return Arrived(self.books, closed, tuple(admitted), tuple(refusals))
