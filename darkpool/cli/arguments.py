"""What the command line reads: numbers, files, and what the environment says of a chain."""

from __future__ import annotations

import os
import re
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

import typer

from darkpool.cli.errors import (
    CHAIN_KEY_VARIABLE,
    FileExists,
    InvalidAddress,
    InvalidChainKey,
    InvalidChainUrl,
    InvalidInstruments,
    InvalidListing,
    UnreadableFile,
)
from darkpool.errors import shortened
from darkpool.limits import DECIMAL_DIGITS_MAX, MARGIN_RATE_ONE_PPM

if TYPE_CHECKING:
    from collections.abc import Mapping

    from darkpool.auction.listing import ContractListing, OutrightListing
    from darkpool.margin.market.instruments import Specification
    from darkpool.units import AccountId, InstrumentName, PriceGrid

OPENING_FILE_READ_MAX_BYTES: Final = 1 << 16
PRICINGS: Final = ("uniform", "reference")
CONTRACTS_NAME: Final = "contracts.toml"
MARGIN_FILE_MAX_BYTES: Final = 16 << 20

_DECIMAL: Final = re.compile(r"-?[0-9]+(\.[0-9]+)?")
_WHOLE: Final = re.compile(r"-?[0-9]+")
_RATE: Final = re.compile(r"([0-9]+)(?:\.([0-9]+))?(%)?")
_KEY: Final = re.compile(r"(0x)?([0-9a-fA-F]{64})")


def _require_short(text: str) -> None:
    if len(text) > DECIMAL_DIGITS_MAX:
        shown = shortened(ascii(text))
        raise typer.BadParameter(f"expected at most {DECIMAL_DIGITS_MAX} characters, got {shown}")


def decimal(text: str) -> Decimal:
    """A decimal number.

    Raises:
        BadParameter: anything but digits with at most one point.
    """
    _require_short(text)
    if not _DECIMAL.fullmatch(text):
        raise typer.BadParameter(
            f"expected a number in digits with at most one point, got {text!a}"
        )
    return Decimal(text)


def whole(value: str | int) -> int:
    """A whole number.

    Raises:
        BadParameter: anything but digits.
    """
    text = str(value)  # a default comes as the number that it is
    _require_short(text)
    if not _WHOLE.fullmatch(text):
        raise typer.BadParameter(f"expected a whole number, got {text!a}")
    return int(text)


def rate(value: str | int) -> int:
    """A part of a whole in parts per million: `10%` or `0.1`, exactly.

    Raises:
        BadParameter: no such part, more than the whole, or none of whole parts per million.
    """
    text = str(value)
    _require_short(text)
    match = _RATE.fullmatch(text)
    if match is not None:
        before, after, percent = map(str, match.groups(default=""))
        scale = 10 ** (len(after) + 2 * len(percent))
        part = int(before + after) * MARGIN_RATE_ONE_PPM
        ppm: int = part // scale
        if ppm * scale == part and ppm <= MARGIN_RATE_ONE_PPM:
            return ppm
    expected = "a percentage from 0% to 100% with at most four decimals, or such a fraction as 0.1"
    raise typer.BadParameter(f"expected {expected}, got {text!a}")


def one_pricing(text: str) -> str:
    """A way of finding the price.

    Raises:
        BadParameter: none of the two.
    """
    if text not in PRICINGS:
        raise typer.BadParameter(f"expected {' or '.join(PRICINGS)}, got {text!a}")
    return text


def read_octets(path: Path, bytes_max: int) -> bytes:
    """The bytes of a file.

    Raises:
        UnreadableFile: it cannot be read, or is longer than `bytes_max`.
    """
    try:
        with path.open("rb") as file:
            data = file.read(bytes_max + 1)
    except OSError as error:
        raise UnreadableFile(path, str(error.strerror)) from None
    if len(data) > bytes_max:
        raise UnreadableFile(path, f"more than {bytes_max} bytes", f"at most {bytes_max} bytes")
    return data


def read_whole(path: Path, bytes_max: int) -> str:
    """A text file in UTF-8.

    Raises:
        UnreadableFile: it cannot be read, is longer than `bytes_max`, or is not UTF-8 without a
            byte order mark.
    """
    from darkpool.simulation.text import NotText, text_of

    try:
        with path.open("rb") as file:
            data = file.read(bytes_max + 1)
    except OSError as error:
        raise UnreadableFile(path, str(error.strerror)) from None
    try:
        return text_of(data, bytes_max)
    except NotText as error:
        raise UnreadableFile(path, error.got, error.expected) from None


def specification_of(market: Path, contracts: Path | None) -> Specification:
    """The specification of a market: beside it, if nobody says otherwise.

    Raises:
        UnreadableFile, InvalidFile: it cannot be used.
    """
    from darkpool.margin.market.instruments import read_specification

    source = contracts or market.parent / CONTRACTS_NAME
    return read_specification(str(source), read_whole(source, MARGIN_FILE_MAX_BYTES))


