"""When a block counts as final, and whether it still has its place on the chain.

Nothing is remembered: what was final is asked for again before each release that rests on it, in
two short questions.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from eth_typing import BlockNumber
from web3 import Web3
from web3.exceptions import BlockNotFound

from darkpool.chain.asking import reading
from darkpool.chain.errors import BlockReplaced, NotFinal
from darkpool.chain.evidence import BlockPoint
from darkpool.units import within

CONFIRMATIONS_MIN: Final = 2
"""A block that nothing stands on is the first that a chain gives up."""

_CONFIRMATIONS_MAX: Final = 1 << 20


@dataclass(frozen=True, slots=True)
class Finality:
    """The rule of one chain, which its configuration names.

    Attributes:
        confirmations: a block is final when it is the first of so many; None where the blocks count
            that the chain itself calls finalized. A node without those makes nothing final.

    Raises:
        WrongType, OutOfBounds: fewer confirmations than two.
    """

    confirmations: int | None

    def __post_init__(self) -> None:
        if self.confirmations is not None:
            within("confirmations", CONFIRMATIONS_MIN, _CONFIRMATIONS_MAX, self.confirmations)


FINALIZED: Final = Finality(None)
"""The rule of a chain that finalizes blocks by itself, as Ethereum does."""


class BlockReader:
    """Asks a node about blocks."""

    def __init__(self, web3: Web3, node: str) -> None:
        self._web3 = web3
        self._node = node

    def height(self) -> int:
        """The number of the last block."""
        with reading(self._node, "the number of a block"):
            return self._web3.eth.block_number

    def point(self, number: int) -> BlockPoint | None:
        """The block that has a number now; None where the chain has not come so far."""
        with reading(self._node, "a block"):
            try:
                block = self._web3.eth.get_block(BlockNumber(number))
            except BlockNotFound:
                return None
            return BlockPoint(int(block["number"]), bytes(block["hash"]))

    def last_final(self, finality: Finality) -> int:
        """The number of the last final block; below zero where none is."""
        if finality.confirmations is not None:
            return self.height() - finality.confirmations + 1
        with reading(self._node, "a finalized block"):
            return int(self._web3.eth.get_block("finalized")["number"])

    def has(self, point: BlockPoint) -> bool:
        """Whether a block is on the chain now."""
        return self.point(point.number) == point

    def require_final(self, point: BlockPoint, finality: Finality, what: str) -> None:
        """Refuse a block that is not final; `what` is in it.

        Raises:
            BlockReplaced: another block, or none, has its place.
            NotFinal: it has its place, and not enough stands on it.
        """
        # the place is asked for last: a block that lost it in the meantime is not final
        last_final = self.last_final(finality)
        found = self.point(point.number)
        if found != point:
            raise BlockReplaced(point.number, point.hash, b"" if found is None else found.hash)
        if point.number > last_final:
            raise NotFinal(what, point.number, last_final)
