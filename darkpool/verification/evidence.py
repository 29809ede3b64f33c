"""What stands outside the record: what an auditor knows, and a chain that can still be asked."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

from crypto.signing.settling import BatchRoot, Settlement
from darkpool.record.core import RecordView
from darkpool.units import ADDRESS_BYTES, octets, require_kind
from darkpool.verification.custody import FlowEvent
from darkpool.verification.report import Findings


@dataclass(frozen=True, slots=True)
class ChainResult:
    """What the chain says of an instrument; tick and volume are 0 where nothing crossed."""

    instrument: bytes
    crossed: bool
    tick: int
    volume: int


@dataclass(frozen=True, slots=True)
class ChainBatch:
    """The commitment of a batch.

    Attributes:
        flows: index of the last flow that it counts; `flows_head`: hash of all of them.
        signers: keyper numbers, counted from 0.
    """

    message: BatchRoot
    flows: int
    flows_head: bytes
    signers: tuple[int, ...]
    transaction: bytes
    block: int


@dataclass(frozen=True, slots=True)
class ChainSettlement:
    """The settlement of a batch; `signers` are keyper numbers, counted from 0."""

    message: Settlement
    results: tuple[ChainResult, ...]
    signers: tuple[int, ...]
    transaction: bytes
    block: int


@dataclass(frozen=True, slots=True)
class PreviousSettlement:
    """The settlement that a batch builds on; `flows` is the index of the last flow it counts."""

    interval: int
    flows: int
    state_root: bytes
    leaf_hash: bytes
    prices: bytes


@dataclass(frozen=True, slots=True)
class ChainEvidence:
    """What a chain says of a venue and an interval; None for what has not happened.

    Attributes:
        settlement_contract, keypers: addresses of 20 bytes.
        vaults: addresses, the one of cash first.
        deposit_min: the least deposit that the vault of cash takes, token units.
        previous: the settlement that the batch names; None where it names none, or there is none.
        flows: those that the batch counts and `previous` does not, in order.
        paid: what the vault of cash had paid each account when the batch was committed.
        is_void: whether the batch ended without a settlement.
        is_declared: whether the venue has ended, in this interval or another.
        voids: batches that were committed since `previous` and ended void, in order.
    """

    settlement_contract: bytes
    vaults: tuple[bytes, ...]
    deposit_min: int
    keypers: tuple[bytes, ...]
    quorum: int
    batch: ChainBatch | None
    settlement: ChainSettlement | None
    previous: PreviousSettlement | None
    flows: tuple[FlowEvent, ...]
    paid: Mapping[bytes, int]
    is_void: bool
    is_declared: bool
    voids: tuple[ChainBatch, ...] = ()


@runtime_checkable
class ChainReader(Protocol):
    """Asks a chain; the auditor has no chain client of its own."""

    def chain_id(self) -> int:
        """Return the number of the chain."""

    def evidence(self, interval: int, blocks: tuple[int, int]) -> ChainEvidence:
        """Return all that the chain says about an interval.

        `blocks` are those of commitment and settlement, as the record has them (0: not known):
        where to look first, no more.
        """


@dataclass(frozen=True, slots=True)
class Anchor:
    """What an auditor knows of a venue from elsewhere: 20-byte addresses, None for the unknown.

    `keypers` are the committee's signing addresses in keyper order, `reporter` is the address that
    signs reference prices, and `price_reporters` are those that report what margin is computed at.

    Raises:
        WrongType, OutOfBounds: an address that is not 20 bytes, or no tuple of addresses.
    """

    settlement: bytes | None = None
    keypers: tuple[bytes, ...] | None = None
    reporter: bytes | None = None
    price_reporters: tuple[bytes, ...] | None = None

    def __post_init__(self) -> None:
        for name in ("settlement", "reporter"):
            if (address := getattr(self, name)) is not None:
                octets(name, ADDRESS_BYTES, address)
        for name in ("keypers", "price_reporters"):
            if (addresses := getattr(self, name)) is not None:
                for address in require_kind(name, tuple, addresses):
                    octets(name, ADDRESS_BYTES, address)

    def known(self) -> list[str]:
        """Names of what is known."""
        return [name for name, value in self._parts().items() if value is not None]

    def unknown(self) -> list[str]:
        """Names of what is the record's own word; both kinds of reporters together."""
        names = [name for name, value in self._parts().items() if value is None]
        reporters = ["reporter", "price reporters"]
        return [*names[:-2], "reporters"] if names[-2:] == reporters else names

    def binds(self, *, chain_holds: bool) -> bool:
        """Whether no forger could have made a record that agrees.

        Keypers sign all of a record. A chain tells who the keypers of a contract are; without its
        word a record of other keypers may name any contract. What reporters signed may be copied.
        """
        return self.keypers is not None or (self.settlement is not None and chain_holds)

    def _parts(self) -> dict[str, object]:
        return {
            "contract": self.settlement,
            "keypers": self.keypers,
            "reporter": self.reporter,
            "price reporters": self.price_reporters,
        }


def check_anchor(record: RecordView, anchor: Anchor, findings: Findings) -> None:
    """The record speaks of the venue that the auditor means."""
    summary = record.summary
    if anchor.settlement is not None:
        findings.equal("venue, settlement", anchor.settlement, summary.venue.settlement)
    if anchor.keypers is not None:
        findings.equal("committee, addresses", anchor.keypers, summary.committee.addresses)
    if anchor.reporter is not None:
        findings.equal("reporter", anchor.reporter, summary.reporter)
    if anchor.price_reporters is not None:
        known, named = set(anchor.price_reporters), set(record.margin.market.reporters)
        for reporter in sorted(known - named):
            findings.add("market, reporters", reporter, "none of this address")
        for reporter in sorted(named - known):
            findings.add("market, reporters", "the auditor's", reporter)
