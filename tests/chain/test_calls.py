"""What a wallet is told to send is what the contracts' own interface says."""

import pytest
from web3 import Web3

from crypto.signing.settling import Claim, TakeBack
from crypto.signing.sum_tree import SumLeaf, SumTree
from darkpool.chain.artifacts import load_artifact
from darkpool.chain.calls import Call, ProvenLeaf, VaultCalls, declare
from darkpool.units import Interval, account_of

ME, TO, VAULT = (bytes([number]) * 20 for number in (0x77, 0x88, 0x99))
LEAVES = [SumLeaf(bytes([number]) * 20, number, 2 * number) for number in (1, 0x77, 0x99)]
PROVEN = ProvenLeaf(Interval(7), LEAVES[1], SumTree(LEAVES).proof(1))
CLAIM = Claim(ME, VAULT, TO, 5, 1, 2**40)
RETURN = TakeBack(ME, VAULT, TO, 3, 1, 2**40)
CALLS = VaultCalls(account_of(VAULT))
SIGNATURE = b"\x5a" * 65


@pytest.mark.parametrize(
    "call",
    [
        CALLS.request(2**128 - 1),
        CALLS.give_notice(3),
        CALLS.take_back(3, account_of(TO)),
        CALLS.take_back_for(RETURN, SIGNATURE),
        CALLS.claim(PROVEN, account_of(TO)),
        CALLS.claim_for(CLAIM, SIGNATURE, PROVEN),
        CALLS.leave(PROVEN, account_of(TO)),
        CALLS.leave_for(CLAIM, SIGNATURE, PROVEN),
        declare(account_of(VAULT)),
    ],
    ids=lambda call: str(call.function),
)
def test_the_data_of_a_call_is_that_of_the_interface(call: Call) -> None:
    contract = Web3().eth.contract(abi=load_artifact(call.kind).abi)
    assert f"0x{call.data().hex()}" == contract.encode_abi(call.function, list(call.arguments))
