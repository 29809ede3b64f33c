"""Every opening by itself: the shares add up to the values, and nothing stands where zero must."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

import numpy as np

from crypto.bfv.lanes import Lanes
from crypto.ring import slots
from crypto.signing.ecdsa import verify_signature
from crypto.threshold.attestation import OpeningEntry, OpeningTranscript, StatedRules, StatedTerms
from crypto.threshold.decryption import budget_bits_min, combine_shares
from darkpool.record.core import RecordView
from darkpool.record.opened import OpenedRecord
from darkpool.verification.report import Findings


def check_openings(record: RecordView, findings: Findings) -> list[Lanes | None]:
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


def _check_opening(
    record: RecordView, part: str, opened: OpenedRecord, findings: Findings
) -> Lanes:
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


def check_transcripts(
    record: RecordView, terms: bytes, written: Sequence[OpeningEntry], findings: Findings
) -> None:
    """A quorum of keypers signed exactly these openings, in this order, and beacon and terms."""
    summary, signatures = record.summary, record.evidence.transcripts
    transcript = OpeningTranscript(
        summary.venue.domain(),
        summary.context,
        terms,
        written,
        dict(enumerate(summary.beacon_shares)),
    )
    for keyper, signature in signatures.items():
        with findings.watch(f"transcript, signature of keyper {keyper}"):
            address = summary.committee.addresses[keyper]
            verify_signature(transcript.digest(keyper), signature, address)
    if len(signatures) < record.committee.quorum:
        expected = f"at least {record.committee.quorum}"
        findings.add("transcript, signatures", expected, len(signatures))


def terms_digest(record: RecordView, material: bytes | None = None) -> bytes:
    """32 bytes over the terms that a record states; `material` is the digest of the keys, if known.

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
        record.material().digest() if material is None else material,
        summary.venue.vault,
        summary.reporter,
        [reference.message().digest(summary.venue.domain()) for reference in references],
        summary.pricing,
        record.margin_digest,
        rules,
    )
    return stated.digest()


def check_beacon(record: RecordView, findings: Findings) -> None:
    """The beacon is the SHA-256 of what the virtual parties sent.

    That they sent it is what the keypers' signatures under the transcript say.
    """
    shares = record.summary.beacon_shares
    expected = hashlib.sha256(b"".join(shares)).digest()
    findings.equal("beacon", expected, record.summary.beacon)
    if len(set(shares)) != len(shares):
        findings.add("beacon, shares", "each once", shares)
