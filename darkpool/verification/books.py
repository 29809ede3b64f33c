"""An instrument's intents as the auditor gathers them, to compute its lanes again."""

from __future__ import annotations

import numpy as np

from crypto.bfv.ciphertext import Ciphertext
from crypto.bfv.seal import Evaluator
from crypto.circuits.gathering import GatheredIntents
from crypto.circuits.packing import arranged
from crypto.circuits.price_lanes import SizedBook
from darkpool.record.reader import Record


class AuditedBook:
    """One instrument of a record; batch indices that are not of it change nothing.

    Attributes:
        intents: the ciphertexts, plain intents and minimum-fill orders.
    """

    def __init__(self, record: Record, number: int, evaluator: Evaluator) -> None:
        indices = record.summary.instruments[number].intents
        self._evaluator = evaluator
        self._numbers = {index: k for k, index in enumerate(indices)}
        sealed = [record.intents[index].sealed for index in indices]
        self._caps = np.array([intent.cap for intent in sealed], dtype=np.int64)
        self._minimum_fills = [intent.minimum_fill for intent in sealed]
        self.intents = GatheredIntents(evaluator)

    def add(self, batch_index: int, ciphertext: Ciphertext) -> None:
        """Add an intent of the batch; they come in ascending order."""
        number = self._numbers.get(batch_index)
        if number is not None:
            words = arranged(self._evaluator, ciphertext, number)
            self.intents.add(ciphertext, words, minimum_fill=self._minimum_fills[number])

    def drop(self, batch_index: int, ciphertext: Ciphertext) -> None:
        """Take an intent out; all others keep their numbers."""
        number = self._numbers.get(batch_index)
        if number is not None:
            self.intents.drop(number, ciphertext)

    def sized(self) -> SizedBook:
        """What price and cap lanes are made from."""
        return self.intents.sized(self._caps)
