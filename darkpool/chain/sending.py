"""Transactions on their way: built once, sent until the node has them, awaited in a block.

A transaction has its nonce before it is first sent. So however often it is sent, the chain takes it
once, and where an answer was lost the chain can be asked whether it has it. What is signed here is
kept: where a chain reorganises and forgets it, the same bytes are sent again.
"""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Any, Final

from eth_account import Account
from eth_typing import BlockNumber
from hexbytes import HexBytes
from web3 import Web3
from web3.contract.contract import ContractConstructor, ContractFunction
from web3.exceptions import TransactionIndexingInProgress, TransactionNotFound
from web3.types import TxParams, TxReceipt, Wei

from darkpool.chain.artifacts import Artifact
from darkpool.chain.asking import NO_REASON, reading, sending
from darkpool.chain.errors import (
    ChainError,
    ChainUnavailable,
    TransactionRefused,
    TransactionReverted,
    TransactionTooLarge,
)
from darkpool.units import AccountId

RECEIPT_TIMEOUT_S: Final = 120
BLOCKS_SEARCHED_MAX: Final = 1000
"""Blocks in which a transaction is looked for whose answer was lost: no chain makes more of them
while a request is made again."""

KEPT_MAX: Final = 1000
"""So many of the latest transactions can be sent again."""

_POLL_INTERVAL_S: Final = 0.2
_EMBEDDED_GAS: Final = 1 << 24  # the most that one transaction may use (EIP-7825)
_GAS_RESERVE: Final = 100_000  # of what an estimate may miss


