"""Whatever a party sends, the chain may give it up again: it comes back once, or is told."""

from collections.abc import Callable

import pytest

from crypto.signing.settling import Rotation, committee_hash
from darkpool.chain.client import Chain
from darkpool.chain.errors import TransactionLost
from darkpool.chain.evidence import TransactionReceiptInfo
from darkpool.chain.finality import Finality
from darkpool.units import account_bytes
from tests.support.anvil_node import ANVIL_KEY, Anvil
from tests.support.signing_committee import SigningCommittee, balance, proven

DEEP = Finality(8)

Sent = Callable[[Chain, SigningCommittee], TransactionReceiptInfo]


@pytest.fixture
def chain(anvil_url: str, committee: SigningCommittee) -> Chain:
    """A venue that has settled once, and whose one account may claim 30; its account has 1,000."""
    chain = Chain.connect(anvil_url, ANVIL_KEY)
    chain.deploy(committee.terms())
    token = chain._contract("TestToken", chain.deployment.vaults[0].token)
    chain._transact(token.functions.mint(chain.account, 1000))
    chain.deposit(ANVIL_KEY, 100)
    committee.commit(chain, 1)
    committee.settle(chain, [balance(chain.account, 70, 30)])
    Anvil(chain).mine(6)
    return chain


def deposit(chain: Chain, _: SigningCommittee) -> TransactionReceiptInfo:
    return chain.deposit(ANVIL_KEY, 7)


def request(chain: Chain, _: SigningCommittee) -> TransactionReceiptInfo:
    return chain.request(ANVIL_KEY, 5)


def commitment(chain: Chain, committee: SigningCommittee) -> TransactionReceiptInfo:
    message = committee.batch(chain, 2)
    return chain.commit_batch(message, committee.sign(chain, message))


def claim(chain: Chain, _: SigningCommittee) -> TransactionReceiptInfo:
    leaf = proven(1, [balance(chain.account, 70, 30)], chain.account)
    return chain.claim(ANVIL_KEY, leaf, chain.account)


def rotation(chain: Chain, committee: SigningCommittee) -> TransactionReceiptInfo:
    addresses = [account_bytes(one) for one in committee.addresses]
    following = tuple(bytes([number]) * 20 for number in range(1, 5))
    message = Rotation(
        chain.deployment.epoch + 1, committee_hash(addresses), following, b"\x1d" * 32, b"\xc1" * 32
    )
    return chain.announce_rotation(message, committee.sign(chain, message))


def standing(chain: Chain) -> tuple[object, ...]:
    """All that any of them changes."""
    token = chain._contract("TestToken", chain.deployment.vaults[0].token)
    settlement = chain._settlement.functions
    tokens = [
        token.functions.balanceOf(of).call() for of in (chain.account, chain.deployment.vault)
    ]
    announced = settlement.next_committee().call()
    return *tokens, chain.standing(), announced, chain.evidence(chain.standing().committed).batch


@pytest.mark.usefixtures("patient")
@pytest.mark.parametrize("send", [deposit, request, commitment, claim, rotation])
def test_what_was_sent_and_given_up_comes_back_once(
    send: Sent,
    chain: Chain,
    committee: SigningCommittee,
    pausing: Callable[[list[Callable[[], object]]], None],
) -> None:
    node, before = Anvil(chain), standing(chain)
    sent = send(chain, committee)
    after = standing(chain)
    assert after != before
    node.mine(2)
    node.reorganise(4)
    assert standing(chain) == before
    pausing([lambda: node.mine(1)])
    found = chain.wait_final(sent, DEEP)
    assert found.hash == sent.hash
    assert found.block_hash != sent.block_hash
    assert standing(chain)[:2] == after[:2]
    assert chain.is_final(found.point, DEEP)


@pytest.mark.usefixtures("patient")
def test_a_client_that_did_not_send_it_is_told_that_it_is_gone(
    chain: Chain, committee: SigningCommittee, anvil_url: str
) -> None:
    """A claim is given up, and only who signed it can send the same bytes again."""
    sent = claim(chain, committee)
    Anvil(chain).reorganise(2)
    with pytest.raises(TransactionLost, match=sent.hash.hex()):
        Chain.connect(anvil_url).wait_final(sent, DEEP)
