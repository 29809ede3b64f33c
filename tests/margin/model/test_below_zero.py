"""Prices at and below zero: what a range in price covers, the same for engine and auditor."""

from decimal import Decimal
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from darkpool.errors import OutOfBounds
from darkpool.limits import CAP_BUCKETS_LOTS, FUNDING_PERIOD_MS
from darkpool.margin.accounts.accounts import PortfolioAccounts
from darkpool.margin.accounts.defaults import bankruptcy_price_of, deleveraging_order
from darkpool.margin.errors import InvalidFile, PriceNotCovered
from darkpool.margin.liquidation.plan import LiquidationTerms, conceded, liquidation_orders
from darkpool.margin.market.instruments import Specification, SpecificationForm
from darkpool.margin.market.market import Market, MarketForm, read_market, require_prices
from darkpool.margin.market.payoffs import funding_for_a_unit
from darkpool.margin.market.quotes import bounds_of, numbers_of
from darkpool.margin.model import caps
from darkpool.margin.model.portfolio import PortfolioMargin
from darkpool.margin.model.scenarios import SCENARIOS, lot_risk
from darkpool.record.margin_forms import MarginInputs
from darkpool.units import AccountId, Cash, Lots, PriceUnits, Side, price_decimal
from darkpool.verification.errors import Unsound
from darkpool.verification.report import Findings
from darkpool.verification.requirement import LiveIntent, MarginModel
from darkpool.verification.valuation import check_risk_arrays
from tests.support.margin_records import changed, inputs_of, put
from tests.support.oil import MARKET, oil, oil_at, oil_with

MAY, JUNE, PERPETUAL = 0, 1, 2
ONE = 10**6
OIL = oil_at("-37.63", "20.43", "0")
prices = st.one_of(st.just(0), st.integers(-(10**9), 10**9), st.integers(-3, 3)).map(
    lambda units: f"{price_decimal(PriceUnits(units)):f}"
)
markets = st.builds(oil_at, prices, prices, prices)
portfolios = st.lists(st.integers(-500, 500), min_size=3, max_size=3)


@st.composite
def specifications(draw: st.DrawFn) -> Specification:
    share, least = st.integers(0, ONE), draw(st.integers(1, 10**9))
    return oil_with(
        price_range=draw(share),
        price_range_min=f"{price_decimal(PriceUnits(least)):f}",
        tail_multiple=draw(st.integers(ONE, 10 * ONE)),
        tail_weight=draw(share),
        basis=draw(share),
        concentration=draw(share),
        concentration_from=draw(st.integers(0, 10**12)),
    )


def engine(chosen: Specification, form: MarketForm) -> PortfolioMargin:
    risk = lot_risk(chosen, Market.from_form("market", form), tuple(chosen.contracts.values()))
    return PortfolioMargin(chosen, risk)


def intents(form: MarketForm, drawn: list[tuple[int, int, int]]) -> list[LiveIntent]:
    underlying = form.underlyings[0]
    texts = [*(expiry.forward for expiry in underlying.expiries), underlying.perpetual]
    middles = [int(Decimal(text or "0") * ONE) for text in texts]
    return [LiveIntent(k, cap, middles[k] - half, middles[k] + half) for k, cap, half in drawn]


