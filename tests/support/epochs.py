"""Dealt key epochs, with everything that only a test may see, and SEAL's own decryptor."""

import struct
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
import tenseal.sealapi as sealapi

from crypto.bfv.ciphertext import Ciphertext
from crypto.bfv.seal import Evaluator, seal_ring
from crypto.ring.params import STANDARD, TEST_INSECURE_SMALL, ParameterSet, RingParameters
from crypto.ring.ring import Words, rns_basis
from crypto.threshold.keys import KeyperSecrets, PublicMaterial, RingKeys, deal, secret_share
from crypto.threshold.replicated import Committee

EPOCH = 7


def chi_square_excess(counts: npt.NDArray[np.int64], expected: npt.NDArray[np.float64]) -> float:
    """Distance of Pearson's statistic from its mean, in its standard deviations."""
    statistic = float((((counts - expected) ** 2) / expected).sum())
    freedom = counts.size - 1
    return (statistic - freedom) / float(np.sqrt(2 * freedom))


class SealOracle:
    """SEAL's own decryptor with the whole secret, which no party of the protocol has."""

    def __init__(self, ring: RingParameters, secret: Words) -> None:
        self.ring = ring
        self.context = seal_ring(ring).context
        key = self.loaded(sealapi.SecretKey(), self._secret_bytes(secret))
        self._decryptor = sealapi.Decryptor(self.context, key)
        self.encoder = sealapi.BatchEncoder(self.context)

    def _secret_bytes(self, secret: Words) -> bytes:
        words = np.ascontiguousarray(secret).astype("<u8").tobytes()
        array = struct.pack("<HBBBBHQ", 0xA15E, 16, 4, 3, 0, 0, 24 + len(words))
        body = seal_ring(self.ring).key_parms_id + struct.pack("<Qd", secret.size, 1.0)
        body += array + struct.pack("<Q", secret.size) + words
        return struct.pack("<HBBBBHQ", 0xA15E, 16, 4, 3, 0, 0, 16 + len(body)) + body

    def loaded(self, handle: object, data: bytes) -> object:
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "object"
            path.write_bytes(data)
            handle.load(self.context, str(path))  # type: ignore[attr-defined]
        return handle

    def slots(self, ciphertext: Ciphertext) -> npt.NDArray[np.int64]:
        plain = sealapi.Plaintext()
        self._decryptor.decrypt(seal_ring(self.ring).to_seal(ciphertext), plain)
        return np.array(self.encoder.decode_uint64(plain), dtype=np.int64)

    def budget(self, ciphertext: Ciphertext) -> int:
        handle = seal_ring(self.ring).to_seal(ciphertext)
        return int(self._decryptor.invariant_noise_budget(handle))


@dataclass(frozen=True, repr=False)
class Epoch:
    """A dealt key epoch, with everything that only a test may see."""

    parameters: ParameterSet
    committee: Committee
    material: PublicMaterial
    secrets: tuple[KeyperSecrets, ...]

    def __repr__(self) -> str:
        return f"Epoch({self.parameters.name}, {self.committee})"

    @property
    def seeds(self) -> dict[int, bytes]:
        return {**self.secrets[0].seeds, **self.secrets[1].seeds}

    def ring_keys(self, ring: RingParameters) -> RingKeys:
        return (
            self.material.order_keys
            if ring == self.parameters.order_ring
            else self.material.comparison_keys
        )

    def secret(self, ring: RingParameters) -> Words:
        basis = rns_basis(ring.degree, ring.key_primes)
        total = np.zeros((len(ring.key_primes), ring.degree), dtype=np.uint64)
        for seed in self.seeds.values():
            total = basis.add(total, secret_share(ring, seed))
        return total

    def oracle(self, ring: RingParameters) -> SealOracle:
        return SealOracle(ring, self.secret(ring))


@cache
def dealt(parameters: ParameterSet, size: int, number: int = EPOCH) -> Epoch:
    """An epoch, dealt once for all tests of this process."""
    committee = Committee(size, number)
    material, held = deal(parameters, committee)
    return Epoch(parameters, committee, material, held)


@pytest.fixture(scope="session")
def small() -> Epoch:
    """Four keypers on the insecure small rings."""
    return dealt(TEST_INSECURE_SMALL, 4)


@pytest.fixture(scope="session")
def small_three() -> Epoch:
    """Three keypers on the insecure small rings."""
    return dealt(TEST_INSECURE_SMALL, 3)


@pytest.fixture(scope="session")
def standard() -> Epoch:
    """Four keypers on the rings of production."""
    return dealt(STANDARD, 4)


@pytest.fixture(scope="session")
def evaluator_of() -> Callable[[RingKeys], Evaluator]:
    """Evaluator of a ring's keys, loaded once."""
    loaded: dict[bytes, Evaluator] = {}

    def evaluator(keys: RingKeys) -> Evaluator:
        name = keys.digest()
        if name not in loaded:
            loaded[name] = Evaluator(keys.evaluation_keys())
        return loaded[name]

    return evaluator


@pytest.fixture(scope="session")
def order(small: Epoch, evaluator_of: Callable[[RingKeys], Evaluator]) -> Evaluator:
    """Evaluator of the small order ring."""
    return evaluator_of(small.material.order_keys)
