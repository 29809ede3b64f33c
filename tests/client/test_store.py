"""The life of an order, one interval after the other."""

import sqlite3
from collections.abc import Callable

import pytest

from crypto.signing.eip712 import Domain
from darkpool.client.errors import (
    AgentRefused,
    BelowFilled,
    ForeignStore,
    IntervalOver,
    OrderClosed,
    ResultConflict,
    ResultMissing,
    SecondOrder,
    StoreExposed,
    TermsChanged,
    UnknownIntent,
    UnknownOrder,
)
from darkpool.client.standing_orders import INTERVAL_MAX, OrderState
from darkpool.client.store import AgentStore
from darkpool.errors import DarkpoolError, OutOfBounds, WrongType
from darkpool.units import Interval, Lots, PriceUnits, Side, account_id
from tests.support.agent_desk import ACCOUNT, DEADLINE_S, ES, NQ, Desk, collected, order


def sizes(desk: Desk, store: AgentStore, interval: int, reference: str = "4805") -> list[int]:
    """Sizes sealed in an interval."""
    desk.sent(desk.agent(store), interval, reference)
    return [planned.intent.size for planned in store.intents(Interval(interval))]


def test_fills_reduce_what_is_sealed_next(desk: Desk) -> None:
    store = desk.store()
    number = store.place(order(120))
    assert sizes(desk, store, 1) == [50]
    store.apply_result(Interval(1), {ES: Lots(20)})
    assert sizes(desk, store, 2) == [50]
    store.apply_result(Interval(2), {ES: Lots(50)})
    assert sizes(desk, store, 3) == [50]
    store.apply_result(Interval(3), {ES: Lots(49)})
    assert (store.order(number).filled, store.order(number).remaining) == (119, 1)
    assert sizes(desk, store, 4) == [1]
    store.apply_result(Interval(4), {ES: Lots(1)})
    assert store.order(number).state is OrderState.FILLED
    assert sizes(desk, store, 5) == []


def test_an_order_is_sealed_up_to_its_last_interval(desk: Desk) -> None:
    store = desk.store()
    number = store.place(order(good_until=Interval(6)))
    assert sizes(desk, store, 5) == [10]
    store.apply_result(Interval(5), {})
    assert sizes(desk, store, 6) == [10]
    assert store.order(number).state is OrderState.LIVE
    store.apply_result(Interval(6), {ES: Lots(3)})
    assert (store.order(number).state, store.order(number).filled) == (OrderState.EXPIRED, 3)
    assert sizes(desk, store, 7) == []


def test_an_order_expires_in_intervals_that_were_missed(desk: Desk) -> None:
    store = desk.store()
    number = store.place(order(good_until=Interval(6)))
    assert sizes(desk, store, 9) == []
    assert store.order(number).state is OrderState.EXPIRED


def test_the_grid_moves_and_the_limit_does_not(desk: Desk) -> None:
    """Buy at 4805: in the middle, below the grid, above it."""
    store = desk.store()
    store.place(order())
    ticks = []
    for interval, reference in enumerate(("4805", "4806", "4830", "4700"), start=1):
        desk.sent(desk.agent(store), interval, reference)
        (planned,) = store.intents(Interval(interval))
        ticks.append((planned.intent.size, planned.intent.limit_tick))
        store.apply_result(Interval(interval), {})
    assert ticks == [(10, 50), (10, 46), (0, 0), (10, 99)]


def test_an_instrument_has_one_live_order(desk: Desk) -> None:
    store = desk.store()
    number = store.place(order())
    with pytest.raises(SecondOrder):
        store.place(order(side=Side.SELL))
    other = store.place(order(instrument=NQ))
    store.cancel(number)
    store.place(order(side=Side.SELL))
    assert [placed.state for placed in store.orders()] == ["cancelled", "live", "live"]
    assert store.order(other).order.instrument == NQ


