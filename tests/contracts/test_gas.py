"""What each call costs is written down, so that a change shows, and stays below its bound."""

import json

from tests.support.gas import GAS_FILE, measured

BOUNDS = {
    "commit_batch": 100_000,
    "settle, one instrument": 200_000,
    "settle, 64 instruments": 350_000,
    "claim at depth 20, into an empty wallet": 145_000,
    "claim at depth 20, later": 90_000,
    "relayed claim at depth 20, into an empty wallet": 165_000,
    "relayed claim at depth 20, later": 120_000,
    "request": 60_000,
    "exclude_for_batch": 80_000,
}


def test_gas_is_what_is_written_down_and_within_its_bounds() -> None:
    costs = measured()
    assert costs == json.loads(GAS_FILE.read_text("utf-8"))
    for call, bound in BOUNDS.items():
        assert costs[call] <= bound, call
