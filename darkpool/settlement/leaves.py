"""The bytes that the contracts hash: balances, fills and results of an interval.

Leaves are the Solidity contract ABI encoding of their fields, all of static types, so every field
takes 32 bytes. Trees are those of `crypto.signing.merkle`. A tree has one canonical order, which
its function makes by itself, so equal contents have equal roots.
"""

from collections.abc import Iterable, Sequence
from itertools import pairwise

from eth_abi.abi import encode
from eth_hash.auto import keccak

from crypto.signing.merkle import MerkleProof, merkle_proof, merkle_root
from darkpool.fills.fills import Fill
from darkpool.protocol.results import BalanceLeaf, InstrumentResult
from darkpool.settlement.errors import DuplicateLeaf, UnknownLeaf
from darkpool.units import AccountId


def balances_root(leaves: Iterable[BalanceLeaf]) -> bytes:
    """Return the root over all balances, in ascending order of the accounts' 20 bytes.

    Raises:
        DuplicateLeaf: an account stands there twice.
        eth_abi.exceptions.EncodingError: a field does not fit its type.
    """
    return merkle_root([leaf.encode() for leaf in _by_account(leaves)])


def balance_proof(
    leaves: Iterable[BalanceLeaf], account: AccountId
) -> tuple[BalanceLeaf, MerkleProof]:
    """Return an account's leaf and its proof under `balances_root` of the same leaves.

    Raises:
        UnknownLeaf: the account has no leaf.
        DuplicateLeaf: an account stands there twice.
        eth_abi.exceptions.EncodingError: a field does not fit its type.
    """
    ordered = _by_account(leaves)
    for index, leaf in enumerate(ordered):
        if leaf.account == account:
            return leaf, merkle_proof([other.encode() for other in ordered], index)
    raise UnknownLeaf("balances", account)


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


def results_root(results: Sequence[InstrumentResult]) -> bytes:
    """Return keccak-256 of the ABI encoding of the results, in the order in which they are given.

    Raises:
        DuplicateLeaf: an instrument stands there twice.
        eth_abi.exceptions.EncodingError: a field does not fit its type.
    """
    seen = set()
    for result in results:
        if result.instrument in seen:
            raise DuplicateLeaf("results", result.instrument.hex())
        seen.add(result.instrument)
    tuples = [(r.instrument, r.crossed, r.price_tick, r.volume) for r in results]
    return keccak(encode(["(bytes32,bool,uint32,uint64)[]"], [tuples]))


def _by_account(leaves: Iterable[BalanceLeaf]) -> list[BalanceLeaf]:
    ordered = sorted(leaves, key=lambda leaf: leaf.account.lower())
    for leaf, following in pairwise(ordered):
        if leaf.account == following.account:
            raise DuplicateLeaf("balances", leaf.account)
    return ordered
