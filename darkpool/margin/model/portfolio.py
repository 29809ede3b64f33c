"""Portfolio margin: what a set of positions needs, and what each part of that comes from.

For each underlying the worst loss of its scenarios; for a group of underlyings a part of these is
replaced by the worst loss in scenarios that they share. Not less than a minimum for short options;
plus charges for the basis of each expiry and for concentration. docs/margin.md has the formulas.

Losses are convex in the positions, and sums and maxima of convex functions are convex. All of it is
exact: numbers are held in multiples of 10**-12 of a cash unit until they are rounded up, once, at
the end.

The scenarios are in the tradition of CME's SPAN and OCC's TIMS; that a worst case over scenarios is
sub-additive is from P. Artzner, F. Delbaen, J.-M. Eber and D. Heath, "Coherent measures of risk"
(Mathematical Finance 1999).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, TypeVar

import numpy as np

from darkpool.errors import OutOfBounds
from darkpool.margin.errors import NoPrice
from darkpool.margin.market.instruments import GroupForm, Specification
from darkpool.margin.model.scenarios import SCENARIOS, TAIL, Integers, LotRisk
from darkpool.units import PPM, Cash

EXPOSURE_MAX: Final = 2**58
"""What all positions of an account could change by or are worth, in cash units: nothing wraps."""

TOKEN_UNITS: Final = 10**6
"""Of a token, in one."""

_PRECISE: Final = PPM * PPM
_Key = TypeVar("_Key")


@dataclass(frozen=True, slots=True)
class WorstCase:
    """The scenario that costs most; `loss` in 10**-6 of a cash unit, at least 0.

    `scenario` is None where no scenario loses anything.
    """

    scenario: int | None
    loss: int


@dataclass(frozen=True, slots=True)
class Requirement:
    """Margin of a portfolio and its parts; the parts in 10**-12 of a cash unit.

    Attributes:
        maintenance, initial: what has to be held, rounded up.
        own: worst case of each underlying by itself.
        joint: worst case of each group in scenarios that its underlyings share.
        scan: of the scenarios, after offsets between underlyings.
        short_options: the minimum for short options, in place of `scan` where it is more.
        basis: by underlying and expiry in Unix milliseconds, None for perpetual swaps.
        concentration: by underlying.
    """

    maintenance: Cash
    initial: Cash
    own: Mapping[str, WorstCase]
    joint: Mapping[str, WorstCase]
    scan: int
    short_options: int
    basis: Mapping[tuple[str, int | None], int]
    concentration: Mapping[str, int]

    def rounded(self, part: int) -> Cash:
        """A part in cash units, rounded up."""
        return Cash(-(-part // _PRECISE))


class PortfolioMargin:
    """Computes requirements of portfolios of the contracts that `lots` is about."""

    def __init__(self, specification: Specification, lots: LotRisk) -> None:
        self._initial = specification.form.initial
        self._lots = lots
        self._terms = dict(specification.underlyings)
        self._members = _indices([c.underlying for c in lots.contracts])
        self._expiries = _indices([(c.underlying, c.expiry_ms) for c in lots.contracts])
        self._groups = {group.name: group for group in specification.form.groups}
        grouped = {name for group in specification.form.groups for name in group.underlyings}
        self._alone = [name for name in self._members if name not in grouped]
        self._tokens = {token.token: token for token in specification.form.collateral}
        self._options = np.array([c.kind.is_option for c in lots.contracts], dtype=np.bool_)

    def changes(self, net: Integers) -> Integers:
        """Gain of each position in each scenario, cash units, (contracts, scenarios).

        `net` is lots bought less lots sold of each contract, shape (contracts,).

        Raises:
            OutOfBounds: the positions could change by more than `EXPOSURE_MAX`.
            NoPrice: a position in a contract that has expired and is not settled.
        """
        self.require_computed(np.abs(net))
        signed = net[:, None]
        return np.where(signed > 0, signed * self._lots.change_low, signed * self._lots.change_high)

    def require_computed(self, sizes: Integers) -> None:
        """Check that margin is computed for positions of at most so many lots, on either side.

        Raises:
            OutOfBounds, NoPrice: see `changes`.
        """
        for contract_index in np.flatnonzero(self._lots.expired & (sizes != 0)).tolist():
            raise NoPrice(self._lots.contracts[contract_index].name, "its final settlement")
        held = np.flatnonzero(sizes)
        pairs = zip(sizes[held].tolist(), self._lots.largest[held].tolist(), strict=True)
        exposure = sum(lots * change for lots, change in pairs)
        if exposure > EXPOSURE_MAX:
            raise OutOfBounds("exposure of a portfolio in cash units", 0, EXPOSURE_MAX, exposure)

    def requirement(self, net: Integers, *, concentrated: bool = False) -> Requirement:
        """What positions need; `net` as in `changes`.

        If `concentrated`, other positions use up what concentration is free of charge. What is
        needed for two sets of positions is then at most the sum of one as it is and one so.

        Raises:
            OutOfBounds, NoPrice: see `changes`.
        """
        losses = self._losses(net)
        own = {name: _worst(losses.get(name, [])) for name in self._members}
        joint = {name: _joint(group, losses) for name, group in self._groups.items()}
        scan, short_options = self._scan(own, joint), self._short_options(net)
        basis = {
            key: abs(self._delta(net, members)) * self._terms[key[0]].basis * PPM
            if key[0] in losses
            else 0
            for key, members in self._expiries.items()
        }
        concentration = {
            name: self._concentration(name, net, from_zero=concentrated) if name in losses else 0
            for name in self._members
        }
        total = max(scan, short_options) + sum(basis.values()) + sum(concentration.values())
        return Requirement(
            maintenance=Cash(-(-total // _PRECISE)),
            initial=Cash(-(-total * self._initial // (_PRECISE * PPM))),
            own=own,
            joint=joint,
            scan=scan,
            short_options=short_options,
            basis=basis,
            concentration=concentration,
        )

    def value_of_lots(self) -> Integers:
        """What a lot of each contract is worth to its holder, (contracts,)."""
        return self._lots.value_low

    def value_of(self, contract_index: int, lots: int) -> Cash:
        """What a position in a contract is worth: rounded down if long, up if not."""
        prices = self._lots.value_low if lots > 0 else self._lots.value_high
        return Cash(lots * int(prices[contract_index]))

    def can_fall_below_zero(self, contract_index: int) -> bool:
        """Whether a contract may be worth less than nothing to the holder of a long position."""
        contract = self._lots.contracts[contract_index]
        return not contract.kind.is_option and self._terms[contract.underlying].least_range > 0

    def value(self, net: Integers) -> Cash:
        """What positions are worth together, each as `value_of`."""
        held = np.flatnonzero(net).tolist()
        values: list[int] = [self.value_of(index, int(net[index])) for index in held]
        return Cash(sum(values))

    def has_expired(self, contract_index: int) -> bool:
        """Whether a contract has expired by the time of the market."""
        return bool(self._lots.expired[contract_index])

    def collateral(self, tokens: Mapping[str, int]) -> Cash:
        """What tokens count for, millionths of each: never more than `token_value`.

        Raises:
            NoPrice: a token that the specification does not have, or without a price.
        """
        counted = [min(self.token_value(t, n), self._tokens[t].most) for t, n in tokens.items()]
        return Cash(sum(counted))

    def token_value(self, token: str, amount: int) -> Cash:
        """What millionths of a token are worth less their haircut, rounded down.

        Raises:
            NoPrice: see `collateral`.
        """
        price = self._lots.tokens.get(token)
        if price is None:
            raise NoPrice(token, "a token of the specification and a price of its underlying")
        return Cash(amount * price * (PPM - self._tokens[token].haircut) // (TOKEN_UNITS * PPM))

    def _losses(self, net: Integers) -> dict[str, list[int]]:
        """Losses of each underlying that is held, by scenario, in 10**-6 cash units.

        Of those in the tail, the part that counts.
        """
        changes = self.changes(net)
        held = {self._lots.contracts[index].underlying for index in np.flatnonzero(net).tolist()}
        losses = {}
        for name, members in self._members.items():
            if name in held:
                weights = np.where(TAIL, self._terms[name].tail_weight, PPM).tolist()
                sums = (-changes[members].sum(axis=0)).tolist()
                losses[name] = [loss * w for loss, w in zip(sums, weights, strict=True)]
        return losses

    def _scan(self, own: Mapping[str, WorstCase], joint: Mapping[str, WorstCase]) -> int:
        """Worst cases of all underlyings; in groups, a part of them gives way to the joint one."""
        scan = PPM * sum(own[name].loss for name in self._alone)
        for name, group in self._groups.items():
            apart = sum(own[member].loss for member in group.underlyings if member in own)
            scan += (PPM - group.offset) * apart + group.offset * joint[name].loss
        return scan

    def _short_options(self, net: Integers) -> int:
        total = 0
        for i in np.flatnonzero(self._options & (net < 0)).tolist():
            terms = self._terms[self._lots.contracts[i].underlying]
            total -= int(net[i]) * int(self._lots.underlying[i]) * terms.short_option
        return total * PPM

    def _delta(self, net: Integers, members: Integers) -> int:
        pairs = zip(net[members].tolist(), self._lots.delta[members].tolist(), strict=True)
        return sum(lots * delta for lots, delta in pairs)

    def _concentration(self, underlying: str, net: Integers, *, from_zero: bool) -> int:
        terms = self._terms[underlying]
        delta = abs(self._delta(net, self._members[underlying]))
        free = 0 if from_zero else terms.concentration_from
        return max(0, delta - free) * terms.concentration * PPM


def _joint(group: GroupForm, losses: Mapping[str, list[int]]) -> WorstCase:
    """The worst case of a group in scenarios that its underlyings share."""
    members = (losses[member] for member in group.underlyings if member in losses)
    return _worst([sum(parts) for parts in zip(*members, strict=True)])


def _indices(keys: list[_Key]) -> dict[_Key, Integers]:
    """Positions of each key, in the order in which keys first come."""
    indices: dict[_Key, list[int]] = {}
    for index, key in enumerate(keys):
        indices.setdefault(key, []).append(index)
    return {key: np.array(of_key) for key, of_key in indices.items()}


def _worst(losses: list[int]) -> WorstCase:
    if not losses:
        return WorstCase(None, 0)
    scenario = max(range(len(SCENARIOS)), key=losses.__getitem__)
    return WorstCase(scenario, losses[scenario]) if losses[scenario] > 0 else WorstCase(None, 0)
