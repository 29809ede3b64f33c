"""Waiting until a block is final, through reorganisations."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Final

from darkpool.chain.errors import BlockReplaced, NotFinal, NotFinalInTime, TransactionLost
from darkpool.chain.evidence import BlockPoint, TransactionReceiptInfo, info_of
from darkpool.chain.finality import BlockReader, Finality
from darkpool.chain.sending import Sender

_POLL_INTERVAL_S: Final = 0.2


class Waiting:
    """Waits for finality by one rule, until a time is over.

    `mine` makes blocks where the chain has none but those of its own transactions.
    """

    def __init__(
        self,
        blocks: BlockReader,
        finality: Finality,
        timeout_s: float,
        mine: Callable[[int], None] | None,
    ) -> None:
        self._blocks = blocks
        self._finality = finality
        self._give_up_at = time.monotonic() + timeout_s
        self._mine = mine

    def for_transaction(
        self, transaction: TransactionReceiptInfo, sender: Sender
    ) -> TransactionReceiptInfo:
        """Follow a transaction until its block is final, and return it with that block.

        Raises:
            TransactionLost: it is in no block and on no way to one, and was not kept to be sent
                again, or no node takes it.
            TransactionReverted: the contract refuses it in the block that it came into again.
            NotFinalInTime: its block was not final in time.
        """
        what = f"transaction 0x{transaction.hash.hex()}"
        while True:
            receipt = sender.receipt(transaction.hash)
            if receipt is not None:
                transaction = info_of(receipt)
                if self.for_block(transaction.point, what):
                    sender.forget(transaction.hash)
                    return transaction
            elif not sender.send_again(transaction.hash):
                raise TransactionLost(transaction.hash.hex(), transaction.block)
            self.pause(transaction.point, what)

    def for_block(self, point: BlockPoint, what: str) -> bool:
        """Wait until a block is final; False where the chain has given it up.

        Raises:
            NotFinalInTime: neither came in time.
        """
        mine = self._mine
        while True:
            try:
                self._blocks.require_final(point, self._finality, what)
            except BlockReplaced:
                return False
            except NotFinal as wanting:
                if mine is None:
                    self.pause(point, what)
                else:  # once: who says that it makes blocks, and makes none, is waited for
                    mine(wanting.block - wanting.last_final)
                    mine = None
            else:
                return True

    def pause(self, point: BlockPoint, what: str) -> None:
        """Wait for a moment.

        Raises:
            NotFinalInTime: the time is over.
        """
        if time.monotonic() >= self._give_up_at:
            last_final = self._blocks.last_final(self._finality)
            raise NotFinalInTime(what, point.number, last_final)
        time.sleep(_POLL_INTERVAL_S)
