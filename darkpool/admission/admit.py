"""The venue's side: every check that a submission passes before it takes part in an auction."""

from collections.abc import Iterable, Sequence
from typing import Protocol

from crypto.ciphertext import Ciphertext, from_wire
from crypto.commitment import SealedIntent, verify_signature
from crypto.envelope import ENVELOPE_BYTES_MAX
from crypto.errors import (
    CryptoError,
    InvalidMessageField,
    InvalidSignature,
    MalformedCiphertext,
)
from crypto.opening import ReencryptedOpening, verify_opening
from crypto.replicated import Committee
from crypto.revealing import Numbered, ask
from darkpool.admission.intent import AdmittedIntent, AuctionTerms, SealedSubmission
from darkpool.admission.register import AdmissionRegister
from darkpool.clock import Clock
from darkpool.errors import (
    CapBelowMinimum,
    CapRefused,
    DeadlinePassed,
    KnowledgeNotProven,
    MalformedSubmission,
    WrongAuction,
    WrongCiphertext,
    WrongKeyEpoch,
    WrongSignature,
)
from darkpool.limits import CAP_BUCKETS_LOTS, INTENTS_PER_AUCTION_MAX


class OpeningKeyper(Numbered, Protocol):
    """What admission asks of a keyper."""

    def check_opening(
        self, sealed: SealedIntent, ciphertext: Ciphertext, envelope: bytes
    ) -> ReencryptedOpening:
        """Open the envelope and re-encrypt its shares; raise CryptoError to refuse."""


class AdmissionCheck(Protocol):
    """A further check of a submission whose sender has proven to know what is in it."""

    def __call__(self, sealed: SealedIntent, ciphertext: Ciphertext) -> None:
        """Raise AdmissionRefused to refuse."""


def prove_knowledge(
    committee: Committee,
    keypers: Sequence[OpeningKeyper],
    submission: SealedSubmission,
    ciphertext: Ciphertext,
) -> tuple[int, ...]:
    """Keypers that accept the proof of knowledge, ascending; at least a quorum of them.

    Raises:
        KnowledgeNotProven: fewer; tells why the others refused.
    """
    computed, refusals = ask(
        keypers,
        lambda keyper: keyper.check_opening(
            submission.sealed, ciphertext, submission.envelopes[keyper.number]
        ),
    )
    announcements = [own.announcement for own in computed.values()]
    accepted = []
    for i, own in computed.items():
        try:
            verify_opening(committee, own, announcements)
        except CryptoError as error:
            refusals[i] = error
        else:
            accepted.append(i)
    if len(accepted) < committee.quorum:
        reasons = "; ".join(f"keyper {i}: {refusals[i]}" for i in sorted(refusals))
        raise KnowledgeNotProven(
            "proof of knowledge",
            f"at least {committee.quorum} of {committee.size} keypers to accept",
            f"{len(accepted)}{f' ({reasons})' if reasons else ''}",
        )
    return tuple(sorted(accepted))


