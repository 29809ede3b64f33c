"""Crossings that leak: results stay right, and the transcript's checks must see each one.

Then the plain opposite: what an unfilled order holds is in no file, message or log.
"""

import logging
import pickle
import secrets
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from decimal import Decimal

import numpy as np
import pytest

from crypto.bfv.ciphertext import Ciphertext
from crypto.bfv.encryption import encrypt_slots
from crypto.bfv.lanes import LaneCiphertext, LaneShape
from crypto.circuits.comparison import BITS_LEVEL, crossing_bits
from crypto.circuits.packing import LANES_LEVEL, arranged
from crypto.circuits.price_lanes import PriceLayout
from crypto.ring.params import TEST_INSECURE_SMALL
from crypto.ring.ring import Words
from crypto.signing.messages import Intent, instrument_id
from crypto.threshold.masks import Contribution
from crypto.threshold.revealing import (
    CoveredCiphertext,
    OpeningRequest,
    Revealed,
    ShareRequest,
    selected,
)
from darkpool.admission.admit import Admission
from darkpool.admission.register import IN_MEMORY, AdmissionRegister
from darkpool.client.sealing import PublicLimits, SealedOrder, smallest_cap
from darkpool.committee.masks import AttestedMask
from darkpool.crossing.crossing_book import CrossingBook, EncryptedCross, Price
from darkpool.crossing.encrypted import EncryptedCrossing
from darkpool.crossing.errors import ImplausibleOpening
from darkpool.crossing.lane_comparison import LaneComparison
from darkpool.crossing.prices import PriceStep
from darkpool.crossing.rationing import RationedBook, RationStep
from darkpool.crossing.sealed_book import SealedBook
from darkpool.keyper.keyper import LocalKeyper
from darkpool.protocol.intents import LimitOrder
from darkpool.protocol.keyper import (
    BatchProposal,
    CertificateRequest,
    CheckedProof,
    ContributionRequest,
    ProofRequest,
)
from darkpool.protocol.terms import IntervalTerms
from darkpool.simulation.clock import SimulatedClock
from darkpool.units import AccountId, InstrumentId, Interval, Lots, PriceGrid, Side, Tick
from tests.support.arena import Arena, Lanes, Row, Steps, in_turn, plain, rule_of, twin, within_caps
from tests.support.house import DOMAIN, batch_of
from tests.support.opening_simulator import Public
from tests.support.reference_prices import NOW_MS, terms_on
from tests.support.simulated_openings import require_simulated, require_uniform
from tests.support.submissions import seal_now

BUY, SELL = Side.BUY, Side.SELL
RING = TEST_INSECURE_SMALL.order_ring


class OpensTheLastLongLane(RationStep):
    def _long_row(self, rationed: RationedBook, filled: Lanes) -> Lanes:
        priced, ranks = rationed.priced, rationed.priced.book.ranks
        last, row = int(filled.sum()) - 1, rationed.sides.long_row
        lots = self._comparison.open_row(
            f"long row {priced.number}", priced.packed, row, np.flatnonzero(ranks <= last)
        ).copy()
        lots[np.flatnonzero(ranks == last)] += rationed.sides.volume - lots.sum()
        return lots


class OpensPricesOfBooksThatDoNotCross(PriceStep):
    def _crossing(self, number: int, layout: PriceLayout, bits: Ciphertext) -> list[int]:
        super()._crossing(number, layout, bits)
        return list(range(layout.instruments))


class OpensPartialSums(PriceStep):
    def _crossing(self, number: int, layout: PriceLayout, bits: Ciphertext) -> list[int]:
        evaluator = self._comparison.evaluators.comparison
        sums = crossing_bits(evaluator, bits, layout.width)
        keep = np.ones(sums.ring.degree, dtype=np.bool_)
        covered = selected(evaluator, sums, keep, BITS_LEVEL)
        values = self._comparison._session.open(f"no-cross {number}", covered)
        answers = layout.shape.from_first_block(values)
        return [
            i
            for i in range(layout.instruments)
            if answers[layout.price_start(i) + layout.width] == 1
        ]


