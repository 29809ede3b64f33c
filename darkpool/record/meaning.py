"""What the numbers of a record mean beside each other: keypers, sizes, places, rings.

A reader checks it of a folder, and a keyper of what it is asked to sign: nobody else could read
what it signed otherwise.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager

from crypto.bfv.ciphertext import level_primes
from crypto.errors import CryptoError
from crypto.ring.params import RingParameters
from darkpool.canonical_json import from_json, to_json
from darkpool.errors import MalformedRecord
from darkpool.limits import INSTRUMENTS_PER_VENUE_MAX
from darkpool.record.core import RecordStated, RecordView
from darkpool.record.forms import RECORD_VERSION, IntentsFile, OpeningsFile, RecordFile
from darkpool.record.kinds import Ring


def require_readable(record: RecordView) -> None:
    """Check that a record that is no folder yet could be read back from one.

    Raises:
        MalformedRecord: a part that has not its form, or numbers that mean nothing.
    """
    keys = record.material().envelope_keys
    parts = (
        RecordFile(RECORD_VERSION, record.parameters.name, keys, record.summary, record.evidence),
        IntentsFile(RECORD_VERSION, record.intents, record.cancellations),
        OpeningsFile(RECORD_VERSION, record.openings),
        *record.margin.parts(),
    )
    for part in parts:
        if from_json(to_json(part), type(part), "proposal") != part:
            got = "values that reading gives back changed"
            raise MalformedRecord("proposal", "values that a record can have", got)
    require_summary(record, len(keys))
    require_places(record)
    require_fills(record)
    require_intents(record)
    require_openings(record)


def require_summary(record: RecordStated, envelope_keys: int) -> None:
    """Check what numbers of `record.json` mean by themselves.

    Raises:
        MalformedRecord: counts that do not fit, or numbers of what there is not.
    """
    with fits("committee"):
        _ = record.committee
    summary, evidence = record.summary, record.evidence
    n, instruments = summary.committee.size, summary.instruments
    _require("committee.addresses", n, len(summary.committee.addresses))
    _require("beacon_shares", n, len(summary.beacon_shares))
    _require("envelope_keys", n, envelope_keys)
    require_below("ticks", record.parameters.ticks_max + 1, [summary.ticks])
    require_below("instruments", INSTRUMENTS_PER_VENUE_MAX + 1, [len(instruments)])
    _require("references", len(instruments), len(summary.references))
    for name, signatures in (
        ("commitment.signatures", evidence.commitment.signatures),
        ("settlement.signatures", evidence.settlement.signatures),
        ("transcripts", evidence.transcripts),
    ):
        require_below(name, n, signatures)


def require_fills(record: RecordStated) -> None:
    """Check that fills name instruments, and intents of these.

    Raises:
        MalformedRecord: one does not.
    """
    instruments = record.summary.instruments
    for i, fill in enumerate(record.summary.fills):
        require_below(f"fill {i}, instrument", len(instruments), [fill.instrument])
        members = instruments[fill.instrument].intents
        require_below(f"fill {i}, intent", len(members), [fill.intent])


def require_places(record: RecordStated) -> None:
    """Check that instruments and rejections name intents of the batch.

    Raises:
        MalformedRecord: one does not.
    """
    count = len(record.intents)
    for instrument in record.summary.instruments:
        part = f"instrument {instrument.name}, intents"
        require_below(part, count, instrument.intents)
        require_below(part, count + 1, [len(instrument.intents)])
    require_below("rejections", count, [entry.intent for entry in record.summary.rejections])


def require_intents(record: RecordStated) -> None:
    """Check that intents and cancellations can be what accounts sign, and who certified.

    Raises:
        MalformedRecord: one cannot.
    """
    domain = record.summary.venue.domain()
    for i, intent in enumerate(record.intents):
        require_below(f"intent {i}, certificate", record.committee.size, intent.certificate)
        with fits(f"intent {i}"):
            intent.sealed.digest(domain)
    for i, cancelled in enumerate(record.cancellations):
        with fits(f"cancellation {i}"):
            cancelled.cancellation.digest(domain)


def require_openings(record: RecordStated) -> None:
    """Check that openings have a level of their ring.

    Raises:
        MalformedRecord: one has not.
    """
    for i, entry in enumerate(record.openings):
        with fits(f"opening {i}"):
            level_primes(ring_of(record, entry.ring), entry.level)


def ring_of(record: RecordStated, name: Ring) -> RingParameters:
    """The ring of a name."""
    rings = record.parameters
    return rings.order_ring if name == "order" else rings.comparison_ring


@contextmanager
def fits(part: str) -> Iterator[None]:
    """Turn an error of the arithmetic into one of the part.

    Raises:
        MalformedRecord: the block ended with an error of `crypto`.
    """
    try:
        yield
    except CryptoError as error:
        raise MalformedRecord(part, "what its parameters allow", error) from error


def require_below(part: str, bound: int, numbers: Iterable[int]) -> None:
    """Check numbers against a bound.

    Raises:
        MalformedRecord: one is not below it.
    """
    for number in numbers:
        if number >= bound:
            raise MalformedRecord(part, f"numbers below {bound}", number)


def _require(part: str, expected: int, got: int) -> None:
    if got != expected:
        raise MalformedRecord(part, f"{expected} entries", got)
