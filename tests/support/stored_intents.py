"""Intents as the store of a keyper gets them."""

from dataclasses import replace

from crypto.signing.eip712 import Domain
from crypto.signing.messages import AdmissionCertificate, Cancellation, SealedIntent
from crypto.threshold.certificate import IntentCertificate
from darkpool.keyper.admission_store import IntentKey
from darkpool.protocol.intents import CertifiedIntent, SignedCancellation
from darkpool.units import Interval

DOMAIN = Domain(1, bytes(20))


INTERVAL = Interval(7)


SEALED = SealedIntent(b"\1" * 20, b"\2" * 32, 7, b"\3" * 32, b"\4" * 32, 100, 9, 2**31, 1)


def numbered(number: int) -> SealedIntent:
    return replace(SEALED, nonce=number)


def key_of(sealed: SealedIntent) -> IntentKey:
    return IntentKey.of(sealed, DOMAIN)


def cancelled(sealed: SealedIntent) -> SignedCancellation:
    return SignedCancellation(Cancellation.of(sealed, DOMAIN), bytes(65))


def shown(sealed: SealedIntent) -> CertifiedIntent:
    message = AdmissionCertificate.of(sealed, DOMAIN, 1000, bytes(32))
    return CertifiedIntent(sealed, bytes(65), IntentCertificate(message, {0: bytes(65)}))
