"""What stands outside the record: the keypers' signatures, and a chain that can still be asked."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

from crypto.signing.messages import SettlementRoot
from darkpool.record.forms import TransactionRecord
from darkpool.record.reader import Record
from darkpool.units import ADDRESS_BYTES, account_of, octets, require_kind
from darkpool.verification.accounts import balances_root
from darkpool.verification.batch import check_quorum
from darkpool.verification.outcome import fills_root, results_root, settled_instruments
from darkpool.verification.report import Findings

_NO_POSITIONS = b"\1"
"""Their version and nothing else."""


@dataclass(frozen=True, slots=True)
class ChainResult:
    """What the chain says of an instrument; tick and volume are 0 where nothing crossed."""

    instrument: bytes
    crossed: bool
    tick: int
    volume: int


@dataclass(frozen=True, slots=True)
class ChainBatch:
    """The commitment of a batch; `signers` are keyper numbers, counted from 0."""

    root: bytes
    count: int
    signers: tuple[int, ...]
    transaction: bytes
    block: int


@dataclass(frozen=True, slots=True)
class ChainSettlement:
    """The settlement of a batch; `signers` are keyper numbers, counted from 0."""

    results: tuple[ChainResult, ...]
    results_root: bytes
    fills_root: bytes
    balances_root: bytes
    signers: tuple[int, ...]
    transaction: bytes
    block: int


@dataclass(frozen=True, slots=True)
class ChainEvidence:
    """What a chain says of a venue and an interval; None for what has not happened.

    Attributes:
        settlement_contract, vault, keypers: addresses of 20 bytes.
        is_first: whether nothing was settled in any interval before.
        paid_in: deposits less withdrawals before the batch was committed, by account.
    """

    settlement_contract: bytes
    vault: bytes
    keypers: tuple[bytes, ...]
    quorum: int
    batch: ChainBatch | None
    settlement: ChainSettlement | None
    halted: bool
    is_first: bool
    paid_in: Mapping[bytes, int]


@runtime_checkable
class ChainReader(Protocol):
    """Asks a chain; the auditor has no chain client of its own."""

    def chain_id(self) -> int:
        """Return the number of the chain."""

    def evidence(self, interval: int, blocks: tuple[int, int]) -> ChainEvidence:
        """Return all that the chain says about an interval.

        `blocks` are those of commitment and settlement, as the record has them: where to look
        first, no more.
        """


def check_roots(record: Record, findings: Findings) -> None:
    """Results, fills and balances are those under the settled roots."""
    summary, settlement = record.summary, record.summary.settlement
    findings.equal("settlement, results root", results_root(record), settlement.results_root)
    findings.equal("settlement, fills root", fills_root(record), settlement.fills_root)
    findings.equal(
        "settlement, balances root", balances_root(summary.after), settlement.balances_root
    )


def check_settlement_signatures(record: Record, findings: Findings) -> None:
    """A quorum of keypers signed the settled roots."""
    summary, settlement = record.summary, record.summary.settlement
    root = SettlementRoot(
        summary.interval,
        settlement.results_root,
        settlement.fills_root,
        settlement.balances_root,
    )
    digest = root.digest(summary.venue.domain())
    check_quorum(record, "settlement, signature", digest, settlement.signatures, findings)


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


def check_anchor(record: Record, anchor: Anchor, findings: Findings) -> None:
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


def check_chain(record: Record, chain: ChainReader, findings: Findings) -> None:
    """The chain says what the record says.

    Raises:
        Unanswered: the chain gives no answer that can be used.
        DarkpoolError: the contracts of the record are not there.
    """
    summary = record.summary
    venue, committee = summary.venue, summary.committee
    chain_id = chain.chain_id()
    if chain_id != venue.chain_id:
        findings.add("chain id", f"{venue.chain_id} as in the record", chain_id)
        return
    settled = summary.settlement.transaction
    blocks = (summary.batch.transaction.block, 0 if settled is None else settled.block)
    said = chain.evidence(summary.interval, blocks)
    for part, expected, got in (
        ("venue, settlement", said.settlement_contract, venue.settlement),
        ("venue, vault", said.vault, venue.vault),
        ("committee, quorum", said.quorum, committee.quorum),
        ("venue", "not halted", "halted" if said.halted else "not halted"),
    ):
        findings.equal(part, expected, got)
    findings.equal("committee, addresses", len(said.keypers), len(committee.addresses))
    for number, (on_chain, stated) in enumerate(zip(said.keypers, committee.addresses)):  # noqa: B905
        findings.equal(f"committee, addresses, keyper {number}", on_chain, stated)
    _check_batch(record, said.batch, findings)
    _check_settlement(record, said.settlement, findings)
    if said.is_first:
        for balance in summary.before:
            # an interval of any number may be the first: no account can have had a position
            if balance.positions != _NO_POSITIONS:
                part = f"collateral before of {account_of(balance.account)}, positions"
                findings.add(part, _NO_POSITIONS, balance.positions)
    held = {b.account: b.withdrawable + b.encumbered for b in summary.before}
    for account in sorted({*held, *said.paid_in}):
        paid_in, cash = said.paid_in.get(account, 0), held.get(account, 0)
        if paid_in != cash:
            findings.add(f"collateral before of {account_of(account)}", paid_in, cash)


def _check_batch(record: Record, said: ChainBatch | None, findings: Findings) -> None:
    batch = record.summary.batch
    if said is None:
        findings.add("batch", "a committed batch", "none on the chain")
        return
    findings.equal("batch, root", said.root, batch.root)
    findings.equal("batch, count", said.count, batch.count)
    findings.equal("batch, signatures", _keypers(said.signers), _keypers(batch.signatures))
    _check_transaction("batch", said.transaction, said.block, batch.transaction, findings)


def _check_settlement(record: Record, said: ChainSettlement | None, findings: Findings) -> None:
    settlement = record.summary.settlement
    if said is None:
        findings.add("settlement", "a settled batch", "none on the chain")
        return
    for index, instrument in enumerate(settled_instruments(record)):
        outcome = instrument.outcome
        tick, volume = (0, 0) if outcome is None else (outcome.tick, outcome.volume)
        stated = ChainResult(instrument.identifier, outcome is not None, tick, volume)
        part = f"instrument {instrument.name}, outcome"
        if index >= len(said.results):
            findings.add(part, "none on the chain", _result(stated))
        elif said.results[index] != stated:
            findings.add(part, _result(said.results[index]), _result(stated))
    findings.equal("settlement, results root", said.results_root, settlement.results_root)
    findings.equal("settlement, fills root", said.fills_root, settlement.fills_root)
    findings.equal("settlement, balances root", said.balances_root, settlement.balances_root)
    findings.equal(
        "settlement, signatures", _keypers(said.signers), _keypers(settlement.signatures)
    )
    _check_transaction("settlement", said.transaction, said.block, settlement.transaction, findings)


def _result(result: ChainResult) -> str:
    crossed = f"tick {result.tick}, volume {result.volume}" if result.crossed else "no cross"
    return f"{crossed} of instrument 0x{result.instrument.hex()}"


def _keypers(numbers: Iterable[int]) -> str:
    return f"of keypers {', '.join(map(str, sorted(numbers)))}"


def _check_transaction(
    part: str, transaction: bytes, block: int, stated: TransactionRecord | None, findings: Findings
) -> None:
    if stated is None:  # it was not on the chain yet when the record was written
        return
    findings.equal(f"{part}, transaction", transaction, stated.hash)
    findings.equal(f"{part}, block", block, stated.block)
