"""Prices from several reporters: each signs what it sees, and the median of a quorum counts.

A number that jumps by more than it may is disputed: it is not taken over until it has stayed there
for a while, or has come back. A number that too few reporters renew is stale. Both halt new risk,
and nothing else: the last number that was taken over still values positions, so that they can be
closed.

Times are handed in, never taken from a clock, so that the same reports give the same numbers again.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final

from eth_hash.auto import keccak

from crypto.errors import InvalidMessageField, InvalidSignature
from crypto.signing.ecdsa import address_of, recover_address, sign
from crypto.signing.eip712 import Domain
from crypto.signing.messages import PriceReport
from darkpool.errors import OutOfBounds
from darkpool.limits import REFERENCE_AGE_AT_CLOSE_MAX_MS, REFERENCE_AHEAD_MAX_MS
from darkpool.margin.errors import (
    ImpossibleValue,
    ReportFromTheFuture,
    StaleReport,
    UnknownFeed,
    UnknownReporter,
)
from darkpool.units import PPM, AccountId, account_of

REPORTERS_MAX: Final = 31


class Halt(StrEnum):
    """Why no new risk may be taken on a number."""

    UNKNOWN = "too few reports yet"
    STALE = "too few fresh reports"
    DISPUTED = "it jumped by more than it may"


@dataclass(frozen=True, slots=True)
class FeedTerms:
    """Who reports, and when a number counts.

    A number needs fresh reports of twice as many reporters as may be false, and one more: their
    median then lies between two honest ones.

    Attributes:
        reporters: addresses.
        age_max_ms: age of a report that counts.
        step_max_ppm: how far a number may move within `age_max_ms`, in parts per million.
        settle_ms: how long a larger step has to last until it is believed.

    Raises:
        OutOfBounds: too few reporters, or a bound below 1.
    """

    reporters: tuple[AccountId, ...]
    age_max_ms: int
    step_max_ppm: int
    settle_ms: int

    def __post_init__(self) -> None:
        count = len(set(self.reporters))
        if not 1 <= count == len(self.reporters) <= REPORTERS_MAX:
            raise OutOfBounds("distinct reporters", 1, REPORTERS_MAX, count)
        if self.age_max_ms > REFERENCE_AGE_AT_CLOSE_MAX_MS:
            bounds = (1, REFERENCE_AGE_AT_CLOSE_MAX_MS, self.age_max_ms)
            raise OutOfBounds("age_max_ms", *bounds)
        for name in ("age_max_ms", "step_max_ppm", "settle_ms"):
            if getattr(self, name) < 1:
                raise OutOfBounds(name, 1, 2**63 - 1, getattr(self, name))

    @property
    def false_max(self) -> int:
        """How many of the reporters may be false or silent: what can be borne, a third."""
        return (len(self.reporters) - 1) // 3

    @property
    def quorum(self) -> int:
        """Reports that a number needs."""
        return 2 * self.false_max + 1


@dataclass(frozen=True, slots=True)
class FeedBounds:
    """What a number may be: `lowest` to `highest`; it may always move by `step_min`."""

    lowest: int
    highest: int
    step_min: int = 0


@dataclass(frozen=True, slots=True)
class SignedReport:
    """A report and its reporter's signature, 65 bytes."""

    message: PriceReport
    signature: bytes


@dataclass(frozen=True, slots=True)
class Number:
    """What a feed says: the last number taken over, if any, and why it may not bear new risk."""

    value: int | None
    halt: Halt | None


@dataclass(frozen=True, slots=True)
class SignedNumber:
    """A number, and signed reports whose lower median it is."""

    value: int
    reports: tuple[SignedReport, ...]


@dataclass(frozen=True, slots=True)
class _Level:
    """A value, and since when the number has been there."""

    value: int
    from_ms: int


@dataclass(slots=True)
class _Feed:
    """What is known of a number.

    Attributes:
        taken: the number, None before the first, and the reports that it was taken over from.
        anchor: what steps are measured from.
        dispute: where the number jumped to, if that is not believed yet.
    """

    bounds: FeedBounds
    reports: dict[AccountId, SignedReport] = field(default_factory=dict)
    taken: SignedNumber | None = None
    anchor: _Level = _Level(0, 0)
    seen_ms: int = 0
    dispute: _Level | None = None


def feed_id(name: str) -> bytes:
    """The 32 bytes that stand for a feed in reports: keccak256 of its name in UTF-8."""
    return keccak(name.encode())


def sign_report(
    feed: str, value: int, observed_ms: int, domain: Domain, key: bytes
) -> SignedReport:
    """Sign what a reporter sees, with its key of 32 bytes.

    Raises:
        InvalidMessageField: a value that is no int128, or a negative time.
    """
    message = PriceReport(feed_id(feed), value, observed_ms)
    return SignedReport(message, sign(message.digest(domain), key))


def reporter_address(key: bytes) -> AccountId:
    """The address that signatures of a key recover to."""
    return account_of(address_of(key))


