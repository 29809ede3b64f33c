"""A picture of profit and loss over the price and the volatility of each underlying."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import matplotlib as mpl
import numpy as np
from matplotlib.figure import Figure

from darkpool.limits import PRICE_DECIMALS
from darkpool.margin.market.instruments import Contract, Specification, UnderlyingForm
from darkpool.margin.market.market import Market
from darkpool.margin.model.scenarios import Integers
from darkpool.margin.valuation.black import Floats, black_76

_UNITS: Final = 10**PRICE_DECIMALS
_DOTS_PER_INCH: Final = 150
_DOTS_PER_INCH_OF_TEXT: Final = 60
_TEXT_ENDINGS: Final = (".eps", ".ps")
VECTOR_ENDINGS: Final = (".svg", ".svgz", ".pdf", *_TEXT_ENDINGS)
ENDINGS: Final = (".png", ".jpg", ".jpeg", ".webp", ".tif", ".tiff", *VECTOR_ENDINGS)
"""Endings of the pictures that can be written."""

PRICE_MOVES: Final = np.linspace(-0.4, 0.4, 81)
VOLATILITY_MOVES: Final = np.linspace(-0.5, 1.0, 61)


def profit(
    market: Market, contracts: Sequence[Contract], net: Integers, underlying: UnderlyingForm
) -> Floats:
    """Gain in the currency over `VOLATILITY_MOVES` and `PRICE_MOVES`, at this moment.

    A price moves by a part of itself, or of the underlying's `price_range_min` where that is more.

    Raises:
        NoPrice: the market lacks a price.
    """
    total = np.zeros((VOLATILITY_MOVES.size, PRICE_MOVES.size))
    for contract, lots in zip(contracts, net.tolist(), strict=True):
        if contract.underlying == underlying.name:
            total += lots * contract.multiplier * _gain(market, contract, underlying.least_range)
    return total


def _gain(market: Market, contract: Contract, least_range: int) -> Floats:
    if not contract.kind.is_option:
        scale = max(abs(market.of(contract).forward(contract).price), least_range) / _UNITS
        return np.tile(scale * PRICE_MOVES, (VOLATILITY_MOVES.size, 1))
    option = market.option(contract)
    moved = black_76(
        option.is_call,
        option.forward * (1 + PRICE_MOVES[None, :]),
        option.strike,
        option.volatility * (1 + VOLATILITY_MOVES[:, None]),
        option.expiry_years,
        option.rate,
    )
    return np.asarray(moved.price - option.values().price[0])


def draw(
    path: Path,
    specification: Specification,
    market: Market,
    contracts: Sequence[Contract],
    net: Integers,
) -> None:
    """Write a picture with a panel for each underlying, of the kind of its ending (`ENDINGS`).

    Shades are pixels in vector pictures too: as shapes they would be tens of megabytes.

    Raises:
        ValueError: matplotlib cannot draw it.
        OSError: the file cannot be written.
        NoPrice: the market lacks a price.
    """
    names = list(dict.fromkeys(contract.underlying for contract in contracts))
    with mpl.rc_context({"font.size": 9}):
        figure = Figure(figsize=(6.5, 0.5 + 4 * max(1, len(names))), layout="constrained")
        for panel, name in zip(np.ravel(figure.subplots(len(names) or 1)), names, strict=False):
            gains = profit(market, contracts, net, specification.underlyings[name])
            bound = float(np.abs(gains).max()) or 1.0
            shades = panel.pcolormesh(
                100 * PRICE_MOVES,
                100 * VOLATILITY_MOVES,
                gains,
                cmap="RdBu",
                vmin=-bound,
                vmax=bound,
                shading="gouraud",
                rasterized=True,
            )
            panel.contour(
                100 * PRICE_MOVES, 100 * VOLATILITY_MOVES, gains, levels=[0.0], colors="black"
            )
            panel.set_title(f"{name}: profit and loss")
            least = specification.underlyings[name].least_range > 0
            of_what = " of it, or of price_range_min" if least else ""
            panel.set_xlabel(f"move of the price, percent{of_what}")
            panel.set_ylabel("move of volatility, percent")
            figure.colorbar(shades, ax=panel)
        figure.savefig(path, dpi=_dots_per_inch(path.suffix.lower(), len(names)))


def _dots_per_inch(ending: str, panels: int) -> float:
    """Of a vector picture those of the shades: the more panels, the fewer pixels for each."""
    if ending in VECTOR_ENDINGS:
        least = _DOTS_PER_INCH_OF_TEXT if ending in _TEXT_ENDINGS else _DOTS_PER_INCH
        return least / math.sqrt(max(1, panels))
    return _DOTS_PER_INCH
