"""Results and fills: what follows from the openings, and from the fills by themselves."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence

import numpy as np

from crypto.bfv.lanes import Lanes
from crypto.labels import PRIORITY
from crypto.signing.merkle import merkle_root
from darkpool.record.core import RecordView
from darkpool.record.forms import FillRecord, InstrumentRecord
from darkpool.verification.report import Findings
from darkpool.verification.steps import BUY, SELL, OpenedOutcome, Transcript

_WORD = 32


def priority_ranks(beacon: bytes, instrument: bytes, intents: int) -> Lanes:
    """Rank of each intent, shape (n,): a Fisher-Yates shuffle of their numbers.

    Words are four bytes, big-endian, of SHAKE256 over label, beacon, instrument and the number of
    intents as four bytes; a word at or above the largest multiple of the choices is skipped.
    """
    seed = PRIORITY + beacon + instrument + intents.to_bytes(4, "big")
    words: Sequence[int] = []
    position = 0
    order = list(range(intents))
    for last in reversed(range(1, intents)):
        while True:
            if position == len(words):
                octets = hashlib.shake_256(seed).digest(8 * len(words) + 4096)
                words = np.frombuffer(octets, ">u4").tolist()
            word, position = words[position], position + 1
            if word < 2**32 // (last + 1) * (last + 1):
                break
        chosen = word % (last + 1)
        order[last], order[chosen] = order[chosen], order[last]
    ranks = np.zeros(intents, dtype=np.int64)
    ranks[order] = np.arange(intents, dtype=np.int64)
    return ranks


def check_rejections(record: RecordView, transcript: Transcript, findings: Findings) -> None:
    """Exactly those were taken out that the shape check or the cap bits find at fault."""
    derived = [(index, "shape") for index in transcript.malformed]
    derived += [(index, "cap") for chunk in transcript.price_chunks for index in chunk.over_cap]
    stated = [(rejection.intent, rejection.reason) for rejection in record.summary.rejections]
    findings.equal("rejections", sorted(derived), stated)


def check_results(record: RecordView, transcript: Transcript, findings: Findings) -> None:
    """Price, volume, short side and surplus of every instrument are those that were opened."""
    for number, instrument in enumerate(record.summary.instruments):
        part, derived = f"instrument {instrument.name}", transcript.outcomes.get(number)
        stated = instrument.outcome
        if derived is None or stated is None:
            crossed = (derived is not None, stated is not None)
            findings.equal(f"{part}, whether it crosses", *crossed)
            continue
        findings.equal(f"{part}, price tick", derived.tick, stated.tick)
        findings.equal(f"{part}, volume", derived.short.volume, stated.volume)
        findings.equal(f"{part}, short side", derived.short.side, stated.short_side)
        findings.equal(f"{part}, exhausted", derived.exhausted, stated.exhausted)


def check_opened_fills(record: RecordView, transcript: Transcript, findings: Findings) -> None:
    """The fills are exactly those that were opened, in order of instrument and intent."""
    derived = [
        FillRecord(number, intent, _account(record, number, intent), side, lots, outcome.tick)
        for number, outcome in sorted(transcript.outcomes.items())
        for intent, side, lots in _opened_fills(outcome)
    ]
    for index, (expected, got) in enumerate(zip(derived, record.summary.fills, strict=False)):
        findings.equal(f"fill {index}", expected, got)
    findings.equal("fills, how many", len(derived), len(record.summary.fills))


def _opened_fills(outcome: OpenedOutcome) -> Iterator[tuple[int, int, int]]:
    """Intent, side and lots of every fill.

    An intent on both sides cannot be stated as a fill, so it gives two.
    """
    for intent, both in enumerate(zip(outcome.lots(BUY), outcome.lots(SELL), strict=True)):
        for side, lots in zip((BUY, SELL), both, strict=True):
            if lots:
                yield intent, side, int(lots)


def check_fills(record: RecordView, findings: Findings) -> None:
    """By themselves: every fill within its cap, at the price, and each side adds up to the volume.

    A fill at a tick beyond its intent's limit could not have been opened: the sealed curve is zero
    there.
    """
    totals = [[0, 0] for _ in record.summary.instruments]
    seen = set()
    for index, fill in enumerate(record.summary.fills):
        part, instrument = f"fill {index}", record.summary.instruments[fill.instrument]
        filled = (fill.instrument, fill.intent)
        if filled in seen:
            findings.add(f"{part}, intent", "an intent without a fill", fill.intent)
        seen.add(filled)
        findings.equal(f"{part}, account", _account(record, *filled), fill.account)
        cap = record.intents[instrument.intents[fill.intent]].sealed.cap
        if not 1 <= fill.size <= cap:
            findings.add(f"{part}, size", f"1 to its cap {cap}", fill.size)
        price = None if instrument.outcome is None else instrument.outcome.tick
        findings.equal(f"{part}, tick", price, fill.tick)
        totals[fill.instrument][fill.side] += fill.size
    for instrument, (bought, sold) in zip(record.summary.instruments, totals, strict=True):
        volume = 0 if instrument.outcome is None else instrument.outcome.volume
        findings.equal(f"instrument {instrument.name}, lots bought", volume, bought)
        findings.equal(f"instrument {instrument.name}, lots sold", volume, sold)


def settled_instruments(record: RecordView) -> list[InstrumentRecord]:
    """Those that a result is settled of: all that have an intent in the batch."""
    return [instrument for instrument in record.summary.instruments if instrument.intents]


def encode_results(record: RecordView) -> bytes:
    """The bytes of all results: of each its instrument, then volume, tick and whether it crossed.

    The outcome is one word, volume * 2**64 + tick * 2 + crossed.
    """
    parts: list[bytes] = []
    for instrument in settled_instruments(record):
        outcome = instrument.outcome
        word = 0 if outcome is None else outcome.volume << 64 | outcome.tick << 1 | 1
        parts += [instrument.identifier, word.to_bytes(_WORD, "big")]
    return b"".join(parts)


def fills_root(record: RecordView) -> bytes:
    """Merkle root over the fills, in order of the instrument's identifier and the intent."""
    leaves = []
    for fill in record.summary.fills:
        identifier = record.summary.instruments[fill.instrument].identifier
        leaf = [
            identifier,
            _word(fill.intent),
            fill.account.rjust(_WORD, b"\0"),
            _word(fill.side),
            _word(fill.size),
            _word(fill.tick),
        ]
        leaves.append(b"".join(leaf))
    return merkle_root(sorted(leaves))


def _word(number: int) -> bytes:
    return int(number).to_bytes(_WORD, "big")


def _account(record: RecordView, instrument: int, intent: int) -> bytes:
    index = record.summary.instruments[instrument].intents[intent]
    return record.intents[index].sealed.account
