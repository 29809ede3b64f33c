"""Vectors that are no order: what a malicious client may seal in place of one.

Each builder differs from every honest vector in one way, which its first line names. Builders are
functions of a ring, a number of ticks and a generator, so that a failure can be repeated.
"""

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Final

import numpy as np

from crypto.circuits.curves import BUY, SELL
from crypto.ring.params import RingParameters
from darkpool.wargames.draft import Draft, Vector, honest_shape

Malformed = Callable[[RingParameters, int, np.random.Generator], Vector]

_malformed: dict[str, Malformed] = {}


def _kind(fill: Callable[[Draft], None]) -> Callable[[Draft], None]:
    def build(ring: RingParameters, ticks: int, rng: np.random.Generator) -> Vector:
        draft = Draft(ring, ticks, rng)
        fill(draft)
        return draft.vector()

    build.__name__, build.__doc__ = fill.__name__, fill.__doc__
    _malformed[fill.__name__] = build
    return fill


# Curves


@_kind
def hump(d: Draft) -> None:
    """Demand begins above tick 0, in what is a sell otherwise."""
    d.order(SELL)
    d.demand[1 : d.limit + 1] = d.size


@_kind
def gap(d: Draft) -> None:
    """A buy whose demand is zero at one tick and comes back."""
    d.order(BUY)
    d.demand[: d.ticks] = d.size
    d.demand[d.limit] = 0


@_kind
def gap_in_complement(d: Draft) -> None:
    """A buy that also offers its size at one tick in the middle."""
    d.order(BUY)
    d.complement[d.limit] = 0


@_kind
def two_steps_down(d: Draft) -> None:
    """Demand falls to a part of the size before it falls to zero."""
    d.order(BUY)
    d.demand[d.limit] = d.rng.integers(1, d.size)


@_kind
def staircase(d: Draft) -> None:
    """Demand falls by a lot at each tick."""
    d.order(BUY)
    d.demand[: d.ticks] = d.size - np.arange(d.ticks)


@_kind
def step_up(d: Draft) -> None:
    """Demand rises by a lot after tick 0."""
    d.order(BUY)
    d.demand[1 : d.limit + 1] = d.size + 1


@_kind
def negative_step(d: Draft) -> None:
    """Demand falls below zero, to minus the size."""
    d.order(BUY)
    d.demand[d.limit + 1] = -d.size


@_kind
def height_below_size(d: Draft) -> None:
    """Demand a lot below the size."""
    d.order(BUY)
    d.demand[: d.limit + 1] = d.size - 1


@_kind
def height_above_size(d: Draft) -> None:
    """Demand a lot above the size."""
    d.order(BUY)
    d.demand[: d.limit + 1] = d.size + 1


@_kind
def height_without_size(d: Draft) -> None:
    """Demand of a buy with size 0: it moves the price and never fills."""
    d.demand[: d.limit + 1] = d.size


@_kind
def supply_without_size(d: Draft) -> None:
    """Supply of a sell with size 0, which its complement shows as a negative number."""
    d.complement[d.limit : d.ticks] = -d.size


@_kind
def size_without_height(d: Draft) -> None:
    """A size with neither demand nor supply at any tick."""
    d.order(BUY)
    d.demand[: d.ticks] = 0


@_kind
def both_sides(d: Draft) -> None:
    """Demand of a buy and supply of a sell in one vector."""
    d.order(SELL)
    d.demand[: d.limit + 1] = d.size


@_kind
def complement_of_a_buy_ends_early(d: Draft) -> None:
    """A buy whose last tick also offers its size."""
    d.order(BUY)
    d.complement[d.ticks - 1] = 0


@_kind
def complement_returns_at_the_last_tick(d: Draft) -> None:
    """A sell that withdraws its supply at the last tick, with demand to fit."""
    d.order(SELL)
    d.complement[d.ticks - 1] = d.size
    d.demand[0] = d.size


@_kind
def supply_above_size(d: Draft) -> None:
    """Supply of twice the size from the limit on."""
    d.order(SELL)
    d.complement[d.limit : d.ticks] = -d.size


@_kind
def supply_below_size(d: Draft) -> None:
    """Supply of a part of the size, the rest of it shown as demand at tick 0."""
    d.order(SELL)
    rest = d.rng.integers(1, d.size)
    d.complement[d.limit : d.ticks] = rest
    d.demand[0] = rest


@_kind
def supply_below_the_limit(d: Draft) -> None:
    """A sell with supply of one lot at tick 0."""
    d.order(SELL)
    d.complement[0] = d.size - 1


@_kind
def demand_and_supply_of_different_size(d: Draft) -> None:
    """Supply of the whole size and demand of a lot less."""
    d.order(SELL)
    d.demand[: d.limit + 1] = d.size - 1


@_kind
def last_tick_of_demand(d: Draft) -> None:
    """Demand at every tick, a lot less at the last one."""
    d.order(BUY)
    d.demand[: d.ticks] = d.size
    d.demand[d.ticks - 1] = d.size - 1


# Sizes


@_kind
def different_sizes_in_the_rows(d: Draft) -> None:
    """A sell whose demand row states one lot less than its supply row."""
    d.order(SELL)
    d.demand[d.half :] = d.size - 1


@_kind
def uneven_size(d: Draft) -> None:
    """One slot inside row 0's size region differs."""
    d.either()
    d.demand[d.rng.integers(d.half + 1, d.row - 1)] += 1


@_kind
def uneven_size_of_supply(d: Draft) -> None:
    """One slot inside row 1's size region differs."""
    d.either()
    d.complement[d.rng.integers(d.half + 1, d.row - 1)] += 1


