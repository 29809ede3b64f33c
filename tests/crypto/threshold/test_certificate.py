from collections.abc import Iterable
from dataclasses import replace
from typing import Any

import pytest
from eth_hash.auto import keccak

from crypto.errors import InvalidCertificate, InvalidSignature
from crypto.signing.ecdsa import address_of, sign
from crypto.signing.eip712 import Domain, TypedMessage
from crypto.signing.messages import (
    AdmissionCertificate,
    Cancellation,
    CancellationReceipt,
    SealedIntent,
)
from crypto.threshold.certificate import (
    CancellationCertificate,
    IntentCertificate,
    SignedAnnouncement,
    verify_quorum,
)
from crypto.threshold.knowledge import ProofAnnouncement

DOMAIN = Domain(31337, b"\xd0" * 20)
KEYS = [bytes([i]) * 32 for i in range(1, 5)]
ADDRESSES = tuple(map(address_of, KEYS))
CLOSES_MS = 1_900_000_000_000
TERMS = b"\x5a" * 32
SEALED = SealedIntent(b"\1" * 20, b"\2" * 32, 7, b"\3" * 32, b"\4" * 32, 100, 9, 2**31, 1)


def signatures(message: TypedMessage, keypers: Iterable[int] = range(4)) -> dict[int, bytes]:
    return {i: sign(message.digest(DOMAIN), KEYS[i]) for i in keypers}


def certificate(
    keypers: Iterable[int] = range(4), sealed: SealedIntent = SEALED
) -> IntentCertificate:
    message = AdmissionCertificate.of(sealed, DOMAIN, CLOSES_MS, TERMS)
    return IntentCertificate(message, signatures(message, keypers))


def verify(certified: IntentCertificate, sealed: SealedIntent = SEALED) -> None:
    certified.verify(sealed, CLOSES_MS, TERMS, DOMAIN, ADDRESSES, 3)


def test_a_certificate_is_signed_typed_data() -> None:
    """EIP-712, field by field."""
    message = AdmissionCertificate.of(SEALED, DOMAIN, CLOSES_MS, TERMS)
    kind = b"AdmissionCertificate(address account,bytes32 instrument,uint64 interval,"
    words = [
        keccak(kind + b"bytes32 intent,uint64 closesMs,bytes32 terms)"),
        bytes(12) + SEALED.account,
        SEALED.instrument,
        (7).to_bytes(32, "big"),
        SEALED.digest(DOMAIN),
        CLOSES_MS.to_bytes(32, "big"),
        TERMS,
    ]
    struct = keccak(b"".join(words))
    assert message.digest(DOMAIN) == keccak(b"\x19\x01" + DOMAIN.separator() + struct)


@pytest.mark.parametrize("keypers", [range(4), (0, 1, 2), (1, 2, 3), (0, 2, 3)])
def test_any_quorum_certifies(keypers: Iterable[int]) -> None:
    verify(certificate(keypers))


@pytest.mark.parametrize("keypers", [(), (0,), (1, 3)])
def test_fewer_than_a_quorum_certify_nothing(keypers: Iterable[int]) -> None:
    with pytest.raises(InvalidCertificate):
        verify(certificate(keypers))


def test_a_signer_counts_once() -> None:
    two = certificate((0, 1))
    for place in (2, 3):
        for copied in (0, 1):
            twice = {**two.signatures, place: two.signatures[copied]}
            with pytest.raises(InvalidSignature):
                verify(replace(two, signatures=twice))
    for place in (4, -1):
        with pytest.raises(InvalidCertificate):
            verify(replace(two, signatures={**two.signatures, place: two.signatures[0]}))


def test_one_false_signature_spoils_a_certificate() -> None:
    good = certificate()
    for forged in (bytes(65), b"", sign(bytes(32), KEYS[3]), good.signatures[2]):
        with pytest.raises(InvalidSignature):
            verify(replace(good, signatures={**good.signatures, 3: forged}))


