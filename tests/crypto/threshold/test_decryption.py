from itertools import combinations
from math import log2, prod

import numpy as np
import numpy.typing as npt
import pytest
import tenseal.sealapi as sealapi
from hypothesis import given, settings
from hypothesis import strategies as st

from crypto.bfv.ciphertext import Ciphertext, level_basis
from crypto.bfv.encryption import encrypt_slots
from crypto.bfv.seal import seal_ring
from crypto.errors import HoldersDisagree, MalformedCiphertext, MissingShare, TooLittleMargin
from crypto.ring.params import STANDARD, TEST_INSECURE_SMALL, RingParameters
from crypto.ring.ring import Words
from crypto.ring.slots import decode, encode
from crypto.threshold.decryption import (
    DECODING_BITS,
    STATISTICAL_BITS,
    budget_bits_min,
    combine_shares,
    decode_phase,
    decryption_share,
    flooding_digits,
    noise_bits_max,
)
from crypto.threshold.keys import secret_share
from crypto.threshold.replicated import Committee, agree, share_digest
from tests.support.epochs import EPOCH, Epoch, SealOracle, chi_square_excess

RINGS = [
    ring
    for parameters in (STANDARD, TEST_INSECURE_SMALL)
    for ring in (parameters.order_ring, parameters.comparison_ring)
]
DIGITS = {"order": {2: 6, 3: 12, 4: 17}, "comparison": {2: 10, 3: 17, 4: 23, 5: 30, 6: 37, 7: 44}}


def _digits(ring: RingParameters) -> dict[int, int]:
    return DIGITS[ring.name.rsplit("/", 1)[1]]


LEVELS = [(ring, level) for ring in RINGS for level in _digits(ring)]
ORDER = TEST_INSECURE_SMALL.order_ring
COMPARISON = TEST_INSECURE_SMALL.comparison_ring


@pytest.fixture(scope="session")
def epochs(small: Epoch, standard: Epoch) -> dict[RingParameters, Epoch]:
    return {
        ring: epoch
        for epoch in (small, standard)
        for ring in (epoch.parameters.order_ring, epoch.parameters.comparison_ring)
    }


def _values(ring: RingParameters, seed: int) -> npt.NDArray[np.int64]:
    return np.random.default_rng(seed).integers(0, ring.plain_modulus, ring.degree)


def _encrypted(
    epoch: Epoch, ring: RingParameters, level: int, values: npt.NDArray[np.int64], seed: int = 1
) -> Ciphertext:
    """A fresh encryption, switched down to a level."""
    fresh = encrypt_slots(epoch.ring_keys(ring).public, values, seed.to_bytes(32, "big"))
    environment = seal_ring(ring)
    handle = environment.to_seal(fresh)
    for _ in range(len(ring.data_primes) - level):
        sealapi.Evaluator(environment.context).mod_switch_to_next_inplace(handle)
    return environment.from_seal(handle)


def _shares(epoch: Epoch, ciphertext: Ciphertext) -> list[Words]:
    return [decryption_share(ciphertext, EPOCH, seed) for seed in epoch.seeds.values()]


def _phase(ciphertext: Ciphertext, shares: list[Words]) -> Words:
    phase = ciphertext.words[0]
    for share in shares:
        phase = ciphertext.basis.add(phase, share)
    total: Words = phase
    return total


