"""The admission desk of an interval: submissions come in, a closed batch goes out."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import ClassVar

from darkpool.admission.admit import Admission
from darkpool.auction.environment import Environment, OpenInterval
from darkpool.auction.instruments import Instruments
from darkpool.auction.outcome import Refusal
from darkpool.auction.state import IntervalState
from darkpool.margin.accounts.accounts import PortfolioAccounts
from darkpool.margin.errors import ContractExpired, MarginError
from darkpool.protocol.intents import (
    ClosedBatch,
    SealedSubmission,
    SignedCancellation,
    account_and_auction,
)
from darkpool.protocol.refusals import AdmissionRefused, CancellationUncertain
from darkpool.record.forms import CancellationRecord
from darkpool.record.writer import RecordSink
from darkpool.units import AccountId, AuctionId, Lots


@dataclass(frozen=True, slots=True)
class AdmittedBatch:
    """What an interval closed with.

    Attributes:
        closed: the batch, as keypers are handed it.
        submissions: numbers of the submissions that became intents, by batch index.
        refusals: the other submissions.
    """

    state: ClassVar = IntervalState.CLOSED

    instruments: Instruments
    closed: ClosedBatch
    submissions: tuple[int, ...]
    refusals: tuple[Refusal, ...]


class Desk:
    """Takes submissions until the interval closes.

    Collateral is reserved before keypers certify an intent: from then on it has to take part.
    """

    def __init__(
        self,
        environment: Environment,
        opened: OpenInterval,
        admission: Admission,
        books: tuple[PortfolioAccounts, RecordSink],
    ) -> None:
        self._accounts, self._record = books
        self._margin = opened.margin
        self._bond = opened.terms.rules.bond
        self._admission = admission
        self._reserved: dict[bytes, tuple[AccountId, AuctionId]] = {}
        self._submissions: dict[bytes, int] = {}
        self._refusals: list[Refusal] = []
        self._instruments = Instruments(
            environment.evaluators.order, environment.arrivals, opened.terms.grids
        )

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
        account, auction = account_and_auction(proven.sealed)
        self._margin.require_open(auction.instrument)
        margin, prices = self._margin.portfolio, self._margin.prices(auction.instrument)
        with self._accounts.bonded(account, self._bond, margin):
            self._accounts.reserve(account, auction, Lots(proven.sealed.cap), prices, margin)
        self._reserved[proven.digest] = (account, auction)
        self._submissions[proven.digest] = number
        self._instruments.add(proven)
        try:
            self._admission.certify(proven)
        except AdmissionRefused:
            if not self._admission.holds(proven.digest):
                self._release(proven.digest)
            raise

    def _cancel(self, cancelled: SignedCancellation) -> None:
        try:
            self._admission.cancel(cancelled)
        except CancellationUncertain:
            self._release(cancelled.cancellation.intent)
            raise
        self._release(cancelled.cancellation.intent)

    def _release(self, intent: bytes) -> None:
        if intent in self._reserved:
            account, auction = self._reserved.pop(intent)
            self._accounts.release(account, auction)
            if not self._accounts.reservations(account):
                self._accounts.release_account(account)
            self._instruments.cancel(intent)

    def _require_reserved(self, intents: Iterable[bytes]) -> None:
        """Check that all that take part are still covered by a reservation.

        Raises:
            ContractExpired: the contract of one has been settled for good since it came.
        """
        for account, auction in map(self._reserved.__getitem__, intents):
            if auction not in self._accounts.reservations(account):
                raise ContractExpired(self._margin.names[auction.instrument])

    def close(self) -> AdmittedBatch:
        """End admission, fix the batch and free what was reserved for others.

        Raises:
            ContractExpired: an instrument with intents expired in the accounts meanwhile. These
                intents have to be in the batch and may not fill, so nothing is committed.
        """
        intents, cancellations = self._admission.close()
        for digest in self._reserved.keys() - intents.keys():
            self._release(digest)
        self._require_reserved(intents)
        for cancelled in cancellations:
            self._record.add_cancellation(
                CancellationRecord(cancelled.cancellation, cancelled.signature)
            )
        certified = self._instruments.close(intents, self._record.add_intent)
        admitted = [self._submissions[i.certificate.message.intent] for i in certified]
        refusals = [r for r in self._refusals if r.submission not in set(admitted)]
        closed = ClosedBatch(tuple(certified), cancellations)
        return AdmittedBatch(self._instruments, closed, tuple(admitted), tuple(refusals))
