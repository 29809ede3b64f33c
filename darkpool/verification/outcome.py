"""Results and fills: what follows from the openings, and from the fills by themselves."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

import numpy as np
from eth_hash.auto import keccak

from crypto.bfv.lanes import Lanes
from crypto.labels import PRIORITY
from crypto.signing.merkle import merkle_root
from darkpool.record.forms import FillRecord, InstrumentRecord
from darkpool.record.reader import Record
from darkpool.verification.report import Findings
from darkpool.verification.steps import BUY, SELL, Derived, Transcript

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


def check_rejections(record: Record, transcript: Transcript, findings: Findings) -> None:
    """Exactly those were taken out that the shape check or the cap bits found."""
    above = [place for chunk in transcript.price_chunks for place in chunk.above]
    found = [(place, "shape") for place in transcript.malformed]
    found += [(place, "cap") for place in above]
    stated = [(rejection.intent, rejection.reason) for rejection in record.summary.rejections]
    findings.equal("rejections", sorted(found), stated)


def check_results(record: Record, outcomes: dict[int, Derived], findings: Findings) -> None:
    """Price, volume, short side and surplus of every instrument are those that were opened."""
    for number, instrument in enumerate(record.summary.instruments):
        part, derived = f"instrument {instrument.name}", outcomes.get(number)
        stated = instrument.outcome
        if derived is None or stated is None:
            crossed = (derived is not None, stated is not None)
            findings.equal(f"{part}, whether it crosses", *crossed)
            continue
        findings.equal(f"{part}, price tick", derived.tick, stated.tick)
        findings.equal(f"{part}, volume", derived.volume, stated.volume)
        findings.equal(f"{part}, short side", derived.short_side, stated.short_side)
        findings.equal(f"{part}, exhausted", derived.exhausted, stated.exhausted)


def check_opened_fills(record: Record, outcomes: dict[int, Derived], findings: Findings) -> None:
    """The fills are exactly those that were opened, in order of instrument and intent."""
    derived = [
        FillRecord(number, int(intent), _account(record, number, int(intent)), side, lots, tick)
        for number, intent, side, lots, tick in _filled(outcomes)
    ]
    for index, (expected, got) in enumerate(zip(derived, record.summary.fills, strict=False)):
        findings.equal(f"fill {index}", expected, got)
    findings.equal("fills, how many", len(derived), len(record.summary.fills))


def _filled(outcomes: dict[int, Derived]) -> list[tuple[int, int, int, int, int]]:
    found = []
    for number in sorted(outcomes):
        outcome = outcomes[number]
        for intent in np.flatnonzero(outcome.bought + outcome.sold).tolist():
            bought, sold = int(outcome.bought[intent]), int(outcome.sold[intent])
            # an intent on both sides cannot be stated as a fill, so two are derived
            if bought:
                found.append((number, intent, BUY, bought, outcome.tick))
            if sold:
                found.append((number, intent, SELL, sold, outcome.tick))
    return found


def check_fills(record: Record, findings: Findings) -> None:
    """By themselves: every fill within its cap, at the price, and each side adds up to the volume.

    A fill at a tick beyond its intent's limit could not have been opened: the sealed curve is zero
    there.
    """
    totals = [[0, 0] for _ in record.summary.instruments]
    seen = set()
    for index, fill in enumerate(record.summary.fills):
        part, instrument = f"fill {index}", record.summary.instruments[fill.instrument]
        place = (fill.instrument, fill.intent)
        if place in seen:
            findings.add(f"{part}, intent", "an intent without a fill", fill.intent)
        seen.add(place)
        findings.equal(f"{part}, account", _account(record, *place), fill.account)
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


def settled_instruments(record: Record) -> list[InstrumentRecord]:
    """Those that a result is settled of: all that have an intent in the batch."""
    return [instrument for instrument in record.summary.instruments if instrument.intents]


def results_root(record: Record) -> bytes:
    """Keccak-256 of the contract ABI encoding of (bytes32, bool, uint32, uint64)[]."""
    instruments = settled_instruments(record)
    words = [_word(_WORD), _word(len(instruments))]
    for instrument in instruments:
        outcome = instrument.outcome
        tick, volume = (0, 0) if outcome is None else (outcome.tick, outcome.volume)
        words += [instrument.identifier, _word(outcome is not None), _word(tick), _word(volume)]
    return keccak(b"".join(words))


def fills_root(record: Record) -> bytes:
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


def _account(record: Record, instrument: int, intent: int) -> bytes:
    index = record.summary.instruments[instrument].intents[intent]
    return record.intents[index].sealed.account
