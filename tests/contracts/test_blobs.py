"""Leaves that a settlement carries as blobs of its own transaction."""

from dataclasses import replace

import pytest
from eth_account import Account
from eth_tester.exceptions import TransactionFailed
from web3.contract.contract import ContractFunction

from tests.support.custody_contracts import GAS, CustodyContracts

FIRST, SECOND = (b"\x01" + bytes([index]) * 31 for index in (5, 6))


def send_with_blobs(
    venue: CustodyContracts, function: ContractFunction, blobs: tuple[bytes, ...]
) -> None:
    """Send a call in a transaction that names blobs; the blobs themselves no contract sees."""
    key = venue.tester.backend.account_keys[0]
    sender = key.public_key.to_checksum_address()
    transaction = {
        "type": 3,
        "chainId": venue.web3.eth.chain_id,
        "nonce": venue.web3.eth.get_transaction_count(sender),
        "maxFeePerGas": 10**12,
        "maxPriorityFeePerGas": 1,
        "maxFeePerBlobGas": 10**10,
        "gas": GAS // 4,
        "to": venue.settlement.address,
        "value": 0,
        "data": function._encode_transaction_data(),
        "accessList": [],
        "blobVersionedHashes": list(blobs),
    }
    signed = Account.sign_transaction(transaction, key.to_bytes())
    sent = venue.tester.send_raw_transaction("0x" + signed.raw_transaction.hex())
    if venue.tester.get_transaction_receipt(sent)["status"] != 1:
        raise TransactionFailed("refused")


@pytest.mark.parametrize(
    "carried", [(FIRST,), (SECOND,), (SECOND, FIRST), (FIRST, FIRST), (FIRST, b"\x01" * 32)]
)
def test_other_blobs_than_the_signed_ones_are_refused(
    venue: CustodyContracts, carried: tuple[bytes, ...]
) -> None:
    venue.commit(1)
    message = venue.settlement_of([], leaf_hash=b"\x09" * 32, leaf_blobs=(FIRST, SECOND))
    with pytest.raises(TransactionFailed):
        send_with_blobs(venue, venue.settle_function(message), carried)
    send_with_blobs(venue, venue.settle_function(message), (FIRST, SECOND))
    assert venue.standing()["settled"] == 1


def test_a_closing_carries_its_leaves_as_blobs_too(venue: CustodyContracts) -> None:
    venue.pass_time(14 * 86_400)
    venue.send(venue.settlement.functions.declare())
    closing = venue.closing_of()
    for blobs in ((), (FIRST,)):
        message = replace(closing, leaf_hash=b"\x09" * 32, leaf_blobs=blobs)
        with venue.refuses("leaves"):
            venue.send(venue.close_function(message))
    send_with_blobs(venue, venue.close_function(message), (FIRST,))
    assert venue.standing()["is_closed"]
