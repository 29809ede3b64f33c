"""A venue's contracts on a chain of their own, driven by nothing but what the contracts say."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import astuple, replace
from typing import Any, cast

import pytest
from eth_hash.auto import keccak
from eth_tester import EthereumTester, PyEVMBackend
from eth_tester.exceptions import TransactionFailed
from web3 import EthereumTesterProvider, Web3
from web3.contract import Contract
from web3.contract.contract import ContractFunction
from web3.types import TxParams

from crypto.signing.ecdsa import address_of, sign
from crypto.signing.eip712 import Domain, TypedMessage
from crypto.signing.settling import BatchRoot, Closing, Settlement, Tree
from crypto.signing.sum_tree import SumLeaf, SumTree
from darkpool.chain.artifacts import load_artifact

GAS = 16_000_000
"""More than any transaction of a test needs, and what the embedded chain puts into a block."""

DAY_S = 86_400
ZERO = bytes(32)
BATCH = b"\xba" * 32
FILLS = b"\xf1" * 32
STATE = b"\x57" * 32
TERMS = b"\x7e" * 32
PLAN = b"\x91" * 32
KEY_ID = b"\x1d" * 32
CIRCUITS = b"\xc1" * 32
PERMIT2 = "0x000000000022D473030F116dDEE9F6B43aC78BA3"
FUND_ACCOUNT = bytes(19) + b"\x02"
TREASURY_ACCOUNT = bytes(19) + b"\x03"
RETIRED_ACCOUNT = bytes(19) + b"\x01"
Code = tuple[list[dict[str, Any]], bytes]


class CustodyContracts:
    """Contracts, keypers' keys, and accounts that can send transactions."""

    def __init__(
        self,
        tokens: Sequence[Code] = (),
        accounts_max: int = 1000,
        deposit_min: int = 1,
        permit2: Code | None = None,
        started_at: int | None = None,
    ) -> None:
        self.tester = EthereumTester(PyEVMBackend())
        if started_at is not None:
            self.tester.time_travel(started_at)
        self.web3 = Web3(EthereumTesterProvider(self.tester))
        self.operator, *others = [str(account) for account in self.web3.eth.accounts]
        self.accounts = others[:5]
        self.stranger, self.fund_owner, self.treasury_owner = others[5:8]
        self.rescuer = others[8]
        self.keys = [bytes([number]) * 32 for number in range(1, 5)]
        self.keypers = [Web3.to_checksum_address(address_of(key)) for key in self.keys]
        codes = tokens or [shipped("TestToken")]
        self.tokens = [self.deploy(*code) for code in codes]
        self.permit2 = self.deploy(*permit2).address if permit2 else PERMIT2
        vault_abi, blueprint_code = shipped("CollateralVault")
        self.blueprint = self.deploy(vault_abi, blueprint_code)
        terms = [(token.address, deposit_min, accounts_max) for token in self.tokens]
        parties = (self.fund_owner, self.treasury_owner, self.rescuer, self.permit2)
        abi, code = shipped("Settlement")
        arguments = (self.keypers, KEY_ID, CIRCUITS, self.blueprint.address, terms, parties)
        self.settlement = self.deploy(abi, code, *arguments)
        addresses = self.settlement.functions.vault_addresses().call()
        self.vaults = [self.web3.eth.contract(a, abi=vault_abi) for a in addresses]
        self.vault, self.token = self.vaults[0], self.tokens[0]
        self.domain = Domain(self.web3.eth.chain_id, Web3.to_bytes(hexstr=self.settlement.address))
        self.batch = BatchRoot(0, ZERO, 0, ZERO, ZERO, ZERO, 0)

    def deploy(self, abi: list[dict[str, Any]], code: bytes, *arguments: object) -> Contract:
        constructor = self.web3.eth.contract(abi=abi, bytecode=code)
        payer = Web3.to_checksum_address(self.operator)
        parameters: TxParams = {"from": payer, "gas": GAS}
        if arguments or any(item["type"] == "constructor" for item in abi) is False:
            sent = constructor.constructor(*arguments).transact(parameters)
        else:
            sent = self.web3.eth.send_transaction({**parameters, "data": code})
        receipt = self.web3.eth.wait_for_transaction_receipt(sent)
        if receipt["status"] != 1:
            constructor.constructor(*arguments).estimate_gas(parameters)
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
        here, batch = self.tester.take_snapshot(), self.batch
        yield
        self.tester.revert_to_snapshot(here)
        self.batch = batch

    def now(self) -> int:
        """The time of the next block, in seconds."""
        return int(self.tester.get_block_by_number("pending")["timestamp"])

    def pass_time(self, seconds: int) -> None:
        self.tester.time_travel(self.now() + seconds)

    def fund(self, amount: int = 10**12) -> None:
        """Give every account tokens, and the vaults leave to take them."""
        for token, vault in zip(self.tokens, self.vaults, strict=True):
            for account in (*self.accounts, self.operator):
                self.send(token.functions.mint(account, amount))
                self.send(token.functions.approve(vault.address, 2**255), account)

    def held(self, owner: str | None = None, vault: int = 0) -> int:
        holder = owner or self.vaults[vault].address
        return int(self.tokens[vault].functions.balanceOf(holder).call())

    def deposit(self, account: str, amount: int, vault: int = 0) -> int:
        """Pay in for an account; return the deposit's number."""
        self.send(self.vaults[vault].functions.deposit(account, amount), account)
        return int(self.standing()["flows"])

    def standing(self) -> dict[str, Any]:
        names = [
            "committed",
            "settled",
            "committed_at",
            "is_open",
            "must_be_empty",
            "flows",
            "flows_committed",
            "settled_at",
            "waiting_since",
            "declared_at",
            "is_closed",
        ]
        return dict(zip(names, self.settlement.functions.standing().call(), strict=True))

    def signatures(self, message: TypedMessage, keys: Sequence[bytes] = ()) -> bytes:
        digest = message.digest(self.domain)
        return b"".join(sign(digest, key) for key in keys or self.keys[:3])

    def batch_for(self, interval: int, count: int = 1, **changes: Any) -> BatchRoot:
        """The batch that could be committed next."""
        previous = bytes(self.settlement.functions.last_settlement().call())
        commit_by = self.now() + DAY_S
        batch = BatchRoot(interval, BATCH, count, previous, TERMS, PLAN, commit_by)
        return replace(batch, **changes)

    def commit(self, interval: int, count: int = 1, **changes: Any) -> int:
        batch = self.batch_for(interval, count, **changes)
        gas = self.send(self.commit_function(batch))
        self.batch = batch
        return gas

    def commit_function(
        self, batch: BatchRoot, signatures: bytes | None = None
    ) -> ContractFunction:
        named = (batch.interval, batch.root, batch.count, batch.terms, batch.plan, batch.commit_by)
        signed = self.signatures(batch) if signatures is None else signatures
        return self.settlement.functions.commit_batch(named, signed)

    def trees(self, balances: Sequence[Sequence[SumLeaf]]) -> tuple[Tree, ...]:
        """A tree for each vault; vaults that are not named own nothing."""
        full = [*balances, *[[]] * (len(self.vaults) - len(balances))]
        made = [SumTree(leaves) for leaves in full]
        return tuple(
            Tree(Web3.to_bytes(hexstr=vault.address), tree.root, tree.exit_total, tree.claim_total)
            for vault, tree in zip(self.vaults, made, strict=True)
        )

    def settlement_of(
        self, balances: Sequence[Sequence[SumLeaf]], results: bytes = b"", **changes: Any
    ) -> Settlement:
        """The settlement of the open batch."""
        message = Settlement(
            interval=self.batch.interval,
            batch_root=self.batch.root,
            previous_settlement=self.batch.previous_settlement,
            flows=bytes(self.settlement.functions.batch_flows_head().call()),
            results=keccak(results),
            prices=ZERO,
            fills_root=FILLS,
            state_root=STATE,
            trees=self.trees(balances),
            leaf_hash=keccak(b""),
            leaf_blobs=(),
            record_digest=ZERO,
            terms=self.batch.terms,
        )
        return replace(message, **changes)

    def settle_function(
        self, message: Settlement, results: bytes = b"", signatures: bytes | None = None
    ) -> ContractFunction:
        signed = self.signatures(message) if signatures is None else signatures
        return self.settlement.functions.settle(
            message.interval, outcome_of(message), trees_of(message), results, signed
        )

    def settle(self, *balances: Sequence[SumLeaf]) -> int:
        return self.send(self.settle_function(self.settlement_of(balances)))

    def closing_of(self, *balances: Sequence[SumLeaf]) -> Closing:
        return Closing(
            declared_at=self.standing()["declared_at"],
            previous_settlement=bytes(self.settlement.functions.last_settlement().call()),
            prices=ZERO,
            state_root=STATE,
            trees=self.trees(balances),
            leaf_hash=keccak(b""),
            leaf_blobs=(),
            record_digest=ZERO,
            terms=TERMS,
        )

    def close_function(self, message: Closing, signatures: bytes | None = None) -> ContractFunction:
        signed = self.signatures(message) if signatures is None else signatures
        return self.settlement.functions.close(
            outcome_of(message), trees_of(message), message.terms, signed
        )

    def claim_function(
        self,
        interval: int,
        leaves: Sequence[SumLeaf],
        account: str,
        to: str | None = None,
        vault: int = 0,
    ) -> ContractFunction:
        leaf, proof = proven(leaves, account)
        functions = self.vaults[vault].functions
        made: ContractFunction = functions.claim(interval, leaf, proof, to or account)
        return made

    def claim(
        self, interval: int, leaves: Sequence[SumLeaf], account: str, to: str | None = None
    ) -> int:
        return self.send(self.claim_function(interval, leaves, account, to), account)

    def leave_function(
        self, leaves: Sequence[SumLeaf], account: str, to: str | None = None, vault: int = 0
    ) -> ContractFunction:
        leaf, proof = proven(leaves, account)
        made: ContractFunction = self.vaults[vault].functions.leave(leaf, proof, to or account)
        return made

    def leave(self, leaves: Sequence[SumLeaf], account: str, to: str | None = None) -> int:
        return self.send(self.leave_function(leaves, account, to), account)

    def totals(self, vault: int = 0) -> tuple[int, ...]:
        """Last interval, exits, claims, paid, counted, unsettled."""
        return tuple(self.vaults[vault].functions.totals().call())


