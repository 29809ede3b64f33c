"""Checks of what a client sends; venue and keypers make the same ones."""

from __future__ import annotations

from dataclasses import fields
from typing import Final, get_origin, get_type_hints

from crypto.bfv.ciphertext import Ciphertext, from_wire
from crypto.errors import InvalidMessageField, InvalidSignature, MalformedCiphertext
from crypto.signing.ecdsa import verify_signature
from crypto.signing.messages import Cancellation, SealedIntent
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
    SealedForOtherTerms,
    WrongAuction,
    WrongCiphertext,
    WrongKeyEpoch,
    WrongSignature,
)
from darkpool.protocol.terms import IntervalTerms
from darkpool.units import Lots, require_bucket, require_kind

_FORMS: Final = (SealedSubmission, SealedIntent, SignedCancellation, Cancellation)
_DECLARED: Final = {
    form: {one.name: get_type_hints(form)[one.name] for one in fields(form)} for form in _FORMS
}


def require_submission(submission: object) -> SealedSubmission:
    """A submission whose values are of the types that they are declared with, exactly.

    A number is no truth value then, and bytes are none that can change afterwards. The fields of
    the sealed intent are left to `verify_sealed_intent`.

    Raises:
        MalformedSubmission: it is of another form; names the field.
    """
    if type(submission) is not SealedSubmission:
        raise _malformed("form", "a sealed submission", submission)
    _require_fields(submission)
    for number, envelope in enumerate(submission.envelopes):
        if type(envelope) is not bytes:
            raise _malformed(f"envelope {number}", "bytes", envelope)
    return submission


def _require_intent(sealed: object, signature: object) -> None:
    if type(sealed) is not SealedIntent:
        raise _malformed("sealed", "a sealed intent", sealed)
    _require_fields(sealed)
    if type(signature) is not bytes:
        raise _malformed("signature", "bytes", signature)


def _require_cancellation(cancelled: object) -> None:
    if type(cancelled) is not SignedCancellation:
        raise _malformed("form", "a signed cancellation", cancelled)
    _require_fields(cancelled)
    _require_fields(cancelled.cancellation)


def _require_fields(
    form: SealedSubmission | SealedIntent | SignedCancellation | Cancellation,
) -> None:
    """Check the type of every field; of a tuple, not yet of what is in it."""
    for name, declared in _DECLARED[type(form)].items():
        kind, got = get_origin(declared) or declared, getattr(form, name)
        if type(got) is not kind:
            raise _malformed(name.replace("_", " "), f"a value of type {kind.__name__}", got)


def _malformed(part: str, expected: str, got: object) -> MalformedSubmission:
    return MalformedSubmission(part, expected, f"a value of type {type(got).__name__}")


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
    _require_cancellation(cancelled)
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
        SealedForOtherTerms: see there.
        CapRefused, CapBelowMinimum: see there.
    """
    _require_intent(sealed, signature)
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
    if sealed.terms != terms.digest:
        raise SealedForOtherTerms("terms", terms.digest.hex(), sealed.terms.hex())
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
