"""The state that a settlement signs besides the leaves, encoded apart from the engine.

The first leaf is the time of the market, then each account has one, ascending: its address, four
amounts of 16 bytes (cash, debt, grants, what was free), a byte that is 1 if its leaf is pruned, and
its positions.
"""

from __future__ import annotations

from collections.abc import Mapping

from crypto.signing.merkle import merkle_root
from darkpool.verification.accounts import POSITIONS_VERSION, Position
from darkpool.verification.custody import Settled

_TIME_BYTES = 8
_AMOUNT_BYTES = 16
_WORD_BYTES = 32


def state_root(settled: Settled) -> bytes:
    """The 32 bytes that bind what goes from a settlement to the next."""
    balances = settled.balances
    leaves = [settled.between.market_ms.to_bytes(_TIME_BYTES, "big")]
    for name in sorted({*balances.accounts, *balances.debts, *settled.granted}):
        account = balances.of(name)
        debt, granted = balances.debts.get(name, 0), settled.granted.get(name, 0)
        positions = _positions(account.positions)
        if not (account.cash or debt or granted or len(positions) > 1):
            continue
        amounts = (account.cash, debt, granted, settled.free.get(name, 0))
        words = [amount.to_bytes(_AMOUNT_BYTES, "big") for amount in amounts]
        leaves.append(name + b"".join(words) + bytes([name in settled.pruned]) + positions)
    return merkle_root(leaves)


def _positions(positions: Mapping[bytes, Position]) -> bytes:
    """A byte of version, then instrument, net, cost and entry of each, ascending, none empty."""
    data = bytes([POSITIONS_VERSION])
    for instrument, held in sorted(positions.items()):
        if held != Position():
            numbers = (held.net, held.cost, held.entry)
            data += instrument
            data += b"".join(n.to_bytes(_WORD_BYTES, "big", signed=True) for n in numbers)
    return data
