"""Committees of real keypers on the small rings, each with its own durable memory."""

import itertools
import secrets
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from crypto.ring.params import TEST_INSECURE_SMALL, ParameterSet
from crypto.signing.ecdsa import address_of, sign
from crypto.signing.eip712 import Domain
from crypto.signing.merkle import merkle_root
from crypto.signing.messages import AdmissionCertificate, Cancellation, SealedIntent, instrument_id
from crypto.signing.settling import BatchRoot
from crypto.threshold.attestation import plan_digest
from crypto.threshold.certificate import IntentCertificate
from crypto.threshold.evaluators import Evaluators
from crypto.threshold.keys import PublicMaterial
from darkpool.chain.errors import BlockReplaced
from darkpool.chain.evidence import BatchEvidence, BlockPoint
from darkpool.clock import Clock
from darkpool.committee.committee import KeyperCommittee
from darkpool.keyper.identity import KeyperIdentity, KeyperSenses, RecordedChain, RequireReferences
from darkpool.keyper.keyper import LocalKeyper
from darkpool.keyper.share_work import ShareWork
from darkpool.keyper.store import KeyperStore
from darkpool.protocol.intents import CertifiedIntent, ClosedBatch, SignedCancellation
from darkpool.protocol.keyper import BatchProposal
from darkpool.protocol.terms import IntervalTerms
from darkpool.record.forms import PlannedMask, VenueRecord
from darkpool.simulation.clock import SimulatedClock
from darkpool.simulation.committee import CommitteeSeat, view_of
from darkpool.units import InstrumentId, Interval, PriceGrid, account_bytes
from darkpool.verification.evidence import ChainEvidence
from tests.support.epochs import EPOCH, Epoch, dealt
from tests.support.margin_forms import MARGIN
from tests.support.reference_prices import NOW_MS, REPORTER, terms_on

DOMAIN = Domain(31337, b"\xd0" * 20)
COMMITTED_IN = 40
"""Number of the block that has every commitment."""
INSTRUMENT = InstrumentId(instrument_id("ES"))


class SilentNode:
    """A node that nobody asks, whatever venue it is of."""

    def __init__(self, venue: VenueRecord) -> None:
        self.venue = venue

    def chain_id(self) -> int:
        return pytest.fail("the node was asked for its chain")

    def evidence(self, interval: int, blocks: tuple[int, int]) -> ChainEvidence:
        return pytest.fail(f"the node was asked about interval {interval}, blocks {blocks}")


class HouseCommittee(KeyperCommittee):
    """A committee whose keypers a test can look into."""

    def __init__(
        self,
        keypers: Sequence[LocalKeyper],
        material: PublicMaterial,
        domain: Domain,
        evaluators: Evaluators,
    ) -> None:
        super().__init__(keypers, material, domain, evaluators)
        self._local = tuple(keypers)

    @property
    def keypers(self) -> tuple[LocalKeyper, ...]:
        return self._local