@given(
    specifications(),
    markets,
    portfolios,
    st.lists(
        st.tuples(st.integers(0, 2), st.sampled_from(CAP_BUCKETS_LOTS[:8]), st.integers(0, 10**8)),
        max_size=6,
    ),
)
@settings(max_examples=80, deadline=None)
def test_the_auditor_computes_the_engines_integers(
    chosen: Specification, form: MarketForm, lots: list[int], drawn: list[tuple[int, int, int]]
) -> None:
    margin, inputs = engine(chosen, form), inputs_of(chosen, form)
    findings = Findings("risk arrays")
    check_risk_arrays(inputs, findings)
    assert findings.check("all", "").ok, findings.check("all", "").detail
    model, net = MarginModel(inputs), dict(enumerate(lots))
    found, held = model.requirement(net), np.array(lots, dtype=np.int64)
    expected = margin.requirement(held)
    assert (found.maintenance, found.initial) == (expected.maintenance, expected.initial)
    assert model.value(net) == margin.value(held)
    live = intents(form, drawn)
    multipliers = [contract.multiplier for contract in chosen.contracts.values()]
    as_engine = caps.in_order(
        caps.LiveIntent(
            one.contract_index,
            Lots(one.cap),
            caps.PriceRange(PriceUnits(one.lowest), PriceUnits(one.highest)),
            multipliers[one.contract_index],
        )
        for one in live
    )
    surplus = caps.surplus(margin, caps.Holdings(Cash(5), Cash(-7), held), as_engine)
    assert model.surplus(5, -7, net, live) == surplus


