"""An auction in which an account takes an intent back and sends another, and its record."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from crypto.signing.ecdsa import sign
from crypto.signing.messages import Cancellation
from darkpool.client.sealing import PublicLimits
from darkpool.protocol.intents import LimitOrder, SealedSubmission, SignedCancellation
from darkpool.protocol.terms import IntervalTerms, Pricing
from darkpool.record.reader import Record
from darkpool.simulation import venue as venue_module
from darkpool.simulation.clients import INTENTS_PER_VENUE_MAX, LocalClients
from darkpool.simulation.order_file import Order
from darkpool.units import identifier
from darkpool.verification.audit import audit
from tests.support.audits import chain_of, failed
from tests.support.records import Copy, Published, orders_of, publish
from tests.support.submissions import seal_now


class Changing(LocalClients):
    """Takes its third order back, and sends the same order again under another nonce."""

    def submissions(  # type: ignore[override]
        self, terms: IntervalTerms
    ) -> Iterator[SealedSubmission | SignedCancellation]:
        for number, submission in enumerate(super().submissions(terms)):
            yield submission
            if number != 2:
                continue
            order, sealed = self._orders[number], submission.sealed
            key = self._keys[order.account]
            message = Cancellation.of(sealed, terms.domain)
            yield SignedCancellation(message, sign(message.digest(terms.domain), key))
            yield seal_now(
                LimitOrder(order.side, order.size, order.limit),
                identifier(order.instrument),
                terms,
                key,
                1000,
                PublicLimits(sealed.deadline, self._cap(order)),
            ).submission
        mind = self.parties[2]
        self.parties = (*self.parties[:2], *[mind] * 3, *self.parties[3:])


class Leaving(LocalClients):
    """Takes everything back that it sends for instrument A."""

    def submissions(  # type: ignore[override]
        self, terms: IntervalTerms
    ) -> Iterator[SealedSubmission | SignedCancellation]:
        sent = []
        for party, submission in zip(self.parties, super().submissions(terms), strict=True):
            yield submission
            sent.append(party)
            if isinstance(party, Order) and party.instrument == "A":
                message = Cancellation.of(submission.sealed, terms.domain)
                key = self._keys[party.account]
                yield SignedCancellation(message, sign(message.digest(terms.domain), key))
                sent.append(party)
        self.parties = tuple(sent)


def test_an_instrument_whose_intents_are_all_cancelled_stops_no_other(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(venue_module, "LocalClients", Leaving)
    published = publish(tmp_path / "record", orders_of("AB", 1), Pricing.UNIFORM)
    record = Record.load(published.directory)
    assert len(record.cancellations) == 12
    listed = [(i.name, len(i.intents), i.outcome is None) for i in record.summary.instruments]
    assert listed == [("B", 12, False), ("A", 0, True)]
    report = audit(published.directory, chain_of(published))
    assert report.ok, failed(report)


@pytest.fixture
def changed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Published:
    monkeypatch.setattr(venue_module, "LocalClients", Changing)
    return publish(tmp_path / "record", orders_of("A", 4), Pricing.UNIFORM)


def test_a_replaced_intent_takes_part_and_the_audit_holds(changed: Published) -> None:
    record = Record.load(changed.directory)
    assert len(record.intents) == 12
    (taken_back,) = record.cancellations
    nonces = [intent.sealed.nonce % INTENTS_PER_VENUE_MAX for intent in record.intents]
    assert sorted(nonces) == [0, 1, *range(3, 12), 1000]
    # Whoever fills the gap depends on when the workers are done; it is one at most.
    moved = [nonce for nonce in nonces if nonce < 1000 and nonce != nonces[2]]
    assert moved == sorted(moved)
    again = record.intents[nonces.index(1000)].sealed
    assert taken_back.cancellation.account == again.account
    assert taken_back.cancellation.nonce % INTENTS_PER_VENUE_MAX == 2
    assert not failed(audit(changed.directory))


def test_a_cancellation_is_its_accounts_and_of_no_intent_in_the_batch(
    changed: Published, copy_of: Callable[[Published], Copy]
) -> None:
    record = Record.load(changed.directory)
    kept = Cancellation.of(record.intents[0].sealed, record.summary.venue.domain())

    def contained(tree: Any) -> None:
        cancellation = tree["cancellations"][0]["cancellation"]
        for name in ("account", "instrument", "intent"):
            cancellation[name] = "0x" + getattr(kept, name).hex()
        cancellation["nonce"] = kept.nonce

    def unsigned(tree: Any) -> None:
        tree["cancellations"][0]["signature"] = "0x" + bytes(65).hex()

    def elsewhere(tree: Any) -> None:
        tree["cancellations"][0]["cancellation"]["interval"] += 1

    for change, part in (
        (contained, "cancellation 0"),
        (unsigned, "cancellation 0, signature"),
        (elsewhere, "cancellation 0, interval"),
    ):
        copy: Copy = copy_of(changed)
        copy.change("intents.json", change)
        copy.reseal()
        found = failed(audit(copy.directory, quick=True))
        assert set(found) == {"certificates", "settlement"}
        assert part in found["certificates"]


def test_an_intent_with_too_few_signatures_fails_the_audit(
    changed: Published, copy_of: Callable[[Published], Copy]
) -> None:
    copy: Copy = copy_of(changed)

    def shorten(tree: Any) -> None:
        signatures = tree["intents"][4]["certificate"]
        for keyper in ("0", "1"):
            del signatures[keyper]

    copy.change("intents.json", shorten)
    copy.reseal()
    found = failed(audit(copy.directory, quick=True))
    assert set(found) == {"certificates"}
    assert "intent 4, certificate" in found["certificates"]
