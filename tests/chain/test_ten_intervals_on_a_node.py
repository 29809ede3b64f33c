"""The life of a venue on a node of its own process."""

from collections.abc import Callable
from pathlib import Path

import pytest
from web3 import Web3
from web3.types import RPCEndpoint

from darkpool.chain.client import Chain
from tests.support.venue_story import DEPTH, Machine, desert, leave, live, require_audited, story


def on_anvil(url: str) -> Machine:
    """A node that lets time pass and replaces its last blocks when it is told to."""
    node = Web3(Web3.HTTPProvider(url)).provider

    def tell(method: str, *parameters: object) -> None:
        answer = node.make_request(RPCEndpoint(method), list(parameters))
        assert "error" not in answer, answer

    def travel(seconds: int) -> None:
        tell("evm_increaseTime", seconds)
        tell("evm_mine")

    def reorganise(send: Callable[[], object]) -> None:
        send()
        tell("anvil_reorg", DEPTH, [])

    return Machine(Chain.connect(url), travel, reorganise)


@pytest.mark.slow
def test_a_venue_lives_and_everybody_leaves_with_everything(
    anvil_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with story(on_anvil(anvil_url), tmp_path) as told:
        live(told, monkeypatch)
        require_audited(told)
        desert(told, monkeypatch)
        leave(told)
