"""A client with a node and its key alone takes out everything that is its own."""

from __future__ import annotations

from dataclasses import replace

import pytest
from eth_hash.auto import keccak

from crypto.signing.settling import Closing
from crypto.signing.sum_tree import SumLeaf
from darkpool.chain.client import Chain
from darkpool.chain.errors import ChainUnavailable
from darkpool.client.errors import LeavesMissing, LeavesUnproven
from darkpool.client.leaving import balances_of
from darkpool.protocol.leaves import encode_leaves
from darkpool.protocol.results import encode_results
from darkpool.settlement.trees import trees_of
from darkpool.units import account_bytes
from darkpool.units import account_of as account_at
from tests.support.signing_committee import KEYS, RESULTS, SigningCommittee, account_of

TRADER_KEY = b"\x77" * 32
TRADER = account_of(TRADER_KEY)
OTHER = account_at(b"\x99" * 20)
ETHER = 10**18


@pytest.fixture
def committee() -> SigningCommittee:
    return SigningCommittee()


@pytest.fixture
def chain(committee: SigningCommittee) -> Chain:
    made = Chain.embedded()
    made.deploy(committee.terms())
    made.fund_gas(TRADER, ETHER)
    made.fund_and_deposit({TRADER: 1000, OTHER: 500})
    return made


def leaves(**amounts: tuple[int, int]) -> list[SumLeaf]:
    named = {"trader": TRADER, "other": OTHER}
    made = [SumLeaf(account_bytes(named[name]), *pair) for name, pair in amounts.items()]
    return sorted(made, key=lambda leaf: leaf.account)


def test_before_the_first_settlement_a_client_has_its_deposits(chain: Chain) -> None:
    [own] = balances_of(chain, TRADER)
    assert (own.proven, own.claimable, own.everything) == (None, 0, 0)
    assert [flow.amount for flow in own.deposits] == [1000]


def test_a_client_claims_what_was_granted_and_no_more(
    chain: Chain, committee: SigningCommittee
) -> None:
    committee.commit(chain, 4)
    chain.fund_and_deposit({TRADER: 7})
    committee.settle(chain, leaves(trader=(600, 400), other=(500, 0)))
    [own] = balances_of(chain, TRADER)
    assert (own.claimable, own.everything, own.paid) == (400, 1000, 0)
    assert [flow.amount for flow in own.deposits] == [7]
    assert own.proven is not None
    chain.claim(TRADER_KEY, own.proven, OTHER)
    [own] = balances_of(chain, TRADER)
    assert (own.claimable, own.everything, own.paid) == (0, 600, 400)
    chain.give_notice(TRADER_KEY, own.deposits[0].index)
    committee.commit(chain, 5)
    committee.settle(chain, leaves(trader=(607, 400), other=(500, 0)))
    [own] = balances_of(chain, TRADER)
    assert (own.deposits, own.everything) == ((), 607)
    [nobody] = balances_of(chain, account_at(b"\x55" * 20))
    assert (nobody.proven, nobody.deposits, nobody.everything) == (None, (), 0)


def test_leaves_from_elsewhere_prove_themselves(chain: Chain, committee: SigningCommittee) -> None:
    own = leaves(trader=(1000, 0), other=(500, 0))
    data = encode_leaves([own])
    committee.commit(chain, 4)
    chain.publish(data)
    message = committee.settlement(chain, own)
    chain.settle(message, encode_results(RESULTS), committee.sign(chain, message, KEYS[1:]))

    class Silent:
        """The chain without its events of leaves, as a node that pruned them."""

        def __getattr__(self, name: str) -> object:
            return (lambda _hash: None) if name == "leaves" else getattr(chain, name)

    silent = Silent()
    with pytest.raises(LeavesMissing, match=keccak(data).hex()):
        balances_of(silent, TRADER)  # type: ignore[arg-type]
    with pytest.raises(LeavesMissing):
        balances_of(silent, TRADER, [lambda _named: data + b"\0"])  # type: ignore[arg-type]
    sources = [lambda _named: None, lambda _named: b"", lambda _named: data]
    [found] = balances_of(silent, TRADER, sources)  # type: ignore[arg-type]
    assert found.everything == 1000


def test_leaves_that_the_root_is_not_of_are_refused(
    chain: Chain, committee: SigningCommittee
) -> None:
    """A corrupt quorum names bytes that are other leaves than those of its root."""
    own, told = leaves(trader=(900, 0), other=(500, 0)), leaves(trader=(1000, 0), other=(500, 0))
    committee.commit(chain, 4)
    chain.publish(encode_leaves([told]))
    message = committee.settlement(chain, own)
    message = replace(message, leaf_hash=keccak(encode_leaves([told])))
    chain.settle(message, encode_results(RESULTS), committee.sign(chain, message, KEYS[1:]))
    with pytest.raises(LeavesUnproven):
        balances_of(chain, TRADER)


@pytest.mark.parametrize("trees", [0, 2])
def test_a_settlement_of_other_vaults_is_no_answer(
    chain: Chain, committee: SigningCommittee, monkeypatch: pytest.MonkeyPatch, trees: int
) -> None:
    committee.commit(chain, 4)
    committee.settle(chain, leaves(trader=(1000, 0), other=(500, 0)))
    settled = chain.last_settlement()
    assert settled is not None
    told = replace(settled, trees=settled.trees * trees)
    monkeypatch.setattr(chain, "last_settlement", lambda: told)
    with pytest.raises(ChainUnavailable, match=f"a settlement of {trees} vaults, of 1"):
        balances_of(chain, TRADER)


def test_a_venue_that_has_ended_is_left_by_the_closing_settlement(
    chain: Chain, committee: SigningCommittee
) -> None:
    committee.commit(chain, 4)
    message = committee.settle(chain, leaves(trader=(600, 400), other=(500, 0)))
    tester = chain._tester  # time passes on the embedded chain only
    assert tester is not None
    now = tester.get_block_by_number("pending")["timestamp"]
    tester.time_travel(now + 15 * 86_400)
    chain.declare()
    last = leaves(trader=(650, 400), other=(450, 0))
    chain.publish(encode_leaves([last]))
    trees = trees_of([chain.deployment.vault], [last])
    closing = Closing(
        chain.standing().declared_at,
        message.struct_hash(),
        bytes(32),
        b"\x57" * 32,
        trees,
        keccak(encode_leaves([last])),
        (),
        bytes(32),
        bytes(32),
    )
    chain.close(closing, committee.sign(chain, closing))
    [own] = balances_of(chain, TRADER)
    assert (own.claimable, own.everything) == (400, 1050)
    assert own.proven is not None
    chain.leave(TRADER_KEY, own.proven, TRADER)
    [own] = balances_of(chain, TRADER)
    assert own.everything == 0
