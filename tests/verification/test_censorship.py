"""An omission is proven by what its victim holds and what is public."""

from collections.abc import Callable, Iterable
from dataclasses import replace
from typing import Any

import pytest

from crypto.signing.ecdsa import address_of, sign
from crypto.signing.eip712 import Domain
from crypto.signing.merkle import merkle_root
from crypto.signing.messages import AdmissionCertificate, Cancellation, SealedIntent
from crypto.signing.settling import BatchRoot
from crypto.threshold.certificate import IntentCertificate, VenueKeys
from darkpool.errors import WrongType
from darkpool.record.reader import Record
from darkpool.verification.censorship import SignedBatch, prove_omission
from darkpool.verification.errors import NoOmission
from darkpool.verification.openings import terms_digest
from tests.support.records import Published

DOMAIN = Domain(31337, b"\xd0" * 20)
KEYS = [bytes([i]) * 32 for i in range(1, 5)]
VENUE = VenueKeys(DOMAIN, tuple(map(address_of, KEYS)), 3)
OWNER = b"\x0a" * 32


def sealed_of(number: int, owner: bytes = OWNER) -> SealedIntent:
    name = number.to_bytes(32, "big")
    return SealedIntent(address_of(owner), b"\2" * 32, 7, name, name, 100, number, 2**31, 1)


VICTIM = sealed_of(0)
OTHERS = [sealed_of(n, bytes([n + 100]) * 32) for n in range(1, 4)]


def certified(sealed: SealedIntent, keypers: Iterable[int] = range(4)) -> IntentCertificate:
    message = AdmissionCertificate.of(sealed, DOMAIN, 1000, bytes(32))
    return IntentCertificate(message, {i: sign(message.digest(DOMAIN), KEYS[i]) for i in keypers})


def batch_of(
    intents: list[SealedIntent],
    keypers: Iterable[int] = range(4),
    interval: int = 7,
    excuses: Iterable[tuple[Cancellation, bytes]] = (),
) -> SignedBatch:
    leaves = tuple(sealed.digest(DOMAIN) for sealed in intents)
    digests = (bytes(32), b"\3" * 32, b"\4" * 32)
    root = BatchRoot(interval, merkle_root(leaves), len(leaves), *digests, 2**31)
    signatures = {i: sign(root.digest(DOMAIN), KEYS[i]) for i in keypers}
    return SignedBatch(root, leaves, signatures, tuple(excuses))


def excuse(sealed: SealedIntent, key: bytes) -> tuple[Cancellation, bytes]:
    message = Cancellation.of(sealed, DOMAIN)
    return message, sign(message.digest(DOMAIN), key)


def test_an_omission_is_proven_and_names_who_signed_both() -> None:
    found = prove_omission(VICTIM, certified(VICTIM, (0, 1, 2)), batch_of(OTHERS, (1, 2, 3)), VENUE)
    assert found.intent == VICTIM.digest(DOMAIN)
    assert (found.signers, found.contradicting) == ((1, 2, 3), (1, 2))


@pytest.mark.parametrize(
    ("what", "changed"),
    [
        ("certificate", lambda b: (VICTIM, certified(VICTIM, (0, 1)), b)),
        ("certificate", lambda b: (VICTIM, certified(OTHERS[0]), b)),
        ("interval", lambda _: (VICTIM, certified(VICTIM), batch_of(OTHERS, interval=8))),
        ("leaves", lambda b: (VICTIM, certified(VICTIM), replace(b, leaves=b.leaves[:2]))),
        ("batch root", lambda _: (VICTIM, certified(VICTIM), batch_of(OTHERS, (0, 3)))),
        ("batch", lambda _: (VICTIM, certified(VICTIM), batch_of([*OTHERS, VICTIM]))),
        (
            "intent",
            lambda _: (
                VICTIM,
                certified(VICTIM),
                batch_of(OTHERS, excuses=[excuse(VICTIM, OWNER)]),
            ),
        ),
    ],
)
def test_what_proves_nothing_is_no_evidence(
    what: str, changed: Callable[[SignedBatch], tuple[SealedIntent, IntentCertificate, SignedBatch]]
) -> None:
    sealed, certificate, batch = changed(batch_of(OTHERS))
    with pytest.raises(NoOmission) as caught:
        prove_omission(sealed, certificate, batch, VENUE)
    assert caught.value.subject.startswith(what)


@pytest.mark.parametrize(
    ("place", "what"), [(0, "sealed intent"), (1, "certificate"), (2, "batch"), (3, "venue")]
)
def test_a_part_of_another_kind_is_told(place: int, what: str) -> None:
    odd: object
    for odd in (None, "record", bytes(32), [], Domain(1, bytes(20))):
        parts: list[Any] = [VICTIM, certified(VICTIM), batch_of(OTHERS), VENUE]
        parts[place] = odd
        with pytest.raises(WrongType, match=f"{what}: expected"):
            prove_omission(*parts)


def test_evidence_counts_for_one_venue() -> None:
    for other in (
        replace(VENUE, domain=Domain(1, bytes(20))),
        replace(VENUE, addresses=VENUE.addresses[::-1]),
    ):
        with pytest.raises(NoOmission):
            prove_omission(VICTIM, certified(VICTIM), batch_of(OTHERS), other)


def test_nobody_else_excuses_an_omission() -> None:
    forged = [excuse(VICTIM, KEYS[0]), excuse(OTHERS[0], OWNER), excuse(sealed_of(9), OWNER)]
    assert prove_omission(VICTIM, certified(VICTIM), batch_of(OTHERS, excuses=forged), VENUE)


def test_a_published_batch_omits_nobody_that_is_in_it(uniform: Published) -> None:
    record = Record.load(uniform.directory)
    summary, batch = record.summary, SignedBatch.of(record)
    venue = VenueKeys(summary.venue.domain(), summary.committee.addresses, record.committee.quorum)
    first = record.intents[0]
    message = AdmissionCertificate.of(
        first.sealed, venue.domain, summary.closes_ms, terms_digest(record)
    )
    certificate = IntentCertificate(message, first.certificate)
    with pytest.raises(NoOmission, match="place 0"):
        prove_omission(first.sealed, certificate, batch, venue)
    without = replace(batch, leaves=batch.leaves[1:])
    with pytest.raises(NoOmission, match="leaves"):
        prove_omission(first.sealed, certificate, without, venue)
