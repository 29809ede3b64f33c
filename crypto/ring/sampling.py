"""Deterministic sampling: from a 32-byte seed to polynomials, byte for byte the same everywhere.

All streams are SHAKE256 (FIPS 202) over length-prefixed fields, except the flooding noise of
decryption shares, which has its own sampler. Rejection never biases; where a stream runs short, a
longer prefix of the same stream is read, so the result does not depend on buffer sizes.
"""

# mypy: disable-error-code="untyped-decorator,no-untyped-def"
from __future__ import annotations

import hashlib
from collections.abc import Callable
from typing import Final

import numpy as np
import numpy.typing as npt
from numba import njit

from crypto.compiled import kernel

SEED_BYTES: Final = 32


def absorb(label: bytes, *fields: bytes | int) -> bytes:
    """Unambiguous encoding of a label and fields: each with its length; integers as 8 bytes."""
    parts = []
    for field in (label, *fields):
        octets = field.to_bytes(8, "little") if isinstance(field, int) else field
        parts.append(len(octets).to_bytes(8, "little") + octets)
    return b"".join(parts)


def derive_seed(label: bytes, *fields: bytes | int) -> bytes:
    """32 bytes of SHAKE256 over `absorb(label, *fields)`; one of the fields holds the secret."""
    return hashlib.shake_256(absorb(label, *fields)).digest(SEED_BYTES)


def stream(seed: bytes, purpose: bytes, size: int) -> npt.NDArray[np.uint8]:
    """The first `size` bytes of the stream of a seed and purpose."""
    return np.frombuffer(hashlib.shake_256(absorb(purpose, seed)).digest(size), np.uint8)


@kernel
def _ternary(octets, values):
    filled = 0
    for octet in octets:
        for shift in (0, 2, 4, 6):
            value = (octet >> shift) & 3
            if value < 3 and filled < values.size:
                values[filled] = np.int64(value) - 1
                filled += 1
    return filled


@njit(inline="always")
def _weight(low, middle, high):
    """Number of ones among the low 21 bits of three octets, without a branch."""
    x = np.uint64(low) | np.uint64(middle) << np.uint64(8)
    x |= np.uint64(high & 0x1F) << np.uint64(16)
    x -= (x >> np.uint64(1)) & np.uint64(0x555555)
    x = (x & np.uint64(0x333333)) + ((x >> np.uint64(2)) & np.uint64(0x333333))
    x = (x + (x >> np.uint64(4))) & np.uint64(0x0F0F0F)
    return np.int64((x * np.uint64(0x010101) >> np.uint64(16)) & np.uint64(0x1F))


@kernel
def _binomial(octets, values):
    for i in range(values.size):
        o = 6 * i
        positive = _weight(octets[o], octets[o + 1], octets[o + 2])
        values[i] = positive - _weight(octets[o + 3], octets[o + 4], octets[o + 5])
    return values.size


@kernel
def _below(words, bound, mask, values):
    filled = 0
    for word in words:
        value = word & mask
        if value < bound and filled < values.size:
            values[filled] = value
            filled += 1
    return filled


def _fill(
    values: npt.NDArray[np.generic],
    size: int,
    read: Callable[[int], npt.NDArray[np.uint8]],
    kernel: Callable[[npt.NDArray[np.uint8]], int],
) -> None:
    while kernel(read(size)) < values.size:
        size *= 2


def ternary(seed: bytes, purpose: bytes, size: int) -> npt.NDArray[np.int64]:
    """Uniform values in {-1, 0, 1}, shape (size,): two bits each, lowest first, 3 rejected."""
    values = np.empty(size, dtype=np.int64)
    _fill(
        values,
        size // 2 + 8,
        lambda n: stream(seed, purpose, n),
        lambda o: int(_ternary(o, values)),
    )
    return values


def binomial(seed: bytes, purpose: bytes, size: int) -> npt.NDArray[np.int64]:
    """Centred binomial values of 21 coin pairs (variance 10.5), shape (size,), six bytes each."""
    values = np.empty(size, dtype=np.int64)
    _binomial(stream(seed, purpose, 6 * size), values)
    return values


def uniform(seed: bytes, purpose: bytes, modulus: int, size: int) -> npt.NDArray[np.int64]:
    """Uniform values in [0, modulus), modulus below 2^32, shape (size,).

    Little-endian 32-bit words cut to the modulus's bit length; values at or above it rejected.
    """
    values = np.empty(size, dtype=np.int64)
    mask = (1 << modulus.bit_length()) - 1

    def read(n: int) -> npt.NDArray[np.uint8]:
        return stream(seed, purpose, n)

    def kernel(octets: npt.NDArray[np.uint8]) -> int:
        return int(_below(octets.view("<u4").astype(np.int64), modulus, mask, values))

    _fill(values, 4 * (size + size // 4 + 64), read, kernel)
    return values


def signs(seed: bytes, purpose: bytes, size: int) -> npt.NDArray[np.int64]:
    """Uniform values in {-1, +1}, shape (size,): one bit each, lowest first, 1 for -1."""
    bits = np.unpackbits(stream(seed, purpose, (size + 7) // 8), bitorder="little")[:size]
    return 1 - 2 * bits.astype(np.int64)
