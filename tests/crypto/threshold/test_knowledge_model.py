"""The rule of acceptance, checked against every behaviour of a small model.

Digests, encryptions and vectors become numbers modulo 3: the client names a ciphertext V and gives
every honest keyper whatever openings it likes; one keyper is corrupt, colludes with the client and
announces what it likes to everybody. V is *explained* when it is the sum of one opening for each
share, each of them held by an honest keyper: then the honest keypers know its plaintext and
randomness, so the sender did.
"""

from collections.abc import Callable
from itertools import product

import numpy as np
import numpy.typing as npt
import pytest

from crypto.errors import HoldersDisagree, MissingShare
from crypto.threshold.replicated import Committee, agree

MODULUS = 3
Values = npt.NDArray[np.int8]
Rule = Callable[[Values, list[Values], int], Values]


def openings(committee: Committee, corrupt: int) -> dict[tuple[int, int], Values]:
    """All ways to hand openings (keyper, share) to the honest keypers, as parallel columns."""
    places = [(i, j) for i in committee.members if i != corrupt for j in committee.shares_of(i)]
    columns = np.indices((MODULUS,) * len(places), dtype=np.int8).reshape(len(places), -1)
    return dict(zip(places, columns, strict=True))


def strict_majority(residual: Values, honest: list[Values], holders: int) -> Values:
    """Whether the corrupt keyper can make the residual the answer of most holders, or of all."""
    votes = sum((answer == residual).astype(np.int8) for answer in honest)
    corrupt_votes = holders - len(honest)
    return np.asarray(votes + corrupt_votes > holders // 2)


def any_single(residual: Values, honest: list[Values], holders: int) -> Values:
    """Whether some holder announces the residual: the corrupt one always can."""
    if holders > len(honest):
        return np.ones(residual.shape, dtype=bool)
    return np.asarray(np.any([answer == residual for answer in honest], axis=0))


def unexplained_but_accepted(committee: Committee, corrupt: int, rule: Rule) -> tuple[int, int]:
    """Cases in which some, and in which all, honest keypers accept a V that nobody can explain."""
    honest = [i for i in committee.members if i != corrupt]
    given = openings(committee, corrupt)
    some = every = 0
    for ciphertext in range(MODULUS):
        explained = np.zeros(next(iter(given.values())).shape, dtype=bool)
        choices = [[i for i in honest if i != j] for j in committee.members]
        for keypers in product(*choices):
            total = sum(given[i, j] for j, i in enumerate(keypers))
            explained |= total % MODULUS == ciphertext
        accepted = []
        for i in honest:
            known = np.sum([given[i, j] for j in committee.shares_of(i)], axis=0)
            holders = committee.holders(i)
            answers = [given[k, i] for k in holders if k != corrupt]
            accepted.append(rule((ciphertext - known) % MODULUS, answers, len(holders)))
        some += int((np.any(accepted, axis=0) & ~explained).sum())
        every += int((np.all(accepted, axis=0) & ~explained).sum())
    return some, every


@pytest.mark.parametrize("size", [3, 4])
def test_a_strict_majority_admits_nothing_that_honest_keypers_cannot_explain(size: int) -> None:
    committee = Committee(size, 0)
    for corrupt in committee.members:
        assert unexplained_but_accepted(committee, corrupt, strict_majority) == (0, 0)


@pytest.mark.parametrize("size", [3, 4])
def test_any_single_announcement_would_admit_what_nobody_can_explain(size: int) -> None:
    committee = Committee(size, 0)
    some, every = unexplained_but_accepted(committee, 0, any_single)
    assert some > 0
    assert every > 0


@pytest.mark.parametrize("size", [3, 4])
def test_agreement_is_the_rule_of_the_model(size: int) -> None:
    """`agree` accepts a digest exactly when more than half of all holders announced it."""
    committee = Committee(size, 0)
    holders = committee.holders(0)
    for answers in product([None, b"a", b"b", b"c"], repeat=len(holders)):
        announced = {
            i: answer for i, answer in zip(holders, answers, strict=True) if answer is not None
        }
        votes = {digest: answers.count(digest) for digest in set(announced.values())}
        winners = [digest for digest, count in votes.items() if 2 * count > len(holders)]
        if winners:
            assert agree(committee, 0, announced).digest == winners[0]
        else:
            with pytest.raises((HoldersDisagree, MissingShare)):
                agree(committee, 0, announced)
