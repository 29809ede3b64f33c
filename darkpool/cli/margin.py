"""`darkpool margin`: what a portfolio needs, and why."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from darkpool.cli.arguments import (
    CONTRACTS_NAME,
    MARGIN_FILE_MAX_BYTES,
    read_whole,
    specification_of,
    whole,
)
from darkpool.cli.errors import InvalidAddition, NoPlotting, UnwritablePicture

if TYPE_CHECKING:
    from darkpool.margin.market.instruments import Contract, Specification
    from darkpool.margin.market.market import Market
    from darkpool.margin.report.portfolio_file import Portfolio


def margin(
    portfolio: Annotated[Path, typer.Argument(metavar="PORTFOLIO.json", show_default=False)],
    market: Annotated[
        Path,
        typer.Option(metavar="FILE", show_default=False, help="Prices: index, forwards, smiles."),
    ],
    contracts: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            show_default=False,
            help=f"Contracts and risk parameters; else {CONTRACTS_NAME} beside the market file.",
        ),
    ] = None,
    add: Annotated[
        list[str] | None,
        typer.Option(
            metavar="CONTRACT=LOTS",
            show_default=False,
            help="What if: so many lots more, at their value; below zero sold. Repeat for more.",
        ),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
    plot: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="Draw profit and loss over price and volatility; the ending of FILE says how, for "
            "instance .png or .svg.",
        ),
    ] = None,
) -> None:
    """Compute the portfolio margin of PORTFOLIO.json, and what it comes from.

    Equity is collateral less what positions cost and plus what they are worth. Below initial margin
    no risk may be added; below maintenance margin positions are closed. docs/margin.md has the
    model and the forms of the files.
    """
    from darkpool.cli.margin_tables import margin_document, print_margin
    from darkpool.cli.tables import exact_json, output
    from darkpool.margin.market.market import read_market
    from darkpool.margin.report.portfolio_file import read_portfolio
    from darkpool.margin.report.report import added_at_value, margin_report

    specification = specification_of(market, contracts)
    prices = read_market(str(market), read_whole(market, MARGIN_FILE_MAX_BYTES), specification)
    text = read_whole(portfolio, MARGIN_FILE_MAX_BYTES)
    held = read_portfolio(str(portfolio), text, specification)
    report = margin_report(specification, prices, held)
    after = None
    if add:
        more = [_addition(text, specification) for text in add]
        held = added_at_value(specification, prices, held, more)
        after = margin_report(specification, prices, held)
    if plot is not None:
        _draw(plot, specification, prices, held)
    if as_json:
        later = {} if after is None else {"after": margin_document(after)}
        typer.echo(exact_json(margin_document(report) | later))
    else:
        print_margin(output(), report, after)


def _addition(text: str, specification: Specification) -> tuple[Contract, int]:
    from darkpool.margin.report.portfolio_file import LOTS_MAX
    from darkpool.units import InstrumentName

    name, _, lots = text.rpartition("=")
    contract = specification.contracts.get(InstrumentName(name))
    if contract is None:
        raise InvalidAddition("CONTRACT=LOTS with a contract of the specification", ascii(text))
    number = whole(lots)
    if abs(number) > LOTS_MAX:
        raise InvalidAddition(f"at most {LOTS_MAX} lots", lots)
    return contract, number


def _draw(path: Path, specification: Specification, market: Market, portfolio: Portfolio) -> None:
    try:
        from darkpool.margin.report.picture import ENDINGS, draw
    except ModuleNotFoundError:
        raise NoPlotting from None
    if path.suffix.lower() not in ENDINGS:
        expected = f"a picture: a file name that ends with one of {', '.join(ENDINGS)}"
        raise UnwritablePicture(path, expected, path.name or "an empty name")
    try:
        draw(path, specification, market, portfolio.contracts, portfolio.holdings.net)
    except (OSError, ValueError) as error:
        got = str(getattr(error, "strerror", None) or error)
        raise UnwritablePicture(path, "a picture that can be written", got) from None
