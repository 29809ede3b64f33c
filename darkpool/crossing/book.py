"""An instrument's sealed intents, added up and packed as they arrive."""

from __future__ import annotations

import numpy as np

from crypto.aggregation import AggregateSum
from crypto.ciphertext import Ciphertext
from crypto.packing import Packer, arranged
from crypto.price_lanes import SizedBook
from crypto.ring import Words
from crypto.seal import Evaluator
from darkpool.units import Lots


class SealedBook:
    """The intents of one instrument, by number in the order of their arrival.

    Attributes:
        packer: the intents, ready to be packed.
        caps: public cap by intent.
        present: numbers of the intents that take part.
    """

    def __init__(self, evaluator: Evaluator) -> None:
        self._evaluator = evaluator
        self._total = AggregateSum(evaluator.ring)
        self.packer = Packer(evaluator)
        self.caps: list[Lots] = []
        self.present: set[int] = set()

    @property
    def count(self) -> int:
        """Intents that arrived."""
        return len(self.caps)

    def add(self, ciphertext: Ciphertext, arranged: Words, cap: Lots) -> None:
        """Add the next intent; `arranged` is what `crypto.packing.arranged` made of it.

        Raises:
            OutOfRange: more intents than an auction takes.
        """
        self.packer.add(arranged)
        self._total.add(ciphertext)
        self.present.add(self.count)
        self.caps.append(cap)

    def put(self, number: int, ciphertext: Ciphertext, arranged_words: Words, cap: Lots) -> None:
        """Give the number of an intent that was taken out to another."""
        self.packer.put(number, arranged_words)
        self._total.add(ciphertext)
        self.present.add(number)
        self.caps[number] = cap

    def drop(self, number: int, ciphertext: Ciphertext) -> None:
        """Take an intent out; all others keep their numbers."""
        self.packer.drop(number)
        self._total.remove(ciphertext)
        self.present.remove(number)

    def close_gap(self, number: int, last: Ciphertext | None) -> None:
        """Move the last intent to the number of one that was taken out.

        Where the last number is that one's own, `last` is None.
        """
        end = self.count - 1
        moved = None if last is None else arranged(self._evaluator, last, number)
        self.packer.close_gap(number, moved)
        self.caps[number] = self.caps[end]
        self.caps.pop()
        if number != end:
            self.present.remove(end)
            self.present.add(number)

    def sized(self) -> SizedBook:
        """What price and cap lanes are made from."""
        caps = np.array(self.caps, dtype=np.int64)
        return SizedBook(self._total.ciphertext(), self.packer.sizes(), caps)
