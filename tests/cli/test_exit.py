"""`darkpool exit`: everybody gets everything out, with a node and a key alone."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from darkpool.chain.calls import Call
from darkpool.chain.client import Chain
from darkpool.chain.deploying import ContractTerms, VaultTerms, deploy_venue
from darkpool.protocol.leaves import encode_leaves
from tests.support.beacon_node import BeaconBlobs, beacon_node
from tests.support.exit_venue import DAY_S, WEEK_S, ExitVenue, exit_venue
from tests.support.served_chain import Trouble, result
from tests.support.signing_committee import account_of

TEN = [f"client{number}" for number in range(10)]


@pytest.fixture(scope="module")
def deployed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ExitVenue]:
    with exit_venue(tmp_path_factory.mktemp("keys"), ["ann", "bob"]) as made:
        yield made


@pytest.fixture
def venue(deployed: ExitVenue) -> Iterator[ExitVenue]:
    with deployed.as_it_was():
        yield deployed


@pytest.mark.slow
def test_ten_accounts_get_every_unit_when_operator_and_a_keyper_are_gone(tmp_path: Path) -> None:
    with exit_venue(tmp_path, TEN) as venue:
        venue.deposit(**{name: 1000 + number for number, name in enumerate(TEN)})
        own = {name: (1000 + number, 0) for number, name in enumerate(TEN)}
        venue.settle(4, venue.leaves(**own))
        venue.deposit(client1=70)
        # client0 won 30 of client2, and client1 was granted 300
        own |= {"client0": (1030, 0), "client1": (771, 300), "client2": (972, 0)}
        venue.settle(5, venue.leaves(**own))
        assert venue.leave("client1") == [("claim", 300)]
        venue.deposit(client3=11)
        assert venue.leave("client0", "--request", "all") == [("request", 1030)]
        venue.pass_time(WEEK_S)
        # nobody signs any more
        assert venue.leave("client0") == [("declare", 0)]
        assert venue.leave("client3") == [("take_back", 11)]
        assert venue.leave("client4") == []
        venue.pass_time(DAY_S)
        for name in TEN:
            assert venue.leave(name) == [("leave", own[name][0])]
        expected = {name: sum(pair) for name, pair in own.items()} | {"client3": 1003 + 11}
        assert {name: venue.held(venue.account(name)) for name in TEN} == expected
        assert venue.held() == 0
        assert venue.leave("client0") == []


@pytest.fixture
def granted(venue: ExitVenue) -> ExitVenue:
    """Of 1,000 that ann paid in 400 were granted; bob paid in 500."""
    venue.deposit(ann=1000, bob=500)
    venue.settle(4, venue.leaves(ann=(600, 400), bob=(500, 0)))
    return venue


def without_events_of_leaves(venue: ExitVenue) -> Trouble:
    """A node that has pruned them."""
    contract = venue.chain._settlement
    topic = "0x" + contract.events.LeavesPublished().topic.removeprefix("0x")

    def trouble(method: str, params: list[object]) -> object:
        return result([]) if method == "eth_getLogs" and topic in json.dumps(params) else None

    return trouble  # type: ignore[return-value]


def test_without_a_key_it_prints_what_any_wallet_sends(granted: ExitVenue) -> None:
    told = granted.told("--account", granted.account("ann"), DARKPOOL_PASSPHRASE="")
    assert granted.sent() == []
    vault = granted.chain.deployment.vault
    [found] = told["vaults"]
    assert found == {
        "vault": vault,
        "token": granted.chain.deployment.vaults[0].token,
        "claimable": 400,
        "everything": 1000,
        "paid": 0,
        "deposits": [],
    }
    [due] = [step for step in told["steps"] if step["due"]]
    assert (due["step"], due["amount"], due["contract"]) == ("claim", 400, vault)
    wallet = Chain.connect(granted.url, granted.keys["ann"])
    wallet.send_data("claim", due["contract"], bytes.fromhex(due["data"][2:]))
    assert granted.held(granted.account("ann")) == 400
    shown = granted.exit("--account", granted.account("bob"))
    assert (shown.returncode, granted.account("bob") in shown.stdout) == (0, True)
    asked = granted.exit("--account", granted.account("bob"), "--request", "all").stdout
    [data] = [line.split()[1] for line in asked.splitlines() if line.startswith("data")]
    Chain.connect(granted.url, granted.keys["bob"]).send_data(
        "request", vault, bytes.fromhex(data[2:])
    )
    assert granted.chain.flows()[-1].account == granted.account("bob")


def test_another_one_is_paid_if_the_account_says_so(granted: ExitVenue) -> None:
    bob = granted.account("bob")
    assert granted.leave("ann", "--to", bob) == [("claim", 400)]
    assert (granted.held(bob), granted.held(granted.account("ann"))) == (400, 0)


def test_nobody_is_paid_where_money_is_lost(granted: ExitVenue) -> None:
    deployment = granted.chain.deployment
    lost = (deployment.vault, deployment.vaults[0].token, deployment.settlement, "0x" + "0" * 40)
    for to in lost:
        refused = granted.exit("--key-file", granted.files["ann"], "--to", to)
        assert (refused.returncode, "--to: expected neither zero" in refused.stderr) == (2, True)
    assert granted.sent() == []


def test_a_deposit_that_no_settlement_counts_comes_back_a_day_after_a_notice(
    granted: ExitVenue,
) -> None:
    granted.deposit(bob=7)
    assert granted.leave("bob") == []
    assert granted.leave("bob", "--notice") == [("give_notice", 7)]
    assert granted.leave("bob", "--notice") == []
    granted.pass_time(DAY_S - 60)
    granted.committee.commit(granted.chain, 5)
    granted.pass_time(120)
    # a batch that counts it is open, and has the rest of its hour
    assert granted.leave("bob") == []
    granted.pass_time(3600)
    assert granted.leave("bob") == [("take_back", 7)]
    assert granted.held(granted.account("bob")) == 7


def test_after_the_closing_settlement_everything_is_paid_at_its_prices(granted: ExitVenue) -> None:
    granted.deposit(ann=3)
    granted.pass_time(2 * WEEK_S)
    assert granted.leave("bob") == [("declare", 0)]
    granted.close(granted.leaves(ann=(550, 400), bob=(550, 0)))
    assert granted.leave("ann") == [("take_back", 3), ("leave", 950)]
    assert granted.leave("bob") == [("leave", 550)]
    assert granted.held() == 0


def test_the_one_who_declares_gets_its_deposit_back_in_the_same_run(granted: ExitVenue) -> None:
    granted.deposit(ann=3)
    granted.pass_time(2 * WEEK_S)
    sent = granted.leave("ann", "--request", "all", "--notice")
    assert sent == [("claim", 400), ("declare", 0), ("take_back", 3)]


def test_the_end_is_declared_once_whatever_the_node_says_of_it(granted: ExitVenue) -> None:
    granted.pass_time(2 * WEEK_S)
    data = granted.chain._settlement.encode_abi("standing")
    asked = [{"to": granted.chain.deployment.settlement, "data": data}, "latest"]
    before = granted.node._ask("eth_call", asked)["result"]
    granted.node.trouble = lambda method, params: (
        result(before) if method == "eth_call" and params[0]["data"] == data else None
    )
    assert granted.leave("ann") == [("claim", 400), ("declare", 0)]


@pytest.mark.parametrize("source", ["--leaves", "--beacon"])
def test_leaves_from_elsewhere_are_proven_by_the_chain(
    venue: ExitVenue, tmp_path: Path, source: str
) -> None:
    venue.deposit(ann=1000, bob=500)
    leaves = venue.leaves(ann=(600, 400), bob=(500, 0))
    blobs = venue.settle_with_blobs(4, leaves)
    missing = venue.exit("--account", venue.account("ann"))
    assert missing.returncode == 1
    assert "leaves of interval 4: expected bytes with the hash 0x" in missing.stderr
    told = venue.leaves(ann=(1000, 400), bob=(100, 0))
    if source == "--leaves":
        good, bad = tmp_path / "good", tmp_path / "bad"
        good.write_bytes(encode_leaves([leaves]))
        bad.write_bytes(encode_leaves([told]))
        refused = venue.exit("--key-file", venue.files["ann"], source, bad)
        assert (refused.returncode, venue.sent()) == (2, [])
        assert f"{bad}: expected leaves of interval 4, hash 0x" in refused.stderr
        assert venue.leave("ann", source, good) == [("claim", 400)]
        return
    node, settled = BeaconBlobs(), venue.chain.last_settlement()
    assert settled is not None
    with beacon_node(node) as url:
        for kept in ([], [b"\0" * len(blobs[0])]):
            node.put(venue.chain.time(settled.block), kept)
            refused = venue.exit("--key-file", venue.files["ann"], source, url)
            assert (refused.returncode, venue.sent()) == (1, [])
        node.put(venue.chain.time(settled.block), blobs)
        assert venue.leave("ann", source, url) == [("claim", 400)]


def test_a_node_without_events_of_leaves_does_not_stop_who_has_them(
    granted: ExitVenue, tmp_path: Path
) -> None:
    granted.node.trouble = without_events_of_leaves(granted)
    assert granted.exit("--key-file", granted.files["ann"]).returncode == 1
    data = tmp_path / "leaves"
    data.write_bytes(encode_leaves([granted.leaves(ann=(600, 400), bob=(500, 0))]))
    assert granted.leave("ann", "--leaves", data) == [("claim", 400)]


def test_a_root_that_the_vault_does_not_keep_stops_before_anything_is_sent(
    granted: ExitVenue,
) -> None:
    roots = granted.chain._vault.encode_abi("roots", [4])

    def lie(method: str, params: list[object]) -> object:
        asked = method == "eth_call" and roots in json.dumps(params)
        return result("0x" + "11" * 32) if asked else None

    granted.node.trouble = lie  # type: ignore[assignment]
    done = granted.exit("--key-file", granted.files["ann"])
    assert (done.returncode, granted.sent()) == (1, [])
    assert "root of vault 0x" in done.stderr


def test_another_sender_carries_signed_orders_for_a_fee(granted: ExitVenue, tmp_path: Path) -> None:
    granted.deposit(ann=5)
    orders, bob = tmp_path / "orders.json", granted.account("bob")
    key = granted.keys["bob"].hex()
    options = ("--key-file", granted.files["ann"], "--relay", orders, "--fee", "10")
    granted.told(*options)
    assert granted.sent() == []
    told = granted.told("--carry", orders, DARKPOOL_CHAIN_KEY=key)
    assert [(one["step"], one["amount"]) for one in told["sent"]] == [("claim", 400)]
    assert (granted.held(granted.account("ann")), granted.held(bob)) == (390, 10)
    again = granted.exit("--carry", orders, DARKPOOL_CHAIN_KEY=key)
    assert again.returncode == 1
    assert "expected a payment that is due, got none" in again.stderr
    assert granted.exit(*options).returncode == 2, "a file is never replaced"
    # the same at the end, a deposit that was never counted included
    granted.pass_time(2 * WEEK_S)
    granted.leave("bob")
    granted.pass_time(DAY_S)
    last = tmp_path / "last.json"
    granted.told("--key-file", granted.files["ann"], "--relay", last, "--fee", "1")
    told = granted.told("--carry", last, DARKPOOL_CHAIN_KEY=key)
    sent = [(one["step"], one["amount"]) for one in told["sent"]]
    assert sorted(sent) == [("leave", 600), ("take_back", 5)]
    assert (granted.held(granted.account("ann")), granted.held(bob)) == (390 + 599 + 4, 12)


def test_orders_that_the_account_did_not_sign_are_not_carried(
    granted: ExitVenue, tmp_path: Path
) -> None:
    orders = tmp_path / "orders.json"
    granted.told("--key-file", granted.files["ann"], "--relay", orders, "--valid-days", "2")
    text = orders.read_text()
    bob, ann = granted.account("bob"), granted.account("ann")
    settlement = granted.chain.deployment.settlement
    changes = {
        "signature": (f'"to": "{ann}"', f'"to": "{bob}"'),
        "more": ('"cumulative": 400', '"cumulative": 401'),
        "fee": ('"fee": 0', '"fee": 9'),
        "chain": (f'"chain_id": {granted.chain.chain_id()}', '"chain_id": 1'),
        "contract": (f'"settlement": "{settlement}"', f'"settlement": "{bob}"'),
        "address": (f'"account": "{ann}"', f'"account": "{ann.lower()}"'),
        "version": ('"version": 1', '"version": 2'),
        "vault": (f'"vault": "{granted.chain.deployment.vault}"', f'"vault": "{bob}"'),
        "no JSON": ("{", "["),
    }
    for name, (before, after) in changes.items():
        changed = tmp_path / name
        assert before in text, name
        changed.write_text(text.replace(before, after, 1))
        done = granted.exit("--carry", changed, DARKPOOL_CHAIN_KEY=granted.keys["bob"].hex())
        assert done.returncode == 2, (name, done.stderr)
        assert len(done.stderr.splitlines()) <= 2, name
    granted.pass_time(2 * DAY_S + 60)
    done = granted.exit("--carry", orders, DARKPOOL_CHAIN_KEY=granted.keys["bob"].hex())
    assert (done.returncode, "deadline of an order" in done.stderr) == (2, True)
    assert granted.sent() == []


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ((), "--account: expected an address, or --key-file, got none"),
        (("--account", "0x12"), "--account: expected 0x and 40 hexadecimal digits, got '0x12'"),
        (("--account", "OTHER", "--key-file", "KEY"), "--account: expected 0x"),
        (("--account", "OTHER", "--relay", "new"), "--relay: expected --key-file"),
        (("--key-file", "KEY", "--carry", "KEY"), "--carry: expected neither --key-file nor --to"),
        (("--key-file", "KEY", "--relay", "KEY"), "a file of this name"),
        (("--key-file", "KEY", "--relay", "new", "--notice"), "--relay and --carry: expected pay"),
        (("--key-file", "no such file"), "no such file: expected a file that can be read"),
        (("--account", "OTHER", "--request", "0"), "--request in token units: expected 1 to"),
        (("--account", "OTHER", "--request", "some"), "expected a whole number, got 'some'"),
        (("--account", "OTHER", "--vault", "OTHER"), "--vault: expected 0x"),
        (("--account", "OTHER", "--beacon", "nowhere"), "expected http:// or https://"),
        (("--account", "OTHER", "--leaves", "nothing"), "nothing: expected a file that can"),
        (("--carry", "KEY"), "KEY: expected"),
    ],
)
def test_options_that_cannot_be_used_are_told_and_nothing_is_sent(
    venue: ExitVenue, options: tuple[str, ...], message: str
) -> None:
    known = {"KEY": str(venue.files["ann"]), "OTHER": account_of(b"\x55" * 32)}
    done = venue.exit(*(known.get(option, option) for option in options))
    assert (done.returncode, venue.sent()) == (2, [])
    assert message.replace("KEY", known["KEY"] if message.startswith("KEY") else "KEY") in (
        done.stderr.replace("\n", " ")
    )
    assert "Traceback" not in done.stderr


def test_of_several_vaults_an_amount_names_one(venue: ExitVenue) -> None:
    chain, ann = venue.chain, venue.account("ann")
    tokens = [chain._create("TestToken")[0] for _ in range(2)]
    vaults = tuple(VaultTerms(token, 1, 10) for token in tokens)
    fixed = venue.committee.terms()
    parties = (fixed.fund, fixed.treasury, fixed.rescuer)
    chain_terms = ContractTerms(fixed.keypers, fixed.key_id, fixed.circuits, vaults, *parties)
    before = chain.deployment
    _, second = deploy_venue(chain, chain_terms).vaults
    try:
        for function, given in (("mint", (chain.account, 9)), ("approve", (second.address, 9))):
            chain.send(Call("TestToken", second.token, function, given))
        chain.send(Call("CollateralVault", second.address, "deposit", (ann, 9)))
        key = venue.files["ann"]
        refused = venue.exit("--key-file", key, "--request", "5")
        assert (refused.returncode, "--request: expected --vault" in refused.stderr) == (2, True)
        options = ("--request", "5", "--vault", second.address, "--notice")
        assert venue.leave("ann", *options) == [("request", 5), ("give_notice", 9)]
        assert {flow.vault for flow in chain.flows()} == {second.address}
    finally:
        chain.attach(before)


def test_a_wrong_passphrase_and_another_contract_are_told(venue: ExitVenue) -> None:
    key = venue.files["ann"]
    wrong = venue.exit("--key-file", key, DARKPOOL_PASSPHRASE="other")
    assert (wrong.returncode, f"key file {key}: expected its passphrase" in wrong.stderr) == (
        1,
        True,
    )
    done = venue.exit("--account", venue.account("ann"), "--settlement", venue.account("bob"))
    assert (done.returncode, "no contract at 0x" in done.stderr) == (1, True)
