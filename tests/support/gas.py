"""What each call of the contracts costs, on the embedded chain; written to `contracts/gas.json`.

Times, keys and addresses are fixed, so the same contracts cost the same to the unit. Run as a
module it writes the file anew.
"""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

from eth_hash.auto import keccak
from web3 import Web3

from crypto.signing.ecdsa import address_of, sign
from crypto.signing.settling import Claim, Tree
from crypto.signing.sum_tree import SumLeaf, SumProof, proven_root
from tests.support.custody_contracts import CustodyContracts

GAS_FILE = Path(__file__).resolve().parents[2] / "contracts" / "gas.json"
START_S = 2_000_000_000
DEPTH = 20
KEY = b"\x77" * 32
Proven = tuple[SumLeaf, SumProof]


def measured() -> dict[str, int]:
    """Gas of one call of each kind, deposits and balances as a large venue has them."""
    venue = CustodyContracts(started_at=START_S)
    venue.fund()
    a, b = venue.accounts[:2]
    costs = {"deposit, first of an account": _deposit(venue, a)}
    costs["deposit, later"] = _deposit(venue, a)
    venue.send(venue.vault.functions.deposit(Web3.to_checksum_address(address_of(KEY)), 10**11), b)
    many = [f"0x{index + 2**100:040x}" for index in range(200)]
    sums = [1000] * 200
    gas = venue.send(venue.vault.functions.deposit_many(_checked(many), sums))
    costs["deposit_many, for each of 200 new accounts"] = gas // 200
    venue.commit(1)
    account = _own(a, 10**9)
    _settle(venue, account, 1)
    costs["claim at depth 20, into an empty wallet"] = _claim(venue, account, 1, a)
    venue.commit(2)
    account = _own(a, 2 * 10**9)
    costs["settle, one instrument"] = _settle(venue, account, 1)
    costs["claim at depth 20, later"] = _claim(venue, account, 2, a)
    costs["request"] = venue.send(venue.vault.functions.request(10**9), a)
    costs["commit_batch"] = venue.commit(3)
    relayed = _own(Web3.to_checksum_address(address_of(KEY)), 3 * 10**9)
    costs["settle, 64 instruments"] = _settle(venue, relayed, 64)
    costs["relayed claim at depth 20, into an empty wallet"] = _relayed(
        venue, relayed, 3, 3 * 10**9
    )
    venue.commit(4)
    relayed = _own(Web3.to_checksum_address(address_of(KEY)), 4 * 10**9)
    _settle(venue, relayed, 1)
    costs["relayed claim at depth 20, later"] = _relayed(venue, relayed, 4, 4 * 10**9)
    venue.send(venue.vault.functions.give_notice(_number(venue, b)), b)
    first, second = venue.batch_for(9), replace(venue.batch_for(9), plan=b"\x01" * 32)
    evidence = [
        (message.words(), sign(message.digest(venue.domain), venue.keys[0]))
        for message in (first, second)
    ]
    costs["exclude_for_batch"] = venue.send(venue.settlement.functions.exclude_for_batch(*evidence))
    return costs


def _checked(addresses: list[str]) -> list[str]:
    return [Web3.to_checksum_address(address) for address in addresses]


def _deposit(venue: CustodyContracts, account: str) -> int:
    return venue.send(venue.vault.functions.deposit(account, 10**11), account)


def _number(venue: CustodyContracts, account: str) -> int:
    return venue.deposit(account, 10**6)


def _own(account: str, claimable: int) -> Proven:
    """A leaf among a million, all others made up."""
    leaf = SumLeaf(bytes.fromhex(account.removeprefix("0x")), 10**10, claimable)
    siblings = tuple(keccak(bytes([level])) for level in range(DEPTH))
    return leaf, SumProof(0b1010 << 16, 2**DEPTH, siblings, ((10**6 << 128) + 10**9,) * DEPTH)


def _settle(venue: CustodyContracts, own: Proven, instruments: int) -> int:
    leaf, proof = own
    exits = leaf.exit_value + sum(pair >> 128 for pair in proof.sums)
    claims = leaf.claimable + sum(pair % 2**128 for pair in proof.sums)
    vault = Web3.to_bytes(hexstr=venue.vault.address)
    results = b"".join(
        keccak(bytes([number])) + (1000 << 64 | 512 << 1 | 1).to_bytes(32, "big")
        for number in range(instruments)
    )
    tree = Tree(vault, proven_root(leaf, proof), exits, claims)
    message = venue.settlement_of([], results, trees=(tree,), record_digest=keccak(b"record"))
    return venue.send(venue.settle_function(message, results))


def _claim(venue: CustodyContracts, own: Proven, interval: int, to: str) -> int:
    leaf, proof = own
    wallet = Web3.to_checksum_address(keccak(b"an empty wallet")[:20])
    function = venue.vault.functions.claim(interval, _leaf(leaf), _proof(proof), wallet)
    return venue.send(function, to)


def _relayed(venue: CustodyContracts, own: Proven, interval: int, cumulative: int) -> int:
    leaf, proof = own
    wallet = keccak(b"another empty wallet")[:20]
    vault = Web3.to_bytes(hexstr=venue.vault.address)
    order = Claim(leaf.account, vault, wallet, cumulative, 1000, START_S * 2)
    named = (_leaf(leaf)[0], Web3.to_checksum_address(wallet), cumulative, 1000, START_S * 2)
    function = venue.vault.functions.claim_for(
        named, interval, _leaf(leaf), _proof(proof), sign(order.digest(venue.domain), KEY)
    )
    return venue.send(function)


def _leaf(leaf: SumLeaf) -> tuple[str, int, int]:
    return Web3.to_checksum_address(leaf.account), leaf.exit_value, leaf.claimable


def _proof(proof: SumProof) -> tuple[int, int, list[bytes], list[int]]:
    return proof.index, proof.count, list(proof.siblings), list(proof.sums)


if __name__ == "__main__":
    GAS_FILE.write_text(json.dumps(measured(), indent=1) + "\n", encoding="utf-8")
