"""The price reporters of a venue on one machine: they sign the numbers of a market, now."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

from coincurve import PrivateKey

from crypto.signing.ecdsa import address_of, sign
from crypto.signing.eip712 import Domain
from crypto.signing.messages import ReferencePrice
from darkpool.auction.listing import Listed
from darkpool.auction.terms import PRICE_REPORTERS, feed_terms
from darkpool.clock import Clock
from darkpool.margin.market.feeds import Halt, PriceFeeds, reporter_address, sign_report
from darkpool.margin.market.quotes import bounds_of, feeds_of, market_record, numbers_of
from darkpool.protocol.references import SignedReference
from darkpool.record.margin_forms import MarketRecord
from darkpool.units import AccountId, InstrumentId, Interval, PriceGrid, account_of, price_units


class PriceReporters:
    """Reporters with keys of their own, who all see the same numbers.

    Attributes:
        addresses: of all of them, 20 bytes each.
    """

    def __init__(self) -> None:
        self._keys = [PrivateKey().secret for _ in range(PRICE_REPORTERS)]
        self.addresses = frozenset(map(address_of, self._keys))

    def report(
        self, listed: Listed, domain: Domain, clock: Clock
    ) -> tuple[MarketRecord, Callable[[str], Mapping[str, Halt]]]:
        """What is published of a market, and what is halted of an underlying when it is asked.

        Raises:
            InvalidFile: a number that no feed carries.
            ReportRefused: a number that no underlying has.
        """
        market = listed.market
        terms = feed_terms(tuple(map(reporter_address, self._keys)))
        numbers = numbers_of("market", market)
        feeds = PriceFeeds(domain, terms, bounds_of(numbers, listed.specification))
        now_ms = clock.unix_ms()
        for key in self._keys:
            for name, value in numbers.items():
                feeds.accept(sign_report(name, value, now_ms, domain, key), now_ms)
        names = {one.name: tuple(feeds_of(market, one.name)) for one in market.underlyings}

        def halted(underlying: str) -> Mapping[str, Halt]:
            return feeds.halted(names[underlying], clock.unix_ms())

        return market_record(market, feeds, terms, now_ms), halted


class Reporter:
    """Signs what it observes, with its own key of 32 bytes and by its own clock."""

    def __init__(self, key: bytes, clock: Clock) -> None:
        self._key = key
        self._clock = clock

    @property
    def address(self) -> AccountId:
        """Address that its signatures recover to."""
        return account_of(address_of(self._key))

    def sign(
        self,
        grid: PriceGrid,
        instruments: Iterable[InstrumentId],
        interval: Interval,
        domain: Domain,
    ) -> dict[InstrumentId, SignedReference]:
        """A reference for each of some instruments: a grid around the price observed now."""
        price, step, now_ms = price_units(grid.reference), grid.tick_units, self._clock.unix_ms()
        signed = {}
        for instrument in instruments:
            message = ReferencePrice(instrument, interval, price, step, grid.ticks, now_ms)
            signature = sign(message.digest(domain), self._key)
            signed[instrument] = SignedReference(message, signature)
        return signed
