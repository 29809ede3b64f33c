"""Requirements of many accounts at once: `darkpool.margin.model.portfolio`, compiled.

Numbers with a fraction are pairs: a whole number of cash units, rounded down, and 10**-12 of one,
0 to 10**12 - 1. Every product below has a fraction of at most that many digits, so all is exact.
"""

# mypy: disable-error-code="untyped-decorator,no-untyped-def"
from __future__ import annotations

from typing import Final

import numpy as np
from numba import njit

from darkpool.margin.model.scenarios import SCENARIOS, TAIL
from darkpool.units import PPM

COUNT: Final = len(SCENARIOS)
_TAIL: Final = TAIL
_PICO: Final = PPM * PPM


@njit(cache=True, nogil=True)
def value_segments(chosen, starts, contracts, lots, risk, changes, expiries, out, losses):
    """Add up the positions of segments, each those of an account in one underlying.

    Args:
        chosen: numbers of the segments, int64 (k,).
        starts: first position of each segment, and the end of the last, int64 (segments + 1,).
        contracts, lots: of all positions, by segment and then by expiry, int64 (positions,).
        risk: value rounded down and up, delta, value of the underlying if it is an option,
            int64 (4, contracts).
        changes: rounded down and up, int64 (2, contracts, scenarios).
        expiries: a number for each contract's underlying and expiry, int64 (contracts,).
        out: value, sum of absolute deltas of expiries, delta, underlying of short options, written
            for the chosen, int64 (segments, 4).
        losses: written for the chosen, int64 (segments, scenarios).
    """
    for segment in chosen:
        total = losses[segment]
        total[:] = 0
        value = absolute = delta = short = expiry_delta = 0
        expiry = -1
        for position in range(starts[segment], starts[segment + 1]):
            c, n = contracts[position], lots[position]
            side = 0 if n > 0 else 1
            value += n * risk[side, c]
            if expiries[c] != expiry:
                absolute += abs(expiry_delta)
                expiry, expiry_delta = expiries[c], 0
            expiry_delta += n * risk[2, c]
            delta += n * risk[2, c]
            if n < 0:
                short -= n * risk[3, c]
            for scenario in range(COUNT):
                total[scenario] -= n * changes[side, c, scenario]
        out[segment, 0] = value
        out[segment, 1] = absolute + abs(expiry_delta)
        out[segment, 2] = delta
        out[segment, 3] = short


@njit(cache=True, nogil=True)
def combine(chosen, starts, underlyings, sums, losses, terms, groups, offsets, initial, out):
    """Requirements of accounts from their segments.

    Args:
        chosen: numbers of the accounts, int64 (k,).
        starts: first segment of each account, and the end of the last, int64 (accounts + 1,).
        underlyings: of each segment, int64 (segments,).
        sums, losses: as `value_segments` wrote them.
        terms: tail_weight, basis, short_option, concentration_from, concentration by underlying,
            int64 (underlyings, 5).
        groups: of each underlying, -1 for none, int64 (underlyings,).
        offsets: of each group, int64 (groups,).
        initial: initial margin as a multiple of maintenance margin, in parts per million.
        out: maintenance, initial and value of positions, written for the chosen, int64
            (accounts, 3).
    """
    joint = np.zeros((offsets.size, COUNT), dtype=np.int64)
    joint_rest = np.zeros((offsets.size, COUNT), dtype=np.int64)
    apart = np.zeros((offsets.size, 2), dtype=np.int64)
    for account in chosen:
        joint[:] = 0
        joint_rest[:] = 0
        apart[:] = 0
        scan, short, charges = (0, 0), (0, 0), (0, 0)
        value = 0
        for segment in range(starts[account], starts[account + 1]):
            u = underlyings[segment]
            weight, basis, short_option, free, concentration = terms[u]
            own = (0, 0)
            group = groups[u]
            for scenario in range(COUNT):
                loss = (losses[segment, scenario], 0)
                if _TAIL[scenario]:
                    loss = _share(loss, weight)
                own = _larger(own, loss)
                if group >= 0:
                    joint[group, scenario] += loss[0]
                    joint_rest[group, scenario] += loss[1]
            if group >= 0:
                added = _add((apart[group, 0], apart[group, 1]), own)
                apart[group, 0], apart[group, 1] = added
            else:
                scan = _add(scan, own)
            value += sums[segment, 0]
            charges = _add(charges, _share((sums[segment, 1], 0), basis))
            excess = max(0, abs(sums[segment, 2]) - free)
            charges = _add(charges, _share((excess, 0), concentration))
            short = _add(short, _share((sums[segment, 3], 0), short_option))
        for group in range(offsets.size):
            worst = (0, 0)
            for scenario in range(COUNT):
                rest = (0, joint_rest[group, scenario])
                worst = _larger(worst, _add((joint[group, scenario], 0), rest))
            alone = (apart[group, 0], apart[group, 1])
            scan = _add(scan, _share(alone, PPM - offsets[group]))
            scan = _add(scan, _share(worst, offsets[group]))
        total = _add(_larger(scan, short), charges)
        out[account, 0] = total[0] + (total[1] > 0)
        out[account, 1] = _raised(total, initial)
        out[account, 2] = value


@njit(cache=True, nogil=True)
def _add(a, b):
    """The sum of two pairs; the second number of one may be larger than a pair has it."""
    rest = a[1] + b[1]
    return a[0] + b[0] + rest // _PICO, rest % _PICO


@njit(cache=True, nogil=True)
def _larger(a, b):
    return a if a[0] > b[0] or (a[0] == b[0] and a[1] >= b[1]) else b


@njit(cache=True, nogil=True)
def _share(a, ppm):
    """A part of a pair; exact if its fraction is a multiple of 10**-6, or ppm is."""
    whole = a[0] // PPM * ppm
    rest = a[0] % PPM * ppm
    return _add((whole + rest // PPM, rest % PPM * PPM), (0, a[1] // PPM * ppm))


@njit(cache=True, nogil=True)
def _raised(a, ppm):
    """A multiple of a pair, rounded up."""
    whole = a[0] // PPM * ppm
    rest = a[0] % PPM * ppm
    # in 10**-12: of the whole number's rest, and of the fraction, whose last digits may be beyond
    low = a[1] % PPM * ppm
    pico = rest % PPM * PPM + a[1] // PPM * ppm + low // PPM
    up = pico % _PICO > 0 or low % PPM > 0
    return whole + rest // PPM + pico // _PICO + up
