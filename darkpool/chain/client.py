"""The only chain client: everything that this project asks of, or tells to, an Ethereum node.

`Chain.embedded()` runs an EVM inside the process (eth-tester with py-evm), `Chain.connect(url)`
talks to any node over HTTP. What only asks is in `darkpool.chain.reading`. Signatures are those of
`crypto.signing.settling`.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import astuple, dataclass
from typing import Any, Final

from eth_account import Account
from eth_tester import EthereumTester, PyEVMBackend
from hexbytes import HexBytes
from web3 import EthereumTesterProvider, Web3
from web3.contract.contract import ContractConstructor, ContractFunction
from web3.exceptions import ContractLogicError, TransactionNotFound, Web3RPCError
from web3.types import TxParams, TxReceipt

from crypto.signing.eip712 import TypedMessage
from crypto.signing.settling import BatchRoot, Claim, Closing, Rotation, Settlement
from darkpool.chain.artifacts import load_artifact
from darkpool.chain.asking import NO_REASON, reading, refusal_text, revert_reason
from darkpool.chain.calls import Call, ProvenLeaf, VaultCalls, declare
from darkpool.chain.errors import (
    ChainError,
    ChainTooOld,
    ChainUnavailable,
    NotFinalInTime,
    TransactionLost,
    TransactionRefused,
    TransactionReverted,
)
from darkpool.chain.evidence import ContractCall, Deployment, TransactionReceiptInfo
from darkpool.chain.node import web3_of
from darkpool.chain.reading import ReadableChain
from darkpool.chain.sending import Sender
from darkpool.chain.settling import KeptSettlement
from darkpool.units import AccountId, Interval, account_of

DEPOSITS_PER_TRANSACTION_MAX: Final = 200
"""The bound of the vault's `deposit_many`; so many take about 11 million gas."""

PERMIT2: Final = account_of(bytes.fromhex("000000000022D473030F116dDEE9F6B43aC78BA3"))
"""Where Permit2 stands on every chain that has it."""

_POLL_INTERVAL_S: Final = 0.2
_CANCUN_PROBE: Final = bytes.fromhex("5f5c5f5f5f5e00")
"""Loads a transient word and copies memory: two of the instructions that Cancun brought."""
_NO_FILLS: Final = bytes(32)


@dataclass(frozen=True, slots=True)
class DeploymentTerms:
    """What a venue's contracts fix for ever.

    Attributes:
        keypers: addresses of the first committee's signing keys, in the order of their numbers.
        key_id, circuits: digests of its encryption keys and of the circuits that they serve.
        deposit_min: least deposit, in token units.
        accounts_max: a vault refuses a new account above so many.
        fund, treasury: who gets the insurance fund and the treasury when the venue has ended.
        rescuer: who gets other tokens that were sent to a vault.
    """

    keypers: tuple[AccountId, ...]
    key_id: bytes
    circuits: bytes
    deposit_min: int
    accounts_max: int
    fund: AccountId
    treasury: AccountId
    rescuer: AccountId


