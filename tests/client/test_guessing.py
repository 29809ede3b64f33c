"""Whoever has all bytes of a submission guesses no better than by chance what is in it."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import numpy.typing as npt
import pytest

from crypto.bfv import encryption
from darkpool.protocol.intents import SealedSubmission
from darkpool.units import Side
from tests.support.agent_desk import Desk
from tests.support.sealed_samples import (
    Samples,
    Secret,
    area_under_curve,
    classifiers,
    deviation_at_chance,
    sampled,
)

QUESTIONS = ("cover", "side", "size")
AREA_MAX = 0.55
DEVIATIONS_MIN = 3.8
FOUND = 0.9


def areas(samples: Samples, question: str) -> tuple[dict[tuple[str, str], float], float]:
    """Area under the curve by feature set and classifier, and the deviation that chance has."""
    rows, answers = samples.answers(question)
    found = {
        (features, name): area_under_curve(classifier, samples.features[features][rows], answers)
        for features in samples.features
        for name, classifier in classifiers().items()
    }
    return found, deviation_at_chance(answers)


def test_nobody_guesses_from_the_bytes_of_a_few_hundred(desk: Desk) -> None:
    """480 submissions: the bound is 4.5 deviations above chance, 0.68 to 0.71."""
    samples = sampled(desk, 480, seed=1)
    for question in QUESTIONS:
        found, deviation = areas(samples, question)
        assert len(found) == 6
        assert max(found.values()) <= 0.5 + 4.5 * deviation, (question, found)
        assert 4.5 * deviation < 0.22


@pytest.mark.slow
def test_nobody_guesses_from_the_bytes_of_thousands(desk: Desk) -> None:
    """6,000 submissions: 0.55 is 3.8 deviations or more from chance.

    Half is held out. 1,000 against 1,000, for side and size, deviate by 0.0129, which is
    sqrt(2001 / (12 * 1000 * 1000)), and 1,000 cover against 2,000 orders by 0.0112. So 0.55 is
    above chance by 3.9 and 4.5 deviations, and one of all 18 areas exceeds it by chance in fewer
    than one of 1,000 runs.
    """
    samples = sampled(desk, 6000, seed=2)
    for question in QUESTIONS:
        found, deviation = areas(samples, question)
        assert (AREA_MAX - 0.5) / deviation > DEVIATIONS_MIN
        assert max(found.values()) <= AREA_MAX, (question, found)


def longer_for_buys(submission: SealedSubmission, secret: Secret) -> SealedSubmission:
    if not secret.real or secret.side is Side.SELL:
        return submission
    first, *rest = submission.envelopes
    return replace(submission, envelopes=(first + b"\x00", *rest))


def biased_commitment_for_large(submission: SealedSubmission, secret: Secret) -> SealedSubmission:
    """One bit of the commitment tells."""
    commitment = submission.sealed.commitment
    last = bytes([commitment[-1] & 0x7F if secret.large else commitment[-1] | 0x80])
    return replace(submission, sealed=replace(submission.sealed, commitment=commitment[:-1] + last))


@pytest.mark.parametrize(
    ("question", "features", "change"),
    [
        ("side", "envelopes", longer_for_buys),
        ("size", "signed", biased_commitment_for_large),
    ],
)
def test_a_byte_or_bit_that_depends_on_the_order_is_found(
    desk: Desk,
    question: str,
    features: str,
    change: Callable[[SealedSubmission, Secret], SealedSubmission],
) -> None:
    samples = sampled(desk, 1200, seed=3, change=change)
    rows, answers = samples.answers(question)
    for name, classifier in classifiers().items():
        area = area_under_curve(classifier, samples.features[features][rows], answers)
        assert area > FOUND, name


def test_encryption_without_its_randomness_is_found(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    """(c0, c1) = (e0 + round(q m / t), e1): what is left when the ternary u is zero."""

    def nothing(_: bytes, __: bytes, count: int) -> npt.NDArray[np.int64]:
        return np.zeros(count, dtype=np.int64)

    monkeypatch.setattr(encryption, "ternary", nothing)
    samples = sampled(desk, 120, seed=4)
    _, answers = samples.answers("cover")
    for name, classifier in classifiers().items():
        assert area_under_curve(classifier, samples.features["ciphertext"], answers) > FOUND, name
