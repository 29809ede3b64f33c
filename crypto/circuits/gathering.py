"""The intents of an instrument, added up and packed as they come, by kind of order."""

from __future__ import annotations

from crypto.bfv.aggregation import AggregateSum
from crypto.bfv.ciphertext import Ciphertext
from crypto.bfv.lanes import Lanes
from crypto.bfv.seal import Evaluator
from crypto.circuits.packing import Packer, arranged
from crypto.circuits.price_lanes import SizedBook
from crypto.ring.ring import Words


class GatheredIntents:
    """Intents of one instrument by number; equal intents and numbers give equal bytes.

    Attributes:
        plain: the plain intents, ready to be packed.
        minimum_fill: the minimum-fill orders, ready to be packed; each number is in one of the two.
        present: numbers of the intents that take part.
    """

    def __init__(self, evaluator: Evaluator) -> None:
        self._evaluator = evaluator
        self._total = AggregateSum(evaluator.ring)
        self._minimum_fills: list[bool] = []
        self.plain = Packer(evaluator)
        self.minimum_fill = Packer(evaluator, with_minimums=True)
        self.present: set[int] = set()

    @property
    def count(self) -> int:
        """Intents that came, those that were taken out too."""
        return len(self._minimum_fills)

    @property
    def has_plain(self) -> bool:
        """Whether a plain intent takes part; without one nothing crosses."""
        return any(not self._minimum_fills[number] for number in self.present)

    @property
    def has_minimum_fills(self) -> bool:
        """Whether a minimum-fill order takes part."""
        return any(self._minimum_fills[number] for number in self.present)

    def add(self, ciphertext: Ciphertext, words: Words, *, minimum_fill: bool) -> None:
        """Add the next intent; `words` is what `crypto.circuits.packing.arranged` made of it.

        Raises:
            OutOfRange: more intents than half a row holds.
        """
        packers = (self.plain, self.minimum_fill)
        packers[minimum_fill].add(words)
        packers[not minimum_fill].skip()
        self._minimum_fills.append(minimum_fill)
        self._join(self.count - 1, ciphertext)

    def put(self, number: int, ciphertext: Ciphertext, words: Words, *, minimum_fill: bool) -> None:
        """Give the number of an intent that was taken out to another."""
        (self.minimum_fill if minimum_fill else self.plain).put(number, words)
        self._minimum_fills[number] = minimum_fill
        self._join(number, ciphertext)

    def _join(self, number: int, ciphertext: Ciphertext) -> None:
        if not self._minimum_fills[number]:
            self._total.add(ciphertext)
        self.present.add(number)

    def drop(self, number: int, ciphertext: Ciphertext) -> None:
        """Take an intent out; all others keep their numbers."""
        self.present.remove(number)
        if self._minimum_fills[number]:
            self.minimum_fill.drop(number)
        else:
            self.plain.drop(number)
            self._total.remove(ciphertext)

    def close_gap(self, number: int, last: Ciphertext | None) -> None:
        """Move the last intent to a number that was taken out; that number may be the last itself.

        `last` is the ciphertext of the last intent, None where its own number was taken out.
        """
        end = self.count - 1
        moved = None if last is None else arranged(self._evaluator, last, number)
        minimum_fill = self._minimum_fills.pop()
        self.plain.close_gap(number, None if minimum_fill else moved)
        self.minimum_fill.close_gap(number, moved if minimum_fill else None)
        if number != end:
            self._minimum_fills[number] = minimum_fill
            self.present.remove(end)
            self.present.add(number)

    def sized(self, caps: Lanes) -> SizedBook:
        """What price and cap lanes are made from, with public caps by number, shape (n,).

        Raises:
            OutOfRange: no plain intent takes part.
        """
        total, sizes = self._total.ciphertext(), self.plain.sizes()
        if not self.has_minimum_fills:
            return SizedBook(total, sizes, caps)
        return SizedBook(
            total, sizes.add(self.minimum_fill.sizes()), caps, self.minimum_fill.minimums()
        )
