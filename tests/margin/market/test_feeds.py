"""Price reports: a quorum's median, bounded steps, and nothing on what is stale or forged."""

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crypto.signing.eip712 import Domain
from darkpool.errors import OutOfBounds
from darkpool.limits import REFERENCE_AGE_AT_CLOSE_MAX_MS, REFERENCE_AHEAD_MAX_MS
from darkpool.margin.errors import (
    ImpossibleValue,
    ReportFromTheFuture,
    ReportRefused,
    StaleReport,
    UnknownFeed,
    UnknownReporter,
)
from darkpool.margin.market.feeds import (
    FeedBounds,
    FeedTerms,
    Halt,
    Number,
    PriceFeeds,
    SignedReport,
    reporter_address,
    sign_report,
)

DOMAIN = Domain(31337, b"\xc0" * 20)
KEYS = [bytes([n]) * 32 for n in range(1, 6)]
TERMS = FeedTerms(tuple(map(reporter_address, KEYS)), 10_000, 50_000, 60_000)
NOW = 1_800_000_000_000
INDEX = "BTC index"


def feeds() -> PriceFeeds:
    bounds = {INDEX: FeedBounds(1, 10**15), "BTC rate": FeedBounds(-(10**6), 10**6, 100)}
    return PriceFeeds(DOMAIN, TERMS, bounds)


def report(value: int, key: int = 0, at: int = NOW, feed: str = INDEX) -> SignedReport:
    return sign_report(feed, value, at, DOMAIN, KEYS[key])


def fed(*values: int, at: int = NOW, into: PriceFeeds | None = None) -> PriceFeeds:
    """One report of each of the first reporters."""
    prices = feeds() if into is None else into
    for key, value in enumerate(values):
        prices.accept(report(value, key, at), at)
    return prices


def test_a_quorum_decides() -> None:
    assert fed(100, 101).number(INDEX, NOW) == Number(None, Halt.UNKNOWN)
    assert fed(100, 103, 101).number(INDEX, NOW) == Number(101, None)


@given(st.lists(st.integers(900_000, 1_100_000), min_size=4, max_size=4), st.data())
def test_one_of_five_cannot_leave_what_the_others_say(
    honest: list[int], data: st.DataObject
) -> None:
    values = [*honest, data.draw(st.integers(1, 10**15))]
    prices = feeds()
    for key in data.draw(st.permutations(range(5))):
        prices.accept(report(values[key], key), NOW)
        value = prices.number(INDEX, NOW).value
        assert value is None or min(honest) <= value <= max(honest)
    assert prices.number(INDEX, NOW).value is not None


@pytest.mark.parametrize(("level", "later"), [(3000, (57_001, 61_001)), (2000, (74_001, 78_001))])
def test_a_jump_that_moves_on_or_falls_silent_starts_afresh(
    level: int, later: tuple[int, int]
) -> None:
    prices = fed(1000, 1000, 1000)
    for after in range(1, TERMS.settle_ms, 9_000):
        fed(2000, 2000, 2000, at=NOW + after, into=prices)
    for after in later:
        fed(level, level, level, at=NOW + after, into=prices)
        assert prices.number(INDEX, NOW + after) == Number(1000, Halt.DISPUTED)


def test_many_small_steps_are_one() -> None:
    prices, at = fed(1000, 1000, 1000), NOW
    for step in range(1, 40):
        at, value = NOW + step, 1000 + 40 * step
        fed(value, value, value, at=at, into=prices)
    assert prices.number(INDEX, at) == Number(1040, Halt.DISPUTED)


def test_a_number_near_zero_may_move() -> None:
    prices = feeds()
    for after, value in enumerate((0, 90, -9, 100, 101)):
        for key in range(3):
            prices.accept(report(value, key, NOW + after, "BTC rate"), NOW + after)
    assert prices.number("BTC rate", NOW + 4) == Number(100, Halt.DISPUTED)


def test_what_is_not_renewed_is_stale_and_still_known() -> None:
    prices = fed(100, 101, 102)
    late = NOW + TERMS.age_max_ms
    assert prices.number(INDEX, late) == Number(101, None)
    assert prices.number(INDEX, late + 1) == Number(101, Halt.STALE)
    assert prices.halted([INDEX, "BTC rate"], late + 1) == {
        INDEX: Halt.STALE,
        "BTC rate": Halt.UNKNOWN,
    }
    fed(103, 103, 103, at=late + 1, into=prices)
    assert prices.number(INDEX, late + 1) == Number(103, None)


