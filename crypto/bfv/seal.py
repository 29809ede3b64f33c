"""The only door to SEAL: contexts, strict conversion of its bytes, and its evaluator.

SEAL's 128-bit check is on for every set that is not named TEST_INSECURE_*. Byte layouts are those
of SEAL 4.3; every field of every header is compared, so what loads is exactly what was meant.
Secrets cross into SEAL through an anonymous memory file, never through a disk.
"""

from __future__ import annotations

import os
import struct
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from math import prod
from threading import Lock
from typing import Any, Final

import numpy as np
import tenseal.sealapi as sealapi
import zstandard

from crypto.bfv.ciphertext import Ciphertext, level_primes, require_ciphertext
from crypto.bfv.encryption import PublicKey
from crypto.errors import MalformedCiphertext, MalformedKey
from crypto.ring.params import RingParameters
from crypto.ring.ring import Words

_HEADER: Final = struct.Struct("<HBBBBHQ")
_MAGIC: Final = 0xA15E
_VERSION: Final = (4, 3)
_CIPHERTEXT: Final = struct.Struct("<32sBQQQdQ16sQ")
_FIELDS: Final = (
    "level",
    "transform flag",
    "size",
    "degree",
    "primes",
    "scale",
    "correction factor",
    "array header",
    "array length",
)
_SECRET: Final = struct.Struct("<32sQd16sQ")
_ZSTD: Final = 2
_WINDOW_BYTES_MAX: Final = 1 << 23


class _MemoryFile:
    """An anonymous file of this process; SEAL saves and loads by path only."""

    def __init__(self) -> None:
        self._owner = os.getpid()
        self._descriptor = os.memfd_create("seal", os.MFD_CLOEXEC)
        self._lock = Lock()

    def _path(self) -> str:
        if self._owner != os.getpid():
            self.__init__()  # type: ignore[misc]  # a forked child must not share offset or lock
        return f"/proc/self/fd/{self._descriptor}"

    def save(self, thing: Any) -> bytes:
        path = self._path()
        with self._lock:
            os.ftruncate(self._descriptor, 0)
            thing.save(path)
            size = os.fstat(self._descriptor).st_size
            return os.pread(self._descriptor, size, 0)

    def load(self, thing: Any, context: Any, parts: Sequence[bytes | memoryview]) -> None:
        path = self._path()
        with self._lock:
            os.ftruncate(self._descriptor, 0)
            os.lseek(self._descriptor, 0, os.SEEK_SET)
            os.writev(self._descriptor, parts)
            try:
                thing.load(context, path)
            finally:
                os.ftruncate(self._descriptor, 0)


_FILE: Final = _MemoryFile()


def _header(size: int) -> bytes:
    return _HEADER.pack(_MAGIC, _HEADER.size, *_VERSION, 0, 0, size)


def _array_header(count: int) -> bytes:
    return _header(_HEADER.size + 8 + 8 * count)


def _compression(data: bytes, refuse: type[MalformedCiphertext | MalformedKey]) -> int:
    """Compression mode of a SEAL object whose header fits its bytes exactly."""
    if len(data) < _HEADER.size:
        raise refuse("SEAL header", f"{_HEADER.size} bytes", f"{len(data)} bytes")
    magic, header, major, minor, mode, reserved, size = _HEADER.unpack_from(data)
    want = (_MAGIC, _HEADER.size, *_VERSION, 0, len(data))
    got = (magic, header, major, minor, reserved, size)
    if got != want:
        raise refuse("SEAL header (magic, length, version, reserved, size)", want, got)
    if mode not in (0, _ZSTD):
        raise refuse("SEAL compression mode", f"0 or {_ZSTD}", mode)
    return int(mode)


def unwrap(data: bytes, size: int) -> bytes:
    """Body, of exactly `size` bytes, of one SEAL object, decompressed.

    Never allocates more than `size` bytes and one window, whatever a frame claims.

    Raises:
        MalformedCiphertext: wrong magic, version, length or compression, or trailing bytes.
    """
    mode = _compression(data, MalformedCiphertext)
    body = data[_HEADER.size :]
    if mode == _ZSTD:
        inflate = zstandard.ZstdDecompressor(max_window_size=_WINDOW_BYTES_MAX)
        try:
            claimed = zstandard.get_frame_parameters(body).content_size
            if claimed not in (size, zstandard.CONTENTSIZE_UNKNOWN):
                raise MalformedCiphertext("SEAL body length", size, claimed)
            body = inflate.decompress(body, max_output_size=size, allow_extra_data=False)
        except zstandard.ZstdError as error:
            raise MalformedCiphertext("SEAL body", "one whole zstd frame", str(error)) from error
    if len(body) != size:
        raise MalformedCiphertext("SEAL body length", size, len(body))
    return body