class OpensAllTieLanes(PriceStep):
    def _ties(
        self, number: int, layout: PriceLayout, bits: Ciphertext, counts: Mapping[int, int]
    ) -> dict[int, int]:
        lanes = np.arange(layout.ticks) + layout.lane(1, 0)
        opened = self._comparison.open_lanes(f"tie lanes {number}", bits, layout.shape, lanes)
        return {0: int(opened[counts[0] - 1])} if 0 < counts[0] < layout.ticks else {}


class OpensBothRows(LaneComparison):
    def open_row(self, purpose: str, packed: Ciphertext, row: int, slots: Lanes) -> Lanes:
        ring = self.parameters.order_ring
        keep = np.zeros((2, ring.row), dtype=np.bool_)
        keep[:, slots] = True
        covered = selected(self.evaluators.order, packed, keep.reshape(-1), LANES_LEVEL)
        values: Lanes = self._session.open(purpose, covered).reshape(2, ring.row)[row]
        return values


class OpensLanesWithoutAMask(LaneComparison):
    def compare(
        self, name: str, lanes: Sequence[LaneCiphertext], shape: LaneShape, bounded: Lanes
    ) -> Ciphertext:
        active = shape.to_order(np.ones(shape.lanes, dtype=np.int64))[0] == 1
        bare = CoveredCiphertext(lanes[0].ciphertext, active, None, None)
        self._session.open(f"{name}.0", bare)
        raise ImplausibleOpening(name, f"a mask, also of {bounded.size} bounded lanes", "none")


class OpensAllLanesWithTheCaps(LaneComparison):
    def open_lanes(self, purpose: str, bits: Ciphertext, shape: LaneShape, lanes: Lanes) -> Lanes:
        if not purpose.startswith("cap bits"):
            return super().open_lanes(purpose, bits, shape, lanes)
        every = np.arange(shape.lanes)
        opened: Lanes = super().open_lanes(purpose, bits, shape, every)[lanes]
        return opened


class OpensBareSizes(PriceStep):
    def prices(self, books: Sequence[CrossingBook]) -> dict[int, Price]:
        sizes = books[0].sealed.intents.plain.sizes().rows[0]
        keep = np.ones(RING.degree, dtype=np.bool_)
        bare = selected(self._comparison.evaluators.order, sizes, keep, LANES_LEVEL)
        self._comparison._session.open("sizes", bare)
        return super().prices(books)


CROSSING: list[Row] = [(SELL, 4, 2), (BUY, 3, 5), (BUY, 9, 5)]
LEAKS: dict[str, tuple[Steps, list[Row]]] = {
    "the last long lane": (Steps(rations=OpensTheLastLongLane), CROSSING),
    "prices of books that do not cross": (
        Steps(prices=OpensPricesOfBooksThatDoNotCross),
        [(SELL, 4, 5), (BUY, 3, 2)],
    ),
    "partial sums": (Steps(prices=OpensPartialSums), CROSSING),
    "all tie lanes": (Steps(prices=OpensAllTieLanes), CROSSING),
    "both rows": (Steps(OpensBothRows), CROSSING),
    "all lanes with the caps": (Steps(OpensAllLanesWithTheCaps), CROSSING),
    "bare sizes": (Steps(prices=OpensBareSizes), CROSSING),
    "lanes without a mask": (Steps(OpensLanesWithoutAMask), CROSSING),
}
CHANGES_THE_RESULT = {"prices of books that do not cross", "lanes without a mask"}


@pytest.mark.parametrize("leak", LEAKS)
def test_a_leak_is_seen(arena: Arena, leak: str) -> None:
    leaky, rows = LEAKS[leak]
    public = Public(8, [in_turn(rows)])
    result = twin(rows, 8, public.ranks[0], None)
    opened: list[Revealed] = []
    crosses: tuple[EncryptedCross | None, ...] = (None,)
    with suppress(ImplausibleOpening):
        crosses = arena.cross([rows], 8, public.ranks, opened=opened, steps=leaky)
    if leak not in CHANGES_THE_RESULT:
        assert plain(crosses[0]) == plain(result), "the leak changes no result"
    with pytest.raises(AssertionError):
        require_simulated(opened, [result], public)


