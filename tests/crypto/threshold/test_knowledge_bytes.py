import hashlib
import json
import sys
from dataclasses import replace
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from crypto.bfv.ciphertext import Ciphertext
from crypto.bfv.encryption import PublicKey
from crypto.circuits.curves import BUY, SELL, intent_vector
from crypto.errors import EnvelopeRefused, MalformedProof, SealingMismatch, WrongEpoch
from crypto.ring.params import STANDARD, TEST_INSECURE_SMALL, ParameterSet
from crypto.signing.eip712 import Domain
from crypto.signing.messages import SealedIntent
from crypto.threshold.keys import KeyperSecrets, PublicMaterial, deal
from crypto.threshold.knowledge import (
    KnowledgeContext,
    SealedVector,
    announce,
    check_proof,
    pack_vector,
    proof_from_bytes,
    proof_to_bytes,
    reencrypt,
    seal_proofs,
    seal_vector,
    unpack_vector,
    verify_knowledge,
)
from crypto.threshold.replicated import Committee

SMALL = TEST_INSECURE_SMALL.order_ring
VECTORS = Path(__file__).parents[1] / "vectors" / "sealing.json"
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
DOMAIN = Domain(CONTEXT.chain_id, CONTEXT.contract)


@lru_cache(maxsize=4)
def epoch(
    size: int, parameters: ParameterSet = TEST_INSECURE_SMALL
) -> tuple[PublicMaterial, tuple[KeyperSecrets, ...]]:
    return deal(parameters, Committee(size, CONTEXT.epoch))


@lru_cache(maxsize=4)
def honest(size: int) -> SealedVector:
    material, _ = epoch(size)
    vector = intent_vector(SMALL, 100, BUY, 25, 60)
    return seal_vector(material.order_keys.public, material.committee, vector, ROOT_SEED, CONTEXT)


# Envelopes and bytes


def sealed_intent(ciphertext: Ciphertext) -> SealedIntent:
    return SealedIntent(
        account=CONTEXT.account,
        instrument=CONTEXT.instrument,
        interval=CONTEXT.interval,
        commitment=bytes(32),
        ciphertext_digest=ciphertext.digest(),
        cap=50,
        nonce=CONTEXT.nonce,
        deadline=2_000_000_000,
        key_epoch=CONTEXT.epoch,
        others_collateral_min=7,
    )


@pytest.mark.parametrize("size", [3, 4])
def test_envelopes_carry_the_openings_to_every_keyper(size: int) -> None:
    material, held = epoch(size)
    vector = honest(size)
    intent = sealed_intent(vector.ciphertext)
    envelopes = seal_proofs(material, vector, intent, DOMAIN)
    computed = [
        check_proof(s, material, intent, DOMAIN, vector.ciphertext, envelopes[s.keyper])
        for s in held
    ]
    announced = [c.announcement for c in computed]
    for own in computed:
        assert verify_knowledge(material.committee, own, announced).agreement.liars == ()


def test_an_envelope_of_the_standard_ring_fits_its_bound() -> None:
    material, _ = epoch(4, STANDARD)
    vector = intent_vector(STANDARD.order_ring, 1024, BUY, 1, 0)
    sealed = seal_vector(material.order_keys.public, material.committee, vector, ROOT_SEED, CONTEXT)
    envelopes = seal_proofs(material, sealed, sealed_intent(sealed.ciphertext), DOMAIN)
    assert [len(e) for e in envelopes] == [26_776, 26_776, 26_776, 152]


@pytest.mark.parametrize(
    "changes",
    [
        {"account": b"\xbb" * 20},
        {"interval": 43},
        {"instrument": bytes(32)},
        {"nonce": 10},
        {"cap": 51},
        {"others_collateral_min": 8},
        {"deadline": 1},
        {"commitment": b"\1" * 32},
    ],
)
def test_an_envelope_opens_for_its_own_intent_only(changes: dict[str, Any]) -> None:
    material, held = epoch(4)
    vector = honest(4)
    intent = sealed_intent(vector.ciphertext)
    envelopes = seal_proofs(material, vector, intent, DOMAIN)
    other = replace(intent, **changes)
    with pytest.raises(EnvelopeRefused):
        check_proof(held[0], material, other, DOMAIN, vector.ciphertext, envelopes[0])


def test_an_envelope_opens_for_its_recipient_chain_and_contract_only() -> None:
    material, held = epoch(4)
    vector = honest(4)
    intent = sealed_intent(vector.ciphertext)
    envelopes = seal_proofs(material, vector, intent, DOMAIN)
    for domain, envelope in [
        (DOMAIN, envelopes[1]),
        (Domain(1, DOMAIN.verifying_contract), envelopes[0]),
        (Domain(DOMAIN.chain_id, bytes(20)), envelopes[0]),
    ]:
        with pytest.raises(EnvelopeRefused):
            check_proof(held[0], material, intent, domain, vector.ciphertext, envelope)


def test_a_keyper_refuses_another_epoch_and_another_ciphertext() -> None:
    material, held = epoch(4)
    vector = honest(4)
    intent = sealed_intent(vector.ciphertext)
    envelope = seal_proofs(material, vector, intent, DOMAIN)[0]
    other = vector.ciphertext.add(vector.ciphertext)
    later = replace(intent, key_epoch=6)
    with pytest.raises(WrongEpoch):
        check_proof(held[0], material, later, DOMAIN, vector.ciphertext, envelope)
    with pytest.raises(SealingMismatch, match="digest of the ciphertext"):
        check_proof(held[0], material, intent, DOMAIN, other, envelope)


