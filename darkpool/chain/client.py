"""The only chain client: everything that this project asks of, or tells to, an Ethereum node.

`Chain.embedded()` runs an EVM inside the process (eth-tester with py-evm), `Chain.connect(url)`
talks to any node over HTTP. The contracts are those of `contracts/`; the package ships what they
compile to. Accounts and contract addresses are `AccountId`s, amounts are integers of the token's
smallest unit, signatures are those of `crypto.signing.messages`.
"""

import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import astuple
from itertools import islice
from typing import Any, Final

from eth_account import Account
from eth_tester import EthereumTester, PyEVMBackend
from eth_tester.exceptions import TransactionFailed
from eth_utils.exceptions import ValidationError as EmbeddedRefusal
from hexbytes import HexBytes
from web3 import EthereumTesterProvider, HTTPProvider, Web3
from web3.contract import Contract
from web3.contract.contract import ContractConstructor, ContractFunction
from web3.exceptions import ContractLogicError, TransactionNotFound, Web3Exception, Web3RPCError
from web3.middleware import SignAndSendRawMiddlewareBuilder
from web3.types import TxParams, TxReceipt

from crypto.signing.merkle import MerkleProof
from darkpool.chain.artifacts import load_artifact
from darkpool.chain.errors import (
    ChainUnavailable,
    NotDeployed,
    NotFinalInTime,
    TransactionLost,
    TransactionRefused,
    TransactionReverted,
    WrongDeployment,
)
from darkpool.chain.evidence import (
    AccountFlow,
    BatchEvidence,
    Collateral,
    Deployment,
    IntervalEvidence,
    SettlementEvidence,
    SignedBatchRoot,
    TransactionReceiptInfo,
    VaultTerms,
    keyper_numbers,
)
from darkpool.protocol.results import BalanceLeaf, InstrumentResult
from darkpool.units import AccountId, Cash, InstrumentId, Interval, Lots, Tick

DEPOSITS_PER_TRANSACTION_MAX: Final = 200
"""The bound of the vault's `deposit_many`; so many take about 11 million gas."""

_CONTRACTS: Final = ("TestToken", "Settlement", "CollateralVault")
_RECEIPT_TIMEOUT_S: Final = 120
_POLL_INTERVAL_S: Final = 0.2
_EMBEDDED_GAS: Final = 1 << 24  # the most that one transaction may use (EIP-7825)