def shipped(name: str) -> Code:
    artifact = load_artifact(name)
    return artifact.abi, artifact.bytecode


def outcome_of(message: Settlement | Closing) -> tuple[Any, ...]:
    fills = message.fills_root if isinstance(message, Settlement) else ZERO
    return (
        message.prices,
        fills,
        message.state_root,
        message.leaf_hash,
        list(message.leaf_blobs),
        message.record_digest,
    )


def trees_of(message: Settlement | Closing) -> list[tuple[Any, ...]]:
    return [(Web3.to_checksum_address(tree.vault), *astuple(tree)[1:]) for tree in message.trees]


def leaves_of(amounts: Mapping[str, tuple[int, int]]) -> list[SumLeaf]:
    """Leaves of exit value and claimable, in their order."""
    leaves = [SumLeaf(bytes.fromhex(a[2:]), *pair) for a, pair in amounts.items()]
    return sorted(leaves, key=lambda leaf: leaf.account)


def proven(leaves: Sequence[SumLeaf], account: str) -> tuple[Any, Any]:
    """The leaf and the proof of an account, as the contracts take them."""
    name = bytes.fromhex(account[2:])
    place = [leaf.account for leaf in leaves].index(name)
    proof = SumTree(leaves).proof(place)
    leaf = (account, leaves[place].exit_value, leaves[place].claimable)
    return leaf, (proof.index, proof.count, list(proof.siblings), list(proof.sums))
