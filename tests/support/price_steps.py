"""What a call auction opens for its price, from demand and supply in the clear, step by step."""

from collections.abc import Sequence
from dataclasses import dataclass

from darkpool.units import Side


@dataclass(frozen=True)
class OpenedPrice:
    """Steps by tick, the tie bit where both ticks at the step exist, and what they say."""

    steps: tuple[int, ...]
    tie: int | None
    tick: int
    short_side: Side

    @property
    def count(self) -> int:
        return sum(self.steps)


def opened_price(demand: Sequence[int], supply: Sequence[int], reference: int) -> OpenedPrice:
    ticks = len(demand)
    excess = [d - s for d, s in zip(demand, supply, strict=True)]
    steps = tuple(int(x - (p > reference) >= 0) for p, x in enumerate(excess))
    count, tie = sum(steps), None
    sellers = count == ticks
    if 0 < count < ticks:
        g = supply[count - 1] - demand[count] - (count > reference) >= 0
        if count == reference + 1:
            e = excess[reference] - 1 >= 0
            g = not (e and not g)
        sellers, tie = g, int(g)
    return OpenedPrice(steps, tie, count - sellers, Side.SELL if sellers else Side.BUY)
