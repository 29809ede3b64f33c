"""Anything at all, for the doors of what people call from Python."""

from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
from hypothesis import strategies as st

from crypto.errors import CryptoError
from darkpool.errors import DarkpoolError
from darkpool.units import Side
from tests.support.agent_desk import ACCOUNT, ES, KEY

TYPED = (DarkpoolError, CryptoError)

NUMBERS = st.one_of(
    st.integers(-3, 60),
    st.integers(),
    st.sampled_from([1 << 63, (1 << 63) - 1, 1 << 64, 1 << 256, -(1 << 63), 10**5000]),
)
DECIMALS = st.one_of(
    st.decimals(allow_nan=True, allow_infinity=True),
    st.sampled_from([Decimal("0.25"), Decimal("4805.25"), Decimal("0." + "1" * 5000)]),
    st.builds(
        lambda digit, exponent: Decimal((0, (digit,), exponent)),
        st.integers(0, 1),
        st.sampled_from([10**6, -(10**6), 10**17, -(10**17), -7, -6, 3]),
    ),
)
ANYTHING: st.SearchStrategy[Any] = st.one_of(
    NUMBERS,
    st.none(),
    st.booleans(),
    st.floats(),
    st.text(max_size=45),
    st.sampled_from([ACCOUNT, ACCOUNT.lower(), ACCOUNT.upper(), "buy", "\ud800", "5", "x" * 9999]),
    st.binary(max_size=34),
    st.sampled_from([ES, bytes(20), bytearray(32), memoryview(b"\0" * 32), KEY]),
    DECIMALS,
    st.integers(-(1 << 63), (1 << 63) - 1).map(np.int64),
    st.integers(0, 255).map(np.uint8),
    st.sampled_from([np.bool_(True), np.float64(5), np.array(5), np.array([5]), np.str_("buy")]),
    st.sampled_from([np.datetime64("2020-01-01"), np.array([1, 2]), np.bytes_(b"ES")]),
    st.sampled_from([Side.BUY, Side.SELL, Path("x"), object(), {}, [], (), {"a": 1}, int, 1j]),
)


def refused(action: Callable[[], object]) -> bool:
    """Whether an action was refused by an error of the project's own, whose message can be made."""
    told = ""
    try:
        action()
    except TYPED as error:
        told = str(error)
    assert all(line.isprintable() for line in told.split("\n"))
    return bool(told)
