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
    """One instrument of a record; places in the batch that are not of it change nothing."""

    def __init__(self, record: Record, number: int, evaluator: Evaluator) -> None:
        places = record.summary.instruments[number].intents
        self._evaluator = evaluator
        self._numbers = {place: k for k, place in enumerate(places)}
        caps = [record.intents[place].sealed.cap for place in places]
        self._caps = np.array(caps, dtype=np.int64)
        self._total = AggregateSum(evaluator.ring)
        self.packer = Packer(evaluator)

    def add(self, place: int, ciphertext: Ciphertext) -> None:
        """Take the intent of a place, in ascending order."""
        if place in self._numbers:
            self._total.add(ciphertext)
            self.packer.add(arranged(self._evaluator, ciphertext, self.packer.count))

    def drop(self, place: int, ciphertext: Ciphertext) -> None:
        """Take an intent out; all others keep their numbers."""
        if place in self._numbers:
            self._total.remove(ciphertext)
            self.packer.drop(self._numbers[place])

    def sized(self) -> SizedBook:
        """What price and cap lanes are made from."""
        return SizedBook(self._total.ciphertext(), self.packer.sizes(), self._caps)
