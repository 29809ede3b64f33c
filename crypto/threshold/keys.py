"""Key set-up of a committee by a dealer that forgets.

The secret of a ring is s = sum of n ternary shares s_j, each expanded from the seed of share j.
The dealer draws the seeds, makes the public, relinearisation and Galois keys from s and drops s;
who reads the dealer's memory while it runs reads every order of the epoch (threat model). A
set-up without a dealer (Mouchet et al., "Multiparty homomorphic encryption from ring-LWE", PETS
2021) yields the same types.
"""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import NamedTuple

from Crypto.PublicKey import ECC

from crypto import labels
from crypto.bfv.encryption import PublicKey
from crypto.bfv.seal import EvaluationKeys, dealt_keys
from crypto.errors import WrongEpoch
from crypto.ring.params import PACKING_RADIX, ParameterSet, RingParameters
from crypto.ring.ring import Words, rns_basis
from crypto.ring.sampling import SEED_BYTES, absorb, derive_seed, ternary
from crypto.ring.slots import column_element, rotation_element
from crypto.threshold.replicated import Committee


@dataclass(frozen=True, slots=True)
class RingKeys:
    """Public material of one ring.

    Attributes:
        public: the encryption key.
        relinearisation: SEAL serialisation.
        galois: SEAL serialisation for exactly `elements`.
        elements: Galois elements.
    """

    public: PublicKey
    relinearisation: bytes
    galois: bytes
    elements: tuple[int, ...]

    def evaluation_keys(self) -> EvaluationKeys:
        """Load the evaluation keys into SEAL."""
        return EvaluationKeys(self.public.ring, self.relinearisation, self.galois, self.elements)

    def digest(self) -> bytes:
        """32 bytes that identify the material."""
        parts = [self.public.words.astype("<u8").tobytes(), self.relinearisation, self.galois]
        hashes = [hashlib.sha256(part).digest() for part in parts]
        name = self.public.ring.name.encode()
        return hashlib.sha256(absorb(b"ring-keys", name, *hashes, *self.elements)).digest()


@dataclass(frozen=True, slots=True)
class PublicMaterial:
    """All that an operator, a client or an auditor needs of a key epoch; nothing secret.

    `envelope_keys` are the keypers' X25519 public keys, 32 bytes each, in keyper order.
    """

    parameters: ParameterSet
    committee: Committee
    order_keys: RingKeys
    comparison_keys: RingKeys
    envelope_keys: tuple[bytes, ...]

    def digest(self) -> bytes:
        """Key id of the epoch."""
        return hashlib.sha256(
            absorb(
                b"public-material",
                self.parameters.name.encode(),
                self.committee.size,
                self.committee.epoch,
                self.order_keys.digest(),
                self.comparison_keys.digest(),
                *self.envelope_keys,
            )
        ).digest()


@dataclass(frozen=True, slots=True)
class KeyperSecrets:
    """What one keyper keeps for an epoch: all share seeds but its own number's, and its X25519 key.

    Attributes:
        seeds: 32-byte seed by share number.
        envelope_key: raw X25519 private key, 32 bytes.
    """

    keyper: int
    committee: Committee
    seeds: Mapping[int, bytes] = field(repr=False)
    envelope_key: bytes = field(repr=False)

    def require_epoch(self, epoch: int) -> None:
        """Refuse work for another epoch.

        Raises:
            WrongEpoch: `epoch` is not this secret's.
        """
        if epoch != self.committee.epoch:
            raise WrongEpoch(self.committee.epoch, epoch)


def secret_share(ring: RingParameters, seed: bytes) -> Words:
    """s_j in transform form over the key-level primes, shape (primes, degree)."""
    return _secret_share(ring, derive_seed(labels.KEY_SHARE, seed, ring.name.encode()))


@lru_cache(maxsize=16)
def _secret_share(ring: RingParameters, seed: bytes) -> Words:
    basis = rns_basis(ring.degree, ring.key_primes)
    share = basis.forward(basis.reduce_signed(ternary(seed, labels.KEY_SHARE, ring.degree)))
    share.setflags(write=False)
    return share


def order_elements(ring: RingParameters) -> tuple[int, ...]:
    """Galois elements of the order ring: power-of-two steps both ways, the row swap, and packing's.

    Packing moves every intent right by less than PACKING_RADIX squared: two of these do it.
    """
    powers = [1 << k for k in range(ring.row.bit_length() - 1)]
    packing = [-digit * unit for digit in range(1, PACKING_RADIX) for unit in (1, PACKING_RADIX)]
    steps = {*powers, *(-power for power in powers), *packing}
    rotations = {rotation_element(ring.degree, step) for step in steps}
    return (*sorted(rotations), column_element(ring.degree))


def comparison_elements(ring: RingParameters) -> tuple[int, ...]:
    """Galois elements of the comparison ring: powers of two left, one right, and the row swap."""
    steps = [-1, *(1 << k for k in range(ring.row.bit_length() - 1))]
    return (
        *sorted({rotation_element(ring.degree, step) for step in steps}),
        column_element(ring.degree),
    )


class DealtEpoch(NamedTuple):
    """A key epoch as it was dealt: what is public, and what each keyper keeps, by number."""

    material: PublicMaterial
    secrets: tuple[KeyperSecrets, ...]


def deal(parameters: ParameterSet, committee: Committee) -> DealtEpoch:
    """Draw a key epoch from the operating system's generator.

    Raises:
        InsecureParameters: a test-only set outside the tests.
    """
    parameters.require_usable()
    seeds = {j: secrets.token_bytes(SEED_BYTES) for j in committee.members}
    envelope_keys = [ECC.generate(curve="Curve25519") for _ in committee.members]
    material = PublicMaterial(
        parameters,
        committee,
        _ring_keys(parameters.order_ring, seeds, order_elements(parameters.order_ring)),
        _ring_keys(
            parameters.comparison_ring, seeds, comparison_elements(parameters.comparison_ring)
        ),
        tuple(key.public_key().export_key(format="raw") for key in envelope_keys),
    )
    held = tuple(
        KeyperSecrets(
            i,
            committee,
            {j: seeds[j] for j in committee.shares_of(i)},
            envelope_keys[i].seed,
        )
        for i in committee.members
    )
    return DealtEpoch(material, held)


def _ring_keys(
    ring: RingParameters, seeds: Mapping[int, bytes], elements: Sequence[int]
) -> RingKeys:
    basis = rns_basis(ring.degree, ring.key_primes)
    shares = [secret_share(ring, seed) for seed in seeds.values()]
    secret = shares[0]
    for share in shares[1:]:
        secret = basis.add(secret, share)
    dealt = dealt_keys(ring, secret, elements)
    return RingKeys(dealt.public, dealt.relinearisation, dealt.galois, tuple(elements))
