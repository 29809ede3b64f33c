"""`darkpool settle`: the file that an auction kept, and what the command says of it."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from eth_hash.auto import keccak

from crypto.signing.sum_tree import SumLeaf
from darkpool.canonical_json import from_json, to_json
from darkpool.chain.client import Chain
from darkpool.chain.deploying import SEATS_MAX
from darkpool.protocol.leaves import encode_leaves
from darkpool.protocol.results import encode_results
from darkpool.simulation.unsent import UNSENT_VERSION, UnsentSettlement
from darkpool.units import Interval, account_id
from tests.support.command_line import darkpool
from tests.support.served_chain import ServedChain, result, served
from tests.support.signing_committee import SigningCommittee, balance

INTERVAL = Interval(4)
ACCOUNT = account_id("0x" + "77" * 20)
KEY = {"DARKPOOL_CHAIN_KEY": f"{2:064x}"}


@pytest.fixture
def chain() -> Iterator[tuple[Chain, str]]:
    """A chain whose batch is open, and its node."""
    committee, chain = SigningCommittee(), Chain.embedded()
    chain.deploy(committee.terms())
    chain.fund_and_deposit({ACCOUNT: 100})
    committee.commit(chain, INTERVAL)
    serving = ServedChain(chain._web3)
    serving.trouble = lambda method, _params: (
        result("0x100000") if method == "eth_estimateGas" else None
    )
    with served(serving) as url:
        yield chain, url


@pytest.fixture
def kept(tmp_path: Path, chain: tuple[Chain, str]) -> Path:
    return kept_with(tmp_path, chain[0], [balance(ACCOUNT, 100)])


def kept_with(tmp_path: Path, chain: Chain, leaves: list[SumLeaf]) -> Path:
    committee = SigningCommittee()
    message = committee.settlement(chain, leaves)
    results = encode_results(committee.results)
    call = chain.settle_call(message, results, committee.sign(chain, message))
    unsent = UnsentSettlement(
        *(UNSENT_VERSION, INTERVAL, call.chain_id, call.contract),
        encode_leaves([leaves]),
        call.data,
    )
    path = tmp_path / "record.settlement-0123.json"
    path.write_bytes(to_json(unsent))
    return path


def test_leaves_are_published_before_the_settlement_and_not_again(
    chain: tuple[Chain, str], kept: Path
) -> None:
    embedded, url = chain
    (leaves,) = [from_json(kept.read_bytes(), UnsentSettlement, "kept").leaves]
    assert embedded.leaves(keccak(leaves)) is None
    embedded.publish(leaves)
    height = embedded.height()
    done = darkpool("settle", kept, "--chain", url, **KEY)
    assert done.returncode == 0, done.stderr
    assert embedded.height() == height + 1


def test_a_kept_settlement_settles_and_then_has_settled_already(
    chain: tuple[Chain, str], kept: Path
) -> None:
    embedded, url = chain
    done = darkpool("settle", kept, "--chain", url, "--json", **KEY)
    assert done.returncode == 0, done.stderr
    told, said = json.loads(done.stdout), embedded.evidence(INTERVAL).settlement
    assert said is not None
    assert told == {
        "interval": 4,
        "settlement_contract": embedded.deployment.settlement,
        "balances_root": f"0x{said.message.trees[0].root.hex()}",
        "settled": "now",
        "settlement_tx": f"0x{said.transaction.hex()}",
        "block": said.block,
    }
    again = darkpool("settle", kept, "--chain", url, "--json")
    assert again.returncode == 0, again.stderr
    assert json.loads(again.stdout) == told | {
        "settled": "already",
        "settlement_tx": None,
        "block": None,
    }
    lines = darkpool("settle", kept, "--chain", url)
    assert lines.returncode == 0
    assert "settled              already\n" in lines.stdout
    assert "None" not in lines.stdout


def test_a_settlement_of_as_many_accounts_as_a_venue_has_is_sent(
    chain: tuple[Chain, str], tmp_path: Path
) -> None:
    embedded, url = chain
    others = [SumLeaf((1 << 16 | k).to_bytes(20, "big"), 0, 0) for k in range(SEATS_MAX - 1)]
    kept = kept_with(tmp_path, embedded, [*others, balance(ACCOUNT, 100)])
    embedded.publish(from_json(kept.read_bytes(), UnsentSettlement, "kept").leaves)
    done = darkpool("settle", kept, "--chain", url, **KEY)
    assert done.returncode == 0, done.stderr
    assert embedded.standing().settled == INTERVAL


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        (b'"version": 2', b'"version": 1', "expected version 2, got 1"),
        (b'"interval": 4', b'"interval": 5', "settlement, interval: expected 4 as in data, got 5"),
        (b'"data": "0x', b'"data": "0x00', "settlement, data: expected a call of settle"),
        (b'"leaves": "0x', b'"leaves": "0x00', "settlement, leaves: expected hash 0x"),
        (b'"contract": "0x', b'"contract": "1x', "contract: expected 0x and 40 hexadecimal digits"),
        (b'"chain_id"', b'"chain"', "expected the field chain_id"),
        (b"{", b"", "expected"),
    ],
)
def test_a_file_that_is_none_is_bad_input(
    chain: tuple[Chain, str], kept: Path, old: bytes, new: bytes, message: str
) -> None:
    kept.write_bytes(kept.read_bytes().replace(old, new, 1))
    height = chain[0].height()
    done = darkpool("settle", kept, "--chain", chain[1])
    assert done.returncode == 2, done.stderr
    assert message in done.stderr
    assert done.stderr.count("\n") == 1
    assert chain[0].height() == height


def test_a_settlement_of_another_chain_is_told_by_its_number(
    chain: tuple[Chain, str], kept: Path
) -> None:
    number = chain[0].deployment.chain_id
    old, new = f'"chain_id": {number}', '"chain_id": 1'
    kept.write_text(kept.read_text().replace(old, new))
    done = darkpool("settle", kept, "--chain", chain[1])
    assert done.returncode == 1
    assert done.stderr == f"darkpool: chain: chain id: expected 1, got {number}\n"
