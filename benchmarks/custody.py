"""Leaves, sums and data of a settlement, a client's way out, and the accounts of one settlement.

Balances and proofs are rebuilt from the events of a chain of this process, for one account and for
all. Sizes are found by trying: leaves as an event are published until the contract refuses.
"""

import statistics

from eth_hash.auto import keccak

from benchmarks.machine import Arguments, argument_parser, sample_seconds
from crypto.signing.ecdsa import address_of, sign
from crypto.signing.settling import BatchRoot, Settlement
from crypto.signing.sum_tree import LEAF_BYTES, SumLeaf, SumTree
from darkpool.chain.calls import VaultCalls
from darkpool.chain.client import Chain, DeploymentTerms
from darkpool.chain.errors import ChainError
from darkpool.client.leaving import VenueBalances
from darkpool.protocol.errors import InvalidLeaves
from darkpool.protocol.leaves import CALLDATA_BYTES_MAX, blobs_of, encode_leaves, versioned_hashes
from darkpool.settlement.trees import trees_of
from darkpool.units import AccountId, Interval, account_bytes, account_of

ACCOUNTS = 10_000
EXITS = 1_000
RUNS = 5
AMOUNT = 10**12
KEYS = [bytes([number]) * 32 for number in range(1, 5)]
NOBODY = account_of(b"\xf0" * 20)
LATER_S = 2**40
ANYTHING = b"\x57" * 32


def accounts(count: int) -> list[AccountId]:
    """Addresses as they come."""
    return [account_of(keccak(number.to_bytes(4, "big"))[12:]) for number in range(count)]


def leaves_of(names: list[AccountId]) -> list[SumLeaf]:
    """A balance for each, half of it granted."""
    made = [SumLeaf(account_bytes(name), AMOUNT // 2, AMOUNT // 2) for name in names]
    return sorted(made, key=lambda leaf: leaf.account)


def settled_venue(names: list[AccountId]) -> Chain:
    """A venue whose accounts paid in, and one settlement that counts all of it."""
    chain = Chain.embedded()
    keypers = tuple(account_of(address_of(key)) for key in KEYS)
    parties = (NOBODY, NOBODY, NOBODY)
    deployment = chain.deploy(DeploymentTerms(keypers, ANYTHING, ANYTHING, 1, len(names), *parties))
    chain.fund_and_deposit(dict.fromkeys(names, AMOUNT))
    batch = BatchRoot(1, ANYTHING, 0, bytes(32), ANYTHING, ANYTHING, LATER_S)
    domain = deployment.domain()
    chain.commit_batch(batch, [sign(batch.digest(domain), key) for key in KEYS])
    committed = chain.evidence(Interval(1)).batch
    if committed is None:
        raise SystemExit("expected a committed batch, got none")
    leaves = leaves_of(names)
    data = encode_leaves([leaves])
    message = Settlement(
        interval=1,
        batch_root=batch.root,
        previous_settlement=bytes(32),
        flows=committed.flows_head,
        results=keccak(b""),
        prices=bytes(32),
        fills_root=ANYTHING,
        state_root=ANYTHING,
        trees=trees_of([deployment.vault], [leaves]),
        leaf_hash=keccak(data),
        leaf_blobs=(),
        record_digest=bytes(32),
        terms=batch.terms,
    )
    chain.publish(data)
    chain.settle(message, b"", [sign(message.digest(domain), key) for key in KEYS])
    return chain


def rebuild_all(chain: Chain, names: list[AccountId]) -> int:
    """What `darkpool exit` rebuilds, for every account; bytes of all calls."""
    venue, calls, size = VenueBalances(chain), VaultCalls(chain.deployment.vault), 0
    for name in names:
        [own] = venue.of(name)
        if own.proven is None or own.everything != AMOUNT:
            raise SystemExit(f"expected {AMOUNT} of {name}, got {own.everything}")
        size += len(calls.claim(own.proven, name).data())
    return size


def published_max(chain: Chain, names: list[AccountId]) -> tuple[int, int]:
    """The most leaves that `publish` takes, and the gas of that."""
    most = (CALLDATA_BYTES_MAX - len(encode_leaves([[]]))) // LEAF_BYTES
    leaves = leaves_of(names)
    gas = chain.publish(encode_leaves([leaves[:most]])).gas_used
    try:
        chain.publish(encode_leaves([leaves[: most + 1]]))
    except ChainError:
        return most, gas
    raise SystemExit(f"expected at most {most} leaves in an event, got {most + 1}")


def carried_max() -> int:
    """The most leaves that the blobs of one transaction carry."""
    low, high = 0, 1 << 20
    while low < high:
        middle = (low + high + 1) // 2
        try:
            blobs_of(bytes(len(encode_leaves([[]])) + middle * LEAF_BYTES))
            low = middle
        except InvalidLeaves:
            high = middle - 1
    return low


def main() -> None:
    """Measure all in one run and write the result."""
    arguments = argument_parser(__doc__).parse_args(namespace=Arguments())
    names = accounts(ACCOUNTS)
    leaves = leaves_of(names)
    data = encode_leaves([leaves])
    few = names[:EXITS]
    chain = settled_venue(few)
    samples = {
        "leaves_s": sample_seconds(lambda: leaves_of(names), RUNS),
        "sums_s": sample_seconds(lambda: SumTree(leaves), RUNS),
        "data_s": sample_seconds(lambda: keccak(encode_leaves([leaves])), RUNS),
        "blobs_s": sample_seconds(lambda: versioned_hashes(blobs_of(data)), RUNS),
        "exit_of_one_s": sample_seconds(lambda: rebuild_all(chain, few[:1]), RUNS),
        "exits_s": sample_seconds(lambda: rebuild_all(chain, few), 1),
    }
    medians = {name: statistics.median(taken) for name, taken in samples.items()}
    all_s = medians["leaves_s"] + medians["sums_s"] + medians["data_s"]
    most, gas = published_max(chain, accounts(CALLDATA_BYTES_MAX // LEAF_BYTES + 1))
    in_blobs = carried_max()
    figures = {
        "accounts": ACCOUNTS,
        "leaves_sums_and_data_s": round(all_s, 3),
        "data_bytes": len(data),
        "blobs": len(blobs_of(data)),
        "blobs_over_leaves_sums_and_data": round(medians["blobs_s"] / all_s, 2),
        "exits": EXITS,
        "exits_s": round(medians["exits_s"], 2),
        "exit_of_one_s": round(medians["exit_of_one_s"], 3),
        "one_by_one_over_together": round(EXITS * medians["exit_of_one_s"] / medians["exits_s"], 1),
        "accounts_in_events_max": most,
        "gas_of_events_max": gas,
        "accounts_in_blobs_max": in_blobs,
        "blobs_over_events": round(in_blobs / most, 2),
    }
    arguments.write("custody", figures, samples)


if __name__ == "__main__":
    main()