def _integers(words: Words, moduli: tuple[int, ...]) -> list[int]:
    q = prod(moduli)
    weights = [q // p * pow(q // p, -1, p) for p in moduli]
    return [sum(int(x) * w for x, w in zip(column, weights, strict=True)) % q for column in words.T]


@pytest.mark.parametrize(("ring", "level"), LEVELS, ids=lambda x: getattr(x, "name", x))
def test_opens_to_the_plaintext_on_every_level_that_floods(
    epochs: dict[RingParameters, Epoch], ring: RingParameters, level: int
) -> None:
    epoch, values = epochs[ring], _values(ring, level)
    ciphertext = _encrypted(epoch, ring, level, values)
    # What the flooding leaves, as SEAL sees it: its decryptor under the zero key, on the phase.
    shares = _shares(epoch, ciphertext)
    decoded = combine_shares(ciphertext, shares, epoch.committee.size)
    assert np.array_equal(decode(ring, decoded.coefficients), values)
    opened = Ciphertext(ring, np.stack([_phase(ciphertext, shares), ciphertext.words[1]]))
    nobody = SealOracle(ring, np.zeros((len(ring.key_primes), ring.degree), dtype=np.uint64))
    assert np.array_equal(nobody.slots(opened), values)
    assert abs(nobody.budget(opened) - decoded.budget_bits) <= 1
    assert DECODING_BITS <= decoded.budget_bits < DECODING_BITS + 8 + 4
    assert epoch.oracle(ring).budget(ciphertext) >= budget_bits_min(ring, level)


def test_three_keypers_open_too(small_three: Epoch) -> None:
    for ring, level in ((ORDER, 4), (COMPARISON, 2)):
        values = _values(ring, 5)
        ciphertext = _encrypted(small_three, ring, level, values)
        decoded = combine_shares(ciphertext, _shares(small_three, ciphertext), 3)
        assert np.array_equal(decode(ring, decoded.coefficients), values)


@pytest.mark.parametrize("ring", RINGS, ids=lambda ring: ring.name)
def test_flooding_width_is_the_widest_that_decodes(ring: RingParameters) -> None:
    for level in range(1, len(ring.data_primes) + 1):
        q, t = prod(ring.data_primes[:level]), ring.plain_modulus
        if level not in _digits(ring):
            with pytest.raises(TooLittleMargin) as caught:
                flooding_digits(ring, level)
            assert caught.value.expected == f"at least {STATISTICAL_BITS + 8} bits"
            continue
        digits = flooding_digits(ring, level)
        assert digits == _digits(ring)[level]
        # Four shares, eight deviations of their sum, and DECODING_BITS below q / 2t.
        deviation = 2.0 ** (8 * digits + 1) * np.sqrt(1 + 1 / 65535)
        left = log2(q / (2 * t)) - log2(8 * np.sqrt(4) * deviation)
        assert DECODING_BITS <= left < DECODING_BITS + 8 + 1
        assert noise_bits_max(ring, level) == 8 * digits + 1 - STATISTICAL_BITS
        largest = 2.0 ** noise_bits_max(ring, level)
        assert log2(q / (2 * t)) - log2(largest) <= budget_bits_min(ring, level) + 2
        assert budget_bits_min(ring, level) <= log2(q / (2 * t)) - log2(largest) + 1


def test_the_renyi_argument_in_numbers() -> None:
    # Order 2, shift c, deviation s: the divergence of one coefficient is exp(c^2 / s^2).
    coefficients, openings = 2**14, 2**20
    exponent = coefficients * openings * 2.0 ** (-2 * STATISTICAL_BITS)
    assert np.expm1(exponent) <= 2.0**-45.9
    assert max(ring.degree for ring in RINGS) == coefficients


@pytest.mark.parametrize("ring", [ORDER, COMPARISON], ids=lambda ring: ring.name)
def test_a_share_is_a_function_of_c1_alone(small: Epoch, ring: RingParameters) -> None:
    level = len(ring.data_primes)
    ciphertext = _encrypted(small, ring, level, _values(ring, 1))
    seed = small.seeds[2]
    share = decryption_share(ciphertext, EPOCH, seed)
    shifted = ciphertext.words.copy()
    shifted[0] = 0
    assert np.array_equal(decryption_share(Ciphertext(ring, shifted), EPOCH, seed), share)
    assert np.array_equal(decryption_share(ciphertext, EPOCH, seed), share)
    # Non-contiguous words of the same values are the same ciphertext.
    strided = np.asfortranarray(ciphertext.words)
    assert np.array_equal(decryption_share(Ciphertext(ring, strided), EPOCH, seed), share)
    for k in range(level):
        other = ciphertext.words.copy()
        other[1, k, 3] ^= np.uint64(1)
        changed = decryption_share(Ciphertext(ring, other), EPOCH, seed)
        assert (changed != share).mean() > 0.999


def test_shares_depend_on_epoch_seed_ring_and_level(small: Epoch) -> None:
    ciphertext = _encrypted(small, COMPARISON, 4, _values(COMPARISON, 1))
    lower = Ciphertext(COMPARISON, ciphertext.words[:, :3].copy())
    seeds = small.seeds
    shares = [
        decryption_share(ciphertext, EPOCH, seeds[0])[:3],
        decryption_share(ciphertext, EPOCH + 1, seeds[0])[:3],
        decryption_share(ciphertext, EPOCH, seeds[1])[:3],
        decryption_share(lower, EPOCH, seeds[0]),
    ]
    for a, b in combinations(shares, 2):
        assert (a != b).mean() > 0.999


def test_the_noise_of_a_share_is_fresh_for_each_c1(small: Epoch) -> None:
    # Doubling c1 must not double the noise: the noise is drawn anew, not scaled.
    ciphertext = _encrypted(small, COMPARISON, 2, _values(COMPARISON, 1))
    basis, seed = ciphertext.basis, small.seeds[1]
    double = ciphertext.add(ciphertext)
    once, twice = (decryption_share(c, EPOCH, seed) for c in (ciphertext, double))
    rest = _integers(basis.subtract(twice, basis.add(once, once)), basis.moduli)
    q = prod(basis.moduli)
    deviation = 2.0 ** (8 * flooding_digits(COMPARISON, 2) + 1)
    noise = np.array([(x - q if x > q // 2 else x) / deviation for x in rest])
    # e' - 2 e has five times the variance of e.
    assert abs(noise.var() / 5 - 1) < 7 * np.sqrt(2 / COMPARISON.degree)


def test_a_share_minus_its_key_part_is_the_flooding_noise(small: Epoch) -> None:
    for ring, level in ((ORDER, 3), (COMPARISON, 7)):
        ciphertext = _encrypted(small, ring, level, _values(ring, 2))
        basis = ciphertext.basis
        for seed in small.seeds.values():
            product = basis.multiply(
                basis.forward(ciphertext.words[1].copy()), secret_share(ring, seed)[:level].copy()
            )
            share = decryption_share(ciphertext, EPOCH, seed)
            q = prod(basis.moduli)
            rest = _integers(basis.subtract(share, basis.inverse(product)), basis.moduli)
            deviation = 2.0 ** (8 * flooding_digits(ring, level) + 1)
            noise = np.array([(x - q if x > q // 2 else x) / deviation for x in rest])
            assert abs(noise.mean()) < 7 / np.sqrt(ring.degree)
            assert abs(noise.var() - 1) < 7 * np.sqrt(2 / ring.degree)
            assert np.abs(noise).max() < 7


def test_shares_of_equal_plaintexts_look_unrelated_and_uniform(standard: Epoch) -> None:
    ring = standard.parameters.comparison_ring
    values = _values(ring, 3)
    seed = standard.seeds[0]
    first, second = (
        decryption_share(_encrypted(standard, ring, 2, values, k), EPOCH, seed) for k in (1, 2)
    )
    difference = level_basis(ring, 2).subtract(first, second)
    for words in (first, second, difference):
        for k, prime in enumerate(ring.data_primes[:2]):
            counts = np.bincount((words[k] // np.uint64(prime // 256 + 1)).astype(np.int64))
            expected = np.full(256, ring.degree / 256)
            assert counts.size == 256
            assert abs(chi_square_excess(counts, expected)) < 8


def test_missing_and_surplus_shares_are_refused(small: Epoch) -> None:
    ciphertext = _encrypted(small, ORDER, 4, _values(ORDER, 1))
    shares = _shares(small, ciphertext)
    for wrong in ([], shares[:3], [*shares, shares[0]]):
        with pytest.raises(MissingShare) as caught:
            combine_shares(ciphertext, wrong, 4)
        assert (caught.value.expected, caught.value.got) == (4, len(wrong))


def test_wrong_shares_leave_no_budget(small: Epoch) -> None:
    ciphertext = _encrypted(small, ORDER, 4, _values(ORDER, 1))
    other = _encrypted(small, ORDER, 4, _values(ORDER, 1), seed=2)
    shares = _shares(small, ciphertext)
    doubled = [*shares[:3], shares[0]]
    foreign = [*shares[:3], _shares(small, other)[3]]
    strange = [*shares[:3], decryption_share(ciphertext, EPOCH, bytes(32))]
    for wrong in (doubled, foreign, strange):
        with pytest.raises(TooLittleMargin) as caught:
            combine_shares(ciphertext, wrong, 4)
        assert (caught.value.expected, caught.value.got) == ("at least 1 bit", 0)


def test_a_share_of_another_shape_is_refused(small: Epoch) -> None:
    ciphertext = _encrypted(small, ORDER, 4, _values(ORDER, 1))
    shares = _shares(small, ciphertext)
    for wrong in (shares[3][:3], shares[3][:, :-1], shares[3][None]):
        with pytest.raises(MalformedCiphertext, match="shape of a decryption share"):
            combine_shares(ciphertext, [*shares[:3], wrong], 4)


def test_a_level_too_low_to_flood_gives_no_share(small: Epoch) -> None:
    for ring, level in ((ORDER, 1), (COMPARISON, 1)):
        ciphertext = _encrypted(small, ring, level, _values(ring, 1))
        with pytest.raises(TooLittleMargin):
            decryption_share(ciphertext, EPOCH, small.seeds[0])


def test_a_shifted_share_decodes_falsely_but_its_digest_names_the_liar(small: Epoch) -> None:
    ring, committee = ORDER, Committee(4, EPOCH)
    values, delta = _values(ring, 1), np.arange(ring.degree)
    ciphertext = _encrypted(small, ring, 4, values)
    shares = _shares(small, ciphertext)
    q = prod(ring.data_primes)
    coefficients = encode(ring, delta)
    shift = np.array(
        [[q // ring.plain_modulus * int(c) % p for c in coefficients] for p in ring.data_primes],
        dtype=np.uint64,
    )
    false = ciphertext.basis.add(shares[2], shift)
    decoded = combine_shares(ciphertext, [*shares[:2], false, shares[3]], 4)
    expected = (values + delta) % ring.plain_modulus
    assert np.array_equal(decode(ring, decoded.coefficients), expected)

    honest, lie = (share_digest(2, b"opening", words.tobytes()) for words in (shares[2], false))
    for liar in committee.holders(2):
        announced = {i: lie if i == liar else honest for i in committee.holders(2)}
        agreement = agree(committee, 2, announced)
        assert (agreement.digest, agreement.liars) == (honest, (liar,))
    with pytest.raises(HoldersDisagree):
        agree(Committee(3, EPOCH), 2, {0: honest, 1: lie})


def test_holders_compute_the_same_bytes(small: Epoch) -> None:
    ciphertext = _encrypted(small, ORDER, 4, _values(ORDER, 1))
    for share in small.committee.members:
        answers = {
            decryption_share(ciphertext, EPOCH, small.secrets[i].seeds[share]).tobytes()
            for i in small.committee.holders(share)
        }
        assert len(answers) == 1


def _exact(ring: RingParameters, phase: Words) -> tuple[list[int], float]:
    """Coefficients and budget of a phase, on Python's integers."""
    moduli = ring.data_primes[: phase.shape[0]]
    q, t = prod(moduli), ring.plain_modulus
    values = _integers(phase, moduli)
    rounded = [(2 * t * x + q) // (2 * q) for x in values]
    worst = max(abs(t * x - q * r) for x, r in zip(values, rounded, strict=True))
    return [r % t for r in rounded], min(60.0, log2(q) - log2(2 * worst)) if worst else 60.0


@settings(max_examples=20)
@given(st.integers(0, 2**32 - 1), st.sampled_from([2, 20, 40, 55]))
def test_decoding_is_exact_while_any_budget_is_left(seed: int, fraction_bits: int) -> None:
    random = np.random.default_rng(seed)
    for ring in (ORDER, COMPARISON):
        for level in (1, 3, len(ring.data_primes)):
            moduli = ring.data_primes[:level]
            q, t = prod(moduli), ring.plain_modulus
            if log2(q / t) < fraction_bits + 2:
                continue
            bound = q // t >> fraction_bits
            messages = random.integers(0, t, ring.degree).tolist()
            messages[:3] = [0, t - 1, t // 2]
            signs = random.choice([-1, 1], ring.degree).tolist()
            phases = [
                ((2 * q * m + t) // (2 * t) + s * (bound - 1)) % q
                for m, s in zip(messages, signs, strict=True)
            ]
            words = np.array([[x % p for x in phases] for p in moduli], dtype=np.uint64)
            decoded = decode_phase(ring, words)
            coefficients, budget = _exact(ring, words)
            assert decoded.coefficients.tolist() == coefficients == messages
            assert abs(decoded.budget_bits - budget) < 1.01


def test_random_phases_read_as_no_budget() -> None:
    for ring in RINGS:
        for level in range(1, len(ring.data_primes) + 1):
            primes = np.array(ring.data_primes[:level], dtype=np.uint64)[:, None]
            random = np.random.default_rng(level)
            phase = random.integers(0, 1 << 63, (level, ring.degree), dtype=np.uint64) % primes
            decoded = decode_phase(ring, phase)
            assert decoded.budget_bits == 0
            assert decoded.coefficients.max() < ring.plain_modulus


def test_extreme_phases() -> None:
    for ring in (ORDER, COMPARISON):
        moduli = ring.data_primes
        q, t = prod(moduli), ring.plain_modulus
        for value in (0, 1, q - 1, q // 2, q // t, q // t * (t - 1), q - q // t // 4):
            words = np.array([[value % p] * ring.degree for p in moduli], dtype=np.uint64)
            coefficients, budget = _exact(ring, words)
            decoded = decode_phase(ring, words)
            assert abs(decoded.budget_bits - budget) < 1.01
            if budget >= 1:
                assert decoded.coefficients.tolist() == coefficients
