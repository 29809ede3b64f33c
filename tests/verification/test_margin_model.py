"""The auditor's portfolio margin: the engine's integers, from what the engine publishes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from crypto.signing.messages import instrument_id
from darkpool.limits import CAP_BUCKETS_LOTS
from darkpool.margin.market.instruments import Specification, SpecificationForm
from darkpool.margin.market.market import Market, MarketForm
from darkpool.margin.model import caps
from darkpool.margin.model.portfolio import PortfolioMargin
from darkpool.margin.model.scenarios import lot_risk
from darkpool.record.margin_forms import MarginInputs
from darkpool.units import Cash, InstrumentName, Lots, PriceUnits
from darkpool.verification.errors import Unsound
from darkpool.verification.requirement import EXPOSURE_MAX, LiveIntent, MarginModel, Requirement
from tests.support.margin_houses import MARKET, specification
from tests.support.margin_records import changed, inputs_of, put

FORM = MarketForm.model_validate_json(MARKET)
NAMES = list(specification().contracts)
COUNT = len(NAMES)
INPUTS = inputs_of(specification(), FORM)
MODEL = MarginModel(INPUTS)
WHOLE = [contract.low[0] for contract in INPUTS.risk.contracts]
MULTIPLIERS = [contract.multiplier for contract in INPUTS.specification.contracts]

sizes = st.one_of(st.integers(-20, 20), st.integers(-(10**5), 10**5))
portfolios = st.dictionaries(st.integers(0, COUNT - 1), sizes)
small = st.dictionaries(st.integers(0, COUNT - 1), st.integers(-1000, 1000))
shares = st.integers(0, 10**6)


def engine(chosen: Specification) -> PortfolioMargin:
    contracts = tuple(chosen.contracts.values())
    return PortfolioMargin(chosen, lot_risk(chosen, Market.from_form("market", FORM), contracts))


ENGINE = engine(specification())


def array(net: dict[int, int]) -> np.ndarray:
    lots = np.zeros(COUNT, dtype=np.int64)
    for place, number in net.items():
        lots[place] = number
    return lots


def required(margin: PortfolioMargin, net: dict[int, int], concentrated: bool) -> Requirement:
    found = margin.requirement(array(net), concentrated=concentrated)
    return Requirement(found.maintenance, found.initial)


@st.composite
def specifications(draw: st.DrawFn) -> Specification:
    """Other parameters, and both underlyings in a group or each for itself."""
    data = specification().form.model_dump()
    data["initial"] = draw(st.integers(10**6, 10**7))
    for underlying in data["underlyings"]:
        names = ("price_range", "tail_weight", "basis", "short_option", "concentration")
        underlying |= {name: draw(shares) for name in names}
        underlying["tail_multiple"] = draw(st.integers(10**6, 10**7))
        if draw(st.booleans()):
            # nothing moves but time: a short option gains in every scenario
            still = ("price_range", "volatility_up", "volatility_down", "short_option")
            underlying |= dict.fromkeys(still, 0)
        underlying["concentration_from"] = draw(st.integers(0, 10**15))
    for group in data["groups"]:
        group["offset"] = draw(shares)
    if draw(st.booleans()):
        data["groups"] = []
    for contract in data["contracts"]:
        contract["multiplier"] = draw(st.integers(1, 20))
    return Specification(SpecificationForm.model_validate(data))


@st.composite
def intents(draw: st.DrawFn) -> LiveIntent:
    """An intent on a grid around what its contract is worth, which may lie off it."""
    place, cap = draw(st.integers(0, COUNT - 1)), draw(st.sampled_from(CAP_BUCKETS_LOTS[:10]))
    # one grid a contract, as in an auction
    half = WHOLE[place] * (place + 1) // 100 + 1
    return LiveIntent(place, cap, WHOLE[place] - half, WHOLE[place] + half)


def as_engine(live: list[LiveIntent]) -> list[caps.LiveIntent]:
    return caps.in_order(
        caps.LiveIntent(
            one.contract_index,
            Lots(one.cap),
            caps.PriceRange(PriceUnits(one.lowest), PriceUnits(one.highest)),
            MULTIPLIERS[one.contract_index],
        )
        for one in live
    )


@given(portfolios, st.booleans())
@settings(max_examples=300, deadline=None)
def test_requirements_are_the_engines(net: dict[int, int], concentrated: bool) -> None:
    assert MODEL.requirement(net, concentrated) == required(ENGINE, net, concentrated)
    assert MODEL.value(net) == ENGINE.value(array(net))


@given(specifications(), st.lists(small, min_size=5, max_size=5), st.booleans())
@settings(max_examples=60, deadline=None)
def test_with_other_parameters_too(
    chosen: Specification, held: list[dict[int, int]], concentrated: bool
) -> None:
    margin, model = engine(chosen), MarginModel(inputs_of(chosen, FORM))
    for net in held:
        assert model.requirement(net, concentrated) == required(margin, net, concentrated)
        assert model.value(net) == margin.value(array(net))


amounts = st.integers(-(10**15), 10**15)


@given(amounts, amounts, portfolios, st.lists(intents(), max_size=7))
@settings(max_examples=150, deadline=None)
def test_surplus_is_the_engines(
    cash: int, cost: int, net: dict[int, int], live: list[LiveIntent]
) -> None:
    holdings = caps.Holdings(Cash(cash), Cash(cost), array(net))
    expected = caps.surplus(ENGINE, holdings, as_engine(live))
    assert MODEL.surplus(cash, cost, net, live) == expected


@given(intents())
@settings(deadline=None)
def test_what_an_intent_needs_alone_is_its_lack_of_surplus(intent: LiveIntent) -> None:
    empty = caps.Holdings(Cash(0), Cash(0), array({}))
    assert MODEL.alone(intent) == -caps.surplus(ENGINE, empty, as_engine([intent])) > 0


def test_an_intent_that_only_gains_needs_nothing() -> None:
    """A grid far below a contract's worth for the buyer, and far above for the seller."""
    intent = LiveIntent(0, 1, 10 * WHOLE[0], -10 * WHOLE[0])
    assert MODEL.alone(intent) == 0
    empty = caps.Holdings(Cash(0), Cash(0), array({}))
    for count in (4, 5):
        expected = caps.surplus(ENGINE, empty, as_engine([intent] * count))
        assert MODEL.surplus(0, 0, {}, [intent] * count) == expected


