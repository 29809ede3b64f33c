"""The known attacks on sealed vectors, through the door that everybody has: all are refused."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from math import prod
from typing import Any, cast

import numpy as np
import pytest

from crypto.bfv.ciphertext import Ciphertext, to_wire
from crypto.bfv.seal import Evaluator
from crypto.ring.params import TEST_INSECURE_SMALL
from crypto.ring.slots import column_element, rotation_element
from crypto.signing.ecdsa import sign
from crypto.signing.eip712 import Domain
from crypto.threshold.certificate import SignedAnnouncement
from crypto.threshold.knowledge import (
    EncryptedShare,
    KnowledgeContext,
    ReencryptedProof,
    VectorSealing,
    seal_proofs,
)
from crypto.threshold.proof import KeyperProof
from darkpool.keyper.keyper import LocalKeyper
from darkpool.keyper.share_work import ShareWork
from darkpool.protocol.intents import SealedSubmission
from darkpool.protocol.keyper import CertificateRequest, CheckedProof, ProofRequest
from darkpool.protocol.refusals import KnowledgeNotProven
from darkpool.protocol.terms import IntervalTerms
from tests.support.admission_venue import AdmissionVenue
from tests.support.submissions import key, mallory, parsed, refused, submit

RING = TEST_INSECURE_SMALL.order_ring


def key_recovery() -> Ciphertext:
    """(0, floor(q / t)), which decrypts to the secret key."""
    scale = prod(RING.data_primes) // RING.plain_modulus
    words = np.zeros((2, len(RING.data_primes), RING.degree), dtype=np.uint64)
    words[1, :, 0] = [scale % prime for prime in RING.data_primes]
    return Ciphertext(RING, words)


def moved(venue: AdmissionVenue, victim: Ciphertext, element: int) -> Ciphertext:
    evaluator = Evaluator(venue.terms.material.order_keys.evaluation_keys())
    return evaluator.store(evaluator.apply_galois(evaluator.load(victim), element))


CRAFTED: dict[str, Callable[[AdmissionVenue, Ciphertext, Ciphertext], Ciphertext]] = {
    "copied": lambda _venue, victim, _own: victim,
    "re-randomised": lambda _venue, victim, own: victim.add(own),
    "less its own": lambda _venue, victim, own: victim.subtract(own),
    "doubled": lambda _venue, victim, _own: victim.add(victim),
    "rotated": lambda venue, victim, _own: moved(venue, victim, rotation_element(RING.degree, 1)),
    "rows swapped": lambda venue, victim, _own: moved(venue, victim, column_element(RING.degree)),
    "key recovery": lambda _venue, _victim, _own: key_recovery(),
    "key recovery, re-randomised": lambda _venue, _victim, own: key_recovery().add(own),
}


@pytest.mark.parametrize("size", [3, 4])
@pytest.mark.parametrize("name", CRAFTED)
def test_a_crafted_ciphertext_is_refused(
    venue_of: Callable[[int], AdmissionVenue], size: int, name: str
) -> None:
    venue = venue_of(size)
    victim, own = parsed(venue, submit(venue)), parsed(venue, submit(venue, 2))
    crafted = CRAFTED[name](venue, victim, own)
    refused(venue.admission(), mallory(venue, crafted), KnowledgeNotProven)


def sealed_twice(venue: AdmissionVenue) -> tuple[SealedSubmission, list[tuple[KeyperProof, ...]]]:
    """An intent of Mallory's, and openings of its own vector and of three others."""
    material, domain = venue.terms.material, venue.terms.domain
    base = submit(venue, 2).sealed
    context = KnowledgeContext.of(base, domain)
    vectors = [
        VectorSealing.of(material, context).seal(
            np.full(RING.degree, k, dtype=np.int64), bytes([k]) * 32
        )
        for k in range(material.committee.size)
    ]
    sealed = replace(base, ciphertext_digest=vectors[0].ciphertext.digest())
    signature = sign(sealed.digest(domain), key(2))
    wire = to_wire(vectors[0].ciphertext)
    envelopes = seal_proofs(material, vectors[0], sealed, domain)
    submission = SealedSubmission(sealed, signature, wire, envelopes)
    return submission, [vector.proofs for vector in vectors]


def with_openings(
    venue: AdmissionVenue, submission: SealedSubmission, openings: list[KeyperProof]
) -> SealedSubmission:
    material, domain = venue.terms.material, venue.terms.domain
    vector = VectorSealing.of(material, KnowledgeContext.of(submission.sealed, domain)).seal(
        np.zeros(RING.degree, dtype=np.int64), bytes(32)
    )
    told = replace(vector, proofs=tuple(openings))
    return replace(submission, envelopes=seal_proofs(material, told, submission.sealed, domain))


@pytest.mark.parametrize("size", [3, 4])
def test_openings_that_differ_from_keyper_to_keyper_are_refused(
    venue_of: Callable[[int], AdmissionVenue], size: int
) -> None:
    venue = venue_of(size)
    submission, openings = sealed_twice(venue)
    venue.admission().admit(submission)
    each_its_own = [openings[keyper][keyper] for keyper in range(size)]
    two_stories = [openings[keyper % 2][keyper] for keyper in range(size)]
    for told in (each_its_own, two_stories):
        wrong = with_openings(venue, submission, told)
        refused(venue.admission(), wrong, KnowledgeNotProven)


def test_openings_for_another_auction_account_or_nonce_are_refused(venue: AdmissionVenue) -> None:
    mine = submit(venue, 2)
    for theirs in (submit(venue), submit(venue, 2, nonce=77)):
        refused(venue.admission(), replace(mine, envelopes=theirs.envelopes), KnowledgeNotProven)


