"""What a chain says, asked without an account and without a key.

The contracts are those of `contracts/`; the package ships what they compile to. Accounts and
contract addresses are `AccountId`s, amounts are integers of the token's smallest unit.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import astuple
from typing import Any, Final

from eth_abi.abi import encode
from web3 import Web3
from web3.contract import Contract

from darkpool.chain.artifacts import load_artifact
from darkpool.chain.asking import reading
from darkpool.chain.errors import ChainUnavailable, NotDeployed, SettledOtherwise, WrongDeployment
from darkpool.chain.evidence import (
    AccountFlow,
    BatchEvidence,
    Collateral,
    Deployment,
    IntervalEvidence,
    SettlementEvidence,
    VaultTerms,
    keyper_numbers,
)
from darkpool.chain.logs import Asked, LogReader
from darkpool.chain.node import web3_of
from darkpool.chain.settling import KeptSettlement
from darkpool.protocol.results import InstrumentResult
from darkpool.units import AccountId, Cash, InstrumentId, Interval, Lots, Tick

CONTRACTS: Final = ("TestToken", "Settlement", "CollateralVault")

_RESULTS: Final = "(bytes32,bool,uint32,uint64)[]"

_FLOWS: Final = ("Deposited", "Withdrawn", "Reclaimed")


class ReadableChain:
    """A chain to read from and, once attached, one venue's contracts on it.

    Every question raises `ChainUnavailable` where the node does not answer, or answers nothing that
    can be used. What asks contracts raises `NotDeployed` when there are none.
    """

    def __init__(self, web3: Web3, node: str) -> None:
        self._web3 = web3
        self._node = node
        self._logs = LogReader(web3, node)
        self._deployment: Deployment | None = None

    @classmethod
    def at(cls, url: str) -> ReadableChain:
        """The chain of the node at an HTTP address, which is asked nothing yet."""
        return cls(web3_of(url), url)

    @property
    def node(self) -> str:
        """Which node is asked; an address may hold credentials."""
        return self._node

    @property
    def deployment(self) -> Deployment:
        """The contracts in use."""
        if self._deployment is None:
            raise NotDeployed
        return self._deployment

    def chain_id(self) -> int:
        """The number of the chain."""
        with reading(self._node, "the number of a chain"):
            return self._web3.eth.chain_id

    def height(self) -> int:
        """The number of the last block."""
        with reading(self._node, "the number of a block"):
            return self._web3.eth.block_number

    def attach(self, deployment: Deployment) -> None:
        """Use contracts that are already deployed, after checking that they are what they claim.

        Raises:
            WrongDeployment: another chain, other code, another committee or other links between
                the contracts than `deployment` says.
        """
        _expect("chain id", deployment.chain_id, self.chain_id())
        self._expect_code("TestToken", deployment.token)
        found = self.deployment_at(deployment.settlement, deployment.vault, deployment.block)
        for field in ("keypers", "quorum", "operator", "settlement", "token"):
            what = f"{field} of the vault" if field in ("settlement", "token") else field
            _expect(what, getattr(deployment, field), getattr(found, field))
        self._deployment = deployment

    def deployment_at(self, settlement: AccountId, vault: AccountId, block: int) -> Deployment:
        """Return what two contracts say of each other; `attach` checks them.

        Raises:
            WrongDeployment: other code stands at their addresses.
        """
        self._expect_code("Settlement", settlement)
        self._expect_code("CollateralVault", vault)
        rules = self._contract("Settlement", settlement).functions
        links = self._contract("CollateralVault", vault).functions
        chain_id = self.chain_id()
        with reading(self._node, "what contracts say of each other"):
            token, linked = AccountId(links.token().call()), AccountId(links.settlement().call())
            operator, quorum = AccountId(rules.operator().call()), rules.quorum().call()
            keypers = tuple(map(AccountId, rules.committee().call()))
        return Deployment(chain_id, block, token, linked, vault, operator, keypers, quorum)

    def collateral(self, account: AccountId) -> Collateral:
        """Return what an account paid in and took out, and what no settled root counts yet."""
        vault = self._vault.functions
        with reading(self._node, "the collateral of an account"):
            return Collateral(
                deposited=Cash(vault.deposited(account).call()),
                withdrawn=Cash(vault.withdrawn(account).call()),
                reclaimable=Cash(vault.reclaimable(account).call()),
            )

    def vault_terms(self) -> VaultTerms:
        """Return whether the vault pays now, and by which root."""
        settlement = self._settlement.functions
        with reading(self._node, "the terms of a vault"):
            paying, halted, committed, settled, root = settlement.vault_terms().call()
        return VaultTerms(paying, halted, Interval(committed), Interval(settled), bytes(root))

    def flows_before(
        self, interval: Interval, until: int | None = None
    ) -> dict[AccountId, AccountFlow]:
        """Return every account's deposits and withdrawals before an interval's batch was committed.

        These are exactly what the interval's balances root has to count. None of them is in a block
        after that of the commitment: where it is known, `until` names it.
        """
        deposited: dict[AccountId, int] = {}
        withdrawn: dict[AccountId, int] = {}
        last = self.height() if until is None else until
        asked = Asked(self._vault, _FLOWS)
        for piece in self._logs.backwards(asked, self.deployment.block, last):
            for event in piece:
                if event["args"]["after_interval"] < interval:
                    side = deposited if event["event"] == "Deposited" else withdrawn
                    account = AccountId(event["args"]["account"])
                    side[account] = side.get(account, 0) + event["args"]["amount"]
        return {
            account: AccountFlow(Cash(deposited.get(account, 0)), Cash(withdrawn.get(account, 0)))
            for account in sorted({*deposited, *withdrawn})
        }

    def evidence(self, interval: Interval, near: Sequence[int] = ()) -> IntervalEvidence:
        """Return all that the chain says about an interval.

        `near` are blocks in which its events may be: they are looked into first.
        """
        rules = self._settlement.functions
        with reading(self._node, "the batch of an interval"):
            *committed, committed_at = rules.batches(interval).call()
            roots = tuple(map(bytes, rules.settlements(interval).call()))
            is_open = rules.open_batch().call() == interval
        is_settled, is_committed = any(map(any, roots)), committed_at != 0
        batch = self._batch(interval, near, committed) if is_committed else None
        settlement = self._settled(interval, near, roots) if is_settled else None
        return IntervalEvidence(
            interval,
            self._is_first(interval, None if batch is None else batch.block),
            batch,
            settlement,
            voided=is_committed and not is_settled and not is_open,
            halted=self.vault_terms().halted,
        )

    def has_settled(self, kept: KeptSettlement) -> bool:
        """Whether a kept settlement is on the chain already; any account may have sent it.

        Raises:
            WrongDeployment: another chain, or no settlement contract at the address.
            SettledOtherwise: its interval has settled with other roots.
        """
        call = kept.call
        _expect("chain id", call.chain_id, self.chain_id())
        self._expect_code("Settlement", call.contract)
        rules = self._contract("Settlement", call.contract).functions
        with reading(self._node, "the settlement of an interval"):
            _, fills_root, balances_root = map(bytes, rules.settlements(kept.interval).call())
        if not any(balances_root):
            return False
        for what, expected, got in (
            ("fills root", kept.fills_root, fills_root),
            ("balances root", kept.balances_root, balances_root),
        ):
            if got != expected:
                raise SettledOtherwise(f"{what} of interval {kept.interval}", expected, got)
        return True

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

    def _expect_code(self, name: str, address: AccountId) -> None:
        runtime = load_artifact(name).runtime
        with reading(self._node, "the code of a contract"):
            code = bytes(self._web3.eth.get_code(Web3.to_checksum_address(address)))
        # what a contract fixes at deployment stands behind its code
        got = _digest(code[: len(runtime)]) if code else f"no contract at {address}"
        _expect(f"code of {name}", _digest(runtime), got)

    def _batch(
        self, interval: Interval, near: Sequence[int], committed: Sequence[Any]
    ) -> BatchEvidence:
        event = self._event("BatchCommitted", interval, near)
        arguments = event["args"]
        if [arguments["root"], arguments["count"]] != committed:
            raise self._contradiction(interval)
        return BatchEvidence(
            root=bytes(arguments["root"]),
            count=arguments["count"],
            signers=keyper_numbers(arguments["signers"]),
            transaction=bytes(event["transactionHash"]),
            block=event["blockNumber"],
        )

    def _settled(
        self, interval: Interval, near: Sequence[int], roots: tuple[bytes, ...]
    ) -> SettlementEvidence:
        """What events tell of a settlement, which is what the contract says of it in three roots.

        Raises:
            ChainUnavailable: the events are others, or some of them are lacking.
        """
        event = self._event("BatchSettled", interval, near)
        arguments, block = event["args"], event["blockNumber"]
        told = tuple(bytes(arguments[f"{name}_root"]) for name in ("results", "fills", "balances"))
        results = self._results(interval, block)
        if told != roots or _results_root(results) != roots[0]:
            raise self._contradiction(interval)
        results_root, fills_root, balances_root = roots
        return SettlementEvidence(
            results=results,
            results_root=results_root,
            fills_root=fills_root,
            balances_root=balances_root,
            signers=keyper_numbers(arguments["signers"]),
            transaction=bytes(event["transactionHash"]),
            block=block,
        )

    def _contradiction(self, interval: Interval) -> ChainUnavailable:
        reason = f"events of interval {interval} that are not what its contract says"
        return ChainUnavailable(self._node, reason)

    def _results(self, interval: Interval, block: int) -> tuple[InstrumentResult, ...]:
        """All of them are told by the transaction that settled."""
        asked = Asked(self._settlement, ("InstrumentSettled",), interval)
        return tuple(
            InstrumentResult(
                instrument=InstrumentId(bytes(event["args"]["instrument"])),
                crossed=event["args"]["crossed"],
                price_tick=Tick(event["args"]["price_tick"]),
                volume=Lots(event["args"]["volume"]),
            )
            for piece in self._logs.backwards(asked, block, block)
            for event in piece
        )

    def _event(self, name: str, interval: Interval, near: Sequence[int]) -> Any:
        """The one event of its kind for an interval, which the contract says there is."""
        asked = Asked(self._settlement, (name,), interval)
        height = self.height()
        places = [(block, block) for block in near if block <= height]
        for first, last in (*places, (self.deployment.block, height)):
            for piece in self._logs.backwards(asked, first, last):
                if piece:
                    return piece[-1]
        reason = f"no event {name} of interval {interval}, which the contract says there was"
        raise ChainUnavailable(self._node, reason)

    def _is_first(self, interval: Interval, committed: int | None) -> bool:
        """Whether nothing was settled in any interval before.

        What was is in a block before that of the commitment, or in the same one.
        """
        asked = Asked(self._settlement, ("BatchSettled",))
        last = self.height() if committed is None else committed
        pieces = self._logs.backwards(asked, self.deployment.block, last)
        return not any(event["args"]["interval"] < interval for piece in pieces for event in piece)


def _results_root(results: Sequence[InstrumentResult]) -> bytes:
    return bytes(Web3.keccak(encode([_RESULTS], [[astuple(result) for result in results]])))


def _expect(what: str, expected: object, got: object) -> None:
    if got != expected:
        raise WrongDeployment(what, expected, got)


def _digest(code: bytes) -> str:
    return f"0x{Web3.keccak(code).hex()}"