def test_a_jump_is_disputed_until_it_has_lasted() -> None:
    prices = fed(1000, 1000, 1000)
    for after in range(1, TERMS.settle_ms, 9_000):
        fed(2000, 2000, 2000, at=NOW + after, into=prices)
        assert prices.number(INDEX, NOW + after) == Number(1000, Halt.DISPUTED)
    # the second of three makes the median jump, so that was when the dispute began
    end = NOW + 1 + TERMS.settle_ms
    fed(2000, 2000, 2000, at=end, into=prices)
    assert prices.number(INDEX, end) == Number(2000, None)


def test_a_jump_that_comes_back_is_forgotten() -> None:
    prices = fed(1000, 1000, 1000)
    fed(2000, 2000, 2000, at=NOW + 1, into=prices)
    fed(1049, 1049, 1049, at=NOW + 2, into=prices)
    assert prices.number(INDEX, NOW + 2) == Number(1049, None)
    fed(2000, 2000, 2000, at=NOW + TERMS.settle_ms, into=prices)
    assert prices.number(INDEX, NOW + TERMS.settle_ms).halt is Halt.DISPUTED


@pytest.mark.parametrize(
    ("value", "taken"), [(1050, True), (1051, False), (950, True), (949, False)]
)
def test_the_largest_step(value: int, taken: bool) -> None:
    prices = fed(value, value, value, at=NOW + 1, into=fed(1000, 1000, 1000))
    assert (prices.number(INDEX, NOW + 1).halt is None) == taken


def other_domain() -> SignedReport:
    return sign_report(INDEX, 1, NOW, Domain(1, b"\xc0" * 20), KEYS[0])


@pytest.mark.parametrize(
    ("refused", "error"),
    [
        (report(0, 2), ImpossibleValue),
        (report(10**15 + 1, 2), ImpossibleValue),
        (report(100, at=NOW - TERMS.age_max_ms - 1), StaleReport),
        (report(100, at=NOW + REFERENCE_AHEAD_MAX_MS + 1), ReportFromTheFuture),
        (report(100, feed="SOL index"), UnknownFeed),
        (sign_report(INDEX, 100, NOW, DOMAIN, b"\x09" * 32), UnknownReporter),
        (other_domain(), UnknownReporter),
        (replace(report(100), signature=b""), UnknownReporter),
        (replace(report(100), signature=b"\x00" * 65), UnknownReporter),
        (replace(report(100), message=replace(report(100).message, value=101)), UnknownReporter),
        (replace(report(100), message=replace(report(100).message, value=2**130)), UnknownReporter),
    ],
)
def test_what_is_refused_changes_nothing(refused: SignedReport, error: type[ReportRefused]) -> None:
    prices = fed(100, 101)
    with pytest.raises(error):
        prices.accept(refused, NOW)
    prices.accept(report(102, 2), NOW)
    assert prices.number(INDEX, NOW) == Number(101, None)


@pytest.mark.parametrize("at", [NOW, NOW - 1])
def test_a_reporter_does_not_go_back(at: int) -> None:
    prices = fed(100)
    with pytest.raises(StaleReport):
        prices.accept(report(105, at=at), NOW)


def test_a_rate_may_be_negative() -> None:
    prices = feeds()
    for key in range(3):
        prices.accept(report(-5, key, feed="BTC rate"), NOW)
    assert prices.number("BTC rate", NOW) == Number(-5, None)


@pytest.mark.parametrize(
    "changes",
    [
        {"reporters": ()},
        {"reporters": (reporter_address(KEYS[0]),) * 3},
        {"age_max_ms": 0},
        {"age_max_ms": REFERENCE_AGE_AT_CLOSE_MAX_MS + 1},
        {"step_max_ppm": 0},
        {"settle_ms": -1},
    ],
)
def test_terms_have_to_make_sense(changes: dict[str, Any]) -> None:
    with pytest.raises(OutOfBounds):
        replace(TERMS, **changes)


@given(st.lists(st.tuples(st.integers(0, 4), st.integers(1, 10**6), st.integers(0, 30_000))))
def test_the_same_reports_give_the_same_numbers(steps: list[tuple[int, int, int]]) -> None:
    def replayed() -> list[Number]:
        prices, now, seen = feeds(), NOW, []
        for key, value, passed in steps:
            now += passed
            try:
                prices.accept(report(value, key, now), now)
            except StaleReport:
                assert passed == 0
            seen.append(prices.number(INDEX, now))
        return seen

    assert replayed() == replayed()
