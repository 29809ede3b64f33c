"""Ciphertexts as NumPy words, and their two exact byte forms.

A ciphertext here is always of size 2, in coefficient form, at a *level*: the number of data primes
it still has. Two codecs, both strict (what they accept, they reproduce to the byte):

* the wire form: what a client sends and a record keeps; words packed to whole bytes;
* the SEAL form: SEAL 4.3's uncompressed serialisation, read and written by `crypto.bfv.seal`.
"""

from __future__ import annotations

import hashlib
import struct
from dataclasses import dataclass
from typing import Final

import numpy as np

from crypto import labels
from crypto.errors import MalformedCiphertext, OutOfRange
from crypto.ring.params import RingParameters
from crypto.ring.ring import RnsBasis, Words, rns_basis

WIRE_VERSION: Final = 1
_WIRE_MAGIC: Final = b"DPCT"
_WIRE_HEADER: Final = struct.Struct("<4sHBBI")
_RING_CODES: Final = {"order": 1, "comparison": 2}


@dataclass(frozen=True, slots=True)
class Ciphertext:
    """A BFV ciphertext (c0, c1) of one ring.

    Attributes:
        ring: the ring it belongs to.
        words: uint64 residues, shape (2, level, degree), coefficient form.
    """

    ring: RingParameters
    words: Words

    @property
    def level(self) -> int:
        """Data primes left, from len(ring.data_primes) down to 1."""
        return int(self.words.shape[1])

    @property
    def basis(self) -> RnsBasis:
        """Transform tables of this level."""
        return level_basis(self.ring, self.level)

    def digest(self) -> bytes:
        """32-byte SHA-256 over label, ring, level and words."""
        state = hashlib.sha256(labels.CIPHERTEXT_DIGEST)
        state.update(self.ring.name.encode() + bytes([self.level]))
        state.update(np.ascontiguousarray(self.words).astype("<u8", copy=False).tobytes())
        return state.digest()

    def add(self, other: Ciphertext) -> Ciphertext:
        """Homomorphic sum; noise adds."""
        return Ciphertext(self.ring, self.basis.add(self.words, other.words))

    def subtract(self, other: Ciphertext) -> Ciphertext:
        """Homomorphic difference; noise adds."""
        return Ciphertext(self.ring, self.basis.subtract(self.words, other.words))


def level_primes(ring: RingParameters, level: int) -> tuple[int, ...]:
    """The first `level` data primes of a ring.

    Raises:
        OutOfRange: the ring has no such level.
    """
    levels = len(ring.data_primes)
    if not 1 <= level <= levels:
        raise OutOfRange(f"level of {ring.name}", f"1 .. {levels}", level)
    return ring.data_primes[:level]


def level_basis(ring: RingParameters, level: int) -> RnsBasis:
    """Transform tables of the first `level` data primes of a ring.

    Raises:
        OutOfRange: the ring has no such level.
    """
    return rns_basis(ring.degree, level_primes(ring, level))


def word_bytes(ring: RingParameters) -> int:
    """Bytes of one packed word on the wire."""
    return (max(ring.data_primes).bit_length() + 7) // 8


def wire_size(ring: RingParameters, level: int) -> int:
    """Bytes of a ciphertext in wire form.

    Raises:
        OutOfRange: the ring has no such level.
    """
    return _WIRE_HEADER.size + 2 * len(level_primes(ring, level)) * ring.degree * word_bytes(ring)


def to_wire(ciphertext: Ciphertext) -> bytes:
    """Wire form: header (magic, version, ring code, level, degree), then words, little-endian."""
    ring = ciphertext.ring
    header = _WIRE_HEADER.pack(
        _WIRE_MAGIC, WIRE_VERSION, _ring_code(ring), ciphertext.level, ring.degree
    )
    octets = np.ascontiguousarray(ciphertext.words).astype("<u8", copy=False).view(np.uint8)
    return header + octets.reshape(-1, 8)[:, : word_bytes(ring)].tobytes()


def from_wire(data: bytes, ring: RingParameters, level: int) -> Ciphertext:
    """Parse the wire form of a ciphertext of exactly this ring and level.

    Raises:
        MalformedCiphertext: any other length, header, a coefficient at or above its prime, or a
            transparent ciphertext (c1 = 0).
        OutOfRange: the ring has no such level.
    """
    expected = wire_size(ring, level)
    if len(data) != expected:
        raise MalformedCiphertext("length in bytes", expected, len(data))
    want = (_WIRE_MAGIC, WIRE_VERSION, _ring_code(ring), level, ring.degree)
    got = _WIRE_HEADER.unpack_from(data)
    if got != want:
        raise MalformedCiphertext("header (magic, version, ring, level, degree)", want, got)
    packed = np.frombuffer(data, np.uint8, offset=_WIRE_HEADER.size)
    width = word_bytes(ring)
    octets = np.zeros((2 * level * ring.degree, 8), dtype=np.uint8)
    octets[:, :width] = packed.reshape(-1, width)
    words = octets.view("<u8").astype(np.uint64, copy=False).reshape(2, level, ring.degree)
    return require_ciphertext(ring, words)


def require_ciphertext(ring: RingParameters, words: Words) -> Ciphertext:
    """The ciphertext of residues below their primes that is not transparent.

    Raises:
        MalformedCiphertext: a coefficient at or above its prime, or c1 = 0.
    """
    primes = np.array(ring.data_primes[: words.shape[1]], dtype=np.uint64)
    largest = words.max(axis=(0, 2))
    bad = np.flatnonzero(largest >= primes)
    if bad.size:
        k = int(bad[0])
        raise MalformedCiphertext(
            f"coefficient modulo prime {k}", f"below {primes[k]}", int(largest[k])
        )
    if not words[1].any():
        raise MalformedCiphertext("second component", "not zero", "zero (transparent)")
    return Ciphertext(ring, words)


def zero(ring: RingParameters, level: int | None = None) -> Ciphertext:
    """The all-zero ciphertext: neutral for sums, never itself opened or sent."""
    level = len(ring.data_primes) if level is None else level
    return Ciphertext(ring, np.zeros((2, level, ring.degree), dtype=np.uint64))


def _ring_code(ring: RingParameters) -> int:
    return _RING_CODES[ring.name.rsplit("/", 1)[1]]
