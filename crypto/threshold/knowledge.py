"""Knowledge proof of a sealed vector, by replicated shares.

The client writes its vector v as a sum of n vectors v_j, uniformly random but for their sum, all
but the last expanded from a seed. V_j = Enc(v_j) is deterministic, V = sum of V_j is public, and
keyper i learns the seeds of every share but its own number's. It re-encrypts them, announces the
digests of its V_j, and accepts when V minus its shares has the digest that a strict majority of the
holders of share i announced. At most one keyper is corrupt, so at least one honest keyper knows
what is behind that digest, and the honest keypers together can explain V. (A single announcement
would not do: a corrupt keyper announces the digest of what is left of a V that no party knows.)

The seeds bind every share to chain, contract, epoch, interval, instrument, account and nonce, so
another sender's vector, copied, re-randomised or rotated, has no proof that fits.

Source of the sharing: M. Ito, A. Saito and T. Nishizeki, "Secret sharing scheme realizing general
access structure" (1989). Byte formats: docs/protocol/encryption.md.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Self

import numpy as np

from crypto import labels
from crypto.bfv.ciphertext import Ciphertext
from crypto.bfv.encryption import PublicKey, encrypt_slots, encrypt_sum
from crypto.errors import MalformedProof, OutOfRange, SealingMismatch
from crypto.ring import slots
from crypto.ring.params import RingParameters
from crypto.ring.sampling import SEED_BYTES, derive_seed, uniform
from crypto.signing.eip712 import Domain
from crypto.signing.messages import SealedIntent
from crypto.threshold.envelope import envelope_info, open_envelope, seal_envelope
from crypto.threshold.keys import KeyperSecrets, PublicMaterial
from crypto.threshold.proof import KeyperProof, Vector, pack_vector, unpack_vector
from crypto.threshold.replicated import Agreement, Committee, agree


@dataclass(frozen=True, slots=True)
class KnowledgeContext:
    """Everything that a sealed vector is bound to; it enters every seed.

    Attributes:
        chain_id: EIP-155 number of the chain.
        contract: settlement contract, 20 bytes.
        epoch: key epoch.
        interval: number of the auction in its series.
        instrument: 32 bytes.
        account: 20 bytes.
        nonce: the account's number for this intent.
    """

    chain_id: int
    contract: bytes
    epoch: int
    interval: int
    instrument: bytes
    account: bytes
    nonce: int

    @classmethod
    def of(cls, sealed: SealedIntent, domain: Domain) -> KnowledgeContext:
        """The context that a sealed intent claims."""
        return cls(
            domain.chain_id,
            domain.verifying_contract,
            sealed.key_epoch,
            sealed.interval,
            sealed.instrument,
            sealed.account,
            sealed.nonce,
        )

    def fields(self) -> tuple[bytes | int, ...]:
        """Fields as they are absorbed; the chain id as 32 bytes, big-endian."""
        return (
            self.chain_id.to_bytes(32, "big"),
            self.contract,
            self.epoch,
            self.interval,
            self.instrument,
            self.account,
            self.nonce,
        )


@dataclass(frozen=True, slots=True)
class SealedVector:
    """V, and the proof for each keyper, in keyper order."""

    ciphertext: Ciphertext
    proofs: tuple[KeyperProof, ...]


@dataclass(frozen=True, slots=True)
class EncryptedShare:
    """V_j of one share, and its digest."""

    ciphertext: Ciphertext
    digest: bytes


@dataclass(frozen=True, slots=True)
class ProofAnnouncement:
    """Digests of the re-encrypted shares that a keyper publishes, by share number."""

    keyper: int
    digests: Mapping[int, bytes]


@dataclass(frozen=True, slots=True)
class ReencryptedProof:
    """What a keyper computed of V; `residual` is the digest of V minus its shares."""

    announcement: ProofAnnouncement
    residual: bytes


@dataclass(frozen=True, slots=True)
class ProvenKnowledge:
    """A keyper's conclusion that the sender knows the plaintext and the randomness of V.

    `agreement` is that of the holders of the keyper's own share; it names who said otherwise.
    """

    keyper: int
    agreement: Agreement


def encrypt_share(
    key: PublicKey, share: int, seed: bytes, last_vector: bytes, context: KnowledgeContext
) -> EncryptedShare:
    """V_j from its seed; `last_vector` is packed for the last share and empty for every other.

    Raises:
        MalformedProof: the last vector is not one mod t.
    """
    ring = key.ring
    if last_vector:
        vector = unpack_vector(ring, last_vector)
    else:
        vector = _expand(ring, share, seed, context)
    encryption_seed = _encryption_seed(ring, share, seed, last_vector, context)
    ciphertext = encrypt_slots(key, vector, encryption_seed)
    return EncryptedShare(ciphertext, ciphertext.digest())


ShareEncryption = Callable[[PublicKey, int, bytes, bytes, KnowledgeContext], EncryptedShare]
"""`encrypt_share`, or the same with a memory: keypers of one process encrypt the same shares."""


@dataclass(frozen=True, slots=True)
class VectorSealing:
    """How one vector is sealed: to which key, for which committee, bound to what.

    Client, keypers and auditor compute the same bytes with it. `encryption` is `encrypt_share`, or
    the same with a memory.
    """

    key: PublicKey
    committee: Committee
    context: KnowledgeContext
    encryption: ShareEncryption = encrypt_share

    @classmethod
    def of(cls, material: PublicMaterial, context: KnowledgeContext) -> Self:
        """How an order is sealed in a key epoch."""
        return cls(material.order_keys.public, material.committee, context)

    def seal(self, vector: Vector, root_seed: bytes) -> SealedVector:
        """Encrypt a slot vector, residues mod t, shape (degree,), with its replicated proofs.

        The result is a function of the arguments; `root_seed`, 32 bytes, is the only secret. The
        seeds of the shares also depend on the vector, so a root seed used twice by mistake tells
        nothing. Noise of V: n times that of one encryption.

        Raises:
            OutOfRange: wrong shape, an entry outside [0, t), a root seed that is not 32 bytes, or a
                context of another epoch.
        """
        ring, members, last = self.key.ring, self.committee.members, self.committee.size - 1
        seeds = self._share_seeds(pack_vector(ring, vector), root_seed)
        vectors = [_expand(ring, j, seeds[j], self.context) for j in members[:last]]
        vectors.append(np.mod(vector - np.sum(vectors, axis=0), ring.plain_modulus))
        packed_last = pack_vector(ring, vectors[last])
        terms = []
        for j in members:
            explicit = packed_last if j == last else b""
            seed = _encryption_seed(ring, j, seeds[j], explicit, self.context)
            terms.append((slots.encode(ring, vectors[j]), seed))
        proofs = tuple(
            KeyperProof(
                i,
                {j: seeds[j] for j in self.committee.shares_of(i)},
                b"" if i == last else packed_last,
            )
            for i in members
        )
        return SealedVector(encrypt_sum(self.key, terms), proofs)

    def _share_seeds(self, packed: bytes, root_seed: bytes) -> list[bytes]:
        committee, context = self.committee, self.context
        if context.epoch != committee.epoch:
            raise OutOfRange("key epoch of the context", committee.epoch, context.epoch)
        if len(root_seed) != SEED_BYTES:
            raise OutOfRange("bytes of the root seed", SEED_BYTES, len(root_seed))
        fields = (committee.size, self.key.ring.name.encode(), packed, *context.fields())
        master = derive_seed(labels.OPENING_SEED, root_seed, *fields)
        return [derive_seed(labels.OPENING_SEED, master, j) for j in committee.members]

    def verify(self, vector: Vector, root_seed: bytes, ciphertext: Ciphertext) -> None:
        """Verify that a ciphertext is, byte for byte, the sealing of a vector under a root seed.

        Raises:
            SealingMismatch: it is not.
            OutOfRange: see `seal`.
        """
        again = self.seal(vector, root_seed).ciphertext
        if not np.array_equal(again.words, ciphertext.words):
            raise SealingMismatch("ciphertext sealed again", ciphertext.digest(), again.digest())

    def reencrypt(self, proof: KeyperProof) -> dict[int, EncryptedShare]:
        """V_j of every share that a keyper holds, by share number.

        Raises:
            MalformedProof: shares other than the keyper's, or a vector that is not one mod t.
        """
        shares, last = self.committee.shares_of(proof.keyper), self.committee.size - 1
        if tuple(sorted(proof.seeds)) != shares:
            raise MalformedProof("share numbers", shares, tuple(sorted(proof.seeds)))
        if bool(proof.last_vector) != (last in shares):
            raise MalformedProof("last vector", last in shares, bool(proof.last_vector))
        vectors = {last: proof.last_vector}
        return {
            j: self.encryption(self.key, j, proof.seeds[j], vectors.get(j, b""), self.context)
            for j in shares
        }

    def announce(self, proof: KeyperProof, sealed: Ciphertext) -> ReencryptedProof:
        """First step of a keyper's verification: re-encrypt, and take the digests.

        Raises:
            MalformedProof: see `reencrypt`.
        """
        shares = self.reencrypt(proof)
        residual = sealed
        for share in shares.values():
            residual = residual.subtract(share.ciphertext)
        digests = {j: share.digest for j, share in shares.items()}
        return ReencryptedProof(ProofAnnouncement(proof.keyper, digests), residual.digest())


def verify_knowledge(
    committee: Committee,
    reencrypted: ReencryptedProof,
    announcements: Iterable[ProofAnnouncement],
) -> ProvenKnowledge:
    """Second step: accept when a strict majority of the holders of the missing share agrees.

    Raises:
        MissingShare: too few holders announced (n = 4: two are needed, n = 3: both).
        HoldersDisagree: no strict majority among them.
        SealingMismatch: what is left of V is not what they announced.
    """
    keyper = reencrypted.announcement.keyper
    announced = {a.keyper: a.digests[keyper] for a in announcements if keyper in a.digests}
    agreement = agree(committee, keyper, announced)
    if agreement.digest != reencrypted.residual:
        raise SealingMismatch(
            f"share {keyper}, as keyper {keyper} derives it from the ciphertext",
            agreement.digest,
            reencrypted.residual,
        )
    return ProvenKnowledge(keyper, agreement)


def seal_proofs(
    material: PublicMaterial, vector: SealedVector, sealed: SealedIntent, domain: Domain
) -> tuple[bytes, ...]:
    """One envelope for each keyper, in keyper order, bound to the sealed intent."""
    committee, digest = material.committee, sealed.digest(domain)
    return tuple(
        seal_envelope(
            material.envelope_keys[i],
            envelope_info(digest, sealed.account, i, committee.shares_of(i)),
            vector.proofs[i].to_bytes(committee),
        )
        for i in committee.members
    )


@dataclass(frozen=True, slots=True)
class ProofEnvelope:
    """What a client sends one keyper of an intent; `envelope` is the keyper's of `seal_proofs`."""

    sealed: SealedIntent
    domain: Domain
    ciphertext: Ciphertext
    envelope: bytes

    def announce(
        self,
        secrets: KeyperSecrets,
        material: PublicMaterial,
        encryption: ShareEncryption = encrypt_share,
    ) -> ReencryptedProof:
        """The keyper's first step on what it was sent; see `VectorSealing.announce`.

        Raises:
            WrongEpoch: the intent names another key epoch.
            SealingMismatch: the ciphertext is not the one that the intent names.
            EnvelopeRefused: the envelope was not sealed to this keyper for this intent.
            MalformedProof: its content is not this keyper's proof.
        """
        sealed, keyper, committee = self.sealed, secrets.keyper, secrets.committee
        secrets.require_epoch(sealed.key_epoch)
        digest = self.ciphertext.digest()
        if digest != sealed.ciphertext_digest:
            expected = sealed.ciphertext_digest
            raise SealingMismatch("digest of the ciphertext", expected, digest)
        shares = committee.shares_of(keyper)
        info = envelope_info(sealed.digest(self.domain), sealed.account, keyper, shares)
        plaintext = open_envelope(secrets.envelope_key, info, self.envelope)
        key, context = material.order_keys.public, KnowledgeContext.of(sealed, self.domain)
        proof = KeyperProof.from_bytes(key.ring, committee, keyper, plaintext)
        return VectorSealing(key, committee, context, encryption).announce(proof, self.ciphertext)


def _expand(ring: RingParameters, share: int, seed: bytes, context: KnowledgeContext) -> Vector:
    key = derive_seed(labels.OPENING_VECTOR, seed, share, ring.name.encode(), *context.fields())
    return uniform(key, labels.OPENING_VECTOR, ring.plain_modulus, ring.degree)


def _encryption_seed(
    ring: RingParameters, share: int, seed: bytes, explicit: bytes, context: KnowledgeContext
) -> bytes:
    return derive_seed(
        labels.OPENING_ENCRYPTION, seed, share, ring.name.encode(), explicit, *context.fields()
    )
