"""`darkpool auction`: seal, cross and settle the orders of a file, on this machine."""

from __future__ import annotations

import json
from collections.abc import Sequence
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import typer

from crypto.ring.params import STANDARD
from darkpool.cli.arguments import (
    chain_key,
    decimal,
    grids_of,
    listing_of,
    one_pricing,
    rate,
    require_url,
    whole,
)
from darkpool.cli.errors import CHAIN_KEY_VARIABLE, tell
from darkpool.limits import OWNERS_MIN_DEFAULT

if TYPE_CHECKING:
    from darkpool.chain.client import Chain
    from darkpool.simulation.order_file import Order

DEFAULT_INSTRUMENT: Final = "default"


def auction(
    orders: Annotated[Path, typer.Argument(metavar="ORDERS.csv", show_default=False)],
    ticks: Annotated[
        int,
        typer.Option(
            parser=whole,
            metavar="N",
            show_default=False,
            help="Prices on the grid, 1 to 2047. The reference is the one in the middle; of an "
            "even number, the upper of the two in the middle.",
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
            help="Reference price, a multiple of the tick size: the middle of the grid. "
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
        str,
        typer.Option(
            parser=one_pricing,
            metavar="uniform|reference",
            help="uniform: the price of the largest volume; if several leave nothing over, the "
            "nearest to the reference; if buyers are left over at all, the highest, if sellers "
            "are, the lowest; if two neighbours trade the same with either left over, the higher "
            "if buyers exceed sellers at the reference, else the lower. reference: the reference "
            "price.",
        ),
    ] = "uniform",
    margin_rate: Annotated[
        int | None,
        typer.Option(
            parser=rate,
            metavar="RATE",
            help="Initial margin without --market: the price range that is covered, as a part of "
            "the price, written 10% or 0.1. Default: 10%.",
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
    instruments: Annotated[
        str | None,
        typer.Option(
            metavar="A,B,...",
            show_default=False,
            help="The only names that the column instrument may have.",
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
            help="Keep the clients' opening files in DIR, which must not exist: N.json of intent "
            "N. They tell the orders, and are no part of the record.",
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
    check: Annotated[
        bool,
        typer.Option(
            "--check", help="Only check orders, options and places of folders, and run nothing."
        ),
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Seal, cross and settle the orders of a file, on this machine.

    ORDERS.csv has the columns account, side, size, limit and optionally instrument, minimum and
    request, one order a row: side buy or sell, size in whole lots (1 to 10000000), limit a price on
    the tick grid. An account has at most one order for each instrument. An order with a minimum
    fills with so many lots or not at all, from what other orders leave over. A row is counted as
    its line in the file: the header is line 1, the first order row 2.

    Before the auction each account deposits its bond and the margin of its orders. With an amount
    in the column request it asks a part of that back; amounts of several rows add up. The
    settlement grants all that an account without positions has, up to that amount. An account that
    has traded gets nothing yet: it would need cash that was free one settlement before as well.
    What was granted is claimed at once.

    An order with an empty limit is a market order: its limit is the highest price of the grid for
    a buy, the lowest for a sell.

    Limits beyond the grid are clamped on the aggressive side: a buy above the highest price
    becomes a buy at the highest, a sell below the lowest a sell at the lowest, so neither trades
    at a worse price than it asked for. On the passive side, a buy below the lowest price or a sell
    above the highest could never trade and is refused.

    With --market an instrument is a contract of SPEC.toml, each with a grid of its
    own around its value, and an account's contracts are margined together. Otherwise all
    instruments have one grid, and margin is a part of the value of each; the names are those of
    --instruments. Without that option the file's own names count, if each of several has orders of
    as many accounts as a result needs: one that has fewer could not trade, and is taken for a
    misspelling.

    Prices are in the quote currency with at most six decimals, from -1000000000 to 1000000000: they
    may be zero or negative, but for those of options and of what options are on. Amounts are in the
    quote currency too.
    """
    from darkpool.auction.terms import VenueTerms
    from darkpool.protocol.terms import Pricing
    from darkpool.simulation.folders import require_new
    from darkpool.simulation.named_instruments import require_no_misspelling
    from darkpool.simulation.order_file import read_orders
    from darkpool.units import InstrumentName, identifier
    from darkpool.wargames.intruders import draw_intruders

    require_url(chain)
    key = chain_key()
    listing = listing_of(
        tick, reference, ticks, margin_rate, multiplier, margin_range, contracts, market
    )
    read = read_orders(orders, grids_of(listing, instruments), InstrumentName(DEFAULT_INSTRUMENT))
    if market is None and instruments is None:
        require_no_misspelling(read, str(orders), owners_min)
    terms = VenueTerms(listing, Pricing(pricing), owners_min)
    traded = sorted({order.instrument for order in read})
    listing.of(traded)
    intruders = draw_intruders(attackers, sorted(map(identifier, traded)), ticks)
    require_new(record, openings)
    if check:
        _tell_checked(read, as_json=as_json)
        return

    from darkpool.cli.auction_document import auction_document
    from darkpool.cli.tables import exact_json, output, print_auction, progress
    from darkpool.simulation.venue import Places, VenueSetting, run_orders

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
    undone = (*result.not_kept, *result.not_claimed)
    for error in undone:
        tell(error)
    if undone:
        raise typer.Exit(1)


def _tell_checked(orders: Sequence[Order], *, as_json: bool) -> None:
    """What is in order, where nothing is to be run."""
    accounts = len({order.account for order in orders})
    instruments = sorted({order.instrument for order in orders})
    if as_json:
        checked = {"orders": len(orders), "accounts": accounts, "instruments": instruments}
        typer.echo(json.dumps(checked))
    else:
        typer.echo(
            f"All is in order, and nothing was run. Orders: {len(orders)}. Accounts: {accounts}. "
            f"Instruments: {', '.join(instruments)}."
        )


def _chain(url: str | None, key: bytes | None) -> Chain:
    from darkpool.chain.client import Chain

    return Chain.embedded() if url is None else Chain.connect(url, key)
