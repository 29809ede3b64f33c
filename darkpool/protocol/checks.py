"""Checks of what a client sends; venue and keypers make the same ones."""

from __future__ import annotations

from crypto.bfv.ciphertext import Ciphertext, from_wire
from crypto.errors import InvalidMessageField, InvalidSignature, MalformedCiphertext
from crypto.signing.ecdsa import verify_signature
from crypto.signing.messages import SealedIntent
from crypto.threshold.envelope import ENVELOPE_BYTES_MAX
from darkpool.clock import Clock
from darkpool.errors import NoBucket, WrongType
from darkpool.protocol.intents import SealedSubmission, SignedCancellation
from darkpool.protocol.refusals import (
    AuctionClosed,
    CapBelowMinimum,
    CapRefused,
    DeadlinePassed,
    MalformedSubmission,
    WrongAuction,
    WrongCiphertext,
    WrongKeyEpoch,
    WrongSignature,
)
from darkpool.protocol.terms import IntervalTerms
from darkpool.units import Lots, require_bucket, require_kind


def require_before_close(closes_ms: int, clock: Clock) -> None:
    """Check that an interval is open.

    Raises:
        AuctionClosed: it has closed by this clock.
    """
    now_ms = clock.unix_ms()
    if now_ms >= closes_ms:
        raise AuctionClosed("time in Unix ms", f"before the close at {closes_ms}", str(now_ms))


def require_deadline(sealed: SealedIntent, clock: Clock) -> None:
    """Check that an intent may still be admitted.

    Raises:
        DeadlinePassed: its deadline is over.
    """
    now_ms = clock.unix_ms()
    if now_ms > 1000 * sealed.deadline:
        least = f"at least {-(-now_ms // 1000)}"
        raise DeadlinePassed("deadline in Unix seconds", least, str(sealed.deadline))


def verify_cancellation(cancelled: SignedCancellation, terms: IntervalTerms) -> None:
    """Check a cancellation; keypers check the same.

    Raises:
        MalformedSubmission: a field that does not fit its type.
        WrongAuction: another interval, or an instrument that is not traded.
        WrongSignature: the account did not sign it.
    """
    cancellation = cancelled.cancellation
    try:
        cancellation.digest(terms.domain)
    except InvalidMessageField as error:
        raise MalformedSubmission(error.subject, error.expected, ascii(error.got)) from error
    if cancellation.interval != terms.interval:
        raise WrongAuction("interval", str(terms.interval), str(cancellation.interval))
    if cancellation.instrument not in terms.grids:
        raise WrongAuction("instrument", "one that is traded", cancellation.instrument)
    try:
        cancelled.verify(terms.domain)
    except InvalidSignature as error:
        subject = f"signature of the cancellation, {error.subject}"
        raise WrongSignature(subject, error.expected, error.got) from error


def verify_sealed_intent(sealed: SealedIntent, signature: bytes, terms: IntervalTerms) -> bytes:
    """EIP-712 digest of a signed intent that fits the terms; keypers check the same.

    Raises:
        MalformedSubmission, WrongSignature, WrongAuction, WrongKeyEpoch: see there.
        CapRefused, CapBelowMinimum: see there.
    """
    try:
        digest = sealed.digest(terms.domain)
    except InvalidMessageField as error:
        raise MalformedSubmission(error.subject, error.expected, ascii(error.got)) from error
    if sealed.interval != terms.interval:
        raise WrongAuction("interval", str(terms.interval), str(sealed.interval))
    if sealed.instrument not in terms.grids:
        raise WrongAuction("instrument", "one that is traded", sealed.instrument.hex())
    epoch = terms.material.committee.epoch
    if sealed.key_epoch != epoch:
        raise WrongKeyEpoch("key epoch", str(epoch), str(sealed.key_epoch))
    try:
        require_bucket("cap", Lots(sealed.cap))
    except NoBucket as error:
        raise CapRefused(error.subject, error.expected, error.got) from error
    if sealed.cap < terms.rules.cap_min:
        raise CapBelowMinimum("cap", f"at least {terms.rules.cap_min} lots", f"{sealed.cap} lots")
    try:
        verify_signature(digest, signature, sealed.account)
    except InvalidSignature as error:
        subject = f"signature, {error.subject}"
        raise WrongSignature(subject, error.expected, error.got) from error
    return digest


def parse_ciphertext(submission: SealedSubmission, terms: IntervalTerms) -> Ciphertext:
    """The fresh ciphertext of a submission, exactly the one that its intent names.

    Raises:
        MalformedSubmission: bytes that are no ciphertext, or envelopes of wrong number or size.
        WrongCiphertext: its digest is another.
    """
    keypers = terms.material.committee.size
    try:
        envelopes = require_kind("envelopes", tuple, submission.envelopes)
        for part in (submission.ciphertext, *envelopes):
            require_kind("ciphertext or envelope", bytes, part)
    except WrongType as error:
        raise MalformedSubmission(error.subject, error.expected, error.got) from error
    if len(envelopes) != keypers:
        raise MalformedSubmission("envelopes", f"{keypers}, one a keyper", str(len(envelopes)))
    longest = max(map(len, envelopes))
    if longest > ENVELOPE_BYTES_MAX:
        expected = f"at most {ENVELOPE_BYTES_MAX} bytes"
        raise MalformedSubmission("envelope", expected, str(longest))
    ring = terms.material.parameters.order_ring
    try:
        ciphertext = from_wire(submission.ciphertext, ring, len(ring.data_primes))
    except MalformedCiphertext as error:
        subject = f"ciphertext, {error.subject}"
        raise MalformedSubmission(subject, error.expected, error.got) from error
    digest = ciphertext.digest()
    if digest != submission.sealed.ciphertext_digest:
        expected = submission.sealed.ciphertext_digest.hex()
        raise WrongCiphertext("digest of the ciphertext", expected, digest.hex())
    return ciphertext
