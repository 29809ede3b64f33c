from collections.abc import Callable
from dataclasses import astuple

import pytest
from web3.contract.contract import ContractFunction

from crypto.signing.ecdsa import SECP256K1_ORDER, sign
from crypto.signing.eip712 import Domain
from crypto.signing.messages import BatchRoot, SettlementRoot, instrument_id
from darkpool.chain.artifacts import load_artifact
from darkpool.protocol.results import InstrumentResult
from darkpool.units import InstrumentId, Lots, Tick
from tests.support.venue_contracts import VenueContracts

ROOT = b"\xba" * 32
OTHER_ROOT = b"\xbb" * 32
FILLS = b"\xf1" * 32
BALANCES = b"\xb1" * 32
TIMEOUT_S = 86_400
ABANDONMENT_S = 30 * 86_400
SignedRoot = tuple[bytes, int, bytes]
ZERO = "0x" + "00" * 20


def low_s_twin(signature: bytes) -> bytes:
    s = SECP256K1_ORDER - int.from_bytes(signature[32:64], "big")
    return signature[:32] + s.to_bytes(32, "big") + bytes([55 - signature[64]])


def commit_function(
    venue: VenueContracts, interval: int, signatures: list[bytes]
) -> ContractFunction:
    return venue.settlement.functions.commit_batch(interval, ROOT, 1, signatures)


@pytest.mark.parametrize(("keypers", "quorum"), [(3, 3), (4, 3), (5, 4), (6, 4), (7, 5)])
def test_a_quorum_is_the_least_number_above_half_of_n_plus_one(
    venue: VenueContracts, keypers: int, quorum: int
) -> None:
    artifact = load_artifact("Settlement")
    committee = venue.web3.eth.accounts[:keypers]
    deployed = venue.deploy(artifact.abi, artifact.bytecode, committee, venue.operator)
    assert deployed.functions.quorum().call() == quorum
    assert 2 * quorum > keypers + 1 >= 2 * (quorum - 1)
    assert deployed.functions.committee().call() == list(committee)


@pytest.mark.parametrize("fault", ["committee size", "zero address", "keyper twice"])
def test_unusable_committees_are_refused(venue: VenueContracts, fault: str) -> None:
    keypers: list[str] = list(venue.keypers)
    if fault == "committee size":
        del keypers[2:]
    else:
        keypers[2] = ZERO if fault == "zero address" else keypers[0]
    artifact = load_artifact("Settlement")
    with venue.refuses(fault):
        venue.deploy(artifact.abi, artifact.bytecode, keypers, venue.operator)


def test_the_zero_address_cannot_be_operator(venue: VenueContracts) -> None:
    artifact = load_artifact("Settlement")
    with venue.refuses("zero address"):
        venue.deploy(artifact.abi, artifact.bytecode, venue.keypers, ZERO)


def test_a_batch_is_committed_and_settled_and_both_are_told(venue: VenueContracts) -> None:
    venue.commit(5, ROOT, 7)
    assert venue.terms() == (False, False, 5, 0, bytes(32))
    results = [
        InstrumentResult(InstrumentId(instrument_id("ES")), True, Tick(12), Lots(340)),
        InstrumentResult(InstrumentId(instrument_id("NQ")), False, Tick(0), Lots(0)),
    ]
    signatures = venue.settlement_signatures(5, BALANCES, results)
    tuples = [astuple(result) for result in results]
    functions = venue.settlement.functions
    venue.send(functions.settle(5, tuples, FILLS, BALANCES, signatures), venue.stranger)
    assert venue.terms() == (True, False, 5, 5, BALANCES)
    committed = venue.settlement.events.BatchCommitted().get_logs(from_block=0)
    assert [dict(log["args"]) for log in committed] == [
        {"interval": 5, "root": ROOT, "count": 7, "signers": 0b0111}
    ]
    settled = venue.settlement.events.BatchSettled().get_logs(from_block=0)
    assert settled[0]["args"]["signers"] == 0b1110
    told = venue.settlement.events.InstrumentSettled().get_logs(from_block=0)
    assert [(log["args"]["crossed"], log["args"]["volume"]) for log in told] == [
        (True, 340),
        (False, 0),
    ]


def test_only_the_operator_commits(venue: VenueContracts) -> None:
    function = commit_function(venue, 1, venue.batch_signatures(1))
    with venue.refuses("not operator"):
        venue.send(function, venue.stranger)
    venue.send(function)


