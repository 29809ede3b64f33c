"""A chain of this process behind HTTP, as a node that may have the troubles of public nodes."""

from __future__ import annotations

import json
import threading
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import count
from typing import Any

from web3 import Web3
from web3.types import RPCEndpoint

from darkpool.chain.client import Chain
from darkpool.chain.evidence import IntervalEvidence
from darkpool.chain.reading import ReadableChain
from darkpool.protocol.flows import Flow
from darkpool.units import Interval


@dataclass(frozen=True)
class Reply:
    """What a node says; `body` is sent as it is, and nothing at all where it is None."""

    body: bytes | None
    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)


Trouble = Callable[[str, list[Any]], Reply | None]
"""What a node says in place of its answer to a method and its parameters; None for the answer."""


def result(value: object) -> Reply:
    """An answer of this value; the number of the request is filled in."""
    return Reply(json.dumps({"jsonrpc": "2.0", "id": "ID", "result": value}).encode())


def refusal(code: int, message: str, status: int = 200) -> Reply:
    """An error of the node's own."""
    error = {"code": code, "message": message}
    return Reply(json.dumps({"jsonrpc": "2.0", "id": "ID", "error": error}).encode(), status)


def lost() -> Reply:
    """A connection that ends without an answer."""
    return Reply(None)


def first_time(method: str, reply: Reply, times: int = 1) -> Trouble:
    """A trouble of the first requests of a method."""
    seen = count()
    return lambda asked, _params: reply if asked == method and next(seen) < times else None


HTML = b"<html>please log in</html>"

BUSY = {
    "429": Reply(b'{"error":"rate limited"}', 429, {"Retry-After": "3"}),
    "502": Reply(HTML, 502),
    "503": Reply(b"", 503),
    "504": Reply(b"", 504),
    "lost": lost(),
    "rate limit": refusal(-32016, "over rate limit"),
    "limit exceeded": refusal(-32005, "limit exceeded"),
    "code 429": refusal(429, "compute units"),
}


class ServedChain:
    """A chain of this process, answering JSON-RPC; it counts what it is asked.

    `trouble` speaks in place of the chain, `after` when the chain has already done what it was
    asked. Of a chain that does not change, `known` keeps the answers. Several nodes of one chain
    have one `lock`.
    """

    def __init__(
        self,
        web3: Web3,
        known: dict[str, dict[str, Any]] | None = None,
        lock: threading.Lock | None = None,
    ) -> None:
        self.begin_anew()
        self._web3 = web3
        self._known = known
        self._lock = lock or threading.Lock()

    def begin_anew(self) -> None:
        """Forget troubles and requests."""
        self.trouble: Trouble = lambda _method, _params: None
        self.after: Trouble = lambda _method, _params: None
        self.asked: Counter[str] = Counter()
        self.requests: list[dict[str, Any]] = []

    def of(self, method: str) -> list[list[Any]]:
        """The parameters of all requests of a method."""
        return [asked["params"] for asked in self.requests if asked["method"] == method]

    def reply(self, request: bytes) -> Reply:
        """The answer to a request, or the trouble that the test makes of it."""
        asked = json.loads(request)
        method, params = asked["method"], asked["params"]
        with self._lock:
            self.asked[method] += 1
            self.requests.append(asked)
            made = self.trouble(method, params)
            if made is None:
                answer = {"jsonrpc": "2.0", "id": asked["id"], **self._answer(method, params)}
                made = self.after(method, params) or Reply(json.dumps(answer).encode())
        if made.body is None:
            return made
        body = made.body.replace(b'"ID"', str(asked["id"]).encode())
        return Reply(body, made.status, made.headers)

    def _answer(self, method: str, params: list[Any]) -> dict[str, Any]:
        if self._known is None:
            return self._ask(method, params)
        name = json.dumps([method, params])
        if name not in self._known:
            self._known[name] = self._ask(method, params)
        return self._known[name]

    def _ask(self, method: str, params: list[Any]) -> dict[str, Any]:
        try:
            said = self._web3.manager._make_request(RPCEndpoint(method), params)
        except Exception as error:  # noqa: BLE001
            return {"error": {"code": -32000, "message": str(error)[:300]}}
        if "error" in said:
            return {"error": {"code": -32000, "message": str(said["error"])[:300]}}
        return {"result": _plain(said["result"])}


def _plain(value: Any) -> Any:
    if isinstance(value, bytes):
        return "0x" + value.hex()
    if isinstance(value, bool) or value is None or isinstance(value, str):
        return value
    if isinstance(value, int):
        return hex(value)
    if isinstance(value, Mapping):
        return {name: _plain(item) for name, item in value.items()}
    return [_plain(item) for item in value]


@contextmanager
def served(node: Any) -> Iterator[str]:
    """Serve what has `reply` on a free port of this machine; gives the address."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True
        wbufsize = 1 << 16

        def log_message(self, *_args: object) -> None:
            pass

        def do_POST(self) -> None:
            made = node.reply(self.rfile.read(int(self.headers["Content-Length"])))
            if made.body is None:
                self.close_connection = True
                return
            self.send_response(made.status)
            for name, value in {"Content-Length": str(len(made.body)), **made.headers}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(made.body)

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


class Served:
    """A chain, served; and what reads it from outside."""

    def __init__(self, chain: Chain, url: str, node: ServedChain) -> None:
        self.chain, self.url, self.node = chain, url, node

    @cached_property
    def evidence(self) -> IntervalEvidence:
        return self.chain.evidence(Interval(4))

    @cached_property
    def flows(self) -> tuple[Flow, ...]:
        return self.chain.flows()

    def truth(self, method: str, params: list[Any]) -> Any:
        """What the chain itself answers."""
        asked = json.dumps({"id": 0, "method": method, "params": params})
        return json.loads(ServedChain(self.chain._web3).reply(asked.encode()).body or b"")["result"]

    def reader(self) -> ReadableChain:
        reader = ReadableChain.at(self.url)
        reader.attach(self.chain.deployment)
        return reader

    def auditor(self) -> ReadableChain:
        """A reader that does not know since when the contracts stand."""
        deployment = self.chain.deployment
        reader = ReadableChain.at(self.url)
        reader.attach(reader.deployment_at(deployment.settlement, 0))
        return reader
