"""`darkpool auction`: seal, cross and settle the orders of a file, on this machine."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final, Literal

import typer

from crypto.ring.params import STANDARD
from darkpool.cli.arguments import chain_key, decimal, listing_of, require_url, whole
from darkpool.cli.errors import CHAIN_KEY_VARIABLE, UnreadableFile, tell
from darkpool.limits import OWNERS_MIN_DEFAULT

if TYPE_CHECKING:
    from darkpool.chain.client import Chain

DEFAULT_INSTRUMENT: Final = "default"


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
            help="uniform: the price of the largest volume; if several leave nothing over, the "
            "nearest to the reference; if two neighbours trade the same, the higher if buyers "
            "exceed sellers at the reference, else the lower. reference: the reference price."
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
    margin_range: Annotated[
        Decimal | None,
        typer.Option(
            parser=decimal,
            metavar="PRICE",
            show_default=False,
            help="The same range in price, where it is more: needed at prices at and below zero. "
            "Default: to the farther end of a grid that has such a price; else none.",
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

    Prices are in the quote currency with at most six decimals, from -1000000000 to 1000000000: they
    may be zero or negative, but for those of options and of what options are on. Cash is counted in
    millionths of the currency. Rows are counted from 0, the header line not included.
    """
    from darkpool.auction.listing import ContractListing
    from darkpool.simulation.order_file import read_orders
    from darkpool.units import InstrumentName

    require_url(chain)
    listing = listing_of(
        tick, reference, ticks, margin_rate, multiplier, margin_range, contracts, market
    )
    grids = listing.grids if isinstance(listing, ContractListing) else listing.grid
    read = read_orders(orders, grids, InstrumentName(DEFAULT_INSTRUMENT))
    key = chain_key()

    from darkpool.auction.terms import VenueTerms
    from darkpool.cli.tables import auction_document, exact_json, output, print_auction, progress
    from darkpool.protocol.terms import Pricing
    from darkpool.simulation.venue import Places, VenueSetting, run_orders
    from darkpool.units import identifier
    from darkpool.wargames.intruders import draw_intruders

    instruments = sorted({identifier(order.instrument) for order in read})
    intruders = draw_intruders(attackers, instruments, ticks)
    terms = VenueTerms(listing, Pricing(pricing), keypers, owners_min)
    _require_apart(record, openings)
    with progress() as shown:
        result = run_orders(
            read,
            terms,
            VenueSetting(STANDARD, lambda: _chain(chain, key), Places(record, openings), shown),
            intruders,
        )
    if as_json:
        typer.echo(exact_json(auction_document(result)))
    else:
        print_auction(output(), result)
    for error in result.not_kept:
        tell(error)
    if result.not_kept:
        raise typer.Exit(1)


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