class SealRing:
    """SEAL's context of one ring.

    Raises:
        InsecureParameters: a test-only ring outside the tests.
    """

    def __init__(self, ring: RingParameters) -> None:
        ring.require_usable()
        self.ring = ring
        settings = sealapi.EncryptionParameters(sealapi.SCHEME_TYPE.BFV)
        settings.set_poly_modulus_degree(ring.degree)
        settings.set_coeff_modulus([sealapi.Modulus(p) for p in ring.key_primes])
        settings.set_plain_modulus(ring.plain_modulus)
        level = sealapi.SEC_LEVEL_TYPE.TC128 if ring.secure else sealapi.SEC_LEVEL_TYPE.NONE
        self.context = sealapi.SEALContext(settings, True, level)
        if not self.context.parameters_set():
            raise MalformedKey("ring", "parameters that SEAL accepts", ring.name)
        self._parms_ids = self._levels()
        self.key_parms_id = _id_bytes(self.context.key_parms_id())

    def _levels(self) -> dict[int, bytes]:
        levels = {}
        data = self.context.first_context_data()
        while data is not None:
            levels[len(data.parms().coeff_modulus())] = _id_bytes(data.parms_id())
            data = data.next_context_data()
        return levels

    def parms_id(self, level: int) -> bytes:
        """SEAL's 32-byte identifier of a level.

        Raises:
            OutOfRange: the ring has no such level.
        """
        return self._parms_ids[len(level_primes(self.ring, level))]

    def to_seal(self, ciphertext: Ciphertext, *, transformed: bool = False) -> Any:
        """SEAL's object for a ciphertext (words in transform form if `transformed`)."""
        handle = sealapi.Ciphertext()
        _FILE.load(handle, self.context, self._parts(ciphertext, transformed))
        return handle

    def to_bytes(self, ciphertext: Ciphertext) -> bytes:
        """SEAL's uncompressed serialisation."""
        return b"".join(self._parts(ciphertext, False))

    def _parts(self, ciphertext: Ciphertext, transformed: bool) -> list[bytes | memoryview]:
        words = np.ascontiguousarray(ciphertext.words)
        components, level, degree = words.shape
        form, header = int(transformed), _array_header(words.size)
        fields = (self.parms_id(level), form, components, degree, level, 1.0, 1)
        body = _CIPHERTEXT.pack(*fields, header, words.size)
        size = _HEADER.size + len(body) + 8 * words.size
        return [_header(size) + body, _octets(words)]

    def from_seal(self, handle: Any) -> Ciphertext:
        """Words of a size-2 coefficient-form SEAL object."""
        return self.from_bytes(_FILE.save(handle), int(handle.coeff_modulus_size()))

    def product_words(self, handle: Any) -> Words:
        """Words of a size-3 coefficient-form SEAL object, shape (3, level, degree)."""
        level = int(handle.coeff_modulus_size())
        count = 3 * level * self.ring.degree
        words = _words(unwrap(_FILE.save(handle), _CIPHERTEXT.size + 8 * count))
        return words.reshape(3, level, self.ring.degree)

    def from_bytes(self, data: bytes, level: int) -> Ciphertext:
        """Parse SEAL's serialisation of a ciphertext of this ring at this level.

        Raises:
            MalformedCiphertext: anything else: other parameters or level, transform form, a size
                other than 2, wrong lengths, coefficients out of range, a transparent ciphertext.
            OutOfRange: the ring has no such level.
        """
        parms_id = self.parms_id(level)
        count = 2 * level * self.ring.degree
        body = unwrap(data, _CIPHERTEXT.size + 8 * count)
        degree, header = self.ring.degree, _array_header(count)
        want = (parms_id, 0, 2, degree, level, 1.0, 1, header, count)
        got = _CIPHERTEXT.unpack_from(body)
        if got != want:
            field = next(i for i, value in enumerate(want) if got[i] != value)
            raise MalformedCiphertext(f"SEAL {_FIELDS[field]}", want[field], got[field])
        return require_ciphertext(self.ring, _words(body).reshape(2, level, self.ring.degree))


