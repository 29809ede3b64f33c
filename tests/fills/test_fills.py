import numpy as np
import pytest

from darkpool.crossing.clearing import Book, Cross, clear_uniform
from darkpool.errors import NotConserved
from darkpool.fills.errors import InvalidFill
from darkpool.fills.fills import Fill, FilledLots, collect_fills, verify_conservation
from darkpool.units import AccountId, InstrumentId, Lots, Side, Tick

INSTRUMENT = InstrumentId(bytes(32))
ACCOUNTS = [AccountId(f"0x{number:040d}") for number in range(4)]
TICK = Tick(3)


def lots(bought: list[int], sold: list[int]) -> FilledLots:
    return FilledLots(np.array(bought, dtype=np.int64), np.array(sold, dtype=np.int64))


def test_fills_are_named_in_the_order_of_the_batch() -> None:
    opened = lots([0, 5, 0, 2], [7, 0, 0, 0])
    assert collect_fills(INSTRUMENT, ACCOUNTS, TICK, Lots(7), opened) == (
        Fill(0, ACCOUNTS[0], INSTRUMENT, Side.SELL, Lots(7), TICK),
        Fill(1, ACCOUNTS[1], INSTRUMENT, Side.BUY, Lots(5), TICK),
        Fill(3, ACCOUNTS[3], INSTRUMENT, Side.BUY, Lots(2), TICK),
    )


def test_the_plain_twins_fills_go_in_as_they_are() -> None:
    book = Book(
        sides=np.array([0, 1, 0, 1]),
        sizes=np.array([3, 4, 6, 2]),
        limits=np.array([5, 2, 5, 9]),
        ticks=10,
    )
    cross = clear_uniform(book, Tick(5), np.arange(4))
    assert isinstance(cross, Cross)
    fills = collect_fills(
        INSTRUMENT, ACCOUNTS, cross.tick, cross.volume, FilledLots.from_cross(book, cross)
    )
    named = [(fill.intent, fill.side, fill.size, fill.tick) for fill in fills]
    assert named == [
        (0, Side.BUY, 3, cross.tick),
        (1, Side.SELL, 4, cross.tick),
        (2, Side.BUY, 1, cross.tick),
    ]


@pytest.mark.parametrize(
    ("bought", "sold"),
    [([5, 0, 0, 0], [0, 5, 0, 1]), ([5, 0, 1, 0], [0, 5, 0, 0]), ([0] * 4, [0] * 4)],
)
def test_fills_that_do_not_add_up_are_refused(bought: list[int], sold: list[int]) -> None:
    with pytest.raises(NotConserved):
        collect_fills(INSTRUMENT, ACCOUNTS, TICK, Lots(5), lots(bought, sold))


@pytest.mark.parametrize(
    ("bought", "sold", "intent"),
    [
        ([5, 0, 0, 0], [5, 0, 0, 0], 0),
        ([6, -1, 0, 0], [0, 0, 5, 0], 1),
        ([5, 0, 0, 0], [0, 6, 0, -1], 3),
        ([5, 0, 0], [0, 5, 0], None),
    ],
)
def test_a_fill_that_no_auction_gives_is_refused(
    bought: list[int], sold: list[int], intent: int | None
) -> None:
    with pytest.raises(InvalidFill) as caught:
        collect_fills(INSTRUMENT, ACCOUNTS, TICK, Lots(5), lots(bought, sold))
    assert caught.value.intent == intent


def test_conservation_names_the_side() -> None:
    fill = Fill(0, ACCOUNTS[0], INSTRUMENT, Side.BUY, Lots(5), TICK)
    with pytest.raises(NotConserved) as caught:
        verify_conservation([fill], Lots(5))
    assert (caught.value.subject, caught.value.expected, caught.value.got) == ("lots sold", 5, 0)
