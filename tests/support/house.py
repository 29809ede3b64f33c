"""Committees of real keypers on the small rings, each with its own durable memory."""

import itertools
import secrets
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from crypto.bfv.seal import Evaluator
from crypto.ring.params import TEST_INSECURE_SMALL, ParameterSet
from crypto.signing.ecdsa import address_of, sign
from crypto.signing.eip712 import Domain
from crypto.signing.merkle import merkle_root
from crypto.signing.messages import (
    AdmissionCertificate,
    BatchRoot,
    Cancellation,
    SealedIntent,
    instrument_id,
)
from crypto.threshold.certificate import IntentCertificate
from crypto.threshold.keys import PublicMaterial
from crypto.threshold.quorum import ask
from darkpool.clock import Clock
from darkpool.committee.committee import LocalCommittee
from darkpool.keyper.keyper import Keyper, RequireReferences
from darkpool.keyper.share_work import ShareWork
from darkpool.keyper.store import KeyperStore
from darkpool.protocol.intents import CertifiedIntent, ClosedBatch, SignedCancellation
from darkpool.protocol.terms import AuctionTerms
from darkpool.simulation.clock import SimulatedClock
from darkpool.simulation.committee import CommitteeSeat
from darkpool.units import InstrumentId, Interval, PriceGrid
from tests.support.epochs import EPOCH, Epoch, dealt
from tests.support.reference_prices import NOW_MS, terms_on

DOMAIN = Domain(31337, b"\xd0" * 20)
INSTRUMENT = InstrumentId(instrument_id("ES"))


@dataclass(repr=False)
class House:
    """A dealt epoch, and a chain that makes final whatever a test puts into `final_roots`."""

    epoch: Epoch
    order_evaluator: Evaluator
    comparison_evaluator: Evaluator
    folder: Path
    final_roots: dict[int, bytes] = field(default_factory=dict)
    clock: Clock = field(default_factory=lambda: SimulatedClock(NOW_MS))
    intervals: Iterator[int] = field(default_factory=lambda: itertools.count(1))

    @property
    def parameters(self) -> ParameterSet:
        return self.epoch.parameters

    @property
    def material(self) -> PublicMaterial:
        return self.epoch.material

    def seats(self) -> tuple[CommitteeSeat, ...]:
        """Seats with empty memories, and keys of their own."""
        home = self.folder / secrets.token_hex(4)
        home.mkdir()
        return tuple(
            CommitteeSeat(s, secrets.token_bytes(32), home / f"{s.keyper}.db")
            for s in self.epoch.secrets
        )

    def committee(
        self,
        seats: tuple[CommitteeSeat, ...] | None = None,
        kinds: Mapping[int, type[Keyper]] | None = None,
        require_references: RequireReferences = lambda _interval: None,
        clock: Clock | None = None,
    ) -> LocalCommittee:
        """Start keypers; `kinds` gives some of them another class.

        Unless a test says otherwise, the reference prices of every interval count as accepted.
        """
        work, seats = ShareWork(), seats or self.seats()
        addresses = tuple(address_of(seat.signing_key) for seat in seats)
        keypers = [
            (kinds or {}).get(seat.secrets.keyper, Keyper)(
                seat.secrets,
                self.material,
                seat.signing_key,
                KeyperStore(seat.store),
                DOMAIN,
                addresses,
                clock or self.clock,
                lambda interval: self.final_roots.get(interval),
                work,
                require_references,
            )
            for seat in seats
        ]
        return LocalCommittee(
            keypers, self.material, self.order_evaluator, self.comparison_evaluator, DOMAIN
        )

    def terms(
        self, committee: LocalCommittee, interval: Interval, closes_ms: int = NOW_MS
    ) -> AuctionTerms:
        """Terms of an interval; without a close of its own it has closed."""
        grid = PriceGrid(Decimal("0.25"), Decimal(4805), 100)
        return terms_on(
            grid, [INSTRUMENT], interval, DOMAIN, self.material, closes_ms, committee.addresses
        )

    def batch(self, committee: LocalCommittee, interval: Interval) -> tuple[BatchRoot, ClosedBatch]:
        """A batch of one certified intent of a fresh account, in an interval that has closed."""
        terms = self.terms(committee, interval)
        ask(committee.keypers, lambda keyper: keyper.open_admission(terms))
        ask(committee.keypers, lambda keyper: keyper.close_admission(interval))
        return batch_of(terms, [certified(terms, committee.keypers)])

    def closed(self, committee: LocalCommittee) -> Interval:
        """An interval whose batch root a quorum signed and the chain made final."""
        interval = Interval(next(self.intervals))
        root, batch = self.batch(committee, interval)
        committee.sign_batch_root(root, batch)
        self.final_roots[interval] = root.root
        return interval


