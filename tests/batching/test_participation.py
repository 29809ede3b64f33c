"""Who takes part: the same as by trying out all sets, in any order, and by the auditor's code."""

import random
from decimal import Decimal
from itertools import combinations
from types import SimpleNamespace
from typing import cast

from hypothesis import given
from hypothesis import strategies as st

from crypto.signing.messages import instrument_id
from darkpool.auction.listing import OutrightListing
from darkpool.batching.participation import (
    Candidate,
    Missing,
    Participation,
    SetAside,
    decide_participation,
)
from darkpool.record.core import RecordView
from darkpool.record.forms import InstrumentRecord, OwnerRecord, ParticipationRecord
from darkpool.units import Cash, OwnerId, PriceGrid, account_id
from darkpool.verification.basis import Basis
from darkpool.verification.participation import participation
from tests.support.intent_margin import intent_margin
from tests.support.stated import Stated


def candidate(
    intent: int, owner: int, reserved: int, others_min: int, minimum_fill: bool = False
) -> Candidate:
    named = OwnerId(account_id("0x" + bytes([owner]).hex() * 20))
    return Candidate(intent, named, Cash(reserved), Cash(others_min), minimum_fill)


@st.composite
def books(draw: st.DrawFn, most: int = 7) -> list[Candidate]:
    """Small numbers, so that minima lie close to what there is."""
    rows = draw(
        st.lists(
            st.tuples(st.integers(1, 5), st.integers(0, 6), st.integers(0, 20), st.booleans()),
            max_size=most,
        )
    )
    return [candidate(place, *row) for place, row in enumerate(rows)]


def beside(book: list[Candidate], one: Candidate) -> int:
    plain = [other for other in book if not other.minimum_fill]
    return sum(other.reserved for other in plain if other.owner != one.owner)


def holding(book: list[Candidate]) -> list[Candidate]:
    return [one for one in book if one.others_min <= beside(book, one)]


def greatest(book: list[Candidate]) -> list[Candidate]:
    """The one set that holds and contains all others that do, by trying all of them."""
    sets = [
        list(chosen)
        for size in range(len(book) + 1)
        for chosen in combinations(book, size)
        if holding(list(chosen)) == list(chosen)
    ]
    largest = sets[-1]
    for chosen in sets:
        assert all(one in largest for one in chosen)
    return largest


@given(books(), st.integers(1, 4))
def test_it_is_the_greatest_set_in_which_every_minimum_holds(
    book: list[Candidate], owners_min: int
) -> None:
    left = greatest(book)
    owners = len({one.owner for one in left if not one.minimum_fill})
    found = decide_participation(book, owners_min)
    aside = {entry.batch_index: entry for entry in found.set_aside}
    enough = owners >= owners_min
    assert list(found.participants) == [one.batch_index for one in left if enough]
    assert sorted([*found.participants, *aside]) == [one.batch_index for one in book]
    for one in book:
        if one not in left:
            expected = SetAside(
                one.batch_index, Missing.COLLATERAL, one.others_min, beside(left, one)
            )
            assert aside[one.batch_index] == expected
            assert expected.available < expected.required
        elif not enough:
            assert aside[one.batch_index] == SetAside(
                one.batch_index, Missing.OWNERS, owners_min, owners
            )


@given(books(most=12), st.integers(1, 4), st.randoms())
def test_the_order_does_not_matter(
    book: list[Candidate], owners_min: int, generator: random.Random
) -> None:
    expected = decide_participation(book, owners_min)
    shuffled = generator.sample(book, len(book))
    assert decide_participation(shuffled, owners_min) == expected
    # one at a time, whichever comes first
    left = list(book)
    while failing := [one for one in left if one.others_min > beside(left, one)]:
        left.remove(generator.choice(failing))
    short = {e.batch_index for e in expected.set_aside if e.missing is Missing.COLLATERAL}
    assert {one.batch_index for one in left} == {one.batch_index for one in book} - short


def test_one_after_the_other_falls() -> None:
    """Each asks for all that those before it have: without the last, nobody is left."""
    chain = [candidate(k, k + 1, 10, 10 * k if k < 4 else 41) for k in range(5)]
    assert decide_participation(chain, 1).participants == (0, 1, 2, 3)
    fallen = [candidate(k, k + 1, 10, 10 * (k + 1) + 1) for k in range(5)]
    assert decide_participation(fallen, 1).participants == ()


