"""A keyper signs one rotation an epoch, and only of its own committee."""

from dataclasses import replace

import pytest

from crypto.signing.ecdsa import verify_signature
from crypto.signing.settling import Rotation, committee_hash
from darkpool.keyper.errors import Equivocation
from darkpool.protocol.refusals import WrongTerms
from darkpool.units import account_bytes
from tests.support.house import DOMAIN, House, HouseCommittee

OTHER = b"\x09" * 32


def rotation_of(committee: HouseCommittee, epoch: int = 2) -> Rotation:
    own = committee_hash(map(account_bytes, committee.addresses))
    return Rotation(epoch, own, tuple(bytes([n]) * 20 for n in range(1, 5)), bytes(32), bytes(32))


def test_a_committee_signs_the_one_that_follows(house: House) -> None:
    committee = house.committee()
    rotation = rotation_of(committee)
    signed = committee.sign_rotation(rotation)
    assert sorted(signed) == [0, 1, 2, 3]
    for number, signature in signed.items():
        address = account_bytes(committee.addresses[number])
        verify_signature(rotation.digest(DOMAIN), signature, address)


def test_a_keyper_signs_one_rotation_an_epoch_also_after_a_restart(house: House) -> None:
    seats = house.seats()
    committee = house.committee(seats)
    rotation = rotation_of(committee)
    signature = committee.keypers[0].sign_rotation(rotation)
    for keyper in (committee.keypers[0], house.committee(seats).keypers[0]):
        assert keyper.sign_rotation(rotation) == signature
        for other in (
            replace(rotation, next=rotation.next[::-1]),
            replace(rotation, key_id=OTHER),
            replace(rotation, circuits=OTHER),
        ):
            with pytest.raises(Equivocation, match="rotation"):
                keyper.sign_rotation(other)
    committee.keypers[0].sign_rotation(replace(rotation, epoch=3, key_id=OTHER))


def test_the_rotation_of_another_committee_is_refused(house: House) -> None:
    keyper = house.committee().keypers[0]
    with pytest.raises(WrongTerms, match="committee before the rotation"):
        keyper.sign_rotation(rotation_of(house.committee()))
