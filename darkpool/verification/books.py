"""An instrument's intents as the auditor gathers them, to compute its lanes again."""

from __future__ import annotations

import numpy as np

from crypto.aggregation import AggregateSum
from crypto.ciphertext import Ciphertext
from crypto.packing import Packer, arranged
from crypto.price_lanes import SizedBook
from crypto.seal import Evaluator
from darkpool.record import Record


class AuditedBook:
    """One instrument of a record; places in the batch that are not of it change nothing.

    Attributes:
        plain, offset: its plain intents and its offset orders, under the numbers of all.
    """

    def __init__(self, record: Record, number: int, evaluator: Evaluator) -> None:
        places = record.summary.instruments[number].intents
        self._evaluator = evaluator
        self._numbers = {place: k for k, place in enumerate(places)}
        caps = [record.intents[place].sealed.cap for place in places]
        self._caps = np.array(caps, dtype=np.int64)
        self._offsets = [record.intents[place].sealed.offset for place in places]
        self._total = AggregateSum(evaluator.ring)
        self._here: set[int] = set()
        self.plain = Packer(evaluator)
        self.offset = Packer(evaluator)

    def add(self, place: int, ciphertext: Ciphertext) -> None:
        """Take the intent of a place, in ascending order."""
        number = self._numbers.get(place)
        if number is None:
            return
        words, offset = arranged(self._evaluator, ciphertext, number), self._offsets[number]
        own, other = (self.offset, self.plain) if offset else (self.plain, self.offset)
        own.add(words)
        other.skip()
        self._here.add(number)
        if not offset:
            self._total.add(ciphertext)

    def drop(self, place: int, ciphertext: Ciphertext) -> None:
        """Take an intent out; all others keep their numbers."""
        number = self._numbers.get(place)
        if number is None:
            return
        self._here.remove(number)
        if self._offsets[number]:
            self.offset.drop(number)
        else:
            self.plain.drop(number)
            self._total.remove(ciphertext)

    def sized(self) -> SizedBook:
        """What price and cap lanes are made from."""
        total, sizes = self._total.ciphertext(), self.plain.sizes()
        if not any(self._offsets[number] for number in self._here):
            return SizedBook(total, sizes, self._caps)
        return SizedBook(total, sizes.add(self.offset.sizes()), self._caps, self.offset.minimums())