@_kind
def size_split_in_two(d: Draft) -> None:
    """The size region states one lot in its first part and the whole size in the rest."""
    d.either()
    middle = d.rng.integers(d.half + 1, d.row)
    d.demand[d.half : middle] = 1
    d.complement[d.half : middle] = 1


@_kind
def first_size_slot(d: Draft) -> None:
    """Row 0's first size slot differs."""
    d.either()
    d.demand[d.half] += 1


@_kind
def first_size_slot_of_supply(d: Draft) -> None:
    """Row 1's first size slot differs."""
    d.either()
    d.complement[d.half] += 1


@_kind
def last_slot(d: Draft) -> None:
    """Row 0's last slot, where its chain starts, differs."""
    d.either()
    d.demand[d.row - 1] -= 1


@_kind
def last_slot_of_supply(d: Draft) -> None:
    """Row 1's last slot, where its chain starts, differs."""
    d.either()
    d.complement[d.row - 1] -= 1


@_kind
def no_size_in_last_slots(d: Draft) -> None:
    """Both chains start from zero: nothing of the size is in the last slots."""
    d.either()
    d.demand[d.row - 1] = d.complement[d.row - 1] = 0


# Slots that have to be empty


@_kind
def dirt_after_demand(d: Draft) -> None:
    """Row 0 goes on for a slot after the last tick."""
    d.either()
    d.demand[d.ticks] = d.size


@_kind
def dirt_after_supply(d: Draft) -> None:
    """Row 1 goes on for a slot after the last tick."""
    d.either()
    d.complement[d.ticks] = d.size


@_kind
def dirt_before_size(d: Draft) -> None:
    """Row 0's size region begins a slot early."""
    d.either()
    d.demand[d.half - 1] = d.size


@_kind
def dirt_before_size_of_supply(d: Draft) -> None:
    """Row 1's size region begins a slot early."""
    d.either()
    d.complement[d.half - 1] = d.size


@_kind
def dirt_in_all_empty_slots(d: Draft) -> None:
    """Random residues in every slot that has to be empty."""
    d.either()
    for row in (d.demand, d.complement):
        row[d.ticks : d.half] = d.rng.integers(1, d.t, d.half - d.ticks)


# Near the modulus


@_kind
def minus_one_everywhere(d: Draft) -> None:
    """t - 1 in every slot."""
    d.demand[:] = d.complement[:] = d.t - 1


@_kind
def half_the_modulus_everywhere(d: Draft) -> None:
    """(t - 1) / 2 in every slot."""
    d.demand[:] = d.complement[:] = d.t // 2


@_kind
def height_of_half_a_lot(d: Draft) -> None:
    """Demand of (t + 1) / 2, half of one modulo t, for a size of one."""
    d.size = 1
    d.order(BUY)
    d.demand[: d.limit + 1] = (d.t + 1) // 2


@_kind
def height_near_the_modulus(d: Draft) -> None:
    """Demand of t - 1 for a size of one."""
    d.size = 1
    d.order(BUY)
    d.demand[: d.limit + 1] = d.t - 1


@_kind
def random_vector(d: Draft) -> None:
    """Uniform residues in every slot but two, which say that the rows have different sizes."""
    d.demand[:] = d.rng.integers(0, d.t, d.row)
    d.complement[:] = d.rng.integers(0, d.t, d.row)
    d.complement[d.half] = d.demand[d.half] + 1


# Honest vectors, changed


@_kind
def one_slot_changed(d: Draft) -> None:
    """An order with one lot more in any one slot."""
    d.size += 1
    d.either()
    (d.demand, d.complement)[d.rng.integers(2)][d.rng.integers(d.row)] += 1


@_kind
def rotated_left(d: Draft) -> None:
    """An order rotated left by a slot."""
    d.either()
    d.demand[:], d.complement[:] = np.roll(d.demand, -1), np.roll(d.complement, -1)


@_kind
def rotated_right(d: Draft) -> None:
    """An order rotated right by a slot."""
    d.either()
    d.demand[:], d.complement[:] = np.roll(d.demand, 1), np.roll(d.complement, 1)


@_kind
def rows_swapped(d: Draft) -> None:
    """A buy with its rows swapped, as by the map that swaps the rows of a ciphertext."""
    d.order(BUY)
    d.fill(np.concatenate([d.complement, d.demand]))


@_kind
def row_doubled(d: Draft) -> None:
    """An order with row 0 doubled."""
    d.either()
    d.demand *= 2


@_kind
def curves_doubled(d: Draft) -> None:
    """A buy with its curves doubled and its size as it was."""
    d.order(BUY)
    d.demand[: d.half] *= 2
    d.complement[: d.half] *= 2


@_kind
def two_buys_in_one(d: Draft) -> None:
    """The sum of two buys of different limits: an account would have two orders."""
    d.order(BUY)
    shape = honest_shape(d.ring, d.ticks, BUY, d.size, d.limit + 1)
    d.fill(d.vector() + shape)


@_kind
def buy_and_sell_in_one(d: Draft) -> None:
    """The sum of a buy and a sell."""
    d.order(BUY)
    d.fill(d.vector() + honest_shape(d.ring, d.ticks, SELL, d.size, d.limit))


@_kind
def buy_less_another(d: Draft) -> None:
    """A buy less one of another limit: size 0, and demand at one tick."""
    d.order(BUY)
    d.fill(honest_shape(d.ring, d.ticks, BUY, d.size, d.limit + 1) - d.vector())


MALFORMED: Final[Mapping[str, Malformed]] = MappingProxyType(_malformed)
"""Builders (ring, ticks, rng) -> vector that is no order's, by name; at least `TICKS_MIN` ticks."""
