"""One keyper of four answers with what is no answer: it is left out, and nothing changes."""

from dataclasses import replace
from typing import cast

import pytest

from crypto.bfv.lanes import LaneShape
from crypto.errors import MalformedContribution
from crypto.ring.params import TEST_INSECURE_SMALL
from crypto.signing.ecdsa import verify_signature
from crypto.threshold.attestation import mask_attestation_digest
from crypto.threshold.masks import Contribution, DrawnMask, contribute, require_contribution
from darkpool.keyper.keyper import LocalKeyper
from darkpool.protocol.keyper import BatchProposal, ContributionRequest, SettlementProposal
from darkpool.units import Interval
from tests.support.house import DOMAIN, House, HouseCommittee
from tests.support.settlement_proposals import proposal_of, settlement_of
from tests.support.true_masks import draw_of

SHAPE = LaneShape(TEST_INSECURE_SMALL, 128)


class Regrouping(LocalKeyper):
    """Sends the right ciphertexts of a contribution as one bit's, so that a mask has one bit."""

    def contribution(self, request: ContributionRequest) -> Contribution:
        right = super().contribution(request)
        return replace(right, order_ciphertexts=(sum(right.order_ciphertexts, ()),))


class Flattening(LocalKeyper):
    """As `Regrouping`, of the digits."""

    def contribution(self, request: ContributionRequest) -> Contribution:
        right = super().contribution(request)
        return replace(right, comparison_ciphertexts=(sum(right.comparison_ciphertexts, ()),))


class Disguised(Contribution):
    """Empty, with the digest of what is not."""

    def digest(self) -> bytes:
        return DIGESTS[-1]


DIGESTS: list[bytes] = []


class Disguising(LocalKeyper):
    """Sends an object that has the digest of the right contribution and none of its content."""

    def contribution(self, request: ContributionRequest) -> Contribution:
        DIGESTS.append(super().contribution(request).digest())
        return Disguised((), ())


@pytest.mark.parametrize("kind", [Regrouping, Flattening, Disguising])
@pytest.mark.parametrize("number", [0, 1])
def test_a_keyper_does_not_choose_how_a_mask_is_put_together(
    house: House, kind: type[LocalKeyper], number: int
) -> None:
    honest = house.committee().prepare_mask(SHAPE).mask
    mask = house.committee(kinds={number: kind}).prepare_mask(SHAPE).mask
    assert mask.digest() == honest.digest()


def test_a_contribution_has_the_form_of_its_draw(house: House) -> None:
    draw = draw_of(SHAPE, 0)
    right = contribute(house.material, draw, 0, bytes(32))
    require_contribution(draw, right)
    order, comparison = right.order_ciphertexts, right.comparison_ciphertexts
    swapped = ((comparison[0][0],),) * len(order)
    wrong = [
        replace(right, order_ciphertexts=order[:-1]),
        replace(right, order_ciphertexts=(*order, order[0])),
        replace(right, order_ciphertexts=swapped),
        replace(right, comparison_ciphertexts=comparison[:-1]),
        replace(right, comparison_ciphertexts=(comparison[0][:-1], *comparison[1:])),
    ]
    for sent in wrong:
        with pytest.raises(MalformedContribution):
            require_contribution(draw, sent)


def test_a_digest_covers_the_grouping(house: House) -> None:
    right = contribute(house.material, draw_of(SHAPE, 0), 0, bytes(32))
    grouped = replace(right, order_ciphertexts=(sum(right.order_ciphertexts, ()),))
    assert grouped.digest() != right.digest()


class Scribbling(LocalKeyper):
    """Answers with bytes that are no signature of its own."""

    def sign_batch_root(self, proposal: BatchProposal) -> bytes:
        super().sign_batch_root(proposal)
        return bytes(65)

    def sign_settlement(self, proposal: SettlementProposal) -> bytes:
        super().sign_settlement(proposal)
        return cast("bytes", None)

    def attest_mask(self, mask: DrawnMask) -> bytes:
        return super().attest_mask(mask)[:-1]

    def begin_auction(self, interval: Interval) -> bytes:
        return cast("bytes", [super().begin_auction(interval)])


def addresses(committee: HouseCommittee) -> list[bytes]:
    return [bytes.fromhex(address[2:]) for address in committee.addresses]


@pytest.mark.usefixtures("checks")
def test_what_is_no_signature_does_not_count(house: House) -> None:
    committee = house.committee(kinds={2: Scribbling})
    interval = Interval(next(house.intervals))
    proposal = house.batch(committee, interval)
    settlement = settlement_of(interval)
    attested = committee.prepare_mask(SHAPE)
    batch = committee.sign_batch_root(proposal)
    house.commit(proposal.root)
    signed = [
        (proposal.root.digest(DOMAIN), batch),
        (
            settlement.digest(DOMAIN),
            committee.sign_settlement(proposal_of(interval), settlement),
        ),
        (mask_attestation_digest(DOMAIN, attested.mask.digest()), attested.attestations),
    ]
    for digest, signatures in signed:
        assert sorted(signatures) == [0, 1, 3]
        for number, signature in signatures.items():
            verify_signature(digest, signature, addresses(committee)[number])


@pytest.mark.usefixtures("checks")
@pytest.mark.parametrize("renumbered", [False, True])
def test_a_keyper_does_not_sign_in_the_name_of_another(house: House, renumbered: bool) -> None:
    first = house.committee().keypers[0]

    class Impersonating(LocalKeyper):
        def sign_settlement(self, proposal: SettlementProposal) -> bytes:
            type(self).address = property(lambda _self: first.address)  # type: ignore[assignment,method-assign]
            if renumbered:
                type(self).number = property(lambda _self: 0)  # type: ignore[assignment,method-assign]
            return first._identity.sign(settlement_of(proposal.summary.interval).digest(DOMAIN))

    committee = house.committee(kinds={3: Impersonating})
    interval = house.closed(committee)
    signed = committee.sign_settlement(proposal_of(interval), settlement_of(interval))
    assert sorted(signed) == [0, 1, 2]


def test_an_auction_begins_beside_a_context_that_is_none(house: House) -> None:
    committee = house.committee(kinds={2: Scribbling})
    session = committee.begin_auction(house.closed(committee), lambda _revealed: None)
    assert len(session.context) == 32


def test_a_keyper_is_known_by_the_number_that_it_started_with(house: House) -> None:
    class Renumbered(LocalKeyper):
        def next_mask(self) -> int:
            type(self).number = property(lambda _self: 1)  # type: ignore[assignment,method-assign]
            return super().next_mask()

    committee = house.committee(kinds={0: Renumbered})
    answers = committee.panel.ask(lambda keyper: (keyper.next_mask(), keyper.number))
    assert {number: told for number, (_, told) in answers.given.items()} == {k: k for k in range(4)}
