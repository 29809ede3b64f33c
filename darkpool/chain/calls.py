"""Calls of a venue's contracts as plain values: to be sent by any wallet, or to be asked.

They are made of what the package ships of the contracts alone; no node is asked.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any, cast

from eth_abi.abi import encode
from eth_utils.abi import function_abi_to_4byte_selector, get_abi_input_types

from crypto.signing.settling import Claim, TakeBack
from crypto.signing.sum_tree import SumLeaf, SumProof
from darkpool.chain.artifacts import load_artifact
from darkpool.units import AccountId, Interval, account_of

if TYPE_CHECKING:
    from eth_typing import ABIFunction


@dataclass(frozen=True, slots=True)
class Call:
    """A call of a function; `kind` is the name of the contract's artifact."""

    kind: str
    contract: AccountId
    function: str
    arguments: tuple[Any, ...] = ()

    def data(self) -> bytes:
        """The bytes that a transaction to the contract carries."""
        selector, types = _form(self.kind, self.function)
        return selector + encode(types, self.arguments)


@dataclass(frozen=True, slots=True)
class ProvenLeaf:
    """A balance, and its way to the root of an interval."""

    interval: Interval
    leaf: SumLeaf
    proof: SumProof

    def arguments(self) -> tuple[Any, Any]:
        """Leaf and proof as the vault takes them."""
        leaf, proof = self.leaf, self.proof
        account = account_of(leaf.account)
        siblings, sums = list(proof.siblings), list(proof.sums)
        return (
            (account, leaf.exit_value, leaf.claimable),
            (proof.index, proof.count, siblings, sums),
        )


@dataclass(frozen=True, slots=True)
class VaultCalls:
    """What accounts, and those who send for them, tell the vault at an address."""

    vault: AccountId

    def request(self, amount: int) -> Call:
        """Ask for a withdrawal in the next settlement, in token units."""
        return self._call("request", amount)

    def give_notice(self, number: int) -> Call:
        """Ask for a deposit back that no settlement counts."""
        return self._call("give_notice", number)

    def take_back(self, number: int, to: AccountId) -> Call:
        """Take a deposit back, a day after the notice or when the venue has ended."""
        return self._call("take_back", number, to)

    def take_back_for(self, order: TakeBack, signature: bytes) -> Call:
        """Take a deposit back for an account that signed for it."""
        named = (
            account_of(order.account),
            account_of(order.to),
            order.number,
            order.fee,
            order.deadline,
        )
        return self._call("take_back_for", named, signature)

    def claim(self, proven: ProvenLeaf, to: AccountId) -> Call:
        """Take what was granted."""
        return self._call("claim", proven.interval, *proven.arguments(), to)

    def claim_for(self, order: Claim, signature: bytes, proven: ProvenLeaf) -> Call:
        """Take what an account was granted that signed for it."""
        arguments = proven.arguments()
        return self._call("claim_for", _order(order), proven.interval, *arguments, signature)

    def leave(self, proven: ProvenLeaf, to: AccountId) -> Call:
        """Take everything, once exits are open."""
        return self._call("leave", *proven.arguments(), to)

    def leave_for(self, order: Claim, signature: bytes, proven: ProvenLeaf) -> Call:
        """Take everything for an account that signed for it, once exits are open."""
        return self._call("leave_for", _order(order), *proven.arguments(), signature)

    def _call(self, function: str, *arguments: Any) -> Call:
        return Call("CollateralVault", self.vault, function, arguments)


def declare(settlement: AccountId) -> Call:
    """End a venue that let a request wait for a week, or settled nothing for two."""
    return Call("Settlement", settlement, "declare")


def _order(order: Claim) -> tuple[Any, ...]:
    accounts = account_of(order.account), account_of(order.to)
    return (*accounts, order.cumulative, order.fee, order.deadline)


@cache
def _form(kind: str, function: str) -> tuple[bytes, list[str]]:
    """What a call of a function begins with, and the types of its arguments."""
    [found] = [
        one
        for one in load_artifact(kind).abi
        if (one["type"], one.get("name")) == ("function", function)
    ]
    abi = cast("ABIFunction", found)
    return function_abi_to_4byte_selector(abi), get_abi_input_types(abi)
