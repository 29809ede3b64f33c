"""What the time that sealing takes tells of the order: how well classifiers guess from it.

Orders and cover traffic are sealed in random order on the rings of production. Wall clock and
processor time of each sealing, of the two before and of the one after are given to a logistic
regression and to gradient boosting, which learn from half of them and guess for the other half:
cover or order, buy or sell, small or large. An area under the curve of 0.5 is chance. As a control
the same is done to times to which sells add a twentieth of the median, which has to be found.
"""

import gc
import math
import secrets
import time
from collections.abc import Sequence
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
from sklearn.preprocessing import QuantileTransformer
from threadpoolctl import threadpool_limits

from benchmarks.committees import terms_of
from benchmarks.machine import Arguments, Figures, Samples, argument_parser
from crypto.ring.params import STANDARD
from crypto.signing.ecdsa import address_of, sign
from crypto.signing.messages import instrument_id
from crypto.threshold.keys import deal
from crypto.threshold.replicated import Committee
from darkpool.client.sealing import PublicLimits, draw_intent, seal_intent
from darkpool.client.standing_orders import COVER
from darkpool.protocol.intents import LimitOrder
from darkpool.units import InstrumentId, Interval, Lots, PriceGrid, Side, Tick

RUNS = 6000
WARM = 50
HELD_OUT = 0.5
TICKS = 1024
CAP = Lots(10_000_000)
INSTRUMENT = InstrumentId(instrument_id("ES"))

Times = npt.NDArray[np.float64]
Answers = npt.NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Kind:
    """What one run seals."""

    real: bool
    side: Side
    large: bool

    def order(self) -> LimitOrder:
        """An order of this kind, at a limit anywhere on the grid."""
        if not self.real:
            return COVER
        size = 9_000_000 + secrets.randbelow(1_000_000) if self.large else 1 + secrets.randbelow(9)
        return LimitOrder(self.side, Lots(size), Tick(secrets.randbelow(TICKS)))


def timed(kinds: Sequence[Kind]) -> Times:
    """Nanoseconds of each sealing, wall clock and processor; shape (runs, 2)."""
    material, _ = deal(STANDARD, Committee(4, 0))
    grid = PriceGrid(Decimal("0.25"), Decimal(4805), TICKS)
    terms = terms_of(material, Interval(1), grid)
    key = b"\1" * 32
    account = address_of(key)
    times = np.empty((len(kinds), 2))
    gc.collect()
    gc.disable()
    for number, kind in enumerate((*kinds[:WARM], *kinds), start=-WARM):
        intent = draw_intent(kind.order(), INSTRUMENT, terms.interval, account, WARM + number)
        wall, processor = time.perf_counter_ns(), time.thread_time_ns()
        unsigned = seal_intent(intent, terms, PublicLimits(2**32, CAP))
        unsigned.signed(sign(unsigned.digest, key))
        processor, wall = time.thread_time_ns() - processor, time.perf_counter_ns() - wall
        if number >= 0:
            times[number] = wall, processor
    gc.enable()
    return times


def with_neighbours(times: Times) -> Times:
    """Each run with the two before and the one after, which tell what the machine was doing."""
    return np.hstack([np.roll(times, shift, axis=0) for shift in (0, 1, 2, -1)])


def classifiers() -> dict[str, ClassifierMixin]:
    """Those of the tests, on ranks: times have a long tail."""
    regression = LogisticRegression(max_iter=500)
    return {
        "logistic regression": make_pipeline(QuantileTransformer(n_quantiles=200), regression),
        "gradient boosting": HistGradientBoostingClassifier(
            max_iter=40, max_depth=3, early_stopping=False, random_state=0
        ),
    }


def areas(times: Times, answers: Answers) -> Figures:
    """Area under the curve of each classifier, and the deviation that guessing blindly has."""
    features = with_neighbours(times)
    learnt, asked, known, expected = train_test_split(
        features, answers, test_size=HELD_OUT, stratify=answers, random_state=0
    )
    positive = int(expected.sum())
    pairs = positive * (expected.size - positive)
    found = {"deviation_at_chance": round(math.sqrt((expected.size + 1) / (12 * pairs)), 4)}
    with threadpool_limits(1):
        for name, classifier in classifiers().items():
            scores = classifier.fit(learnt, known).predict_proba(asked)[:, 1]
            found[name] = round(float(roc_auc_score(expected, scores)), 4)
    return found


def measure() -> tuple[Figures, Samples]:
    """Seal in random order and guess."""
    kinds = [Kind(False, Side.BUY, False)] * 2
    kinds += [Kind(True, side, large) for side in Side for large in (False, True)]
    drawn = kinds * (RUNS // len(kinds))
    secrets.SystemRandom().shuffle(drawn)
    times = timed(drawn)
    real = np.array([kind.real for kind in drawn])
    sells = np.array([kind.side is Side.SELL for kind in drawn])
    large = np.array([kind.large for kind in drawn])
    slower = times * (1 + 0.05 * sells[:, np.newaxis])
    figures: Figures = {
        "runs": len(drawn),
        "seal_ms": round(float(np.median(times[:, 0])) / 1e6, 3),
        "areas": {
            "cover or order": areas(times, ~real),
            "buy or sell": areas(times[real], sells[real]),
            "small or large": areas(times[real], large[real]),
            "control: sells take 5% longer": areas(slower[real], sells[real]),
        },
    }
    samples: Samples = {
        "order": real.astype(int).tolist(),
        "sell": sells.astype(int).tolist(),
        "large": large.astype(int).tolist(),
        "wall_ns": times[:, 0].tolist(),
        "processor_ns": times[:, 1].tolist(),
    }
    return figures, samples


def main() -> None:
    """Measure and write the result."""
    arguments = argument_parser(__doc__).parse_args(namespace=Arguments())
    arguments.write("sealing_timing", *measure())


if __name__ == "__main__":
    main()