class WithoutProof(LocalKeyper):
    """Announces as it should, and gives nothing of the proof that it encrypted again."""

    def check_proof(self, request: ProofRequest) -> CheckedProof:
        return replace(super().check_proof(request), reencrypted=cast("ReencryptedProof", None))


class WithoutDigest(LocalKeyper):
    """As `WithoutProof`, of the missing share's digest."""

    def check_proof(self, request: ProofRequest) -> CheckedProof:
        checked = super().check_proof(request)
        nothing = replace(checked.reencrypted, residual=cast("bytes", None))
        return replace(checked, reencrypted=nothing)


class OfAnother(LocalKeyper):
    """As `WithoutProof`, with an announcement of no keyper behind the one that it signed."""

    def check_proof(self, request: ProofRequest) -> CheckedProof:
        checked = super().check_proof(request)
        nobody = replace(checked.reencrypted.announcement, keyper=cast("int", []))
        return replace(checked, reencrypted=replace(checked.reencrypted, announcement=nobody))


def announcing(change: Callable[[dict[int, bytes]], Any]) -> type[LocalKeyper]:
    """Announces other digests than its own, under a signature that is right for them."""

    class Announcing(LocalKeyper):
        def check_proof(self, request: ProofRequest) -> CheckedProof:
            reencrypted = super().check_proof(request).reencrypted
            digests = change(dict(reencrypted.announcement.digests))
            announced = replace(reencrypted.announcement, digests=digests)
            intent, key = request.sealed.digest(self._domain), self._identity.signing_key
            signed = SignedAnnouncement.by(announced, intent, self._domain, key)
            return CheckedProof(replace(reencrypted, announcement=announced), signed)

    return Announcing


class Refusing(dict[int, bytes]):
    """Digests that end what reads them once they have been signed."""

    reads = 0

    def __getitem__(self, share: int) -> bytes:
        self.reads += 1
        if self.reads > 3:
            raise RuntimeError("no more")
        return super().__getitem__(share)


class Unchecked(SignedAnnouncement):
    """An announcement that finds its signature right, whatever it is."""

    def verify(self, intent: bytes, domain: Domain, addresses: Sequence[bytes]) -> None: ...


class Unsigned(LocalKeyper):
    def check_proof(self, request: ProofRequest) -> CheckedProof:
        checked = super().check_proof(request)
        return replace(checked, announced=Unchecked(checked.announced.announcement, bytes(65)))


class Spoiling(LocalKeyper):
    """Changes the shares that the keypers of its process encrypt once between them."""

    def check_proof(self, request: ProofRequest) -> CheckedProof:
        honest = self._work

        class Spoilt:
            @staticmethod
            def encrypted_share(*arguments: Any) -> EncryptedShare:
                share = honest.encrypted_share(*arguments)
                try:
                    share.ciphertext.words.setflags(write=True)
                    share.ciphertext.words[...] = 1
                except ValueError:
                    object.__setattr__(share, "digest", bytes(32))
                return share

        self._work = cast("ShareWork", Spoilt)
        try:
            return super().check_proof(request)
        finally:
            self._work = honest


class Closing(LocalKeyper):
    """Moves the close in the terms that it is handed."""

    def open_admission(self, terms: IntervalTerms) -> None:
        super().open_admission(terms)
        object.__setattr__(terms, "closes_ms", 1)


def shown(text: Callable[[], str]) -> type[LocalKeyper]:
    """Fails with an exception of its own whose text is what `text` returns, if it does."""

    class Shown(Exception):
        def __str__(self) -> str:
            return text()

    class Raising(LocalKeyper):
        def check_proof(self, request: ProofRequest) -> CheckedProof:  # noqa: ARG002
            raise Shown

    return Raising


def no_text() -> str:
    raise RuntimeError("no text")


def the_end() -> str:
    raise SystemExit


NONSENSE = [
    WithoutProof,
    WithoutDigest,
    OfAnother,
    Unsigned,
    Spoiling,
    Closing,
    announcing(lambda digests: {j: bytearray(digest) for j, digest in digests.items()}),
    announcing(lambda digests: dict.fromkeys(digests, 7)),
    announcing(Refusing),
    shown(no_text),
    shown(the_end),
    shown(lambda: "x" * 10**7),
]


@pytest.mark.parametrize("kind", NONSENSE)
def test_one_keyper_that_answers_nonsense_refuses_nobody(
    venue_of: Callable[[int], AdmissionVenue], kind: type[LocalKeyper]
) -> None:
    venue = venue_of(4)

    def keypers() -> list[LocalKeyper]:
        made = replace(venue, work=ShareWork()).keypers()
        made[2].__class__ = kind
        return made

    submission = submit(venue)
    admitted = venue.admission(keypers=keypers()).admit(submission)
    assert admitted.sealed == submission.sealed
    assert {0, 1, 3} <= admitted.certificate.signatures.keys()
    torn = replace(submission, envelopes=tuple(one[::-1] for one in submission.envelopes))
    error = refused(venue.admission(keypers=keypers()), torn, KnowledgeNotProven)
    assert len(str(error)) < 2000


def test_a_keyper_does_not_certify_in_the_name_of_another(venue: AdmissionVenue) -> None:
    made = venue.keypers()
    first = made[0]

    class Relaying(LocalKeyper):
        """Lets keyper 0 sign, and says that it is keyper 0."""

        def certify(self, request: CertificateRequest) -> bytes:
            type(self).number = property(lambda _self: 0)  # type: ignore[assignment,method-assign]
            return first.certify(request)

    made[3].__class__ = Relaying
    certificate = venue.admission(keypers=made).admit(submit(venue)).certificate
    assert sorted(certificate.signatures) == [0, 1, 2]
