from itertools import combinations, permutations, product

import pytest

from crypto.errors import HoldersDisagree, MissingShare, OutOfRange
from crypto.threshold.replicated import Agreement, Committee, agree, share_digest

HONEST, FALSE, OTHER = (share_digest(0, b"test", data) for data in (b"honest", b"false", b"other"))
COMMITTEES = [Committee(3, 0), Committee(4, 0)]
ABSENT = None


def _announcements(committee: Committee, share: int, corrupt: int) -> list[dict[int, bytes]]:
    """Everything that one corrupt keyper and a network that loses messages can make of a share."""
    patterns = []
    for kept in product([True, False], repeat=committee.size):
        for lie in (HONEST, FALSE, OTHER, ABSENT):
            answers = {i: HONEST for i in committee.holders(share) if kept[i] and i != corrupt}
            if lie is not ABSENT:
                answers[corrupt] = lie
            patterns.append(answers)
    return patterns


@pytest.mark.parametrize("committee", COMMITTEES, ids=["three", "four"])
def test_no_wrong_digest_is_ever_accepted_from_one_corrupt_keyper(committee: Committee) -> None:
    for share, corrupt in product(committee.members, repeat=2):
        for answers in _announcements(committee, share, corrupt):
            try:
                agreement = agree(committee, share, answers)
            except (MissingShare, HoldersDisagree):
                continue
            assert agreement.digest == HONEST
            assert set(agreement.liars) <= {corrupt}


def test_four_keypers_always_decide_and_name_the_liar() -> None:
    committee = Committee(4, 0)
    for share, corrupt in product(committee.members, repeat=2):
        honest = {i: HONEST for i in committee.holders(share) if i != corrupt}
        for lie in (HONEST, FALSE, ABSENT):
            answers = honest if lie is ABSENT else honest | {corrupt: lie}
            liars = (corrupt,) if lie == FALSE and corrupt != share else ()
            assert agree(committee, share, answers) == Agreement(share, HONEST, liars)


def test_three_keypers_name_both_suspects_and_decide_nothing() -> None:
    committee = Committee(3, 0)
    for share in committee.members:
        first, second = committee.holders(share)
        for answers in ({first: HONEST, second: FALSE}, {first: FALSE, second: HONEST}):
            with pytest.raises(HoldersDisagree) as caught:
                agree(committee, share, answers)
            assert (caught.value.share, caught.value.suspects) == (share, (first, second))
        assert agree(committee, share, {first: HONEST, second: HONEST}).liars == ()


@pytest.mark.parametrize("committee", COMMITTEES, ids=["three", "four"])
def test_too_few_answers_are_missing(committee: Committee) -> None:
    for share in committee.members:
        for count in (0, 1):
            for answering in combinations(committee.holders(share), count):
                with pytest.raises(MissingShare) as caught:
                    agree(committee, share, dict.fromkeys(answering, HONEST))
                assert (caught.value.share, caught.value.expected) == (share, 2)
                assert caught.value.got == count


@pytest.mark.parametrize("committee", COMMITTEES, ids=["three", "four"])
def test_the_keyper_without_the_share_has_no_voice(committee: Committee) -> None:
    for share in committee.members:
        first, second = committee.holders(share)[:2]
        with pytest.raises(MissingShare):
            agree(committee, share, {first: FALSE, share: FALSE})
        agreement = agree(committee, share, {first: HONEST, second: HONEST, share: FALSE})
        assert agreement == Agreement(share, HONEST, ())
        assert agree(committee, share, {first: HONEST, second: HONEST, 99: FALSE}).liars == ()


def test_three_different_answers_decide_nothing() -> None:
    committee = Committee(4, 0)
    for answers in permutations((HONEST, FALSE, OTHER)):
        with pytest.raises(HoldersDisagree) as caught:
            agree(committee, 0, dict(zip(committee.holders(0), answers, strict=True)))
        assert caught.value.suspects == (1, 2, 3)


def test_two_answers_of_four_that_differ_decide_nothing() -> None:
    with pytest.raises(HoldersDisagree) as caught:
        agree(Committee(4, 0), 0, {1: HONEST, 3: FALSE})
    assert caught.value.suspects == (1, 3)


def test_the_order_of_answers_does_not_matter() -> None:
    answers = [(1, FALSE), (2, HONEST), (3, HONEST)]
    decided = {agree(Committee(4, 0), 0, dict(order)) for order in permutations(answers)}
    assert decided == {Agreement(0, HONEST, (1,))}


@pytest.mark.parametrize("committee", COMMITTEES, ids=["three", "four"])
def test_any_two_keypers_hold_everything_and_one_never_does(committee: Committee) -> None:
    everything = set(committee.members)
    for keyper in committee.members:
        assert everything - set(committee.shares_of(keyper)) == {keyper}
        assert keyper not in committee.holders(keyper)
    for a, b in combinations(committee.members, 2):
        assert set(committee.shares_of(a)) | set(committee.shares_of(b)) == everything
    for share, keyper in product(committee.members, repeat=2):
        assert (keyper in committee.holders(share)) == (share in committee.shares_of(keyper))


@pytest.mark.parametrize("committee", COMMITTEES, ids=["three", "four"])
def test_two_quorums_share_two_keypers(committee: Committee) -> None:
    quorums = list(combinations(committee.members, committee.quorum))
    assert min(len(set(a) & set(b)) for a in quorums for b in quorums) >= 2


@pytest.mark.parametrize(("size", "epoch"), [(2, 0), (5, 0), (0, 0), (4, -1), (4, 1 << 32)])
def test_other_committees_are_refused(size: int, epoch: int) -> None:
    with pytest.raises(OutOfRange):
        Committee(size, epoch)


def test_share_digests_bind_share_purpose_and_data() -> None:
    digests = [
        share_digest(share, purpose, data)
        for share, purpose, data in [
            (0, b"ab", b"c"),
            (0, b"a", b"bc"),
            (0, b"", b"abc"),
            (1, b"ab", b"c"),
            (0, b"ab", b"d"),
            (0, b"abc", b""),
        ]
    ]
    assert len(set(digests)) == len(digests)
