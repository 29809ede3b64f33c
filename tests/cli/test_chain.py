"""`darkpool chain`: contracts at addresses that follow from their terms, compared and looked at."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from darkpool.canonical_json import to_json
from darkpool.chain import clocks
from darkpool.chain.calls import Call
from darkpool.chain.client import Chain, SignedStatement
from darkpool.chain.deploying import DEPLOYER, SEATS_MAX, places_of
from darkpool.chain.errors import InvalidManifest
from darkpool.chain.evidence import VenueStanding
from darkpool.chain.manifest import read_manifest
from darkpool.cli.deployment_file import read_deployment
from darkpool.client.leaving import balances_of
from darkpool.margin.errors import InvalidFile
from tests.support.command_line import Done, darkpool
from tests.support.exit_venue import ETHER, WEEK_S, ExitVenue, exit_venue
from tests.support.served_chain import ServedChain, served
from tests.support.signing_committee import FUND_OWNER, KEYS, SigningCommittee, account_of

PAYER = b"\x42" * 32
TOKEN = account_of(b"\x44" * 32)


def terms(*tokens: str) -> dict[str, Any]:
    return {
        "version": 1,
        "keypers": list(SigningCommittee().addresses),
        "key_id": "0x" + "1d" * 32,
        "circuits": "0x" + "c1" * 32,
        "vaults": [
            {"token": token, "deposit_min": 5, "accounts_max": 70} for token in tokens or (TOKEN,)
        ],
        "fund": FUND_OWNER,
        "treasury": FUND_OWNER,
        "rescuer": FUND_OWNER,
    }


VAULT = terms()["vaults"][0]


class Place:
    """A chain of its own without any contract but tokens."""

    def __init__(self, chain: Chain, url: str, folder: Path) -> None:
        self.chain, self.url, self.folder = chain, url, folder
        self.tokens = [chain._create("TestToken")[0] for _ in range(2)]

    def deploy(self, fixed: dict[str, Any], name: str, *options: str) -> Done:
        source = self.folder / "terms.json"
        source.write_text(json.dumps(fixed))
        given = ("--chain", self.url, *options, "--manifest", str(self.folder / name))
        return darkpool("chain", "deploy", source, *given, DARKPOOL_CHAIN_KEY=PAYER.hex())

    def verify(self, manifest: Path) -> Done:
        return darkpool("chain", "verify", manifest, "--chain", self.url, "--json")


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    chain = Chain.embedded()
    chain.fund_gas(account_of(PAYER), 10 * ETHER)
    with served(ServedChain(chain._web3)) as url:
        yield Place(chain, url, tmp_path_factory.mktemp("manifests"))


def test_contracts_stand_where_their_terms_say_and_a_manifest_holds(place: Place) -> None:
    assert not place.chain.code_of(DEPLOYER)
    fixed = terms(*place.tokens)
    done = place.deploy(fixed, "first.json", "--json")
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    expected = places_of(read_deployment("terms", json.dumps(fixed)))
    assert told["settlement"] == expected.settlement
    assert told["vaults"].split(",") == list(expected.vaults)
    held = json.loads(place.verify(place.folder / "first.json").stdout)
    assert held["holds"]
    assert {"keypers", "deposit_min of vault 1", "code of the blueprint"} <= {
        check["name"] for check in held["checks"]
    }
    height = place.chain.height()
    again = place.deploy(fixed, "again.json")
    assert again.returncode == 0, again.stderr
    assert expected.settlement in again.stdout
    assert place.chain.height() == height, "what stands there is not created again"
    first, second = (place.folder / name for name in ("first.json", "again.json"))
    assert first.read_bytes() == second.read_bytes()
    refused = place.deploy(fixed, "first.json")
    assert (refused.returncode, "a file of this name" in refused.stderr) == (2, True)
    other = place.deploy(fixed | {"salt": 1}, "other.json", "--json")
    assert json.loads(other.stdout)["settlement"] != expected.settlement


@pytest.fixture(scope="module")
def manifest(place: Place) -> dict[str, Any]:
    done = place.deploy(terms(place.tokens[0]) | {"salt": 7}, "held.json")
    assert done.returncode == 0, done.stderr
    loaded: dict[str, Any] = json.loads((place.folder / "held.json").read_text())
    return loaded


CHANGES = {
    "chain id": ("chain_id",),
    "block": ("block",),
    "digest of the terms": ("digest",),
    "address of Settlement": ("settlement", "address"),
    "code hash of Settlement": ("settlement", "code_hash"),
    "code hash of vault 0": ("vaults", 0, "code_hash"),
    "addresses of the vaults": ("vaults", 0, "address"),
    "address of the blueprint": ("blueprint", "address"),
    "address of Permit2": ("permit2",),
    "address of the deployer": ("deployer", "address"),
}
TERMS = [
    ("keypers", 2),
    ("key_id",),
    ("circuits",),
    ("vaults", 0, "token"),
    ("vaults", 0, "deposit_min"),
    ("vaults", 0, "accounts_max"),
    ("fund",),
    ("treasury",),
    ("rescuer",),
    ("salt",),
]


def changed(manifest: dict[str, Any], path: tuple[str | int, ...]) -> str:
    """The manifest with another value of the same form at a path."""
    document = json.loads(json.dumps(manifest))
    *above, last = path
    inner = document
    for step in above:
        inner = inner[step]
    before = inner[last]
    other = before + 1 if isinstance(before, int) else "0x" + "7d" * 32
    inner[last] = account_of(b"\x91" * 32) if len(str(before)) == 42 else other
    return json.dumps(document, indent=1) + "\n"


@pytest.mark.parametrize("name", CHANGES)
def test_each_part_of_a_manifest_is_compared(
    place: Place, manifest: dict[str, Any], name: str
) -> None:
    source = place.folder / "changed.json"
    source.write_text(changed(manifest, CHANGES[name]))
    done = place.verify(source)
    failed = [check["name"] for check in json.loads(done.stdout)["checks"] if not check["holds"]]
    assert (done.returncode, name in failed) == (1, True), failed


@pytest.mark.parametrize("path", TERMS, ids=str)
def test_other_terms_are_at_another_address(
    place: Place, manifest: dict[str, Any], path: tuple[str | int, ...]
) -> None:
    source = place.folder / "changed.json"
    source.write_text(changed(manifest, ("terms", *path)))
    failed = [
        c["name"] for c in json.loads(place.verify(source).stdout)["checks"] if not c["holds"]
    ]
    assert failed == ["digest of the terms", "address of Settlement", "addresses of the vaults"]


@pytest.mark.usefixtures("manifest")
def test_contracts_are_not_on_another_chain(place: Place) -> None:
    source = place.folder / "held.json"
    with served(ServedChain(Chain.embedded()._web3)) as url:
        done = darkpool("chain", "verify", source, "--chain", url)
    assert (done.returncode, "The manifest does not hold" in done.stdout) == (1, True)
    shown = darkpool("chain", "verify", source, "--chain", place.url)
    assert (shown.returncode, "The manifest holds." in shown.stdout) == (0, True)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"keypers": terms()["keypers"][:3]}, "keypers: expected 4 entries or more"),
        ({"keypers": terms()["keypers"][:3] * 2}, "keypers[3]: expected each keyper once"),
        ({"key_id": "0x12"}, "key_id: expected 0x and 64 hexadecimal digits, got 0x12"),
        ({"fund": "0x" + "0" * 40}, "fund: expected an address that is not zero"),
        ({"fund": "nobody"}, "fund: expected 0x and 40 hexadecimal digits, got nobody"),
        ({"vaults": []}, "vaults: expected 1 entries or more"),
        ({"vaults": terms(*[TOKEN] * 2)["vaults"]}, "vaults[1].token: expected each token once"),
        ({"vaults": terms(*[TOKEN] * 4)["vaults"]}, "vaults: expected at most 3 entries"),
        (
            {"vaults": [{"token": TOKEN, "deposit_min": 0, "accounts_max": 1}]},
            "vaults[0].deposit_min",
        ),
        ({"vaults": [{"token": TOKEN, "deposit_min": "5", "accounts_max": 1}]}, "a whole number"),
        (
            {"vaults": [VAULT | {"accounts_max": SEATS_MAX - 69}, VAULT | {"token": FUND_OWNER}]},
            "vaults: expected accounts_max of all vaults together at most 2390, got 2391",
        ),
        ({"salt": -1}, "salt: expected greater than or equal to 0"),
        ({"owner": TOKEN}, "owner: expected no such field"),
        ({"version": 2}, "version: expected 1"),
    ],
)
def test_terms_that_no_venue_can_have_are_told_field_by_field(
    tmp_path: Path, change: dict[str, Any], message: str
) -> None:
    source = tmp_path / "terms.json"
    source.write_text(json.dumps(terms() | change))
    options = ("--chain", "http://127.0.0.1:1", "--manifest", tmp_path / "new")
    done = darkpool("chain", "deploy", source, *options)
    assert (done.returncode, message in done.stderr) == (2, True), done.stderr
    assert not (tmp_path / "new").exists()


@given(st.text(max_size=200) | st.binary(max_size=60).map(lambda raw: raw.decode("latin-1")))
def test_a_text_is_terms_or_an_error_of_this_project(text: str) -> None:
    for source in (text, json.dumps(terms())[: len(text)], json.dumps(terms() | {"salt": text})):
        with pytest.raises(InvalidFile):
            read_deployment("terms", source)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.integers(0, 1500), st.sampled_from(["", "0", "}", "\\", '"', "é"]))
def test_a_manifest_with_other_characters_is_told(
    manifest: dict[str, Any], at: int, put: str
) -> None:
    text = json.dumps(manifest, indent=1) + "\n"
    other = (text[:at] + put + text[at + 1 :]).encode()
    try:
        read = read_manifest("manifest", other)
    except InvalidManifest:
        return
    assert to_json(read) == other


def test_a_manifest_of_terms_that_no_contract_takes_is_none(manifest: dict[str, Any]) -> None:
    terms_of = manifest["terms"]
    changes: list[dict[str, Any]] = [
        {"vaults": []},
        {"vaults": terms_of["vaults"] * 300},
        {"vaults": terms_of["vaults"] * 2},
        {"keypers": terms_of["keypers"] * 5},
        {"keypers": terms_of["keypers"][:3]},
    ]
    for change in changes:
        text = json.dumps(manifest | {"terms": terms_of | change}, indent=1) + "\n"
        with pytest.raises(InvalidManifest):
            read_manifest("manifest", text.encode())


def test_the_clocks_are_those_of_the_contracts(tmp_path: Path) -> None:
    with exit_venue(tmp_path, ["ann"]) as venue:
        place, vault = venue.chain.deployment.settlement, venue.chain.deployment.vault
        for name in ("SETTLEMENT", "REQUEST", "SILENCE", "CLOSING"):
            told = venue.chain.ask(Call("Settlement", place, f"{name}_TIMEOUT"))
            assert told == getattr(clocks, f"{name}_TIMEOUT_S")
        told = venue.chain.ask(Call("CollateralVault", vault, "NOTICE_PERIOD"))
        assert told == clocks.NOTICE_PERIOD_S


def status(venue: ExitVenue) -> dict[str, Any]:
    place = venue.chain.deployment.settlement
    done = darkpool("chain", "status", "--chain", venue.url, "--settlement", place, "--json")
    assert done.returncode == 0, done.stderr
    told: dict[str, Any] = json.loads(done.stdout)
    return told


def shown(venue: ExitVenue) -> str:
    place = venue.chain.deployment.settlement
    done = darkpool("chain", "status", "--chain", venue.url, "--settlement", place)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_where_a_venue_stands_is_told_through_its_life(tmp_path: Path) -> None:
    with exit_venue(tmp_path, ["ann", "bob"]) as venue:
        chain = venue.chain
        told = status(venue)
        assert (told["settled"], told["is_open"], told["excluded"]) == (0, False, [])
        venue.deposit(ann=1000)
        venue.committee.commit(chain, 4)
        venue.deposit(bob=50)
        told = status(venue)
        assert told["open_batch_until"] == told["committed_at"] + 3600
        assert told["waiting"] == {"deposit": 2, "request": 0, "notice": 0, "return": 0}
        assert "interval 4, committed at" in shown(venue)
        venue.committee.settle(chain, venue.leaves(ann=(600, 400)))
        chain.claim(venue.keys["ann"], venue_claim(venue), venue.account("ann"))
        chain.request(venue.keys["ann"], 10)
        told = status(venue)
        assert told["waiting"] == {"deposit": 1, "request": 1, "notice": 0, "return": 0}
        assert told["end_can_be_declared_from"] == told["waiting_since"] + WEEK_S
        [vault] = told["vaults"]
        assert (vault["held"], vault["owed"], vault["uncounted"], vault["paid"]) == (
            650,
            650,
            50,
            400,
        )
        assert (vault["seats"], vault["accounts_max"]) == (2, 1000)
        exclude(venue)
        assert status(venue)["excluded"] == [2]
        venue.pass_time(WEEK_S)
        assert "can be declared since" in shown(venue)
        chain.declare()
        told = status(venue)
        assert (told["end_can_be_declared_from"], told["exits_open_from"]) == (
            None,
            told["declared_at"] + 86_400,
        )
        assert "exits open at" in shown(venue)


def venue_claim(venue: ExitVenue) -> Any:
    [own] = balances_of(venue.chain, venue.account("ann"))
    return own.proven


def exclude(venue: ExitVenue) -> None:
    """Keyper number 2 signs two batches for one interval."""
    first = venue.committee.batch(venue.chain, 9)
    signed = [
        SignedStatement(message, venue.committee.sign(venue.chain, message, [KEYS[1]])[0])
        for message in (first, replace(first, count=3))
    ]
    venue.chain.exclude(*signed)


@pytest.mark.parametrize(
    ("changes", "declarable", "exits"),
    [
        ({}, 100 + 14 * 86_400, None),
        ({"waiting_since": 200}, 200 + 7 * 86_400, None),
        ({"waiting_since": 99 + 7 * 86_400 + 86_400 * 7}, 100 + 14 * 86_400, None),
        ({"is_open": True, "committed_at": 10**7}, 10**7 + 3600, None),
        ({"is_open": True, "committed_at": 150}, 100 + 14 * 86_400, None),
        ({"declared_at": 10**7}, None, 10**7 + 86_400),
        ({"declared_at": 10**7, "is_closed": True}, None, 0),
    ],
)
def test_what_is_due_follows_from_the_clocks(
    changes: dict[str, Any], declarable: int | None, exits: int | None
) -> None:
    plain = dict.fromkeys(
        ("committed", "settled", "committed_at", "flows", "flows_committed", "waiting_since"), 0
    )
    fixed = {"is_open": False, "must_be_empty": False, "is_closed": False, "declared_at": 0}
    known: dict[str, Any] = {**plain, **fixed, "settled_at": 100, **changes}
    standing = VenueStanding(**known)
    assert clocks.declarable_from(standing) == declarable
    assert clocks.exits_from(standing) == exits