def test_a_future_by_hand() -> None:
    """The example of docs/margin.md, in cash units."""
    expected = Requirement(94_550 * 10**6, 122_915 * 10**6)
    assert MODEL.requirement({NAMES.index(InstrumentName("BTC-MAR")): -10}) == expected


def test_nothing_held_needs_nothing() -> None:
    assert MODEL.requirement({0: 0}) == MODEL.requirement({}) == Requirement(0, 0)
    assert MODEL.surplus(7, 3, {}, []) == 4


def test_places_are_by_identifier() -> None:
    assert MODEL.contract_indices == {
        instrument_id(name): place for place, name in enumerate(NAMES)
    }


def test_a_position_after_expiry_has_no_margin() -> None:
    expiry_ms = INPUTS.specification.contracts[1].expiry_ms
    model = MarginModel(changed(INPUTS, "market.time_ms", put(expiry_ms)))
    for ask in (model.requirement, model.value):
        assert ask({0: 1, 1: 0}) == ask({0: 1})
        with pytest.raises(Unsound, match="position in BTC-MAR"):
            ask({1: 1})
    intent = LiveIntent(1, 1, 0, 0)
    assert model.surplus(0, 0, {}, [intent]) is None
    assert model.surplus(0, 0, {1: -1}, []) is None
    with pytest.raises(Unsound, match="intent for BTC-MAR"):
        model.alone(intent)


many = st.dictionaries(st.integers(0, COUNT - 1), st.integers(-(10**9), 10**9))
"""Some of which margin is not computed for."""


