"""`darkpool settle`: send a settlement that was kept because no block took it."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Final

import typer

from crypto.errors import hexadecimal
from darkpool.cli.arguments import chain_key, read_whole, require_url
from darkpool.cli.errors import CHAIN_KEY_VARIABLE

SETTLEMENT_FILE_MAX_BYTES: Final = 1 << 19
"""Leaves that fill a transaction of 128 KiB, and the call, both in hexadecimal digits."""


def settle(
    settlement: Annotated[Path, typer.Argument(metavar="FILE.json", show_default=False)],
    chain: Annotated[
        str,
        typer.Option(
            metavar="URL",
            show_default=False,
            help="The node of the contract's chain; the transaction is signed with the key in "
            f"{CHAIN_KEY_VARIABLE} (64 hexadecimal digits), or by the node.",
        ),
    ],
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Send the settlement in FILE.json, which `darkpool auction` kept because no block took it.

    Any account may send it, within an hour of the commitment of its batch. The leaves of the file
    are published first, unless they are on the chain, and only if a quorum of the committee signed
    for them. What is sent then is a call of `settle` at a settlement contract, or nothing: the
    file, the chain and the code of the contract are checked before. Where the contract has settled
    the same already, whichever account sent it, nothing is sent and the exit code is 0.
    """
    from darkpool.chain.client import Chain
    from darkpool.cli.tables import exact_json, output, print_lines
    from darkpool.simulation.unsent import read_unsent

    require_url(chain)
    signing_key = chain_key()
    text = read_whole(settlement, SETTLEMENT_FILE_MAX_BYTES)
    kept = read_unsent(str(settlement), text.encode())
    sent = Chain.connect(chain, signing_key).settle_kept(kept)
    told: dict[str, object] = {
        "interval": kept.interval,
        "settlement_contract": kept.call.contract,
        "balances_root": hexadecimal(kept.balances_root),
        "settled": "already" if sent is None else "now",
        "settlement_tx": None if sent is None else hexadecimal(sent.hash),
        "block": None if sent is None else sent.block,
    }
    if as_json:
        typer.echo(exact_json(told))
        return
    known = {name: str(value) for name, value in told.items() if value is not None}
    print_lines(output(), {name.replace("_", " "): value for name, value in known.items()})
