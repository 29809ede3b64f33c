"""Requirements of many accounts at once: `darkpool.margin.model.portfolio`, compiled.

Numbers with a fraction are pairs: a whole number of cash units, rounded down, and 10**-12 of one,
0 to 10**12 - 1. Every product below has a fraction of at most that many digits, so all is exact.
"""

# mypy: disable-error-code="untyped-decorator,no-untyped-def"
from __future__ import annotations

from typing import Final, NamedTuple

import numpy as np

from crypto.compiled import kernel
from darkpool.margin.model.scenarios import SCENARIOS, TAIL, Integers
from darkpool.units import PPM

COUNT: Final = len(SCENARIOS)
_TAIL: Final = TAIL
_PICO: Final = PPM * PPM


class Positions(NamedTuple):
    """Positions of all accounts; a segment is those of an account in one underlying.

    Attributes:
        starts: first position of each segment, and the end of the last, int64 (segments + 1,).
        contracts, lots: by segment and then by expiry, int64 (positions,).
    """

    starts: Integers
    contracts: Integers
    lots: Integers


class ContractRisk(NamedTuple):
    """Risk of a lot of each contract.

    Attributes:
        values: rounded down and up, delta, value of the underlying if it is an option,
            int64 (4, contracts).
        changes: rounded down and up, int64 (2, contracts, scenarios).
        expiries: a number for each contract's underlying and expiry, int64 (contracts,).
    """

    values: Integers
    changes: Integers
    expiries: Integers


class SegmentSums(NamedTuple):
    """What the positions of each segment add up to.

    Attributes:
        values: value, sum of absolute deltas of expiries, delta, underlying of short options,
            int64 (segments, 4).
        losses: int64 (segments, scenarios).
    """

    values: Integers
    losses: Integers


class Segments(NamedTuple):
    """Segments of all accounts.

    Attributes:
        starts: first segment of each account, and the end of the last, int64 (accounts + 1,).
        underlyings: of each segment, int64 (segments,).
    """

    starts: Integers
    underlyings: Integers


class RiskTerms(NamedTuple):
    """Risk parameters of a specification.

    Attributes:
        underlyings: tail_weight, basis, short_option, concentration_from, concentration of each,
            int64 (underlyings, 5).
        groups: of each underlying, -1 for none, int64 (underlyings,).
        offsets: of each group, int64 (groups,).
        initial: initial margin as a multiple of maintenance margin, in parts per million.
    """

    underlyings: Integers
    groups: Integers
    offsets: Integers
    initial: int


@kernel
def value_segments(chosen, positions, risk, out):
    """Add up the positions of segments.

    Args:
        chosen: numbers of the segments, int64 (k,).
        positions: `Positions`.
        risk: `ContractRisk`.
        out: `SegmentSums`, written for the chosen.
    """
    for segment in chosen:
        total = out.losses[segment]
        total[:] = 0
        value = absolute = delta = short = expiry_delta = 0
        expiry = -1
        for position in range(positions.starts[segment], positions.starts[segment + 1]):
            c, n = positions.contracts[position], positions.lots[position]
            side = 0 if n > 0 else 1
            value += n * risk.values[side, c]
            if risk.expiries[c] != expiry:
                absolute += abs(expiry_delta)
                expiry, expiry_delta = risk.expiries[c], 0
            expiry_delta += n * risk.values[2, c]
            delta += n * risk.values[2, c]
            if n < 0:
                short -= n * risk.values[3, c]
            for scenario in range(COUNT):
                total[scenario] -= n * risk.changes[side, c, scenario]
        out.values[segment, 0] = value
        out.values[segment, 1] = absolute + abs(expiry_delta)
        out.values[segment, 2] = delta
        out.values[segment, 3] = short


@kernel
def combine(chosen, segments, sums, terms, out):
    """Requirements of accounts from their segments.

    Args:
        chosen: numbers of the accounts, int64 (k,).
        segments: `Segments`.
        sums: `SegmentSums`, as `value_segments` wrote them.
        terms: `RiskTerms`.
        out: maintenance, initial and value of positions, written for the chosen, int64
            (accounts, 3).
    """
    groups = terms.offsets.size
    joint = np.zeros((groups, 2, COUNT), dtype=np.int64)
    apart = np.zeros((groups, 2), dtype=np.int64)
    for account in chosen:
        joint[:] = 0
        apart[:] = 0
        scan, short, charges = (0, 0), (0, 0), (0, 0)
        value = 0
        for segment in range(segments.starts[account], segments.starts[account + 1]):
            underlying = segments.underlyings[segment]
            weight, basis, short_option, free, concentration = terms.underlyings[underlying]
            group = terms.groups[underlying]
            own = _worst_loss(sums.losses[segment], weight, joint, group)
            if group >= 0:
                added = _add((apart[group, 0], apart[group, 1]), own)
                apart[group, 0], apart[group, 1] = added
            else:
                scan = _add(scan, own)
            worth, absolute, delta, short_value = sums.values[segment]
            value += worth
            charges = _add(charges, _share((absolute, 0), basis))
            excess = max(0, abs(delta) - free)
            charges = _add(charges, _share((excess, 0), concentration))
            short = _add(short, _share((short_value, 0), short_option))
        for group in range(groups):
            alone = (apart[group, 0], apart[group, 1])
            scan = _add(scan, _share(alone, PPM - terms.offsets[group]))
            scan = _add(scan, _share(_joint_loss(joint[group]), terms.offsets[group]))
        total = _add(_larger(scan, short), charges)
        out[account, 0] = total[0] + (total[1] > 0)
        out[account, 1] = _raised(total, terms.initial)
        out[account, 2] = value


@kernel
def _worst_loss(losses, weight, joint, group):
    """The worst of an underlying's losses; each is added to those of its group, if it has one."""
    worst = (0, 0)
    for scenario in range(COUNT):
        loss = (losses[scenario], 0)
        if _TAIL[scenario]:
            loss = _share(loss, weight)
        worst = _larger(worst, loss)
        if group >= 0:
            joint[group, 0, scenario] += loss[0]
            joint[group, 1, scenario] += loss[1]
    return worst


@kernel
def _joint_loss(joint):
    """The worst loss of a group."""
    worst = (0, 0)
    for scenario in range(COUNT):
        worst = _larger(worst, _add((joint[0, scenario], 0), (0, joint[1, scenario])))
    return worst


@kernel
def _add(a, b):
    """The sum of two pairs; the second number of one may be larger than a pair has it."""
    rest = a[1] + b[1]
    return a[0] + b[0] + rest // _PICO, rest % _PICO


@kernel
def _larger(a, b):
    return a if a[0] > b[0] or (a[0] == b[0] and a[1] >= b[1]) else b


@kernel
def _share(a, ppm):
    """A part of a pair; exact if its fraction is a multiple of 10**-6, or ppm is."""
    whole = a[0] // PPM * ppm
    rest = a[0] % PPM * ppm
    return _add((whole + rest // PPM, rest % PPM * PPM), (0, a[1] // PPM * ppm))


@kernel
def _raised(a, ppm):
    """A multiple of a pair, rounded up."""
    whole = a[0] // PPM * ppm
    rest = a[0] % PPM * ppm
    # in 10**-12: of the whole number's rest, and of the fraction, whose last digits may be beyond
    low = a[1] % PPM * ppm
    pico = rest % PPM * PPM + a[1] // PPM * ppm + low // PPM
    up = pico % _PICO > 0 or low % PPM > 0
    return whole + rest // PPM + pico // _PICO + up
