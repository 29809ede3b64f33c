from collections.abc import Mapping
from dataclasses import replace
from functools import lru_cache
from math import prod

import numpy as np
import numpy.typing as npt
import pytest

from crypto.bfv.ciphertext import Ciphertext
from crypto.bfv.encryption import encrypt_slots
from crypto.bfv.seal import Evaluator
from crypto.circuits.curves import BUY, SELL, intent_vector
from crypto.errors import HoldersDisagree, MissingShare, OutOfRange, SealingMismatch
from crypto.ring import slots
from crypto.ring.params import STANDARD, TEST_INSECURE_SMALL, ParameterSet
from crypto.ring.slots import column_element, rotation_element
from crypto.threshold.decryption import combine_shares, decryption_share
from crypto.threshold.keys import KeyperSecrets, PublicMaterial, deal
from crypto.threshold.knowledge import (
    KeyperProof,
    KnowledgeContext,
    ProofAnnouncement,
    ReencryptedProof,
    SealedVector,
    announce,
    reencrypt,
    seal_vector,
    verify_knowledge,
    verify_sealing,
)
from crypto.threshold.replicated import Committee

SMALL = TEST_INSECURE_SMALL.order_ring
ROOT_SEED = bytes(range(32))
CONTEXT = KnowledgeContext(
    chain_id=1337,
    contract=b"\xc0" * 20,
    epoch=5,
    interval=42,
    instrument=b"\x11" * 32,
    account=b"\xaa" * 20,
    nonce=9,
)
Seeds = Mapping[int, bytes]


@lru_cache(maxsize=4)
def epoch(
    size: int, parameters: ParameterSet = TEST_INSECURE_SMALL
) -> tuple[PublicMaterial, tuple[KeyperSecrets, ...]]:
    return deal(parameters, Committee(size, CONTEXT.epoch))


def order(
    ticks: int = 100, side: int = BUY, size: int = 25, limit: int = 60
) -> npt.NDArray[np.int64]:
    return intent_vector(SMALL, ticks, side, size, limit)


def honest(size: int, context: KnowledgeContext = CONTEXT) -> SealedVector:
    material, _ = epoch(size)
    return seal_vector(material.order_keys.public, material.committee, order(), ROOT_SEED, context)


def steps(
    size: int,
    ciphertext: Ciphertext,
    openings: Mapping[int, KeyperProof],
    context: KnowledgeContext = CONTEXT,
) -> dict[int, ReencryptedProof]:
    material, _ = epoch(size)
    key, committee = material.order_keys.public, material.committee
    return {i: announce(key, committee, o, context, ciphertext) for i, o in openings.items()}


def accepting(
    size: int,
    computed: Mapping[int, ReencryptedProof],
    announced: list[ProofAnnouncement] | None = None,
) -> tuple[int, ...]:
    """Keypers that accept; every refusal is a typed error."""
    committee = Committee(size, CONTEXT.epoch)
    announced = [c.announcement for c in computed.values()] if announced is None else announced
    accepted = []
    for i, own in computed.items():
        try:
            verify_knowledge(committee, own, announced)
        except (SealingMismatch, HoldersDisagree, MissingShare):
            continue
        accepted.append(i)
    return tuple(accepted)


def run(
    size: int,
    ciphertext: Ciphertext,
    openings: tuple[KeyperProof, ...],
    context: KnowledgeContext = CONTEXT,
) -> tuple[int, ...]:
    by_keyper = {o.keyper: o for o in openings}
    return accepting(size, steps(size, ciphertext, by_keyper, context))


def all_seeds(held: tuple[KeyperSecrets, ...]) -> Seeds:
    return {**held[0].seeds, **held[1].seeds}


def decrypt(ciphertext: Ciphertext, held: tuple[KeyperSecrets, ...]) -> npt.NDArray[np.int64]:
    seeds = all_seeds(held)
    shares = [decryption_share(ciphertext, CONTEXT.epoch, seeds[j]) for j in sorted(seeds)]
    decoded = combine_shares(ciphertext, shares, len(shares))
    return slots.decode(ciphertext.ring, decoded.coefficients)


# An honest client


