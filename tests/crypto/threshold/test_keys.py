import os
import subprocess
import sys
from dataclasses import replace
from itertools import combinations

import numpy as np
import pytest
from Crypto.Protocol.DH import import_x25519_private_key

from crypto.bfv.encryption import encrypt_slots
from crypto.errors import InsecureParameters, WrongEpoch
from crypto.ring.params import STANDARD, TEST_INSECURE_SMALL, RingParameters
from crypto.ring.ring import rns_basis
from crypto.ring.slots import column_element, decode, rotation_element
from crypto.threshold.decryption import combine_shares, decryption_share
from crypto.threshold.keys import comparison_elements, deal, order_elements, secret_share
from crypto.threshold.replicated import Committee
from tests.support.epochs import EPOCH, Epoch, chi_square_excess

RINGS = [TEST_INSECURE_SMALL.order_ring, TEST_INSECURE_SMALL.comparison_ring]


@pytest.fixture(params=["small", "small_three"])
def epoch(request: pytest.FixtureRequest) -> Epoch:
    dealt: Epoch = request.getfixturevalue(request.param)
    return dealt


def test_the_shares_sum_to_the_key_that_seal_made(epoch: Epoch) -> None:
    for ring in RINGS:
        values = np.arange(ring.degree) % ring.plain_modulus
        ciphertext = encrypt_slots(epoch.ring_keys(ring).public, values, bytes(32))
        assert np.array_equal(epoch.oracle(ring).slots(ciphertext), values)


