"""A venue on a served chain, with clients that have a key file each and no engine behind it."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any

from eth_account import Account
from eth_hash.auto import keccak

from crypto.signing.ecdsa import sign
from crypto.signing.key_file import write_account_key
from crypto.signing.settling import Closing
from crypto.signing.sum_tree import SumLeaf
from darkpool.chain.client import Chain
from darkpool.protocol.leaves import blobs_of, encode_leaves, versioned_hashes
from darkpool.protocol.results import encode_results
from darkpool.settlement.trees import trees_of
from darkpool.units import AccountId, account_bytes
from tests.support.command_line import Done, darkpool
from tests.support.served_chain import ServedChain, served
from tests.support.signing_committee import KEYS, SigningCommittee, account_of

DAY_S = 86_400
WEEK_S = 7 * DAY_S
ETHER = 10**18
PASSPHRASE = "a word of the tests"  # noqa: S105


@dataclass
class ExitVenue:
    """Contracts, a committee that signs when a test asks it to, and clients."""

    folder: Path
    url: str
    chain: Chain
    node: ServedChain
    keys: Mapping[str, bytes]
    committee: SigningCommittee = field(default_factory=SigningCommittee)

    @cached_property
    def files(self) -> dict[str, Path]:
        """A key file for each client."""
        made = {}
        for name, key in self.keys.items():
            made[name] = self.folder / f"{name}.key"
            write_account_key(made[name], key, PASSPHRASE)
        return made

    @contextmanager
    def as_it_was(self) -> Iterator[None]:
        """Takes the chain back to what it is now, and forgets what its node was asked."""
        tester = self.chain._tester
        assert tester is not None
        here = tester.take_snapshot()
        self.node.begin_anew()
        yield
        tester.revert_to_snapshot(here)

    def account(self, name: str) -> AccountId:
        return account_of(self.keys[name])

    def deposit(self, **amounts: int) -> None:
        self.chain.fund_and_deposit({self.account(name): n for name, n in amounts.items()})

    def leaves(self, **amounts: tuple[int, int]) -> list[SumLeaf]:
        """Exit value and claimable of each client."""
        made = [SumLeaf(account_bytes(self.account(n)), *pair) for n, pair in amounts.items()]
        return sorted(made, key=lambda leaf: leaf.account)

    def settle(self, interval: int, leaves: Sequence[SumLeaf]) -> None:
        self.committee.commit(self.chain, interval)
        self.committee.settle(self.chain, leaves)

    def settle_with_blobs(self, interval: int, leaves: Sequence[SumLeaf]) -> tuple[bytes, ...]:
        """A settlement whose leaves are in no event; returns the blobs of its transaction."""
        chain, blobs = self.chain, blobs_of(encode_leaves([leaves]))
        self.committee.commit(chain, interval)
        message = self.committee.settlement(chain, leaves)
        message = replace(message, leaf_blobs=versioned_hashes(blobs))
        signatures = self.committee.sign(chain, message)
        call = chain.settle_call(message, encode_results(self.committee.results), signatures)
        assert chain._tester is not None
        key = chain._tester.backend.account_keys[1]
        transaction = {
            "type": 3,
            "chainId": call.chain_id,
            "nonce": chain._web3.eth.get_transaction_count(key.public_key.to_checksum_address()),
            "maxFeePerGas": 10**12,
            "maxPriorityFeePerGas": 1,
            "maxFeePerBlobGas": 10**10,
            "gas": 4_000_000,
            "to": call.contract,
            "value": 0,
            "data": call.data,
            "accessList": [],
            "blobVersionedHashes": list(message.leaf_blobs),
        }
        signed = Account.sign_transaction(transaction, key.to_bytes())
        chain._tester.send_raw_transaction("0x" + signed.raw_transaction.hex())
        assert chain.standing().settled == interval
        return blobs

    def close(self, leaves: Sequence[SumLeaf]) -> None:
        """The closing settlement."""
        previous = self.chain.evidence(self.chain.standing().settled).settlement
        assert previous is not None
        data = encode_leaves([leaves])
        self.chain.publish(data)
        trees = trees_of([self.chain.deployment.vault], [leaves])
        shared = (bytes(32), b"\x57" * 32, trees, keccak(data), (), bytes(32), bytes(32))
        declared = self.chain.standing().declared_at
        closing = Closing(declared, previous.message.struct_hash(), *shared)
        digest = closing.digest(self.chain.deployment.domain())
        self.chain.close(closing, [sign(digest, key) for key in KEYS[:3]])

    def pass_time(self, seconds: int) -> None:
        tester = self.chain._tester
        assert tester is not None
        tester.time_travel(self.chain.time() + seconds)
        tester.mine_block()

    def held(self, holder: AccountId | None = None) -> int:
        """Tokens of an account; without one those of the vault."""
        owner = holder or self.chain.deployment.vault
        return int(self.chain._token.functions.balanceOf(owner).call())

    def exit(self, *options: str | Path, **changes: str) -> Done:
        """Run the command against the served chain."""
        place = self.chain.deployment.settlement
        given = ("exit", "--chain", self.url, "--settlement", place, *options)
        return darkpool(*given, **{"DARKPOOL_PASSPHRASE": PASSPHRASE} | changes)

    def sent(self) -> list[Any]:
        """Transactions that the node was given."""
        return self.node.of("eth_sendRawTransaction") + self.node.of("eth_sendTransaction")

    def told(self, *options: str | Path, **changes: str) -> Any:
        """What the command tells as JSON."""
        done = self.exit(*options, "--json", **changes)
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)

    def leave(self, name: str, *options: str | Path) -> list[tuple[str, int]]:
        """Run the command with a client's key; which steps it sent, and their amounts."""
        told = self.told("--key-file", self.files[name], *options)
        return [(one["step"], one["amount"]) for one in told["sent"]]


@contextmanager
def exit_venue(folder: Path, names: Sequence[str]) -> Iterator[ExitVenue]:
    """A venue with these clients, which have gas and no deposit yet."""
    chain = Chain.embedded()
    chain.deploy(SigningCommittee().terms())
    keys = {name: bytes([100 + number]) * 32 for number, name in enumerate(names)}
    for key in keys.values():
        chain.fund_gas(account_of(key), ETHER)
    node = ServedChain(chain._web3)
    with served(node) as url:
        yield ExitVenue(folder, url, chain, node, keys)
