"""A node of its own process, told what to do with its blocks."""

from __future__ import annotations

from typing import Any

from web3.types import RPCEndpoint

from darkpool.chain.client import Chain

# the second and third of the accounts that anvil gives money to, as its documentation says
ANVIL_KEY = bytes.fromhex("59c6995e998f97a5a0044966f0945389dc9e86dae88c7a8412f4603b6b78690d")
OTHER_ANVIL_KEY = bytes.fromhex("5de4111afa1a4b94908f83103eb1f1706367c2e68ca870fc3fb9a804cdab365a")


class Anvil:
    """The blocks of an anvil node that a client is connected to."""

    def __init__(self, chain: Chain) -> None:
        self._chain = chain

    def ask(self, method: str, *params: Any) -> Any:
        return self._chain._web3.provider.make_request(RPCEndpoint(method), list(params))["result"]

    def mine(self, blocks: int) -> None:
        self.ask("anvil_mine", blocks)

    def reorganise(self, depth: int) -> None:
        self.ask("anvil_reorg", depth, [])
