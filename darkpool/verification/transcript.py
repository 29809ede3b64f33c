"""What an auction may open, in which order, and what follows from the values.

The protocol leaves no choice: given the batch and the results so far, the next opening, its ring
and level, its mask and the slots that may be other than zero are determined. Here they are worked
out from public data alone, opening by opening, and compared with what the record says was opened;
a missing, extra, early or wider opening is found. No ciphertext is touched: whether each is what
the circuit gives, `darkpool.verification.circuits` finds out.

Example: one instrument with four ticks, a uniform price, and five intents, all plain.

| opening | opened | what follows |
| --- | --- | --- |
| shape 0, shape 1 | zero everywhere | all intents are orders |
| price lanes 0.0 | uniform numbers | nothing: a mask covers them |
| cap bits 0 | all 1 | every size is within its cap |
| no-cross 0 | 1 | the books cross |
| price bits 0 | 1, 1, 1, 0 | demand is at least supply at ticks 0 to 2, so c = 3 |
| tie lanes 0 | 0 | supply at tick 2 is below demand at tick 3: tick 3, buyers short |
| short row 0 | 4, 0, 2, 0, 0 | intents 0 and 2 buy 6 lots |
| ration lanes 0.0 | uniform numbers | nothing: a mask covers them |
| ration bits 0 | 1, 1, 0, 1, 1 | the first four in priority: 1, 0, 3 and 4 by the beacon |
| long row 0 | 0, 3 and 2 of 0, 1 and 3 | intent 4, the last of them, sells the rest: 6 - 5 = 1 |
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TypeVar

from crypto.bfv.lanes import Lanes
from darkpool.record.forms import MaskRecord
from darkpool.verification.basis import Basis
from darkpool.verification.fill_reading import FillReader
from darkpool.verification.opening_walk import OpeningWalk
from darkpool.verification.participation import ParticipantSets
from darkpool.verification.price_reading import PriceReader
from darkpool.verification.report import Findings
from darkpool.verification.shape import ShapeReader
from darkpool.verification.steps import OpenedOutcome, Transcript

Reading = TypeVar("Reading")


class TranscriptReader:
    """Understands the openings of a record.

    Args:
        values: decoded openings, shape (degree,) each, None where one cannot be read.
        ranks: priority of each instrument's intents, shape (n,) each.
        masks: those of the record in order of use; None where they are not at hand.
    """

    def __init__(
        self,
        basis: Basis,
        values: Sequence[Lanes | None],
        ranks: Sequence[Lanes],
        masks: Sequence[MaskRecord] | None,
        findings: Findings,
    ) -> None:
        self._record = record = basis.record
        self._walk = OpeningWalk(record, values, masks, findings)
        self._participants = ParticipantSets(basis)
        self._prices = PriceReader(record, self._walk, self._participants)
        self._fills = FillReader(record, self._walk, ranks)

    def read(self) -> Transcript:
        """Understand all openings.

        Raises:
            Unsound: an opening that the protocol does not make at this point, or values that no
                well-formed batch leads to.
        """
        shape = ShapeReader(self._walk, self._record.parameters.order_ring)
        malformed = shape.read(sorted(self._participants.all()))
        self._participants.take_out(malformed)
        price_chunks = self._prices.read()
        prices = _by_instrument(chunk.cross.prices for chunk in price_chunks if chunk.cross)
        asked = [k for k in prices if self._participants.has(k, minimum_fill=True)]
        minimum_fill_chunks = self._fills.minimum_fill_chunks(asked)
        surplus = _by_instrument(chunk.surplus for chunk in minimum_fill_chunks)
        shorts = self._fills.shorts(prices, surplus)
        ration_chunks = self._fills.ration_chunks(shorts)
        longs = _by_instrument(chunk.longs for chunk in ration_chunks)
        self._walk.end()
        return Transcript(
            tuple(shape.openings),
            malformed,
            price_chunks,
            {k: price.tick for k, price in prices.items()},
            minimum_fill_chunks,
            ration_chunks,
            {
                k: OpenedOutcome(prices[k].tick, short, short.exhausted_long or longs[k])
                for k, short in shorts.items()
            },
        )


def _by_instrument(parts: Iterable[Mapping[int, Reading]]) -> dict[int, Reading]:
    """One mapping of the mappings of all chunks, in ascending order of the instruments."""
    return dict(sorted(entry for part in parts for entry in part.items()))
