"""Every clock of the contracts, at its last second and at the one after."""

from collections.abc import Callable

from web3.contract.contract import ContractFunction

from tests.contracts.test_committee import announce, rotation
from tests.support.custody_contracts import DAY_S, CustodyContracts, leaves_of

HOUR_S = 3_600


def goes_from(
    venue: CustodyContracts,
    second: int,
    reason: str,
    function: Callable[[], ContractFunction],
    sender: str | None = None,
) -> None:
    """Refused in the second before, taken in this one."""
    with venue.as_it_was():
        venue.tester.time_travel(second - 1)
        with venue.refuses(reason):
            venue.send(function(), sender)
    with venue.as_it_was():
        venue.tester.time_travel(second)
        venue.send(function(), sender)


def goes_until(
    venue: CustodyContracts, second: int, reason: str, function: Callable[[], ContractFunction]
) -> None:
    """Taken in the second before, refused in this one."""
    with venue.as_it_was():
        venue.tester.time_travel(second - 1)
        venue.send(function())
    with venue.as_it_was():
        venue.tester.time_travel(second)
        with venue.refuses(reason):
            venue.send(function())


def test_a_noticed_deposit_comes_back_after_a_day_to_the_second(venue: CustodyContracts) -> None:
    a, vault = venue.accounts[0], venue.vault.functions
    number = venue.deposit(a, 100)
    venue.send(vault.give_notice(number), a)
    since = int(vault.noticed_at(number).call())
    goes_from(venue, since + DAY_S, "too early", lambda: vault.take_back(number, a), a)


def test_a_batch_has_an_hour_to_the_second(venue: CustodyContracts) -> None:
    a = venue.accounts[0]
    number = venue.deposit(a, 100)
    venue.send(venue.vault.functions.give_notice(number), a)
    venue.pass_time(DAY_S)
    venue.commit(1)
    assert venue.standing()["settled"] == 0
    end = venue.standing()["committed_at"] + HOUR_S
    message = venue.settlement_of([leaves_of({a: (100, 0)})])
    goes_until(venue, end, "too late", lambda: venue.settle_function(message))
    goes_from(venue, end, "too early", lambda: venue.settlement.functions.void(1))
    goes_from(venue, end, "batch open", lambda: venue.vault.functions.take_back(number, a), a)
    venue.send(venue.settle_function(message))
    assert venue.standing()["settled"] == 1


def test_a_request_waits_a_week_to_the_second(venue: CustodyContracts) -> None:
    a, functions = venue.accounts[0], venue.settlement.functions
    venue.send(venue.vault.functions.request(1), a)
    end = venue.standing()["waiting_since"] + 7 * DAY_S
    for _ in range(3):
        venue.pass_time(DAY_S)
        venue.send(venue.vault.functions.request(1), a)
    assert venue.standing()["waiting_since"] + 7 * DAY_S == end
    batch = venue.batch_for(1, commit_by=end)
    goes_until(venue, end, "winding down", lambda: venue.commit_function(batch))
    goes_until(venue, end, "winding down", lambda: venue.vault.functions.deposit(a, 1))
    goes_from(venue, end, "too early", functions.declare)


def test_a_silent_venue_ends_after_two_weeks_to_the_second(venue: CustodyContracts) -> None:
    a, functions = venue.accounts[0], venue.settlement.functions
    end = venue.standing()["settled_at"] + 14 * DAY_S
    batch = venue.batch_for(1, commit_by=end)
    goes_until(venue, end, "winding down", lambda: venue.commit_function(batch))
    goes_until(venue, end, "winding down", lambda: venue.vault.functions.deposit(a, 1))
    goes_from(venue, end, "too early", functions.declare)


def test_exits_open_when_the_time_to_close_is_over_to_the_second(venue: CustodyContracts) -> None:
    a = venue.accounts[0]
    venue.deposit(a, 100)
    venue.commit(1)
    leaves = leaves_of({a: (100, 0)})
    venue.settle(leaves)
    venue.pass_time(14 * DAY_S)
    venue.send(venue.settlement.functions.declare())
    end = venue.standing()["declared_at"] + DAY_S
    closing = venue.closing_of(leaves)
    goes_until(venue, end, "too late", lambda: venue.close_function(closing))
    goes_from(venue, end, "exits", lambda: venue.leave_function(leaves, a), a)


def test_a_committee_takes_over_after_its_delay_to_the_second(venue: CustodyContracts) -> None:
    functions = venue.settlement.functions
    venue.send(announce(venue, rotation(venue)))
    active_from = int(functions.next_committee().call()[3])
    [event] = venue.settlement.events.RotationAnnounced.get_logs(from_block=0)
    announced_at = int(venue.web3.eth.get_block(event["blockNumber"])["timestamp"])
    assert active_from == announced_at + 8 * DAY_S + HOUR_S
    goes_from(venue, active_from, "too early", functions.rotate)
