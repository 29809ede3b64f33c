"""Terms stay what their digest is of."""

from collections.abc import MutableMapping
from dataclasses import replace
from decimal import Decimal
from typing import cast

import pytest

from crypto.signing.messages import instrument_id
from darkpool.protocol.terms import BondTerms, PublicRules
from darkpool.units import Cash, InstrumentId, Interval, OwnerId, PriceGrid, account_of
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
