"""The tree of fills: what a settlement names of who traded what.

Leaves are the Solidity contract ABI encoding of their fields, all of static types, so every field
takes 32 bytes. The tree is that of `crypto.signing.merkle`, in one canonical order.
"""

from collections.abc import Iterable
from itertools import pairwise

from eth_abi.abi import encode

from crypto.signing.merkle import merkle_root
from darkpool.fills.fills import Fill
from darkpool.settlement.errors import DuplicateLeaf


def encode_fill(fill: Fill) -> bytes:
    """Return the 192 bytes of a fill's leaf.

    They are bytes32 instrument, uint32 intent, address account, uint8 side, uint64 size and
    uint32 tick.

    Raises:
        eth_abi.exceptions.EncodingError: a field does not fit its type.
    """
    return encode(
        ["bytes32", "uint32", "address", "uint8", "uint64", "uint32"],
        [fill.instrument, fill.intent, fill.account, int(fill.side), fill.size, fill.tick],
    )


def fills_root(fills: Iterable[Fill]) -> bytes:
    """Return the root over all fills, in ascending order of instrument, then of intent.

    Raises:
        DuplicateLeaf: an intent is filled twice.
        eth_abi.exceptions.EncodingError: a field does not fit its type.
    """
    ordered = sorted(fills, key=lambda fill: (fill.instrument, fill.intent))
    for fill, following in pairwise(ordered):
        if (fill.instrument, fill.intent) == (following.instrument, following.intent):
            raise DuplicateLeaf("fills", f"intent {fill.intent} of {fill.instrument.hex()}")
    return merkle_root([encode_fill(fill) for fill in ordered])