@pytest.mark.parametrize("size", [3, 4])
@pytest.mark.parametrize("side", [BUY, SELL])
def test_a_sealed_vector_decrypts_to_the_vector(size: int, side: int) -> None:
    material, held = epoch(size)
    vector = order(side=side)
    sealed = seal_vector(material.order_keys.public, material.committee, vector, ROOT_SEED, CONTEXT)
    assert (decrypt(sealed.ciphertext, held) == vector).all()


@pytest.mark.parametrize("size", [3, 4])
def test_every_keyper_accepts_an_honest_client(size: int) -> None:
    sealed = honest(size)
    assert run(size, sealed.ciphertext, sealed.proofs) == tuple(range(size))


def test_the_standard_ring_seals_checks_and_decrypts() -> None:
    material, held = epoch(4, STANDARD)
    key, committee = material.order_keys.public, material.committee
    vector = intent_vector(STANDARD.order_ring, 2047, SELL, 12_345, 1024)
    sealed = seal_vector(key, committee, vector, ROOT_SEED, CONTEXT)
    computed = {
        o.keyper: announce(key, committee, o, CONTEXT, sealed.ciphertext) for o in sealed.proofs
    }
    assert accepting(4, computed) == (0, 1, 2, 3)
    assert (decrypt(sealed.ciphertext, held) == vector).all()


@pytest.mark.parametrize("size", [3, 4])
def test_the_shares_add_up_to_the_ciphertext(size: int) -> None:
    material, _ = epoch(size)
    sealed = honest(size)
    key, committee = material.order_keys.public, material.committee
    shares = reencrypt(key, committee, sealed.proofs[0], CONTEXT)
    shares |= reencrypt(key, committee, sealed.proofs[1], CONTEXT)
    total = shares[0].ciphertext
    for j in range(1, size):
        total = total.add(shares[j].ciphertext)
    assert np.array_equal(total.words, sealed.ciphertext.words)


@pytest.mark.parametrize("size", [3, 4])
def test_no_keyper_receives_its_own_share(size: int) -> None:
    for keyper, openings in enumerate(honest(size).proofs):
        assert openings.keyper == keyper
        assert keyper not in openings.seeds
        assert bool(openings.last_vector) == (keyper != size - 1)


def test_the_share_vectors_of_one_keyper_do_not_depend_on_the_order_but_for_their_seeds() -> None:
    """The last vector minus the expanded ones of a keyper still hides v behind the missing one."""
    material, held = epoch(4)
    key, committee = material.order_keys.public, material.committee
    sealed = honest(4)
    total = decrypt(sealed.ciphertext, held)
    for openings in sealed.proofs:
        shares = reencrypt(key, committee, openings, CONTEXT)
        known = sum(decrypt(share.ciphertext, held) for share in shares.values())
        missing = (total - known) % SMALL.plain_modulus
        # the missing part is spread over the whole of Z_t, and nowhere near a step curve
        quarters = np.histogram(missing, bins=4, range=(0, SMALL.plain_modulus))[0]
        assert quarters.min() > SMALL.degree // 8


@pytest.mark.parametrize("field", ["chain_id", "epoch", "interval", "nonce"])
def test_every_number_of_the_context_changes_the_ciphertext(field: str) -> None:
    material, _ = epoch(4)
    other = replace(CONTEXT, **{field: getattr(CONTEXT, field) + 1})
    committee = Committee(4, other.epoch)
    sealed = seal_vector(material.order_keys.public, committee, order(), ROOT_SEED, other)
    assert sealed.ciphertext.digest() != honest(4).ciphertext.digest()


@pytest.mark.parametrize("field", ["contract", "instrument", "account"])
def test_every_name_in_the_context_changes_the_ciphertext(field: str) -> None:
    value = getattr(CONTEXT, field)
    other = replace(CONTEXT, **{field: bytes([value[0] ^ 1]) + value[1:]})
    assert honest(4, other).ciphertext.digest() != honest(4).ciphertext.digest()


def test_a_root_seed_used_twice_shares_nothing_between_two_vectors() -> None:
    material, _ = epoch(4)
    key, committee = material.order_keys.public, material.committee
    first = seal_vector(key, committee, order(size=25), ROOT_SEED, CONTEXT)
    second = seal_vector(key, committee, order(size=26), ROOT_SEED, CONTEXT)
    for one, other in zip(first.proofs, second.proofs, strict=True):
        assert not set(one.seeds.values()) & set(other.seeds.values())


