"""Money that comes in: credited exactly, seated, and taken back while no settlement counts it."""

import pytest
from eth_tester.exceptions import TransactionFailed
from web3 import Web3

from tests.support.custody_contracts import DAY_S, CustodyContracts, leaves_of, shipped

HOUR_S = 3_600
ZERO_ADDRESS = "0x" + "00" * 20
FUND_ADDRESS = "0x" + "00" * 19 + "02"
LAST_RESERVED = Web3.to_checksum_address(f"0x{2**16 - 1:040x}")
FIRST_FREE = Web3.to_checksum_address(f"0x{2**16:040x}")


def unsettled(venue: CustodyContracts) -> int:
    return venue.totals()[5]


def taken_back(venue: CustodyContracts, number: int, account: str, to: str | None = None) -> None:
    venue.send(venue.vault.functions.take_back(number, to or account), account)


def noticed(venue: CustodyContracts, number: int, account: str) -> None:
    venue.send(venue.vault.functions.give_notice(number), account)


def test_deposits_are_credited_to_their_accounts(venue: CustodyContracts) -> None:
    a, b, c = venue.accounts[:3]
    vault = venue.vault.functions
    venue.send(vault.deposit(a, 5), a)
    venue.send(vault.deposit(b, 7), a)
    venue.send(vault.deposit_many([b, c, b], [1, 2, 4]), a)
    assert [vault.deposit_of(number).call() for number in range(1, 6)] == [
        [a, 5],
        [b, 7],
        [b, 1],
        [c, 2],
        [b, 4],
    ]
    assert venue.held() == unsettled(venue) == 19
    assert vault.seated().call() == 3


def test_deposits_that_are_none_are_refused(venue: CustodyContracts) -> None:
    a, b = venue.accounts[:2]
    vault = venue.vault.functions
    for reason, function in (
        ("deposit amount", vault.deposit(a, 0)),
        ("deposit amount", vault.deposit_many([a, b], [1, 0])),
        ("reserved account", vault.deposit(ZERO_ADDRESS, 1)),
        ("reserved account", vault.deposit(FUND_ADDRESS, 1)),
        ("reserved account", vault.deposit(LAST_RESERVED, 1)),
        ("reserved account", vault.deposit_many([a, FUND_ADDRESS], [1, 1])),
        ("lengths", vault.deposit_many([a, b], [1])),
    ):
        with venue.refuses(reason):
            venue.send(function, a)
    venue.send(venue.token.functions.mint(a, 2**97))
    with venue.refuses("deposit amount"):
        venue.send(vault.deposit(a, 2**96), a)
    assert (venue.held(), venue.standing()["flows"]) == (0, 0)
    venue.send(vault.deposit(FIRST_FREE, 1), a)


def test_a_deposit_below_the_least_one_is_refused() -> None:
    venue = CustodyContracts(deposit_min=50)
    venue.fund()
    a = venue.accounts[0]
    with venue.refuses("deposit amount"):
        venue.deposit(a, 49)
    venue.deposit(a, 50)


def test_a_deposit_comes_back_a_day_after_its_notice(venue: CustodyContracts) -> None:
    a, b = venue.accounts[:2]
    number = venue.deposit(a, 100)
    for reason, sender in (("account", b), ("too early", a)):
        with venue.refuses(reason):
            taken_back(venue, number, sender)
    with venue.refuses("account"):
        noticed(venue, number, b)
    with venue.refuses("deposit"):
        noticed(venue, number + 1, a)
    noticed(venue, number, a)
    with venue.refuses("noticed"):
        noticed(venue, number, a)
    venue.pass_time(DAY_S - 10)
    with venue.refuses("too early"):
        taken_back(venue, number, a)
    venue.pass_time(10)
    before = venue.held(b)
    taken_back(venue, number, a, b)
    assert (venue.held(b) - before, venue.held(), unsettled(venue)) == (100, 0, 0)
    with venue.refuses("deposit"):
        taken_back(venue, number, a)


