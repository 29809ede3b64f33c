"""The only chain client: everything that this project asks of, or tells to, an Ethereum node.

`Chain.embedded()` runs an EVM inside the process (eth-tester with py-evm), `Chain.connect(url)`
talks to any node over HTTP. What only asks is in `darkpool.chain.reading`. Signatures are those of
`crypto.signing.messages`.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import astuple
from typing import Final

from eth_account import Account
from eth_tester import EthereumTester, PyEVMBackend
from hexbytes import HexBytes
from web3 import EthereumTesterProvider, Web3
from web3.contract.contract import ContractConstructor, ContractFunction
from web3.exceptions import ContractLogicError, TransactionNotFound, Web3RPCError
from web3.types import TxParams, TxReceipt

from crypto.signing.merkle import MerkleProof
from darkpool.chain.artifacts import load_artifact
from darkpool.chain.asking import NO_REASON, reading, refusal_text, revert_reason
from darkpool.chain.errors import (
    ChainError,
    ChainTooOld,
    ChainUnavailable,
    NotFinalInTime,
    TransactionLost,
    TransactionRefused,
    TransactionReverted,
)
from darkpool.chain.evidence import (
    ContractCall,
    Deployment,
    SignedBatchRoot,
    TransactionReceiptInfo,
)
from darkpool.chain.node import web3_of
from darkpool.chain.reading import ReadableChain
from darkpool.chain.sending import Sender
from darkpool.chain.settling import KeptSettlement
from darkpool.protocol.results import BalanceLeaf, InstrumentResult
from darkpool.units import AccountId, Interval

DEPOSITS_PER_TRANSACTION_MAX: Final = 200
"""The bound of the vault's `deposit_many`; so many take about 11 million gas."""

_POLL_INTERVAL_S: Final = 0.2
_CANCUN_PROBE: Final = bytes.fromhex("5f5c5f5f5f5e00")
"""Loads a transient word and copies memory: two of the instructions that Cancun brought."""


