"""`darkpool exit`: everybody gets everything out, with a node and a key alone."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.exit_venue import DAY_S, WEEK_S, ExitVenue, exit_venue

TEN = [f"client{number}" for number in range(10)]


@pytest.fixture
def venue(tmp_path: Path) -> Iterator[ExitVenue]:
    with exit_venue(tmp_path, ["ann", "bob"]) as made:
        yield made


def test_ten_accounts_get_every_unit_when_operator_and_a_keyper_are_gone(tmp_path: Path) -> None:
    with exit_venue(tmp_path, TEN) as venue:
        venue.deposit(**{name: 1000 + number for number, name in enumerate(TEN)})
        own = {name: (1000 + number, 0) for number, name in enumerate(TEN)}
        venue.settle(4, venue.leaves(**own))
        venue.deposit(client1=70)
        # client0 won 30 of client2, and client1 was granted 300
        own |= {"client0": (1030, 0), "client1": (771, 300), "client2": (972, 0)}
        venue.settle(5, venue.leaves(**own))
        assert venue.leave("client1") == [("claim", 300)]
        venue.deposit(client3=11)
        assert venue.leave("client0", "--request", "all") == [("request", 1030)]
        venue.pass_time(WEEK_S)
        # nobody signs any more
        assert venue.leave("client0") == [("declare", 0)]
        assert venue.leave("client3") == [("take_back", 11)]
        assert venue.leave("client4") == []
        venue.pass_time(DAY_S)
        for name in TEN:
            assert venue.leave(name) == [("leave", own[name][0])]
        expected = {name: sum(pair) for name, pair in own.items()} | {"client3": 1003 + 11}
        assert {name: venue.held(venue.account(name)) for name in TEN} == expected
        assert venue.held() == 0
        assert venue.leave("client0") == []
