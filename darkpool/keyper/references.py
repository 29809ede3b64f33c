"""A keyper's watch over reference prices: it accepts them once, and asks for their age."""

from __future__ import annotations

from collections.abc import Mapping

from crypto.signing.eip712 import Domain
from darkpool.clock import Clock
from darkpool.limits import REFERENCE_AGE_AT_CLOSE_MAX_MS, REFERENCE_AGE_MAX_MS
from darkpool.protocol.references import SignedReference
from darkpool.protocol.refusals import MissingReference, SecondReference
from darkpool.units import AccountId, InstrumentId, Interval


class ReferenceWatch:
    """Which reference prices a keyper has accepted, by interval, under its own clock.

    It accepts one set for an interval, so that no other takes its place once orders come in.
    """

    def __init__(self, domain: Domain, reporter: AccountId, clock: Clock) -> None:
        self._domain = domain
        self._reporter = reporter
        self._clock = clock
        self._accepted: dict[Interval, dict[InstrumentId, SignedReference]] = {}

    def accept(
        self, interval: Interval, references: Mapping[InstrumentId, SignedReference]
    ) -> None:
        """Accept the references of an interval that opens.

        Raises:
            ReferenceRefused: there is none; one is not the reporter's, not of this interval or not
                fresh; or others were accepted for the interval before.
        """
        if not references:
            raise MissingReference(f"interval {interval}", "at least 1 reference", 0)
        now_ms = self._clock.unix_ms()
        for instrument, reference in references.items():
            reference.verify(self._domain, self._reporter, instrument, interval)
            reference.require_fresh(now_ms, REFERENCE_AGE_MAX_MS)
        accepted = self._accepted.setdefault(interval, dict(references))
        if accepted != references:
            changed = (i for i, one in accepted.items() if references.get(i) != one)
            named = ", ".join(i.hex() for i in (*changed, *(references.keys() - accepted.keys())))
            got = f"a change of instruments {named}"
            raise SecondReference(f"interval {interval}", "the references accepted before", got)

    def require(self, interval: Interval) -> None:
        """Check that a closed batch may still be opened on the references of its interval.

        Raises:
            MissingReference: none were accepted.
            StaleReference: one is older than `REFERENCE_AGE_AT_CLOSE_MAX_MS`.
        """
        accepted = self._accepted.get(interval)
        if accepted is None:
            raise MissingReference(f"interval {interval}", "references accepted before", "none")
        for reference in accepted.values():
            reference.require_fresh(self._clock.unix_ms(), REFERENCE_AGE_AT_CLOSE_MAX_MS)
