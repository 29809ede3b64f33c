"""The demonstration: one auction on generated orders, told from sealing to audit.

The demonstration plays every client, so it knows the orders; that is how it can compare with the
plain twin, and show what the others do not see.
"""

from __future__ import annotations

import secrets
import time
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Final

from rich.console import Console

from crypto.bfv.ciphertext import to_wire
from crypto.ring.params import STANDARD
from darkpool.auction.listing import OutrightListing
from darkpool.auction.terms import VenueTerms
from darkpool.chain.client import Chain
from darkpool.cli.sheets import Sheet, show
from darkpool.cli.tables import (
    NAME,
    NUMBER,
    WORD,
    audit_progress,
    fills_table,
    print_audit,
    print_lines,
    progress,
    results_table,
)
from darkpool.durable import temporary_folder
from darkpool.protocol.flows import FlowKind
from darkpool.protocol.terms import Pricing
from darkpool.record.reader import Record
from darkpool.simulation.order_file import HEADER_ROW, Order
from darkpool.simulation.result import VenueResult
from darkpool.simulation.twin import GRID, SEED_MAX, generated_orders, verify_twin
from darkpool.simulation.venue import Places, VenueSetting, run_orders
from darkpool.units import PriceUnits, account_of, price_decimal
from darkpool.verification.audit import audit

FULL_AUDIT_UNTIL_S: Final = 55
"""Seconds after the start up to which there is time for the circuits, which take about ten."""

_TELLS: Final = {
    "shape": "nothing: zero, because all intents are orders",
    "cap bits": "nothing: one, because no size is negative or above its cap",
    "price lanes": "nothing: uniform, under a fresh mask",
    "no-cross": "one bit for each instrument: does it cross?",
    "price bits": "the price, as a step",
    "tie lanes": "one bit: which side is short",
    "short row": "fills of the short side; their sum is the volume",
    "ration lanes": "nothing: uniform, under a fresh mask",
    "ration bits": "who is filled on the long side, as a step in priority order",
    "long row": "fills of the long side but the last, which is the rest",
}
_TERMS: Final = VenueTerms(OutrightListing(GRID, 100_000, 50), Pricing.UNIFORM, 4)


def run_demo(console: Console, place: Path | None, seed: int | None) -> bool:
    """Tell the story on `console`; returns whether the audit passed.

    The record stays at `place`, or is removed at the end where that is None.

    Raises:
        OutOfBounds: the seed is out of its bounds.
        TwinDiffers: the encrypted auction gave something else than the plain twin.
        NotKept: the record could not be finished.
    """
    start = time.monotonic()
    seed = secrets.randbelow(SEED_MAX + 1) if seed is None else seed
    orders = generated_orders(seed)
    with ExitStack() as stack:
        directory = place
        if directory is None:
            directory = stack.enter_context(temporary_folder("darkpool-demo-")) / "record"
        _tell_orders(console, orders, seed)
        with progress() as shown:
            result = run_orders(
                orders, _TERMS, VenueSetting(STANDARD, Chain.embedded, Places(directory), shown)
            )
        for error in result.not_kept:
            raise error
        record = Record.load(directory)
        _tell_sealing(console, record)
        _tell_openings(console, record)
        _tell_result(console, result)
        verify_twin(orders, _TERMS, result)
        console.print("The plain twin gives the same prices, volumes and fills of these orders.")
        _tell_margin(console, record)
        _tell_settlement(console, result)
        quick = time.monotonic() - start > FULL_AUDIT_UNTIL_S
        _title(console, "Audit: from the record alone, sharing no market code with the engine")
        with progress() as shown:
            report = audit(directory, quick=quick, progress=audit_progress(shown))
        print_audit(console, report)
        _tell_place(console, directory, kept=place is not None)
    return report.ok


def _title(console: Console, text: str) -> None:
    console.print(f"\n[bold]{text}[/bold]")