def test_sealing_again_gives_the_same_bytes_and_anything_else_is_a_mismatch() -> None:
    material, _ = epoch(4)
    key, committee = material.order_keys.public, material.committee
    ciphertext = honest(4).ciphertext
    verify_sealing(key, committee, order(), ROOT_SEED, CONTEXT, ciphertext)
    for vector, seed, context in [
        (order(size=26), ROOT_SEED, CONTEXT),
        (order(), bytes(32), CONTEXT),
        (order(), ROOT_SEED, replace(CONTEXT, nonce=10)),
    ]:
        with pytest.raises(SealingMismatch, match="sealed again"):
            verify_sealing(key, committee, vector, seed, context, ciphertext)


@pytest.mark.parametrize("liar", range(4))
def test_one_lying_keyper_of_four_keeps_nobody_out_and_is_named(liar: int) -> None:
    sealed = honest(4)
    computed = steps(4, sealed.ciphertext, {o.keyper: o for o in sealed.proofs})
    announced = [c.announcement for i, c in computed.items() if i != liar]
    lie = ProofAnnouncement(liar, {j: bytes(32) for j in range(4) if j != liar})
    committee = Committee(4, CONTEXT.epoch)
    for i in set(range(4)) - {liar}:
        proven = verify_knowledge(committee, computed[i], [*announced, lie])
        assert proven.agreement.liars == (liar,)


@pytest.mark.parametrize("silent", range(4))
def test_one_silent_keyper_of_four_keeps_nobody_out(silent: int) -> None:
    sealed = honest(4)
    computed = steps(4, sealed.ciphertext, {o.keyper: o for o in sealed.proofs})
    del computed[silent]
    assert accepting(4, computed) == tuple(i for i in range(4) if i != silent)


def test_of_three_keypers_a_liar_stops_the_others_and_both_suspects_are_named() -> None:
    sealed = honest(3)
    computed = steps(3, sealed.ciphertext, {o.keyper: o for o in sealed.proofs})
    lie = ProofAnnouncement(2, {0: bytes(32), 1: bytes(32)})
    announced = [computed[0].announcement, computed[1].announcement, lie]
    with pytest.raises(HoldersDisagree) as raised:
        verify_knowledge(Committee(3, CONTEXT.epoch), computed[0], announced)
    assert raised.value.suspects == (1, 2)


@pytest.mark.parametrize(
    ("vector", "seed", "context"),
    [
        (np.zeros(SMALL.degree - 1, dtype=np.int64), ROOT_SEED, CONTEXT),
        (np.full(SMALL.degree, -1, dtype=np.int64), ROOT_SEED, CONTEXT),
        (np.full(SMALL.degree, SMALL.plain_modulus, dtype=np.int64), ROOT_SEED, CONTEXT),
        (np.zeros(SMALL.degree, dtype=np.int64), ROOT_SEED[:31], CONTEXT),
        (np.zeros(SMALL.degree, dtype=np.int64), ROOT_SEED, replace(CONTEXT, epoch=6)),
    ],
)
def test_what_cannot_be_sealed_is_refused(
    vector: npt.NDArray[np.int64], seed: bytes, context: KnowledgeContext
) -> None:
    material, _ = epoch(4)
    with pytest.raises(OutOfRange):
        seal_vector(material.order_keys.public, material.committee, vector, seed, context)


# A malicious client (threats 15 and 16); where a keyper helps it, that is said


def test_a_wrong_ciphertext_is_accepted_by_nobody() -> None:
    material, _ = epoch(4)
    sealed = honest(4)
    shift = encrypt_slots(material.order_keys.public, order(), bytes(32))
    assert run(4, sealed.ciphertext.add(shift), sealed.proofs) == ()


def test_one_wrong_seed_to_one_keyper_only_makes_that_keyper_refuse() -> None:
    sealed = honest(4)
    wrong = replace(sealed.proofs[1], seeds={**sealed.proofs[1].seeds, 2: bytes(32)})
    openings = (sealed.proofs[0], wrong, *sealed.proofs[2:])
    assert run(4, sealed.ciphertext, openings) == (0, 2, 3)


def test_of_three_keypers_one_wrong_seed_leaves_no_quorum() -> None:
    sealed = honest(3)
    wrong = replace(sealed.proofs[1], seeds={**sealed.proofs[1].seeds, 2: bytes(32)})
    accepted = run(3, sealed.ciphertext, (sealed.proofs[0], wrong, sealed.proofs[2]))
    assert accepted == (0,)
    assert len(accepted) < Committee(3, 0).quorum


