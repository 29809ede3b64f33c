"""No auction on a reference price that is stale, forged, or meant for something else."""

from collections.abc import Callable
from dataclasses import replace
from decimal import Decimal
from typing import Any, TypeVar

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crypto.signing.ecdsa import sign
from crypto.signing.eip712 import Domain
from crypto.signing.messages import ReferencePrice, instrument_id
from darkpool.errors import BadInput, InvalidGrid
from darkpool.keyper.references import ReferenceWatch
from darkpool.limits import (
    PRICE_MAX_UNITS,
    REFERENCE_AGE_AT_CLOSE_MAX_MS,
    REFERENCE_AGE_MAX_MS,
    REFERENCE_AHEAD_MAX_MS,
    TICKS_MAX,
)
from darkpool.protocol.references import SignedReference
from darkpool.protocol.refusals import (
    MissingReference,
    ReferenceFromTheFuture,
    ReferenceRefused,
    SecondReference,
    StaleReference,
    WrongReference,
    WrongReporter,
)
from darkpool.simulation.clock import SimulatedClock
from darkpool.simulation.reporters import Reporter
from darkpool.units import InstrumentId, Interval, PriceGrid, Tick
from tests.support.reference_prices import NO_MATERIAL, NOW_MS, REPORTER, terms_on

DOMAIN = Domain(31337, b"\xc0" * 20)
ES, NQ = InstrumentId(instrument_id("ES")), InstrumentId(instrument_id("NQ"))
INTERVAL = Interval(7)
GRID = PriceGrid(Decimal("0.25"), Decimal(4805), 100)
KEY = b"\x77" * 32

Act = Callable[[dict[InstrumentId, SignedReference], SimulatedClock], object]


def signed(key: bytes = KEY, domain: Domain = DOMAIN, **changes: Any) -> SignedReference:
    """A reference of ES, with some fields changed before it is signed."""
    message = REPORTER.sign(GRID, [ES], INTERVAL, DOMAIN)[ES].message
    message = replace(message, **changes)
    return SignedReference(message, sign(message.digest(domain), key))


Error = TypeVar("Error", bound=ReferenceRefused)


def open_terms(references: dict[InstrumentId, SignedReference], clock: SimulatedClock) -> object:
    terms = replace(terms_on(GRID, [ES], INTERVAL, DOMAIN, NO_MATERIAL), references=references)
    return terms.require_fresh(clock)


def watch_accepts(references: dict[InstrumentId, SignedReference], clock: SimulatedClock) -> None:
    ReferenceWatch(DOMAIN, REPORTER.address, clock).accept(INTERVAL, references)


# What opens an auction and what a keyper accepts is refused alike
both = pytest.mark.parametrize("act", [open_terms, watch_accepts])


def refused(
    act: Act, reference: SignedReference, error: type[Error], now_ms: int = NOW_MS
) -> Error:
    with pytest.raises(error) as raised:
        act({ES: reference}, SimulatedClock(now_ms))
    assert isinstance(raised.value, BadInput)
    return raised.value


@both
def test_a_fresh_reference_opens_an_auction(act: Act) -> None:
    for now_ms in (
        NOW_MS - REFERENCE_AHEAD_MAX_MS,
        NOW_MS,
        NOW_MS + REFERENCE_AGE_MAX_MS,
    ):
        act({ES: signed()}, SimulatedClock(now_ms))


@both
def test_a_stale_reference_is_refused_with_its_age(act: Act) -> None:
    age_ms = REFERENCE_AGE_MAX_MS + 1
    error = refused(act, signed(), StaleReference, NOW_MS + age_ms)
    assert (error.age_ms, error.age_max_ms) == (age_ms, REFERENCE_AGE_MAX_MS)
    assert "at most 60000 ms, got 60001 ms" in str(error)


@both
def test_a_reference_from_the_future_is_refused(act: Act) -> None:
    ahead_ms = REFERENCE_AHEAD_MAX_MS + 1
    error = refused(act, signed(), ReferenceFromTheFuture, NOW_MS - ahead_ms)
    assert (error.ahead_ms, error.ahead_max_ms) == (ahead_ms, REFERENCE_AHEAD_MAX_MS)


@both
def test_one_stale_reference_of_several_is_refused(act: Act) -> None:
    references = REPORTER.sign(GRID, [ES, NQ], INTERVAL, DOMAIN)
    references[ES] = signed(observed_at=NOW_MS - REFERENCE_AGE_MAX_MS - 1)
    with pytest.raises(StaleReference):
        act(references, SimulatedClock(NOW_MS))


@both
def test_a_reference_of_somebody_else_is_refused(act: Act) -> None:
    refused(act, signed(key=b"\x78" * 32), WrongReporter)


@both
@pytest.mark.parametrize(
    "change",
    [
        {"price": 4_806_000_000},
        {"tick_size": 500_000},
        {"ticks": 101},
        {"observed_at": NOW_MS + 1},
    ],
)
def test_a_changed_field_breaks_the_signature(change: dict[str, Any], act: Act) -> None:
    reference = signed()
    forged = replace(reference, message=replace(reference.message, **change))
    assert "signer" in refused(act, forged, WrongReporter).subject


@both
@pytest.mark.parametrize("signature", [b"", b"\1" * 64, bytes(65), b"\xff" * 65])
def test_bytes_that_are_no_signature_are_refused(signature: bytes, act: Act) -> None:
    refused(act, replace(signed(), signature=signature), WrongReporter)


@both
@pytest.mark.parametrize(
    "domain", [replace(DOMAIN, chain_id=1), replace(DOMAIN, verifying_contract=bytes(20))]
)
def test_a_reference_for_another_chain_or_contract_is_refused(domain: Domain, act: Act) -> None:
    refused(act, signed(domain=domain), WrongReporter)