def test_a_deposit_that_an_open_batch_counts_stays_until_the_batch_is_over(
    venue: CustodyContracts,
) -> None:
    a = venue.accounts[0]
    counted = venue.deposit(a, 100)
    noticed(venue, counted, a)
    venue.pass_time(DAY_S)
    venue.commit(1)
    later = venue.deposit(a, 7)
    noticed(venue, later, a)
    with venue.refuses("batch open"):
        taken_back(venue, counted, a)
    venue.pass_time(HOUR_S)
    taken_back(venue, counted, a)
    venue.pass_time(DAY_S)
    taken_back(venue, later, a)
    venue.send(venue.settlement.functions.void(1))
    venue.commit(2, 0)
    with venue.refuses("counted"):
        venue.settle(leaves_of({a: (1, 0)}))
    venue.settle()


def test_a_deposit_after_the_commitment_comes_back_while_the_batch_is_open(
    venue: CustodyContracts,
) -> None:
    a = venue.accounts[0]
    venue.deposit(a, 100)
    number = venue.deposit(a, 7)
    noticed(venue, number, a)
    venue.pass_time(DAY_S)
    venue.commit(1)
    later = venue.deposit(a, 9)
    noticed(venue, later, a)
    venue.settle(leaves_of({a: (107, 0)}))
    venue.commit(2)
    with venue.refuses("too early"):
        taken_back(venue, later, a)
    venue.settle(leaves_of({a: (116, 0)}))
    with venue.refuses("settled"):
        taken_back(venue, later, a)
    with venue.refuses("settled"):
        noticed(venue, number, a)


def test_a_settlement_counts_the_deposits_before_its_commitment_and_no_other(
    venue: CustodyContracts,
) -> None:
    a, b = venue.accounts[:2]
    venue.deposit(a, 100)
    venue.commit(1)
    venue.deposit(b, 1000)
    venue.deposit(b, 1000)
    for leaves in ({a: (101, 0)}, {a: (0, 101)}, {a: (60, 41)}):
        with venue.refuses("counted"):
            venue.settle(leaves_of(leaves))
    venue.settle(leaves_of({a: (60, 40)}))
    assert venue.totals() == (1, 60, 40, 0, 100, 2000)
    venue.commit(2)
    with venue.refuses("claims shrink"):
        venue.settle(leaves_of({a: (2061, 39)}))
    venue.deposit(b, 7)
    venue.deposit(b, 7)
    with venue.refuses("counted"):
        venue.settle(leaves_of({a: (2061, 40)}))
    venue.settle(leaves_of({a: (2060, 40)}))
    assert venue.totals() == (2, 2060, 40, 0, 2100, 14)


def test_a_deposit_that_is_the_last_flow_of_a_settlement_is_settled(
    venue: CustodyContracts,
) -> None:
    a = venue.accounts[0]
    number = venue.deposit(a, 100)
    venue.commit(1)
    venue.settle(leaves_of({a: (100, 0)}))
    with venue.refuses("settled"):
        noticed(venue, number, a)
    venue.pass_time(14 * DAY_S)
    venue.send(venue.settlement.functions.declare())
    with venue.refuses("settled"):
        taken_back(venue, number, a)


def test_a_returned_deposit_is_counted_by_no_later_batch(venue: CustodyContracts) -> None:
    a, b = venue.accounts[:2]
    number = venue.deposit(a, 100)
    venue.deposit(b, 50)
    noticed(venue, number, a)
    venue.pass_time(DAY_S)
    taken_back(venue, number, a)
    venue.commit(1)
    with venue.refuses("counted"):
        venue.settle(leaves_of({b: (51, 0)}))
    venue.settle(leaves_of({b: (50, 0)}))


def test_a_flow_after_the_commitment_does_not_change_what_it_counts(
    venue: CustodyContracts,
) -> None:
    a = venue.accounts[0]
    venue.deposit(a, 100)
    late = venue.deposit(a, 30)
    noticed(venue, late, a)
    venue.commit(1)
    venue.pass_time(HOUR_S)
    venue.send(venue.settlement.functions.void(1))
    venue.pass_time(DAY_S)
    venue.commit(2, 0)
    venue.deposit(a, 1)
    venue.deposit(a, 1)
    venue.settle(leaves_of({a: (130, 0)}))
    with venue.refuses("settled"):
        taken_back(venue, late, a)


