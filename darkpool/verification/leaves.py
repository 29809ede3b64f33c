"""What binds the states of all accounts: their root, and the leaves that the vault pays by.

Leaves follow from the states. The bytes are those of docs/contracts.md; nothing of this is shared
with the code that publishes them.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import cache
from hashlib import sha256
from importlib import resources
from typing import Final

import ckzg
from eth_hash.auto import keccak

from crypto.signing.merkle import merkle_root
from crypto.signing.sum_tree import SumLeaf
from darkpool.record.forms import StateRecord
from darkpool.verification.errors import Unsound

RETIRED, FUND, TREASURY = (bytes(19) + bytes([number]) for number in (1, 2, 3))
"""Accounts under which the trees have grants of pruned leaves, the fund, and the treasury."""

INSURANCE_FUND, BAD_DEBT = (
    keccak(name)[-20:] for name in (b"darkpool insurance fund", b"darkpool bad debt")
)
"""Accounts of the house, whose addresses nobody has a key of."""

BLOBS_MAX: Final = 6
_WORDS: Final = 4096
_WORD_BYTES: Final = 31
_AMOUNT_BYTES: Final = 16
_AMOUNT_MAX: Final = (1 << 8 * _AMOUNT_BYTES) - 1


def leaf_name(account: bytes, treasury: bytes) -> bytes:
    """The name under which the trees have what an account owns."""
    return {INSURANCE_FUND: FUND, treasury: TREASURY}.get(account, account)


def state_root(states: Iterable[StateRecord], market_ms: int) -> bytes:
    """Merkle root over the time of the settlement's market, 8 bytes, and the states.

    A state is its address, four amounts of 16 bytes, a byte, and positions.

    Raises:
        Unsound: a time that has no 8 bytes.
    """
    if market_ms >> 64:
        raise Unsound("time of the market", "8 bytes", market_ms)
    return merkle_root([market_ms.to_bytes(8, "big"), *(_state(state) for state in states)])


def leaves_of(states: Iterable[StateRecord], treasury: bytes) -> tuple[SumLeaf, ...]:
    """The leaves of the cash vault, ascending: what accounts own, and what they were granted.

    What fund and treasury own is under the vault's names for them; what they were granted is under
    their own, as of every account.

    Raises:
        Unsound: an amount, or the sum of pruned grants, is not of 16 bytes.
    """
    exits: dict[bytes, int] = {}
    grants: dict[bytes, int] = {}
    for state in states:
        if state.cash:
            name = leaf_name(state.account, treasury)
            exits[name] = exits.get(name, 0) + state.cash
        if state.granted:
            name = RETIRED if state.is_pruned else state.account
            grants[name] = grants.get(name, 0) + state.granted
    leaves = (
        SumLeaf(name, exits.get(name, 0), grants.get(name, 0)) for name in sorted({*exits, *grants})
    )
    return tuple(map(_sound, leaves))


def encode_leaves(leaves: Sequence[Sequence[SumLeaf]]) -> bytes:
    """For each vault the number of its leaves in four bytes, then its leaves of 52 bytes."""
    parts: list[bytes] = []
    for own in leaves:
        parts.append(len(own).to_bytes(4, "big"))
        parts += [
            leaf.account
            + leaf.exit_value.to_bytes(_AMOUNT_BYTES, "big")
            + leaf.claimable.to_bytes(_AMOUNT_BYTES, "big")
            for leaf in own
        ]
    return b"".join(parts)


def blob_hashes(data: bytes) -> tuple[bytes, ...]:
    """What EIP-4844 names the blobs by that carry these bytes, 31 behind each zero byte.

    Raises:
        Unsound: more than six blobs carry.
    """
    room = _WORDS * _WORD_BYTES
    if len(data) > BLOBS_MAX * room:
        raise Unsound("leaves", f"at most {BLOBS_MAX * room} bytes", f"{len(data)} bytes")
    hashes = []
    for start in range(0, max(1, len(data)), room):
        carried = data[start : start + room].ljust(room, b"\0")
        words = (carried[at : at + _WORD_BYTES] for at in range(0, room, _WORD_BYTES))
        commitment = ckzg.blob_to_kzg_commitment(b"\0" + b"\0".join(words), _ceremony())
        hashes.append(b"\x01" + sha256(commitment).digest()[1:])
    return tuple(hashes)


def _state(state: StateRecord) -> bytes:
    amounts = (state.cash, state.debt, state.granted, state.free)
    words = [amount.to_bytes(_AMOUNT_BYTES, "big") for amount in amounts]
    return b"".join([state.account, *words, bytes([state.is_pruned]), state.positions])


def _sound(leaf: SumLeaf) -> SumLeaf:
    for what, amount in (("exit value", leaf.exit_value), ("claimable", leaf.claimable)):
        if amount > _AMOUNT_MAX:
            raise Unsound(f"leaf of 0x{leaf.account.hex()}, {what}", "16 bytes", amount)
    return leaf


@cache
def _ceremony() -> object:
    """The public parameters of the KZG ceremony, which take seconds to load."""
    package = resources.files("eth_account.typed_transactions.blob_transactions")
    with resources.as_file(package / "kzg_trusted_setup.txt") as path:
        return ckzg.load_trusted_setup(str(path), 0)
