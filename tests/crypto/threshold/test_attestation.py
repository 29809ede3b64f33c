"""What names an auction and the masks set aside for it: two that differ have different names."""

from dataclasses import fields, replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crypto.signing.eip712 import Domain
from crypto.signing.settling import BatchRoot
from crypto.threshold.attestation import OpeningEntry, opening_context, plan_digest

DOMAIN = Domain(31337, b"\xd0" * 20)
BATCH = BatchRoot(7, b"\1" * 32, 5, b"\2" * 32, b"\3" * 32, b"\4" * 32, 2**31)
ENTRY = OpeningEntry("bits", b"\1" * 32, 3, 0, {j: bytes([j]) * 32 for j in range(4)})

masks = st.tuples(st.integers(0, 2**20), st.integers(0, 2**20), st.binary(min_size=32, max_size=32))
plans = st.lists(masks, max_size=5)


@given(plans, plans)
def test_two_plans_have_two_digests(
    one: list[tuple[int, int, bytes]], other: list[tuple[int, int, bytes]]
) -> None:
    assert (plan_digest(one) == plan_digest(other)) == (one == other)


@given(plans.filter(bool), st.data())
def test_each_field_of_each_mask_is_in_the_digest_of_a_plan(
    plan: list[tuple[int, int, bytes]], data: st.DataObject
) -> None:
    place = data.draw(st.integers(0, len(plan) - 1))
    number, lanes, digest = plan[place]
    changes = ((number + 1, lanes, digest), (number, lanes + 1, digest), (lanes, number, bytes(32)))
    for changed in changes:
        if changed != plan[place]:
            assert plan_digest([*plan[:place], changed, *plan[place + 1 :]]) != plan_digest(plan)
    assert plan_digest(plan[:place] + plan[place + 1 :]) != plan_digest(plan)


def test_the_order_of_a_plan_counts() -> None:
    plan = [(0, 4, b"\1" * 32), (1, 4, b"\2" * 32)]
    assert plan_digest(plan) != plan_digest(plan[::-1])


@pytest.mark.parametrize("field", [field.name for field in fields(BatchRoot)])
def test_each_field_of_a_batch_is_in_the_context_of_its_auction(field: str) -> None:
    value = getattr(BATCH, field)
    other = value + 1 if isinstance(value, int) else bytes(32)
    changes: dict[str, Any] = {field: other}
    changed = replace(BATCH, **changes)
    context = opening_context(BATCH.digest(DOMAIN), 40)
    assert opening_context(changed.digest(DOMAIN), 40) != context


@pytest.mark.parametrize(
    "other", [replace(DOMAIN, chain_id=1), replace(DOMAIN, verifying_contract=bytes(20))]
)
def test_chain_and_contract_are_in_the_context(other: Domain) -> None:
    assert opening_context(BATCH.digest(other), 40) != opening_context(BATCH.digest(DOMAIN), 40)


def test_a_batch_that_is_committed_again_in_another_block_has_another_context() -> None:
    digest = BATCH.digest(DOMAIN)
    assert len({opening_context(digest, block) for block in range(50)}) == 50


@pytest.mark.parametrize(
    "other",
    [
        {"purpose": "digits"},
        {"ciphertext": b"\2" * 32},
        {"mask": 4},
        {"mask": None},
        {"part": 1},
        {"shares": {**ENTRY.shares, 2: b"\7" * 32}},
    ],
    ids=str,
)
def test_everything_of_an_opening_is_in_its_digest(other: dict[str, Any]) -> None:
    assert replace(ENTRY, **other).digest() != ENTRY.digest()


def test_a_keyper_s_digest_of_an_opening_lacks_the_share_that_it_does_not_hold() -> None:
    for keyper in range(4):
        without = {j: share for j, share in ENTRY.shares.items() if j != keyper}
        assert ENTRY.digest(keyper) == replace(ENTRY, shares=without).digest()
        assert ENTRY.digest(keyper) != ENTRY.digest()
