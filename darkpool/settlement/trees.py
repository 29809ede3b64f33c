"""The trees of balances that a settlement signs, one for each vault."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from crypto.signing.settling import Tree
from crypto.signing.sum_tree import SumLeaf, SumTree
from darkpool.settlement.claims import RETIRED, Claims
from darkpool.units import AccountId, account_bytes


def leaves_of(owned: Mapping[AccountId, int], claims: Claims) -> tuple[SumLeaf, ...]:
    """The leaves of one vault: who owns something or was granted something, ascending.

    `owned` is what accounts own besides their grants, in token units, none below zero.

    Raises:
        InvalidBalances: an amount is not of 128 bits.
    """
    exits = {account: amount for account, amount in owned.items() if amount}
    granted = dict(claims.granted)
    if claims.retired:
        granted[RETIRED] = claims.retired
    return tuple(
        SumLeaf(name, exits.get(account, 0), granted.get(account, 0))
        for name, account in sorted((account_bytes(a), a) for a in {*exits, *granted})
    )


def trees_of(vaults: Sequence[AccountId], leaves: Sequence[Sequence[SumLeaf]]) -> tuple[Tree, ...]:
    """The tree of each vault, as keypers sign it.

    Raises:
        InvalidBalances: accounts do not ascend, or an amount or a sum is not of 128 bits.
    """
    trees = []
    for vault, own in zip(vaults, leaves, strict=True):
        tree = SumTree(own)
        trees.append(Tree(account_bytes(vault), tree.root, tree.exit_total, tree.claim_total))
    return tuple(trees)