def _tell_orders(console: Console, orders: Sequence[Order], seed: int) -> None:
    _title(console, "Orders: only their owners know them")
    columns = {"row": NUMBER, "account": NAME, "instrument": NAME, "side": WORD}
    table = Sheet("", columns | {"size": NUMBER, "limit": NUMBER})
    for order in orders:
        who = (str(order.row), order.account, order.instrument, order.side.label)
        table.add(*who, str(order.size), f"{GRID.price_of(order.limit):f}")
    show(console, table)
    console.print(f"generated from seed {seed} (--seed {seed} gives them again)")


def _tell_sealing(console: Console, record: Record) -> None:
    _title(console, f"Sealed: all that the venue got of row {HEADER_ROW + 1}")
    sealed, ciphertext = record.intents[0].sealed, record.ciphertext(0)
    lines = {
        "account": account_of(sealed.account),
        "public cap": f"{sealed.cap} lots, a bucket that covers the size",
        "commitment": f"0x{sealed.commitment.hex()}",
        "ciphertext": f"{len(to_wire(ciphertext)) // 1024} KiB, SHA-256 0x"
        f"{sealed.ciphertext_digest.hex()}",
    }
    print_lines(console, lines)
    batch, commitment = record.summary.batch, record.evidence.commitment
    _title(console, "Closed: the batch is on the chain before anything in it is opened")
    lines = {
        "batch root": f"0x{batch.root.hex()}",
        "intents": str(batch.count),
        "signed by": f"{len(commitment.signatures)} keypers of {record.summary.committee.size}",
        "transaction": f"0x{commitment.transaction.hex()} in block {batch.block}",
    }
    print_lines(console, lines)


def _tell_openings(console: Console, record: Record) -> None:
    _title(console, "Crossed encrypted: everything that was ever opened")
    table = Sheet("", {"opening": NAME, "slots": NUMBER, "what it tells": NAME})
    for number, entry in enumerate(record.openings):
        slots = str(int(record.opening(number).support.sum()))
        kind = entry.purpose.rstrip(".0123456789 ")
        table.add(entry.purpose, slots, _TELLS[kind])
    show(console, table)


def _tell_result(console: Console, result: VenueResult) -> None:
    _title(console, "Public result")
    show(console, results_table(result))
    if result.fills:
        show(console, fills_table(result.fills))


def _tell_margin(console: Console, record: Record) -> None:
    summary = record.summary
    _title(console, "Margin: covered at admission for the cap, held for positions, the rest free")
    columns = {"": NAME, "free": NUMBER, "held": NUMBER}
    table = Sheet("All accounts together, in the quote currency", columns)
    deposited = sum(flow.amount for flow in summary.flows if flow.kind == FlowKind.DEPOSIT)
    cash = sum(state.cash for state in summary.after)
    held = sum(state.cash - state.free for state in summary.after if state.free or state.positions)
    table.add("deposited", _amount(deposited), _amount(0))
    table.add("settled", _amount(cash - held), _amount(held))
    show(console, table)


def _amount(units: int) -> str:
    return f"{price_decimal(PriceUnits(units)):,f}"


def _tell_settlement(console: Console, result: VenueResult) -> None:
    settlement = result.outcome.settlement
    _title(console, "Settled")
    lines = {
        "fills root": f"0x{settlement.message.fills_root.hex()}",
        "balances root": f"0x{settlement.balances_root.hex()}",
        "transaction": f"0x{settlement.final().hash.hex()} in block {settlement.final().block}",
        "close to fills": f"{result.timings_ms['close_to_fills']} ms",
    }
    print_lines(console, lines)


def _tell_place(console: Console, directory: Path, *, kept: bool) -> None:
    size = sum(path.stat().st_size for path in directory.rglob("*") if path.is_file())
    megabytes = f"{size // 10**6} MB"
    if kept:
        text = f"The record ({megabytes}) is in {directory}: darkpool audit {directory}"
    else:
        text = f"The record ({megabytes}) was in {directory}, now removed; --record DIR keeps one."
    console.print(text, soft_wrap=True, markup=False, emoji=False)
