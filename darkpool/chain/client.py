"""The only chain client: everything that this project asks of, or tells to, an Ethereum node.

`Chain.embedded()` runs an EVM inside the process (eth-tester with py-evm), `Chain.connect(url)`
talks to any node over HTTP. What only asks is in `darkpool.chain.reading`. Signatures are those of
`crypto.signing.settling`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Final

from eth_account import Account
from eth_hash.auto import keccak
from eth_tester import EthereumTester, PyEVMBackend
from web3 import EthereumTesterProvider, Web3
from web3.contract.contract import ContractConstructor, ContractFunction
from web3.exceptions import ContractLogicError, Web3RPCError
from web3.types import RPCEndpoint, TxParams

from crypto.signing.eip712 import TypedMessage
from crypto.signing.settling import BatchRoot, Claim, Closing, Rotation, Settlement
from darkpool.chain.artifacts import load_artifact
from darkpool.chain.asking import reading, refusal_text, revert_reason
from darkpool.chain.calls import Call, ProvenLeaf, VaultCalls, declare
from darkpool.chain.depositing import Depositing
from darkpool.chain.errors import ChainError, ChainTooOld, ChainUnavailable
from darkpool.chain.evidence import (
    BlockPoint,
    ContractCall,
    Deployment,
    TransactionReceiptInfo,
    VaultPlace,
    info_of,
)
from darkpool.chain.finality import Finality
from darkpool.chain.quorum import web3_of
from darkpool.chain.quorum_signed import require_quorum
from darkpool.chain.reading import ReadableChain
from darkpool.chain.sending import Sender
from darkpool.chain.settling import KeptSettlement, outcome_of, settle_arguments, trees_of
from darkpool.chain.waiting import Waiting
from darkpool.units import AccountId, Interval, account_of

PERMIT2: Final = account_of(bytes.fromhex("000000000022D473030F116dDEE9F6B43aC78BA3"))
"""Where Permit2 stands on every chain that has it."""

FINAL_IN_S: Final = 600
"""How long a block may take to become final, unless the caller says otherwise."""

MINED_MAX: Final = 1000
"""So many blocks a chain for development is told to make at once: more than wait for any."""

_DEVELOPMENT_NODES: Final = ("anvil/", "HardhatNetwork/")
_MINE: Final = RPCEndpoint("evm_mine")
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
        sender, key = AccountId(web3.eth.accounts[0]), tester.backend.account_keys[0].to_bytes()
        return cls(web3, node, Sender(web3, node, sender, key, embedded=True), tester)

    @classmethod
    def connect(cls, urls: str | Sequence[str], private_key: bytes | None = None) -> Chain:
        """Connect to the node at an HTTP address, or to several, to send transactions.

        They are signed with the 32-byte `private_key`, or without one by the node itself for its
        first account, where there is one node. Of several a majority has to answer, and all that do
        have to agree (`darkpool.chain.quorum`); transactions are sent to all of them.

        Raises:
            ChainUnavailable: the node does not answer, or has no account of its own.
            DisagreeingNodes: the nodes are of different chains.
        """
        web3, node = web3_of(urls)
        with reading(node, "the number of a chain"):
            _ = web3.eth.chain_id
        if private_key is not None:
            accounts = [Account.from_key(private_key).address]
        else:
            with reading(node, "accounts"):
                accounts = list(web3.eth.accounts)
        if not accounts:
            raise ChainUnavailable(node, "no account that could send transactions")
        sender = AccountId(accounts[0])
        return cls(web3, node, Sender(web3, node, sender, private_key, embedded=False), None)

    @property
    def account(self) -> AccountId:
        """The account that pays for transactions."""
        return self._sender.account

    def deploy(self, terms: DeploymentTerms, tokens: Sequence[AccountId] = ()) -> Deployment:
        """Deploy settlement and vaults, and use them from now on.

        There is a vault for each of `tokens`, that of cash first; without any, a test token is
        deployed for the only one.

        Raises:
            ChainTooOld: the chain's machine lacks instructions that the contracts need.
        """
        self.require_cancun()
        held = list(tokens) or [self._create("TestToken")[0]]
        blueprint, _ = self._create("CollateralVault")
        vaults = [(token, terms.deposit_min, terms.accounts_max) for token in held]
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
        return info_of(self._sender.pay(account, wei))

    def fund_and_deposit(self, amounts: Mapping[AccountId, int]) -> None:
        """Mint test tokens and pay them into the vault for many accounts.

        Where a block has no room for as many deposits at once as the vault takes, there are fewer
        in a transaction.
        """
        self._depositing(self.deployment.vaults[0]).minted(amounts)

    def deposit(
        self, private_key: bytes, amount: int, vault: VaultPlace | None = None
    ) -> TransactionReceiptInfo:
        """Deposit an account's own tokens for itself, as the account of a 32-byte key.

        `amount` is in units of the vault's token, which may be any ERC-20 token; without `vault` it
        is the one of cash.

        Raises:
            NotApproved: the token lets the vault take less than that.
        """
        place = self.deployment.vaults[0] if vault is None else vault
        return info_of(self._depositing(place).own(private_key, amount))

    def send(self, call: Call, private_key: bytes | None = None) -> TransactionReceiptInfo:
        """Send a call, as this client's account or as that of a 32-byte key, which pays the gas."""
        contract = self._contract(call.kind, call.contract)
        return self._transact(contract.functions[call.function](*call.arguments), private_key)

    def send_data(self, name: str, to: AccountId, data: bytes) -> TransactionReceiptInfo:
        """Send bytes to a contract that takes them as they are; `name` is theirs in errors."""
        return info_of(self._sender.send_data(name, to, data))

    def send_signed(self, name: str, transaction: bytes) -> TransactionReceiptInfo:
        """Send a transaction that is signed already."""
        return info_of(self._sender.send_signed(name, transaction))

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
        arguments = settle_arguments(message, results, signatures)
        return self._transact(self._settlement.functions.settle(*arguments))

    def settle_call(
        self, message: Settlement, results: bytes, signatures: Sequence[bytes]
    ) -> ContractCall:
        """What `settle` sends, for any account to send; it asks the chain nothing."""
        arguments = settle_arguments(message, results, signatures)
        data = self._settlement.encode_abi("settle", list(arguments))
        deployment = self.deployment
        return ContractCall(deployment.chain_id, deployment.settlement, bytes.fromhex(data[2:]))

    def settle_kept(self, kept: KeptSettlement) -> TransactionReceiptInfo | None:
        """Send what `settle_call` gave, as any account; None where it has settled already.

        Raises:
            SettlementUnsigned: its leaves are not on the chain, and no quorum signed for them.
            WrongDeployment: another chain, or no settlement contract at the address.
            SettledOtherwise: its interval has settled with another outcome.
        """
        if self.settled_at(kept) is not None:
            return None
        contract = self._contract("Settlement", kept.call.contract)
        try:
            if not contract.functions.published(keccak(kept.leaves)).call():
                require_quorum(kept, contract, self._node)
                self._transact(contract.functions.publish(kept.leaves))
            return self._transact(contract.functions.settle(*kept.arguments))
        except ChainError as error:
            try:
                settled = self.settled_at(kept)  # another account may have been first
            except ChainUnavailable:
                raise error from None
            if settled is None:
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
        outcome = outcome_of(message, _NO_FILLS)
        signed = b"".join(signatures)
        return self._transact(functions.close(outcome, trees_of(message), message.terms, signed))

    def settle_final(
        self, kept: KeptSettlement, finality: Finality, timeout_s: float = FINAL_IN_S
    ) -> BlockPoint:
        """Settle, whoever's transaction does it, and return the block when it is final.

        A settlement that a reorganisation undoes is sent again.

        Raises:
            WrongDeployment, SettledOtherwise: as `settle_kept`.
            NotFinalInTime: no block of it was final in `timeout_s` seconds.
        """
        waiting, what = self._waiting(finality, timeout_s), f"settlement of {kept.interval}"
        while True:
            self.settle_kept(kept)
            found = self.settled_at(kept)
            if found is not None and waiting.for_block(found, what):
                return found
            waiting.pause(found or BlockPoint(self.height(), b""), what)

    def wait_final(
        self,
        transaction: TransactionReceiptInfo,
        finality: Finality | int,
        timeout_s: float = FINAL_IN_S,
    ) -> TransactionReceiptInfo:
        """Wait until a transaction's block is final, and return the transaction with that block.

        `finality` is the chain's rule, or its number of confirmations. A reorganisation may bring
        the transaction into another block, which is then the one that is waited for. Where it is
        forgotten, the same signed bytes are sent again. The embedded chain has no blocks but its
        own transactions', and mines the missing ones.

        Raises:
            TransactionLost: it is in no block and on no way to one, and was not signed here, or no
                node takes it again.
            TransactionReverted: the contract refuses it in the block that it came into again.
            NotFinalInTime: its block was not final in `timeout_s` seconds.
        """
        rule = Finality(finality) if isinstance(finality, int) else finality
        return self._waiting(rule, timeout_s).for_transaction(transaction, self._sender)

    def _waiting(self, finality: Finality, timeout_s: float) -> Waiting:
        return Waiting(self._blocks, finality, timeout_s, self._miner())

    def _miner(self) -> Callable[[int], None] | None:
        """Makes blocks on chains for development, which have none but those of transactions."""
        tester = self._tester
        if tester is not None:
            return lambda count: tester.mine_blocks(count)
        # several nodes are not asked for a version, and some public ones do not tell it
        with suppress(ChainUnavailable), reading(self._node, "the version of a node"):
            if str(self._web3.client_version).startswith(_DEVELOPMENT_NODES):
                return self._mine
        return None

    def _mine(self, count: int) -> None:
        for _ in range(min(count, MINED_MAX)):
            with reading(self._node, "a block of a chain for development"):
                self._web3.provider.make_request(_MINE, [])

    def _depositing(self, place: VaultPlace) -> Depositing:
        token = self._contract("TestToken", place.token)
        vault = self._contract("CollateralVault", place.address)
        return Depositing(self._sender, self._node, token, vault)

    @property
    def _calls(self) -> VaultCalls:
        """Of the vault of cash."""
        return VaultCalls(self.deployment.vault)

    def _create(self, name: str, *arguments: object) -> tuple[AccountId, TransactionReceiptInfo]:
        artifact = load_artifact(name)
        receipt = self._sender.create(artifact, arguments)
        address = receipt.get("contractAddress")
        if address is None:
            raise ChainUnavailable(self._node, f"no address of {name}, which it deployed")
        return AccountId(str(address)), info_of(receipt)

    def _transact(
        self, function: ContractFunction | ContractConstructor, private_key: bytes | None = None
    ) -> TransactionReceiptInfo:
        """Send a transaction, or that of a key's account, and wait for its block."""
        return info_of(self._sender.call(function, private_key))

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