@given(amounts, many, st.lists(intents(), max_size=7), st.integers(1, 10**6))
@settings(max_examples=150, deadline=None)
def test_both_compute_margin_of_the_same_positions(
    cash: int, net: dict[int, int], live: list[LiveIntent], factor: int
) -> None:
    caps_too = [replace(one, cap=one.cap * factor) for one in live]
    holdings = caps.Holdings(Cash(cash), Cash(0), array(net))
    try:
        expected: int | None = caps.surplus(ENGINE, holdings, as_engine(caps_too))
    except caps.NOT_COMPUTED:
        expected = None
    assert MODEL.surplus(cash, 0, net, caps_too) == expected


@pytest.mark.parametrize("place", range(COUNT))
def test_both_stop_at_the_same_lot(place: int) -> None:
    """The last lot that margin is computed for, held, asked for, or a part of each."""
    largest = int(ENGINE._lots.largest[place])
    most = EXPOSURE_MAX // largest
    empty = caps.Holdings(Cash(0), Cash(0), array({}))
    for sizes, computed in (((most, 0), True), ((most + 1, 0), False), ((-most, 1), False)):
        held, cap = sizes
        live = [LiveIntent(place, cap, 0, 0)] if cap else []
        holdings = replace(empty, net=array({place: held}))
        try:
            caps.surplus(ENGINE, holdings, as_engine(live))
        except caps.NOT_COMPUTED:
            assert not computed
        assert (MODEL.surplus(0, 0, {place: held}, live) is not None) == computed
    five = [LiveIntent(place, most // 4, 0, 0)] * 5
    assert MODEL.surplus(0, 0, {}, five) is None, "the fifth is looked at by itself, and with them"
    with pytest.raises(caps.NOT_COMPUTED):
        caps.surplus(ENGINE, empty, as_engine(five))


@pytest.mark.parametrize("place", [-1, COUNT])
def test_a_contract_that_there_is_not_has_no_margin(place: int) -> None:
    intent = LiveIntent(place, 1, 0, 0)
    for ask in (
        lambda: MODEL.requirement({place: 1}),
        lambda: MODEL.value({place: 1}),
        lambda: MODEL.alone(intent),
        lambda: MODEL.surplus(0, 0, {}, [intent] * 5),
    ):
        with pytest.raises(Unsound, match=f"contract {place}"):
            ask()


@pytest.mark.parametrize(
    ("path", "change"),
    [
        ("risk.contracts", lambda arrays: arrays[1:]),
        ("risk.contracts.3.low", lambda low: low[:3]),
        ("risk.contracts.3.high", lambda high: (*high, 0)),
        ("market.underlyings", put(())),
        ("market.underlyings.0.perpetual", put(None)),
        ("market.underlyings.0.expiries", put(())),
        ("market.underlyings.0.expiries.0.strikes", put((1,))),
        ("market.underlyings.0.expiries.0.forward.value", put(0)),
        ("specification.underlyings", put(())),
        ("specification.contracts.1.expiry_ms", put(None)),
    ],
)
def test_no_model_of_what_is_malformed(path: str, change: Callable[[Any], Any]) -> None:
    with pytest.raises(Unsound):
        MarginModel(changed(INPUTS, path, change))


def test_groups_of_unknown_underlyings_are_left_to_the_check_of_the_specification() -> None:
    inputs: MarginInputs = changed(INPUTS, "specification.groups.0.underlyings", put(("Y", "Z")))
    apart = MarginModel(changed(INPUTS, "specification.groups", put(())))
    net = {0: 5, 6: -3}
    assert MarginModel(inputs).requirement(net) == apart.requirement(net)


@pytest.mark.parametrize("multiplier", [0, -1])
def test_a_unit_of_a_contract_without_units_is_worth_nothing_that_can_be_said(
    multiplier: int,
) -> None:
    inputs: MarginInputs = changed(INPUTS, "specification.contracts.0.multiplier", put(multiplier))
    with pytest.raises(Unsound, match="multiplier of"):
        MarginModel(inputs).mark(0)