@pytest.mark.parametrize(
    ("reason", "spoil"),
    [
        ("quorum", lambda _, s: s[:2]),
        ("quorum", lambda _, s: s[:0]),
        ("keyper twice", lambda _, s: [s[0], s[1], s[1]]),
        ("signature length", lambda _, s: [s[0], s[1], s[2][:64]]),
        ("signature v", lambda _, s: [s[0], s[1], s[2][:64] + b"\x01"]),
        ("signature s", lambda _, s: [s[0], s[1], low_s_twin(s[2])]),
        ("signature", lambda _, s: [s[0], s[1], b"\xff" * 32 + s[2][32:]]),
        ("signature", lambda _, s: [s[0], s[1], bytes(64) + b"\x1b"]),
        ("not a keyper", lambda v, s: [s[0], s[1], v.batch_signatures(1, keys=[b"\x09" * 32])[0]]),
        ("not a keyper", lambda v, s: [s[0], s[1], v.batch_signatures(2)[2]]),
        ("not a keyper", lambda v, s: [s[0], s[1], v.batch_signatures(1, OTHER_ROOT)[2]]),
        ("not a keyper", lambda v, s: [s[0], s[1], v.batch_signatures(1, count=2)[2]]),
    ],
)
def test_a_batch_without_a_quorum_of_good_signatures_is_refused(
    venue: VenueContracts, reason: str, spoil: Callable[[VenueContracts, list[bytes]], list[bytes]]
) -> None:
    good = venue.batch_signatures(1)
    with venue.refuses(reason):
        venue.send(commit_function(venue, 1, spoil(venue, good)))
    venue.send(commit_function(venue, 1, good))


@pytest.mark.parametrize("where", ["chain", "contract"])
def test_signatures_for_another_chain_or_contract_are_refused(
    venue: VenueContracts, where: str
) -> None:
    other = Domain(
        venue.domain.chain_id + (where == "chain"),
        bytes(20) if where == "contract" else venue.domain.verifying_contract,
    )
    batch = [sign(BatchRoot(1, ROOT, 1).digest(other), key) for key in venue.keys]
    with venue.refuses("not a keyper"):
        venue.send(commit_function(venue, 1, batch))
    venue.commit(1)
    message = SettlementRoot(1, b"\1" * 32, FILLS, BALANCES)
    signatures = [sign(message.digest(other), key) for key in venue.keys]
    with venue.refuses("not a keyper"):
        venue.send(venue.settlement.functions.settle(1, [], FILLS, BALANCES, signatures))


def test_intervals_are_committed_once_and_in_order(venue: VenueContracts) -> None:
    with venue.refuses("interval"):
        venue.commit(0)
    venue.commit(5)
    with venue.refuses("batch open"):
        venue.commit(6)
    venue.settle_root(5, BALANCES)
    for interval in (4, 5):
        with venue.refuses("interval"):
            venue.commit(interval, OTHER_ROOT)
    venue.commit(6)


def test_a_batch_root_is_not_empty(venue: VenueContracts) -> None:
    with venue.refuses("root missing"):
        venue.commit(1, bytes(32))


def test_only_the_open_batch_is_settled_and_only_once(venue: VenueContracts) -> None:
    for interval in (0, 1):
        with venue.refuses("not the open batch"):
            venue.settle_root(interval, BALANCES)
    venue.commit(1)
    with venue.refuses("not the open batch"):
        venue.settle_root(2, BALANCES)
    with venue.refuses("root missing"):
        venue.settle_root(1, bytes(32))
    venue.settle_root(1, BALANCES)
    with venue.refuses("not the open batch"):
        venue.settle_root(1, BALANCES)


def test_a_settlement_is_bound_to_results_fills_and_balances(venue: VenueContracts) -> None:
    venue.commit(1)
    outcome = InstrumentResult(InstrumentId(instrument_id("ES")), True, Tick(12), Lots(340))
    result = astuple(outcome)
    signatures = venue.settlement_signatures(1, BALANCES, [outcome])
    functions = venue.settlement.functions
    for results, fills, balances in (
        ([(result[0], True, 12, 341)], FILLS, BALANCES),
        ([(result[0], True, 13, 340)], FILLS, BALANCES),
        ([(result[0], False, 12, 340)], FILLS, BALANCES),
        ([], FILLS, BALANCES),
        ([result, result], FILLS, BALANCES),
        ([result], BALANCES, BALANCES),
        ([result], FILLS, FILLS),
    ):
        with venue.refuses("not a keyper"):
            venue.send(functions.settle(1, results, fills, balances, signatures))
    with venue.refuses("quorum"):
        venue.send(functions.settle(1, [result], FILLS, BALANCES, signatures[:2]))
    venue.send(functions.settle(1, [result], FILLS, BALANCES, signatures))


