"""Deposits by an owner's signature for Permit2, whoever sends them."""

from typing import Any

import pytest
from eth_account import Account
from eth_account.messages import encode_typed_data
from web3.contract.contract import ContractFunction

from tests.contracts.conftest import compiled
from tests.support.custody_contracts import Code, CustodyContracts

KEY = b"\x77" * 32
OWNER = Account.from_key(KEY).address
DEADLINE_S = 2**40
TYPES = {
    "EIP712Domain": [
        {"name": "name", "type": "string"},
        {"name": "chainId", "type": "uint256"},
        {"name": "verifyingContract", "type": "address"},
    ],
    "PermitWitnessTransferFrom": [
        {"name": "permitted", "type": "TokenPermissions"},
        {"name": "spender", "type": "address"},
        {"name": "nonce", "type": "uint256"},
        {"name": "deadline", "type": "uint256"},
        {"name": "witness", "type": "Deposit"},
    ],
    "TokenPermissions": [
        {"name": "token", "type": "address"},
        {"name": "amount", "type": "uint256"},
    ],
    "Deposit": [{"name": "account", "type": "address"}],
}


@pytest.fixture(scope="module")
def permit2_code() -> Code:
    return compiled("Permit2")


@pytest.fixture
def venue(permit2_code: Code, hostile_token: Code) -> CustodyContracts:
    """A venue with a Permit2 of its own, whose token takes each approval for given."""
    venue = CustodyContracts([hostile_token], permit2=permit2_code)
    venue.send(venue.token.functions.mint(OWNER, 10**6))
    return venue


def signature(venue: CustodyContracts, **changes: Any) -> bytes:
    message = {
        "permitted": {"token": venue.token.address, "amount": 40},
        "spender": venue.vault.address,
        "nonce": 257,
        "deadline": DEADLINE_S,
        "witness": {"account": venue.accounts[0]},
    }
    domain = {
        "name": "Permit2",
        "chainId": venue.web3.eth.chain_id,
        "verifyingContract": venue.permit2,
    }
    data = {
        "types": TYPES,
        "primaryType": "PermitWitnessTransferFrom",
        "domain": domain,
        "message": message | changes,
    }
    return bytes(Account.sign_message(encode_typed_data(full_message=data), KEY).signature)


def deposit(
    venue: CustodyContracts, signed: bytes, account: str = "", amount: int = 40, nonce: int = 257
) -> ContractFunction:
    function: ContractFunction = venue.vault.functions.deposit_with_permit2(
        OWNER, account or venue.accounts[0], amount, nonce, DEADLINE_S, signed
    )
    return function


def test_any_sender_brings_in_what_an_owner_signed_once(
    venue: CustodyContracts,
) -> None:
    signed = signature(venue)
    venue.send(deposit(venue, signed), venue.stranger)
    assert venue.held() == venue.totals()[5] == 40
    assert venue.vault.functions.deposit_of(1).call() == [venue.accounts[0], 40]
    with venue.refuses("nonce"):
        venue.send(deposit(venue, signed))


def test_a_sender_cannot_change_what_an_owner_signed(
    venue: CustodyContracts,
) -> None:
    signed = signature(venue)
    for function in (
        deposit(venue, signed, account=venue.stranger),
        deposit(venue, signed, amount=39),
        deposit(venue, signed, nonce=258),
        deposit(venue, signature(venue, spender=venue.stranger)),
        deposit(venue, signature(venue, witness={"account": venue.accounts[1]})),
    ):
        with venue.refuses("signer"):
            venue.send(function)
    assert venue.held() == 0


def test_a_deposit_of_which_less_arrives_is_refused(
    venue: CustodyContracts,
) -> None:
    venue.send(venue.token.functions.keep(1))
    with venue.refuses("amount received"):
        venue.send(deposit(venue, signature(venue)))
