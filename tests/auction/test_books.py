"""Clients that think again and again: a book never fills with what was taken back."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from crypto.ring.params import TEST_INSECURE_SMALL
from crypto.signing.ecdsa import sign
from crypto.signing.messages import Cancellation
from darkpool.auction.instruments import Instruments
from darkpool.client.sealing import PublicLimits
from darkpool.limits import INTENTS_PER_ACCOUNT_MAX
from darkpool.protocol.intents import LimitOrder, SealedSubmission, SignedCancellation
from darkpool.protocol.terms import IntervalTerms, Pricing
from darkpool.record.reader import Record
from darkpool.simulation import venue as venue_module
from darkpool.simulation.clients import INTENTS_PER_VENUE_MAX, LocalClients, Stranger
from darkpool.simulation.order_file import Order
from darkpool.units import FIRST_INTERVAL, identifier
from darkpool.verification.audit import audit
from tests.support.records import orders_of, publish
from tests.support.submissions import seal_now

RESTLESS = TEST_INSECURE_SMALL.intents_max // INTENTS_PER_ACCOUNT_MAX + 1


class Restless(LocalClients):
    """The first clients send and take back as often as they may before they mean it."""

    def submissions(  # type: ignore[override]
        self, terms: IntervalTerms
    ) -> Iterator[SealedSubmission | SignedCancellation]:
        stream: list[Order | Stranger] = []
        for number, submission in enumerate(super().submissions(terms)):
            party = self._orders[number]
            if number < RESTLESS:
                for turn in range(INTENTS_PER_ACCOUNT_MAX - 1):
                    for sent in self._sent_and_taken_back(party, terms, 1000 * (turn + 1)):
                        stream.append(party)
                        yield sent
            stream.append(party)
            yield submission
        self.parties = tuple(stream)

    def _sent_and_taken_back(
        self, order: Order, terms: IntervalTerms, nonce: int
    ) -> Iterator[SealedSubmission | SignedCancellation]:
        key = self._keys[order.account]
        submission = seal_now(
            LimitOrder(order.side, order.size, order.limit),
            identifier(order.instrument),
            terms,
            key,
            nonce,
            PublicLimits(2**33, self._cap(order)),
        ).submission
        yield submission
        message = Cancellation.of(submission.sealed, terms.domain)
        yield SignedCancellation(message, sign(message.digest(terms.domain), key))


@pytest.mark.parametrize("slow_workers", [False, True])
def test_cancelled_intents_never_fill_a_book(
    slow_workers: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """More intents come and go than a book may hold: whoever stays takes part all the same."""
    if slow_workers:
        gather = Instruments.gather
        monkeypatch.setattr(
            Instruments, "gather", lambda self, *, wait: gather(self, wait=True) if wait else None
        )
    monkeypatch.setattr(venue_module, "LocalClients", Restless)
    published = publish(tmp_path / "record", orders_of("A", 4), Pricing.UNIFORM)
    record, first = Record.load(published.directory), FIRST_INTERVAL * INTENTS_PER_VENUE_MAX
    assert TEST_INSECURE_SMALL.intents_max < RESTLESS * INTENTS_PER_ACCOUNT_MAX
    assert sorted(intent.sealed.nonce for intent in record.intents) == list(
        range(first, first + 12)
    )
    assert len(record.cancellations) == RESTLESS * (INTENTS_PER_ACCOUNT_MAX - 1)
    assert audit(published.directory).ok
