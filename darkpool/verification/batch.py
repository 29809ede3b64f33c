"""The batch: who sealed what, under which cap, and that the keypers fixed exactly this list."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence

from crypto.signing.ecdsa import verify_signature
from crypto.signing.merkle import merkle_root
from crypto.signing.messages import AdmissionCertificate, Cancellation, instrument_id
from crypto.signing.settling import BatchRoot
from crypto.threshold.attestation import mask_attestation_digest, opening_context, plan_digest
from darkpool.record.core import RecordView
from darkpool.record.reader import Record
from darkpool.units import Lots, cap_bucket
from darkpool.verification.report import Findings


def check_intents(record: RecordView, findings: Findings) -> None:
    """Signatures, one intent for each account and instrument, nonces, and caps."""
    summary, domain = record.summary, record.summary.venue.domain()
    known = {instrument.identifier for instrument in summary.instruments}
    seen: dict[tuple[str, object], int] = {}
    for index, intent in enumerate(record.intents):
        part, sealed = f"intent {index}", intent.sealed
        with findings.watch(f"{part}, signature"):
            verify_signature(sealed.digest(domain), intent.signature, sealed.account)
        findings.equal(f"{part}, interval", summary.interval, sealed.interval)
        findings.equal(f"{part}, key epoch", summary.committee.epoch, sealed.key_epoch)
        if sealed.instrument not in known:
            findings.add(f"{part}, instrument", "one of the record", sealed.instrument)
        for what, key in (
            ("account", (sealed.account, sealed.instrument)),
            ("nonce", (sealed.account, sealed.nonce)),
            ("ciphertext digest", sealed.ciphertext_digest),
        ):
            first = seen.setdefault((what, key), index)
            if first != index:
                findings.add(f"{part}, {what}", "new in the batch", f"that of intent {first}")
        with findings.watch(f"{part}, cap"):
            findings.equal(f"{part}, cap", cap_bucket(Lots(sealed.cap)), sealed.cap)


def check_certificates(record: RecordView, terms: bytes, findings: Findings) -> None:
    """Every intent was certified by a quorum for the terms, before the close; none taken back."""
    summary, domain = record.summary, record.summary.venue.domain()
    batch: set[Cancellation] = set()
    for index, intent in enumerate(record.intents):
        message = AdmissionCertificate.of(intent.sealed, domain, summary.closes_ms, terms)
        findings.equal(f"intent {index}, terms", terms, intent.sealed.terms)
        part = f"intent {index}, certificate"
        check_quorum(record, part, message.digest(domain), intent.certificate, findings)
        batch.add(Cancellation.of(intent.sealed, domain))
    for index, cancelled in enumerate(record.cancellations):
        part, taken_back = f"cancellation {index}", cancelled.cancellation
        with findings.watch(f"{part}, signature"):
            verify_signature(taken_back.digest(domain), cancelled.signature, taken_back.account)
        findings.equal(f"{part}, interval", summary.interval, taken_back.interval)
        if taken_back in batch:
            findings.add(part, "an intent that is not in the batch", taken_back.intent)


def check_instruments(record: RecordView, findings: Findings) -> None:
    """Names, identifiers, the batch indices of their intents, and the sum of caps.

    The terms that the keypers signed name every instrument, so one without intents is listed too.
    """
    ring = record.parameters.order_ring
    identifiers = Counter(i.identifier for i in record.summary.instruments)
    by_instrument: dict[bytes, list[int]] = defaultdict(list)
    for index, intent in enumerate(record.intents):
        by_instrument[intent.sealed.instrument].append(index)
    for instrument in record.summary.instruments:
        part = f"instrument {instrument.name}"
        findings.equal(f"{part}, identifier", instrument_id(instrument.name), instrument.identifier)
        findings.equal(f"{part}, identifier", 1, identifiers[instrument.identifier])
        members = tuple(by_instrument[instrument.identifier])
        findings.equal(f"{part}, intents", members, instrument.intents)
        if len(members) > record.parameters.intents_max:
            expected = f"at most {record.parameters.intents_max}"
            findings.add(f"{part}, number of intents", expected, len(members))
        caps = sum(record.intents[index].sealed.cap for index in members)
        if 4 * caps >= ring.plain_modulus:
            findings.add(f"{part}, sum of caps", f"below {ring.plain_modulus} / 4", caps)


def check_ciphertexts(record: Record, findings: Findings) -> None:
    """Digests of all ciphertexts; reads one at a time."""
    for index, intent in enumerate(record.intents):
        part = f"ciphertext {index}"
        with findings.watch(part):
            digest = record.ciphertext(index).digest()
            findings.equal(part, intent.sealed.ciphertext_digest, digest)


def check_committee(record: RecordView, findings: Findings) -> None:
    """The quorum, and that no keyper sits in the committee twice."""
    stated = record.summary.committee
    findings.equal("committee, quorum", record.committee.quorum, stated.quorum)
    if len(set(stated.addresses)) != stated.size:
        findings.add("committee, addresses", "each once", stated.addresses)


def batch_message(record: RecordView, terms: bytes) -> BatchRoot:
    """What keypers signed of the batch, under terms of this digest."""
    batch = record.summary.batch
    plan = plan_digest([(mask.number, mask.lanes, mask.digest) for mask in batch.masks])
    return BatchRoot(
        record.summary.interval,
        batch.root,
        batch.count,
        batch.previous_settlement,
        terms,
        plan,
        batch.commit_by,
    )


def check_batch_root(record: RecordView, terms: bytes, findings: Findings) -> None:
    """The root over all sealed intents in batch order, the openings' context, planned masks."""
    summary = record.summary
    domain, batch = summary.venue.domain(), summary.batch
    root = merkle_root([intent.sealed.digest(domain) for intent in record.intents])
    findings.equal("batch, root", root, batch.root)
    findings.equal("batch, count", len(record.intents), batch.count)
    for number, count in Counter(mask.number for mask in batch.masks).items():
        findings.equal(f"batch, mask {number}, times planned", 1, count)
    digest = batch_message(record, terms).digest(domain)
    findings.equal("context", opening_context(digest, batch.block), summary.context)