class Sender:
    """Sends transactions of one account, or of the accounts of keys that it is given.

    `key` signs for the account; without one the node signs. `embedded` is a chain of this process.
    """

    def __init__(
        self, web3: Web3, node: str, account: AccountId, key: bytes | None, *, embedded: bool
    ) -> None:
        self._web3 = web3
        self._node = node
        self.account = account
        self._key = key
        self._embedded = embedded
        self._kept: dict[bytes, tuple[str, HexBytes, str]] = {}

    def call(
        self, function: ContractFunction | ContractConstructor, key: bytes | None = None
    ) -> TxReceipt:
        """Send a transaction to a function, of the account or of that of a 32-byte `key`.

        Raises:
            TransactionReverted: the contract refuses it.
            TransactionRefused: the node does, or no block has room for it.
            ChainUnavailable: no answer, or none that can be used.
        """
        name = getattr(function, "fn_name", "constructor")
        key = key or self._key
        account = self.account if key is None else Account.from_key(key).address
        address = Web3.to_checksum_address(account)
        sender: TxParams = {"from": address}
        with sending(self._node, name):
            gas = _EMBEDDED_GAS if self._embedded else self._gas(name, function, sender)
            nonce = self._web3.eth.get_transaction_count(address, "pending")
            built = function.build_transaction({**sender, "gas": gas, "nonce": nonce})
        receipt = self._in_block(self._deliver(name, built, key))
        if receipt["status"] != 1:
            with sending(self._node, name):
                # estimating repeats the transaction, and says why it fails
                function.estimate_gas(sender)
            raise TransactionReverted(name, "out of gas")
        return receipt

    def create(self, artifact: Artifact, arguments: Sequence[object]) -> TxReceipt:
        """Deploy a contract; of a blueprint the code is sent as it is (ERC-5202).

        Raises:
            TransactionReverted, TransactionRefused, ChainUnavailable: as `call`.
        """
        abi = artifact.abi if arguments else []
        factory = self._web3.eth.contract(abi=abi, bytecode=artifact.bytecode)
        return self.call(factory.constructor(*arguments))

    def pay(self, account: AccountId, wei: int) -> TxReceipt:
        """Send an account some of what it pays for its transactions with."""
        return self._plain("pay", {"to": Web3.to_checksum_address(account), "value": Wei(wei)})

    def send_data(self, name: str, to: AccountId, data: bytes) -> TxReceipt:
        """Send bytes to a contract that takes them as they are; `name` is theirs in errors.

        Raises:
            TransactionReverted, TransactionRefused, ChainUnavailable: as `call`.
        """
        return self._plain(name, {"to": Web3.to_checksum_address(to), "data": HexBytes(data)})

    def send_signed(self, name: str, transaction: bytes) -> TxReceipt:
        """Send a transaction that is signed already.

        Raises:
            TransactionReverted, TransactionRefused, ChainUnavailable: as `call`.
        """
        own, raw = HexBytes(Web3.keccak(transaction)), HexBytes(transaction)
        self._keep(name, own, raw)
        self._send_signed(name, own, raw)
        return self._done(name, own)

    def _plain(self, name: str, built: TxParams) -> TxReceipt:
        """Send a transaction that calls no function of an ABI."""
        eth, sender = self._web3.eth, Web3.to_checksum_address(self.account)
        built |= {"from": sender}
        with sending(self._node, name):
            gas = 21_000
            if "data" in built:
                gas = _EMBEDDED_GAS if self._embedded else self._room(name, eth.estimate_gas(built))
            built |= {"gas": gas, "gasPrice": eth.gas_price, "chainId": eth.chain_id}
            built |= {"nonce": eth.get_transaction_count(sender, "pending")}
        return self._done(name, self._deliver(name, built, self._key))

    def _done(self, name: str, transaction: HexBytes) -> TxReceipt:
        receipt = self._in_block(transaction)
        if receipt["status"] != 1:
            raise TransactionReverted(name, NO_REASON)
        return receipt

    def receipt(self, transaction: bytes) -> TxReceipt | None:
        """The receipt of a transaction that succeeded before, from the block it is in now.

        Raises:
            TransactionReverted: there the contract refuses it.
        """
        receipt = self._receipt(transaction)
        if receipt is not None and receipt["status"] != 1:
            name, *_ = self._kept.get(transaction, ("a transaction",))
            raise TransactionReverted(name, f"{NO_REASON}, in block {receipt['blockNumber']}")
        return receipt

    def send_again(self, transaction: bytes) -> bool:
        """Send what was signed before where the node has forgotten it, and say whether it has it.

        So are those that its account sent before it: without them no block takes it.

        Raises:
            ChainUnavailable: no answer, or none that can be used.
        """
        own = HexBytes(transaction)
        if transaction not in self._kept:
            return self._has(own)
        for kept in self._up_to(transaction):
            name, raw, _ = self._kept[kept]
            with suppress(TransactionRefused):
                if not self._has(HexBytes(kept)):
                    self._send_signed(name, HexBytes(kept), raw)
        return self._has(own)

    def _up_to(self, transaction: bytes) -> list[bytes]:
        """What is kept of its account, in the order of sending, up to a transaction that is."""
        before = itertools.takewhile(lambda one: one != transaction, self._kept)
        account = self._kept[transaction][2]
        return [*(one for one in before if self._kept[one][2] == account), transaction]

    def forget(self, transaction: bytes) -> None:
        """Keep a transaction no longer, nor those that its account sent before it: it is final."""
        if transaction in self._kept:
            for kept in self._up_to(transaction):
                del self._kept[kept]

    def _gas(
        self, name: str, function: ContractFunction | ContractConstructor, sender: TxParams
    ) -> int:
        """What a transaction may use: its estimate and a reserve, as far as a block has room."""
        return self._room(name, function.estimate_gas(sender))

    def _room(self, name: str, needed: int) -> int:
        block_gas = self._web3.eth.get_block("latest")["gasLimit"]
        if needed > block_gas:
            raise TransactionTooLarge(name, block_gas, needed)
        return max(needed, min(needed + _GAS_RESERVE, block_gas, _EMBEDDED_GAS))

    def _deliver(self, name: str, built: TxParams, key: bytes | None) -> HexBytes:
        """Send a transaction until the node has it; returns its hash."""
        eth = self._web3.eth
        if key is not None:
            signed = Account.from_key(key).sign_transaction(built)
            own, raw = HexBytes(signed.hash), HexBytes(signed.raw_transaction)
            self._keep(name, own, raw)
            self._send_signed(name, own, raw)
            return own
        with reading(self._node, "the number of a block"):
            before = eth.block_number
        return self._send(
            name, lambda: eth.send_transaction(built), lambda: self._sent_since(before, built)
        )

    def _send_signed(self, name: str, own: HexBytes, raw: HexBytes) -> None:
        self._send(
            name,
            lambda: self._web3.eth.send_raw_transaction(raw),
            lambda: own if self._has(own) else None,
        )

    def _send(
        self,
        name: str,
        send: Callable[[], HexBytes],
        find: Callable[[], HexBytes | None],
    ) -> HexBytes:
        """Send; where the node does not say that it has it, look whether it does all the same."""
        try:
            with sending(self._node, name):
                return send()
        except (ChainUnavailable, TransactionRefused) as error:
            # refused because it is known already, perhaps: an answer was lost
            try:
                found = find()
            except ChainError:
                raise error from None
            if found is None:
                raise
            return found

    def _has(self, transaction: HexBytes) -> bool:
        with reading(self._node, "a transaction"):
            try:
                self._web3.eth.get_transaction(transaction)
            except TransactionNotFound:
                return False
        return True

    def _sent_since(self, before: int, built: TxParams) -> HexBytes | None:
        """The hash of a transaction that the node signed, which its answer would have told."""
        with reading(self._node, "a block"):
            last = min(self._web3.eth.block_number, before + BLOCKS_SEARCHED_MAX)
            for number in range(before, last + 1):
                block: Any = self._web3.eth.get_block(BlockNumber(number), full_transactions=True)
                for sent in block["transactions"]:
                    if (sent["from"], sent["nonce"]) == (built["from"], built["nonce"]):
                        return HexBytes(sent["hash"])
        return None

    def _keep(self, name: str, transaction: HexBytes, raw: HexBytes) -> None:
        self._kept[bytes(transaction)] = name, raw, Account.recover_transaction(raw)
        if len(self._kept) > KEPT_MAX:
            del self._kept[next(iter(self._kept))]

    def _in_block(self, transaction: HexBytes) -> TxReceipt:
        """The receipt of a transaction, once it is in a block.

        Raises:
            ChainUnavailable: there is none in `RECEIPT_TIMEOUT_S`, or it names a different one.
        """
        give_up_at = time.monotonic() + RECEIPT_TIMEOUT_S
        while True:
            receipt = self._receipt(bytes(transaction))
            if receipt is not None:
                return receipt
            if time.monotonic() > give_up_at:
                asked = f"0x{bytes(transaction).hex()}"
                reason = f"no receipt of transaction {asked} in {RECEIPT_TIMEOUT_S} s"
                raise ChainUnavailable(self._node, reason)
            time.sleep(_POLL_INTERVAL_S)

    def _receipt(self, transaction: bytes) -> TxReceipt | None:
        with reading(self._node, "the receipt of a transaction"):
            try:
                receipt = self._web3.eth.get_transaction_receipt(HexBytes(transaction))
            except (TransactionNotFound, TransactionIndexingInProgress):
                return None
        told = bytes(receipt["transactionHash"])
        if told != transaction:
            reason = f"for transaction 0x{transaction.hex()} the receipt of 0x{told.hex()}"
            raise ChainUnavailable(self._node, reason)
        return receipt
