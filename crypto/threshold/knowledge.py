"""Knowledge proof of a sealed vector, by replicated shares.

The client writes its vector v as a sum of n vectors v_j, uniformly random but for their sum, all
but the last expanded from a seed. V_j = Enc(v_j) is deterministic, V = sum of V_j is public, and
keyper i learns the seeds of every share but its own number's. It re-encrypts them, announces the
digests of its V_j, and accepts when V minus its shares has the digest that a strict majority of the
holders of share i announced. At most one keyper is corrupt, so at least one honest keyper knows
what is behind that digest, and the honest keypers together can explain V. (A single announcement
would not do: a corrupt keyper announces the digest of whatever is left of a V that nobody knows.)

The seeds bind every share to chain, contract, epoch, interval, instrument, account and nonce, so
another sender's vector, copied, re-randomised or rotated, has no proof that fits.

Source of the sharing: M. Ito, A. Saito and T. Nishizeki, "Secret sharing scheme realizing general
access structure" (1989). Byte formats: docs/protocol/encryption.md.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Final

import numpy as np
import numpy.typing as npt

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
from crypto.threshold.replicated import Agreement, Committee, agree

Vector = npt.NDArray[np.int64]

PROOF_VERSION: Final = 1
_MAGIC: Final = b"DPSO"
_HEADER: Final = struct.Struct("<4sHBB")


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
class KeyperProof:
    """What one keyper may know of a sealed vector: the seeds of all shares but its own number's.

    Attributes:
        keyper: the recipient.
        seeds: 32-byte seed by share number.
        last_vector: the last share's vector, packed; empty for the keyper that may not know it.
    """

    keyper: int
    seeds: Mapping[int, bytes] = field(repr=False)
    last_vector: bytes = field(repr=False)


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


def seal_vector(
    key: PublicKey,
    committee: Committee,
    vector: Vector,
    root_seed: bytes,
    context: KnowledgeContext,
) -> SealedVector:
    """Encrypt a slot vector, residues mod t, shape (degree,), with its replicated proofs.

    The result is a function of the arguments; `root_seed`, 32 bytes, is the only secret. The seeds
    of the shares also depend on the vector, so a root seed used twice by mistake tells nothing.
    Noise of V: n times that of one encryption.

    Raises:
        OutOfRange: wrong shape, an entry outside [0, t), a root seed that is not 32 bytes, or a
            context of another epoch.
    """
    ring = key.ring
    t = ring.plain_modulus
    if context.epoch != committee.epoch:
        raise OutOfRange("key epoch of the context", committee.epoch, context.epoch)
    if len(root_seed) != SEED_BYTES:
        raise OutOfRange("bytes of the root seed", SEED_BYTES, len(root_seed))
    packed = pack_vector(ring, vector)
    name = ring.name.encode()
    master = derive_seed(
        labels.OPENING_SEED, root_seed, committee.size, name, packed, *context.fields()
    )
    seeds = [derive_seed(labels.OPENING_SEED, master, j) for j in committee.members]
    last = committee.size - 1
    vectors = [_expand(ring, j, seeds[j], context) for j in range(last)]
    vectors.append(np.mod(vector - np.sum(vectors, axis=0), t))
    packed_last = pack_vector(ring, vectors[last])
    terms = []
    for j in committee.members:
        explicit = packed_last if j == last else b""
        seed = _encryption_seed(ring, j, seeds[j], explicit, context)
        terms.append((slots.encode(ring, vectors[j]), seed))
    proofs = tuple(
        KeyperProof(
            i,
            {j: seeds[j] for j in committee.shares_of(i)},
            b"" if i == last else packed_last,
        )
        for i in committee.members
    )
    return SealedVector(encrypt_sum(key, terms), proofs)


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


def reencrypt(
    key: PublicKey,
    committee: Committee,
    proof: KeyperProof,
    context: KnowledgeContext,
    encryption: ShareEncryption = encrypt_share,
) -> dict[int, EncryptedShare]:
    """V_j of every share that a keyper holds, by share number.

    Raises:
        MalformedProof: shares other than the keyper's, or a vector that is not one mod t.
    """
    expected = committee.shares_of(proof.keyper)
    if tuple(sorted(proof.seeds)) != expected:
        raise MalformedProof("share numbers", expected, tuple(sorted(proof.seeds)))
    last = committee.size - 1
    if bool(proof.last_vector) != (last in expected):
        raise MalformedProof("last vector", last in expected, bool(proof.last_vector))
    return {
        j: encryption(key, j, proof.seeds[j], proof.last_vector if j == last else b"", context)
        for j in expected
    }


def announce(
    key: PublicKey,
    committee: Committee,
    proof: KeyperProof,
    context: KnowledgeContext,
    sealed: Ciphertext,
    encryption: ShareEncryption = encrypt_share,
) -> ReencryptedProof:
    """First step of a keyper's check: re-encrypt, and take the digests.

    Raises:
        MalformedProof: see `reencrypt`.
    """
    shares = reencrypt(key, committee, proof, context, encryption)
    residual = sealed
    for share in shares.values():
        residual = residual.subtract(share.ciphertext)
    digests = {j: share.digest for j, share in shares.items()}
    return ReencryptedProof(ProofAnnouncement(proof.keyper, digests), residual.digest())


def verify_knowledge(
    committee: Committee,
    own: ReencryptedProof,
    announcements: Iterable[ProofAnnouncement],
) -> ProvenKnowledge:
    """Second step: accept when a strict majority of the holders of the missing share agrees.

    Raises:
        MissingShare: too few holders announced (n = 4: two are needed, n = 3: both).
        HoldersDisagree: no strict majority among them.
        SealingMismatch: what is left of V is not what they announced.
    """
    keyper = own.announcement.keyper
    announced = {a.keyper: a.digests[keyper] for a in announcements if keyper in a.digests}
    agreement = agree(committee, keyper, announced)
    if agreement.digest != own.residual:
        raise SealingMismatch(
            f"share {keyper}, as keyper {keyper} derives it from the ciphertext",
            agreement.digest.hex(),
            own.residual.hex(),
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
            proof_to_bytes(committee, vector.proofs[i]),
        )
        for i in committee.members
    )


def check_proof(
    secrets: KeyperSecrets,
    material: PublicMaterial,
    sealed: SealedIntent,
    domain: Domain,
    ciphertext: Ciphertext,
    envelope: bytes,
    encryption: ShareEncryption = encrypt_share,
) -> ReencryptedProof:
    """A keyper's first step on what a client sent it.

    Raises:
        WrongEpoch: the intent names another key epoch.
        SealingMismatch: the ciphertext is not the one that the intent names.
        EnvelopeRefused: the envelope was not sealed to this keyper for this intent.
        MalformedProof: its content is not this keyper's proof.
    """
    secrets.require_epoch(sealed.key_epoch)
    digest = ciphertext.digest()
    if digest != sealed.ciphertext_digest:
        expected = sealed.ciphertext_digest.hex()
        raise SealingMismatch("digest of the ciphertext", expected, digest.hex())
    keyper, committee = secrets.keyper, secrets.committee
    info = envelope_info(sealed.digest(domain), sealed.account, keyper, committee.shares_of(keyper))
    key = material.order_keys.public
    plaintext = open_envelope(secrets.envelope_key, info, envelope)
    proof = proof_from_bytes(key.ring, committee, keyper, plaintext)
    context = KnowledgeContext.of(sealed, domain)
    return announce(key, committee, proof, context, ciphertext, encryption)


def verify_sealing(
    key: PublicKey,
    committee: Committee,
    vector: Vector,
    root_seed: bytes,
    context: KnowledgeContext,
    ciphertext: Ciphertext,
) -> None:
    """Check that a ciphertext is, byte for byte, the sealing of a vector under a root seed.

    Raises:
        SealingMismatch: it is not.
        OutOfRange: see `seal_vector`.
    """
    again = seal_vector(key, committee, vector, root_seed, context).ciphertext
    if not np.array_equal(again.words, ciphertext.words):
        raise SealingMismatch(
            "ciphertext sealed again", ciphertext.digest().hex(), again.digest().hex()
        )


def proof_to_bytes(committee: Committee, proof: KeyperProof) -> bytes:
    """Header (magic, version, keyper, committee size), seeds by share, the packed last vector."""
    header = _HEADER.pack(_MAGIC, PROOF_VERSION, proof.keyper, committee.size)
    seeds = [proof.seeds[j] for j in committee.shares_of(proof.keyper)]
    return header + b"".join(seeds) + proof.last_vector


def proof_from_bytes(
    ring: RingParameters, committee: Committee, keyper: int, data: bytes
) -> KeyperProof:
    """Parse the proof that is meant for one keyper.

    Raises:
        MalformedProof: anything that `proof_to_bytes` would not have made for this keyper.
    """
    shares = committee.shares_of(keyper)
    holds_last = committee.size - 1 in shares
    size = _HEADER.size + len(shares) * SEED_BYTES + (_packed_size(ring) if holds_last else 0)
    if len(data) != size:
        raise MalformedProof("length in bytes", size, len(data))
    want = (_MAGIC, PROOF_VERSION, keyper, committee.size)
    got = _HEADER.unpack_from(data)
    if got != want:
        raise MalformedProof("header (magic, version, keyper, committee size)", want, got)
    position = _HEADER.size
    seeds = {}
    for share in shares:
        seeds[share] = data[position : position + SEED_BYTES]
        position += SEED_BYTES
    if holds_last:
        unpack_vector(ring, data[position:])
    return KeyperProof(keyper, seeds, data[position:])


def pack_vector(ring: RingParameters, vector: Vector) -> bytes:
    """Residues mod t, shape (degree,), in as many bits each as t has, lowest bit first.

    Raises:
        OutOfRange: wrong shape, or an entry outside [0, t).
    """
    t = ring.plain_modulus
    if vector.shape != (ring.degree,):
        raise OutOfRange("shape of a slot vector", (ring.degree,), vector.shape)
    if int(vector.min()) < 0 or int(vector.max()) >= t:
        got = f"{vector.min()} .. {vector.max()}"
        raise OutOfRange("entries of a slot vector", f"0 .. {t - 1}", got)
    octets = vector.astype("<u4").view(np.uint8).reshape(-1, 4)
    bits = np.unpackbits(octets, axis=1, bitorder="little")[:, : t.bit_length()]
    return np.packbits(bits, bitorder="little").tobytes()


def unpack_vector(ring: RingParameters, data: bytes) -> Vector:
    """Parse what `pack_vector` made, shape (degree,).

    Raises:
        MalformedProof: wrong length, or an entry at or above t.
    """
    size = _packed_size(ring)
    if len(data) != size:
        raise MalformedProof("length of the last vector in bytes", size, len(data))
    bits = np.zeros((ring.degree, 32), dtype=np.uint8)
    width = ring.plain_modulus.bit_length()
    stream = np.unpackbits(np.frombuffer(data, np.uint8), bitorder="little")
    bits[:, :width] = stream.reshape(ring.degree, width)
    words = np.packbits(bits, axis=1, bitorder="little").view("<u4").reshape(-1)
    if int(words.max()) >= ring.plain_modulus:
        expected = f"below {ring.plain_modulus}"
        raise MalformedProof("entry of the last vector", expected, int(words.max()))
    return words.astype(np.int64)


def _packed_size(ring: RingParameters) -> int:
    # A multiple of 8 entries, so no bits are left over.
    return ring.degree * ring.plain_modulus.bit_length() // 8


def _expand(ring: RingParameters, share: int, seed: bytes, context: KnowledgeContext) -> Vector:
    key = derive_seed(labels.OPENING_VECTOR, seed, share, ring.name.encode(), *context.fields())
    return uniform(key, labels.OPENING_VECTOR, ring.plain_modulus, ring.degree)


def _encryption_seed(
    ring: RingParameters, share: int, seed: bytes, explicit: bytes, context: KnowledgeContext
) -> bytes:
    return derive_seed(
        labels.OPENING_ENCRYPTION, seed, share, ring.name.encode(), explicit, *context.fields()
    )