def test_a_mask_that_is_no_secret_is_seen(arena: Arena) -> None:
    """Its number is issued and consumed as it should be, but r is 0: only statistics tell."""

    def zero(shape: LaneShape) -> AttestedMask:
        attested = arena.recycled(shape)
        nothing = np.zeros(RING.degree, dtype=np.int64)
        blank = encrypt_slots(arena.house.material.order_keys.public, nothing, bytes(32))
        return replace(attested, mask=replace(attested.mask, order_ciphertexts=(blank,)))

    rows: list[Row] = [(SELL, 4, 2), (BUY, 3, 5), (BUY, 9, 5)]
    opened: list[Revealed] = []
    with suppress(ImplausibleOpening):
        arena.cross([rows], 8, [in_turn(rows)], opened=opened, mask=zero, told=lambda _above: None)
    assert opened[0].request.purpose == "price lanes 0.0"
    with pytest.raises(AssertionError):
        require_uniform(opened[0].values.reshape(2, -1)[:, :64].reshape(-1))


GRID = PriceGrid(Decimal("0.25"), Decimal(4805), 100)
INSTRUMENT = InstrumentId(instrument_id("ES"))
# The third buys below the price, the fourth sells above it; the last long one is filled in part.
ORDERS = [
    LimitOrder(SELL, Lots(1000), Tick(20)),
    LimitOrder(BUY, Lots(444_337), Tick(61)),
    LimitOrder(BUY, Lots(123_457), Tick(13)),
    LimitOrder(SELL, Lots(765_433), Tick(97)),
]
HIDDEN = (1, 2, 3)
"""Orders whose size nobody may learn; and none but the first, which makes the price, its limit."""

received: list[bytes] = []


class Recording(LocalKeyper):
    """Keeps every message that reaches a keyper, and every answer."""

    def check_proof(self, request: ProofRequest) -> CheckedProof:
        words = request.ciphertext.words.tobytes()
        received.extend([pickle.dumps(request.sealed), words, request.envelope])
        return super().check_proof(request)

    def certify(self, request: CertificateRequest) -> bytes:
        received.append(pickle.dumps((request.signature, request.announcements)))
        return super().certify(request)

    def sign_batch_root(self, proposal: BatchProposal) -> bytes:
        received.append(pickle.dumps(proposal))
        return super().sign_batch_root(proposal)

    def contribution(self, request: ContributionRequest) -> Contribution:
        received.append(pickle.dumps(request.draw))
        return super().contribution(request)

    def announce(self, request: OpeningRequest) -> dict[int, bytes]:
        received.append(pickle.dumps(request))
        return super().announce(request)

    def send(self, request: ShareRequest) -> Words:
        words = super().send(request)
        received.append(words.tobytes())
        return words


def numbers_of(intent: Intent) -> Iterator[int]:
    """A size and a limit in every form they take: also as a price, negated, less one, weighted."""
    t, size = RING.plain_modulus, intent.size
    yield from (size, t - size, size - 1, size + 1, 2 * size)
    yield GRID.units_of(Tick(intent.limit_tick))


def encodings(number: int, lengths: Sequence[int]) -> Iterator[bytes]:
    for length in lengths:
        if 1 << 16 <= number < 1 << 8 * length:
            yield number.to_bytes(length, "little")
            yield number.to_bytes(length, "big")
    if number >= 1000:
        yield str(number).encode()
        yield f"{number:,}".encode()
        yield f"{number:x}".encode()
    yield np.float64(number).tobytes()


def traces(order: SealedOrder, lengths: Sequence[int]) -> set[bytes]:
    """Octets to search for; four of them turn up by chance among millions of residues."""
    intent = order.opening.intent
    found = {intent.salt, intent.root_seed}
    found |= {secret.hex().encode() for secret in found}
    found |= {octets for number in numbers_of(intent) for octets in encodings(number, lengths)}
    found.add(str(GRID.price_of(Tick(intent.limit_tick))).encode())
    return found


def terms_of(
    arena: Arena, interval: Interval, keypers: tuple[AccountId, ...] | None = None
) -> IntervalTerms:
    material, closes_ms = arena.house.material, NOW_MS + 1
    return terms_on(GRID, [INSTRUMENT], interval, DOMAIN, material, closes_ms, keypers)


def sealed_orders(terms: IntervalTerms) -> list[SealedOrder]:
    return [
        seal_now(
            order,
            INSTRUMENT,
            terms,
            secrets.token_bytes(32),
            k,
            PublicLimits(2_000_000_000, smallest_cap(order.size, terms)),
        )
        for k, order in enumerate(ORDERS)
    ]


