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
        plain: its plain intents, ready to be packed.
        offset: its offset orders, ready to be packed; every number is in one of the two.
        caps: public cap by intent.
        present: numbers of the intents that take part.
    """

    def __init__(self, evaluator: Evaluator) -> None:
        self._evaluator = evaluator
        self._total = AggregateSum(evaluator.ring)
        self.plain = Packer(evaluator)
        self.offset = Packer(evaluator)
        self.caps: list[Lots] = []
        self._offsets: list[bool] = []
        self.present: set[int] = set()

    @property
    def count(self) -> int:
        """Intents that arrived."""
        return len(self.caps)

    @property
    def has_plain(self) -> bool:
        """Whether a plain intent takes part; without one nothing crosses."""
        return any(not self._offsets[number] for number in self.present)

    @property
    def has_offsets(self) -> bool:
        """Whether an offset order takes part."""
        return any(self._offsets[number] for number in self.present)

    def add(
        self, ciphertext: Ciphertext, arranged: Words, cap: Lots, *, offset: bool = False
    ) -> None:
        """Add the next intent; `arranged` is what `crypto.packing.arranged` made of it.

        Raises:
            OutOfRange: more intents than an auction takes.
        """
        own, other = (self.offset, self.plain) if offset else (self.plain, self.offset)
        own.add(arranged)
        other.skip()
        self.caps.append(cap)
        self._offsets.append(offset)
        self._joined(self.count - 1, ciphertext)

    def put(
        self,
        number: int,
        ciphertext: Ciphertext,
        arranged_words: Words,
        cap: Lots,
        *,
        offset: bool = False,
    ) -> None:
        """Give the number of an intent that was taken out to another."""
        (self.offset if offset else self.plain).put(number, arranged_words)
        self.caps[number] = cap
        self._offsets[number] = offset
        self._joined(number, ciphertext)

    def _joined(self, number: int, ciphertext: Ciphertext) -> None:
        if not self._offsets[number]:
            self._total.add(ciphertext)
        self.present.add(number)

    def drop(self, number: int, ciphertext: Ciphertext) -> None:
        """Take an intent out; all others keep their numbers."""
        if self._offsets[number]:
            self.offset.drop(number)
        else:
            self.plain.drop(number)
            self._total.remove(ciphertext)
        self.present.remove(number)

    def close_gap(self, number: int, last: Ciphertext | None) -> None:
        """Move the last intent to the number of one that was taken out.

        Where the last number is that one's own, `last` is None.
        """
        end = self.count - 1
        moved = None if last is None else arranged(self._evaluator, last, number)
        offset = self._offsets[end]
        self.plain.close_gap(number, None if offset else moved)
        self.offset.close_gap(number, moved if offset else None)
        self.caps[number], self._offsets[number] = self.caps[end], offset
        self.caps.pop()
        self._offsets.pop()
        if number != end:
            self.present.remove(end)
            self.present.add(number)

    def sized(self) -> SizedBook:
        """What price and cap lanes are made from.

        Raises:
            OutOfRange: no plain intent takes part.
        """
        caps = np.array(self.caps, dtype=np.int64)
        total, sizes = self._total.ciphertext(), self.plain.sizes()
        if not self.has_offsets:
            return SizedBook(total, sizes, caps)
        minimums = self.offset.minimums()
        return SizedBook(total, sizes.add(self.offset.sizes()), caps, minimums)
