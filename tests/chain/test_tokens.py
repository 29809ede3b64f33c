"""An account deposits tokens of any kind with its own key, and pays for it itself."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from darkpool.chain.artifacts import Artifact, load_artifact
from darkpool.chain.client import Chain
from darkpool.chain.errors import NotApproved, TransactionReverted
from darkpool.chain.evidence import VaultPlace
from darkpool.units import AccountId
from tests.support.served_chain import ServedChain, served
from tests.support.signing_committee import SigningCommittee, account_of

TESTS = Path(__file__).parents[1]
KEY = b"\x77" * 32
OWNER = account_of(KEY)
ETHER = 10**18


def compiled(place: str) -> Artifact:
    from vyper import compile_code

    source = (TESTS / place).read_text(encoding="utf-8")
    made = compile_code(source, output_formats=["abi", "bytecode"])
    return Artifact(made["abi"], bytes.fromhex(made["bytecode"][2:]), b"")


class Tokens:
    """A venue of several tokens on the embedded chain, and an account with some of each."""

    def __init__(self) -> None:
        self.chain = Chain.embedded()
        self.chain.fund_gas(OWNER, ETHER)
        artifacts = {
            "plain": load_artifact("TestToken"),
            "silent": compiled("contracts/SilentToken.vy"),
            "refusing": compiled("chain/RefusingToken.vy"),
        }
        self._abis = {name: artifact.abi for name, artifact in artifacts.items()}
        self._places = {name: self._create(made) for name, made in artifacts.items()}
        for name in artifacts:
            self.send(name, "mint", OWNER, 1000)
        self.send("refusing", "set_approves", True)
        self.chain.deploy(SigningCommittee().terms(), list(self._places.values()))

    def _create(self, artifact: Artifact) -> AccountId:
        created = self.chain._sender.create(artifact, ())["contractAddress"]
        return AccountId(str(created))

    def _token(self, name: str) -> Any:
        return self.chain._web3.eth.contract(self._places[name], abi=self._abis[name])  # type: ignore[call-overload]

    def send(self, name: str, function: str, *arguments: object, key: bytes | None = None) -> None:
        self.chain._sender.call(self._token(name).functions[function](*arguments), key)

    def vault(self, name: str) -> VaultPlace:
        found = {vault.token: vault for vault in self.chain.deployment.vaults}
        return found[self._places[name]]

    def held(self, name: str, owner: str) -> int:
        return int(self._token(name).functions.balanceOf(owner).call())


@pytest.fixture(scope="module")
def founded() -> Tokens:
    return Tokens()


@pytest.fixture
def tokens(founded: Tokens) -> Iterator[Tokens]:
    tester = founded.chain._tester
    assert tester is not None
    here = tester.take_snapshot()
    yield founded
    tester.revert_to_snapshot(here)


UNITS = {"plain": 1, "silent": 10**12, "refusing": 1}
"""Units that 1,000 of the account's tokens have each."""


@pytest.mark.parametrize("name", UNITS)
def test_an_account_deposits_its_own_tokens_of_any_kind(tokens: Tokens, name: str) -> None:
    chain, vault, unit = tokens.chain, tokens.vault(name), UNITS[name]
    for amount in (300, 1, 699):
        chain.deposit(KEY, amount * unit, vault)
    assert tokens.held(name, vault.address) == 1000 * unit
    assert tokens.held(name, OWNER) == 0
    flows = [(flow.account, flow.vault, flow.amount) for flow in chain.flows()]
    assert flows == [(OWNER, vault.address, amount * unit) for amount in (300, 1, 699)]
    with pytest.raises(TransactionReverted, match="deposit"):
        chain.deposit(KEY, unit, vault)
    assert len(chain.flows()) == 3


def test_without_a_name_the_vault_is_that_of_cash(tokens: Tokens) -> None:
    tokens.chain.deposit(KEY, 5)
    assert tokens.chain.flows()[0].vault == tokens.vault("plain").address


@pytest.mark.parametrize("name", UNITS)
def test_what_was_approved_before_is_used_or_changed(tokens: Tokens, name: str) -> None:
    chain, vault, unit = tokens.chain, tokens.vault(name), UNITS[name]
    tokens.send(name, "approve", vault.address, 10 * unit, key=KEY)
    before = chain.height()
    chain.deposit(KEY, 10 * unit, vault)
    assert chain.height() == before + 1
    tokens.send(name, "approve", vault.address, 0, key=KEY)
    tokens.send(name, "approve", vault.address, 5 * unit, key=KEY)
    chain.deposit(KEY, 20 * unit, vault)
    assert tokens.held(name, vault.address) == 30 * unit


def test_a_token_that_answers_false_to_an_approval_is_told(tokens: Tokens) -> None:
    tokens.send("refusing", "set_approves", False)
    vault = tokens.vault("refusing")
    with pytest.raises(NotApproved, match=f"{vault.token}.*: expected 7, got 0"):
        tokens.chain.deposit(KEY, 7, vault)
    assert tokens.held("refusing", vault.address) == 0


def test_a_token_that_answers_false_to_a_transfer_is_refused(tokens: Tokens) -> None:
    with pytest.raises(TransactionReverted, match="transfer"):
        tokens.chain.deposit(KEY, 1001, tokens.vault("refusing"))
    assert tokens.chain.flows() == ()


def test_a_deposit_over_http_is_the_same(tokens: Tokens) -> None:
    with served(ServedChain(tokens.chain._web3)) as url:
        chain = Chain.connect(url, KEY)
        chain.attach(tokens.chain.deployment)
        chain.deposit(KEY, 12 * 10**12, tokens.vault("silent"))
    assert tokens.chain.flows()[0].amount == 12 * 10**12
