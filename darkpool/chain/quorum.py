"""Several nodes that are asked as one: a majority has to answer, and all that answer have to agree.

This is a provider of web3's, so it is the one place that every question goes through: nothing that
is built on it can forget to compare. Honest nodes are a few blocks apart, so a question about the
last block is asked of all at one block, the last that a majority has reached. A node that has not
come to the block of a question is not heard, like one that does not answer: some nodes answer for
blocks that they do not have, with nothing. So one node alone can stop a venue, by an answer of its
own, and cannot mislead it; whoever runs the venue sees both answers, and decides.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, wait
from dataclasses import dataclass, field
from threading import Thread
from typing import Any, Final

from web3 import Web3
from web3.middleware import AttributeDictMiddleware
from web3.providers import JSONBaseProvider
from web3.types import RPCEndpoint, RPCResponse

from darkpool.chain.differing import comparable, first_difference
from darkpool.chain.errors import AnswerTooLarge, ChainUnavailable, DisagreeingNodes, NodeBusy
from darkpool.chain.node import ANSWER_TIMEOUT_S, Node, Patience
from darkpool.units import within

NODES_MAX: Final = 16
GRACE_S: Final = 2
"""How long the answers of the others are awaited when a majority has answered."""
FORK_PATIENCE_S: Final = 30
"""How long nodes may disagree: near the end of a chain, honest ones do for a block or two."""

_HEIGHT: Final = "eth_blockNumber"
_BLOCK: Final = "eth_getBlockByNumber"
_BLOCK_PLACES: Final = {"eth_call": 1, "eth_getCode": 1, _BLOCK: 0}
"""Methods that name a block, and where among their parameters."""
_AGREED: Final = {*_BLOCK_PLACES, "eth_chainId", "eth_getLogs", "eth_getTransactionReceipt"}
_REACHED: Final = {_HEIGHT, "eth_getTransactionCount"}
"""Methods that give a number which grows: a majority has reached it."""
_MIDDLE: Final = {"eth_estimateGas", "eth_gasPrice", "eth_maxPriorityFeePerGas"}
"""Methods that give a number on which honest nodes differ: no minority can choose it."""
_ANY: Final = {"eth_getTransactionByHash", "eth_sendRawTransaction"}
"""Methods that one node answers for all."""


@dataclass(slots=True)
class _Votes:
    """What came of asking all nodes once, in their order."""

    majority: int
    said: list[tuple[Node, Any]] = field(default_factory=list)
    nothing: int = 0
    refusals: list[RPCResponse | ChainUnavailable] = field(default_factory=list)
    busy: list[NodeBusy] = field(default_factory=list)

    def add(self, node: Node, answer: RPCResponse | ChainUnavailable) -> None:
        if isinstance(answer, NodeBusy):
            self.busy.append(answer)
        elif isinstance(answer, ChainUnavailable) or "error" in answer:
            self.refusals.append(answer)
        elif answer["result"] is None:
            self.nothing += 1
        else:
            self.said.append((node, answer["result"]))

    def numbers(self) -> list[int]:
        return sorted(int(value, 16) for _, value in self.said)

    def refused(self) -> RPCResponse:
        """The error of the nodes; that there is too much of an answer goes before others."""
        first = self.refusals[0]
        for refusal in self.refusals:
            if isinstance(refusal, AnswerTooLarge):
                raise refusal
        if isinstance(first, ChainUnavailable):
            raise first
        return first

    def lacking(self, name: str) -> NodeBusy:
        reasons = [*self.busy, *(one for one in self.refusals if isinstance(one, ChainUnavailable))]
        told = f": {reasons[0].node} has {reasons[0].reason}" if reasons else ""
        count = len(self.said) + self.nothing
        return NodeBusy(name, f"{count} answers of the {self.majority} that are needed{told}")


Deciding = Callable[[_Votes], Any]
"""What votes decide, as (value,); None where they do not."""


class Quorum(JSONBaseProvider):
    """The nodes at several addresses, as web3 asks them.

    Raises:
        OutOfBounds: an address twice, or too many of them.
    """

    # what a contract answers never makes this program fetch another address
    global_ccip_read_enabled = False

    def __init__(self, urls: Sequence[str]) -> None:
        super().__init__()
        self._nodes = [Node(url) for url in urls]
        within("addresses of nodes", 1, NODES_MAX, len(urls))
        within("different addresses of nodes", len(urls), len(urls), len(set(urls)))
        self.majority: Final = len(urls) // 2 + 1
        self.name: Final = f"a majority of {len(urls)} nodes"
        self._heights = [-1] * len(urls)
        self._asked: list[Future[RPCResponse] | None] = [None] * len(urls)

    def make_request(self, method: RPCEndpoint, params: Any) -> RPCResponse:
        """Ask all nodes, and again where that may help.

        Raises:
            DisagreeingNodes: two nodes give different answers to what has one.
            NodeBusy: too few nodes answered, for too long.
            AnswerTooLarge, ChainUnavailable: too few nodes give an answer.
        """
        if method == "eth_accounts":  # each node would sign with a key of its own
            return _response([])
        if method in _AGREED:
            return self._ask_agreed(method, list(params))
        if method in _REACHED:
            return self._ask(method, params, _reached)
        if method in _MIDDLE:
            return self._ask(method, params, _middle)
        if method in _ANY:
            return self._ask(method, params, _any)
        raise ChainUnavailable(self.name, f"no answer to {method}, which is asked of one node")

    def _ask_agreed(self, method: RPCEndpoint, params: list[Any]) -> RPCResponse:
        """Ask what has one answer; where nodes are on two forks, until the fork is over."""
        patience = Patience(FORK_PATIENCE_S)
        while True:
            asked, block = self._pinned(method, params)
            if method == _BLOCK and block is not None and not self._has(block):
                return _response(None)
            try:
                return self._ask(method, asked, lambda votes: _agreed(method, votes), block)
            except DisagreeingNodes:
                if method == "eth_chainId" or not patience.wait():
                    raise

    def _pinned(self, method: str, params: list[Any]) -> tuple[list[Any], int | None]:
        """The question at one block for all nodes, and that block."""
        if method == "eth_getLogs":
            return params, int(params[0]["toBlock"], 16)
        place = _BLOCK_PLACES.get(method)
        if place is None:
            return params, None
        named = params[place]
        if named == "finalized":
            finalized = self._ask(RPCEndpoint(_BLOCK), params, _reached_block)
            block = int(finalized["result"], 16)
        else:
            block = self._height() if named == "latest" else int(named, 16)
        return [*params[:place], hex(block), *params[place + 1 :]], block

    def _height(self) -> int:
        return int(self._ask(RPCEndpoint(_HEIGHT), [], _reached)["result"], 16)

    def _has(self, block: int) -> bool:
        """Whether a majority has come to a block."""
        came = sum(height >= block for height in self._heights)
        return came >= self.majority or block <= self._height()

    def _ask(
        self, method: RPCEndpoint, params: Any, decide: Deciding, block: int | None = None
    ) -> RPCResponse:
        """Ask all nodes until their answers decide, or so many refuse that they never will."""
        patience = Patience()
        while True:
            votes = self._round(method, params, block)
            decided = decide(votes)
            if decided is not None:
                return _response(decided[0])
            if len(votes.refusals) > len(self._nodes) - self.majority:
                return votes.refused()
            if not patience.wait():
                raise votes.lacking(self.name)

    def _round(self, method: RPCEndpoint, params: Any, block: int | None) -> _Votes:
        """Ask every node once that is not still at an earlier question."""
        asked: dict[int, Future[RPCResponse]] = {}
        for place, before in enumerate(self._asked):
            if before is None or before.done():
                asked[place] = self._asked[place] = self._start(place, method, params, block)
        self._await(asked.values())
        votes = _Votes(self.majority)
        for place, node in enumerate(self._nodes):
            votes.add(node, _outcome(node, asked.get(place)))
        return votes

    def _await(self, asked: Any) -> None:
        """Wait for all answers; for the last ones not long when a majority is there."""
        pending, give_up_at, answered = set(asked), time.monotonic() + ANSWER_TIMEOUT_S, 0
        while pending:
            left_s = max(0, give_up_at - time.monotonic())
            done, pending = wait(pending, left_s, FIRST_COMPLETED)
            if not done:
                return
            answered += sum(one.exception() is None for one in done)
            if answered >= self.majority:
                give_up_at = min(give_up_at, time.monotonic() + GRACE_S)

    def _start(
        self, place: int, method: RPCEndpoint, params: Any, block: int | None
    ) -> Future[RPCResponse]:
        answer: Future[RPCResponse] = Future()

        def fulfil() -> None:
            try:
                answer.set_result(self._ask_one(place, method, params, block))
            except Exception as error:  # noqa: BLE001 - it is raised again by the one who waits
                answer.set_exception(error)

        Thread(target=fulfil, daemon=True).start()
        return answer

    def _ask_one(
        self, place: int, method: RPCEndpoint, params: Any, block: int | None
    ) -> RPCResponse:
        node = self._nodes[place]
        if block is not None and self._heights[place] < block:
            self._ask_one(place, RPCEndpoint(_HEIGHT), [], None)
            if self._heights[place] < block:
                raise NodeBusy(node.url, f"blocks up to {self._heights[place]} of {block}")
        answer = node.ask_once(method, params)
        if method == _HEIGHT and "error" not in answer:
            self._heights[place] = int(answer["result"], 16)
        return answer


def web3_of(urls: str | Sequence[str]) -> tuple[Web3, str]:
    """web3 on the node at an address, or on several, and a name for messages.

    It asks nothing that is not asked of web3.

    Raises:
        WrongType, OutOfBounds: no addresses, or not different ones.
    """
    provider: Node | Quorum
    if isinstance(urls, list | tuple) and len(urls) != 1:
        provider = Quorum(urls)
        name = provider.name
    else:
        provider = Node(urls[0] if isinstance(urls, list | tuple) else urls)  # type: ignore[arg-type]
        name = provider.url
    return Web3(provider, middleware=[(AttributeDictMiddleware, "attrdict")]), name


def _outcome(node: Node, asked: Future[RPCResponse] | None) -> RPCResponse | ChainUnavailable:
    if asked is None or not asked.done():
        return NodeBusy(node.url, "no answer yet")
    error = asked.exception()
    if error is None:
        return asked.result()
    if isinstance(error, ChainUnavailable):
        return error
    raise error


def _response(value: Any) -> RPCResponse:
    return {"jsonrpc": "2.0", "id": 0, "result": value}


def _agreed(method: str, votes: _Votes) -> tuple[Any] | None:
    """The one answer that a majority gives and nobody contradicts."""
    if votes.said:
        (first, value), *others = votes.said
        for other, another in others:
            ours, theirs = comparable(value), comparable(another)
            if ours != theirs:
                place, shown, shown_other = first_difference(ours, theirs)
                raise DisagreeingNodes(
                    f"{method}{place}", (first.url, shown), (other.url, shown_other)
                )
        if len(votes.said) >= votes.majority:
            return (value,)
    return (None,) if votes.nothing >= votes.majority else None


def _reached(votes: _Votes) -> tuple[str] | None:
    if len(votes.said) < votes.majority:
        return None
    return (hex(votes.numbers()[-votes.majority]),)


def _reached_block(votes: _Votes) -> tuple[str] | None:
    numbers = sorted(int(block["number"], 16) for _, block in votes.said)
    return (hex(numbers[-votes.majority]),) if len(numbers) >= votes.majority else None


def _middle(votes: _Votes) -> tuple[str] | None:
    if len(votes.said) < votes.majority:
        return None
    numbers = votes.numbers()
    return (hex(numbers[(len(numbers) - 1) // 2]),)


def _any(votes: _Votes) -> tuple[Any] | None:
    if votes.said:
        return (votes.said[0][1],)
    return (None,) if votes.nothing >= votes.majority else None
