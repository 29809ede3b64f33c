"""Attackers among orders: exactly they are taken out, and the rest trades as the plain twin."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from crypto.signing.messages import SealedIntent
from darkpool.errors import OutOfBounds
from darkpool.protocol.intents import SealedSubmission
from darkpool.protocol.refusals import WrongSignature
from darkpool.protocol.terms import IntervalTerms
from darkpool.record.reader import Record
from darkpool.simulation import venue as venue_module
from darkpool.simulation.clients import LocalClients
from darkpool.simulation.order_file import Order
from darkpool.simulation.result import Crossing
from darkpool.simulation.venue import Places
from darkpool.units import InstrumentName, account_bytes, identifier
from darkpool.verification.audit import audit
from darkpool.wargames.intruders import INTRUDERS_MAX, Intruder, draw_intruders
from darkpool.wargames.malformed import MALFORMED
from tests.support.attacked_auctions import TERMS, require_twin_of_the_rest, run
from tests.support.cash import cash_after, counted_deposits
from tests.support.one_process import run_here
from tests.support.records import TICKS, orders_of


def intruders(count: int, orders: Sequence[Order]) -> tuple[Intruder, ...]:
    return draw_intruders(count, sorted({identifier(o.instrument) for o in orders}), TICKS)


def test_exactly_the_attackers_are_named_and_the_rest_trades(tmp_path: Path) -> None:
    orders = orders_of("AB", 3)
    strangers = intruders(24, orders)
    result = run(orders, strangers, tmp_path / "record")
    assert not result.refused
    named = sorted((str(taken.kind), taken.fault.value) for taken in result.taken_out)
    assert named == sorted((stranger.kind, stranger.fault) for stranger in strangers)
    assert all(taken.row is None for taken in result.taken_out)
    require_twin_of_the_rest(orders, result)
    assert audit(tmp_path / "record", quick=True).ok


def test_orders_that_attackers_leave_alone_are_not_opened(tmp_path: Path) -> None:
    """Without them there are fewer owners than a result needs: no bit of a price is opened."""
    orders = orders_of("AB", 3)[:2]
    strangers = intruders(4, orders)
    while all(stranger.minimum_fill for stranger in strangers if stranger.fault == "cap"):
        strangers = intruders(4, orders)  # minimum-fill orders are nobody's company
    result = run(orders, strangers, tmp_path / "record")
    assert sorted(taken.fault.value for taken in result.taken_out) == ["cap", "cap"] + 2 * ["shape"]
    reasons = [(aside.missing.value, aside.required) for aside in result.outcome.set_aside]
    assert reasons == [("owners", 3)] * 2
    assert not result.fills
    purposes = {entry.purpose for entry in Record.load(tmp_path / "record").openings}
    purposes = {purpose for purpose in purposes if not purpose.startswith("shape")}
    assert purposes == {"price lanes 0.0", "cap bits 0"}
    assert audit(tmp_path / "record").ok


def test_attackers_pay_from_their_bonds_and_nobody_else_does(tmp_path: Path) -> None:
    orders = orders_of("AB", 3)
    result = run(orders, intruders(6, orders), tmp_path / "record")
    summary = Record.load(tmp_path / "record").summary
    intents = Record.load(tmp_path / "record").intents
    paid_in, owned = counted_deposits(summary), cash_after(summary)
    outsiders = paid_in.keys() - {
        account_bytes(fill.account) for fill in result.outcome.crossed.fills
    }
    guilty = {intents[taken.batch_index].sealed.account for taken in result.taken_out}
    charge = -(-TERMS.bond * TERMS.bond_charge_ppm // 10**6)
    assert owned[summary.bond.treasury] == 6 * charge
    assert guilty < outsiders
    for account in outsiders:
        assert paid_in[account] - owned[account] == (charge if account in guilty else 0)
    assert sum(paid_in.values()) == sum(owned.values())


class Forger(Intruder):
    """One whose signature is wrong: it never becomes an intent."""

    def submission(self, terms: IntervalTerms, nonce: int, deadline_s: int) -> SealedSubmission:
        made = Intruder.submission(self, terms, nonce, deadline_s)
        other = {name: getattr(made.sealed, name) for name in SealedIntent.__slots__}
        sealed = SealedIntent(**{**other, "deadline": made.sealed.deadline + 1})
        return SealedSubmission(sealed, made.signature, made.ciphertext, made.envelopes)


def test_a_refused_submission_stops_nobody_else(tmp_path: Path) -> None:
    orders = orders_of("AC", 5)
    strangers = [
        Forger(one.kind, one.instrument, one.cap, one._key) for one in intruders(3, orders)
    ]
    result = run(orders, strangers, tmp_path / "record")
    assert [(one.code, one.row) for one in result.refused] == [(WrongSignature.code, None)] * 3
    assert not result.taken_out
    assert len(result.outcome.admitted) == len(orders)
    require_twin_of_the_rest(orders, result)


class ForgedInstrument(LocalClients):
    """Signs wrongly whatever it sends for instrument B."""

    def submissions(self, terms: IntervalTerms) -> Iterator[SealedSubmission]:
        for made in super().submissions(terms):
            if made.sealed.instrument == identifier(InstrumentName("B")):
                yield replace(made, sealed=replace(made.sealed, deadline=made.sealed.deadline + 1))
            else:
                yield made


def test_an_instrument_whose_submissions_are_all_refused_stops_no_other(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(venue_module, "LocalClients", ForgedInstrument)
    orders = orders_of("ABD", 1)
    result = run(orders, (), tmp_path / "record")
    assert [refusal.code for refusal in result.refused] == [WrongSignature.code] * 12
    assert [(one.instrument, one.crossing) for one in result.instruments[2:]] == [
        ("B", Crossing.NO_ORDERS)
    ]
    places = {one.row: one.batch_index for one in result.orders}
    kept = [order.row for order in orders if order.instrument != "B"]
    assert [places[row] for row in kept] == list(range(24))
    assert {one.row for one in result.orders if one.batch_index is None} == {
        refusal.row for refusal in result.refused
    }
    require_twin_of_the_rest([o for o in orders if o.instrument != "B"], result)
    record = Record.load(tmp_path / "record")
    listed = [(i.name, len(i.intents), i.outcome is None) for i in record.summary.instruments]
    assert listed == [("A", 12, False), ("D", 12, False), ("B", 0, True)]
    assert audit(tmp_path / "record").ok


def test_openings_are_named_by_the_places_of_their_intents(tmp_path: Path) -> None:
    orders = orders_of("AC", 5)
    places = Places(tmp_path / "record", tmp_path / "openings")
    result = run_here(orders, TERMS, places=places, strangers=intruders(2, orders))
    named = {int(path.stem) for path in (tmp_path / "openings").iterdir()}
    taken = {taken.batch_index for taken in result.taken_out}
    assert len(taken) == 2
    assert named == set(range(len(orders) + 2)) - taken


def test_attackers_are_of_many_kinds_and_of_both_sorts() -> None:
    instrument = identifier(InstrumentName("ES"))
    drawn = draw_intruders(40, [instrument], TICKS)
    assert sum(one.kind in MALFORMED for one in drawn) == 20
    assert len({one.kind for one in drawn if one.kind in MALFORMED}) == 20
    assert len({one.account for one in drawn}) == 40
    assert "_key" not in repr(drawn[0])


def test_more_attackers_than_a_run_takes_are_refused() -> None:
    instrument = identifier(InstrumentName("ES"))
    with pytest.raises(OutOfBounds, match="attackers"):
        draw_intruders(INTRUDERS_MAX + 1, [instrument], TICKS)
    with pytest.raises(OutOfBounds, match="ticks"):
        draw_intruders(1, [instrument], 2)
    assert draw_intruders(0, [instrument], 2) == ()