def test_unfilled_orders_are_in_no_file_message_or_log(
    arena: Arena, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    caplog.set_level(logging.DEBUG)
    received.clear()
    house, seats = arena.house, arena.house.seats()
    clock = SimulatedClock(NOW_MS)
    committee = house.committee(seats, dict.fromkeys(range(4), Recording), clock=clock)
    interval = Interval(next(house.intervals))
    terms = terms_of(arena, interval, committee.addresses)
    orders = sealed_orders(terms)
    admission = Admission(terms, clock, committee.panel, AdmissionRegister(IN_MEMORY))
    for order in orders:
        admission.admit(order.submission)
    clock.advance(1)
    intents, cancellations = admission.close()
    book = SealedBook(house.evaluators.order)
    for index, admitted in enumerate(intents.values()):
        words = arranged(house.evaluators.order, admitted.ciphertext, index)
        book.add(admitted.ciphertext, words, Lots(admitted.sealed.cap))
    entries = [admitted.certified() for admitted in intents.values()]
    assert [e.sealed for e in entries] == [order.submission.sealed for order in orders]
    proposal = batch_of(terms, entries, cancellations)
    committee.sign_batch_root(proposal)
    house.commit(proposal.root)
    opened: list[Revealed] = []
    session = committee.begin_auction(interval, opened.append)
    comparison = LaneComparison(
        house.parameters,
        house.evaluators,
        session,
        lambda shape: committee.consume_mask(committee.prepare_mask(shape), session.context),
    )
    crossing = EncryptedCrossing.of(comparison, rule_of(GRID.ticks, None), within_caps)
    (found,) = crossing.cross([book], [np.arange(len(ORDERS))])
    rows = [(o.side, o.size, o.limit) for o in ORDERS]
    assert found is not None
    assert plain(found) == plain(twin(rows, GRID.ticks, in_turn(rows), None))
    assert found.bought.tolist() == [0, 1000, 0, 0]

    captured = capfd.readouterr()
    files = [path.read_bytes() for path in seats[0].store.parent.rglob("*") if path.is_file()]
    assert len(files) >= 4
    everything: dict[str, Sequence[bytes]] = {
        "files": files,
        "messages": received,
        "logs": [captured.out.encode(), captured.err.encode(), caplog.text.encode()],
        "openings": [r.values.tobytes() for r in opened],
        "published shares": [share.tobytes() for r in opened for share in r.shares],
        "submissions": [pickle.dumps(order.submission) for order in orders],
    }
    for k in HIDDEN:
        for where, items in everything.items():
            lengths = (4, 8) if where in ("files", "logs") else (8,)
            for trace in traces(orders[k], lengths):
                assert not any(trace in item for item in items), (k, where, trace)


def test_the_search_finds_what_is_there(arena: Arena) -> None:
    """Each form of a size and a limit is found in the bytes that would show it."""
    order = sealed_orders(terms_of(arena, Interval(1)))[1]
    intent = order.opening.intent
    shown: dict[str, str | bytes] = {
        "pickled": str(intent.size),
        "array": np.array([7, intent.size, 9]).tobytes(),
        "residues": np.array([7, RING.plain_modulus - intent.size]).tobytes(),
        "text": f"size={intent.size:,}",
        "price": f"limit {GRID.price_of(Tick(intent.limit_tick))}",
        "salt": intent.salt.hex(),
    }
    for form, value in shown.items():
        octets = value.encode() if isinstance(value, str) else value
        assert any(trace in octets for trace in traces(order, (8,))), form


def test_state_directories_hold_no_share_seed(arena: Arena) -> None:
    """A keyper's memory is about what it did, never what it knows."""
    seats = arena.house.seats()
    committee = arena.house.committee(seats)
    committee.prepare_mask(LaneShape(TEST_INSECURE_SMALL, 128))
    stored = b"".join(p.read_bytes() for p in seats[0].store.parent.rglob("*") if p.is_file())
    for seat in seats:
        own = seat.identity.secrets
        for seed in (*own.seeds.values(), own.envelope_key, seat.identity.signing_key):
            assert seed not in stored
            assert seed.hex().encode() not in stored