@dataclass(frozen=True, slots=True)
class SignedStatement:
    """One keyper's signature of a statement, as evidence."""

    message: TypedMessage
    signature: bytes


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
        sender = AccountId(web3.eth.accounts[0])
        return cls(web3, node, Sender(web3, node, sender, None, embedded=True), tester)

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
        sender = AccountId(accounts[0])
        return cls(web3, url, Sender(web3, url, sender, private_key, embedded=False), None)

    @property
    def account(self) -> AccountId:
        """The account that pays for transactions."""
        return self._sender.account

    def deploy(self, terms: DeploymentTerms) -> Deployment:
        """Deploy test token, settlement and vault, and use them from now on.

        Raises:
            ChainTooOld: the chain's machine lacks instructions that the contracts need.
        """
        self.require_cancun()
        token, _ = self._create("TestToken")
        blueprint, _ = self._create("CollateralVault")
        vaults = [(token, terms.deposit_min, terms.accounts_max)]
        parties = (terms.fund, terms.treasury, terms.rescuer, PERMIT2)
        settlement, first = self._create(
            "Settlement",
            list(terms.keypers),
            terms.key_id,
            terms.circuits,
            blueprint,
            vaults,
            parties,
        )
        self._deployment = self.deployment_at(settlement, first.block)
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

    def send(self, call: Call, private_key: bytes | None = None) -> TransactionReceiptInfo:
        """Send a call, as this client's account or as that of a 32-byte key, which pays the gas."""
        contract = self._contract(call.kind, call.contract)
        return self._transact(contract.functions[call.function](*call.arguments), private_key)

    def send_data(self, name: str, to: AccountId, data: bytes) -> TransactionReceiptInfo:
        """Send bytes to a contract that takes them as they are; `name` is theirs in errors."""
        return _info(self._sender.send_data(name, to, data))

    def send_signed(self, name: str, transaction: bytes) -> TransactionReceiptInfo:
        """Send a transaction that is signed already."""
        return _info(self._sender.send_signed(name, transaction))

    def request(self, private_key: bytes, amount: int) -> TransactionReceiptInfo:
        """Ask for a withdrawal in the next settlement, as the account of a 32-byte key."""
        return self.send(self._calls.request(amount), private_key)

    def give_notice(self, private_key: bytes, number: int) -> TransactionReceiptInfo:
        """Ask for a deposit back that no settlement counts, as its account."""
        return self.send(self._calls.give_notice(number), private_key)

    def take_back(self, private_key: bytes, number: int, to: AccountId) -> TransactionReceiptInfo:
        """Take a deposit back a day after the notice, as its account."""
        return self.send(self._calls.take_back(number, to), private_key)

    def claim(
        self, private_key: bytes, proven: ProvenLeaf, to: AccountId
    ) -> TransactionReceiptInfo:
        """Take what the account of a 32-byte key was granted; it pays the gas."""
        return self.send(self._calls.claim(proven, to), private_key)

    def claim_for(
        self, order: Claim, signature: bytes, proven: ProvenLeaf
    ) -> TransactionReceiptInfo:
        """Take what an account was granted that signed for it; this account gets the fee."""
        return self.send(self._calls.claim_for(order, signature, proven))

    def leave(
        self, private_key: bytes, proven: ProvenLeaf, to: AccountId
    ) -> TransactionReceiptInfo:
        """Take everything, as the account of a 32-byte key, when the venue has ended."""
        return self.send(self._calls.leave(proven, to), private_key)

    def commit_batch(
        self, message: BatchRoot, signatures: Sequence[bytes]
    ) -> TransactionReceiptInfo:
        """Fix the batch of an interval, with a quorum's signatures."""
        named = (
            message.interval,
            message.root,
            message.count,
            message.terms,
            message.plan,
            message.commit_by,
        )
        functions = self._settlement.functions
        return self._transact(functions.commit_batch(named, b"".join(signatures)))

    def publish(self, leaves: bytes) -> TransactionReceiptInfo:
        """Put leaves on the chain for ever, before a settlement that names their hash."""
        return self._transact(self._settlement.functions.publish(leaves))

    def settle(
        self, message: Settlement, results: bytes, signatures: Sequence[bytes]
    ) -> TransactionReceiptInfo:
        """Settle the open batch, with a quorum's signatures; its leaves are public already."""
        arguments = _settle_arguments(message, results, signatures)
        return self._transact(self._settlement.functions.settle(*arguments))

    def settle_call(
        self, message: Settlement, results: bytes, signatures: Sequence[bytes]
    ) -> ContractCall:
        """What `settle` sends, for any account to send; it asks the chain nothing."""
        arguments = _settle_arguments(message, results, signatures)
        data = self._settlement.encode_abi("settle", list(arguments))
        deployment = self.deployment
        return ContractCall(deployment.chain_id, deployment.settlement, bytes.fromhex(data[2:]))

    def settle_kept(self, kept: KeptSettlement) -> TransactionReceiptInfo | None:
        """Send what `settle_call` gave, as any account; None where it has settled already.

        Raises:
            WrongDeployment: another chain, or no settlement contract at the address.
            SettledOtherwise: its interval has settled with another outcome.
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

    def exclude(self, first: SignedStatement, second: SignedStatement) -> TransactionReceiptInfo:
        """Exclude a keyper that signed two batches, settlements or rotations where one can be."""
        kinds = {BatchRoot: "batch", Settlement: "settlement", Rotation: "rotation"}
        function = self._settlement.functions[f"exclude_for_{kinds[type(first.message)]}"]
        evidence = [(s.message.words(), s.signature) for s in (first, second)]
        return self._transact(function(*evidence))

    def announce_rotation(
        self, message: Rotation, signatures: Sequence[bytes]
    ) -> TransactionReceiptInfo:
        """Announce the next committee, with a quorum's signatures of the present one."""
        functions = self._settlement.functions
        members = [account_of(keyper) for keyper in message.next]
        signed = b"".join(signatures)
        return self._transact(
            functions.announce_rotation(
                message.epoch, members, message.key_id, message.circuits, signed
            )
        )

    def rotate(self) -> TransactionReceiptInfo:
        """Let the announced committee take over."""
        receipt = self._transact(self._settlement.functions.rotate())
        self._deployment = self.deployment_at(self.deployment.settlement, self.deployment.block)
        return receipt

    def declare(self) -> TransactionReceiptInfo:
        """End a venue that let a request wait for a week, or settled nothing for two."""
        return self.send(declare(self.deployment.settlement))

    def close(self, message: Closing, signatures: Sequence[bytes]) -> TransactionReceiptInfo:
        """Value all positions once more after the declaration."""
        functions = self._settlement.functions
        outcome = _outcome(message, _NO_FILLS)
        signed = b"".join(signatures)
        return self._transact(functions.close(outcome, _trees(message), message.terms, signed))

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

    @property
    def _calls(self) -> VaultCalls:
        """Of the vault of cash."""
        return VaultCalls(self.deployment.vault)

    def _create(self, name: str, *arguments: object) -> tuple[AccountId, TransactionReceiptInfo]:
        artifact = load_artifact(name)
        receipt = self._sender.create(name, artifact, arguments)
        address = receipt.get("contractAddress")
        if address is None:
            raise ChainUnavailable(self._node, f"no address of {name}, which it deployed")
        return AccountId(str(address)), _info(receipt)

    def _transact(
        self, function: ContractFunction | ContractConstructor, private_key: bytes | None = None
    ) -> TransactionReceiptInfo:
        """Send a transaction, or that of a key's account, and wait for its block."""
        return _info(self._sender.call(function, private_key))

    def require_cancun(self) -> None:
        """Check that the chain has the instructions that the contracts are made of.

        Raises:
            ChainTooOld: it has not.
        """
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


def _settle_arguments(
    message: Settlement, results: bytes, signatures: Sequence[bytes]
) -> tuple[Any, ...]:
    outcome = _outcome(message, message.fills_root)
    return message.interval, outcome, _trees(message), results, b"".join(signatures)


def _outcome(message: Settlement | Closing, fills_root: bytes) -> tuple[Any, ...]:
    return (
        message.prices,
        fills_root,
        message.state_root,
        message.leaf_hash,
        list(message.leaf_blobs),
        message.record_digest,
    )


def _trees(message: Settlement | Closing) -> list[tuple[Any, ...]]:
    return [(account_of(tree.vault), *astuple(tree)[1:]) for tree in message.trees]


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
