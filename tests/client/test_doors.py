"""Anything at all at the doors of the client's face: a typed error, or what reads back equal."""

import asyncio
from dataclasses import astuple, fields, replace
from decimal import Decimal
from pathlib import Path
from types import NoneType
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from crypto.signing.eip712 import Domain
from darkpool.client import (
    Agent,
    AgentStore,
    CoverPolicy,
    KeySigner,
    LimitOrder,
    Lots,
    OpeningFile,
    PublicLimits,
    StandingOrder,
    instrument_id,
    seal_order,
    smallest_cap,
)
from darkpool.protocol.terms import BondTerms, PublicRules
from darkpool.units import (
    AuctionId,
    PriceGrid,
    Side,
    account_id,
    account_of,
    cap_bucket,
    identifier,
    price_decimal,
    price_units,
    require_bucket,
)
from tests.support.agent_desk import ACCOUNT, DEADLINE_S, ES, KEY, Desk, order
from tests.support.anything import ANYTHING, refused

NO_NUMBERS = (float, bool, str, bytes, np.bool_, Decimal, NoneType)


def equal(value: Any, other: object) -> bool:
    """Whether a value equals another; arrays and signalling numbers have no answer."""
    try:
        return bool(value == other)
    except (ArithmeticError, ValueError):
        return False


FIELDS = ("account", "instrument", "side", "size", "limit", "good_until", "cap")


@given(changes=st.dictionaries(st.sampled_from(FIELDS), ANYTHING, min_size=1))
@settings(max_examples=300, deadline=None)
def test_a_standing_order_is_refused_or_is_of_plain_values(changes: dict[str, Any]) -> None:
    made: list[StandingOrder] = []
    if refused(lambda: made.append(replace(order(), **changes))):
        return
    (one,) = made
    assert [type(value) for value in astuple(one)] == [str, bytes, Side, int, int, int, int]
    for name, value in changes.items():
        kept = getattr(one, name)
        assert kept == (account_id(value) if name == "account" else value)


@pytest.fixture
def store(desk: Desk) -> AgentStore:
    return desk.store()


def test_what_a_store_takes_reads_back_equal_and_nothing_is_half_stored(store: AgentStore) -> None:
    @given(changes=st.dictionaries(st.sampled_from(FIELDS), ANYTHING, min_size=1), whole=ANYTHING)
    @settings(max_examples=150, deadline=None)
    def run(changes: dict[str, Any], whole: Any) -> None:
        before = store.orders()
        placed: list[int] = []
        if refused(lambda: placed.append(store.place(replace(order(), **changes)))):
            assert store.orders() == before
        else:
            assert astuple(store.order(placed[0]).order) == astuple(replace(order(), **changes))
            store.cancel(placed[0])
        assert refused(lambda: store.place(whole))
        assert len(store.orders()) == len(before) + len(placed)

    run()


def test_every_call_of_a_store_refuses_or_answers(desk: Desk, store: AgentStore) -> None:
    store.place(order())
    desk.sent(desk.agent(store), 1)
    agent, terms = desk.agent(store), desk.terms(1)
    before = (store.orders(), store.intents(terms.interval), store.interval(terms.interval))

    @given(one=ANYTHING, other=ANYTHING)
    @settings(max_examples=200, deadline=None)
    def run(one: Any, other: Any) -> None:
        for action in (
            lambda: store.order(one),
            lambda: store.interval(one),
            lambda: store.intents(one),
            lambda: agent.opening(one, other),
            lambda: agent.opening(ES, one),
            lambda: agent.submissions(one, other),
            lambda: agent.submissions(terms, one),
            lambda: CoverPolicy(one, other),
            lambda: Agent(store, KeySigner(KEY), {ES: one}),
            lambda: Agent(store, KeySigner(KEY), one),
        ):
            refused(action)
        if not equal(one, 1):
            assert refused(lambda: store.apply_result(one, {ES: other}))
        if isinstance(other, NO_NUMBERS):
            assert refused(lambda: store.apply_result(terms.interval, {ES: other}))  # type: ignore[dict-item]
            assert refused(lambda: store.replace(1, other, order().limit))  # type: ignore[arg-type]
            assert refused(lambda: store.cancel(other))  # type: ignore[arg-type]
        if not equal(other, {}):
            assert refused(lambda: store.apply_result(terms.interval, other))

    run()
    assert (store.intents(terms.interval), store.interval(terms.interval)) == before[1:]
    store.apply_result(terms.interval, {ES: Lots(4)})
    assert store.order(1).filled == 4


