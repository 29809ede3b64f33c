"""An operator that opens intervals under terms of its own: keypers settle none of them."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest
from coincurve import PrivateKey

from crypto.signing.eip712 import Domain
from darkpool.auction.listing import Listed
from darkpool.clock import Clock
from darkpool.keyper.keyper import LocalKeyper
from darkpool.keyper.references import ReferenceWatch
from darkpool.margin.market.feeds import Halt
from darkpool.margin.market.instruments import Specification
from darkpool.record.margin_forms import MarketRecord
from darkpool.simulation import local_venue
from darkpool.simulation.reporters import PriceReporters, Reporter
from darkpool.units import InstrumentName
from tests.support import moving_listing
from tests.support.margin_houses import specification
from tests.support.moving_markets import DAY_MS
from tests.support.venue_story import ONE, Story, embedded, story

SWAPS = ("BTC-PERP", "ETH-PERP")
Reported = tuple[MarketRecord, Callable[[str], Mapping[str, Halt]]]


def listed_now(told: Story) -> Listed:
    """What the venue lists now."""
    now = datetime.fromtimestamp(told.standing.venue.clock.unix_ms() / 1000, UTC)
    return told.standing.listing_at(now).of(list(map(InstrumentName, SWAPS)))


@pytest.fixture
def told(tmp_path: Path) -> Iterator[Story]:
    """Two accounts have positions, and a third one has cash alone."""
    with story(embedded(), tmp_path) as venue:
        venue.standing.deposit(**dict.fromkeys(("ann", "ben", "cat"), 1_000_000 * ONE))
        venue.settled(("BTC-PERP", "ann", "ben", 10), names=SWAPS)
        yield venue


def refusal(told: Story) -> str:
    """What keypers say to an interval without intents, which would move money all the same."""
    outcome = told.interval(names=SWAPS)
    assert not outcome.settlement.signatures
    return str(outcome.settlement.transaction)


def test_prices_of_reporters_that_keypers_do_not_know_settle_nothing(told: Story) -> None:
    told.standing.venue.price_reporters = PriceReporters()
    told.market.share = 150
    assert "settlement, price reporters" in refusal(told)


def test_an_account_of_a_client_is_not_the_treasury(
    told: Story, monkeypatch: pytest.MonkeyPatch
) -> None:
    """All that the treasury owns has the vault's leaf of the treasury, which no client claims."""
    monkeypatch.setattr(local_venue, "TREASURY", told.standing.account("cat"))
    assert "bond, treasury" in refusal(told)


def test_references_of_a_reporter_that_keypers_do_not_know_settle_nothing(told: Story) -> None:
    venue = told.standing.venue
    venue.reporter = Reporter(PrivateKey().secret, venue.clock)
    venue.references = ReferenceWatch(venue.view.domain, venue.reporter.address, venue.clock)
    for keyper in venue.committee.keypers:
        assert isinstance(keyper, LocalKeyper)
        keyper._senses = replace(keyper._senses, require_references=venue.references.require)
    assert "settlement, reporter" in refusal(told)


def test_what_is_held_is_settled_at_prices_of_now(told: Story) -> None:
    """Without any intent too; the reports are true, and of the day before."""
    venue = told.standing.venue
    report = venue.price_reporters.report

    def again(listed: Listed, domain: Domain, clock: Clock) -> Reported:
        market, halted = report(listed, domain, clock)
        return replace(market, underlyings=yesterday.underlyings), halted

    told.market.share = 130
    yesterday, _ = report(listed_now(told), venue.view.domain, venue.clock)
    venue.clock.skip_to(venue.clock.unix_ms() + DAY_MS)
    venue.price_reporters.report = again  # type: ignore[method-assign]
    assert "references and prices, times" in refusal(told)


def test_what_is_held_stays_the_contract_that_it_was(
    told: Story, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = specification()
    contracts = [
        c.model_copy(update={"multiplier": 20 * c.multiplier}) if c.name == SWAPS[0] else c
        for c in real.form.contracts
    ]
    other = Specification(real.form.model_copy(update={"contracts": contracts}))
    monkeypatch.setattr(moving_listing, "specification", lambda: other)
    assert "contract BTC-PERP, multiplier" in refusal(told)
