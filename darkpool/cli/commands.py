"""The commands. They only translate: arguments in, results out."""

from __future__ import annotations

from typing import Annotated

import typer

from darkpool.cli.auction import auction
from darkpool.cli.audit import audit
from darkpool.cli.chain import chain
from darkpool.cli.demo import demo
from darkpool.cli.exit import leave_venue
from darkpool.cli.margin import margin
from darkpool.cli.opening import open_intent
from darkpool.cli.settle import settle

app = typer.Typer(
    add_completion=False,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)


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


app.command()(auction)
app.command()(demo)
app.command()(audit)
app.command()(margin)
app.command()(settle)
app.command(name="open")(open_intent)
app.command(name="exit")(leave_venue)
app.add_typer(chain, name="chain")
