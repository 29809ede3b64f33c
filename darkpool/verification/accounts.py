"""Accounts as an auditor holds them: cash, positions, and what margin says of both."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

from darkpool.record.core import RecordView
from darkpool.units import account_of
from darkpool.verification.errors import Unsound
from darkpool.verification.requirement import LiveIntent, MarginModel

POSITIONS_VERSION: Final = 1
_WORD: Final = 32
_ENTRY: Final = 4 * _WORD


@dataclass(slots=True)
class Position:
    """Lots bought less lots sold, what they cost, and what the open ones cost when taken."""

    net: int = 0
    cost: int = 0
    entry: int = 0

    def trade(self, lots: int, cost: int) -> None:
        """Add a fill; lots that close others leave the rest of their entry in proportion."""
        after = self.net + lots
        if self.net * lots >= 0:
            self.entry += cost
        elif self.net * after >= 0:
            self.entry = self.entry * after // self.net
        else:
            self.entry = cost * after // lots
        self.net = after
        self.cost += cost


Positions = dict[bytes, Position]


@dataclass(slots=True)
class Account:
    """Cash with all that stands against it, and positions by instrument."""

    cash: int
    positions: Positions = field(default_factory=dict)


def price_units(record: RecordView, instrument: int, tick: int) -> int:
    """Price of a tick of an instrument's grid, in units of 10**-6."""
    reference = record.summary.references[instrument]
    return reference.price + (tick - reference.ticks // 2) * reference.tick_size


def live_intent(record: RecordView, model: MarginModel, instrument: int, cap: int) -> LiveIntent:
    """What is public of an intent for an instrument, for margin.

    Raises:
        Unsound: the specification has no such contract.
    """
    contract = record.summary.instruments[instrument]
    index = model.contract_indices.get(contract.identifier)
    if index is None:
        raise Unsound(f"instrument {contract.name}", "a contract of the specification", "none")
    ends = [price_units(record, instrument, tick) for tick in (0, record.summary.ticks - 1)]
    return LiveIntent(index, cap, *ends)


def surplus(model: MarginModel, account: Account, live: Sequence[LiveIntent] = ()) -> int | None:
    """Equity less initial margin in the worst case of live intents, in cash units.

    None where margin is not computed, see `MarginModel.surplus`.

    Raises:
        Unsound: a position in what is no contract of the specification.
    """
    cost = sum(position.cost for position in account.positions.values())
    return model.surplus(account.cash, cost, net_of(account, model), live)


def net_of(account: Account, model: MarginModel) -> dict[int, int]:
    """Lots bought less lots sold, by the contract's index in the specification.

    Raises:
        Unsound: a position in what is no contract of the specification.
    """
    return {
        contract_index_of(model, instrument): position.net
        for instrument, position in account.positions.items()
    }


def contract_index_of(model: MarginModel, instrument: bytes) -> int:
    """The contract that a position is in.

    Raises:
        Unsound: the specification has none.
    """
    index = model.contract_indices.get(instrument)
    if index is None:
        part = f"position in 0x{instrument.hex()}"
        raise Unsound(part, "a contract of the specification", "none")
    return index


def read_positions(name: bytes, data: bytes) -> Positions:
    """Read positions of an account: a version byte, then instrument, net, cost and entry each.

    Raises:
        Unsound: other lengths or version, or instruments that do not ascend.
    """
    if data[:1] != bytes([POSITIONS_VERSION]) or len(data) % _ENTRY != 1:
        expected = f"version {POSITIONS_VERSION} and whole entries"
        raise Unsound(_positions_of(name), expected, data)
    positions: Positions = {}
    for at in range(1, len(data), _ENTRY):
        net, cost, entry = (
            int.from_bytes(data[word : word + _WORD], "big", signed=True)
            for word in range(at + _WORD, at + _ENTRY, _WORD)
        )
        positions[data[at : at + _WORD]] = Position(net, cost, entry)
    if encode_positions(positions) != data:
        raise Unsound(_positions_of(name), "ascending instruments, none empty", data)
    return positions


def _positions_of(name: bytes) -> str:
    return f"state of {account_of(name)}, positions"


def encode_positions(positions: Positions) -> bytes:
    """The bytes of an account's positions, see `read_positions`.

    Raises:
        Unsound: a number is not of 32 bytes.
    """
    parts = [bytes([POSITIONS_VERSION])]
    for instrument, position in sorted(positions.items()):
        if position == Position():
            continue
        numbers = (position.net, position.cost, position.entry)
        try:
            parts.append(instrument)
            parts += [number.to_bytes(_WORD, "big", signed=True) for number in numbers]
        except OverflowError as error:
            raise Unsound("positions", "numbers of 32 bytes", position) from error
    return b"".join(parts)
