"""The intents of an instrument, added up and packed as they come; offset orders by themselves."""

from __future__ import annotations

from crypto.bfv.aggregation import AggregateSum
from crypto.bfv.ciphertext import Ciphertext
from crypto.bfv.lanes import Lanes
from crypto.bfv.seal import Evaluator
from crypto.circuits.packing import Packer, arranged
from crypto.circuits.price_lanes import SizedBook
from crypto.ring.ring import Words


class GatheredIntents:
    """Whoever holds the same intents under the same numbers gets the same lanes to the byte.

    Attributes:
        plain: the plain intents, ready to be packed.
        offset: the offset orders, ready to be packed; every number is in one of the two.
        present: numbers of the intents that take part.
    """

    def __init__(self, evaluator: Evaluator) -> None:
        self._evaluator = evaluator
        self._total = AggregateSum(evaluator.ring)
        self._offsets: list[bool] = []
        self.plain = Packer(evaluator)
        self.offset = Packer(evaluator, with_minimums=True)
        self.present: set[int] = set()

    @property
    def count(self) -> int:
        """Intents that came, those that were taken out too."""
        return len(self._offsets)

    @property
    def has_plain(self) -> bool:
        """Whether a plain intent takes part; without one nothing crosses."""
        return any(not self._offsets[number] for number in self.present)

    @property
    def has_offsets(self) -> bool:
        """Whether an offset order takes part."""
        return any(self._offsets[number] for number in self.present)

    def add(self, ciphertext: Ciphertext, words: Words, *, offset: bool) -> None:
        """Add the next intent; `words` is what `crypto.circuits.packing.arranged` made of it.

        Raises:
            OutOfRange: more intents than half a row holds.
        """
        own, other = (self.offset, self.plain) if offset else (self.plain, self.offset)
        own.add(words)
        other.skip()
        self._offsets.append(offset)
        self._joined(self.count - 1, ciphertext)

    def put(self, number: int, ciphertext: Ciphertext, words: Words, *, offset: bool) -> None:
        """Give the number of an intent that was taken out to another."""
        (self.offset if offset else self.plain).put(number, words)
        self._offsets[number] = offset
        self._joined(number, ciphertext)

    def _joined(self, number: int, ciphertext: Ciphertext) -> None:
        if not self._offsets[number]:
            self._total.add(ciphertext)
        self.present.add(number)

    def drop(self, number: int, ciphertext: Ciphertext) -> None:
        """Take an intent out; all others keep their numbers."""
        self.present.remove(number)
        if self._offsets[number]:
            self.offset.drop(number)
        else:
            self.plain.drop(number)
            self._total.remove(ciphertext)

    def close_gap(self, number: int, last: Ciphertext | None) -> None:
        """Move the last intent to the number of one that was taken out.

        Where the last number is that one's own, `last` is None.
        """
        end = self.count - 1
        moved = None if last is None else arranged(self._evaluator, last, number)
        offset = self._offsets.pop()
        self.plain.close_gap(number, None if offset else moved)
        self.offset.close_gap(number, moved if offset else None)
        if number != end:
            self._offsets[number] = offset
            self.present.remove(end)
            self.present.add(number)

    def sized(self, caps: Lanes) -> SizedBook:
        """What price and cap lanes are made from, with public caps by number, shape (n,).

        Raises:
            OutOfRange: no plain intent takes part.
        """
        total, sizes = self._total.ciphertext(), self.plain.sizes()
        if not self.has_offsets:
            return SizedBook(total, sizes, caps)
        return SizedBook(total, sizes.add(self.offset.sizes()), caps, self.offset.minimums())
