"""Portfolio margin from published risk arrays: exact integers, computed apart from the engine.

docs/margin.md has the formulas. Losses are in millionths of a cash unit, charges in 10**-12.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from typing import Final

from crypto.signing.messages import instrument_id
from darkpool.record.margin_forms import (
    ContractRecord,
    MarginInputs,
    RiskArrayRecord,
    UnderlyingRecord,
)
from darkpool.verification.errors import Unsound
from darkpool.verification.prices import OPTIONS, PPM, Quotes
from darkpool.verification.valuation import SCENARIOS, require_lengths, risk_part

CORNER_INTENTS_MAX: Final = 4
"""Live intents of which all cases are looked at together; of more, each is charged by itself."""

EXPOSURE_MAX: Final = 2**58
"""Cash units that an account's positions may be worth or change by, for margin to be computed."""

_LANE_BYTES: Final = 64
"""Room for the loss of one scenario: positions of 32 bytes times all that a lot can lose fit."""

_LANES: Final = range(0, _LANE_BYTES * len(SCENARIOS), _LANE_BYTES)
_HALF: Final = 1 << 8 * _LANE_BYTES - 1
_BIAS: Final = sum(_HALF << 8 * lane for lane in _LANES)

Net = Mapping[int, int]
"""Lots bought less lots sold, by the contract's index in the specification."""


@dataclass(frozen=True, slots=True)
class Requirement:
    """Margin in cash units, rounded up."""

    maintenance: int
    initial: int


@dataclass(frozen=True, slots=True)
class LiveIntent:
    """An intent that may fill up to its cap on either side; prices of its grid in price units."""

    contract_index: int
    cap: int
    lowest: int
    highest: int


@dataclass(frozen=True, slots=True)
class _Lot:
    """What one lot is worth and risks, for an account that is long and for one that is short.

    Attributes:
        underlying_index: in the specification.
        expiry_ms: None for a perpetual swap, which is charged for basis by itself.
        losses_long: in each scenario, in ppm of a cash unit; those of the tail by their weight. All
            in one number, which adds and multiplies like a vector.
        short_charge: least charge where it is sold, in ppm of a cash unit; 0 but for options.
        largest: the most that it or its underlying is worth or changes by, in cash units.
    """

    underlying_index: int
    expiry_ms: int | None
    value_long: int
    value_short: int
    losses_long: int
    losses_short: int
    delta: int
    short_charge: int
    largest: int

    @classmethod
    def of(
        cls,
        contract: ContractRecord,
        array: RiskArrayRecord,
        underlying_index: int,
        underlying: UnderlyingRecord,
        price: int,
    ) -> _Lot:
        """The lot of a contract on an underlying, by its risk array and its price."""
        size = contract.multiplier
        now_low, now_high = array.low[0], array.high[0]
        scaled = [size * (underlying.tail_weight if s.tail else PPM) for s in SCENARIOS]
        lows = zip(scaled, array.low[1:], strict=True)
        highs = zip(scaled, array.high[1:], strict=True)
        falls = [low - now_high for low in array.low[1:]]
        rises = [high - now_low for high in array.high[1:]]
        amounts = (now_low, now_high, *falls, *rises, array.delta, price)
        return cls(
            underlying_index,
            contract.expiry_ms,
            size * now_low,
            size * now_high,
            _packed([scale * (now_high - low) for scale, low in lows]),
            _packed([scale * (high - now_low) for scale, high in highs]),
            size * array.delta,
            size * price * underlying.short_option if contract.kind in OPTIONS else 0,
            size * max(map(abs, amounts)),
        )


