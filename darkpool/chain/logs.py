"""Events of a contract, read from a node that may limit how much it tells at once.

A range of blocks that the node refuses is read in pieces, each half as long as the one that was
refused, from the last block backwards.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final

from eth_typing import BlockNumber
from eth_utils.abi import event_abi_to_log_topic
from web3 import Web3
from web3.contract import Contract
from web3.exceptions import Web3RPCError
from web3.types import FilterParams

from darkpool.chain.asking import reading, refusal_code, refusal_text
from darkpool.chain.errors import AnswerTooLarge, ChainUnavailable
from darkpool.units import Interval

PIECES_MAX: Final = 2000
"""So many ranges are asked for before the search counts as unanswered: some minutes."""

NOT_ASKED: Final = "events that were not asked for, with those of blocks"

_METHOD_MISSING: Final = -32601


@dataclass(frozen=True, slots=True)
class Asked:
    """Events of one contract: their names, and what they name, as the contract indexes it.

    First an interval or a hash of leaves, then a settlement.
    """

    contract: Contract
    names: tuple[str, ...]
    interval: Interval | None = None
    settlement: bytes | None = None
    leaf_hash: bytes | None = None

    def named(self) -> dict[str, object]:
        """What every event has to name."""
        fields = ("interval", "settlement", "leaf_hash")
        told = {name: getattr(self, name) for name in fields}
        return {name: value for name, value in told.items() if value is not None}

    def topics(self, names: list[str]) -> list[Any]:
        """What a node is asked for; `names` are the hashes of the events' names."""
        first = self.leaf_hash
        if self.interval is not None:
            first = self.interval.to_bytes(32, "big")
        given = [one and f"0x{one.hex()}" for one in (first, self.settlement)]
        while given and given[-1] is None:
            given.pop()
        return [names, *given]


class LogReader:
    """Reads events from the node, the latest first."""

    def __init__(self, web3: Web3, node: str) -> None:
        self._web3 = web3
        self._node = node

    def backwards(self, asked: Asked, first: int, last: int) -> Iterator[list[Any]]:
        """The events of blocks `first` to `last`, a list for each piece; within it in their order.

        Who has found what it needs stops, and nothing more is asked.

        Raises:
            ChainUnavailable: the node does not answer, refuses single blocks, or allows only
                pieces of which it would take too many.
        """
        size, pieces, searched = last - first + 1, 0, first > 0
        while first <= last:
            lowest = max(first, last - size + 1)
            try:
                found = self._piece(asked, lowest, last)
            except AnswerTooLarge:
                if lowest == last:
                    raise
                if not searched:  # before its contract stands, there is nothing to be read
                    first, searched = self._born(asked.contract, last), True
                size = (last - lowest + 1) // 2
                continue
            pieces += 1
            if pieces == PIECES_MAX and lowest > first:
                reason = f"{size} blocks of {asked.names[0]} at once, of {last - first} to read"
                raise ChainUnavailable(self._node, reason)
            yield found
            last = lowest - 1

    def _piece(self, asked: Asked, first: int, last: int) -> list[Any]:
        contract = asked.contract
        names = {event_abi_to_log_topic(contract.events[n].abi): n for n in asked.names}
        events: list[Any] = []
        place = (-1, -1)
        for log in self._logs(asked, [f"0x{topic.hex()}" for topic in names], first, last):
            name = names.get(bytes(log["topics"][0])) if log["topics"] else None
            in_range = first <= log["blockNumber"] <= last
            if name is None or not in_range or log["address"] != contract.address:
                raise ChainUnavailable(self._node, f"{NOT_ASKED} {first} to {last}")
            before, place = place, (log["blockNumber"], log["logIndex"])
            if place <= before:
                raise ChainUnavailable(
                    self._node, f"events twice, or out of order, {first} to {last}"
                )
            with reading(self._node, "the events of a contract"):
                event = contract.events[name]().process_log(log)
            for name, wanted in asked.named().items():
                if event["args"][name] != wanted:
                    raise ChainUnavailable(self._node, f"{NOT_ASKED} {first} to {last}")
            events.append(event)
        return events

    def _logs(self, asked: Asked, names: list[str], first: int, last: int) -> Sequence[Any]:
        query: FilterParams = {
            "address": asked.contract.address,
            "fromBlock": BlockNumber(first),
            "toBlock": BlockNumber(last),
            "topics": asked.topics(names),
        }
        with reading(self._node, "the events of a contract"):
            try:
                return self._web3.eth.get_logs(query)
            except Web3RPCError as error:
                if refusal_code(error) == _METHOD_MISSING:
                    raise
                raise AnswerTooLarge(self._node, refusal_text(error)) from error

    def _born(self, contract: Contract, last: int) -> int:
        """The first block in which a contract stands; 0 where the node does not know old blocks."""
        lowest, highest = 0, last
        while lowest < highest:
            middle = (lowest + highest) // 2
            try:
                with reading(self._node, "the code of a contract"):
                    there = self._web3.eth.get_code(contract.address, middle)
            except ChainUnavailable:
                return 0
            lowest, highest = (lowest, middle) if there else (middle + 1, highest)
        return lowest
