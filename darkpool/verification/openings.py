"""Every opening by itself: the shares add up to the values, and nothing stands where zero must."""

from __future__ import annotations

import hashlib

import numpy as np

from crypto.bfv.lanes import Lanes
from crypto.ring import slots
from crypto.signing.ecdsa import verify_signature
from crypto.threshold.attestation import (
    OpeningEntry,
    OpeningTranscript,
    StatedRules,
    StatedTerms,
    share_purpose,
)
from crypto.threshold.decryption import budget_bits_min, combine_shares
from crypto.threshold.replicated import share_digest
from darkpool.record.reader import OpenedRecord, Record
from darkpool.verification.report import Findings


def check_openings(record: Record, findings: Findings) -> list[Lanes | None]:
    """Decode every opening from its shares; returns the values, shape (degree,) each.

    Where an opening cannot be decoded, its stated values are returned, or None if there are none.
    """
    decoded: list[Lanes | None] = []
    for index in range(len(record.openings)):
        values: Lanes | None = None
        with findings.watch(f"opening {index}"):
            values = _check_opening(record, f"opening {index}", record.opening(index), findings)
        decoded.append(values)
    return decoded


def _check_opening(record: Record, part: str, opened: OpenedRecord, findings: Findings) -> Lanes:
    entry, ciphertext = opened.entry, opened.ciphertext
    values = opened.values
    with findings.watch(f"{part}, shares"):
        decoded = combine_shares(ciphertext, opened.shares, record.committee.size)
        values = slots.decode(ciphertext.ring, decoded.coefficients)
        findings.equal(f"{part}, budget after", decoded.budget_bits, entry.budget_after_bits)
    different = np.flatnonzero(values != opened.values)
    if different.size:
        slot = int(different[0])
        findings.add(f"{part}, value of slot {slot}", values[slot], opened.values[slot])
    outside = np.flatnonzero((values != 0) & ~opened.support)
    if outside.size:
        findings.add(f"{part}, slot {int(outside[0])}", "zero", values[outside[0]])
    with findings.watch(f"{part}, budget before"):
        least = budget_bits_min(ciphertext.ring, ciphertext.level)
        findings.equal(f"{part}, budget before", least, entry.budget_before_bits)
    if len(entry.liars) > 1 or max(entry.liars, default=0) >= record.committee.size:
        findings.add(f"{part}, liars", "at most one keyper", entry.liars)
    return values


def check_transcripts(record: Record, terms_digest: bytes, findings: Findings) -> None:
    """A quorum of keypers signed exactly these openings, in this order, and beacon and terms."""
    summary = record.summary
    transcript = OpeningTranscript(
        summary.venue.domain(),
        summary.context,
        terms_digest,
        [_entry(record, index) for index in range(len(record.openings))],
        dict(enumerate(summary.beacon_shares)),
    )
    for keyper, signature in summary.transcripts.items():
        with findings.watch(f"transcript, signature of keyper {keyper}"):
            address = summary.committee.addresses[keyper]
            verify_signature(transcript.digest(keyper), signature, address)
    if len(summary.transcripts) < record.committee.quorum:
        expected = f"at least {record.committee.quorum}"
        findings.add("transcript, signatures", expected, len(summary.transcripts))


def _entry(record: Record, index: int) -> OpeningEntry:
    opened = record.opening(index)
    entry = opened.entry
    purpose = share_purpose(entry.context, entry.sequence, entry.purpose)
    octets = [np.ascontiguousarray(share).astype("<u8", copy=False) for share in opened.shares]
    return OpeningEntry(
        entry.purpose,
        opened.ciphertext.digest(),
        entry.mask_number,
        entry.mask_part,
        {j: share_digest(j, purpose, data.tobytes()) for j, data in enumerate(octets)},
    )


def terms_digest(record: Record) -> bytes:
    """32 bytes over the terms that a record states.

    Raises:
        MalformedRecord: files that are no keys.
    """
    summary = record.summary
    references = sorted(summary.references, key=lambda reference: reference.instrument)
    rules = StatedRules(
        {entry.account: entry.owner for entry in summary.participation.owners},
        summary.participation.owners_min,
        summary.participation.cap_min,
        summary.bond.amount,
        summary.bond.charge_ppm,
        summary.bond.treasury,
    )
    stated = StatedTerms(
        record.material().digest(),
        summary.venue.vault,
        summary.reporter,
        [reference.message().digest(summary.venue.domain()) for reference in references],
        summary.pricing,
        record.margin_digest,
        rules,
    )
    return stated.digest()


def check_beacon(record: Record, findings: Findings) -> None:
    """The beacon is the SHA-256 of what the virtual parties sent.

    That they sent it is what the keypers' signatures under the transcript say.
    """
    shares = record.summary.beacon_shares
    expected = hashlib.sha256(b"".join(shares)).digest()
    findings.equal("beacon", expected, record.summary.beacon)
    if len(set(shares)) != len(shares):
        findings.add("beacon, shares", "each once", shares)