@given(one=ANYTHING, other=ANYTHING, third=ANYTHING)
@settings(max_examples=300, deadline=None)
def test_what_is_made_of_anything_is_refused_or_of_plain_values(
    one: Any, other: Any, third: Any
) -> None:
    made: list[object] = []
    for action in (
        lambda: LimitOrder(one, other, third),
        lambda: LimitOrder(Side.BUY, one, other, third),
        lambda: PublicLimits(one, other, third),
        lambda: BondTerms(one, other, third),
        lambda: PublicRules(BondTerms(one, 0, ACCOUNT), {}, other, third),
    ):
        refused(lambda action=action: made.append(action()))  # type: ignore[misc]
    for value in made:
        kept = [getattr(value, one.name) for one in fields(value)]  # type: ignore[arg-type]
        numbers = [one for one in kept if isinstance(one, int)]
        assert all(type(number) in (int, Side) for number in numbers)
    for taken in (
        lambda: price_units(one),
        lambda: price_decimal(one),
        lambda: PriceGrid(one, other, third),
        lambda: PriceGrid(Decimal("0.25"), Decimal(4805), one).units_of(other),
        lambda: PriceGrid.of_units(one, other, third),
        lambda: PriceGrid(Decimal("0.25"), Decimal(4805), 64).price_of(one),
        lambda: PriceGrid(Decimal("0.25"), Decimal(4805), 64).tick_of(one),
        lambda: account_id(one),
        lambda: account_of(one),
        lambda: cap_bucket(one),
        lambda: require_bucket("cap", one),
        lambda: instrument_id(one),
        lambda: identifier(one),
        lambda: Domain(one, other),
        lambda: KeySigner(one),
        lambda: KeySigner.from_file(one, other),
        lambda: OpeningFile.from_json(one),
        lambda: str(AuctionId(ES, one)),
    ):
        refused(taken)


def test_sealing_refuses_what_it_cannot_seal(desk: Desk) -> None:
    terms, signer = desk.terms(1), KeySigner(KEY)
    sell = LimitOrder(Side.SELL, Lots(3), Side.BUY)  # type: ignore[arg-type]
    limits = PublicLimits(DEADLINE_S, Lots(5))
    good: dict[str, Any] = {
        "order": sell,
        "instrument": ES,
        "terms": terms,
        "signer": signer,
        "nonce": 1,
        "limits": limits,
    }

    @given(name=st.sampled_from(["order", "instrument", "terms", "nonce", "limits"]), bad=ANYTHING)
    @settings(max_examples=100, deadline=None)
    def run(name: str, bad: Any) -> None:
        made: list[Any] = []
        if not refused(lambda: made.append(asyncio.run(seal_order(**(good | {name: bad}))))):
            opening = made[0].opening
            assert OpeningFile.from_json(opening.to_json()) == opening
        refused(lambda: smallest_cap(bad, terms))

    run()


@pytest.mark.parametrize("path", ["agent.db", None, 7])
def test_a_store_is_at_a_path(path: Any, desk: Desk, tmp_path: Path) -> None:
    domain = desk.venue.terms.domain
    assert refused(lambda: AgentStore(path, ACCOUNT, domain))
    assert refused(lambda: AgentStore(tmp_path, ACCOUNT, domain))
    assert refused(lambda: AgentStore(tmp_path / "none" / "agent.db", ACCOUNT, domain))
    assert refused(lambda: AgentStore(tmp_path / "a\0b", ACCOUNT, domain))
    assert refused(lambda: AgentStore(tmp_path / "agent.db", ACCOUNT, path))
    assert not list(tmp_path.iterdir())


def test_a_store_opened_in_lower_case_is_that_of_the_account(desk: Desk) -> None:
    domain = desk.venue.terms.domain
    lower = AgentStore(desk.path, ACCOUNT.lower(), domain)  # type: ignore[arg-type]
    number = lower.place(order())
    lower.close()
    assert desk.store().order(number).order == order()
