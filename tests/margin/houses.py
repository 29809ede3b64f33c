"""A specification and a market that the tests of portfolio margin share."""

from darkpool.margin.contracts import Specification, read_specification
from darkpool.margin.market import Market, read_market

SPECIFICATION = """
version = 1
name = "test"
initial = 1_300_000
horizon_ms = 86_400_000

[[underlyings]]
name = "BTC"
price_range = 150_000
tail_multiple = 2_000_000
tail_weight = 350_000
volatility_up = 450_000
volatility_down = 300_000
basis = 5_000
short_option = 10_000
concentration_from = 50_000_000_000_000
concentration = 20_000

[[underlyings]]
name = "ETH"
price_range = 200_000
tail_multiple = 2_000_000
tail_weight = 350_000
volatility_up = 500_000
volatility_down = 300_000
basis = 8_000
short_option = 12_000
concentration_from = 20_000_000_000_000
concentration = 30_000

[[groups]]
name = "majors"
underlyings = ["BTC", "ETH"]
offset = 500_000

[[contracts]]
name = "BTC-PERP"
kind = "perpetual"
underlying = "BTC"
multiplier = 1

[[contracts]]
name = "BTC-MAR"
kind = "future"
underlying = "BTC"
multiplier = 1
expiry = 2027-03-26T08:00:00Z

[[contracts]]
name = "BTC-JUN"
kind = "future"
underlying = "BTC"
multiplier = 1
expiry = 2027-06-25T08:00:00Z

[[contracts]]
name = "BTC-MAR-60000-C"
kind = "call"
underlying = "BTC"
multiplier = 1
expiry = 2027-03-26T08:00:00Z
strike = "60000"

[[contracts]]
name = "BTC-MAR-60000-P"
kind = "put"
underlying = "BTC"
multiplier = 1
expiry = 2027-03-26T08:00:00Z
strike = "60000"

[[contracts]]
name = "BTC-MAR-90000-C"
kind = "call"
underlying = "BTC"
multiplier = 1
expiry = 2027-03-26T08:00:00Z
strike = "90000"

[[contracts]]
name = "ETH-PERP"
kind = "perpetual"
underlying = "ETH"
multiplier = 10

[[contracts]]
name = "ETH-MAR"
kind = "future"
underlying = "ETH"
multiplier = 10
expiry = 2027-03-26T08:00:00Z

[[contracts]]
name = "ETH-MAR-2500-P"
kind = "put"
underlying = "ETH"
multiplier = 10
expiry = 2027-03-26T08:00:00Z
strike = "2500"
"""

MARKET = """{
  "version": 1,
  "time": "2026-11-25T00:00:00Z",
  "underlyings": [
    {"name": "BTC", "index": "60000", "perpetual": "60020.5", "expiries": [
      {"expiry": "2027-03-26T08:00:00Z", "forward": "61000", "rate": 40000,
       "strikes": ["40000", "60000", "90000"], "volatilities": ["0.68", "0.6", "0.64"]},
      {"expiry": "2027-06-25T08:00:00Z", "forward": "62000", "rate": 40000,
       "strikes": ["40000", "60000", "90000"], "volatilities": ["0.66", "0.61", "0.63"]}
    ]},
    {"name": "ETH", "index": "3000", "perpetual": "3000", "expiries": [
      {"expiry": "2027-03-26T08:00:00Z", "forward": "3040.25", "rate": 40000,
       "strikes": ["2000", "3000", "4500"], "volatilities": ["0.85", "0.75", "0.8"]}
    ]}
  ]
}"""


def specification() -> Specification:
    return read_specification("test.toml", SPECIFICATION)


def market() -> Market:
    return read_market("market.json", MARKET)