def test_the_public_key_is_of_the_summed_secret_with_small_noise(epoch: Epoch) -> None:
    for ring in RINGS:
        basis = rns_basis(ring.degree, ring.key_primes)
        b, a = epoch.ring_keys(ring).public.words.copy()
        noise = basis.inverse(basis.add(b, basis.multiply(a, epoch.secret(ring))))
        first = np.array(ring.key_primes[0], dtype=np.uint64)
        centred = np.where(noise[0] > first // 2, -(first - noise[0]).astype(np.int64), noise[0])
        assert 2 < centred.astype(np.int64).std() < 4.5


def test_no_keyper_holds_its_own_share_and_two_hold_all(epoch: Epoch) -> None:
    everything = set(epoch.committee.members)
    for secrets in epoch.secrets:
        assert set(secrets.seeds) == everything - {secrets.keyper}
    for a, b in combinations(epoch.secrets, 2):
        assert set(a.seeds) | set(b.seeds) == everything
        for share in set(a.seeds) & set(b.seeds):
            assert a.seeds[share] == b.seeds[share]
    assert len(set(epoch.seeds.values())) == epoch.committee.size
    for secrets in epoch.secrets:
        assert epoch.seeds[secrets.keyper] not in secrets.seeds.values()


def test_all_shares_but_one_open_nothing(small: Epoch) -> None:
    ring = small.parameters.order_ring
    ciphertext = encrypt_slots(
        small.material.order_keys.public, np.zeros(ring.degree, np.int64), bytes(32)
    )
    for secrets in small.secrets:
        phase = ciphertext.words[0]
        for seed in secrets.seeds.values():
            phase = ciphertext.basis.add(phase, decryption_share(ciphertext, EPOCH, seed))
        bins = 64
        for k, prime in enumerate(ring.data_primes):
            counts = np.bincount((phase[k] // np.uint64(prime // bins + 1)).astype(np.int64))
            assert counts.size == bins
            assert abs(chi_square_excess(counts, np.full(bins, ring.degree / bins))) < 8


def test_two_keypers_together_open_everything(epoch: Epoch) -> None:
    ring = epoch.parameters.comparison_ring
    values = np.arange(ring.degree)
    ciphertext = encrypt_slots(epoch.material.comparison_keys.public, values, bytes(32))
    for a, b in combinations(epoch.secrets, 2):
        seeds = {**a.seeds, **b.seeds}
        shares = [decryption_share(ciphertext, EPOCH, seed) for seed in seeds.values()]
        decoded = combine_shares(ciphertext, shares, epoch.committee.size)
        assert np.array_equal(decode(ring, decoded.coefficients), values)


def test_secret_shares_are_ternary_and_differ_between_rings(small: Epoch) -> None:
    for ring in RINGS:
        basis = rns_basis(ring.degree, ring.key_primes)
        counts = np.zeros(3, dtype=np.int64)
        for seed in small.seeds.values():
            share = basis.inverse(secret_share(ring, seed).copy())
            for k, prime in enumerate(ring.key_primes):
                signed = np.where(share[k] == np.uint64(prime - 1), -1, share[k].astype(np.int64))
                assert set(np.unique(signed).tolist()) == {-1, 0, 1}
                counts += np.bincount(signed + 1, minlength=3) * (k == 0)
        assert abs(chi_square_excess(counts, np.full(3, counts.sum() / 3))) < 20
    order, comparison = RINGS
    twin = replace(comparison, degree=order.degree)
    for seed in small.seeds.values():
        assert not np.array_equal(
            rns_basis(twin.degree, twin.key_primes).inverse(secret_share(twin, seed).copy())[0],
            rns_basis(order.degree, order.key_primes).inverse(secret_share(order, seed).copy())[0],
        )


def test_a_cached_share_cannot_be_overwritten(small: Epoch) -> None:
    share = secret_share(RINGS[0], small.seeds[0])
    with pytest.raises(ValueError, match="read-only"):
        share[0, 0] = 1


def test_two_deals_share_nothing() -> None:
    first, second = (deal(TEST_INSECURE_SMALL, Committee(4, EPOCH)) for _ in range(2))
    assert first[0].digest() != second[0].digest()
    keys = [secrets.envelope_key for _, held in (first, second) for secrets in held]
    seeds = [{*held[0].seeds.values(), *held[1].seeds.values()} for _, held in (first, second)]
    assert len(set(keys)) == 8
    assert not seeds[0] & seeds[1]


def test_envelope_keys_belong_together(epoch: Epoch) -> None:
    for secrets, public in zip(epoch.secrets, epoch.material.envelope_keys, strict=True):
        private = import_x25519_private_key(secrets.envelope_key)
        assert private.public_key().export_key(format="raw") == public
        assert len(public) == len(secrets.envelope_key) == 32


def test_nothing_secret_is_printed(epoch: Epoch) -> None:
    hidden = [*epoch.seeds.values(), *(secrets.envelope_key for secrets in epoch.secrets)]
    printed = [repr(epoch.material), str(epoch.material)]
    printed += [show(secrets) for secrets in epoch.secrets for show in (repr, str)]
    for text in printed:
        for secret in hidden:
            assert repr(secret)[2:-1] not in text
            assert secret.hex() not in text
    for secrets in epoch.secrets:
        assert "seeds" not in repr(secrets)
        assert f"keyper={secrets.keyper}" in repr(secrets)


def test_nothing_secret_is_in_the_public_bytes(epoch: Epoch) -> None:
    hidden = [*epoch.seeds.values(), *(secrets.envelope_key for secrets in epoch.secrets)]
    for keys in (epoch.material.order_keys, epoch.material.comparison_keys):
        data = keys.public.words.tobytes() + keys.relinearisation + keys.galois
        assert not any(secret in data for secret in hidden)


def test_another_epoch_is_refused(small: Epoch) -> None:
    for secrets in small.secrets:
        secrets.require_epoch(EPOCH)
        for epoch in (EPOCH - 1, EPOCH + 1, 0):
            with pytest.raises(WrongEpoch) as caught:
                secrets.require_epoch(epoch)
            assert (caught.value.expected, caught.value.got) == (EPOCH, epoch)


def test_the_key_id_binds_every_part(small: Epoch) -> None:
    material = small.material
    order = material.order_keys
    words = order.public.words.copy()
    words[1, 0, 0] ^= np.uint64(1)
    changed = [
        replace(order, public=replace(order.public, words=words)),
        replace(order, relinearisation=order.relinearisation + b"\0"),
        replace(order, galois=order.galois[:-1]),
        replace(order, elements=order.elements[:-1]),
        replace(order, relinearisation=order.galois, galois=order.relinearisation),
    ]
    others = [replace(material, order_keys=keys) for keys in changed]
    others += [
        replace(material, committee=Committee(3, EPOCH)),
        replace(material, committee=Committee(4, EPOCH + 1)),
        replace(material, parameters=replace(material.parameters, name="other")),
        replace(material, order_keys=material.comparison_keys, comparison_keys=order),
        replace(material, envelope_keys=material.envelope_keys[::-1]),
        replace(material, envelope_keys=material.envelope_keys[1:]),
    ]
    digests = {other.digest() for other in others}
    assert len(digests) == len(others)
    assert material.digest() not in digests
    assert material.digest() == replace(material).digest()


@pytest.mark.parametrize("ring", RINGS, ids=lambda ring: ring.name)
def test_galois_elements_are_distinct_and_those_of_the_steps(ring: RingParameters) -> None:
    powers = [1 << k for k in range(ring.row.bit_length() - 1)]
    packing = [-step for step in (*range(1, 8), *range(8, 64, 8))]
    for elements, steps in (
        (order_elements(ring), [*powers, *(-step for step in powers), *packing]),
        (comparison_elements(ring), [*powers, -1]),
    ):
        assert len(set(elements)) == len(elements)
        expected = {rotation_element(ring.degree, step) for step in steps}
        assert set(elements) == expected | {column_element(ring.degree)}


INSECURE = """
from crypto.errors import InsecureParameters
from crypto.threshold.keys import deal
from crypto.ring.params import TEST_INSECURE_SMALL
from crypto.threshold.replicated import Committee
from crypto.bfv.seal import seal_ring
for use in (
    TEST_INSECURE_SMALL.require_usable,
    lambda: deal(TEST_INSECURE_SMALL, Committee(4, 0)),
    lambda: seal_ring(TEST_INSECURE_SMALL.order_ring),
    lambda: seal_ring(TEST_INSECURE_SMALL.comparison_ring),
):
    try:
        use()
    except InsecureParameters as error:
        assert "TEST_INSECURE_SMALL" in str(error)
    else:
        raise SystemExit("an insecure set was served")
"""


@pytest.mark.parametrize("variable", [None, "", "0", "true"])
def test_insecure_parameters_refuse_outside_the_tests(variable: str | None) -> None:
    environment = {k: v for k, v in os.environ.items() if k != "DARKPOOL_TEST_INSECURE"}
    if variable is not None:
        environment["DARKPOOL_TEST_INSECURE"] = variable
    done = subprocess.run(  # noqa: S603
        [sys.executable, "-c", INSECURE],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr


def test_the_standard_set_needs_no_variable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("DARKPOOL_TEST_INSECURE")
    STANDARD.require_usable()
    assert STANDARD.secure
    assert not TEST_INSECURE_SMALL.secure
    with pytest.raises(InsecureParameters):
        TEST_INSECURE_SMALL.require_usable()
