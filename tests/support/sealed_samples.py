"""Sealed submissions of an agent with what is in them, for classifiers to guess.

What is guessed is drawn at random, apart from everything else that an observer sees: account,
instrument, interval, nonce and deadline. So only what sealing makes can tell.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from decimal import Decimal

import numpy as np
import numpy.typing as npt
from sklearn.base import ClassifierMixin
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score
from sklearn.model_selection import train_test_split
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from threadpoolctl import threadpool_limits

from crypto.signing.messages import instrument_id
from darkpool.client.plan import CoverPolicy
from darkpool.protocol.intents import SealedSubmission
from darkpool.units import InstrumentId, Interval, Lots, PriceGrid, PriceUnits, Side
from tests.support.agent_desk import DEADLINE_S, Desk, collected, order
from tests.support.reference_prices import renewed

INSTRUMENTS = tuple(InstrumentId(instrument_id(f"I{k}")) for k in range(24))
GRID = PriceGrid(Decimal("0.25"), Decimal(4805), 100)
SMALL_LOTS, LARGE_LOTS = (1, 3), (40, 50)
WORDS_SAMPLED = 64
ENDS_BYTES = 16
HELD_OUT = 0.5

Features = npt.NDArray[np.float64]
Answers = npt.NDArray[np.bool_]
Change = Callable[[SealedSubmission, "Secret"], SealedSubmission]


@dataclass(frozen=True)
class Secret:
    """What is to be guessed; `side` and `large` count only where `real`."""

    real: bool
    side: Side
    large: bool


Sent = tuple[SealedSubmission, Secret]


@dataclass(frozen=True)
class Samples:
    """Features by the name of their set, one row for each submission, and its secret."""

    features: Mapping[str, Features]
    secrets: tuple[Secret, ...]

    def answers(self, question: str) -> tuple[list[int], Answers]:
        """Rows, and answers, of `cover`, `side` or `size`; the last two among orders alone."""
        rows = [k for k, s in enumerate(self.secrets) if s.real or question == "cover"]
        asked = [self.secrets[k] for k in rows]
        true = {"cover": not_real, "side": sells, "size": is_large}[question]
        return rows, np.array([true(secret) for secret in asked])


def not_real(secret: Secret) -> bool:
    return not secret.real


def sells(secret: Secret) -> bool:
    return secret.side is Side.SELL


def is_large(secret: Secret) -> bool:
    return secret.large


def unchanged(submission: SealedSubmission, _: Secret) -> SealedSubmission:
    return submission


def octets(data: bytes) -> Features:
    return np.frombuffer(data, np.uint8).astype(np.float64)


def histogram(data: bytes) -> Features:
    return np.bincount(np.frombuffer(data, np.uint8), minlength=256).astype(np.float64)


def features_of(submission: SealedSubmission) -> dict[str, Features]:
    """Of the ciphertext, of the envelopes, and of what is signed."""
    sealed, ciphertext = submission.sealed, submission.ciphertext
    envelopes = submission.envelopes
    words = np.frombuffer(ciphertext[len(ciphertext) % 8 :], dtype="<u8").astype(np.float64)
    picked = np.linspace(0, words.size - 1, WORDS_SAMPLED).astype(int)
    ends = b"".join(e[:ENDS_BYTES] + e[-ENDS_BYTES:] for e in envelopes)
    signed = sealed.commitment + sealed.ciphertext_digest + submission.signature
    sets = {
        "ciphertext": [[len(ciphertext)], words[picked], histogram(ciphertext)],
        "envelopes": [list(map(len, envelopes)), histogram(b"".join(envelopes)), octets(ends)],
        "signed": [[len(signed), sealed.cap, sealed.deadline], octets(signed)],
    }
    return {name: np.concatenate(parts) for name, parts in sets.items()}


def secrets_drawn(count: int, draw: np.random.Generator) -> list[Secret]:
    """A third cover; of the orders a quarter each small buys, large buys, small and large sells."""
    kinds = [Secret(False, Side.BUY, False)] * 2
    kinds += [Secret(True, side, large) for side in Side for large in (False, True)]
    made = kinds * (count // len(kinds))
    return [made[k] for k in draw.permutation(len(made))]


def samples_of(sent: Iterable[Sent], change: Change = unchanged) -> Samples:
    """Features of what was sent."""
    rows, kept = [], []
    for submission, secret in sent:
        rows.append(features_of(change(submission, secret)))
        kept.append(secret)
    return Samples({name: np.stack([row[name] for row in rows]) for name in rows[0]}, tuple(kept))


def sent_by(desk: Desk, count: int, seed: int) -> list[Sent]:
    """Submissions that an agent sends, all under one cap; `seed` is for the choice of orders."""
    draw = np.random.default_rng(seed)
    return list(_sent(desk, secrets_drawn(count, draw), draw))


def _sent(desk: Desk, wanted: list[Secret], draw: np.random.Generator) -> Iterator[Sent]:
    store = desk.store()
    cover = dict.fromkeys(INSTRUMENTS, CoverPolicy(1_000_000, Lots(50)))
    agent = desk.agent(store, cover)
    for interval, start in enumerate(range(0, len(wanted), len(INSTRUMENTS)), start=1):
        secrets = dict(zip(INSTRUMENTS, wanted[start : start + len(INSTRUMENTS)], strict=False))
        for instrument, secret in secrets.items():
            if secret.real:
                low, high = LARGE_LOTS if secret.large else SMALL_LOTS
                placed = order(
                    int(draw.integers(low, high + 1)),
                    PriceUnits(4_805_000_000 + 250_000 * int(draw.integers(-50, 50))),
                    instrument=instrument,
                    side=secret.side,
                    good_until=Interval(interval),
                )
                store.place(placed)
        terms = renewed(
            desk.venue.terms, interval=Interval(interval), grid=GRID, instruments=secrets
        )
        for submission in collected(agent.submissions(terms, DEADLINE_S)):
            yield submission, secrets[InstrumentId(submission.sealed.instrument)]
        store.apply_result(Interval(interval), {})
    store.close()


def classifiers() -> dict[str, ClassifierMixin]:
    return {
        "logistic regression": make_pipeline(
            StandardScaler(), LogisticRegression(C=0.01, max_iter=500)
        ),
        "gradient boosting": HistGradientBoostingClassifier(
            max_iter=25, max_depth=3, max_bins=63, early_stopping=False, random_state=0
        ),
    }


def area_under_curve(classifier: ClassifierMixin, features: Features, answers: Answers) -> float:
    """Area under the receiver operating characteristic, 0.5 for chance, of half of the samples.

    The other half is what the classifier learns from. Over the folds of a cross-validation chance
    deviates more than any formula says, because what is learnt of one fold is tried on the others.
    """
    learnt, asked, known, expected = train_test_split(
        features, answers, test_size=HELD_OUT, stratify=answers, random_state=0
    )
    # Threads that wait for a busy machine's cores take many times as long as one alone.
    with threadpool_limits(1):
        scores = classifier.fit(learnt, known).predict_proba(asked)[:, 1]
    return float(roc_auc_score(expected, scores))


def deviation_at_chance(answers: Answers) -> float:
    """Standard deviation of the area for guesses that know nothing: of Mann-Whitney's statistic.

    sqrt((n1 + n2 + 1) / (12 n1 n2)), with the numbers that are held out.
    """
    positive, negative = HELD_OUT * answers.sum(), HELD_OUT * (~answers).sum()
    return math.sqrt((positive + negative + 1) / (12 * positive * negative))
