"""Submissions to an admission, honest ones and others."""

import asyncio
from dataclasses import replace
from typing import Any, TypeVar

import numpy as np
import pytest

from crypto.bfv.ciphertext import Ciphertext, from_wire, to_wire
from crypto.signing.ecdsa import address_of, sign
from crypto.threshold.knowledge import KnowledgeContext, SealedVector, VectorSealing, seal_proofs
from darkpool.admission.admit import Admission
from darkpool.client.sealing import PublicLimits, SealedOrder, seal_order, smallest_cap
from darkpool.client.signer import KeySigner
from darkpool.protocol.intents import LimitOrder, SealedSubmission
from darkpool.protocol.refusals import AdmissionRefused
from darkpool.protocol.terms import IntervalTerms
from darkpool.units import Cash, InstrumentId, Lots, Side, Tick
from tests.support.admission_venue import AdmissionVenue

Error = TypeVar("Error", bound=AdmissionRefused)
DEADLINE_S = 1_900_000_060
NO_MINIMUM = Cash(0)
ORDER = LimitOrder(Side.SELL, Lots(30), Tick(60))


def key(account: int) -> bytes:
    return account.to_bytes(32, "big")


def seal_now(
    order: LimitOrder,
    instrument: InstrumentId,
    terms: IntervalTerms,
    account_key: bytes,
    nonce: int,
    limits: PublicLimits,
) -> SealedOrder:
    """`seal_order` with a key that is at hand."""
    return asyncio.run(seal_order(order, instrument, terms, KeySigner(account_key), nonce, limits))


def submit(
    venue: AdmissionVenue,
    account: int = 1,
    *,
    order: LimitOrder = ORDER,
    instrument: InstrumentId | None = None,
    terms: IntervalTerms | None = None,
    nonce: int = 1,
    deadline_s: int = DEADLINE_S,
    cap: Lots | None = None,
    others_collateral_min: Cash = NO_MINIMUM,
) -> SealedSubmission:
    """An honest submission."""
    terms = terms or venue.terms
    cap = smallest_cap(order.size, terms) if cap is None else cap
    limits = PublicLimits(deadline_s, cap, others_collateral_min)
    sealed = seal_now(order, instrument or venue.instruments[0], terms, key(account), nonce, limits)
    return sealed.submission


def signed(
    venue: AdmissionVenue, submission: SealedSubmission, account: int = 1, **fields: Any
) -> SealedSubmission:
    """The submission with other public fields, signed by the account that it names."""
    sealed = replace(submission.sealed, **fields)
    return replace(
        submission, sealed=sealed, signature=sign(sealed.digest(venue.terms.domain), key(account))
    )


def refused(admission: Admission, submission: SealedSubmission, error: type[Error]) -> Error:
    with pytest.raises(error) as raised:
        admission.admit(submission)
    assert isinstance(raised.value, AdmissionRefused)
    return raised.value


def copied(venue: AdmissionVenue, victim: SealedSubmission) -> SealedSubmission:
    """Mallory's intent around the victim's ciphertext and envelopes."""
    sealed = replace(victim.sealed, account=address_of(key(2)))
    return signed(venue, replace(victim, sealed=sealed), account=2)


def mallory(venue: AdmissionVenue, ciphertext: Ciphertext) -> SealedSubmission:
    """Any ciphertext, with openings and envelopes of a vector that Mallory does know."""
    material, domain = venue.terms.material, venue.terms.domain
    ring = material.parameters.order_ring
    sealed = replace(submit(venue, 2).sealed, ciphertext_digest=ciphertext.digest(), nonce=5)
    own = VectorSealing.of(material, KnowledgeContext.of(sealed, domain)).seal(
        np.zeros(ring.degree, dtype=np.int64), b"\6" * 32
    )
    vector = SealedVector(ciphertext, own.proofs)
    return SealedSubmission(
        sealed,
        sign(sealed.digest(domain), key(2)),
        to_wire(ciphertext),
        seal_proofs(material, vector, sealed, domain),
    )


def parsed(venue: AdmissionVenue, submission: SealedSubmission) -> Ciphertext:
    ring = venue.terms.material.parameters.order_ring
    return from_wire(submission.ciphertext, ring, len(ring.data_primes))
