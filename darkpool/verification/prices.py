"""What margin starts from: the specification makes sense, and reporters signed every price."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Final, Generic, TypeVar

from eth_hash.auto import keccak

from crypto.errors import hexadecimal
from crypto.signing.ecdsa import recover_address
from crypto.signing.eip712 import Domain
from crypto.signing.messages import PriceReport
from darkpool.limits import (
    CONTRACT_MULTIPLIER_MAX,
    REFERENCE_AGE_AT_CLOSE_MAX_MS,
    REFERENCE_AHEAD_MAX_MS,
)
from darkpool.record.margin_forms import (
    MARGIN_VERSION,
    ContractRecord,
    ExpiryRecord,
    MarginInputs,
    MarketRecord,
    QuoteRecord,
    QuotesRecord,
    UnderlyingRecord,
)
from darkpool.verification.errors import Unsound
from darkpool.verification.report import Findings

T = TypeVar("T")

PPM: Final = 10**6
MULTIPLE_MAX_PPM: Final = 10 * PPM
DAY_MS: Final = 86_400_000
HORIZON_MAX_MS: Final = 30 * DAY_MS
REPORTERS_MAX: Final = 31
OPTIONS: Final = ("call", "put")
_PARTS: Final = (
    "price_range",
    "tail_weight",
    "basis",
    "short_option",
    "concentration",
)


@dataclass(frozen=True, slots=True)
class Range:
    """What a number of the market may be, both ends included."""

    lowest: int
    highest: int


PRICE: Final = Range(1, 10**15)
SIGNED_PRICE: Final = Range(-PRICE.highest, PRICE.highest)
RATE: Final = Range(-PPM, PPM)
VOLATILITY: Final = Range(1, 100 * PPM)


@dataclass(frozen=True, slots=True)
class Feed:
    """One number of a market, by the name under which it is reported."""

    name: str
    range: Range
    quote: QuoteRecord

    @property
    def part(self) -> str:
        """How findings call it."""
        return f"market, quote {self.name}"

    def value(self) -> int:
        """The number.

        Raises:
            Unsound: it is out of range.
        """
        if not self.range.lowest <= self.quote.value <= self.range.highest:
            expected = f"{self.range.lowest} to {self.range.highest}"
            raise Unsound(self.part, expected, self.quote.value)
        return self.quote.value


@dataclass(frozen=True, slots=True)
class ExpiryFeeds:
    """The numbers of one expiry; of `strikes`, which ascend, each has a volatility."""

    expiry_ms: int
    forward: Feed
    rate: Feed
    strikes: tuple[int, ...]
    volatilities: tuple[Feed, ...]

    @classmethod
    def of(cls, underlying: str, expiry: ExpiryRecord, prices: Range) -> ExpiryFeeds:
        """Name the numbers of an expiry.

        Raises:
            Unsound: strikes that are not above 0 or do not ascend, other than one volatility for
                each, or a forward at or below 0 with some.
        """
        if expiry.strikes:
            prices = PRICE
        path = f"{underlying}/{expiry.expiry_ms}"
        strikes, volatilities = expiry.strikes, expiry.volatilities
        if not ascending((0, *strikes)):
            raise Unsound(f"market, strikes of {path}", "above 0, ascending", strikes)
        if len(volatilities) != len(strikes):
            raise Unsound(f"market, volatilities of {path}", len(strikes), len(volatilities))
        return cls(
            expiry.expiry_ms,
            Feed(f"{path}/forward", prices, expiry.forward),
            Feed(f"{path}/rate", RATE, expiry.rate),
            strikes,
            tuple(
                Feed(f"{path}/volatility/{strike}", VOLATILITY, quote)
                for strike, quote in zip(strikes, volatilities, strict=True)
            ),
        )


class Kept(Generic[T]):
    """What was found once, errors included: a record may ask for the same thing very often."""

    def __init__(self) -> None:
        self._found: dict[object, T | Unsound] = {}

    def __call__(self, name: object, find: Callable[[], T]) -> T:
        """What was found under a name.

        Raises:
            Unsound: as it was raised the first time.
        """
        if name not in self._found:
            try:
                self._found[name] = find()
            except Unsound as error:
                self._found[name] = error
        found = self._found[name]
        if isinstance(found, Unsound):
            raise found.with_traceback(None)
        return found


class Quotes:
    """Finds the numbers of a market that a contract is valued at."""

    def __init__(self, inputs: MarginInputs) -> None:
        market = inputs.market
        self.time_ms = market.time_ms
        self._underlyings = {quotes.name: quotes for quotes in market.underlyings}
        self._kept_feeds: Kept[ExpiryFeeds] = Kept()
        self._kept_smiles: Kept[list[ExpiryFeeds]] = Kept()
        self._expiries = {
            (quotes.name, expiry.expiry_ms): expiry
            for quotes in reversed(market.underlyings)
            for expiry in reversed(quotes.expiries)
        }
        self._ranges = price_ranges(inputs)

    def expired(self, contract: ContractRecord) -> bool:
        """Whether nothing is left of a contract but its settlement."""
        return contract.expiry_ms is not None and contract.expiry_ms <= self.time_ms

    def price(self, contract: ContractRecord) -> int:
        """The perpetual's price, or the forward of the contract's expiry.

        Raises:
            Unsound: it is not quoted, or out of range.
        """
        if contract.kind != "perpetual":
            return self.expiry(contract).forward.value()
        name = contract.underlying
        perpetual = self._quotes(name).perpetual
        if perpetual is None:
            raise Unsound(f"market, quote {name}/perpetual", "one", "none")
        return Feed(f"{name}/perpetual", self._ranges.get(name, PRICE), perpetual).value()

    def expiry(self, contract: ContractRecord) -> ExpiryFeeds:
        """The numbers of the contract's expiry.

        Raises:
            Unsound: it is not quoted, or not in its form.
        """
        self._quotes(contract.underlying)
        if contract.expiry_ms is not None:
            expiry = self._expiries.get((contract.underlying, contract.expiry_ms))
            if expiry is not None:
                option = contract.kind in OPTIONS
                prices = PRICE if option else self._ranges.get(contract.underlying, PRICE)
                return self._feeds(contract.underlying, expiry, prices)
        path = f"{contract.underlying}/{contract.expiry_ms}"
        raise Unsound(f"market, quote {path}/forward", "one", "none")

    def smiles(self, underlying: str) -> list[ExpiryFeeds]:
        """All expiries of an underlying that have volatilities, ascending.

        Raises:
            Unsound: none has, they do not ascend, or one is not in its form.
        """
        return self._kept_smiles(underlying, lambda: self._smiles(underlying))

    def _smiles(self, underlying: str) -> list[ExpiryFeeds]:
        quoted = [e for e in self._quotes(underlying).expiries if e.strikes]
        times = [self.time_ms, *(e.expiry_ms for e in quoted)]
        if not quoted or not ascending(times):
            expected = f"some with strikes, ascending from {self.time_ms}"
            raise Unsound(f"market, expiries of {underlying}", expected, times[1:])
        return [self._feeds(underlying, expiry, PRICE) for expiry in quoted]

    def _feeds(self, underlying: str, expiry: ExpiryRecord, prices: Range) -> ExpiryFeeds:
        name = (underlying, expiry.expiry_ms, prices)
        return self._kept_feeds(name, lambda: ExpiryFeeds.of(underlying, expiry, prices))

    def _quotes(self, underlying: str) -> QuotesRecord:
        quotes = self._underlyings.get(underlying)
        if quotes is None:
            raise Unsound(f"market, quote {underlying}/index", "one", "none")
        return quotes


def price_ranges(inputs: MarginInputs) -> Mapping[str, Range]:
    """What prices of underlyings may be: at or below zero where a range in price is covered.

    Of one that the specification does not have they are `PRICE`.
    """
    underlyings = inputs.specification.underlyings
    return {u.name: SIGNED_PRICE if u.price_range_min > 0 else PRICE for u in underlyings}


def ascending(values: Sequence[int]) -> bool:
    """Whether each is more than the one before."""
    return all(before < after for before, after in pairwise(values))


def check_market(inputs: MarginInputs, domain: Domain, findings: Findings) -> None:
    """Every number is in range and the lower median of reports, each signed by another reporter."""
    market = inputs.market
    findings.equal("market, version", MARGIN_VERSION, market.version)
    reporters, false_max = market.reporters, market.false_max
    _check_range(findings, "market, reporters", (1, REPORTERS_MAX), len(reporters))
    _check_once(findings, "market, reporters", reporters)
    # of more, a number could be had without an honest majority, and of fewer, from a few alone
    findings.equal("market, false_max", (len(reporters) - 1) // 3, false_max)
    age_max_ms = market.age_max_ms
    _check_range(findings, "market, age_max_ms", (1, REFERENCE_AGE_AT_CLOSE_MAX_MS), age_max_ms)
    names = [quotes.name for quotes in market.underlyings]
    _check_once(findings, "market, underlyings", names)
    known, ranges = frozenset(reporters), price_ranges(inputs)
    # the same numbers again, of the same name, are no further ones
    for quotes in {quotes.name: quotes for quotes in market.underlyings}.values():
        _check_expiries(quotes, market.time_ms, findings)
        for feed in feeds_of(quotes, ranges.get(quotes.name, PRICE), findings):
            with findings.watch(feed.part):
                feed.value()
            _check_reports(feed, market, known, domain, findings)


def _check_expiries(quotes: QuotesRecord, time_ms: int, findings: Findings) -> None:
    times = [expiry.expiry_ms for expiry in quotes.expiries]
    if not ascending((time_ms, *times)):
        findings.add(f"market, expiries of {quotes.name}", f"ascending from {time_ms}", times)


def feeds_of(quotes: QuotesRecord, prices: Range, findings: Findings) -> list[Feed]:
    """All numbers of an underlying; notes expiries that are not in their form."""
    name = quotes.name
    feeds = [Feed(f"{name}/index", prices, quotes.index)]
    if quotes.perpetual is not None:
        feeds.append(Feed(f"{name}/perpetual", prices, quotes.perpetual))
    for expiry in {expiry.expiry_ms: expiry for expiry in quotes.expiries}.values():
        with findings.watch(f"market, expiries of {name}"):
            numbers = ExpiryFeeds.of(name, expiry, prices)
            feeds += [numbers.forward, numbers.rate, *numbers.volatilities]
    return feeds


def _check_reports(
    feed: Feed, market: MarketRecord, known: frozenset[bytes], domain: Domain, findings: Findings
) -> None:
    part, reports = feed.part, feed.quote.reports
    needed = 2 * market.false_max + 1
    if len(reports) < needed:
        findings.add(f"{part}, reports", f"at least {needed}", len(reports))
    identifier = keccak(feed.name.encode())
    seen: set[bytes] = set()
    for index, report in enumerate(reports):
        signature = f"{part}, report {index}, signature"
        with findings.watch(signature):
            message = PriceReport(identifier, report.value, report.observed_at)
            reporter = recover_address(message.digest(domain), report.signature)
            if reporter not in known or reporter in seen:
                expected = "a reporter, each once"
                raise Unsound(signature, expected, reporter)
            seen.add(reporter)
    if not reports:
        return
    check_together(part, [report.observed_at for report in reports], market.age_max_ms, findings)
    values = sorted(report.value for report in reports)
    findings.equal(f"{part}, lower median", values[(len(values) - 1) // 2], feed.quote.value)


def check_together(part: str, times: Sequence[int], age_max_ms: int, findings: Findings) -> None:
    """All of some times, in Unix ms, can have been fresh at one moment; clocks differ a little."""
    spread_max = age_max_ms + REFERENCE_AHEAD_MAX_MS
    if times and max(times) - min(times) > spread_max:
        expected = f"within {spread_max} ms of each other"
        findings.add(f"{part}, times", expected, f"{max(times) - min(times)} ms")


def check_specification(inputs: MarginInputs, findings: Findings) -> None:
    """Names are plain, every contract has what its kind asks for, parameters are in range."""
    specification = inputs.specification
    findings.equal("specification, version", MARGIN_VERSION, specification.version)
    initial, horizon_ms = specification.initial, specification.horizon_ms
    _check_range(findings, "specification, initial", (PPM, MULTIPLE_MAX_PPM), initial)
    _check_range(findings, "specification, horizon_ms", (0, HORIZON_MAX_MS), horizon_ms)
    names = [underlying.name for underlying in specification.underlyings]
    known = frozenset(names)
    _check_once(findings, "specification, underlyings", names)
    _check_once(findings, "specification, groups", [group.name for group in specification.groups])
    _check_once(findings, "specification, contracts", [c.name for c in specification.contracts])
    for underlying in specification.underlyings:
        _check_underlying(underlying, findings)
    grouped: list[str] = []
    for group in specification.groups:
        part = f"specification, group {group.name}"
        _check_range(findings, f"{part}, offset", (0, PPM), group.offset)
        if len(group.underlyings) < 2 or not known.issuperset(group.underlyings):
            expected = "two underlyings of the specification or more"
            findings.add(f"{part}, underlyings", expected, group.underlyings)
        grouped += group.underlyings
    _check_once(findings, "specification, underlyings of groups", grouped)
    for contract in specification.contracts:
        _check_contract(contract, known, findings)
    _check_once(findings, "specification, collateral", [c.token for c in specification.collateral])
    ranges = price_ranges(inputs)
    for collateral in specification.collateral:
        part = f"specification, collateral {collateral.token}"
        _check_range(findings, f"{part}, haircut", (0, PPM), collateral.haircut)
        if collateral.underlying not in known:
            expected = "an underlying of the specification"
            findings.add(f"{part}, underlying", expected, collateral.underlying)
        elif ranges[collateral.underlying] is not PRICE:
            expected = "an underlying with prices above 0 alone"
            findings.add(f"{part}, underlying", expected, collateral.underlying)


def _check_underlying(underlying: UnderlyingRecord, findings: Findings) -> None:
    part = f"specification, underlying {underlying.name}"
    for name in _PARTS:
        _check_range(findings, f"{part}, {name}", (0, PPM), getattr(underlying, name))
    tail_multiple = underlying.tail_multiple
    _check_range(findings, f"{part}, tail_multiple", (PPM, MULTIPLE_MAX_PPM), tail_multiple)
    least_range = underlying.price_range_min
    _check_range(findings, f"{part}, price_range_min", (0, PRICE.highest), least_range)
    # volatility that falls by the whole would leave none
    _check_range(findings, f"{part}, volatility_down", (0, PPM - 1), underlying.volatility_down)


def _check_contract(contract: ContractRecord, known: frozenset[str], findings: Findings) -> None:
    part = f"specification, contract {contract.name}"
    if contract.underlying not in known:
        expected = "an underlying of the specification"
        findings.add(f"{part}, underlying", expected, contract.underlying)
    _check_range(findings, f"{part}, multiplier", (1, CONTRACT_MULTIPLIER_MAX), contract.multiplier)
    if contract.tick_size < 1:
        findings.add(f"{part}, tick_size", "above 0", contract.tick_size)
    for what, value, has in (
        ("expiry_ms", contract.expiry_ms, contract.kind != "perpetual"),
        ("strike", contract.strike, contract.kind in OPTIONS),
    ):
        if has != (value is not None):
            findings.add(f"{part}, {what}", "one" if has else "none", value)
    if contract.strike is not None and contract.strike < 1:
        findings.add(f"{part}, strike", "above 0", contract.strike)


def _check_range(findings: Findings, part: str, ends: tuple[int, int], got: int) -> None:
    lowest, highest = ends
    if not lowest <= got <= highest:
        findings.add(part, f"{lowest} to {highest}", got)


def _check_once(findings: Findings, part: str, names: Sequence[str | bytes]) -> None:
    for name, count in Counter(names).items():
        if count > 1:
            told = hexadecimal(name) if isinstance(name, bytes) else name
            findings.add(part, "each once", f"{told} twice")