@given(specifications(), markets, st.integers(0, 2), st.sampled_from((-1, 1)))
@settings(max_examples=80, deadline=None)
def test_a_position_has_what_it_loses_within_its_range(
    chosen: Specification, form: MarketForm, place: int, lots: int
) -> None:
    """Whatever the sign of the price, for the holder of either side, and to the unit."""
    terms = chosen.underlyings["WTI"]
    contract = tuple(chosen.contracts.values())[place]
    price = Market.from_form("m", form).of(contract).forward(contract).price
    net = np.zeros(3, dtype=np.int64)
    net[place] = lots
    needed = engine(chosen, form).requirement(net).maintenance
    covered = Fraction(max(abs(price) * terms.price_range // ONE, terms.least_range))
    assert needed >= covered * contract.multiplier


def test_oil_at_its_settlement_by_hand() -> None:
    """15 is more than a quarter of 37.63; an extreme move of 45 counts by 35 percent, 15.75."""
    margin = engine(oil(), OIL)
    long_may = np.array([1, 0, 0])
    charge = Fraction("37.63") * Fraction("0.05")
    assert margin.requirement(long_may).maintenance == (Fraction("15.75") + charge) * 1000 * ONE
    assert margin.requirement(-long_may).initial == margin.requirement(long_may).initial
    # at zero the least range stands in for the price, so that no charge is nothing
    swap = np.array([0, 0, 1])
    assert (
        margin.requirement(swap).maintenance
        == (Fraction("15.75") + 15 * Fraction("0.05")) * 100 * ONE
    )


def test_long_in_one_month_and_short_in_another_is_charged_for_both() -> None:
    """A price below zero must not turn the sign of what moves with it."""
    margin = engine(oil(), OIL)
    needed = margin.requirement(np.array([1, -1, 0]))
    charges = [part // (ONE * ONE) for part in needed.basis.values()]
    assert charges[:2] == [1_881_500_000, 1_021_500_000]
    assert margin.requirement(np.array([1, 1, 0])).own["WTI"].loss > needed.own["WTI"].loss


def test_the_price_crosses_zero_in_a_scenario() -> None:
    risk = lot_risk(oil(), Market.from_form("m", OIL), tuple(oil().contracts.values()))
    place = next(k for k, s in enumerate(SCENARIOS) if (s.quarters, s.tail) == (-4, True))
    assert risk.low[JUNE, 1 + place] == 20_430_000 - 45_000_000


def with_call(
    strike: str, forward: str, smile: bool, least: str
) -> tuple[Specification, MarketForm]:
    data = oil().form.model_dump(mode="json")
    data["underlyings"][0] |= {"price_range_min": least}
    june = data["contracts"][1]
    data["contracts"] = [*data["contracts"], june | {"name": "C", "kind": "call", "strike": strike}]
    form = oil_at("-37.63", forward, "1").model_dump(mode="json")
    if smile:
        form["underlyings"][0]["expiries"][1] |= {"strikes": ["20"], "volatilities": ["0.9"]}
    return Specification(SpecificationForm.model_validate(data)), MarketForm.model_validate(form)


@pytest.mark.parametrize("forward", ["-20.43", "0", "20.43"])
def test_options_at_or_below_zero_are_refused_with_the_name_of_their_model(forward: str) -> None:
    """Also where the price is above zero now and below it in a scenario."""
    specification, form = with_call("20", forward, smile=False, least="15")
    with pytest.raises(PriceNotCovered, match="Bachelier"):
        engine(specification, form)
    if forward != "20.43":
        with pytest.raises(ValueError, match="Bachelier"):
            with_call("20", forward, smile=True, least="15")


def test_options_that_stay_above_zero_are_valued_beside_a_least_range() -> None:
    specification, form = with_call("20", "20.43", smile=True, least="0.5")
    chosen = Specification(
        specification.form.model_copy(
            update={
                "underlyings": tuple(
                    u.model_copy(update={"price_range": 100_000})
                    for u in specification.form.underlyings
                )
            }
        )
    )
    inputs = inputs_of(chosen, form)
    findings = Findings("risk arrays")
    check_risk_arrays(inputs, findings)
    assert findings.check("all", "").ok
    below: MarginInputs = changed(
        inputs, "market.underlyings.0.expiries.1.forward.value", put(-20_430_000)
    )
    with pytest.raises(Unsound):
        MarginModel(below)


def test_an_option_whose_price_gets_to_zero_exactly_is_refused_by_engine_and_auditor() -> None:
    """Three times 6.81 is 20.43; a millionth less leaves a price of 0.000003."""
    with pytest.raises(PriceNotCovered, match="in every scenario"):
        engine(*with_call("20", "20.43", smile=True, least="6.81"))
    inputs = inputs_of(*with_call("20", "20.43", smile=True, least="6.809999"))
    findings = Findings("risk arrays")
    check_risk_arrays(inputs, findings)
    assert findings.check("all", "").ok
    range_min = "specification.underlyings.0.price_range_min"
    check_risk_arrays(changed(inputs, range_min, put(6_810_000)), findings)
    found = findings.check("all", "").differences
    assert any("above 0 in every scenario" in str(difference) for difference in found)


def test_a_least_range_is_bounded_like_a_price() -> None:
    """2**53 cash units of a lot of 1,000, whatever its price is now."""
    most = 2**53 // 1000
    engine(oil_with(price_range_min=f"{price_decimal(PriceUnits(most)):f}"), OIL)
    with pytest.raises(OutOfBounds, match="value of a lot of /CLK20"):
        engine(oil_with(price_range_min=f"{price_decimal(PriceUnits(most + 1)):f}"), OIL)


def test_without_a_least_range_prices_are_above_zero() -> None:
    plain = oil_with(price_range_min="0")
    with pytest.raises(InvalidFile) as caught:
        read_market("market.json", MARKET, plain)
    shown = [(problem.path, problem.got) for problem in caught.value.problems]
    assert shown == [
        ("underlyings[0].index", "-37.63"),
        ("underlyings[0].perpetual", "0"),
        ("underlyings[0].expiries[0].forward", "-37.63"),
    ]
    assert "price_range_min of WTI" in caught.value.problems[0].expected
    with pytest.raises(PriceNotCovered, match="price_range_min of WTI"):
        engine(plain, OIL)
    with pytest.raises(Unsound):
        MarginModel(
            changed(inputs_of(oil(), OIL), "specification.underlyings.0.price_range_min", put(0))
        )
    require_prices("market", OIL, oil())
    with pytest.raises(InvalidFile):
        require_prices("market", OIL, None)


def test_a_token_of_collateral_is_never_on_an_underlying_that_may_be_below_zero() -> None:
    data = oil().form.model_dump(mode="json")
    data["collateral"] = [{"token": "BARREL", "underlying": "WTI", "haircut": 0, "most": 1}]
    with pytest.raises(ValueError, match="without price_range_min"):
        SpecificationForm.model_validate(data)


def test_feeds_of_such_an_underlying_take_prices_of_both_signs() -> None:
    numbers = numbers_of("market", OIL)
    bounds = bounds_of(numbers, oil())
    assert bounds["WTI/index"].lowest == -(10**15) == -bounds["WTI/perpetual"].highest
    assert bounds["WTI/perpetual"].step_min == 3_750_000
    assert all(
        bound.lowest == 1 for name, bound in bounds_of(numbers).items() if "rate" not in name
    )


@pytest.mark.parametrize(
    ("mark", "index", "paid"),
    [(-370, -400, 2), (-430, -400, -2), (0, -400, 2), (-401, -400, -1), (5, 0, 0)],
)
def test_funding_is_bounded_by_the_size_of_the_index(mark: int, index: int, paid: int) -> None:
    assert funding_for_a_unit(PriceUnits(mark), PriceUnits(index), FUNDING_PERIOD_MS) == paid


@given(specifications(), markets, portfolios.filter(any), st.integers(-(10**12), 10**12))
@settings(max_examples=80, deadline=None)
def test_closed_at_their_bankruptcy_prices_positions_leave_nothing_and_owe_nothing(
    chosen: Specification, form: MarketForm, lots: list[int], cash: int
) -> None:
    margin, contracts = engine(chosen, form), tuple(chosen.contracts.values())
    held = caps.Holdings(Cash(cash), Cash(0), np.array(lots, dtype=np.int64))
    while held.net.any():
        place = int(np.flatnonzero(held.net)[0])
        units = int(held.net[place]) * contracts[place].multiplier
        price = bankruptcy_price_of(margin, held, place, contracts[place].multiplier)
        net = held.net.copy()
        net[place] = 0
        held = caps.Holdings(Cash(held.cash + units * price), Cash(0), net)
    touched = sum(abs(n) * c.multiplier for n, c in zip(lots, contracts, strict=True))
    assert 0 <= held.cash < touched


def test_a_reserve_price_may_be_below_zero() -> None:
    margin, contracts = engine(oil(), OIL), tuple(oil().contracts.values())
    assert conceded(margin, contracts, MAY, 1, 100_000) == -37_630_000 - 1_763_150
    assert conceded(margin, contracts, PERPETUAL, 1, 100_000) == -1_650_000
    held = caps.Holdings(Cash(0), Cash(-37_000 * ONE), np.array([1, 0, 0]))
    terms = LiquidationTerms(AccountId("liquidator"), 100_000, 0)
    (order,) = liquidation_orders(margin, held, contracts, terms)
    assert order.reserve < 0


def test_gains_are_ranked_by_the_size_of_what_lots_brought() -> None:
    """Ann gained more in all, and Bob more for what a lot brought: Bob is closed first."""
    accounts = PortfolioAccounts(oil())
    ann, bob, cat = AccountId("ann"), AccountId("bob"), AccountId("cat")
    for account, lots, price in ((ann, 100, -40), (bob, 1, -100)):
        accounts.deposit(account, Cash(lots * 10**13))
        accounts.trade(account, cat, MAY, lots, PriceUnits(price * ONE))
    instrument = accounts.contracts[MAY].identifier
    margin = engine(oil(), OIL)
    assert deleveraging_order(accounts, instrument, Side.BUY, margin) == (bob, ann)
    assert deleveraging_order(accounts, instrument, Side.SELL, margin) == (cat,)


def test_a_position_that_was_bought_for_nothing_has_variation_to_settle() -> None:
    accounts = PortfolioAccounts(oil())
    ann, bob = AccountId("ann"), AccountId("bob")
    for account in (ann, bob):
        accounts.deposit(account, Cash(10**9))
    assert not accounts.is_unsettled(PERPETUAL)
    accounts.trade(ann, bob, PERPETUAL, 1, PriceUnits(0))
    assert accounts.is_unsettled(PERPETUAL)
    accounts.settle_variation(accounts.contracts[PERPETUAL].identifier, PriceUnits(-ONE))
    assert accounts.cash(ann) == 10**9 - 100 * ONE
    accounts.verify_conservation()
