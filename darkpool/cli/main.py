"""The command line. Commands only translate: arguments in, results out, errors into exit codes.

Exit codes: 0 all is well, 1 something that has to hold does not, 2 input that cannot be used,
128 + n ended by signal n (129: hang-up, 130: Ctrl-C, 143: termination).
"""

from __future__ import annotations

import os
import signal
import sys
from concurrent.futures import BrokenExecutor
from decimal import Decimal
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Annotated, Final, Literal, NoReturn

import typer

from crypto.errors import CryptoError, InsecureParameters
from crypto.ring.params import STANDARD, TEST_INSECURE_VARIABLE
from darkpool.cli.arguments import (
    CHAIN_KEY_VARIABLE,
    UnreadableFile,
    chain_key,
    decimal,
    listing_of,
    read_text,
    require_url,
    whole,
)
from darkpool.cli.margin import margin
from darkpool.errors import BadInput, DarkpoolError
from darkpool.limits import OWNERS_MIN_DEFAULT

if TYPE_CHECKING:
    from darkpool.chain.client import Chain
    from darkpool.verification.evidence import Anchor, ChainReader

DEFAULT_INSTRUMENT: Final = "default"


app = typer.Typer(
    add_completion=False,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)


class _Stopped(BaseException):
    """A signal that asks to stop; no library catches it on the way to `main`."""

    def __init__(self, number: int) -> None:
        super().__init__(number)
        self.number = number


def _stop(number: int, _frame: FrameType | None) -> NoReturn:
    # what removes half-written folders is not interrupted in turn
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    raise _Stopped(number)


def main() -> None:
    """Run the command line and exit."""
    signal.signal(signal.SIGINT, _stop)
    signal.signal(signal.SIGTERM, _stop)
    # who started it under nohup wants it to outlive the terminal
    if signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN:
        signal.signal(signal.SIGHUP, _stop)
    # nothing that the command line does may ever rest on the small rings of the tests
    os.environ.pop(TEST_INSECURE_VARIABLE, None)
    try:
        app()
    except DarkpoolError as error:
        _fail(str(error), error.exit_code)
    except InsecureParameters as error:
        _fail(str(error), BadInput.exit_code)
    except CryptoError as error:
        _fail(str(error), 1)
    except BrokenExecutor:
        _fail("a worker process: expected a result, got its end (was memory short?)", 1)
    except OSError as error:
        _fail(f"system: {error}", 1)
    except _Stopped as stopped:
        _fail(f"stopped by {signal.Signals(stopped.number).name}", 128 + stopped.number)


def _fail(message: str, exit_code: int) -> NoReturn:
    typer.echo(f"darkpool: {message}", err=True)
    sys.exit(exit_code)


def _version(wanted: bool) -> None:
    if wanted:
        from importlib.metadata import version

        typer.echo(f"darkpool {version('darkpool')}")
        raise typer.Exit


