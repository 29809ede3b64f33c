"""A venue's contracts on a chain of their own, driven without the engine's chain client."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, cast

import pytest
from darkpool.settlement.leaves import balance_proof, balances_root, results_root
from eth_tester import EthereumTester, PyEVMBackend
from eth_tester.exceptions import TransactionFailed
from web3 import EthereumTesterProvider, Web3
from web3.contract import Contract
from web3.contract.contract import ContractFunction
from web3.types import TxParams

from crypto.signing.ecdsa import address_of, sign
from crypto.signing.eip712 import Domain
from crypto.signing.merkle import MerkleProof
from crypto.signing.messages import BatchRoot, SettlementRoot
from darkpool.chain.artifacts import load_artifact
from darkpool.protocol.results import BalanceLeaf, InstrumentResult
from darkpool.units import AccountId, Cash

GAS = 10_000_000


NO_POSITIONS = bytes(32)


BATCH = b"\xba" * 32


FILLS = b"\xf1" * 32


class VenueContracts:
    """Contracts, four keypers' keys, and accounts that can send transactions."""

    def __init__(self, token: tuple[list[dict[str, Any]], bytes] | None = None) -> None:
        self.tester = EthereumTester(PyEVMBackend())
        self.web3 = Web3(EthereumTesterProvider(self.tester))
        self.operator, *others = [AccountId(account) for account in self.web3.eth.accounts]
        self.accounts = others[:5]
        self.stranger = others[5]
        self.keys = [bytes([number]) * 32 for number in range(1, 5)]
        self.keypers = [Web3.to_checksum_address(address_of(key)) for key in self.keys]
        abi, code = token or self._shipped("TestToken")
        self.token = self.deploy(abi, code)
        self.settlement = self.deploy(*self._shipped("Settlement"), self.keypers, self.operator)
        addresses = (self.token.address, self.settlement.address)
        self.vault = self.deploy(*self._shipped("CollateralVault"), *addresses)
        self.domain = Domain(self.web3.eth.chain_id, Web3.to_bytes(hexstr=self.settlement.address))

    @staticmethod
    def _shipped(name: str) -> tuple[list[dict[str, Any]], bytes]:
        return load_artifact(name).abi, load_artifact(name).bytecode

    def deploy(self, abi: list[dict[str, Any]], code: bytes, *arguments: object) -> Contract:
        constructor = self.web3.eth.contract(abi=abi, bytecode=code).constructor(*arguments)
        payer = Web3.to_checksum_address(self.operator)
        parameters: TxParams = {"from": payer, "gas": GAS}
        sent = constructor.transact(parameters)
        receipt = self.web3.eth.wait_for_transaction_receipt(sent)
        if receipt["status"] != 1:
            constructor.estimate_gas(parameters)
        return cast("Contract", self.web3.eth.contract(receipt["contractAddress"], abi=abi))

    def send(self, function: ContractFunction, sender: str | None = None, gas: int = GAS) -> int:
        """Send a transaction; return its gas, or raise TransactionFailed with the reason."""
        payer = Web3.to_checksum_address(sender or self.operator)
        parameters: TxParams = {"from": payer, "gas": gas}
        receipt = self.web3.eth.wait_for_transaction_receipt(function.transact(parameters))
        if receipt["status"] != 1:
            function.call(parameters)
            raise TransactionFailed("out of gas")
        return receipt["gasUsed"]

    @contextmanager
    def refuses(self, reason: str) -> Iterator[None]:
        with pytest.raises(TransactionFailed, match=f"^execution reverted: {reason}$"):
            yield

    @contextmanager
    def as_it_was(self) -> Iterator[None]:
        """Takes the chain back to what it is now."""
        here = self.tester.take_snapshot()
        yield
        self.tester.revert_to_snapshot(here)

    def pass_time(self, seconds: int) -> None:
        now = self.tester.get_block_by_number("pending")["timestamp"]
        self.tester.time_travel(now + seconds)

    def fund(self, amount: int = 10**12) -> None:
        """Give every account tokens, and the vault leave to take them."""
        for account in (*self.accounts, self.operator):
            self.send(self.token.functions.mint(account, amount))
            self.send(self.token.functions.approve(self.vault.address, 2**255), account)

    def held(self, owner: str | None = None) -> int:
        return int(self.token.functions.balanceOf(owner or self.vault.address).call())

    def batch_signatures(
        self, interval: int, root: bytes = BATCH, count: int = 1, keys: Sequence[bytes] = ()
    ) -> list[bytes]:
        digest = BatchRoot(interval, root, count).digest(self.domain)
        return [sign(digest, key) for key in keys or self.keys[:3]]

    def commit(self, interval: int, root: bytes = BATCH, count: int = 1) -> int:
        signatures = self.batch_signatures(interval, root, count)
        return self.send(self.settlement.functions.commit_batch(interval, root, count, signatures))

    def settlement_signatures(
        self,
        interval: int,
        balances: bytes,
        results: Sequence[InstrumentResult] = (),
        keys: Sequence[bytes] = (),
    ) -> list[bytes]:
        message = SettlementRoot(interval, results_root(results), FILLS, balances)
        return [sign(message.digest(self.domain), key) for key in keys or self.keys[1:]]

    def settle_root(self, interval: int, balances: bytes, sender: str | None = None) -> int:
        signatures = self.settlement_signatures(interval, balances)
        functions = self.settlement.functions
        return self.send(functions.settle(interval, [], FILLS, balances, signatures), sender)

    def settle(self, interval: int, leaves: Sequence[BalanceLeaf]) -> int:
        return self.settle_root(interval, balances_root(leaves))

    def withdraw(
        self, leaf: BalanceLeaf, proof: MerkleProof, amount: int | None = None
    ) -> ContractFunction:
        return self.vault.functions.withdraw(
            leaf.withdrawable if amount is None else amount,
            leaf.withdrawable,
            leaf.encumbered,
            leaf.positions_root,
            proof.index,
            proof.count,
            list(proof.siblings),
        )

    def take(self, leaves: Sequence[BalanceLeaf], account: str, amount: int | None = None) -> int:
        """Withdraw an account's balance under the root of these leaves."""
        leaf, proof = balance_proof(leaves, AccountId(account))
        return self.send(self.withdraw(leaf, proof, amount), account)

    def terms(self) -> tuple[bool, bool, int, int, bytes]:
        paying, halted, committed, settled, root = self.settlement.functions.vault_terms().call()
        return paying, halted, committed, settled, bytes(root)


def balances(
    free: Mapping[str, int], encumbered: Mapping[str, int] | None = None
) -> list[BalanceLeaf]:
    held = encumbered or {}
    return [
        BalanceLeaf(AccountId(a), Cash(amount), Cash(held.get(a, 0)), NO_POSITIONS)
        for a, amount in free.items()
    ]
