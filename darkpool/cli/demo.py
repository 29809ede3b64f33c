"""`darkpool demo`: tell one auction of generated orders."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from darkpool.cli.arguments import whole


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
    from darkpool.cli.story import run_demo
    from darkpool.cli.tables import output

    if not run_demo(output(), record, seed):
        raise typer.Exit(1)
