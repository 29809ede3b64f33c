"""A node over HTTP: one request at a time, made again while the node is busy or out of reach.

A request that is made again is the same to the byte. So a transaction that is sent again is the
same transaction, and a chain takes it once.
"""

from __future__ import annotations

import json
import socket
import time
from email.utils import parsedate_to_datetime
from http import HTTPStatus
from re import IGNORECASE
from re import compile as pattern
from typing import Any, Final

import requests
from web3.providers import JSONBaseProvider
from web3.types import RPCEndpoint, RPCResponse

from darkpool.chain.answers import Refusal, read_answer
from darkpool.chain.errors import AnswerTooLarge, ChainUnavailable, NodeBusy
from darkpool.chain.fetching import TooMuch, fetched, system_error, told
from darkpool.units import require_kind

ANSWER_BYTES_MAX: Final = 16 << 20
ANSWER_TIMEOUT_S: Final = 30
PATIENCE_S: Final = 60
"""How long a request is made again before the node counts as unavailable."""

_FIRST_PAUSE_S: Final = 0.25
_PAUSE_MAX_S: Final = 8.0
_HEADERS: Final = {"Content-Type": "application/json", "Accept": "application/json"}
_BUSY: Final = {
    HTTPStatus.TOO_MANY_REQUESTS,
    HTTPStatus.BAD_GATEWAY,
    HTTPStatus.SERVICE_UNAVAILABLE,
    HTTPStatus.GATEWAY_TIMEOUT,
}
_LIMIT_EXCEEDED: Final = -32005
_TOO_LARGE: Final = {HTTPStatus.REQUEST_ENTITY_TOO_LARGE, HTTPStatus.GATEWAY_TIMEOUT}
_RATE_LIMITED: Final = pattern(
    r"rate.{0,9}limit|too many requests|requests? (count|limit|rate)|per second", IGNORECASE
)


class Patience:
    """Pauses between requests that are made again, each twice as long.

    They take `seconds` in all, `PATIENCE_S` unless it is said.
    """

    def __init__(self, seconds: float | None = None) -> None:
        self._give_up_at = time.monotonic() + (PATIENCE_S if seconds is None else seconds)
        self._pause_s = _FIRST_PAUSE_S

    def wait(self, at_least_s: float = 0) -> bool:
        """Make a pause; False, and no pause, where it would take too long."""
        wait_s = max(self._pause_s, at_least_s)
        if time.monotonic() + wait_s > self._give_up_at:
            return False
        time.sleep(wait_s)
        self._pause_s = min(2 * self._pause_s, _PAUSE_MAX_S)
        return True


class Node(JSONBaseProvider):
    """The node at an address, as web3 asks it.

    Every answer has the form that its method gives (`darkpool.chain.answers`).
    """

    # what a contract answers never makes this program fetch another address
    global_ccip_read_enabled = False

    def __init__(self, url: str) -> None:
        super().__init__()
        self.url: Final = require_kind("address of a node", str, url)
        self._session = requests.Session()
        self._has_answered = False

    def make_request(self, method: RPCEndpoint, params: Any) -> RPCResponse:
        """Ask, and ask again where that may help.

        Raises:
            NodeBusy: the node was busy, or out of reach, for too long.
            AnswerTooLarge: the answer is too large, or takes the node too long.
            ChainUnavailable: what came is no answer.
        """
        request = self.encode_rpc_request(method, params)
        patience = Patience()
        while True:
            try:
                return self._ask(method, request)
            except NodeBusy as busy:
                never_there = busy.refused and not self._has_answered
                if never_there or not patience.wait(busy.retry_after_s):
                    raise

    def ask_once(self, method: RPCEndpoint, params: Any) -> RPCResponse:
        """Ask, and leave it to the caller whether to ask again.

        Raises:
            NodeBusy, AnswerTooLarge, ChainUnavailable: as `make_request`.
        """
        return self._ask(method, self.encode_rpc_request(method, params))

    def _ask(self, method: str, request: bytes) -> RPCResponse:
        number = json.loads(request)["id"]
        status, headers, body = self._post(method, request)
        self._has_answered = True
        if method == "eth_getLogs" and status in _TOO_LARGE:
            raise AnswerTooLarge(self.url, f"HTTP status {status}")
        if status in _BUSY:
            after_s = _retry_after_s(headers.get("Retry-After", ""))
            raise NodeBusy(self.url, f"HTTP status {status}", after_s)
        before = "" if status == HTTPStatus.OK else f"HTTP status {status} and "
        answer = read_answer(self.url, (method, number), before, body)
        if not isinstance(answer, Refusal):
            return {"jsonrpc": "2.0", "id": number, "result": answer}
        # of eth_getLogs the same code says that there is too much in the range
        limited = answer.code == _LIMIT_EXCEEDED and method != "eth_getLogs"
        if limited or answer.code == HTTPStatus.TOO_MANY_REQUESTS or _is_rate(answer.message):
            raise NodeBusy(self.url, f"error {answer.code}: {answer.message}")
        error: Any = answer.model_dump(exclude_unset=True)
        return {"jsonrpc": "2.0", "id": number, "error": error}

    def _post(self, method: str, request: bytes) -> tuple[int, Any, bytes]:
        """Status, headers and body of the answer to one request."""
        session = self._session
        try:
            return fetched(
                lambda: session.post(
                    self.url,
                    data=request,
                    headers=_HEADERS,
                    timeout=ANSWER_TIMEOUT_S,
                    stream=True,
                    allow_redirects=False,
                ),
                ANSWER_BYTES_MAX,
                ANSWER_TIMEOUT_S,
            )
        except TooMuch:
            raise AnswerTooLarge(self.url, f"more than {ANSWER_BYTES_MAX} bytes") from None
        except (requests.Timeout, requests.ConnectionError) as error:
            self._session = requests.Session()
            raise self._lost(method, error) from None
        except requests.exceptions.ChunkedEncodingError as error:
            raise self._lost(method, error) from None
        except (OSError, ValueError) as error:  # an address or a body that nothing can be made of
            raise ChainUnavailable(self.url, f"no connection: {told(error)}") from None

    def _lost(self, method: str, error: OSError) -> ChainUnavailable:
        """What it means that the connection ended, or that nothing came."""
        if isinstance(error, requests.Timeout) and not isinstance(error, requests.ConnectTimeout):
            reason = f"no whole answer in {ANSWER_TIMEOUT_S} s"
            too_much = method == "eth_getLogs"
            return (AnswerTooLarge if too_much else NodeBusy)(self.url, reason)
        if isinstance(error, requests.exceptions.SSLError | requests.exceptions.ProxyError):
            return ChainUnavailable(self.url, f"no connection: {told(error)}")
        cause = system_error(error)
        refused = isinstance(cause, ConnectionRefusedError | socket.gaierror)
        return NodeBusy(self.url, f"a lost connection: {told(error)}", refused=refused)


def _is_rate(message: str) -> bool:
    return _RATE_LIMITED.search(message) is not None


def _retry_after_s(text: str) -> int:
    """Seconds that a `Retry-After` asks to wait: a number, or a time."""
    try:
        if text.isascii() and text.isdigit():
            return int(text)
        return max(0, round(parsedate_to_datetime(text).timestamp() - time.time()))
    except (ValueError, OverflowError):
        return 0
