"""Blobs of a beacon node are believed by their versioned hashes alone."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator, Sequence
from contextlib import suppress

import pytest
from aiohttp import web
from hypothesis import given
from hypothesis import strategies as st

from darkpool.chain import beacon
from darkpool.chain.beacon import BeaconNode
from darkpool.chain.errors import BeaconUnavailable
from darkpool.chain.fetching import Answered
from darkpool.protocol.leaves import blobs_of, versioned_hashes
from tests.support.beacon_node import GENESIS_S, SLOT_S, BeaconBlobs, beacon_node

BLOBS = tuple(blobs_of(bytes([number]) * 900)[0] for number in (1, 2, 3))
HASHES = versioned_hashes(BLOBS)
MADE_AT = GENESIS_S + 1000 * SLOT_S + 5


@pytest.fixture
def node() -> BeaconBlobs:
    made = BeaconBlobs()
    made.put(MADE_AT, BLOBS)
    return made


@pytest.fixture
def at(node: BeaconBlobs) -> Iterator[BeaconNode]:
    with beacon_node(node) as url:
        yield BeaconNode(url)


@pytest.mark.parametrize("form", ["blobs", "blob_sidecars"])
def test_the_blobs_that_were_asked_for_come_in_the_order_of_their_hashes(
    node: BeaconBlobs, at: BeaconNode, form: str
) -> None:
    node.has_blobs = form == "blobs"
    assert at.blobs(MADE_AT, [HASHES[2], HASHES[0]]) == (BLOBS[2], BLOBS[0])
    assert node.asked[-1] == f"/eth/v1/beacon/{form}/1000"


def test_a_node_without_the_blobs_has_none(node: BeaconBlobs, at: BeaconNode) -> None:
    assert at.blobs(MADE_AT + SLOT_S, HASHES) is None
    node.has_blobs = node.has_sidecars = False
    assert at.blobs(MADE_AT, HASHES) is None


def test_a_slot_has_a_length_by_either_name(node: BeaconBlobs, at: BeaconNode) -> None:
    def answer(request: web.Request) -> web.Response | None:
        newer = {"data": {"SLOT_DURATION_MS": str(1000 * SLOT_S)}}
        return web.json_response(newer) if request.path.endswith("spec") else None

    node.before = answer
    assert at.blobs(MADE_AT, HASHES) == BLOBS


def test_a_node_that_gave_up_one_form_is_asked_for_the_other(
    node: BeaconBlobs, at: BeaconNode
) -> None:
    def answer(request: web.Request) -> web.Response | None:
        return web.Response(status=410) if "/blob_sidecars/" in request.path else None

    node.before, node.has_blobs = answer, False
    assert at.blobs(MADE_AT, HASHES) is None


def test_a_blob_of_another_hash_is_not_given(node: BeaconBlobs, at: BeaconNode) -> None:
    node.put(MADE_AT, [BLOBS[0], BLOBS[0], blobs_of(b"\x04" * 900)[0]])
    assert at.blobs(MADE_AT, HASHES[:1]) == BLOBS[:1]
    assert at.blobs(MADE_AT, HASHES[:2]) is None


def test_a_blob_that_is_no_polynomial_is_no_answer(node: BeaconBlobs, at: BeaconNode) -> None:
    node.put(MADE_AT, [b"\xff" * 131_072])
    with pytest.raises(BeaconUnavailable, match="a blob that is none"):
        at.blobs(MADE_AT, HASHES[:1])


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("genesis", {"data": {"genesis_time": "-1"}}),
        ("genesis", {"data": {"genesis_time": "9" * 12}}),
        ("genesis", {}),
        ("spec", {"data": {"SECONDS_PER_SLOT": "0"}}),
        ("spec", {"data": {"SECONDS_PER_SLOT": "99999"}}),
        ("spec", []),
        ("1000", {"data": [7]}),
        ("1000", {"data": ["0x00"]}),
        ("1000", {"data": [f"0x{'g' * 262_144}"]}),
        ("1000", {"data": {"blob": 7}}),
        ("1000", "blobs"),
    ],
)
def test_an_answer_of_another_form_is_none(
    node: BeaconBlobs, at: BeaconNode, path: str, body: object
) -> None:
    def answer(request: web.Request) -> web.Response | None:
        return web.json_response(body) if request.path.endswith(path) else None

    node.before = answer
    with pytest.raises(BeaconUnavailable):
        at.blobs(MADE_AT, HASHES)


@pytest.mark.parametrize("status", [500, 503, 302])
def test_a_node_in_trouble_is_told(node: BeaconBlobs, at: BeaconNode, status: int) -> None:
    headers = {"Location": "/eth/v1/beacon/genesis"}
    node.before = lambda _request: web.Response(status=status, headers=headers)
    with pytest.raises(BeaconUnavailable, match=f"HTTP status {status}"):
        at.blobs(MADE_AT, HASHES)
    assert len(node.asked) == 1


def test_an_answer_of_any_length_is_not_read(
    at: BeaconNode, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(beacon, "ANSWER_BYTES_MAX", 100_000)
    with pytest.raises(BeaconUnavailable, match="more than 100000 bytes"):
        at.blobs(MADE_AT, HASHES)


class SlowNode(BeaconBlobs):
    async def handle(self, _request: web.Request) -> web.StreamResponse:
        await asyncio.sleep(2)
        return web.Response()


def test_a_node_that_is_not_there_or_says_nothing_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(BeaconUnavailable, match="no connection: Connection refused"):
        BeaconNode("http://127.0.0.1:1").blobs(MADE_AT, HASHES)
    with pytest.raises(BeaconUnavailable) as refused:
        BeaconNode("http://user:hush@127.0.0.1:1/key-hush").blobs(MADE_AT, HASHES)
    assert "hush" not in str(refused.value)
    monkeypatch.setattr(beacon, "ANSWER_TIMEOUT_S", 0.3)
    with (
        beacon_node(SlowNode()) as url,
        pytest.raises(BeaconUnavailable, match=r"answer in 0\.3 s"),
    ):
        BeaconNode(url).blobs(MADE_AT, HASHES)


ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=9), inner),
    max_leaves=6,
)
DATA = st.fixed_dictionaries({"data": ANYTHING}) | ANYTHING
GENESIS = st.just({"data": {"genesis_time": str(GENESIS_S)}}) | DATA
SPEC = st.just({"data": {"SECONDS_PER_SLOT": str(SLOT_S)}}) | DATA
TEXTS = st.text(max_size=30)


class SayingNode(BeaconNode):
    """What it answers, one after the other."""

    def __init__(self, said: Sequence[str]) -> None:
        super().__init__("http://nowhere.invalid")
        self._said = iter(said)

    def _asked(self, path: str) -> Answered:
        assert path.startswith("/eth/v1/")
        return 200, {}, next(self._said).encode()


@given(
    st.tuples(
        GENESIS.map(json.dumps) | TEXTS,
        SPEC.map(json.dumps) | TEXTS,
        DATA.map(json.dumps) | TEXTS,
        DATA.map(json.dumps) | TEXTS,
    )
)
def test_whatever_a_node_says_it_is_no_blob_or_an_error_of_this_project(
    said: tuple[str, ...],
) -> None:
    with suppress(BeaconUnavailable):
        assert SayingNode(said).blobs(MADE_AT, HASHES) is None
