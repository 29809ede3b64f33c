"""What keypers signed on a fork that died is worth nothing on the fork that lives."""

from __future__ import annotations

from tests.support.custody_contracts import CustodyContracts, leaves_of


def test_a_settlement_of_a_fork_with_other_flows_settles_nothing(venue: CustodyContracts) -> None:
    a, b = venue.accounts[:2]
    with venue.as_it_was():
        venue.deposit(a, 1000)
        venue.commit(1)
        batch = venue.batch
        settlement = venue.settlement_of([leaves_of({a: (0, 1000)})])
        signatures = venue.signatures(settlement)
    venue.deposit(b, 1000)
    # the batch names no flows: the contract takes them at its commitment
    venue.send(venue.commit_function(batch))
    venue.batch = batch
    with venue.refuses("not a keyper"):
        venue.send(venue.settle_function(settlement, signatures=signatures))
    venue.settle(leaves_of({b: (1000, 0)}))


def test_what_was_signed_after_a_settlement_that_died_holds_nowhere(
    venue: CustodyContracts,
) -> None:
    a, b = venue.accounts[:2]
    for account in (a, b):
        venue.deposit(account, 500)
    venue.commit(1)
    with venue.as_it_was():
        venue.settle(leaves_of({a: (1000, 0), b: (0, 0)}))
        venue.commit(2)
        batch, committed = venue.batch, venue.signatures(venue.batch)
        settlement = venue.settlement_of([leaves_of({a: (0, 1000), b: (0, 0)})])
        settled = venue.signatures(settlement)
    venue.settle(leaves_of({a: (500, 0), b: (500, 0)}))
    with venue.refuses("not a keyper"):
        venue.send(venue.commit_function(batch, committed))
    venue.commit(2)
    with venue.refuses("not a keyper"):
        venue.send(venue.settle_function(settlement, signatures=settled))