def _words(body: bytes) -> Words:
    """Words behind the fields of a ciphertext's body."""
    words: Words = np.frombuffer(body, "<u8", offset=_CIPHERTEXT.size).astype(np.uint64, copy=False)
    return words


def _octets(words: Words) -> memoryview:
    return words.reshape(-1).view(np.uint8).data


def _id_bytes(words: Iterable[int]) -> bytes:
    return struct.pack("<4Q", *words)


@lru_cache(maxsize=8)
def seal_ring(ring: RingParameters) -> SealRing:
    """The context of a ring, built once a process (a context costs tens of milliseconds)."""
    return SealRing(ring)


class EvaluationKeys:
    """Relinearisation key and exactly the Galois keys that the protocol uses, as SEAL objects.

    `relinearisation` and `galois` are SEAL serialisations; `elements` names the Galois elements.

    Raises:
        MalformedKey: SEAL refuses the bytes, or they hold other keys than these, or trailing bytes.
    """

    def __init__(
        self, ring: RingParameters, relinearisation: bytes, galois: bytes, elements: Sequence[int]
    ) -> None:
        self.ring = ring
        self.elements = tuple(elements)
        self.relinearisation_handle = sealapi.RelinKeys()
        self.galois_handle = sealapi.GaloisKeys()
        self._load(self.relinearisation_handle, relinearisation, 1)
        self._load(self.galois_handle, galois, len(set(self.elements)))
        if not self.relinearisation_handle.has_key(2):
            raise MalformedKey("relinearisation key", "one for the square", "no key for it")
        for element in self.elements:
            odd = element % 2 == 1 and 0 < element < 2 * ring.degree
            if not odd or not self.galois_handle.has_key(element):
                raise MalformedKey("Galois element", element, "no key for it")

    def _load(self, handle: Any, data: bytes, count: int) -> None:
        if _compression(data, MalformedKey) == _ZSTD:
            _require_inflated(memoryview(data)[_HEADER.size :], _key_bytes_max(self.ring, count))
        try:
            _FILE.load(handle, seal_ring(self.ring).context, [data])
        except (RuntimeError, ValueError, IndexError, OverflowError, MemoryError) as error:
            raise MalformedKey(self.ring.name, "keys that SEAL accepts", str(error)) from error
        if handle.size() != count:
            raise MalformedKey("number of keys", count, handle.size())


def _key_bytes_max(ring: RingParameters, count: int) -> int:
    """No less than the bytes of this many evaluation keys: what they hold, and their headers."""
    primes = len(ring.key_primes)
    one = 2 * primes * ring.degree * 8 + _CIPHERTEXT.size + _HEADER.size
    return count * (primes - 1) * one + 8 * (ring.degree + count) + 1024


def _require_inflated(body: memoryview, size_max: int) -> None:
    """Refuse what SEAL would inflate to more; nothing of it is kept.

    Raises:
        MalformedKey: it is more, or no zstd frame.
    """
    left = size_max
    inflate = zstandard.ZstdDecompressor(max_window_size=_WINDOW_BYTES_MAX)
    try:
        with inflate.stream_reader(body, read_across_frames=True) as reader:
            while chunk := reader.read(_WINDOW_BYTES_MAX):
                left -= len(chunk)
                if left < 0:
                    raise MalformedKey(
                        "inflated keys", f"at most {size_max} bytes", f"{size_max - left} or more"
                    )
    except zstandard.ZstdError as error:
        raise MalformedKey("SEAL body", "whole zstd frames", str(error)) from error


@dataclass(frozen=True, slots=True)
class DealtKeys:
    """What a dealer publishes of a secret key; the evaluation keys are SEAL serialisations."""

    public: PublicKey
    relinearisation: bytes
    galois: bytes