def test_a_batch_is_void_after_the_timeout_and_not_before(venue: VenueContracts) -> None:
    venue.commit(1)
    void = venue.settlement.functions.void(1)
    venue.pass_time(TIMEOUT_S - 10)
    with venue.refuses("too early"):
        venue.send(void, venue.stranger)
    assert venue.terms()[0] is False
    venue.pass_time(20)
    assert venue.terms()[0] is True
    with venue.refuses("too late"):
        venue.settle_root(1, BALANCES)
    with venue.refuses("batch open"):
        venue.commit(2)
    venue.send(void, venue.stranger)
    with venue.refuses("not the open batch"):
        venue.send(void)
    with venue.refuses("interval"):
        venue.commit(1)
    venue.commit(2)
    venue.settle_root(2, BALANCES)


def test_nothing_open_is_nothing_to_void(venue: VenueContracts) -> None:
    for interval in (0, 1):
        with venue.refuses("not the open batch"):
            venue.send(venue.settlement.functions.void(interval))


def signed(venue: VenueContracts, key: bytes, interval: int, root: bytes, count: int) -> SignedRoot:
    return root, count, venue.batch_signatures(interval, root, count, [key])[0]


@pytest.mark.parametrize("other", [(OTHER_ROOT, 1), (ROOT, 2)])
def test_two_batches_signed_by_one_keyper_halt_settlement(
    venue: VenueContracts, other: tuple[bytes, int]
) -> None:
    venue.commit(1)
    key = venue.keys[3]
    first, second = signed(venue, key, 1, ROOT, 1), signed(venue, key, 1, *other)
    report = venue.settlement.functions.report_equivocation(1, first, second)
    venue.send(report, venue.stranger)
    assert venue.terms() == (True, True, 1, 0, bytes(32))
    logs = venue.settlement.events.Equivocation().get_logs(from_block=0)
    assert logs[0]["args"]["keyper"] == venue.keypers[3]
    with venue.refuses("halted"):
        venue.settle_root(1, BALANCES)
    with venue.refuses("halted"):
        venue.commit(2)
    with venue.refuses("halted"):
        venue.send(report)
    with venue.refuses("halted"):
        venue.send(venue.settlement.functions.declare_abandoned())


def test_what_is_no_equivocation_halts_nothing(venue: VenueContracts) -> None:
    one, two = venue.keys[:2]
    first = signed(venue, one, 1, ROOT, 1)
    second = signed(venue, one, 1, OTHER_ROOT, 1)
    outsider = [signed(venue, b"\x09" * 32, 1, root, 1) for root in (ROOT, OTHER_ROOT)]
    malleable = (second[0], second[1], low_s_twin(second[2]))
    for reason, interval, pair in (
        ("same batch", 1, (first, first)),
        ("two signers", 1, (first, signed(venue, two, 1, OTHER_ROOT, 1))),
        ("two signers", 1, (first, signed(venue, one, 2, OTHER_ROOT, 1))),
        ("not a keyper", 1, tuple(outsider)),
        ("signature s", 1, (first, malleable)),
    ):
        with venue.refuses(reason):
            venue.send(venue.settlement.functions.report_equivocation(interval, *pair))
    assert venue.terms()[1] is False
    venue.send(venue.settlement.functions.report_equivocation(1, first, second))


def test_a_venue_is_abandoned_after_a_month_without_settlement(venue: VenueContracts) -> None:
    abandon = venue.settlement.functions.declare_abandoned()
    venue.pass_time(ABANDONMENT_S - 100)
    with venue.refuses("too early"):
        venue.send(abandon, venue.stranger)
    venue.commit(1)
    venue.settle_root(1, BALANCES)
    venue.pass_time(ABANDONMENT_S - 10)
    with venue.refuses("too early"):
        venue.send(abandon, venue.stranger)
    venue.pass_time(20)
    venue.send(abandon, venue.stranger)
    with venue.refuses("halted"):
        venue.commit(2)
