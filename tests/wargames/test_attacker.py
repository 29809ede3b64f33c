"""The attacker's submissions pass everything that admission checks without looking inside."""

import numpy as np
import pytest

from crypto.errors import OutOfRange
from crypto.ring.params import TEST_INSECURE_SMALL
from darkpool.client.sealing import PublicLimits
from darkpool.protocol.intents import SealedSubmission
from darkpool.units import Lots
from darkpool.wargames.attacker import seal_as_attacker
from darkpool.wargames.combined import CANCELLING, OVER_CAP
from darkpool.wargames.draft import Vector
from darkpool.wargames.malformed import MALFORMED
from tests.support.admission_venue import AdmissionVenue, made_venue
from tests.support.epochs import Epoch

RING = TEST_INSECURE_SMALL.order_ring
DEADLINE_S = 1_900_000_060
CAP = Lots(500)
TICKS = 100


@pytest.fixture(scope="module", params=[3, 4])
def venue(request: pytest.FixtureRequest) -> AdmissionVenue:
    return made_venue(TEST_INSECURE_SMALL, request.param)


def sealed(venue: AdmissionVenue, vector: Vector, account: int = 1) -> SealedSubmission:
    return seal_as_attacker(
        vector,
        venue.instruments[0],
        venue.terms,
        account.to_bytes(32, "big"),
        1,
        PublicLimits(DEADLINE_S, CAP),
    )


def slots(venue: AdmissionVenue, submission: SealedSubmission) -> Vector:
    """What is sealed, with the whole secret that no party has; admits it first."""
    admitted = venue.admission().admit(submission)
    material = venue.terms.material
    assert sorted(admitted.certificate.signatures) == list(material.committee.members)
    epoch = Epoch(TEST_INSECURE_SMALL, material.committee, material, venue.secrets)
    return epoch.oracle(RING).slots(admitted.ciphertext)


@pytest.mark.parametrize("kind", MALFORMED)
def test_any_vector_is_sealed_as_it_is_and_proven_to_be_known(
    venue: AdmissionVenue, kind: str
) -> None:
    vector = MALFORMED[kind](RING, TICKS, np.random.default_rng(3))
    assert np.array_equal(slots(venue, sealed(venue, vector)), vector)


@pytest.mark.parametrize("kind", OVER_CAP)
def test_sizes_beyond_the_stated_cap_are_sealed_too(venue: AdmissionVenue, kind: str) -> None:
    vector = OVER_CAP[kind](RING, TICKS, CAP, np.random.default_rng(3))
    submission = sealed(venue, vector)
    assert submission.sealed.cap == CAP
    assert np.array_equal(slots(venue, submission), vector)


def test_pairs_are_admitted_to_one_auction(venue: AdmissionVenue) -> None:
    pairs = [build(RING, TICKS, np.random.default_rng(3)) for build in CANCELLING.values()]
    vectors = [vector for pair in pairs for vector in pair]
    admission = venue.admission()
    accounts = {
        admission.admit(sealed(venue, vector, account)).sealed.account
        for account, vector in enumerate(vectors, 1)
    }
    assert len(accounts) == 2 * len(pairs)


@pytest.mark.parametrize("entry", [-1, RING.plain_modulus])
def test_what_is_no_residue_cannot_be_sealed(venue: AdmissionVenue, entry: int) -> None:
    vector = np.zeros(RING.degree, dtype=np.int64)
    vector[7] = entry
    with pytest.raises(OutOfRange):
        sealed(venue, vector)