def dealt_keys(ring: RingParameters, secret: Words, elements: Sequence[int]) -> DealtKeys:
    """Public and evaluation keys for a secret key.

    Args:
        secret: the secret polynomial, transform form, shape (primes of the key level, degree).
        elements: Galois elements to make keys for.
    """
    environment = seal_ring(ring)
    generator = sealapi.KeyGenerator(environment.context, _secret_key(environment, secret))
    public = sealapi.PublicKey()
    generator.create_public_key(public)
    relinearisation = _FILE.save(generator.create_relin_keys())
    galois = _FILE.save(generator.create_galois_keys(list(elements)))
    shape = (2, len(ring.key_primes), ring.degree)
    body = unwrap(_FILE.save(public), _CIPHERTEXT.size + 8 * prod(shape))
    words = _words(body).reshape(shape).copy()
    return DealtKeys(PublicKey(ring, words), relinearisation, galois)


def _secret_key(environment: SealRing, secret: Words) -> Any:
    words = np.ascontiguousarray(secret)
    count = words.size
    body = _SECRET.pack(environment.key_parms_id, count, 1.0, _array_header(count), count)
    header = _header(_HEADER.size + len(body) + 8 * count)
    key = sealapi.SecretKey()
    _FILE.load(key, environment.context, [header + body, _octets(words)])
    return key


class Evaluator:
    """Homomorphic operations of one ring on SEAL handles; every one is deterministic.

    Handles are SEAL ciphertexts; methods return new ones and leave their arguments alone.
    """

    def __init__(self, keys: EvaluationKeys) -> None:
        self.ring = keys.ring
        self._seal = seal_ring(keys.ring)
        self._keys = keys
        self._evaluator = sealapi.Evaluator(self._seal.context)

    def load(self, ciphertext: Ciphertext, *, transformed: bool = False) -> Any:
        """Handle of a ciphertext."""
        return self._seal.to_seal(ciphertext, transformed=transformed)

    def store(self, handle: Any) -> Ciphertext:
        """Ciphertext of a size-2 handle in coefficient form."""
        return self._seal.from_seal(handle)

    def product_words(self, handle: Any) -> Words:
        """Words of a product that was not relinearised, shape (3, level, degree)."""
        return self._seal.product_words(handle)

    def relinearised(self, words: Words) -> Ciphertext:
        """Ciphertext of a product's words, shape (3, level, degree), coefficient form."""
        return self.store(self.relinearise(self.load(Ciphertext(self.ring, words))))

    def level(self, handle: Any) -> int:
        """Data primes that a handle still has."""
        return int(handle.coeff_modulus_size())

    def multiply(self, a: Any, b: Any) -> Any:
        """Product of two handles of one level, relinearised."""
        result = sealapi.Ciphertext()
        self._evaluator.multiply(a, b, result)
        self._evaluator.relinearize_inplace(result, self._keys.relinearisation_handle)
        return result

    def multiply_only(self, a: Any, b: Any) -> Any:
        """Product of two handles of one level, of size 3: sum several, then `relinearise`."""
        result = sealapi.Ciphertext()
        self._evaluator.multiply(a, b, result)
        return result

    def relinearise(self, a: Any) -> Any:
        """Size-3 handle to size 2."""
        result = sealapi.Ciphertext()
        self._evaluator.relinearize(a, self._keys.relinearisation_handle, result)
        return result

    def add(self, a: Any, b: Any) -> Any:
        """Sum of two handles of one level."""
        result = sealapi.Ciphertext()
        self._evaluator.add(a, b, result)
        return result

    def subtract(self, a: Any, b: Any) -> Any:
        """Difference of two handles of one level."""
        result = sealapi.Ciphertext()
        self._evaluator.sub(a, b, result)
        return result

    def negate(self, a: Any) -> Any:
        """Negated handle."""
        result = sealapi.Ciphertext()
        self._evaluator.negate(a, result)
        return result

    def apply_galois(self, a: Any, element: int) -> Any:
        """Galois map X -> X^element of a handle; the key for the element must exist."""
        result = sealapi.Ciphertext()
        self._evaluator.apply_galois(a, element, self._keys.galois_handle, result)
        return result

    def switch_to(self, a: Any, level: int) -> Any:
        """Handle at a lower level (fewer primes), noise divided with it."""
        result = a
        while self.level(result) > level:
            lower = sealapi.Ciphertext()
            self._evaluator.mod_switch_to_next(result, lower)
            result = lower
        return result