@app.callback()
def darkpool(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    """A dark pool whose orders stay encrypted while they cross.

    Exit codes: 0 all is well; 1 something that has to hold does not; 2 input that cannot be used;
    130 stopped by Ctrl-C.
    """


_Price = Annotated[Decimal, typer.Option(parser=decimal, metavar="PRICE", show_default=False)]


@app.command()
def auction(
    orders: Annotated[Path, typer.Argument(metavar="ORDERS.csv", show_default=False)],
    ticks: Annotated[
        int,
        typer.Option(
            parser=whole,
            metavar="N",
            show_default=False,
            help="Prices on the grid, 1 to 2047: the reference is number N // 2, counted from 0.",
        ),
    ],
    tick: Annotated[
        Decimal | None,
        typer.Option(parser=decimal, metavar="PRICE", show_default=False, help="Tick size."),
    ] = None,
    reference: Annotated[
        Decimal | None,
        typer.Option(
            parser=decimal,
            metavar="PRICE",
            show_default=False,
            help="Reference price, a multiple of the tick size; the middle of the grid. "
            "The venue's reporter signs it for every instrument.",
        ),
    ] = None,
    contracts: Annotated[
        Path | None,
        typer.Option(
            metavar="SPEC.toml",
            help="Contracts and risk parameters; else contracts.toml beside MARKET.json.",
        ),
    ] = None,
    market: Annotated[
        Path | None,
        typer.Option(
            metavar="MARKET.json",
            help="Trade contracts, at these prices; instead of --tick and --reference.",
        ),
    ] = None,
    pricing: Annotated[
        Literal["uniform", "reference"],
        typer.Option(
            help="uniform: the price of the largest volume; reference: the reference price."
        ),
    ] = "uniform",
    keypers: Annotated[
        int,
        typer.Option(
            parser=whole,
            metavar="N",
            help="Committee of 3 or 4; one of them may be corrupt.",
        ),
    ] = 4,
    margin_rate: Annotated[
        int | None,
        typer.Option(
            parser=whole,
            metavar="PPM",
            help="Initial margin without --market: the price range that is covered, in parts per "
            "million of the price. Default: 100000.",
        ),
    ] = None,
    multiplier: Annotated[
        int | None,
        typer.Option(
            parser=whole,
            metavar="N",
            help="Units of the underlying in one contract without --market. Default: 1.",
        ),
    ] = None,
    owners_min: Annotated[
        int,
        typer.Option(parser=whole, metavar="N", help="Distinct accounts that a result needs."),
    ] = OWNERS_MIN_DEFAULT,
    record: Annotated[
        Path | None,
        typer.Option(metavar="DIR", help="Keep the public record in DIR, which must not exist."),
    ] = None,
    openings: Annotated[
        Path | None,
        typer.Option(
            metavar="DIR",
            help="Keep the clients' openings in DIR, which must not exist: N.json of intent N. "
            "They tell the orders, and are no part of the record.",
        ),
    ] = None,
    chain: Annotated[
        str | None,
        typer.Option(
            metavar="URL",
            help="Settle on the node at URL instead of a chain in this process; transactions are "
            f"signed with the key in {CHAIN_KEY_VARIABLE} (64 hexadecimal digits), or by the node.",
        ),
    ] = None,
    attackers: Annotated[
        int,
        typer.Option(
            parser=whole,
            metavar="N",
            help="Mix in N attackers, who seal what is no order or more than their cap.",
        ),
    ] = 0,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Seal, cross and settle the orders of a file, on this machine.

    ORDERS.csv has the columns account, side, size, limit and optionally instrument and minimum, one
    order a row: side buy or sell, size in whole lots (1 to 10000000), limit a price on the tick
    grid. An account has at most one order for each instrument. An order with a minimum fills with
    so many lots or not at all, from what other orders leave over.

    Limits beyond the grid are clamped on the aggressive side: a buy above the highest price
    becomes a buy at the highest, a sell below the lowest a sell at the lowest, so neither trades
    at a worse price than it asked for. On the passive side, a buy below the lowest price or a sell
    above the highest could never trade and is refused.

    With --market an instrument is a contract of SPEC.toml, each with a grid of its
    own around its value, and an account's contracts are margined together. Otherwise all
    instruments have one grid, and margin is a part of the value of each.

    Prices are in the quote currency with at most six decimals; cash is counted in millionths of
    it. Rows are counted from 0, the header line not included.
    """
    from darkpool.auction.listing import ContractListing
    from darkpool.simulation.order_file import read_orders
    from darkpool.units import InstrumentName

    require_url(chain)
    listing = listing_of(tick, reference, ticks, margin_rate, multiplier, contracts, market)
    grids = listing.grids if isinstance(listing, ContractListing) else listing.grid
    read = read_orders(orders, grids, InstrumentName(DEFAULT_INSTRUMENT))
    key = chain_key()

    from darkpool.auction.outcome import Pricing
    from darkpool.auction.terms import VenueTerms
    from darkpool.cli.tables import auction_document, exact_json, output, print_auction, progress
    from darkpool.simulation.clients import identifier
    from darkpool.simulation.venue import Places, run_orders
    from darkpool.wargames.intruders import draw_intruders

    instruments = sorted({identifier(order.instrument) for order in read})
    intruders = draw_intruders(attackers, instruments, ticks)
    terms = VenueTerms(listing, Pricing(pricing), keypers, owners_min)
    _require_apart(record, openings)
    with progress() as shown:
        result = run_orders(
            read,
            terms,
            STANDARD,
            lambda: _chain(chain, key),
            Places(record, openings),
            shown,
            intruders,
        )
    if as_json:
        typer.echo(exact_json(auction_document(result)))
    else:
        print_auction(output(), result)


@app.command()
def demo(
    record: Annotated[
        Path | None,
        typer.Option(metavar="DIR", help="Keep the public record in DIR, which must not exist."),
    ] = None,
    seed: Annotated[
        int | None,
        typer.Option(
            parser=whole,
            metavar="N",
            show_default=False,
            help="Of the generated orders; keys and priority are fresh in any case.",
        ),
    ] = None,
) -> None:
    """Tell one auction of 24 generated orders, from sealing to audit: about a minute."""
    from darkpool.cli.demo import run_demo
    from darkpool.cli.tables import output

    if not run_demo(output(), record, seed):
        raise typer.Exit(1)


@app.command()
def audit(
    record: Annotated[Path, typer.Argument(metavar="DIR", show_default=False)],
    quick: Annotated[
        bool, typer.Option("--quick", help="Leave out the circuits, which take the most time.")
    ] = False,
    chain: Annotated[
        str | None,
        typer.Option(metavar="URL", help="Compare with what the node at URL says as well."),
    ] = None,
    settlement: Annotated[
        str | None,
        typer.Option(metavar="ADDRESS", help="The settlement contract, known from elsewhere."),
    ] = None,
    keypers: Annotated[
        str | None,
        typer.Option(
            metavar="A,B,C,D", help="Signing addresses of the keypers, known from elsewhere."
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

    Each check is a line, and a failing one names the part of the record that is at fault. Exit
    code 0 only when none fails. Without --settlement, --keypers or the reporters the venue is the
    one that the record names; without --chain the evidence that the roots were on a chain is the
    keypers' signatures: a chain inside `darkpool auction` is gone when that ends.
    """
    from darkpool.cli.tables import audit_document, exact_json, output, print_audit, progress
    from darkpool.verification.audit import audit as run_audit

    if not record.is_dir():
        raise UnreadableFile(record, "no directory of this name")
    require_url(chain)
    reader = None if chain is None else _reader(record, chain)
    anchor = _anchor(settlement, keypers, reporter, price_reporters)
    with progress() as shown:
        report = run_audit(
            record, reader, quick=quick, anchor=anchor, progress=lambda step: shown(step, 0, 0)
        )
    if as_json:
        typer.echo(exact_json(audit_document(report)))
    else:
        print_audit(output(), report)
    if not report.ok:
        raise typer.Exit(1)


def _anchor(
    settlement: str | None, keypers: str | None, reporter: str | None, price_reporters: str | None
) -> Anchor:
    from darkpool.units import account_bytes, account_id
    from darkpool.verification.evidence import Anchor

    def address(text: str) -> bytes:
        return account_bytes(account_id(text.strip()))

    return Anchor(
        None if settlement is None else address(settlement),
        None if keypers is None else tuple(map(address, keypers.split(","))),
        None if reporter is None else address(reporter),
        None if price_reporters is None else tuple(map(address, price_reporters.split(","))),
    )


def _reader(record: Path, url: str) -> ChainReader | None:
    """The chain that a record speaks of; None where the audit will say that there is no record."""
    from darkpool.chain.client import Chain
    from darkpool.chain.reader import RecordedVenue
    from darkpool.record.reader import Record

    try:
        venue = Record.load(record).summary.venue
    except (CryptoError, DarkpoolError):
        return None
    return RecordedVenue(Chain.connect(url, chain_key()), venue)


app.command()(margin)


@app.command(name="open")
def open_intent(
    record: Annotated[Path, typer.Argument(metavar="DIR", show_default=False)],
    intent: Annotated[int, typer.Argument(parser=whole, metavar="INTENT", show_default=False)],
    opening: Annotated[
        Path,
        typer.Option(metavar="FILE", show_default=False, help="The client's opening file."),
    ],
) -> None:
    """Check a client's opening against its sealed intent in the record in DIR.

    INTENT is its place in the batch, counted from 0: the number of its opening file, and the row
    of its order where nothing was refused and no attackers were mixed in. The opening is encrypted
    again, and has to give the very bytes of the ciphertext in the record. Whether the record itself
    holds, `darkpool audit` finds out.
    """
    from darkpool.cli.tables import output, print_lines, progress
    from darkpool.client.disclosure import disclose

    text = read_text(opening)
    with progress() as shown:
        shown("read", 0, 0)
        disclosed = disclose(record, intent, text)
    print_lines(output(), disclosed.lines())


def _require_apart(record: Path | None, openings: Path | None) -> None:
    """Compare the folders that are meant, whatever links lead to them."""
    if record is None or openings is None:
        return
    from darkpool.simulation.venue import Places

    try:
        places = Places(record.resolve(), openings.resolve())
    except RuntimeError:  # a circle of links, up to Python 3.12
        raise UnreadableFile(record.parent, "a circle of symbolic links") from None
    places.require_apart()


def _chain(url: str | None, key: bytes | None) -> Chain:
    from darkpool.chain.client import Chain

    return Chain.embedded() if url is None else Chain.connect(url, key)