@pytest.mark.parametrize("field", ["account", "instrument", "interval", "nonce", "cap"])
def test_a_certificate_is_of_one_intent(field: str) -> None:
    value: Any = getattr(SEALED, field)
    other: Any = value + 1 if isinstance(value, int) else value[:-1] + b"\x77"
    with pytest.raises(InvalidCertificate):
        verify(certificate(), replace(SEALED, **{field: other}))
    with pytest.raises(InvalidCertificate):
        verify(certificate(sealed=replace(SEALED, **{field: other})))


def test_a_certificate_is_bound_to_its_close_and_its_contract() -> None:
    with pytest.raises(InvalidCertificate):
        certificate().verify(SEALED, CLOSES_MS + 1, TERMS, DOMAIN, ADDRESSES, 3)
    with pytest.raises(InvalidCertificate):
        certificate().verify(SEALED, CLOSES_MS, TERMS, replace(DOMAIN, chain_id=1), ADDRESSES, 3)
    relabelled = replace(certificate(), message=replace(certificate().message, closes_ms=5))
    with pytest.raises(InvalidSignature):
        relabelled.verify(SEALED, 5, TERMS, DOMAIN, ADDRESSES, 3)


def test_a_cancellation_is_certified_like_an_intent() -> None:
    cancelled = Cancellation.of(SEALED, DOMAIN)
    receipt = CancellationReceipt.of(cancelled, CLOSES_MS)
    good = CancellationCertificate(receipt, signatures(receipt, (0, 1, 3)))
    good.verify(cancelled, CLOSES_MS, DOMAIN, ADDRESSES, 3)
    with pytest.raises(InvalidCertificate):
        good.verify(replace(cancelled, nonce=8), CLOSES_MS, DOMAIN, ADDRESSES, 3)
    for keypers in ((0, 1), ()):
        short = CancellationCertificate(receipt, signatures(receipt, keypers))
        with pytest.raises(InvalidCertificate):
            short.verify(cancelled, CLOSES_MS, DOMAIN, ADDRESSES, 3)


def test_messages_of_different_kinds_have_different_digests() -> None:
    cancelled = Cancellation.of(SEALED, DOMAIN)
    messages: list[TypedMessage] = [
        SEALED,
        AdmissionCertificate.of(SEALED, DOMAIN, CLOSES_MS, TERMS),
        cancelled,
        CancellationReceipt.of(cancelled, CLOSES_MS),
    ]
    assert len({message.digest(DOMAIN) for message in messages}) == 4
    for message in messages[2:]:
        with pytest.raises(InvalidSignature):
            verify(replace(certificate(), signatures=signatures(message)))


def test_a_quorum_of_none_is_still_checked() -> None:
    with pytest.raises(InvalidSignature):
        verify_quorum(bytes(32), {0: bytes(65)}, ADDRESSES, 0)


ANNOUNCED = ProofAnnouncement(1, {0: b"\5" * 32, 2: b"\6" * 32, 3: b"\7" * 32})


def test_an_announcement_is_its_keypers_own() -> None:
    intent = SEALED.digest(DOMAIN)
    signed = SignedAnnouncement.by(ANNOUNCED, intent, DOMAIN, KEYS[1])
    signed.verify(intent, DOMAIN, ADDRESSES)
    others = (
        replace(ANNOUNCED, keyper=2),
        replace(ANNOUNCED, digests={**ANNOUNCED.digests, 3: bytes(32)}),
        replace(ANNOUNCED, digests={0: b"\5" * 32, 2: b"\6" * 32}),
    )
    for other in others:
        with pytest.raises(InvalidSignature):
            replace(signed, announcement=other).verify(intent, DOMAIN, ADDRESSES)
    with pytest.raises(InvalidSignature):
        signed.verify(bytes(32), DOMAIN, ADDRESSES)
    with pytest.raises(InvalidSignature):
        signed.verify(intent, replace(DOMAIN, chain_id=1), ADDRESSES)
    moved = SignedAnnouncement.by(replace(ANNOUNCED, keyper=4), intent, DOMAIN, KEYS[1])
    with pytest.raises(InvalidCertificate):
        moved.verify(intent, DOMAIN, ADDRESSES)
