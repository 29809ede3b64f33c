"""An instrument's sealed intents with their caps, gathered as they arrive."""

from __future__ import annotations

import numpy as np

from crypto.bfv.ciphertext import Ciphertext
from crypto.bfv.seal import Evaluator
from crypto.circuits.gathering import GatheredIntents
from crypto.circuits.price_lanes import SizedBook
from crypto.ring.ring import Words
from darkpool.units import Lots


class SealedBook:
    """The intents of one instrument, by number in the order of their arrival.

    Attributes:
        intents: their ciphertexts, plain intents and minimum-fill orders.
        caps: public cap by intent.
    """

    def __init__(self, evaluator: Evaluator) -> None:
        self.intents = GatheredIntents(evaluator)
        self.caps: list[Lots] = []

    @property
    def count(self) -> int:
        """Intents that arrived."""
        return len(self.caps)

    def add(
        self, ciphertext: Ciphertext, arranged: Words, cap: Lots, *, minimum_fill: bool = False
    ) -> None:
        """Add the next intent; `arranged` is what `crypto.circuits.packing.arranged` made of it.

        Raises:
            OutOfRange: more intents than an auction takes.
        """
        self.intents.add(ciphertext, arranged, minimum_fill=minimum_fill)
        self.caps.append(cap)

    def put(
        self,
        number: int,
        ciphertext: Ciphertext,
        arranged: Words,
        cap: Lots,
        *,
        minimum_fill: bool = False,
    ) -> None:
        """Give the number of an intent that was taken out to another."""
        self.intents.put(number, ciphertext, arranged, minimum_fill=minimum_fill)
        self.caps[number] = cap

    def drop(self, number: int, ciphertext: Ciphertext) -> None:
        """Take an intent out; all others keep their numbers."""
        self.intents.drop(number, ciphertext)

    def close_gap(self, number: int, last: Ciphertext | None) -> None:
        """Move the last intent to the number of one that was taken out.

        Where the last number is that one's own, `last` is None.
        """
        self.intents.close_gap(number, last)
        self.caps[number] = self.caps[-1]
        self.caps.pop()

    def sized(self) -> SizedBook:
        """What price and cap lanes are made from.

        Raises:
            OutOfRange: no plain intent takes part.
        """
        return self.intents.sized(np.array(self.caps, dtype=np.int64))
