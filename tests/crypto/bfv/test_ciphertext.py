import struct
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from crypto.bfv.ciphertext import (
    Ciphertext,
    checked,
    from_wire,
    level_basis,
    to_wire,
    wire_size,
    word_bytes,
    zero,
)
from crypto.errors import MalformedCiphertext, OutOfRange
from crypto.ring.params import STANDARD, TEST_INSECURE_SMALL, RingParameters

ORDER, COMPARISON = TEST_INSECURE_SMALL.order_ring, TEST_INSECURE_SMALL.comparison_ring
HEADER = 12
LEVELS = [(ring, k + 1) for ring in (ORDER, COMPARISON) for k in range(len(ring.data_primes))]


def _ciphertext(ring: RingParameters, level: int, seed: int = 0) -> Ciphertext:
    primes = np.array(ring.data_primes[:level], dtype=np.uint64)[:, None]
    random = np.random.default_rng(seed)
    words = random.integers(0, 1 << 63, (2, level, ring.degree), dtype=np.uint64) % primes
    words[0, :, 0], words[1, :, 1] = primes[:, 0] - np.uint64(1), 0
    return Ciphertext(ring, words)


WIRE = to_wire(_ciphertext(ORDER, 4))


def _word_at(component: int, prime: int, coefficient: int) -> slice:
    start = HEADER + ((component * 4 + prime) * ORDER.degree + coefficient) * word_bytes(ORDER)
    return slice(start, start + word_bytes(ORDER))


@pytest.mark.parametrize(("ring", "level"), LEVELS)
def test_round_trip_byte_for_byte(ring: RingParameters, level: int) -> None:
    ciphertext = _ciphertext(ring, level)
    data = to_wire(ciphertext)
    parsed = from_wire(data, ring, level)
    assert len(data) == wire_size(ring, level)
    assert np.array_equal(parsed.words, ciphertext.words)
    assert to_wire(parsed) == data
    assert parsed.digest() == ciphertext.digest()
    assert parsed.level == level


def test_size_of_a_sealed_order() -> None:
    assert wire_size(STANDARD.order_ring, 4) == HEADER + 2 * 4 * 8192 * 6


@given(st.integers(0, len(WIRE) - 1))
def test_truncated(size: int) -> None:
    with pytest.raises(MalformedCiphertext, match="length in bytes"):
        from_wire(WIRE[:size], ORDER, 4)


@given(st.binary(min_size=1, max_size=64))
def test_extended(more: bytes) -> None:
    for data in (WIRE + more, more + WIRE):
        with pytest.raises(MalformedCiphertext, match="length in bytes"):
            from_wire(data, ORDER, 4)


@pytest.mark.parametrize("bit", range(8 * HEADER))
def test_every_bit_of_the_header_counts(bit: int) -> None:
    data = bytearray(WIRE)
    data[bit // 8] ^= 1 << bit % 8
    with pytest.raises(MalformedCiphertext, match="header"):
        from_wire(bytes(data), ORDER, 4)


@given(st.binary(max_size=200) | st.binary(min_size=HEADER, max_size=HEADER))
def test_noise_is_not_a_ciphertext(data: bytes) -> None:
    for candidate in (data, data[:HEADER] + WIRE[len(data[:HEADER]) :]):
        if candidate != WIRE:
            with pytest.raises(MalformedCiphertext):
                from_wire(candidate, ORDER, 4)


@given(st.integers(8 * HEADER, 8 * len(WIRE) - 1))
def test_a_flipped_bit_is_refused_or_another_ciphertext(bit: int) -> None:
    data = bytearray(WIRE)
    data[bit // 8] ^= 1 << bit % 8
    try:
        parsed = from_wire(bytes(data), ORDER, 4)
    except MalformedCiphertext:
        return
    assert to_wire(parsed) == bytes(data)
    assert parsed.digest() != _ciphertext(ORDER, 4).digest()


@pytest.mark.parametrize("component", [0, 1])
@pytest.mark.parametrize("prime", range(4))
def test_coefficients_from_the_prime_on_are_refused(component: int, prime: int) -> None:
    modulus = ORDER.data_primes[prime]
    for coefficient in (0, 1, ORDER.degree - 1):
        for value in (modulus, modulus + 1, (1 << 8 * word_bytes(ORDER)) - 1):
            data = bytearray(WIRE)
            data[_word_at(component, prime, coefficient)] = value.to_bytes(
                word_bytes(ORDER), "little"
            )
            with pytest.raises(MalformedCiphertext) as caught:
                from_wire(bytes(data), ORDER, 4)
            assert (caught.value.subject, caught.value.got) == (
                f"coefficient modulo prime {prime}",
                value,
            )
        data[_word_at(component, prime, coefficient)] = (modulus - 1).to_bytes(6, "little")
        assert from_wire(bytes(data), ORDER, 4).words[component, prime, coefficient] == modulus - 1


def test_transparent_is_refused() -> None:
    words = _ciphertext(ORDER, 4).words.copy()
    words[1] = 0
    data = to_wire(Ciphertext(ORDER, words))
    with pytest.raises(MalformedCiphertext, match="transparent"):
        from_wire(data, ORDER, 4)
    with pytest.raises(MalformedCiphertext, match="transparent"):
        checked(ORDER, zero(ORDER).words)


@pytest.mark.parametrize(("ring", "level"), LEVELS)
@pytest.mark.parametrize(("other", "wanted"), LEVELS)
def test_another_ring_or_level_is_refused(
    ring: RingParameters, level: int, other: RingParameters, wanted: int
) -> None:
    if (ring, level) != (other, wanted):
        with pytest.raises(MalformedCiphertext):
            from_wire(to_wire(_ciphertext(ring, level)), other, wanted)


def test_a_ring_of_equal_size_is_refused_by_its_code() -> None:
    twin = replace(ORDER, name="TEST_INSECURE_SMALL/comparison")
    with pytest.raises(MalformedCiphertext, match="header"):
        from_wire(WIRE, twin, 4)


def test_size_three_is_refused() -> None:
    body = struct.calcsize("<4sHBBI")
    third = WIRE[body : body + (len(WIRE) - body) // 2]
    with pytest.raises(MalformedCiphertext, match="length in bytes"):
        from_wire(WIRE + third, ORDER, 4)


@pytest.mark.parametrize("level", [-1, 0, 5, 255, 1 << 40])
def test_a_level_that_does_not_exist(level: int) -> None:
    for use in (lambda: from_wire(WIRE, ORDER, level), lambda: level_basis(ORDER, level)):
        with pytest.raises(OutOfRange, match="level of TEST_INSECURE_SMALL/order"):
            use()


def test_digests_bind_ring_level_and_words() -> None:
    top = _ciphertext(ORDER, 4)
    other = top.words.copy()
    other[1, 3, 17] ^= np.uint64(1)
    twin = replace(ORDER, name="TEST_INSECURE_SMALL/comparison")
    digests = {
        top.digest(),
        Ciphertext(ORDER, other).digest(),
        Ciphertext(ORDER, top.words[:, :3]).digest(),
        Ciphertext(ORDER, top.words[::-1]).digest(),
        Ciphertext(twin, top.words).digest(),
    }
    assert len(digests) == 5


def test_zero_is_neutral() -> None:
    top = _ciphertext(COMPARISON, 3)
    assert np.array_equal(top.add(zero(COMPARISON, 3)).words, top.words)
    assert zero(COMPARISON).level == len(COMPARISON.data_primes)
