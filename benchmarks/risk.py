"""10,000 accounts with 50 positions each in 33 scenarios, and a tick of one of 20 underlyings.

Each underlying has a perpetual swap, four futures and 55 options. Beside it the same requirements
one account at a time, and the largest cap of an intent of an account with 50 positions.
"""

import json
import statistics

import numpy as np

from benchmarks.machine import Arguments, argument_parser, peak_memory_mib, sample_seconds
from darkpool.margin.market.instruments import Specification, SpecificationForm
from darkpool.margin.market.market import Market, read_market
from darkpool.margin.model.caps import Holdings, LiveIntent, PriceRange, largest_cap
from darkpool.margin.model.engine import RiskEngine
from darkpool.margin.model.portfolio import PortfolioMargin
from darkpool.margin.model.scenarios import lot_risk
from darkpool.units import AccountId, Cash, Lots, PriceUnits

ACCOUNTS = 10_000
POSITIONS = 50
UNDERLYINGS = 20
SINGLE_ACCOUNTS = 200
EXPIRIES = ("2027-01-29", "2027-03-26", "2027-06-25", "2027-12-31")
STRIKES = (60, 70, 80, 85, 90, 95, 100, 110, 120, 130, 150)


def specification() -> Specification:
    """Twenty underlyings with the same terms, in two groups."""
    names = [f"U{k}" for k in range(UNDERLYINGS)]
    terms = {
        "price_range": 150_000,
        "tail_multiple": 2_000_000,
        "tail_weight": 350_000,
        "volatility_up": 450_000,
        "volatility_down": 300_000,
        "basis": 5_000,
        "short_option": 10_000,
        "concentration_from": 10**13,
        "concentration": 20_000,
    }
    contracts: list[dict[str, object]] = []
    for name in names:
        common = {"underlying": name, "multiplier": 1, "tick_size": "0.01"}
        contracts.append({"name": f"{name}-PERP", "kind": "perpetual", **common})
        for number, date in enumerate(EXPIRIES):
            dated = {"expiry": f"{date}T08:00:00Z", **common}
            contracts.append({"name": f"{name}-{number}", "kind": "future", **dated})
            contracts += [
                {"name": f"{name}-{number}-{k}-{kind}", "kind": kind, "strike": str(k), **dated}
                for k in STRIKES
                for kind in (("call", "put") if number == 1 else ("call",))
            ]
    form = {
        "version": 1,
        "name": "benchmark",
        "initial": 1_300_000,
        "horizon_ms": 86_400_000,
        "underlyings": [{"name": name, **terms} for name in names],
        "groups": [
            {"name": f"G{k}", "underlyings": names[10 * k : 10 * k + 5], "offset": 500_000}
            for k in range(2)
        ],
        "contracts": contracts,
    }
    return Specification(SpecificationForm.model_validate(form))


def market(first: str = "100") -> Market:
    """Prices; `first` is that of the first underlying."""
    underlyings = []
    for k in range(UNDERLYINGS):
        price = first if k == 0 else "100"
        expiries = [
            {
                "expiry": f"{date}T08:00:00Z",
                "forward": price,
                "rate": 40_000,
                "strikes": ["60", "100", "150"],
                "volatilities": ["0.7", "0.6", "0.65"],
            }
            for date in EXPIRIES
        ]
        underlyings.append(
            {"name": f"U{k}", "index": price, "perpetual": price, "expiries": expiries}
        )
    form = {"version": 1, "time": "2026-11-25T00:00:00Z", "underlyings": underlyings}
    return read_market("benchmark", json.dumps(form))


def accounts(contracts: int) -> dict[AccountId, Holdings]:
    """Each with as many random positions, on either side."""
    generator = np.random.default_rng(1)
    found = {}
    for k in range(ACCOUNTS):
        net = np.zeros(contracts, dtype=np.int64)
        held = generator.choice(contracts, POSITIONS, replace=False)
        net[held] = generator.integers(1, 1000, POSITIONS) * generator.choice((-1, 1), POSITIONS)
        found[AccountId(f"0x{k:040x}")] = Holdings(Cash(10**13), Cash(0), net)
    return found


def require_equal(engine: RiskEngine, single: PortfolioMargin, held: list[Holdings]) -> None:
    """Check a sample of the engine's accounts one by one."""
    for index, holdings in enumerate(held):
        found, expected = engine.standing(index), single.requirement(holdings.net)
        if (found.maintenance, found.initial) != (expected.maintenance, expected.initial):
            raise RuntimeError(f"expected {expected}, got {found}")


def main() -> None:
    """Measure all in one run and write the result."""
    arguments = argument_parser(__doc__).parse_args(namespace=Arguments())
    terms, now = specification(), market()
    contracts = tuple(terms.contracts.values())
    held = accounts(len(contracts))
    few = list(held.values())[:SINGLE_ACCOUNTS]
    engine = RiskEngine(terms, now, held)
    single = PortfolioMargin(terms, lot_risk(terms, now, contracts))
    require_equal(engine, single, few)
    ticks = [market("101"), market("99.5")]

    def tick() -> None:
        engine.reprice(ticks[0], ["U0"])
        ticks.reverse()

    alone = [contracts[place] for place in np.flatnonzero(few[0].net)]
    own = PortfolioMargin(terms, lot_risk(terms, now, alone))
    mine = Holdings(Cash(10**12), Cash(0), few[0].net[few[0].net != 0])
    worth = int(own.value_of_lots()[0])
    grid = PriceRange(PriceUnits(worth * 98 // 100), PriceUnits(worth * 102 // 100))
    intent = LiveIntent(0, Lots(10**7), grid, 1)
    if not largest_cap(own, mine, intent):
        raise RuntimeError("expected room for an intent, got none")
    samples = {
        "full_revaluation_s": sample_seconds(lambda: engine.reprice(now)),
        "tick_of_one_underlying_s": sample_seconds(tick),
        "accounts_alone_s": sample_seconds(lambda: [single.requirement(h.net) for h in few]),
        "cap_s": sample_seconds(lambda: largest_cap(own, mine, intent)),
        "cap_with_three_live_intents_s": sample_seconds(
            lambda: largest_cap(own, mine, intent, [intent] * 3)
        ),
    }
    full_s, tick_s, few_s, cap_s, cap_three_s = map(statistics.median, samples.values())
    one_s = few_s / SINGLE_ACCOUNTS
    figures = {
        "accounts": ACCOUNTS,
        "positions_each": POSITIONS,
        "contracts": len(contracts),
        "scenarios": 33,
        "full_revaluation_s": round(full_s, 3),
        "tick_of_one_underlying_ms": round(1e3 * tick_s, 1),
        "one_account_alone_us": round(1e6 * one_s, 1),
        "alone_over_full": round(one_s * ACCOUNTS / full_s, 1),
        "cap_ms": round(1e3 * cap_s, 2),
        "cap_with_three_live_intents_ms": round(1e3 * cap_three_s, 2),
        "peak_memory_mib": peak_memory_mib(),
    }
    arguments.write("risk", figures, samples)


if __name__ == "__main__":
    main()