class Chain:
    """A connection to one chain and, once deployed or attached, to one venue's contracts on it.

    What sends a transaction waits until it is in a block, and raises `TransactionReverted` with the
    contract's reason, `TransactionRefused` when the node does not take it, and `ChainUnavailable`
    when it does not answer. Reading raises the last of these. What uses contracts raises
    `NotDeployed` when there are none.
    """

    def __init__(
        self, web3: Web3, node: str, operator: AccountId, tester: EthereumTester | None
    ) -> None:
        self._web3 = web3
        self._node = node
        self._operator = operator
        self._tester = tester
        self._deployment: Deployment | None = None

    @classmethod
    def embedded(cls) -> "Chain":
        """Start a chain of its own in this process; it is gone with the object."""
        tester = EthereumTester(PyEVMBackend())
        web3 = Web3(EthereumTesterProvider(tester))
        operator = AccountId(web3.eth.accounts[0])
        return cls(web3, "the embedded chain", operator, tester)

    @classmethod
    def connect(cls, url: str, private_key: bytes | None = None) -> "Chain":
        """Connect to the node at an HTTP address.

        Transactions are signed with the 32-byte `private_key`, or without one by the node itself
        for its first account.

        Raises:
            ChainUnavailable: the node does not answer, or has no account of its own.
        """
        web3 = Web3(HTTPProvider(url))
        if private_key is not None:
            account = Account.from_key(private_key)
            web3.middleware_onion.inject(SignAndSendRawMiddlewareBuilder.build(account), layer=0)
            accounts = [account.address]
        with _answers(url, "connect"):
            if private_key is None:
                accounts = list(web3.eth.accounts)
            _ = web3.eth.chain_id
        if not accounts:
            raise ChainUnavailable(url, "no account that could send transactions")
        return cls(web3, url, AccountId(accounts[0]), None)

    @property
    def deployment(self) -> Deployment:
        """The contracts in use."""
        if self._deployment is None:
            raise NotDeployed
        return self._deployment

    def deploy(self, keypers: Sequence[AccountId]) -> Deployment:
        """Deploy test token, settlement and vault, and use them from now on.

        `keypers` are the addresses of the committee's signing keys, in the order of their numbers.
        """
        token, first = self._create("TestToken")
        settlement, _ = self._create("Settlement", list(keypers), self._operator)
        vault, _ = self._create("CollateralVault", token, settlement)
        self._deployment = self.deployment_at(settlement, vault, first.block)
        return self._deployment

    def attach(self, deployment: Deployment) -> None:
        """Use contracts that are already deployed, after checking that they are what they claim.

        Raises:
            WrongDeployment: another chain, other code, another committee or other links between
                the contracts than `deployment` says.
        """
        with _answers(self._node, "attach"):
            _expect("chain id", deployment.chain_id, self._web3.eth.chain_id)
            addresses = (deployment.token, deployment.settlement, deployment.vault)
            for name, address in zip(_CONTRACTS, addresses, strict=True):
                runtime = load_artifact(name).runtime
                # what a contract fixes at deployment stands behind its code
                code = bytes(self._web3.eth.get_code(Web3.to_checksum_address(address)))
                _expect(f"code of {name}", _digest(runtime), _digest(code[: len(runtime)]))
        found = self.deployment_at(deployment.settlement, deployment.vault, deployment.block)
        for field in ("keypers", "quorum", "operator", "settlement", "token"):
            what = f"{field} of the vault" if field in ("settlement", "token") else field
            _expect(what, getattr(deployment, field), getattr(found, field))
        self._deployment = deployment

    def deployment_at(self, settlement: AccountId, vault: AccountId, block: int) -> Deployment:
        """Return what two contracts say of each other; `attach` checks them."""
        rules = self._contract("Settlement", settlement).functions
        links = self._contract("CollateralVault", vault).functions
        with _answers(self._node, "deployment_at"):
            chain_id = self._web3.eth.chain_id
            token, linked = AccountId(links.token().call()), AccountId(links.settlement().call())
            operator, quorum = AccountId(rules.operator().call()), rules.quorum().call()
            keypers = tuple(map(AccountId, rules.committee().call()))
        return Deployment(chain_id, block, token, linked, vault, operator, keypers, quorum)

    def fund_gas(self, account: AccountId, wei: int) -> TransactionReceiptInfo:
        """Send an account what it needs to pay for its own transactions."""
        parameters: TxParams = {
            "from": Web3.to_checksum_address(self._operator),
            "to": Web3.to_checksum_address(account),
            "value": Web3.to_wei(wei, "wei"),
        }
        with _answers(self._node, "fund_gas"):
            transaction = self._web3.eth.send_transaction(parameters)
            return _info(self._web3.eth.wait_for_transaction_receipt(transaction))

    def fund_and_deposit(self, amounts: Mapping[AccountId, int]) -> None:
        """Mint test tokens and pay them into the vault for many accounts."""
        total = sum(amounts.values())
        self._transact(self._token.functions.mint(self._operator, total))
        self._transact(self._token.functions.approve(self.deployment.vault, total))
        rest = iter(amounts.items())
        while part := list(islice(rest, DEPOSITS_PER_TRANSACTION_MAX)):
            accounts = [account for account, _ in part]
            sums = [amount for _, amount in part]
            self._transact(self._vault.functions.deposit_many(accounts, sums))

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
            with _answers(self._node, "wait_final"):
                confirmed = self._web3.eth.block_number - transaction.block + 1
                self._check_still_there(transaction)
                if confirmed >= confirmations:
                    return
                if self._tester is not None:
                    self._tester.mine_blocks(confirmations - confirmed)
                elif time.monotonic() >= give_up_at:
                    raise NotFinalInTime(transaction.hash.hex(), confirmations, confirmed)
                else:
                    time.sleep(_POLL_INTERVAL_S)

    def collateral(self, account: AccountId) -> Collateral:
        """Return what an account paid in and took out, and what no settled root counts yet."""
        vault = self._vault.functions
        with _answers(self._node, "collateral"):
            return Collateral(
                deposited=Cash(vault.deposited(account).call()),
                withdrawn=Cash(vault.withdrawn(account).call()),
                reclaimable=Cash(vault.reclaimable(account).call()),
            )

    def vault_terms(self) -> VaultTerms:
        """Return whether the vault pays now, and by which root."""
        settlement = self._settlement.functions
        with _answers(self._node, "vault_terms"):
            paying, halted, committed, settled, root = settlement.vault_terms().call()
        return VaultTerms(paying, halted, Interval(committed), Interval(settled), bytes(root))

    def flows_before(self, interval: Interval) -> dict[AccountId, AccountFlow]:
        """Return every account's deposits and withdrawals before an interval's batch was committed.

        These are exactly what the interval's balances root has to count.
        """
        deposited: dict[AccountId, int] = {}
        withdrawn: dict[AccountId, int] = {}
        sides = {"Deposited": deposited, "Withdrawn": withdrawn, "Reclaimed": withdrawn}
        for name, side in sides.items():
            for event in self._events(self._vault, name):
                if event["args"]["after_interval"] < interval:
                    account = AccountId(event["args"]["account"])
                    side[account] = side.get(account, 0) + event["args"]["amount"]
        return {
            account: AccountFlow(Cash(deposited.get(account, 0)), Cash(withdrawn.get(account, 0)))
            for account in sorted({*deposited, *withdrawn})
        }

    def evidence(self, interval: Interval) -> IntervalEvidence:
        """Return all that the chain says about an interval, from the contracts' events."""
        batch = None
        for event in self._events(self._settlement, "BatchCommitted", interval):
            arguments = event["args"]
            batch = BatchEvidence(
                root=bytes(arguments["root"]),
                count=arguments["count"],
                signers=keyper_numbers(arguments["signers"]),
                transaction=bytes(event["transactionHash"]),
                block=event["blockNumber"],
            )
        settlement = None
        for event in self._events(self._settlement, "BatchSettled", interval):
            arguments = event["args"]
            settlement = SettlementEvidence(
                results=self._results(interval),
                results_root=bytes(arguments["results_root"]),
                fills_root=bytes(arguments["fills_root"]),
                balances_root=bytes(arguments["balances_root"]),
                signers=keyper_numbers(arguments["signers"]),
                transaction=bytes(event["transactionHash"]),
                block=event["blockNumber"],
            )
        voided = bool(self._events(self._settlement, "BatchVoided", interval))
        halted = self.vault_terms().halted
        settled = (e["args"]["interval"] for e in self._events(self._settlement, "BatchSettled"))
        is_first = all(other >= interval for other in settled)
        return IntervalEvidence(interval, is_first, batch, settlement, voided, halted)

    @property
    def _token(self) -> Contract:
        return self._contract("TestToken", self.deployment.token)

    @property
    def _settlement(self) -> Contract:
        return self._contract("Settlement", self.deployment.settlement)

    @property
    def _vault(self) -> Contract:
        return self._contract("CollateralVault", self.deployment.vault)

    def _contract(self, name: str, address: str) -> Contract:
        return self._web3.eth.contract(
            Web3.to_checksum_address(address), abi=load_artifact(name).abi
        )

    def _results(self, interval: Interval) -> tuple[InstrumentResult, ...]:
        events = self._events(self._settlement, "InstrumentSettled", interval)
        return tuple(
            InstrumentResult(
                instrument=InstrumentId(bytes(event["args"]["instrument"])),
                crossed=event["args"]["crossed"],
                price_tick=Tick(event["args"]["price_tick"]),
                volume=Lots(event["args"]["volume"]),
            )
            for event in events
        )

    def _events(
        self, contract: Contract, name: str, interval: Interval | None = None
    ) -> Sequence[Any]:
        filters = {} if interval is None else {"interval": interval}
        with _answers(self._node, name):
            logs = contract.events[name]().get_logs(
                from_block=self.deployment.block, argument_filters=filters
            )
        return list(logs)

    def _create(self, name: str, *arguments: object) -> tuple[AccountId, TransactionReceiptInfo]:
        artifact = load_artifact(name)
        factory = self._web3.eth.contract(abi=artifact.abi, bytecode=artifact.bytecode)
        info = self._transact(factory.constructor(*arguments))
        with _answers(self._node, name):
            receipt = self._web3.eth.get_transaction_receipt(HexBytes(info.hash))
        return AccountId(str(receipt["contractAddress"])), info

    def _transact(
        self, function: ContractFunction | ContractConstructor, private_key: bytes | None = None
    ) -> TransactionReceiptInfo:
        """Send a transaction of the operator, or of a key's account, and wait for its block."""
        name = getattr(function, "fn_name", "constructor")
        sender = Web3.to_checksum_address(
            self._operator if private_key is None else Account.from_key(private_key).address
        )
        parameters: TxParams = {"from": sender}
        if self._tester is not None:
            parameters["gas"] = _EMBEDDED_GAS
        with _answers(self._node, name):
            if private_key is None:
                transaction = function.transact(parameters)
            else:
                nonce = self._web3.eth.get_transaction_count(sender)
                unsigned = function.build_transaction({**parameters, "nonce": nonce})
                signed = Account.from_key(private_key).sign_transaction(unsigned)
                transaction = self._web3.eth.send_raw_transaction(signed.raw_transaction)
            receipt = self._web3.eth.wait_for_transaction_receipt(transaction, _RECEIPT_TIMEOUT_S)
            if receipt["status"] != 1:
                # estimating repeats the transaction, and says why it fails
                function.estimate_gas(parameters)
                raise TransactionReverted(name, "out of gas")
        return _info(receipt)

    def _check_still_there(self, transaction: TransactionReceiptInfo) -> None:
        try:
            receipt = self._web3.eth.get_transaction_receipt(HexBytes(transaction.hash))
            block_hash = bytes(receipt["blockHash"])
        except TransactionNotFound:
            block_hash = b""
        if block_hash != transaction.block_hash:
            raise TransactionLost(transaction.hash.hex(), transaction.block)


@contextmanager
def _answers(node: str, function: str) -> Iterator[None]:
    """Turn the errors of web3 and of the embedded chain into this project's."""
    try:
        yield
    except (ContractLogicError, TransactionFailed) as error:
        reason = str(error.args[0]).removeprefix("execution reverted").removeprefix(": ")
        raise TransactionReverted(function, reason or "no reason given") from error
    except (Web3RPCError, EmbeddedRefusal) as error:
        raise TransactionRefused(function, str(error)) from error
    except (OSError, Web3Exception) as error:
        raise ChainUnavailable(node, str(error)) from error


def _expect(what: str, expected: object, got: object) -> None:
    if got != expected:
        raise WrongDeployment(what, expected, got)


def _digest(code: bytes) -> str:
    return Web3.keccak(code).hex()


def _info(receipt: TxReceipt) -> TransactionReceiptInfo:
    return TransactionReceiptInfo(
        hash=bytes(receipt["transactionHash"]),
        block=receipt["blockNumber"],
        block_hash=bytes(receipt["blockHash"]),
        gas_used=receipt["gasUsed"],
    )