class Admission:
    """Admits submissions to the auctions of one interval.

    `checks` run, in order, after the proof of knowledge: nothing is evaluated on a ciphertext whose
    sender has not shown to know what is in it. A refused submission leaves no trace, so its sender
    may mend it and send it again.
    """

    def __init__(
        self,
        terms: AuctionTerms,
        clock: Clock,
        keypers: Sequence[OpeningKeyper],
        register: AdmissionRegister,
        checks: Sequence[AdmissionCheck] = (),
    ) -> None:
        self._terms = terms
        self._clock = clock
        self._keypers = tuple(keypers)
        self._register = register
        self._checks = tuple(checks)

    def admit(self, submission: SealedSubmission) -> AdmittedIntent:
        """Check a submission and admit it.

        Raises:
            AdmissionRefused: the first reason found, cheap ones first.
        """
        sealed, terms = submission.sealed, self._terms
        digest = verify_sealed_intent(submission, terms)
        if self._clock.unix_ms() > 1000 * sealed.deadline:
            now = f"{self._clock.unix_ms() // 1000} now"
            raise DeadlinePassed("deadline in Unix seconds", now, str(sealed.deadline))
        parameters = terms.material.parameters
        intents_max = min(INTENTS_PER_AUCTION_MAX, parameters.intents_max)
        owner = terms.owner_of(sealed.account)
        self._register.require_new(sealed, owner, intents_max)
        ciphertext = parse_ciphertext(submission, terms)
        accepted = prove_knowledge(terms.material.committee, self._keypers, submission, ciphertext)
        for check in self._checks:
            check(sealed, ciphertext)
        self._register.record(sealed, owner, intents_max)
        return AdmittedIntent(sealed, submission.signature, digest, ciphertext, accepted)

    def note_rejections(self, rejected: Iterable[SealedIntent]) -> None:
        """Remember intents that were found to be at fault; see `AdmissionRegister`."""
        self._register.note_rejections(rejected)


def verify_sealed_intent(submission: SealedSubmission, terms: AuctionTerms) -> bytes:
    """EIP-712 digest of a signed intent that fits the terms; keypers check the same.

    Raises:
        MalformedSubmission, WrongSignature, WrongAuction, WrongKeyEpoch: see there.
        CapRefused, CapBelowMinimum: see there.
    """
    sealed = submission.sealed
    try:
        digest = sealed.digest(terms.domain)
    except InvalidMessageField as error:
        raise MalformedSubmission(error.field, error.expected, ascii(error.got)) from error
    if sealed.interval != terms.interval:
        raise WrongAuction("interval", str(terms.interval), str(sealed.interval))
    if sealed.instrument not in terms.grids:
        raise WrongAuction("instrument", "one that is traded", sealed.instrument.hex())
    epoch = terms.material.committee.epoch
    if sealed.key_epoch != epoch:
        raise WrongKeyEpoch("key epoch", str(epoch), str(sealed.key_epoch))
    if sealed.cap not in CAP_BUCKETS_LOTS:
        raise CapRefused("cap", "one of the buckets", f"{sealed.cap} lots")
    if sealed.cap < terms.cap_min:
        raise CapBelowMinimum("cap", f"at least {terms.cap_min} lots", f"{sealed.cap} lots")
    try:
        verify_signature(digest, submission.signature, sealed.account)
    except InvalidSignature as error:
        what = f"signature, {error.what}"
        raise WrongSignature(what, str(error.expected), str(error.got)) from error
    return digest


def parse_ciphertext(submission: SealedSubmission, terms: AuctionTerms) -> Ciphertext:
    """The fresh ciphertext of a submission, exactly the one that its intent names.

    Raises:
        MalformedSubmission: bytes that are no ciphertext, or envelopes of wrong number or size.
        WrongCiphertext: its digest is another.
    """
    envelopes, keypers = submission.envelopes, terms.material.committee.size
    if len(envelopes) != keypers:
        raise MalformedSubmission("envelopes", f"{keypers}, one a keyper", str(len(envelopes)))
    longest = max(map(len, envelopes))
    if longest > ENVELOPE_BYTES_MAX:
        expected = f"at most {ENVELOPE_BYTES_MAX} bytes"
        raise MalformedSubmission("envelope", expected, str(longest))
    ring = terms.material.parameters.order
    try:
        ciphertext = from_wire(submission.ciphertext, ring, len(ring.data_primes))
    except MalformedCiphertext as error:
        raise MalformedSubmission(
            f"ciphertext, {error.what}", str(error.expected), str(error.got)
        ) from error
    digest = ciphertext.digest()
    if digest != submission.sealed.ciphertext_digest:
        expected = submission.sealed.ciphertext_digest.hex()
        raise WrongCiphertext("digest of the ciphertext", expected, digest.hex())
    return ciphertext