def test_a_new_account_beyond_the_last_seat_is_refused_and_others_go_on() -> None:
    venue = CustodyContracts(accounts_max=2)
    venue.fund()
    a, b, c = venue.accounts[:3]
    venue.deposit(a, 100)
    venue.deposit(b, 100)
    with venue.refuses("accounts"):
        venue.deposit(c, 100)
    venue.deposit(a, 100)
    venue.commit(1)
    leaves = leaves_of({a: (200, 0), b: (0, 100)})
    venue.settle(leaves)
    venue.claim(1, leaves, b)
    venue.deposit(c, 100)
    with venue.refuses("accounts"):
        venue.deposit(b, 1)


def test_a_seat_stays_taken_while_a_leaf_may_come() -> None:
    venue = CustodyContracts(accounts_max=2)
    venue.fund()
    a, b, c = venue.accounts[:3]
    seated = venue.vault.functions.seated()
    venue.deposit(a, 100)
    venue.commit(1)
    leaves = leaves_of({a: (0, 100)})
    venue.settle(leaves)
    venue.deposit(a, 5)
    venue.claim(1, leaves, a)
    assert seated.call() == 1
    number = venue.deposit(b, 10)
    second = venue.deposit(b, 10)
    noticed(venue, number, b)
    noticed(venue, second, b)
    venue.pass_time(DAY_S)
    taken_back(venue, number, b)
    assert seated.call() == 2
    taken_back(venue, second, b)
    assert seated.call() == 1
    venue.deposit(c, 1)
    with venue.refuses("accounts"):
        venue.deposit(b, 1)


def test_requests_are_flows_with_bounded_cost(venue: CustodyContracts) -> None:
    a = venue.accounts[0]
    venue.deposit(a, 100)
    costs = {venue.send(venue.vault.functions.request(10 + i), a) for i in range(20)}
    assert max(costs) <= 60_000
    assert venue.standing()["flows"] == 21
    events = venue.settlement.events.Flow.get_logs(from_block=0)
    assert [event["args"]["kind"] for event in events] == [1] + [2] * 20
    assert [event["args"]["index"] for event in events] == list(range(1, 22))


def test_the_head_of_flows_follows_from_their_events(venue: CustodyContracts) -> None:
    from eth_abi.abi import encode
    from eth_hash.auto import keccak

    a = venue.accounts[0]
    number = venue.deposit(a, 100)
    venue.send(venue.vault.functions.request(10), a)
    noticed(venue, number, a)
    venue.pass_time(DAY_S)
    taken_back(venue, number, a)
    head = bytes(32)
    for event in venue.settlement.events.Flow.get_logs(from_block=0):
        e = event["args"]
        fields = (head, e["index"], e["kind"], e["vault"], e["account"], e["amount"], e["number"])
        kinds = ["bytes32", "uint256", "uint256", "address", "address", "uint256", "uint64"]
        head = keccak(encode(kinds, fields))
        assert head == e["head"]
    assert head == bytes(venue.settlement.functions.flows_head().call())


def test_a_deposit_with_a_permit_that_was_used_already_goes_through(
    venue: CustodyContracts,
) -> None:
    a = venue.accounts[0]
    function = venue.vault.functions.deposit_with_permit(
        a, 40, 2**40, 27, b"\x01" * 32, b"\x02" * 32
    )
    venue.send(function, a)
    assert venue.held() == 40
    venue.send(venue.token.functions.approve(venue.vault.address, 0), a)
    with pytest.raises(TransactionFailed):
        venue.send(function, a)


def test_strange_tokens_go_to_the_rescuer_and_collateral_never(venue: CustodyContracts) -> None:
    a = venue.accounts[0]
    venue.deposit(a, 100)
    with venue.refuses("collateral"):
        venue.send(venue.vault.functions.rescue(venue.token.address))
    other = venue.deploy(*shipped("TestToken"))
    venue.send(other.functions.mint(venue.vault.address, 9))
    venue.send(venue.vault.functions.rescue(other.address), venue.stranger)
    assert other.functions.balanceOf(venue.rescuer).call() == 9