class PriceFeeds:
    """All numbers of a market.

    Args:
        bounds: of each feed, by name.
    """

    def __init__(self, domain: Domain, terms: FeedTerms, bounds: Mapping[str, FeedBounds]) -> None:
        self._domain = domain
        self._terms = terms
        self._feeds = {feed_id(name): _Feed(bound) for name, bound in bounds.items()}

    def accept(self, report: SignedReport, now_ms: int) -> None:
        """Take a report; `now_ms`, in Unix milliseconds, may not run backwards.

        Raises:
            ReportRefused: one of its kinds; nothing has changed.
        """
        message = report.message
        feed = self._feeds.get(message.feed)
        if feed is None:
            raise UnknownFeed("feed", "one of the market", f"0x{message.feed.hex()}")
        reporter = self._signer(report)
        self._require_timely(message, feed.reports.get(reporter), now_ms)
        if not feed.bounds.lowest <= message.value <= feed.bounds.highest:
            bounds = f"{feed.bounds.lowest} to {feed.bounds.highest}"
            raise ImpossibleValue("value", bounds, str(message.value))
        feed.reports[reporter] = report
        self._update(feed, now_ms)

    def _signer(self, report: SignedReport) -> AccountId:
        try:
            digest = report.message.digest(self._domain)
            signer = account_of(recover_address(digest, report.signature))
        except (InvalidMessageField, InvalidSignature) as error:
            raise UnknownReporter("signature", "a reporter's", str(error)) from error
        if signer not in self._terms.reporters:
            raise UnknownReporter("signer", "one of the reporters", signer)
        return signer

    def _require_timely(
        self, message: PriceReport, before: SignedReport | None, now_ms: int
    ) -> None:
        oldest = now_ms - self._terms.age_max_ms
        if before is not None:
            oldest = max(oldest, before.message.observed_at + 1)
        if message.observed_at < oldest:
            raise StaleReport("time", f"{oldest} or later", str(message.observed_at))
        latest = now_ms + REFERENCE_AHEAD_MAX_MS
        if message.observed_at > latest:
            raise ReportFromTheFuture("time", f"{latest} or earlier", str(message.observed_at))

    def _update(self, feed: _Feed, now_ms: int) -> None:
        """Take the median over, unless it is too far off and has not been there for long."""
        median = self._median(feed, now_ms)
        if median is None:
            return
        silent = now_ms - feed.seen_ms > self._terms.age_max_ms
        feed.seen_ms = now_ms
        if feed.taken is None or self._is_step(feed, feed.anchor.value, median):
            dispute = feed.dispute
            if dispute is None or silent or self._is_step(feed, dispute.value, median):
                dispute = feed.dispute = _Level(median, now_ms)
            if feed.taken is not None and now_ms - dispute.from_ms < self._terms.settle_ms:
                return
            feed.anchor = _Level(median, now_ms)
        elif now_ms - feed.anchor.from_ms >= self._terms.age_max_ms:
            feed.anchor = _Level(median, now_ms)
        feed.dispute = None
        feed.taken = SignedNumber(median, tuple(self._fresh(feed, now_ms)))

    def _is_step(self, feed: _Feed, first: int, second: int) -> bool:
        """Whether two numbers are further apart than one may move."""
        share = abs(first) * self._terms.step_max_ppm
        return abs(second - first) * PPM > max(share, feed.bounds.step_min * PPM)

    def _median(self, feed: _Feed, now_ms: int) -> int | None:
        """The lower median of the fresh reports, None if they are too few."""
        values = sorted(report.message.value for report in self._fresh(feed, now_ms))
        return None if len(values) < self._terms.quorum else values[(len(values) - 1) // 2]

    def _fresh(self, feed: _Feed, now_ms: int) -> list[SignedReport]:
        oldest = now_ms - self._terms.age_max_ms
        return [r for r in feed.reports.values() if r.message.observed_at >= oldest]

    def taken(self, name: str, now_ms: int) -> SignedNumber:
        """The number that was taken over last, with the fresh reports if it is their median.

        Else with the reports that it was taken over from.

        Raises:
            UnknownFeed: there is no feed of this name, or nothing of it has been taken over.
        """
        feed = self._feeds.get(feed_id(name))
        if feed is None or feed.taken is None:
            raise UnknownFeed("feed", "one with a number", ascii(name))
        if self._median(feed, now_ms) != feed.taken.value:
            return feed.taken
        return SignedNumber(feed.taken.value, tuple(self._fresh(feed, now_ms)))

    def number(self, name: str, now_ms: int) -> Number:
        """What a feed says at a time.

        Raises:
            UnknownFeed: there is no feed of this name.
        """
        feed = self._feeds.get(feed_id(name))
        if feed is None:
            raise UnknownFeed("feed", "one of the market", ascii(name))
        if feed.taken is None:
            return Number(None, Halt.UNKNOWN)
        if self._median(feed, now_ms) is None:
            return Number(feed.taken.value, Halt.STALE)
        return Number(feed.taken.value, Halt.DISPUTED if feed.dispute is not None else None)

    def halted(self, names: Iterable[str], now_ms: int) -> dict[str, Halt]:
        """Which of some feeds may not bear new risk, and why.

        Raises:
            UnknownFeed: see `number`.
        """
        halts = {name: self.number(name, now_ms).halt for name in names}
        return {name: halt for name, halt in halts.items() if halt is not None}