class MarginModel:
    """Margin of any account at one specification, market and set of risk arrays.

    Raises:
        Unsound: a contract has no underlying, no price, or no risk array of the right length.
    """

    def __init__(self, inputs: MarginInputs) -> None:
        specification, arrays = inputs.specification, inputs.risk.contracts
        if len(arrays) != len(specification.contracts):
            raise Unsound("risk arrays, contracts", len(specification.contracts), len(arrays))
        self._contracts = specification.contracts
        self._underlyings = specification.underlyings
        self._initial = specification.initial
        self.contract_indices = {instrument_id(c.name): k for k, c in enumerate(self._contracts)}
        indices = {underlying.name: k for k, underlying in enumerate(self._underlyings)}
        quotes = Quotes(inputs)
        self._lots = [
            None if quotes.expired(contract) else self._lot_of(contract, array, indices, quotes)
            for contract, array in zip(self._contracts, arrays, strict=True)
        ]
        self._offsets = [group.offset for group in specification.groups]
        # an underlying of several groups, which is a finding of its own, counts in the first
        self._group_of: dict[int, int] = {}
        for number, group in enumerate(specification.groups):
            for name in group.underlyings:
                if name in indices:
                    self._group_of.setdefault(indices[name], number)

    def mark(self, contract_index: int) -> int | None:
        """What a unit is worth for a holder, in price units; None where the contract has expired.

        Raises:
            Unsound: a contract that there is not, or of no units.
        """
        lot = self._lot(contract_index)
        if lot is None:
            return None
        contract = self._contracts[contract_index]
        if contract.multiplier < 1:
            raise Unsound(f"multiplier of {contract.name}", "above 0", contract.multiplier)
        return lot.value_long // contract.multiplier

    def multiplier(self, contract_index: int) -> int:
        """Units of underlying in a lot of a contract."""
        return self._contracts[contract_index].multiplier

    def value(self, net: Net) -> int:
        """What positions are worth in cash units, rounded against their holder."""
        return _value(self._held(net))

    def requirement(self, net: Net, concentrated: bool = False) -> Requirement:
        """Margin of positions.

        Args:
            concentrated: concentration is charged from nothing, not from where it begins.

        Raises:
            Unsound: a contract that there is not, or that has expired.
        """
        return self._requirement(self._held(net), concentrated)

    def _requirement(self, held: Sequence[tuple[int, _Lot]], concentrated: bool) -> Requirement:
        losses: dict[int, int] = {}
        deltas: dict[int, dict[int | None, int]] = {}
        short = 0
        for lots, lot in held:
            unit = lot.losses_long if lots > 0 else lot.losses_short
            size = abs(lots)
            if lots < 0:
                short += size * lot.short_charge
            losses[lot.underlying_index] = losses.get(lot.underlying_index, 0) + size * unit
            of_expiry = deltas.setdefault(lot.underlying_index, {})
            of_expiry[lot.expiry_ms] = of_expiry.get(lot.expiry_ms, 0) + lots * lot.delta
        total = max(self._scan(losses), PPM * short)
        for underlying, of_expiry in deltas.items():
            total += PPM * self._delta_charges(underlying, list(of_expiry.values()), concentrated)
        return Requirement(_ceil(total, PPM**2), _ceil(total * self._initial, PPM**3))

    def surplus(self, cash: int, cost: int, net: Net, live: Sequence[LiveIntent]) -> int | None:
        """Equity less initial margin in the worst case of all live intents; may be negative.

        None where margin is not computed: a position has expired and is not settled, or positions
        and caps together are above `EXPOSURE_MAX`. Then all cash stands against positions.

        Raises:
            Unsound: a contract that there is not.
        """
        if not self._computed(net, live):
            return None
        ordered = sorted(live, key=lambda intent: (intent.contract_index, intent.cap))
        alone, together = ordered[:-CORNER_INTENTS_MAX], ordered[-CORNER_INTENTS_MAX:]
        worst = min(
            self._corner(cash - cost, net, list(zip(together, signs, strict=True)))
            for signs in product((1, -1), repeat=len(together))
        )
        return worst - sum(self._cost_alone(intent) for intent in alone)

    def alone(self, intent: LiveIntent) -> int:
        """What an account needs that has nothing but this intent.

        Raises:
            Unsound: a contract that there is not, or margin that is not computed.
        """
        left = self.surplus(0, 0, {}, [intent])
        if left is None:
            part = f"intent for {self._contracts[intent.contract_index].name}"
            raise Unsound(part, "a cap that margin is computed for", f"{intent.cap} lots")
        return max(0, -left)

    def _computed(self, net: Net, live: Sequence[LiveIntent]) -> bool:
        """Whether there is margin of positions, and once all caps fill on their side."""
        sizes: dict[int, int] = defaultdict(int)
        for contract_index, lots in net.items():
            sizes[contract_index] += abs(lots)
        for intent in live:
            sizes[intent.contract_index] += intent.cap
        exposure = 0
        for contract_index, size in sizes.items():
            if size == 0:
                continue
            lot = self._lot(contract_index)
            if lot is None:
                return False
            exposure += size * lot.largest
        return exposure <= EXPOSURE_MAX

    def _corner(self, cash: int, net: Net, fills: Sequence[tuple[LiveIntent, int]]) -> int:
        """Equity less initial margin after whole caps have filled, each on the side of its sign."""
        held = dict(net)
        for intent, sign in fills:
            held[intent.contract_index] = held.get(intent.contract_index, 0) + sign * intent.cap
            cash -= self._cost(intent, sign)
        lots = self._held(held)
        return cash + _value(lots) - self._requirement(lots, concentrated=False).initial

    def _cost_alone(self, intent: LiveIntent) -> int:
        worst = 0
        for sign in (1, -1):
            net = {intent.contract_index: sign * intent.cap}
            initial = self.requirement(net, concentrated=True).initial
            worst = max(worst, self._cost(intent, sign) - self.value(net) + initial)
        return worst

    def _cost(self, intent: LiveIntent, sign: int) -> int:
        """What the whole cap costs at the worst price of its side."""
        if not 0 <= intent.contract_index < len(self._contracts):
            raise self._unknown(intent.contract_index)
        price = intent.highest if sign > 0 else intent.lowest
        return sign * intent.cap * self._contracts[intent.contract_index].multiplier * price

    def _scan(self, losses: Mapping[int, int]) -> int:
        """Worst losses of all underlyings, with what groups believe of those that are joint."""
        total = 0
        ungrouped = {k: _worst(of_scenario) for k, of_scenario in losses.items()}
        together: dict[int, list[int]] = defaultdict(list)
        for k in losses:
            if k in self._group_of:
                together[self._group_of[k]].append(k)
        for group, held in together.items():
            offset = self._offsets[group]
            apart = sum(ungrouped.pop(k, 0) for k in held)
            joint = _worst(sum(losses[k] for k in held)) if len(held) > 1 else apart
            total += (PPM - offset) * apart + offset * joint
        return total + PPM * sum(ungrouped.values())

    def _delta_charges(self, index: int, deltas: Sequence[int], concentrated: bool) -> int:
        """Basis and concentration of an underlying, in ppm of a cash unit."""
        underlying = self._underlyings[index]
        begin = 0 if concentrated else underlying.concentration_from
        above = max(0, abs(sum(deltas)) - begin)
        return underlying.basis * sum(map(abs, deltas)) + underlying.concentration * above

    def _held(self, net: Net) -> list[tuple[int, _Lot]]:
        """Lots and what one is worth and risks, of all positions that are some."""
        held = []
        for contract_index, lots in net.items():
            if lots == 0:
                continue
            lot = self._lot(contract_index)
            if lot is None:
                part = f"position in {self._contracts[contract_index].name}"
                raise Unsound(part, "a contract that has not expired", f"{lots} lots")
            held.append((lots, lot))
        return held

    def _lot(self, contract_index: int) -> _Lot | None:
        """A lot of a contract, None where it has expired."""
        if not 0 <= contract_index < len(self._lots):
            raise self._unknown(contract_index)
        return self._lots[contract_index]

    def _unknown(self, contract_index: int) -> Unsound:
        expected = f"one of {len(self._contracts)} contracts"
        return Unsound(f"position in contract {contract_index}", expected, "none")

    def _lot_of(
        self,
        contract: ContractRecord,
        array: RiskArrayRecord,
        underlying_indices: Mapping[str, int],
        quotes: Quotes,
    ) -> _Lot:
        require_lengths(risk_part(contract), array)
        underlying_index = underlying_indices.get(contract.underlying)
        if underlying_index is None:
            part = f"specification, contract {contract.name}, underlying"
            raise Unsound(part, "one of the specification", contract.underlying)
        price = quotes.price(contract)
        underlying = self._underlyings[underlying_index]
        return _Lot.of(contract, array, underlying_index, underlying, price)


def _packed(losses: Sequence[int]) -> int:
    """Losses of all scenarios, each in a lane of its own; one below zero borrows from the next."""
    return sum(loss << 8 * lane for loss, lane in zip(losses, _LANES, strict=True))


def _worst(packed: int) -> int:
    """The largest loss of a scenario, 0 if none loses."""
    data = (packed + _BIAS).to_bytes(_LANE_BYTES * len(SCENARIOS), "big")
    largest = max(data[lane : lane + _LANE_BYTES] for lane in _LANES)
    return max(0, int.from_bytes(largest, "big") - _HALF)


def _value(held: Sequence[tuple[int, _Lot]]) -> int:
    return sum(lots * (lot.value_long if lots > 0 else lot.value_short) for lots, lot in held)


def _ceil(numerator: int, denominator: int) -> int:
    return -(-numerator // denominator)
