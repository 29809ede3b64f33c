"""Whatever people write into their files, a command answers: a result, or what is wrong with it."""

import json
import random
import time
import tomllib
from decimal import Decimal
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.support.command_line import GRID_OPTIONS, ORDERS, Done, darkpool
from tests.support.hostile_files import changed_bytes, changed_tree, toml
from tests.support.margin_houses import EXAMPLES

CONTRACTS = (EXAMPLES / "contracts.toml").read_bytes()
MARKET = (EXAMPLES / "market.json").read_bytes()
HELD = (EXAMPLES / "portfolio.json").read_bytes()
CONTRACT_ORDERS = (EXAMPLES / "orders.csv").read_bytes()
ANSWERS_WITHIN_S = 20


def no_number(name: str) -> None:
    raise AssertionError(f"expected JSON, got {name}")


def require_answer(*arguments: str | Path) -> Done:
    start = time.process_time()
    done = darkpool(*arguments)
    assert time.process_time() - start < ANSWERS_WITHIN_S
    assert done.returncode in (0, 1, 2)
    assert all(line.isprintable() for line in (done.stdout + done.stderr).split("\n"))
    assert "Traceback" not in done.stderr
    assert bool(done.stderr) is (done.returncode != 0)
    if done.returncode == 0 and "--json" in arguments:
        json.loads(done.stdout, parse_float=Decimal, parse_constant=no_number)
    return done


def other_tree(data: bytes, generator: random.Random) -> bytes:
    if generator.randrange(3) == 0:
        return changed_bytes(data, generator)
    return json.dumps(changed_tree(json.loads(data), generator)).encode()


def other_contracts(generator: random.Random) -> bytes:
    if generator.randrange(3) == 0:
        return changed_bytes(CONTRACTS, generator)
    return toml(changed_tree(tomllib.loads(CONTRACTS.decode()), generator)).encode()


def require_any_answer(seed: int, folder: Path) -> None:
    """One or several of the files are others than they were."""
    generator = random.Random(seed)
    market, contracts, held, orders = (
        folder / name for name in ("market.json", "contracts.toml", "held.json", "orders.csv")
    )
    others = generator.sample(range(4), generator.choice([1, 1, 2, 4]))
    market.write_bytes(other_tree(MARKET, generator) if 0 in others else MARKET)
    contracts.write_bytes(other_contracts(generator) if 1 in others else CONTRACTS)
    held.write_bytes(other_tree(HELD, generator) if 2 in others else HELD)
    rows = generator.choice([ORDERS.encode(), CONTRACT_ORDERS])
    orders.write_bytes(changed_bytes(rows, generator) if 3 in others else rows)
    shown = generator.choice([(), ("--json",)])
    require_answer("margin", held, "--market", market, *shown)
    traded = generator.choice([GRID_OPTIONS, ("--market", market, "--ticks", "64")])
    require_answer("auction", orders, *traded, "--check", *shown)


@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(seed=st.integers(0, 2**32))
def test_any_files_are_answered(seed: int, tmp_path: Path) -> None:
    require_any_answer(seed, tmp_path)


@pytest.mark.slow
@settings(max_examples=5000, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(seed=st.integers(0, 2**32))
def test_any_of_very_many_files_are_answered(seed: int, tmp_path: Path) -> None:
    require_any_answer(seed, tmp_path)