class Chain(ReadableChain):
    """A connection to one chain and, once deployed or attached, to one venue's contracts on it.

    What sends a transaction waits until it is in a block, and raises `TransactionReverted` with the
    contract's reason, `TransactionRefused` when the node does not take it, and `ChainUnavailable`
    when it does not answer.
    """

    def __init__(
        self, web3: Web3, node: str, sender: Sender, tester: EthereumTester | None
    ) -> None:
        super().__init__(web3, node)
        self._sender = sender
        self._tester = tester

    @classmethod
    def embedded(cls) -> Chain:
        """Start a chain of its own in this process; it is gone with the object."""
        tester = EthereumTester(PyEVMBackend())
        web3, node = Web3(EthereumTesterProvider(tester)), "the embedded chain"
        operator = AccountId(web3.eth.accounts[0])
        return cls(web3, node, Sender(web3, node, operator, None, embedded=True), tester)

    @classmethod
    def connect(cls, url: str, private_key: bytes | None = None) -> Chain:
        """Connect to the node at an HTTP address, to send transactions.

        They are signed with the 32-byte `private_key`, or without one by the node itself for its
        first account.

        Raises:
            ChainUnavailable: the node does not answer, or has no account of its own.
        """
        web3 = web3_of(url)
        with reading(url, "the number of a chain"):
            _ = web3.eth.chain_id
        if private_key is not None:
            accounts = [Account.from_key(private_key).address]
        else:
            with reading(url, "accounts"):
                accounts = list(web3.eth.accounts)
        if not accounts:
            raise ChainUnavailable(url, "no account that could send transactions")
        operator = AccountId(accounts[0])
        return cls(web3, url, Sender(web3, url, operator, private_key, embedded=False), None)

    def deploy(self, keypers: Sequence[AccountId]) -> Deployment:
        """Deploy test token, settlement and vault, and use them from now on.

        `keypers` are the addresses of the committee's signing keys, in the order of their numbers.

        Raises:
            ChainTooOld: the chain's machine lacks instructions that the contracts need.
        """
        self._require_cancun()
        token, first = self._create("TestToken")
        settlement, _ = self._create("Settlement", list(keypers), self._sender.account)
        vault, _ = self._create("CollateralVault", token, settlement)
        self._deployment = self.deployment_at(settlement, vault, first.block)
        return self._deployment

    def fund_gas(self, account: AccountId, wei: int) -> TransactionReceiptInfo:
        """Send an account what it needs to pay for its own transactions."""
        return _info(self._sender.pay(account, wei))

    def fund_and_deposit(self, amounts: Mapping[AccountId, int]) -> None:
        """Mint test tokens and pay them into the vault for many accounts.

        Where a block has no room for as many deposits at once as the vault takes, there are fewer
        in a transaction.
        """
        total = sum(amounts.values())
        self._transact(self._token.functions.mint(self._sender.account, total))
        self._transact(self._token.functions.approve(self.deployment.vault, total))
        rest, size = list(amounts.items()), DEPOSITS_PER_TRANSACTION_MAX
        while part := rest[:size]:
            accounts = [account for account, _ in part]
            sums = [amount for _, amount in part]
            try:
                self._transact(self._vault.functions.deposit_many(accounts, sums))
            except (TransactionRefused, TransactionReverted) as error:
                if len(part) == 1 or not _for_want_of_gas(error):
                    raise
                size = len(part) // 2
            else:
                rest = rest[size:]

    def commit_batch(
        self, interval: Interval, root: bytes, count: int, signatures: Sequence[bytes]
    ) -> TransactionReceiptInfo:
        """Fix the batch of an interval, with a quorum's BatchRoot signatures; the vault pauses."""
        functions = self._settlement.functions
        return self._transact(functions.commit_batch(interval, root, count, list(signatures)))

    def settle(
        self,
        interval: Interval,
        results: Sequence[InstrumentResult],
        fills_root: bytes,
        balances_root: bytes,
        signatures: Sequence[bytes],
    ) -> TransactionReceiptInfo:
        """Settle the open batch, with a quorum's SettlementRoot signatures; the vault resumes."""
        tuples = [astuple(result) for result in results]
        functions = self._settlement.functions
        return self._transact(
            functions.settle(interval, tuples, fills_root, balances_root, list(signatures))
        )

    def settle_call(
        self,
        interval: Interval,
        results: Sequence[InstrumentResult],
        fills_root: bytes,
        balances_root: bytes,
        signatures: Sequence[bytes],
    ) -> ContractCall:
        """What `settle` sends, for any account to send; it asks the chain nothing."""
        tuples = [astuple(result) for result in results]
        arguments = [interval, tuples, fills_root, balances_root, list(signatures)]
        data = self._settlement.encode_abi("settle", arguments)
        deployment = self.deployment
        return ContractCall(deployment.chain_id, deployment.settlement, bytes.fromhex(data[2:]))

    def settle_kept(self, kept: KeptSettlement) -> TransactionReceiptInfo | None:
        """Send what `settle_call` gave, as any account; None where it has settled already.

        Raises:
            WrongDeployment: another chain, or no settlement contract at the address.
            SettledOtherwise: its interval has settled with other roots.
        """
        if self.has_settled(kept):
            return None
        contract = self._contract("Settlement", kept.call.contract)
        try:
            return self._transact(contract.functions.settle(*kept.arguments))
        except ChainError as error:
            try:
                settled = self.has_settled(kept)  # another account may have been first
            except ChainUnavailable:
                raise error from None
            if not settled:
                raise
            return None

    def void(self, interval: Interval) -> TransactionReceiptInfo:
        """Close a batch that was not settled in time."""
        return self._transact(self._settlement.functions.void(interval))

    def report_equivocation(
        self, interval: Interval, first: SignedBatchRoot, second: SignedBatchRoot
    ) -> TransactionReceiptInfo:
        """Halt settlement with two roots that one keyper signed for one interval."""
        functions = self._settlement.functions
        return self._transact(
            functions.report_equivocation(interval, astuple(first), astuple(second))
        )

    def declare_abandoned(self) -> TransactionReceiptInfo:
        """Halt a venue that has settled nothing for the abandonment timeout."""
        return self._transact(self._settlement.functions.declare_abandoned())

    def withdraw(
        self, private_key: bytes, amount: int, leaf: BalanceLeaf, proof: MerkleProof
    ) -> TransactionReceiptInfo:
        """Withdraw from the settled balance of the account of a 32-byte key, which pays the gas."""
        function = self._vault.functions.withdraw(
            amount,
            leaf.withdrawable,
            leaf.encumbered,
            leaf.positions_root,
            proof.index,
            proof.count,
            list(proof.siblings),
        )
        return self._transact(function, private_key)

    def reclaim(self, private_key: bytes) -> TransactionReceiptInfo:
        """Take back, as the account of a 32-byte key, what no settled root counts yet."""
        return self._transact(self._vault.functions.reclaim(), private_key)

    def wait_final(
        self, transaction: TransactionReceiptInfo, confirmations: int, timeout_s: float = 600
    ) -> None:
        """Wait until a transaction's block is the first of `confirmations` blocks.

        The embedded chain has no blocks but its own transactions', and mines the missing ones.

        Raises:
            TransactionLost: the transaction is gone, or is in another block by now.
            NotFinalInTime: there were not enough blocks in `timeout_s` seconds.
        """
        give_up_at = time.monotonic() + timeout_s
        while True:
            confirmed = self.height() - transaction.block + 1
            self._check_still_there(transaction)
            if confirmed >= confirmations:
                return
            if self._tester is not None:
                self._tester.mine_blocks(confirmations - confirmed)
            elif time.monotonic() >= give_up_at:
                raise NotFinalInTime(transaction.hash.hex(), confirmations, confirmed)
            else:
                time.sleep(_POLL_INTERVAL_S)

    def _create(self, name: str, *arguments: object) -> tuple[AccountId, TransactionReceiptInfo]:
        artifact = load_artifact(name)
        factory = self._web3.eth.contract(abi=artifact.abi, bytecode=artifact.bytecode)
        receipt = self._sender.call(factory.constructor(*arguments))
        address = receipt.get("contractAddress")
        if address is None:
            raise ChainUnavailable(self._node, f"no address of {name}, which it deployed")
        return AccountId(str(address)), _info(receipt)

    def _transact(
        self, function: ContractFunction | ContractConstructor, private_key: bytes | None = None
    ) -> TransactionReceiptInfo:
        """Send a transaction of the operator, or of a key's account, and wait for its block."""
        return _info(self._sender.call(function, private_key))

    def _require_cancun(self) -> None:
        if self._tester is not None:
            return
        account = Web3.to_checksum_address(self._sender.account)
        probe: TxParams = {"from": account, "data": _CANCUN_PROBE}
        with reading(self._node, "the instructions of a chain"):
            try:
                self._web3.eth.call(probe)
            except Web3RPCError as error:
                raise ChainTooOld(self._node, refusal_text(error)) from error
            except ContractLogicError as error:
                raise ChainTooOld(self._node, revert_reason(error)) from error

    def _check_still_there(self, transaction: TransactionReceiptInfo) -> None:
        block_hash = b""
        with reading(self._node, "the receipt of a transaction"):
            try:
                receipt = self._web3.eth.get_transaction_receipt(HexBytes(transaction.hash))
                block_hash = bytes(receipt["blockHash"])
            except TransactionNotFound:
                pass
        if block_hash != transaction.block_hash:
            raise TransactionLost(transaction.hash.hex(), transaction.block)


def _for_want_of_gas(error: TransactionRefused | TransactionReverted) -> bool:
    """Whether fewer deposits may do; a contract that refuses a deposit says why in other words."""
    if isinstance(error, TransactionRefused):
        return True
    return error.reason == NO_REASON or "gas" in error.reason


def _info(receipt: TxReceipt) -> TransactionReceiptInfo:
    return TransactionReceiptInfo(
        hash=bytes(receipt["transactionHash"]),
        block=receipt["blockNumber"],
        block_hash=bytes(receipt["blockHash"]),
        gas_used=receipt["gasUsed"],
    )
