"""Terms stay what their digest is of."""

import copy
import pickle
from collections.abc import Callable, MutableMapping
from dataclasses import replace
from decimal import Decimal
from typing import cast

import pytest

from crypto.signing.messages import instrument_id
from darkpool.protocol.terms import BondTerms, IntervalTerms, PublicRules
from darkpool.units import Cash, InstrumentId, Interval, Lots, OwnerId, PriceGrid, account_of
from tests.support.epochs import Epoch
from tests.support.house import DOMAIN
from tests.support.reference_prices import terms_on

ANN, BOB = (account_of(bytes([digit]) * 20) for digit in (10, 11))


def test_terms_do_not_change_after_their_digest(small: Epoch) -> None:
    """Neither through them nor through the mappings that they were made of."""
    owners = {ANN: OwnerId(BOB)}
    bond = BondTerms(Cash(0), 0, BOB)
    grid = PriceGrid(Decimal(1), Decimal(0), 4)
    name = InstrumentId(instrument_id("A"))
    terms = terms_on(grid, [name], Interval(1), DOMAIN, small.material)
    terms = replace(terms, rules=PublicRules(bond, owners))
    digest = terms.digest
    owners.clear()
    assert terms.rules.owner_of(bytes([10]) * 20) == OwnerId(BOB)
    for mapping in (terms.rules.owners, terms.references, terms.grids):
        with pytest.raises(TypeError):
            cast("MutableMapping[object, object]", mapping)["x"] = "y"
    assert replace(terms).digest == digest


def sent(terms: IntervalTerms) -> IntervalTerms:
    """As another process would have them."""
    return cast("IntervalTerms", pickle.loads(pickle.dumps(terms)))  # noqa: S301  # made here


@pytest.mark.parametrize("again", [copy.deepcopy, sent])
def test_terms_that_are_copied_or_sent_are_the_same_and_do_not_change(
    again: Callable[[IntervalTerms], IntervalTerms], small: Epoch
) -> None:
    grid, name = PriceGrid(Decimal(1), Decimal(0), 4), InstrumentId(instrument_id("A"))
    terms = terms_on(grid, [name], Interval(1), DOMAIN, small.material)
    rules = PublicRules(BondTerms(Cash(7), 5, BOB), {ANN: OwnerId(BOB)}, 3, Lots(10))
    terms = replace(terms, rules=rules)
    made = again(terms)
    assert made.digest == terms.digest
    assert made.rules == rules
    assert (made.references, made.grids) == (terms.references, terms.grids)
    for mapping in (made.rules.owners, made.references, made.grids):
        with pytest.raises(TypeError):
            cast("MutableMapping[object, object]", mapping)["x"] = "y"
