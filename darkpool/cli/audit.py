"""`darkpool audit`: recompute everything that a record allows."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from crypto.errors import CryptoError
from darkpool.cli.arguments import require_url
from darkpool.cli.errors import InvalidAnchor, UnreadableFile
from darkpool.errors import DarkpoolError, InvalidAccount

if TYPE_CHECKING:
    from darkpool.verification.evidence import Anchor, ChainReader


def audit(
    records: Annotated[list[Path], typer.Argument(metavar="DIR", show_default=False)],
    quick: Annotated[
        bool, typer.Option("--quick", help="Leave out the circuits, which take the most time.")
    ] = False,
    chain: Annotated[
        str | None,
        typer.Option(metavar="URL", help="Compare with what the node at URL says as well."),
    ] = None,
    settlement: Annotated[
        str | None,
        typer.Option(
            metavar="ADDRESS",
            help="The settlement contract, known from elsewhere; counts with --chain.",
        ),
    ] = None,
    keypers: Annotated[
        str | None,
        typer.Option(
            metavar="A,B,C,D",
            help="Signing addresses of the keypers in their order, known from elsewhere.",
        ),
    ] = None,
    reporter: Annotated[
        str | None,
        typer.Option(metavar="ADDRESS", help="The reporter of reference prices, from elsewhere."),
    ] = None,
    price_reporters: Annotated[
        str | None,
        typer.Option(metavar="A,B,C,D", help="Who reports prices for margin, from elsewhere."),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Recompute everything that the record in DIR allows, sharing no market code with the engine.

    Several records of one venue come in the order of their intervals: each has to go on where the
    one before it ended.

    Each check is a line, and a failing one names the part of the record that is at fault. Exit
    code 0 only when none fails, and the chain of --chain could be asked; that needs no account and
    no key. Without --keypers, or --settlement with --chain, the venue is the one that the record
    names: a forger can write any contract and copy what reporters signed. Without --chain the
    evidence that the roots were on a chain is the keypers' signatures: a chain inside `darkpool
    auction` is gone when that ends.
    """
    from darkpool.cli.tables import (
        audit_document,
        audit_progress,
        exact_json,
        output,
        print_audit,
        print_audited,
        progress,
    )
    from darkpool.verification.audit import audit_all
    from darkpool.verification.report import Verdict

    for record in records:
        _require_folder(record)
    require_url(chain)
    reader = None if chain is None else _reader(records[0], chain)
    anchor = _anchor(settlement, keypers, reporter, price_reporters)
    with progress() as shown:
        reports = audit_all(
            records, reader, quick=quick, anchor=anchor, progress=audit_progress(shown)
        )
    if as_json:
        documents = [audit_document(report) for report in reports]
        typer.echo(exact_json(documents[0] if len(documents) == 1 else {"records": documents}))
    else:
        console = output()
        for report in reports:
            print_audited(console, report.audited)
            print_audit(console, report)
    for report in reports:
        if report.unanswered is not None and report.verdict is Verdict.NOT_CHECKED:
            raise report.unanswered
    if not all(report.ok for report in reports):
        raise typer.Exit(1)


def _require_folder(record: Path) -> None:
    try:
        found = record.is_dir()
    except OSError as refusal:
        raise UnreadableFile(record, str(refusal.strerror)) from None
    if not found:
        raise UnreadableFile(record, "no directory of this name")


def _anchor(
    settlement: str | None, keypers: str | None, reporter: str | None, price_reporters: str | None
) -> Anchor:
    from darkpool.verification.evidence import Anchor

    return Anchor(
        _address("--settlement", settlement),
        _addresses("--keypers", keypers),
        _address("--reporter", reporter),
        _addresses("--price-reporters", price_reporters),
    )


def _address(option: str, text: str | None) -> bytes | None:
    from darkpool.units import account_bytes, account_id

    if text is None:
        return None
    try:
        return account_bytes(account_id(text.strip()))
    except InvalidAccount as error:
        raise InvalidAnchor(option, str(error.expected), str(error.got)) from error


def _addresses(option: str, text: str | None) -> tuple[bytes, ...] | None:
    """Several addresses; each that is none is told by its number."""
    if text is None:
        return None
    found = (
        _address(f"{option}, address {number}", one)
        for number, one in enumerate(text.split(","), start=1)
    )
    return tuple(address for address in found if address is not None)


def _reader(record: Path, url: str) -> ChainReader | None:
    """The chain that a record speaks of; None where the audit will say that it names none."""
    from darkpool.chain.reader import RecordedVenue
    from darkpool.chain.reading import ReadableChain
    from darkpool.record.reader import Record

    try:
        venue = Record(record).summary.venue
    except (CryptoError, DarkpoolError):
        return None
    return RecordedVenue(ReadableChain.at(url), venue)