def test_an_order_for_intervals_that_have_begun_is_refused(desk: Desk) -> None:
    store = desk.store()
    assert sizes(desk, store, 6) == []
    with pytest.raises(IntervalOver):
        store.place(order(good_until=Interval(6)))
    store.place(order(good_until=Interval(7)))
    assert sizes(desk, store, 6) == []
    assert sizes(desk, store, 7) == [10]


def test_a_cancelled_order_is_sealed_no_more_but_its_last_fill_counts(desk: Desk) -> None:
    store = desk.store()
    number = store.place(order())
    assert sizes(desk, store, 1) == [10]
    store.cancel(number)
    store.apply_result(Interval(1), {ES: Lots(4)})
    assert (store.order(number).state, store.order(number).filled) == (OrderState.CANCELLED, 4)
    assert sizes(desk, store, 2) == []


def test_an_amended_order_keeps_its_fills(desk: Desk) -> None:
    store = desk.store()
    number = store.place(order(10))
    assert sizes(desk, store, 1) == [10]
    with pytest.raises(BelowFilled):
        store.replace(number, Lots(9), PriceUnits(4_805_000_000))
    store.apply_result(Interval(1), {ES: Lots(4)})
    with pytest.raises(BelowFilled):
        store.replace(number, Lots(3), PriceUnits(4_805_000_000))
    store.replace(number, Lots(30), PriceUnits(4_806_000_000))
    assert sizes(desk, store, 2) == [26]
    (planned,) = store.intents(Interval(2))
    assert planned.intent.limit_tick == 54
    store.apply_result(Interval(2), {})
    store.replace(number, Lots(4), PriceUnits(4_806_000_000))
    assert store.order(number).state is OrderState.FILLED
    assert sizes(desk, store, 3) == []


@pytest.mark.parametrize(("size", "limit"), [(0, 1), (10_000_001, 1), (10, 10**18 + 1)])
def test_an_order_is_amended_within_its_bounds(desk: Desk, size: int, limit: int) -> None:
    store = desk.store()
    number = store.place(order())
    with pytest.raises(OutOfBounds):
        store.replace(number, Lots(size), PriceUnits(limit))
    assert store.order(number).order == order()


def cancelled(store: AgentStore) -> int:
    number = store.place(order())
    store.cancel(number)
    return number


@pytest.mark.parametrize(
    "action",
    [
        lambda store, number: store.cancel(number),
        lambda store, number: store.replace(number, Lots(20), PriceUnits(1)),
    ],
)
def test_a_closed_or_unknown_order_is_not_changed(
    desk: Desk, action: Callable[[AgentStore, int], None]
) -> None:
    store = desk.store()
    number = cancelled(store)
    with pytest.raises(OrderClosed, match="cancelled"):
        action(store, number)
    for unknown in (number + 1, 0, -1, INTERVAL_MAX + 1):
        with pytest.raises(UnknownOrder):
            action(store, unknown)
    assert [placed.state for placed in store.orders()] == ["cancelled"]


def test_the_next_interval_waits_for_the_result_of_the_last(desk: Desk) -> None:
    store = desk.store()
    store.place(order())
    assert sizes(desk, store, 1) == [10]
    with pytest.raises(ResultMissing, match="interval 1"):
        sizes(desk, store, 2)
    store.apply_result(Interval(1), {})
    assert sizes(desk, store, 2) == [10]


def test_an_interval_with_a_result_is_over(desk: Desk) -> None:
    store = desk.store()
    store.place(order())
    sizes(desk, store, 3)
    store.apply_result(Interval(3), {})
    for interval in (1, 2, 3):
        with pytest.raises(IntervalOver):
            sizes(desk, store, interval)


def test_nothing_leaves_once_the_result_is_there(desk: Desk) -> None:
    store = desk.store()
    store.place(order())
    later = desk.agent(store).submissions(desk.terms(1), DEADLINE_S)
    store.apply_result(Interval(1), {})
    with pytest.raises(IntervalOver):
        collected(later)


