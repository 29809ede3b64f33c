"""What a chain says, asked without an account and without a key.

The contracts are those of `contracts/`; the package ships what they compile to. Accounts and
contract addresses are `AccountId`s, amounts are integers of the token's smallest unit.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, Final

from eth_hash.auto import keccak
from eth_typing import BlockNumber
from hexbytes import HexBytes
from web3 import Web3
from web3.contract import Contract
from web3.exceptions import TransactionNotFound

from darkpool.chain.artifacts import load_artifact
from darkpool.chain.asking import reading
from darkpool.chain.calls import Call
from darkpool.chain.decoding import batch_of, closing_of, settlement_of
from darkpool.chain.errors import (
    BlockReplaced,
    ChainUnavailable,
    NotDeployed,
    NotFinal,
    SettledOtherwise,
    require_same,
)
from darkpool.chain.evidence import (
    BatchEvidence,
    BlockPoint,
    Deployment,
    IntervalEvidence,
    SettledTrees,
    SettlementEvidence,
    TransactionReceiptInfo,
    VaultPlace,
    VenueStanding,
    info_of,
)
from darkpool.chain.finality import BlockReader, Finality
from darkpool.chain.flowing import FlowCursor, FlowReader, FlowsRead, KnownFlows
from darkpool.chain.logs import Asked, LogReader
from darkpool.chain.quorum import web3_of
from darkpool.chain.settling import KeptSettlement, settled_by
from darkpool.protocol.flows import Flow
from darkpool.units import AccountId, Interval

CONTRACTS: Final = ("TestToken", "Settlement", "CollateralVault")

CLOSING_INTERVAL: Final = Interval((1 << 64) - 1)
"""Under which the vaults keep the closing settlement."""


class ReadableChain:
    """A chain to read from and, once attached, one venue's contracts on it.

    Every question raises `ChainUnavailable` where the node does not answer, or answers nothing that
    can be used. What asks contracts raises `NotDeployed` when there are none.
    """

    def __init__(self, web3: Web3, node: str) -> None:
        self._web3 = web3
        self._node = node
        self._logs = LogReader(web3, node)
        self._blocks = BlockReader(web3, node)
        self._deployment: Deployment | None = None
        self._contracts: dict[tuple[str, str], Contract] = {}
        self._known_flows: dict[tuple[AccountId, int], KnownFlows] = {}

    @classmethod
    def at(cls, urls: str | Sequence[str]) -> ReadableChain:
        """The chain of the node at an HTTP address, or of several, which are asked nothing yet.

        Of several nodes a majority has to answer, and all that do have to agree
        (`darkpool.chain.quorum`).
        """
        return cls(*web3_of(urls))

    @property
    def node(self) -> str:
        """Which node is asked, or how many; an address may hold credentials."""
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
        return self._blocks.height()

    def block_at(self, number: int) -> BlockPoint | None:
        """The block that has a number now; None where the chain has not come so far."""
        return self._blocks.point(number)

    def is_final(self, point: BlockPoint, finality: Finality) -> bool:
        """Whether a block has its place on the chain, and is final there, asked now."""
        try:
            self.require_final(point, finality)
        except (BlockReplaced, NotFinal):
            return False
        return True

    def require_final(
        self, point: BlockPoint, finality: Finality, what: str = "what depends on it"
    ) -> None:
        """Refuse a block that is not final now; `what` is in it.

        Raises:
            BlockReplaced: another block, or none, has its place.
            NotFinal: it has its place, and not enough stands on it.
        """
        self._blocks.require_final(point, finality, what)

    def receipt(self, transaction: bytes) -> TransactionReceiptInfo:
        """The receipt of a transaction that succeeded, whoever sent it.

        Raises:
            ChainUnavailable: the node knows of none.
        """
        with reading(self._node, "the receipt of a transaction"):
            try:
                return info_of(self._web3.eth.get_transaction_receipt(HexBytes(transaction)))
            except TransactionNotFound:
                pass
        raise ChainUnavailable(self._node, f"no receipt of transaction 0x{transaction.hex()}")

    def time(self, block: int | None = None) -> int:
        """When a block was made, in Unix seconds; without a number the last one."""
        with reading(self._node, "a block"):
            number = self._web3.eth.block_number if block is None else BlockNumber(block)
            return self._web3.eth.get_block(number)["timestamp"]

    def code_of(self, address: AccountId) -> bytes:
        """The code that stands at an address; nothing where no contract does."""
        with reading(self._node, "the code of a contract"):
            return bytes(self._web3.eth.get_code(Web3.to_checksum_address(address)))

    def ask(self, call: Call) -> Any:
        """What a contract answers to a call that changes nothing."""
        contract = self._contract(call.kind, call.contract)
        with reading(self._node, f"the answer to {call.function}"):
            return contract.functions[call.function](*call.arguments).call()

    def attach(self, deployment: Deployment) -> None:
        """Use contracts that are already deployed, after checking that they are what they claim.

        Raises:
            WrongDeployment: another chain, other code, another committee or other links between
                the contracts than `deployment` says.
        """
        require_same("chain id", deployment.chain_id, self.chain_id())
        found = self.deployment_at(deployment.settlement, deployment.block)
        for field in ("vaults", "keypers", "quorum", "epoch", "key_id", "circuits"):
            require_same(field.replace("_", " "), getattr(deployment, field), getattr(found, field))
        self._deployment = deployment

    def follow(self, settlement: AccountId) -> Deployment:
        """Use the contracts behind a settlement contract as `attach_at`, unless they are in use."""
        if self._deployment is None or self._deployment.settlement != settlement:
            self.attach_at(settlement)
        return self.deployment

    def attach_at(self, settlement: AccountId, block: int = 0) -> None:
        """Use the venue of a settlement contract, of which nothing else is known.

        Its events are read back to `block`, in which it was created or before. It raises what
        `deployment_at` does.
        """
        self._deployment = self.deployment_at(settlement, block)

    def deployment_at(self, settlement: AccountId, block: int) -> Deployment:
        """Return what a settlement contract and its vaults say of each other.

        Raises:
            WrongDeployment: other code stands at their addresses, or a vault follows another one.
        """
        self._expect_code("Settlement", settlement)
        rules = self._contract("Settlement", settlement).functions
        with reading(self._node, "what contracts say of each other"):
            addresses = tuple(map(AccountId, rules.vault_addresses().call()))
            keypers = tuple(map(AccountId, rules.committee_members().call()))
            quorum, epoch = rules.quorum().call(), rules.epoch().call()
            key_id, circuits = bytes(rules.key_id().call()), bytes(rules.circuits().call())
        vaults = tuple(self._vault_place(settlement, address) for address in addresses)
        chain_id = self.chain_id()
        return Deployment(
            chain_id, block, settlement, vaults, keypers, quorum, epoch, key_id, circuits
        )

    def committee_at(self, block: int) -> tuple[AccountId, ...]:
        """The keypers of the committee at the end of a block, in the order of their numbers."""
        if self.deployment.epoch == 1:
            return self.deployment.keypers
        asked = Asked(self._settlement, ("CommitteeChanged",))
        for piece in self._logs.backwards(asked, self.deployment.block, block):
            if piece:
                return tuple(map(AccountId, piece[-1]["args"]["keypers"]))
        raise ChainUnavailable(self._node, f"no committee at block {block}")

    def deployed_in(self, settlement: AccountId) -> int:
        """The block in which a settlement contract was created, by its first event.

        Raises:
            ChainUnavailable: the node tells no such event.
        """
        asked = Asked(self._contract("Settlement", settlement), ("CommitteeChanged",))
        for piece in self._logs.backwards(asked, 0, self.height()):
            for event in reversed(piece):
                if event["args"]["epoch"] == 1:
                    return int(event["blockNumber"])
        raise ChainUnavailable(self._node, f"no first committee of {settlement}")

    def standing(self) -> VenueStanding:
        """Return where the venue stands now."""
        with reading(self._node, "the standing of a venue"):
            told = self._settlement.functions.standing().call()
        return VenueStanding(*told)

    def flows(self, last: int | None = None, after: int = 0) -> tuple[Flow, ...]:
        """Return the flows in their order, up to the index `last`; without it all there are.

        They are checked against the hash that the contract has of them. Those up to the index
        `after` are left out.
        """
        place = self.deployment.settlement, self.deployment.block
        known = self._known_flows.get(place)
        if known is None:
            known = self._known_flows[place] = KnownFlows(self._flow_reader())
        flows = known.read()
        if last is not None and last > len(flows):
            raise ChainUnavailable(self._node, f"no flow {last} of {len(flows)}")
        return flows[after:last]

    def flows_since(
        self, cursors: Sequence[FlowCursor] = (), until: int | None = None
    ) -> FlowsRead:
        """Return the flows after the last of `cursors` that is still on the chain.

        Cursors are those of earlier readings, as many as the caller kept; without any, or where the
        chain gave all of them up, it is read from the beginning. `until` is the last block to read.

        Raises:
            BlockReplaced: blocks were replaced during each of several readings.
        """
        return self._flow_reader().read(cursors, until)

    def _flow_reader(self) -> FlowReader:
        contract, born = self._settlement, self.deployment.block
        return FlowReader(self._node, self._blocks, self._logs, contract, born)

    def paid(self, vault: AccountId, until: int) -> dict[AccountId, int]:
        """Return what a vault had paid each account by the end of the block `until`."""
        asked = Asked(self._contract("CollateralVault", vault), ("Claimed",))
        paid: dict[AccountId, int] = {}
        for piece in self._logs.backwards(asked, self.deployment.block, until):
            for event in reversed(piece):
                account = AccountId(event["args"]["account"])
                paid.setdefault(account, event["args"]["cumulative"])
        return paid

    def leaves(self, leaf_hash: bytes) -> bytes | None:
        """Return leaves that were published, by keccak-256 of their bytes; None if never."""
        # anybody publishes anything: what has another hash is not even asked for
        asked = Asked(self._settlement, ("LeavesPublished",), leaf_hash=leaf_hash)
        for event in self._backwards(asked):
            data = bytes(event["args"]["leaves"])
            if keccak(data) == leaf_hash:
                return data
        return None

    def evidence(self, interval: Interval, near: Sequence[int] = ()) -> IntervalEvidence:
        """Return all that the chain says about an interval.

        `near` are blocks in which its events may be: they are looked into first.
        """
        standing = self.standing()
        batch = self._batch(interval, near) if interval <= standing.committed else None
        is_open = standing.is_open and standing.committed == interval
        settlement = None
        if batch is not None and not is_open:
            settlement = self._settled(batch, near)
        named = {"BatchCommitted": standing.committed, "BatchSettled": standing.settled}
        for (name, last), found in zip(named.items(), (batch, settlement), strict=True):
            if last == interval != 0 and found is None:
                reason = f"no event {name} of interval {interval}, which the contract names"
                raise ChainUnavailable(self._node, reason)
        voided = batch is not None and settlement is None and not is_open
        if voided and self._event("BatchVoided", interval, near) is None:
            reason = f"neither BatchSettled nor BatchVoided of interval {interval}, which is over"
            raise ChainUnavailable(self._node, reason)
        return IntervalEvidence(
            interval,
            batch,
            settlement,
            voided=voided,
            is_declared=standing.declared_at != 0,
        )

    def committed(self, until: int) -> Iterator[BatchEvidence]:
        """Return the batches that were committed up to a block, the latest first, as asked for."""
        asked = Asked(self._settlement, ("BatchCommitted",))
        for piece in self._logs.backwards(asked, self.deployment.block, until):
            yield from map(batch_of, reversed(piece))

    def void_receipt(self, interval: Interval) -> TransactionReceiptInfo | None:
        """The receipt of what closed a batch that was not settled; None where nothing did."""
        event = self._event("BatchVoided", interval, ())
        return None if event is None else self.receipt(bytes(event["transactionHash"]))

    def settlement_named(self, name: bytes) -> tuple[BatchEvidence, SettlementEvidence] | None:
        """Return the settlement with this struct hash, and its batch; None where there is none."""
        asked = Asked(self._settlement, ("BatchSettled",), settlement=name)
        for event in self._backwards(asked):
            near = (event["blockNumber"],)
            batch = self._batch(Interval(event["args"]["interval"]), ())
            settlement = None if batch is None else self._settled(batch, near)
            if batch is None or settlement is None or settlement.message.struct_hash() != name:
                reason = f"no settlement 0x{name.hex()}, which an event names"
                raise ChainUnavailable(self._node, reason)
            return batch, settlement
        return None

    def settled_at(self, kept: KeptSettlement) -> BlockPoint | None:
        """The block of a kept settlement, whoever sent it; None where it is not on the chain.

        Raises:
            WrongDeployment: another chain, or no settlement contract at the address.
            SettledOtherwise: its interval has settled with another outcome.
        """
        call = kept.call
        require_same("chain id", call.chain_id, self.chain_id())
        self._expect_code("Settlement", call.contract)
        asked = Asked(self._contract("Settlement", call.contract), ("BatchSettled",), kept.interval)
        for piece in self._logs.backwards(asked, 0, self.height()):
            for event in piece:
                if settled_by(event["args"]) != kept.outcome:
                    subject = f"settlement of interval {kept.interval}"
                    raise SettledOtherwise(subject, "the kept one", bytes(event["transactionHash"]))
                return BlockPoint(event["blockNumber"], bytes(event["blockHash"]))
        return None

    def last_settlement(self) -> SettledTrees | None:
        """Return the balances that the vaults pay by; None before the first settlement."""
        standing = self.standing()
        if not standing.settled and not standing.is_closed:
            return None
        flows = 0
        if standing.settled:
            batch = self._batch(standing.settled, ())
            settlement = None if batch is None else self._settled(batch, ())
            if batch is None or settlement is None:
                reason = f"no settlement of interval {standing.settled}, which the contract names"
                raise ChainUnavailable(self._node, reason)
            flows, message = batch.flows, settlement.message
            if not standing.is_closed:
                return SettledTrees(
                    standing.settled,
                    message.trees,
                    message.leaf_hash,
                    message.leaf_blobs,
                    flows,
                    settlement.block,
                )
        for event in self._backwards(Asked(self._settlement, ("Closed",))):
            trees, leaf_hash, blobs = closing_of(event)
            block = event["blockNumber"]
            return SettledTrees(CLOSING_INTERVAL, trees, leaf_hash, blobs, flows, block)
        raise ChainUnavailable(self._node, "no closing settlement, which the contract names")

    @property
    def _settlement(self) -> Contract:
        return self._contract("Settlement", self.deployment.settlement)

    @property
    def _vault(self) -> Contract:
        return self._contract("CollateralVault", self.deployment.vault)

    @property
    def _token(self) -> Contract:
        return self._contract("TestToken", self.deployment.vaults[0].token)

    def _contract(self, name: str, address: str) -> Contract:
        made = self._contracts.get((name, address))
        if made is None:
            place = Web3.to_checksum_address(address)
            made = self._web3.eth.contract(place, abi=load_artifact(name).abi)
            self._contracts[name, address] = made
        return made

    def _expect_code(self, name: str, address: AccountId) -> None:
        runtime = load_artifact(name).runtime
        code = self.code_of(address)
        # what a contract fixes at deployment stands behind its code
        got = _digest(code[: len(runtime)]) if code else f"no contract at {address}"
        require_same(f"code of {name}", _digest(runtime), got)

    def _vault_place(self, settlement: AccountId, vault: AccountId) -> VaultPlace:
        self._expect_code("CollateralVault", vault)
        links = self._contract("CollateralVault", vault).functions
        with reading(self._node, "what contracts say of each other"):
            token, linked = AccountId(links.token().call()), AccountId(links.settlement().call())
            deposit_min = int(links.deposit_min().call())
        require_same("settlement of the vault", settlement, linked)
        return VaultPlace(vault, token, deposit_min)

    def _backwards(self, asked: Asked) -> Iterator[Any]:
        """Events of all blocks, the latest first."""
        for piece in self._logs.backwards(asked, self.deployment.block, self.height()):
            yield from reversed(piece)

    def _batch(self, interval: Interval, near: Sequence[int]) -> BatchEvidence | None:
        event = self._event("BatchCommitted", interval, near)
        return None if event is None else batch_of(event)

    def _settled(self, batch: BatchEvidence, near: Sequence[int]) -> SettlementEvidence | None:
        """The settlement of a batch.

        Raises:
            ChainUnavailable: it is not the one that its own hash names.
        """
        event = self._event("BatchSettled", Interval(batch.message.interval), near)
        return None if event is None else settlement_of(event, batch, self._node)

    def _event(self, name: str, interval: Interval, near: Sequence[int]) -> Any:
        """The one event of its kind for an interval, None where there is none."""
        asked = Asked(self._settlement, (name,), interval)
        height = self.height()
        places = [(block, block) for block in near if block <= height]
        for first, last in (*places, (self.deployment.block, height)):
            for piece in self._logs.backwards(asked, first, last):
                if piece:
                    return piece[-1]
        return None


def _digest(code: bytes) -> str:
    return f"0x{Web3.keccak(code).hex()}"