def sealed_intent(
    terms: AuctionTerms, account_key: bytes, nonce: int = 1, **fields: Any
) -> tuple[SealedIntent, bytes]:
    """An intent that no ciphertext belongs to, and its account's signature."""
    sealed = SealedIntent(
        account=address_of(account_key),
        instrument=INSTRUMENT,
        interval=terms.interval,
        commitment=secrets.token_bytes(32),
        ciphertext_digest=secrets.token_bytes(32),
        cap=100,
        nonce=nonce,
        deadline=NOW_MS // 1000 + 3600,
        key_epoch=EPOCH,
    )
    sealed = replace(sealed, **fields)
    return sealed, sign(sealed.digest(terms.domain), account_key)


def certificate(
    terms: AuctionTerms, keypers: Sequence[Keyper], sealed: SealedIntent
) -> IntentCertificate:
    """What these keypers sign of an intent, made with their keys and without their checks."""
    message = AdmissionCertificate.of(sealed, terms.domain, terms.closes_ms, terms.digest)
    digest = message.digest(terms.domain)
    return IntentCertificate(message, {k.number: sign(digest, k._signing_key) for k in keypers})


def certified(
    terms: AuctionTerms,
    keypers: Sequence[Keyper],
    account_key: bytes | None = None,
    nonce: int = 1,
    **fields: Any,
) -> CertifiedIntent:
    """A certified intent, made with the keypers' keys and without their checks."""
    sealed, signature = sealed_intent(
        terms, account_key or secrets.token_bytes(32), nonce, **fields
    )
    return CertifiedIntent(sealed, signature, certificate(terms, keypers, sealed))


def cancelled(terms: AuctionTerms, sealed: SealedIntent, account_key: bytes) -> SignedCancellation:
    """An intent taken back by whoever has this key."""
    message = replace(Cancellation.of(sealed, terms.domain), account=address_of(account_key))
    return SignedCancellation(message, sign(message.digest(terms.domain), account_key))


def batch_of(
    terms: AuctionTerms,
    intents: Sequence[CertifiedIntent],
    cancellations: Sequence[SignedCancellation] = (),
) -> tuple[BatchRoot, ClosedBatch]:
    """A batch and its root."""
    leaves = [intent.sealed.digest(terms.domain) for intent in intents]
    root = BatchRoot(terms.interval, merkle_root(leaves), len(leaves))
    return root, ClosedBatch(tuple(intents), tuple(cancellations))


def built(size: int, folder: Path, parameters: ParameterSet = TEST_INSECURE_SMALL) -> House:
    epoch = dealt(parameters, size)
    order = Evaluator(epoch.material.order_keys.evaluation_keys())
    comparison = Evaluator(epoch.material.comparison_keys.evaluation_keys())
    return House(epoch, order, comparison, folder)


@pytest.fixture(scope="session")
def house_of(tmp_path_factory: pytest.TempPathFactory) -> Callable[[int], House]:
    """House with a committee of 3 or 4, dealt once each."""
    made: dict[int, House] = {}

    def house(size: int) -> House:
        if size not in made:
            made[size] = built(size, tmp_path_factory.mktemp(f"house-{size}"))
        return made[size]

    return house


@pytest.fixture
def house(house_of: Callable[[int], House]) -> House:
    """House of four keypers."""
    return house_of(4)