@given(data=st.data())
@settings(max_examples=60)
def test_changed_openings_never_parse_to_something_else(data: st.DataObject) -> None:
    committee = Committee(4, CONTEXT.epoch)
    keyper = data.draw(st.integers(0, 3))
    original = proof_to_bytes(committee, honest(4).proofs[keyper])
    position = data.draw(st.integers(0, len(original) - 1))
    changed = bytearray(original)
    changed[position] ^= data.draw(st.integers(1, 255))
    changed = changed[: data.draw(st.sampled_from([len(original), len(original) - 1, position]))]
    changed += data.draw(st.binary(max_size=2))
    try:
        parsed = proof_from_bytes(SMALL, committee, keyper, bytes(changed))
    except MalformedProof:
        return
    assert proof_to_bytes(committee, parsed) == bytes(changed)


@given(octets=st.binary(max_size=200), keyper=st.integers(0, 3))
def test_arbitrary_bytes_are_no_openings(octets: bytes, keyper: int) -> None:
    with pytest.raises(MalformedProof):
        proof_from_bytes(SMALL, Committee(4, 0), keyper, octets)


@given(seed=st.integers(0, 2**32 - 1))
@settings(max_examples=20)
def test_packing_a_vector_loses_nothing(seed: int) -> None:
    vector = np.random.default_rng(seed).integers(0, SMALL.plain_modulus, SMALL.degree)
    assert (unpack_vector(SMALL, pack_vector(SMALL, vector)) == vector).all()


def test_packed_entries_at_or_above_the_modulus_are_refused() -> None:
    data = bytearray(pack_vector(SMALL, np.zeros(SMALL.degree, dtype=np.int64)))
    data[:4] = SMALL.plain_modulus.to_bytes(4, "little")
    with pytest.raises(MalformedProof, match="entry"):
        unpack_vector(SMALL, bytes(data))
    with pytest.raises(MalformedProof, match="length"):
        unpack_vector(SMALL, bytes(data[:-1]))


def test_openings_of_other_shares_are_refused_before_they_are_encrypted() -> None:
    material, _ = epoch(4)
    first = honest(4).proofs[0]
    with pytest.raises(MalformedProof, match="share numbers"):
        announce(
            material.order_keys.public,
            material.committee,
            replace(first, keyper=1),
            CONTEXT,
            honest(4).ciphertext,
        )


# Frozen vectors


def vector_key() -> PublicKey:
    """As in the vectors of encryption."""
    ring = STANDARD.order_ring
    shape = (2, len(ring.key_primes), ring.degree)
    stream = hashlib.shake_256(b"darkpool test vector: public key " + ring.name.encode())
    words = np.frombuffer(stream.digest(8 * int(np.prod(shape))), "<u8").reshape(shape)
    primes = np.array(ring.key_primes, dtype=np.uint64)[None, :, None]
    return PublicKey(ring, words.astype(np.uint64) % primes)


def sealing_vector(size: int, side: int) -> dict[str, Any]:
    committee = Committee(size, CONTEXT.epoch)
    vector = intent_vector(STANDARD.order_ring, 1024, side, 1500, 512)
    sealed = seal_vector(vector_key(), committee, vector, ROOT_SEED, CONTEXT)
    shares = reencrypt(vector_key(), committee, sealed.proofs[0], CONTEXT)
    shares |= reencrypt(vector_key(), committee, sealed.proofs[1], CONTEXT)
    return {
        "ring": STANDARD.order_ring.name,
        "committee_size": size,
        "order": {"ticks": 1024, "side": side, "size": 1500, "limit_tick": 512},
        "root_seed": ROOT_SEED.hex(),
        "context": {
            name: value.hex() if isinstance(value, bytes) else value
            for name in KnowledgeContext.__slots__
            for value in [getattr(CONTEXT, name)]
        },
        "vector_packed_sha256": hashlib.sha256(
            pack_vector(STANDARD.order_ring, vector)
        ).hexdigest(),
        "seeds": [
            {**sealed.proofs[0].seeds, **sealed.proofs[1].seeds}[j].hex() for j in range(size)
        ],
        "last_vector_sha256": hashlib.sha256(sealed.proofs[0].last_vector).hexdigest(),
        "share_digests": [shares[j].digest.hex() for j in range(size)],
        "openings_sha256": [
            hashlib.sha256(proof_to_bytes(committee, o)).hexdigest() for o in sealed.proofs
        ],
        "digest": sealed.ciphertext.digest().hex(),
    }


@pytest.mark.parametrize(("index", "size", "side"), [(0, 4, BUY), (1, 4, SELL), (2, 3, BUY)])
def test_sealing_gives_the_bytes_of_the_frozen_vector(index: int, size: int, side: int) -> None:
    assert sealing_vector(size, side) == json.loads(VECTORS.read_text())["vectors"][index]


if __name__ == "__main__":
    document = {
        "specification": "docs/protocol/encryption.md",
        "public_key": "as in encryption.json",
        "vectors": [sealing_vector(4, BUY), sealing_vector(4, SELL), sealing_vector(3, BUY)],
    }
    VECTORS.write_text(json.dumps(document, indent=1) + "\n")
    sys.stdout.write(f"{VECTORS}\n")