def listing_of(
    tick: Decimal | None,
    reference: Decimal | None,
    ticks: int,
    margin_rate_ppm: int | None,
    multiplier: int | None,
    margin_range: Decimal | None,
    contracts: Path | None,
    market: Path | None,
) -> OutrightListing | ContractListing:
    """What is traded: contracts of a specification, or outright instruments at one price.

    Raises:
        InvalidListing: neither of the two, or both.
        BadInput: files that cannot be used, or no such grid.
    """
    from darkpool.auction.listing import MARGIN_RATE_DEFAULT_PPM, ContractListing, OutrightListing
    from darkpool.units import PriceGrid

    outright = {"--tick": tick, "--reference": reference, "--margin-rate": margin_rate_ppm}
    outright |= {"--multiplier": multiplier, "--margin-range": margin_range}
    given = outright | {"--contracts": contracts, "--market": market}
    named = [name for name, value in given.items() if value is not None]
    if tick is not None and reference is not None and set(named) <= set(outright):
        rate_ppm = MARGIN_RATE_DEFAULT_PPM if margin_rate_ppm is None else margin_rate_ppm
        grid = PriceGrid(tick, reference, ticks)
        units = 1 if multiplier is None else multiplier
        return OutrightListing(grid, rate_ppm, units, margin_range)
    if market is None or set(named) & set(outright):
        raise InvalidListing(" and ".join(named) or "nothing")

    from darkpool.margin.market.market import Market, read_market_form, require_prices
    from darkpool.margin.market.quotes import numbers_of

    specification = specification_of(market, contracts)
    form = read_market_form(str(market), read_whole(market, MARGIN_FILE_MAX_BYTES))
    require_prices(str(market), form, specification)
    Market.from_form(str(market), form)
    numbers_of(str(market), form)  # reporters sign each
    return ContractListing(specification, form, ticks)


def grids_of(
    listing: OutrightListing | ContractListing, instruments: str | None
) -> PriceGrid | Mapping[InstrumentName, PriceGrid]:
    """The grids of what may be traded: one for every name, or one for each name of a list.

    Raises:
        InvalidInstruments: an empty list, a name twice, or one that is no contract of the market.
        BadInput: see `ContractListing.grids`.
    """
    from darkpool.auction.listing import OutrightListing
    from darkpool.units import InstrumentName

    grids = listing.grid if isinstance(listing, OutrightListing) else listing.grids
    if instruments is None:
        return grids
    names = [InstrumentName(name.strip()) for name in instruments.split(",")]
    if not all(names) or len(set(names)) < len(names):
        raise InvalidInstruments("names with commas between them, each once", ascii(instruments))
    if isinstance(listing, OutrightListing):
        return dict.fromkeys(names, listing.grid)
    for name in names:
        if name not in listing.grids:
            known = ", ".join(sorted(listing.grids))
            raise InvalidInstruments(f"names of {known}", ascii(name))
    return {name: listing.grids[name] for name in names}


def address(option: str, text: str) -> AccountId:
    """The address that an option names.

    Raises:
        InvalidAddress: it is none.
    """
    from darkpool.errors import InvalidAccount
    from darkpool.units import account_id

    try:
        return account_id(text.strip())
    except InvalidAccount as error:
        raise InvalidAddress(option, str(error.expected), str(error.got)) from error


def require_new(option: str, path: Path) -> None:
    """Check that a file can be made where an option names one.

    Raises:
        FileExists: there is one already, or no folder for it.
    """
    try:
        taken = path.exists() or path.is_symlink()
        folder = path.absolute().parent.is_dir()
    except (OSError, ValueError) as error:
        raise FileExists(option, path, getattr(error, "strerror", None) or str(error)) from None
    if taken or not folder:
        raise FileExists(option, path, "a file of this name" if taken else "no such folder")


def write_new(option: str, path: Path, data: bytes) -> None:
    """Write a file that was not there.

    Raises:
        FileExists: it is there by now, or cannot be written.
    """
    from darkpool.durable import sync_folder

    try:
        with path.open("xb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        sync_folder(path.absolute().parent)
    except OSError as error:
        raise FileExists(option, path, str(error.strerror)) from None


def require_url(url: str | None) -> None:
    """Check the address of a node, if one was given.

    Raises:
        InvalidChainUrl: it is none.
    """
    if url is None:
        return
    try:
        parts = urlsplit(url)
        usable = parts.scheme in ("http", "https") and parts.hostname and parts.port != 0
    except ValueError:  # half a bracket, or a port that is no number
        usable = False
    if not usable:
        raise InvalidChainUrl(f"a text of {len(url)} characters without them")


def chain_key() -> bytes | None:
    """Private key that transactions are signed with, if the environment has one.

    Raises:
        InvalidChainKey: it is none.
    """
    text = os.environ.get(CHAIN_KEY_VARIABLE)
    if text is None:
        return None
    match = _KEY.fullmatch(text)
    if match is None:
        raise InvalidChainKey(f"a text of {len(text)} characters")
    from crypto.signing.ecdsa import SECP256K1_ORDER

    key = bytes.fromhex(match[2])
    if not 0 < int.from_bytes(key) < SECP256K1_ORDER:
        raise InvalidChainKey("a number that is no private key of secp256k1")
    return key