def test_what_an_owner_s_other_accounts_have_counts_for_nobody_of_it() -> None:
    book = [candidate(0, 1, 100, 51), candidate(1, 1, 100, 0), candidate(2, 2, 50, 200)]
    found = decide_participation(book, 1)
    assert found.participants == (1,)
    assert [entry.available for entry in found.set_aside] == [0, 100]


def test_two_owners_are_not_three_and_an_empty_book_has_none() -> None:
    book = [candidate(k, 1 + k % 2, 5, 0) for k in range(4)]
    assert decide_participation(book, 2).participants == (0, 1, 2, 3)
    refused = decide_participation(book, 3)
    assert refused.participants == ()
    assert refused.set_aside[0] == SetAside(0, Missing.OWNERS, 3, 2)
    assert decide_participation([], 3) == Participation((), ())


def test_minimum_fill_orders_are_nobodys_company() -> None:
    """They make no price, so a plain order would stand alone in the curves."""
    book = [candidate(0, 1, 9, 0), candidate(1, 2, 9, 0), candidate(2, 3, 9, 0, minimum_fill=True)]
    assert decide_participation(book, 2).participants == (0, 1, 2)
    assert decide_participation(book, 3).set_aside[0] == SetAside(0, Missing.OWNERS, 3, 2)
    asking = [candidate(0, 1, 9, 10), *book[1:]]
    (aside,) = decide_participation(asking, 1).set_aside
    assert aside == SetAside(0, Missing.COLLATERAL, 10, 9)
    assert decide_participation(book[2:], 1).participants == ()


THREE = PriceGrid(Decimal("0.000003"), Decimal("0.000003"), 1)
INPUTS = intent_margin(OutrightListing(THREE, 1_000_000, 1), ["A"]).inputs


def recorded(
    rows: list[tuple[int, int, int, bool]], groups: dict[int, int], owners_min: int
) -> tuple[Basis, InstrumentRecord]:
    """What the auditor has of a book: account, cap and minimum of each intent; 3 units a lot."""
    sealed = [
        SimpleNamespace(
            account=bytes([account]) * 20,
            cap=cap,
            others_collateral_min=others_min,
            minimum_fill=minimum_fill,
        )
        for account, cap, others_min, minimum_fill in rows
    ]
    owners = tuple(
        OwnerRecord(bytes([account]) * 20, bytes([owner]) * 20)
        for account, owner in sorted(groups.items())
    )
    rules = ParticipationRecord(owners, owners_min, 1)
    instrument = InstrumentRecord("A", instrument_id("A"), (), None)
    reference = SimpleNamespace(price=3, tick_size=3, ticks=1)
    record = Stated(
        intents=[SimpleNamespace(sealed=one) for one in sealed],
        summary=SimpleNamespace(
            participation=rules, instruments=(instrument,), references=(reference,), ticks=1
        ),
        margin=INPUTS,
    )
    return Basis(cast("RecordView", record)), instrument


@given(
    st.lists(
        st.tuples(st.integers(1, 9), st.integers(0, 9), st.integers(0, 90), st.booleans()),
        max_size=30,
    ),
    st.dictionaries(st.integers(1, 9), st.integers(10, 12)),
    st.integers(1, 5),
    st.randoms(),
)
def test_the_auditor_finds_the_same(
    rows: list[tuple[int, int, int, bool]],
    groups: dict[int, int],
    owners_min: int,
    generator: random.Random,
) -> None:
    places = sorted(generator.sample(range(len(rows)), generator.randrange(len(rows) + 1)))
    record, instrument = recorded(rows, groups, owners_min)
    book = [
        candidate(k, groups.get(rows[k][0], rows[k][0]), 3 * rows[k][1], *rows[k][2:])
        for k in places
    ]
    engine = decide_participation(book, owners_min)
    auditor = participation(record, instrument, places)
    assert auditor.participants == engine.participants
    short = [entry for entry in engine.set_aside if entry.missing is Missing.COLLATERAL]
    assert auditor.lacking_others == {e.batch_index: (e.required, e.available) for e in short}
    owners = [entry for entry in engine.set_aside if entry.missing is Missing.OWNERS]
    assert all((e.required, e.available) == (owners_min, auditor.owners) for e in owners)
    assert bool(owners) == (len(short) < len(places) and auditor.owners < owners_min)