def test_a_result_counts_once(desk: Desk) -> None:
    store = desk.store()
    number = store.place(order())
    sizes(desk, store, 1)
    for _ in range(3):
        store.apply_result(Interval(1), {ES: Lots(4)})
        assert store.order(number).filled == 4
    for other in ({ES: Lots(5)}, {ES: Lots(0)}, {}):
        with pytest.raises(ResultConflict):
            store.apply_result(Interval(1), other)
    assert store.order(number).filled == 4
    sizes(desk, store, 2)
    store.apply_result(Interval(1), {ES: Lots(4)})
    assert store.order(number).filled == 4


@pytest.mark.parametrize(
    ("lots", "error"),
    [(11, ResultConflict), (-1, ResultConflict), (1.0, WrongType), (True, WrongType)],
)
def test_a_fill_that_the_intent_does_not_allow_changes_nothing(
    desk: Desk, lots: int, error: type[DarkpoolError]
) -> None:
    store = desk.store()
    number = store.place(order())
    store.place(order(instrument=NQ))
    sizes(desk, store, 1)
    with pytest.raises(error):
        store.apply_result(Interval(1), {NQ: Lots(3), ES: Lots(lots)})
    assert [placed.filled for placed in store.orders()] == [0, 0]
    store.apply_result(Interval(1), {ES: Lots(10)})
    assert store.order(number).filled == 10


def test_a_result_of_nothing_that_was_sealed_is_refused(desk: Desk) -> None:
    store = desk.store()
    store.place(order())
    with pytest.raises(UnknownIntent, match="interval"):
        store.apply_result(Interval(1), {})
    sizes(desk, store, 1)
    with pytest.raises(UnknownIntent, match="instrument"):
        store.apply_result(Interval(1), {NQ: Lots(0)})


def test_an_interval_keeps_its_terms(desk: Desk) -> None:
    store = desk.store()
    store.place(order())
    sizes(desk, store, 1)
    with pytest.raises(TermsChanged, match="grids"):
        sizes(desk, store, 1, "4806")
    assert sizes(desk, store, 1) == [10]


def test_everything_is_there_after_a_restart(desk: Desk) -> None:
    store = desk.store()
    number = store.place(order())
    sizes(desk, store, 1)
    before = (store.orders(), store.intents(Interval(1)), store.interval(Interval(1)))
    store.close()
    store = desk.store()
    assert (store.orders(), store.intents(Interval(1)), store.interval(Interval(1))) == before
    assert store.order(number).order == order()


def test_a_store_serves_one_account_at_one_venue(desk: Desk) -> None:
    desk.store().close()
    other = account_id("0x" + "00" * 19 + "01")
    domain = desk.venue.terms.domain
    with pytest.raises(ForeignStore):
        AgentStore(desk.path, other, domain)
    with pytest.raises(ForeignStore):
        AgentStore(desk.path, ACCOUNT, Domain(1, domain.verifying_contract))
    with pytest.raises(ForeignStore):
        desk.store().place(order(account=other))


def test_a_store_of_another_version_is_refused(desk: Desk) -> None:
    desk.store().close()
    with sqlite3.connect(desk.path) as connection:
        connection.execute("UPDATE owner SET version = 2")
    with pytest.raises(ForeignStore):
        desk.store()


def test_only_its_owner_reads_a_store(desk: Desk) -> None:
    store = desk.store()
    store.place(order())
    files = list(desk.path.parent.glob("agent.db*"))
    assert len(files) > 1
    assert {path.stat().st_mode & 0o777 for path in files} == {0o600}
    store.close()
    desk.path.chmod(0o640)
    with pytest.raises(StoreExposed, match="0640"):
        desk.store()


def test_a_store_that_was_lost_starts_with_other_nonces(desk: Desk) -> None:
    nonces = []
    for _ in range(2):
        store = desk.store()
        store.place(order())
        sizes(desk, store, 1)
        nonces += [planned.intent.nonce for planned in store.intents(Interval(1))]
        store.close()
        for path in desk.path.parent.glob("agent.db*"):
            path.unlink()
    assert nonces[0] != nonces[1]


def test_refusals_have_codes_of_their_own() -> None:
    codes = [refusal.code for refusal in AgentRefused.__subclasses__()]
    assert len(set(codes)) == len(codes) > 5
