"""The reference prices: signed by the venue's reporter for this auction; grids are from them."""

from __future__ import annotations

from collections.abc import Iterable
from collections.abc import Set as AbstractSet

from crypto.signing.ecdsa import verify_signature
from crypto.signing.messages import instrument_id
from darkpool.limits import REFERENCE_AGE_MAX_MS, REFERENCE_AHEAD_MAX_MS
from darkpool.record.core import RecordView
from darkpool.record.forms import StateRecord
from darkpool.record.margin_forms import MarginInputs
from darkpool.verification.accounts import read_positions
from darkpool.verification.prices import PRICE, check_together, feeds_of, price_ranges
from darkpool.verification.report import Findings


def check_references(record: RecordView, findings: Findings) -> None:
    """Each instrument has one, signed for this interval, that gives a grid as long as all others.

    A record does not tell when its auction opened: that the references were fresh then is what the
    keypers' signatures under the transcript stand for. What follows from it is checked: all were
    fresh at one moment, and no intent was over before.
    """
    summary = record.summary
    findings.equal(
        "references, instruments",
        [instrument.identifier for instrument in summary.instruments],
        [reference.instrument for reference in summary.references],
    )
    for index, reference in enumerate(summary.references):
        part = f"reference {index}"
        with findings.watch(f"{part}, signature"):
            digest = reference.message().digest(summary.venue.domain())
            verify_signature(digest, reference.signature, summary.reporter)
        findings.equal(f"{part}, interval", summary.interval, reference.interval)
        findings.equal(f"{part}, ticks of the grid", summary.ticks, reference.ticks)
        if reference.tick_size < 1 or reference.price % reference.tick_size:
            expected = f"a multiple of {reference.tick_size}"
            findings.add(f"{part}, price", expected, reference.price)
    _check_deadlines(record, findings)
    _check_quotes(record, findings)
    _check_grids(record, findings)


def _check_deadlines(record: RecordView, findings: Findings) -> None:
    times = [reference.observed_at for reference in record.summary.references]
    if not times:
        return
    check_together("references", times, REFERENCE_AGE_MAX_MS, findings)
    latest = max(times) - REFERENCE_AHEAD_MAX_MS
    for index, intent in enumerate(record.intents):
        if 1000 * intent.sealed.deadline < latest:
            expected = f"after the reference prices, {latest} in Unix ms"
            findings.add(f"intent {index}, deadline", expected, 1000 * intent.sealed.deadline)


def _check_quotes(record: RecordView, findings: Findings) -> None:
    """Prices of what was traded or held were reported with the references, and are of then.

    An intent is admitted only while those of its underlying are fresh.
    """
    summary = record.summary
    used = {instrument.identifier for instrument in summary.instruments if instrument.intents}
    times = [reference.observed_at for reference in summary.references]
    check_reported(record.margin, used | held_in(summary.before), times, findings)


def held_in(states: Iterable[StateRecord]) -> set[bytes]:
    """Instruments in which accounts have positions.

    Raises:
        Unsound: positions that are none.
    """
    held: set[bytes] = set()
    for state in states:
        held |= read_positions(state.account, state.positions).keys()
    return held


def check_reported(
    inputs: MarginInputs, used: AbstractSet[bytes], times: Iterable[int], findings: Findings
) -> None:
    """Prices of some instruments' underlyings are of one time: the market's, and some others.

    Variation is paid of what is held, without any intent too: who could choose among old prices
    would choose who pays.
    """
    market, contracts = inputs.market, inputs.specification.contracts
    underlyings = {c.underlying for c in contracts if instrument_id(c.name) in used}
    together, ranges = [*times, market.time_ms], price_ranges(inputs)
    for quotes in market.underlyings:
        if quotes.name in underlyings:
            prices = ranges.get(quotes.name, PRICE)
            for feed in feeds_of(quotes, prices, Findings("prices")):
                together += [report.observed_at for report in feed.quote.reports]
    age_max_ms = max(market.age_max_ms, REFERENCE_AGE_MAX_MS)
    check_together("references and prices", together, age_max_ms, findings)


def _check_grids(record: RecordView, findings: Findings) -> None:
    """Each grid has its contract's tick size, around what a unit of the contract is worth."""
    contracts = record.margin.specification.contracts
    arrays = record.margin.risk.contracts
    values = {c.name: (c.tick_size, a.low[:1]) for c, a in zip(contracts, arrays, strict=False)}
    listed = zip(record.summary.references, record.summary.instruments, strict=False)
    for index, (reference, instrument) in enumerate(listed):
        part, (step, low) = f"reference {index}", values.get(instrument.name, (0, ()))
        findings.equal(f"{part}, tick size", step, reference.tick_size)
        if step > 0 and low:
            nearest = (low[0] + step // 2) // step * step
            findings.equal(f"{part}, price at the contract's value", nearest, reference.price)
