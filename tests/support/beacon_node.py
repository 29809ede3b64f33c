"""A beacon node over HTTP that has blobs of blocks, and may have the troubles of such nodes."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web

GENESIS_S = 1_600_000_000
SLOT_S = 12
Answer = Callable[[web.Request], web.StreamResponse | None]


@dataclass
class BeaconBlobs:
    """Blobs by slot; `before` answers in place of the node, None for the node's own answer."""

    blobs: dict[int, tuple[bytes, ...]] = field(default_factory=dict)
    before: Answer = lambda _request: None
    has_blobs: bool = True
    has_sidecars: bool = True
    asked: list[str] = field(default_factory=list)

    def put(self, made_at: int, blobs: Sequence[bytes]) -> None:
        """A block of this time carried these blobs."""
        self.blobs[(made_at - GENESIS_S) // SLOT_S] = tuple(blobs)

    async def handle(self, request: web.Request) -> web.StreamResponse:
        self.asked.append(request.path)
        made = self.before(request)
        return self._answer(request) if made is None else made

    def _answer(self, request: web.Request) -> web.StreamResponse:
        *_, kind, last = request.path.split("/")
        if last == "genesis":
            return _data({"genesis_time": str(GENESIS_S), "genesis_fork_version": "0x00000000"})
        if last == "spec":
            return _data({"SECONDS_PER_SLOT": str(SLOT_S), "DEPOSIT_CHAIN_ID": "1"})
        blobs = self.blobs.get(int(last), ())
        if kind == "blobs" and self.has_blobs and blobs:
            assert request.query.getall("versioned_hashes")
            return _data([f"0x{blob.hex()}" for blob in blobs])
        if kind == "blob_sidecars" and self.has_sidecars and blobs:
            return _data(
                [
                    {"index": str(index), "blob": f"0x{blob.hex()}", "kzg_commitment": "0x00"}
                    for index, blob in enumerate(blobs)
                ]
            )
        return web.json_response({"code": 404, "message": "Block not found"}, status=404)


def _data(value: Any) -> web.Response:
    told: Mapping[str, Any] = {"execution_optimistic": False, "finalized": True, "data": value}
    return web.json_response(told)


@contextmanager
def beacon_node(node: BeaconBlobs) -> Iterator[str]:
    """Serve it on a free port of this machine; gives the address."""
    loop = asyncio.new_event_loop()
    application = web.Application()
    application.router.add_get("/{path:.*}", node.handle)
    runner = web.AppRunner(application, shutdown_timeout=0.1)

    async def start() -> int:
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        assert site._server is not None
        return int(site._server.sockets[0].getsockname()[1])  # type: ignore[attr-defined]

    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    try:
        port = asyncio.run_coroutine_threadsafe(start(), loop).result(30)
        yield f"http://127.0.0.1:{port}"
    finally:
        asyncio.run_coroutine_threadsafe(runner.cleanup(), loop).result(30)
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()
