"""What an auction opened against what the simulator says, slot by slot."""

from collections.abc import Sequence

import numpy as np

from crypto.ring.params import TEST_INSECURE_SMALL
from crypto.threshold.revealing import Revealed
from tests.support.arena import Lanes
from tests.support.epochs import chi_square_excess
from tests.support.opening_simulator import Public, Results, simulated

T = TEST_INSECURE_SMALL.order_ring.plain_modulus


def require_simulated(opened: Sequence[Revealed], results: Results, public: Public) -> Lanes:
    """Check every slot of every opening; returns the values of all uniform slots."""
    expected = simulated(results, public)
    assert [r.request.purpose for r in opened] == [o.purpose for o in expected]
    assert [r.request.sequence for r in opened] == list(range(len(opened)))
    uniform, masks = [], []
    for revealed, simulation in zip(opened, expected, strict=True):
        covered = revealed.request.covered
        values = revealed.values.reshape(2, -1)
        if simulation.columns:
            masks.append((covered.mask_number, covered.mask_part))
            assert not values[:, simulation.columns :].any()
            uniform.append(values[:, : simulation.columns].reshape(-1))
            continue
        assert (covered.mask_number, covered.mask_part) == (None, None)
        implied = np.zeros_like(revealed.values)
        for slot, value in simulation.values:
            implied[slot] = value
        assert np.array_equal(revealed.values, implied), revealed.request.purpose
        assert covered.support[revealed.values != 0].all()
    assert None not in {number for number, _ in masks}
    assert len(set(masks)) == len(masks)
    return np.concatenate(uniform)


def distance(one: Lanes, other: Lanes) -> float:
    """Kolmogorov and Smirnov's statistic of two samples, scaled: above 2.4 once in 10^5."""
    grid = np.sort(np.concatenate([one, other]))
    gap = [np.searchsorted(np.sort(s), grid, side="right") / s.size for s in (one, other)]
    return float(np.abs(gap[0] - gap[1]).max() * np.sqrt(one.size * other.size / grid.size))


def require_uniform(values: Lanes) -> None:
    counts, _ = np.histogram(values, np.arange(33) * T / 32)
    assert abs(chi_square_excess(counts, np.full(32, values.size / 32))) < 6