@both
def test_a_reference_of_another_interval_or_instrument_is_refused(act: Act) -> None:
    error = refused(act, signed(interval=8), WrongReference)
    assert (error.subject, error.expected, error.got) == ("interval", "7", "8")
    error = refused(act, signed(instrument=NQ), WrongReference)
    assert (error.subject, error.expected, error.got) == ("instrument", ES.hex(), NQ.hex())


@both
def test_a_field_that_does_not_fit_its_type_is_refused(act: Act) -> None:
    reference = signed()
    changes: tuple[dict[str, Any], ...] = ({"price": 1 << 127}, {"ticks": -1})
    for change in changes:
        forged = replace(reference, message=replace(reference.message, **change))
        refused(act, forged, WrongReporter)


# The grid


@given(
    st.integers(1, 10**12),
    st.integers(-(10**5), 10**5),
    st.integers(1, TICKS_MAX),
)
def test_the_grid_is_the_one_that_was_signed(step: int, multiple: int, ticks: int) -> None:
    size = Decimal(step).scaleb(-6)
    grid = PriceGrid(size, size * multiple, ticks)
    reference = REPORTER.sign(grid, [ES], INTERVAL, DOMAIN)[ES]
    reference.verify(DOMAIN, REPORTER.address, ES, INTERVAL)
    assert reference.grid() == grid
    assert reference.message.price == step * multiple


def test_prices_may_be_negative() -> None:
    grid = signed(price=-37_630_000, tick_size=10_000, ticks=3).grid()
    assert [str(grid.price_of(Tick(tick))) for tick in range(3)] == ["-37.64", "-37.63", "-37.62"]


@pytest.mark.parametrize(
    ("changes", "parameter"),
    [
        ({"price": 4_805_100_000}, "reference price"),
        ({"price": -1}, "reference price"),
        ({"price": PRICE_MAX_UNITS + 250_000}, "reference price"),
        ({"price": -(1 << 127)}, "reference price"),
        ({"price": PRICE_MAX_UNITS}, "ticks"),
        ({"tick_size": 0}, "tick size"),
        ({"tick_size": (1 << 64) - 1}, "tick size"),
        ({"ticks": 0}, "ticks"),
        ({"ticks": TICKS_MAX + 1}, "ticks"),
    ],
)
def test_a_reference_that_gives_no_grid_opens_nothing(
    changes: dict[str, Any], parameter: str
) -> None:
    with pytest.raises(InvalidGrid) as raised:
        open_terms({ES: signed(**changes)}, SimulatedClock(NOW_MS))
    assert raised.value.subject == parameter


fields = {
    "instrument": st.binary(max_size=40),
    "interval": st.integers(-1, 1 << 65),
    "price": st.integers(-(1 << 129), 1 << 129),
    "tick_size": st.integers(-1, 1 << 65),
    "ticks": st.integers(-1, 1 << 33),
    "observed_at": st.integers(-1, 1 << 65),
}


@given(
    st.builds(
        SignedReference,
        st.builds(ReferencePrice, **fields),
        st.binary(min_size=65, max_size=65) | st.binary(max_size=70),
    )
)
def test_any_reference_that_the_reporter_did_not_sign_is_refused(
    reference: SignedReference,
) -> None:
    instrument, interval = (
        InstrumentId(reference.message.instrument),
        Interval(reference.message.interval),
    )
    with pytest.raises(WrongReporter):
        reference.verify(DOMAIN, REPORTER.address, instrument, interval)


# What a keyper remembers


def test_a_keyper_accepts_one_set_of_references_for_an_interval() -> None:
    clock = SimulatedClock(NOW_MS)
    watch = ReferenceWatch(DOMAIN, REPORTER.address, clock)
    references = REPORTER.sign(GRID, [ES, NQ], INTERVAL, DOMAIN)
    for _ in range(2):
        watch.accept(INTERVAL, references)
    for others in ({ES: references[ES]}, references | {ES: signed(price=4_804_000_000)}):
        with pytest.raises(SecondReference):
            watch.accept(INTERVAL, others)
    watch.require(INTERVAL)


def test_a_keyper_opens_nothing_without_references() -> None:
    watch = ReferenceWatch(DOMAIN, REPORTER.address, SimulatedClock(NOW_MS))
    with pytest.raises(MissingReference):
        watch.accept(INTERVAL, {})
    with pytest.raises(WrongReporter):
        watch.accept(INTERVAL, {ES: signed(key=b"\x78" * 32)})
    with pytest.raises(MissingReference):
        watch.require(INTERVAL)
    watch.accept(INTERVAL, {ES: signed()})
    watch.require(INTERVAL)
    with pytest.raises(MissingReference):
        watch.require(Interval(8))


def test_a_batch_that_closes_late_is_not_opened() -> None:
    clock = SimulatedClock(NOW_MS)
    watch = ReferenceWatch(DOMAIN, REPORTER.address, clock)
    watch.accept(INTERVAL, {ES: signed()})
    clock.advance(REFERENCE_AGE_AT_CLOSE_MAX_MS)
    watch.require(INTERVAL)
    clock.advance(1)
    with pytest.raises(StaleReference) as raised:
        watch.require(INTERVAL)
    assert raised.value.age_ms == REFERENCE_AGE_AT_CLOSE_MAX_MS + 1


def test_a_reporter_signs_the_time_of_its_own_clock() -> None:
    clock = SimulatedClock(NOW_MS)
    reporter = Reporter(KEY, clock)
    clock.advance(5)
    reference = reporter.sign(GRID, [ES], INTERVAL, DOMAIN)[ES]
    assert reference.message.observed_at == NOW_MS + 5
