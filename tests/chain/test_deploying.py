"""Contracts at addresses that follow from their terms, on a node of its own process."""

from __future__ import annotations

import pytest

from crypto.signing.ecdsa import address_of
from crypto.signing.sum_tree import SumLeaf
from darkpool.chain.artifacts import load_artifact
from darkpool.chain.client import Chain
from darkpool.chain.deploying import (
    SEATS_MAX,
    VAULTS_MAX,
    ContractTerms,
    VaultTerms,
    blueprint_code,
    deploy_venue,
    places_of,
)
from darkpool.chain.errors import TransactionRefused, TransactionReverted
from darkpool.chain.manifest import compare, manifest_of
from darkpool.protocol.leaves import CALLDATA_BYTES_MAX, encode_leaves
from darkpool.units import AccountId, account_of
from tests.support.signing_committee import KEYS, SigningCommittee

CODE_MAX = 24_576
"""Bytes of a contract's code (EIP-170); the code that creates it may have twice as many."""

RESERVED_LEAVES = 3
"""Of a vault: claims of pruned leaves, the insurance fund, the treasury."""


def terms(tokens: list[AccountId]) -> ContractTerms:
    keypers = tuple(account_of(address_of(key)) for key in KEYS)
    vaults = tuple(VaultTerms(token, 1, 1000) for token in tokens)
    owner = account_of(b"\xf0" * 20)
    return ContractTerms(keypers, b"\x1d" * 32, b"\xc1" * 32, vaults, owner, owner, owner)


def test_every_code_fits_what_a_chain_takes() -> None:
    settlement, vault = load_artifact("Settlement"), load_artifact("CollateralVault")
    for code in (settlement.runtime, vault.runtime, blueprint_code()):
        assert len(code) <= CODE_MAX
    assert len(settlement.bytecode) + 64 * 32 <= 2 * CODE_MAX
    assert blueprint_code()[:3] == b"\xfe\x71\x00", "a blueprint of ERC-5202"


def test_a_venue_stands_where_its_terms_say_on_a_node(anvil_url: str) -> None:
    chain = Chain.connect(anvil_url)
    tokens = [chain._create("TestToken")[0] for _ in range(VAULTS_MAX + 1)]
    fixed = terms(tokens[:VAULTS_MAX])
    deployment = deploy_venue(chain, fixed)
    assert deployment.settlement == places_of(fixed).settlement
    checks = compare(chain, manifest_of(chain, fixed, deployment))
    assert [check.name for check in checks if not check.ok] == []


def test_more_vaults_than_the_bound_fit_no_transaction() -> None:
    """The bound of deployment files is that of the chain, and not a smaller one."""
    chain = Chain.embedded()
    tokens = [chain._create("TestToken")[0] for _ in range(VAULTS_MAX + 1)]
    deploy_venue(chain, terms(tokens[:VAULTS_MAX]))
    with pytest.raises((TransactionRefused, TransactionReverted)):
        deploy_venue(chain, terms(tokens))


@pytest.mark.parametrize("vaults", range(1, VAULTS_MAX + 1))
def test_a_venue_without_a_free_seat_can_publish_its_leaves(vaults: int) -> None:
    seats = [SEATS_MAX - vaults + 1, *[1] * (vaults - 1)]
    rows = [[SumLeaf(bytes(20), 0, 0)] * (own + RESERVED_LEAVES) for own in seats]
    data = encode_leaves(rows)
    assert len(data) <= CALLDATA_BYTES_MAX
    chain = Chain.embedded()
    chain.deploy(SigningCommittee().terms())
    chain.publish(data)
    over = data.ljust(CALLDATA_BYTES_MAX + 1, b"\0")
    with pytest.raises(TransactionReverted):
        chain.publish(over)


def test_a_token_without_code_has_no_vault() -> None:
    chain = Chain.embedded()
    with pytest.raises(TransactionReverted):
        deploy_venue(chain, terms([account_of(b"\x77" * 20)]))
