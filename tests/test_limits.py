from importlib.util import find_spec
from pathlib import Path

import pytest

from crypto.ring.params import STANDARD
from darkpool import limits
from darkpool.errors import InconsistentLimits


def test_the_bounds_are_those_of_the_order_ring() -> None:
    assert STANDARD.order_ring.plain_modulus == limits.ORDER_PLAIN_MODULUS
    assert STANDARD.order_ring.row == limits.ORDER_ROW_SLOTS
    assert STANDARD.ticks_max == limits.TICKS_MAX
    assert STANDARD.intents_max == limits.INTENTS_PER_AUCTION_MAX


def test_the_largest_sum_of_caps_is_the_last_one_below_a_quarter_of_t() -> None:
    assert 4 * limits.CAPS_SUM_MAX_LOTS < limits.ORDER_PLAIN_MODULUS
    assert 4 * (limits.CAPS_SUM_MAX_LOTS + 1) > limits.ORDER_PLAIN_MODULUS


@pytest.mark.parametrize(
    ("bound", "value"),
    [
        ("ORDER_PLAIN_MODULUS", "67_043_330"),
        ("TICKS_MAX", "2048"),
        ("INTENTS_PER_AUCTION_MAX", "2049"),
        ("CAPS_SUM_MAX_LOTS", "16_760_833"),
        ("ORDER_SIZE_MAX_LOTS", "16_760_833"),
        ("CAP_BUCKETS_LOTS", "(1, 5, 2)"),
        ("CAP_BUCKETS_LOTS", "(2, 5)"),
        ("REFERENCE_AGE_MAX_MS", "900_000"),
        ("CASH_DECIMALS", "18"),
        ("CASH_MAX", "1"),
        ("DECIMAL_DIGITS_MAX", "18"),
    ],
)
def test_a_bound_that_contradicts_the_others_stops_the_import(bound: str, value: str) -> None:
    spec = find_spec("darkpool.limits")
    assert spec is not None
    assert spec.origin is not None
    source = Path(spec.origin).read_text(encoding="utf-8")
    changed = source.replace(f"\n{bound}: Final = ", f"\n{bound}: Final = {value}\n_UNUSED = ", 1)
    assert changed != source
    with pytest.raises(InconsistentLimits):
        exec(compile(changed, spec.origin, "exec"), {})  # noqa: S102
