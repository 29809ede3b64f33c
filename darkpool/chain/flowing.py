"""The flows of a venue as they come, read from where an earlier reading ended.

A reading ends at a cursor: a block with its hash, and all flows up to it by number and hash. Who
keeps cursors reads on from the last one that is still on the chain. What is read lies between two
blocks of which both are on the chain afterwards, and is checked against the hash of all flows that
the contract has at the second, so flows of two forks are never mixed.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from eth_typing import BlockNumber
from web3.contract import Contract

from darkpool.chain.asking import reading
from darkpool.chain.errors import BlockReplaced, ChainUnavailable
from darkpool.chain.evidence import BlockPoint, VenueStanding
from darkpool.chain.finality import BlockReader
from darkpool.chain.logs import Asked, LogReader
from darkpool.protocol.flows import NO_FLOWS, Flow, FlowKind
from darkpool.units import AccountId

READINGS_MAX: Final = 5
"""So often is a reading made again that a reorganisation came into."""

CURSORS_KEPT: Final = 32
"""Earlier readings to go on from; where a chain gave up all of them, it is read from the start."""


@dataclass(frozen=True, slots=True)
class FlowCursor:
    """Where a reading of flows ended.

    Attributes:
        point: the last block that was read.
        count: flows up to its end; `head` is the 32-byte hash of all of them.
    """

    point: BlockPoint
    count: int
    head: bytes


@dataclass(frozen=True, slots=True)
class FlowsRead:
    """What a reading gave.

    Attributes:
        since: where it began; only the flows up to there are still on the chain.
        flows: all after it, in their order.
        cursor: where it ended.
        replaced: the cursors, of those that were given, whose blocks the chain has given up.
    """

    since: FlowCursor
    flows: tuple[Flow, ...]
    cursor: FlowCursor
    replaced: tuple[FlowCursor, ...]


class KnownFlows:
    """All flows of a contract: each reading asks for what came since those before it."""

    def __init__(self, reader: FlowReader) -> None:
        self._reader = reader
        self._cursors: tuple[FlowCursor, ...] = ()
        self._flows: tuple[Flow, ...] = ()

    def read(self) -> tuple[Flow, ...]:
        """All flows up to the last block, in their order.

        Raises:
            BlockReplaced, ChainUnavailable: see `FlowReader.read`.
        """
        read = self._reader.read(self._cursors, None)
        stand = [c for c in self._cursors if c not in read.replaced and c != read.cursor]
        self._flows = self._flows[: read.since.count] + read.flows
        self._cursors = (*stand, read.cursor)[-CURSORS_KEPT:]
        return self._flows


class FlowReader:
    """Reads the flows of a settlement contract that was deployed in the block `born`."""

    def __init__(
        self, node: str, blocks: BlockReader, logs: LogReader, settlement: Contract, born: int
    ) -> None:
        self._node = node
        self._blocks = blocks
        self._logs = logs
        self._settlement = settlement
        self._born = born

    def read(self, cursors: Sequence[FlowCursor], until: int | None) -> FlowsRead:
        """Read on from the last of `cursors` that is on the chain, to the end of block `until`.

        Without `until` it is the last block; cursors beyond it are passed over.

        Raises:
            BlockReplaced: blocks were replaced during each of several readings.
            ChainUnavailable: the events are not those that the contract speaks of.
        """
        for _ in range(READINGS_MAX):
            last = self._blocks.height() if until is None else until
            end = self._existing(last)
            usable = [cursor for cursor in cursors if cursor.point.number <= last]
            since, replaced = self._common(usable)
            try:
                read = self._between(since, end, replaced)
            except ChainUnavailable:
                if self._stand(since, end):
                    raise
                continue
            if self._stand(since, end):
                return read
        found = self._blocks.point(end.number)
        raise BlockReplaced(end.number, end.hash, b"" if found is None else found.hash)

    def _existing(self, number: int) -> BlockPoint:
        found = self._blocks.point(number)
        if found is None:
            raise ChainUnavailable(self._node, f"no block {number}")
        return found

    def _stand(self, since: FlowCursor, end: BlockPoint) -> bool:
        return self._blocks.has(end) and self._blocks.has(since.point)

    def _common(self, cursors: Sequence[FlowCursor]) -> tuple[FlowCursor, tuple[FlowCursor, ...]]:
        """The last cursor on the chain, and those after it, which are not."""
        ordered = sorted(cursors, key=lambda cursor: cursor.point.number)
        replaced: list[FlowCursor] = []
        for cursor in reversed(ordered):
            if self._blocks.has(cursor.point):
                return cursor, tuple(reversed(replaced))
            replaced.append(cursor)
        before = self._existing(max(self._born - 1, 0))
        return FlowCursor(before, 0, NO_FLOWS), tuple(ordered)

    def _between(
        self, since: FlowCursor, end: BlockPoint, replaced: tuple[FlowCursor, ...]
    ) -> FlowsRead:
        count, head = self._told_at(end)
        found = self._events(since, end, count)
        reached, flows = since.head, []
        for index in range(since.count + 1, count + 1):
            flow = self._flow(found[index])
            reached = flow.head_after(reached)
            if reached != bytes(found[index]["head"]):
                raise ChainUnavailable(self._node, f"a flow {index} that its hash is not of")
            flows.append(flow)
        if reached != head:
            reason = f"flows up to {count} that the contract's hash is not of"
            raise ChainUnavailable(self._node, reason)
        return FlowsRead(since, tuple(flows), FlowCursor(end, count, head), replaced)

    def _told_at(self, end: BlockPoint) -> tuple[int, bytes]:
        """How many flows the contract counts at the end of a block, and their hash."""
        if end.number < self._born:
            return 0, NO_FLOWS
        block, functions = BlockNumber(end.number), self._settlement.functions
        with reading(self._node, "the flows of a venue"):
            standing = VenueStanding(*functions.standing().call(block_identifier=block))
            head = bytes(functions.flows_head().call(block_identifier=block))
        return standing.flows, head

    def _events(self, since: FlowCursor, end: BlockPoint, count: int) -> dict[int, Any]:
        found: dict[int, Any] = {}
        missing = count - since.count
        asked = Asked(self._settlement, ("Flow",))
        first = since.point.number + 1
        pieces = self._logs.backwards(asked, first, end.number) if missing > 0 else ()
        for piece in pieces:
            told = (event["args"] for event in piece)
            found |= {one["index"]: one for one in told if since.count < one["index"] <= count}
            if len(found) == missing:
                break
        for index in range(since.count + 1, count + 1):
            if index not in found:
                raise ChainUnavailable(self._node, f"no flow {index} of {count}")
        return found

    def _flow(self, told: Any) -> Flow:
        with reading(self._node, "a flow"):
            kind = FlowKind(told["kind"])
        vault, account = AccountId(told["vault"]), AccountId(told["account"])
        return Flow(told["index"], kind, vault, account, told["amount"], told["number"])
