"""The time-weighted price of an underlying: what dated contracts settle at.

A final settlement price is the mean of the index over a window before expiry, each number weighted
by how long it stood. Time in which the number could not be relied on does not count, and if too
little of the window is left there is no price: the operator has to decide, and says so.
"""

from __future__ import annotations

from bisect import bisect_right
from itertools import pairwise

from darkpool.errors import OutOfBounds
from darkpool.margin.errors import TooLittleIndex
from darkpool.units import PPM, PriceUnits


class TimeWeightedIndex:
    """What an index was, from when to when; times are Unix milliseconds and are handed in."""

    def __init__(self) -> None:
        self._times: list[int] = []
        self._numbers: list[PriceUnits | None] = []

    def set(self, time_ms: int, number: PriceUnits | None) -> None:
        """From now on the index is this; None while no number may be relied on.

        Of several at the same time the last one counts.

        Raises:
            OutOfBounds: earlier than what was set before.
        """
        if self._times and time_ms < self._times[-1]:
            raise OutOfBounds("time of an index in Unix ms", self._times[-1], 2**63 - 1, time_ms)
        if self._times and time_ms == self._times[-1]:
            self._numbers[-1] = number
            return
        self._times.append(time_ms)
        self._numbers.append(number)

    def forget_before(self, time_ms: int) -> None:
        """Keep what is needed for windows that begin at this time or later."""
        first = max(0, bisect_right(self._times, time_ms) - 1)
        del self._times[:first], self._numbers[:first]

    def mean(self, from_ms: int, until_ms: int, least_ppm: int) -> PriceUnits:
        """The mean over a window, rounded to the nearest price unit, halves up.

        One number for all accounts: what a rounding gives to some it takes from the others.
        `least_ppm` is the part of the window, in parts per million, for which there has to be a
        number. The window is over once a number was set at its end or later: before, the last
        number is not known to have stood.

        Raises:
            OutOfBounds: an empty window or one that is not over, or no such part.
            TooLittleIndex: for less of the window than that there was one.
        """
        if until_ms <= from_ms:
            raise OutOfBounds("end of a window in Unix ms", from_ms + 1, 2**63 - 1, until_ms)
        told_ms = self._times[-1] if self._times else from_ms
        if until_ms > told_ms:
            raise OutOfBounds("end of a window in Unix ms", from_ms + 1, told_ms, until_ms)
        if not 1 <= least_ppm <= PPM:
            raise OutOfBounds("part of a window in ppm", 1, PPM, least_ppm)
        covered = weighted = 0
        spans = zip(pairwise([*self._times, until_ms]), self._numbers, strict=True)
        for (begin, end), number in spans:
            lasts = min(end, until_ms) - max(begin, from_ms)
            if number is not None and lasts > 0:
                covered += lasts
                weighted += lasts * number
        least_ms = -(-(until_ms - from_ms) * least_ppm // PPM)
        if covered < least_ms:
            raise TooLittleIndex(least_ms, covered)
        return PriceUnits((2 * weighted + covered) // (2 * covered))