@dataclass(repr=False)
class House:
    """A dealt epoch, and a chain that has open whatever a test puts into `batches`.

    `replaced` are blocks whose place on the chain has another one by now.
    """

    epoch: Epoch
    evaluators: Evaluators
    folder: Path
    batches: dict[Interval, BatchEvidence] = field(default_factory=dict)
    clock: Clock = field(default_factory=lambda: SimulatedClock(NOW_MS))
    replaced: set[BlockPoint] = field(default_factory=set)
    intervals: Iterator[int] = field(default_factory=lambda: itertools.count(1))

    @property
    def parameters(self) -> ParameterSet:
        return self.epoch.parameters

    @property
    def material(self) -> PublicMaterial:
        return self.epoch.material

    def require_final(self, point: BlockPoint) -> None:
        if point in self.replaced:
            raise BlockReplaced(point.number, point.hash, bytes(32))

    def seats(self) -> tuple[CommitteeSeat, ...]:
        """Seats with empty memories, and keys of their own."""
        home = self.folder / secrets.token_hex(4)
        home.mkdir()
        return tuple(
            CommitteeSeat(KeyperIdentity(s, secrets.token_bytes(32)), home / f"{s.keyper}.db")
            for s in self.epoch.secrets
        )

    def committee(
        self,
        seats: tuple[CommitteeSeat, ...] | None = None,
        kinds: Mapping[int, type[LocalKeyper]] | None = None,
        require_references: RequireReferences = lambda _interval: None,
        clock: Clock | None = None,
        recorded_chain: RecordedChain = SilentNode,
    ) -> HouseCommittee:
        """Start keypers; `kinds` gives some of them another class.

        Unless a test says otherwise, the reference prices of every interval count as accepted.
        """
        work, seats = ShareWork(), seats or self.seats()
        view = view_of(self.material, DOMAIN, seats)
        senses = KeyperSenses(
            clock or self.clock,
            self.batches.get,
            self.require_final,
            recorded_chain,
            require_references,
            account_bytes(REPORTER.address),
            frozenset(MARGIN.market.reporters),
        )
        return HouseCommittee(
            [
                (kinds or {}).get(seat.identity.number, LocalKeyper)(
                    seat.identity, KeyperStore(seat.store), view, senses, work
                )
                for seat in seats
            ],
            self.material,
            DOMAIN,
            self.evaluators,
        )

    def terms(
        self, committee: HouseCommittee, interval: Interval, closes_ms: int = NOW_MS
    ) -> IntervalTerms:
        """Terms of an interval; without a close of its own it has closed."""
        grid = PriceGrid(Decimal("0.25"), Decimal(4805), 100)
        return terms_on(
            grid, [INSTRUMENT], interval, DOMAIN, self.material, closes_ms, committee.addresses
        )

    def batch(self, committee: HouseCommittee, interval: Interval) -> BatchProposal:
        """A batch of one certified intent of a fresh account, in an interval that has closed."""
        terms = self.terms(committee, interval)
        committee.panel.ask(lambda keyper: keyper.open_admission(terms))
        committee.panel.ask(lambda keyper: keyper.close_admission(interval))
        return batch_of(terms, [certified(terms, committee.keypers)])

    def closed(self, committee: HouseCommittee) -> Interval:
        """An interval whose batch root a quorum signed and the chain made final."""
        interval = Interval(next(self.intervals))
        proposal = self.batch(committee, interval)
        committee.sign_batch_root(proposal)
        self.commit(proposal.root)
        return interval

    def commit(self, root: BatchRoot) -> None:
        """Let the chain have a batch."""
        self.batches[Interval(root.interval)] = BatchEvidence(
            root, 0, bytes(32), (1, 2, 3), bytes(32), COMMITTED_IN, bytes(32)
        )

    def root_of(self, interval: Interval) -> bytes:
        """Root of the batch that the chain has of an interval."""
        return self.batches[interval].message.root


def sealed_intent(
    terms: IntervalTerms, /, account_key: bytes, nonce: int = 1, **fields: Any
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
        terms=terms.digest,
    )
    sealed = replace(sealed, **fields)
    return sealed, sign(sealed.digest(terms.domain), account_key)


def certificate(
    terms: IntervalTerms, keypers: Sequence[LocalKeyper], sealed: SealedIntent
) -> IntentCertificate:
    """What these keypers sign of an intent, made with their keys and without their checks."""
    message = AdmissionCertificate.of(sealed, terms.domain, terms.closes_ms, terms.digest)
    digest = message.digest(terms.domain)
    return IntentCertificate(
        message, {k.number: sign(digest, k._identity.signing_key) for k in keypers}
    )


def certified(
    terms: IntervalTerms,
    keypers: Sequence[LocalKeyper],
    account_key: bytes | None = None,
    nonce: int = 1,
    **fields: Any,
) -> CertifiedIntent:
    """A certified intent, made with the keypers' keys and without their checks."""
    sealed, signature = sealed_intent(
        terms, account_key or secrets.token_bytes(32), nonce, **fields
    )
    return CertifiedIntent(sealed, signature, certificate(terms, keypers, sealed))


def cancelled(terms: IntervalTerms, sealed: SealedIntent, account_key: bytes) -> SignedCancellation:
    """An intent taken back by whoever has this key."""
    message = replace(Cancellation.of(sealed, terms.domain), account=address_of(account_key))
    return SignedCancellation(message, sign(message.digest(terms.domain), account_key))


def batch_of(
    terms: IntervalTerms,
    intents: Sequence[CertifiedIntent],
    cancellations: Sequence[SignedCancellation] = (),
    masks: Sequence[PlannedMask] = (),
) -> BatchProposal:
    """A batch, its root, and masks that are set aside for it."""
    leaves = [intent.sealed.digest(terms.domain) for intent in intents]
    root = BatchRoot(
        interval=terms.interval,
        root=merkle_root(leaves),
        count=len(leaves),
        previous_settlement=bytes(32),
        terms=terms.digest,
        plan=plan_digest([(mask.number, mask.lanes, mask.digest) for mask in masks]),
        commit_by=NOW_MS // 1000 + 3600,
    )
    return BatchProposal(root, ClosedBatch(tuple(intents), tuple(cancellations)), tuple(masks))


def built(size: int, folder: Path, parameters: ParameterSet = TEST_INSECURE_SMALL) -> House:
    """A house with an epoch of its own."""
    epoch = dealt(parameters, size)
    return House(epoch, Evaluators.of(epoch.material), folder)


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