def test_openings_that_differ_between_all_keypers_are_accepted_by_nobody() -> None:
    material, _ = epoch(4)
    key, committee = material.order_keys.public, material.committee
    sealings = [seal_vector(key, committee, order(), bytes([i]) * 32, CONTEXT) for i in range(4)]
    openings = tuple(sealings[i].proofs[i] for i in range(4))
    assert run(4, sealings[0].ciphertext, openings) == ()


def test_swapped_seeds_are_accepted_by_nobody() -> None:
    sealed = honest(4)
    swap = {0: 1, 1: 0, 2: 2, 3: 3}
    seeds = {**sealed.proofs[0].seeds, **sealed.proofs[1].seeds}
    openings = tuple(replace(o, seeds={j: seeds[swap[j]] for j in o.seeds}) for o in sealed.proofs)
    assert run(4, sealed.ciphertext, openings) == ()


@pytest.mark.parametrize(
    "theirs",
    [
        replace(CONTEXT, account=b"\xbb" * 20),
        replace(CONTEXT, interval=43),
        replace(CONTEXT, instrument=b"\x22" * 32),
        replace(CONTEXT, chain_id=1),
        replace(CONTEXT, contract=b"\xc1" * 20),
        replace(CONTEXT, nonce=10),
    ],
)
def test_a_copied_intent_is_accepted_by_nobody_even_with_its_openings(
    theirs: KnowledgeContext,
) -> None:
    sealed = honest(4)
    assert run(4, sealed.ciphertext, sealed.proofs, theirs) == ()


def attacker_openings() -> SealedVector:
    """What somebody who does not know the victim's openings can offer: those of its own vector."""
    material, _ = epoch(4)
    zero = np.zeros(SMALL.degree, dtype=np.int64)
    seed = b"\x66" * 32
    return seal_vector(material.order_keys.public, material.committee, zero, seed, MALLORY)


MALLORY = replace(CONTEXT, account=b"\xbb" * 20)


def rotated(element: int) -> Ciphertext:
    material, _ = epoch(4)
    evaluator = Evaluator(material.order_keys.evaluation_keys())
    handle = evaluator.load(honest(4).ciphertext)
    return evaluator.store(evaluator.apply_galois(handle, element))


def key_recovery() -> Ciphertext:
    """(0, floor(q / t)): it decrypts to the secret key."""
    scale = prod(SMALL.data_primes) // SMALL.plain_modulus
    words = np.zeros((2, len(SMALL.data_primes), SMALL.degree), dtype=np.uint64)
    words[1, :, 0] = [scale % p for p in SMALL.data_primes]
    return Ciphertext(SMALL, words)


def crafted(name: str) -> Ciphertext:
    own = attacker_openings().ciphertext
    match name:
        case "copied":
            return honest(4).ciphertext
        case "re-randomised":
            return honest(4).ciphertext.add(own)
        case "rotated":
            return rotated(rotation_element(SMALL.degree, 1))
        case "rows swapped":
            return rotated(column_element(SMALL.degree))
        case "key recovery":
            return key_recovery()
        case _:
            return key_recovery().add(own)


CRAFTED = [
    "copied",
    "re-randomised",
    "rotated",
    "rows swapped",
    "key recovery",
    "key recovery, re-randomised",
]


@pytest.mark.parametrize("name", CRAFTED)
def test_a_crafted_ciphertext_is_accepted_by_nobody(name: str) -> None:
    assert run(4, crafted(name), attacker_openings().proofs, MALLORY) == ()


@pytest.mark.parametrize("name", CRAFTED)
def test_a_crafted_ciphertext_is_refused_though_a_keyper_announces_what_fits(name: str) -> None:
    """The corrupt keyper announces, for each share, exactly what would make its owner accept."""
    ciphertext = crafted(name)
    openings = {o.keyper: o for o in attacker_openings().proofs}
    computed = steps(4, ciphertext, openings, MALLORY)
    for corrupt in range(4):
        honest_ones = {i: c for i, c in computed.items() if i != corrupt}
        lie = ProofAnnouncement(corrupt, {i: c.residual for i, c in honest_ones.items()})
        announced = [c.announcement for c in honest_ones.values()]
        assert accepting(4, honest_ones, [*announced, lie]) == ()