def check_batch_signatures(record: RecordView, terms: bytes, findings: Findings) -> None:
    """A quorum of keypers signed the batch."""
    digest = batch_message(record, terms).digest(record.summary.venue.domain())
    signatures = record.evidence.commitment.signatures
    check_quorum(record, "batch, signature", digest, signatures, findings)


def check_masks(record: Record, findings: Findings) -> None:
    """Every mask is one that a quorum of keypers saw made, and the one planned of its number."""
    domain = record.summary.venue.domain()
    for number, count in Counter(mask.number for mask in record.masks).items():
        findings.equal(f"mask {number}, times listed", 1, count)
    planned = {mask.number: mask.digest for mask in record.summary.batch.masks}
    for mask in {mask.number: mask for mask in reversed(record.masks)}.values():
        part = f"mask {mask.number}"
        with findings.watch(part):
            digest = record.mask(mask.number).digest()
            findings.equal(f"{part}, planned digest", planned.get(mask.number, digest), digest)
            attested = mask_attestation_digest(domain, digest)
            check_quorum(record, f"{part}, attestation", attested, mask.attestations, findings)


def check_quorum(
    record: RecordView,
    part: str,
    digest: bytes,
    signatures: Mapping[int, bytes],
    findings: Findings,
) -> None:
    """Valid signatures, each of the keyper that it stands under, from a quorum."""
    addresses: Sequence[bytes] = record.summary.committee.addresses
    for keyper, signature in signatures.items():
        with findings.watch(f"{part} of keyper {keyper}"):
            verify_signature(digest, signature, addresses[keyper])
    if len(signatures) < record.committee.quorum:
        expected = f"at least {record.committee.quorum}"
        findings.add(f"{part}s", expected, len(signatures))
