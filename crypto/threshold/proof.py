"""The replicated proof as one keyper gets it, and its byte form (docs/protocol/encryption.md)."""

from __future__ import annotations

import struct
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final, Self

import numpy as np
import numpy.typing as npt

from crypto.errors import MalformedProof, OutOfRange
from crypto.ring.params import RingParameters
from crypto.ring.sampling import SEED_BYTES
from crypto.threshold.replicated import Committee, split_seeds

Vector = npt.NDArray[np.int64]

PROOF_VERSION: Final = 1
_MAGIC: Final = b"DPSO"
_HEADER: Final = struct.Struct("<4sHBB")


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

    def to_bytes(self, committee: Committee) -> bytes:
        """Header (magic, version, keyper, size), seeds by share, the packed last vector."""
        header = _HEADER.pack(_MAGIC, PROOF_VERSION, self.keyper, committee.size)
        seeds = [self.seeds[j] for j in committee.shares_of(self.keyper)]
        return header + b"".join(seeds) + self.last_vector

    @classmethod
    def from_bytes(
        cls, ring: RingParameters, committee: Committee, keyper: int, data: bytes
    ) -> Self:
        """Parse the proof that is meant for one keyper.

        Raises:
            MalformedProof: anything that `to_bytes` would not have made for this keyper.
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
        seeds = split_seeds(shares, data[_HEADER.size :])
        last_vector = data[_HEADER.size + len(shares) * SEED_BYTES :]
        if holds_last:
            unpack_vector(ring, last_vector)
        return cls(keyper, seeds, last_vector)


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
