"""`darkpool chain`: deploy a venue's contracts, look where they stand, and check them."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Final

import typer

from darkpool.cli.arguments import (
    address,
    chain_key,
    read_octets,
    read_whole,
    require_new,
    require_url,
    write_new,
)
from darkpool.cli.errors import CHAIN_KEY_VARIABLE

DEPLOYMENT_FILE_MAX_BYTES: Final = 1 << 16
MANIFEST_MAX_BYTES: Final = 1 << 16

chain = typer.Typer(
    no_args_is_help=True,
    rich_markup_mode=None,
    help="Deploy the contracts of a venue, look where it stands, and check them.",
)

Node = Annotated[
    str, typer.Option("--chain", metavar="URL", show_default=False, help="A node of the chain.")
]
AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON object.")]


@chain.command()
def deploy(
    terms: Annotated[Path, typer.Argument(metavar="TERMS.json", show_default=False)],
    node: Annotated[
        str,
        typer.Option(
            "--chain",
            metavar="URL",
            show_default=False,
            help="The node to send to; transactions are signed with the key in "
            f"{CHAIN_KEY_VARIABLE} (64 hexadecimal digits), or by the node.",
        ),
    ],
    manifest: Annotated[
        Path,
        typer.Option(metavar="FILE", show_default=False, help="The manifest, a new file."),
    ],
    as_json: AsJson = False,
) -> None:
    """Deploy the contracts of the terms in TERMS.json, and write their manifest.

    The addresses follow from the terms alone, on every chain. What stands there already is left as
    it is, so a command that was interrupted can be given again. docs/contracts.md has the form of
    the file.
    """
    from darkpool.canonical_json import to_json
    from darkpool.chain.client import Chain
    from darkpool.chain.deploying import deploy_venue
    from darkpool.chain.manifest import manifest_of
    from darkpool.cli.chain_tables import manifest_lines
    from darkpool.cli.deployment_file import read_deployment
    from darkpool.cli.tables import exact_json, output, print_lines, progress

    require_url(node)
    require_new("--manifest", manifest)
    fixed = read_deployment(str(terms), read_whole(terms, DEPLOYMENT_FILE_MAX_BYTES))
    with progress() as shown:
        shown("Deploy the contracts", 0, 0)
        connected = Chain.connect(node, chain_key())
        deployed = deploy_venue(connected, fixed)
        made = manifest_of(connected, fixed, deployed)
    write_new("--manifest", manifest, to_json(made))
    told = manifest_lines(made) | {"manifest": str(manifest)}
    if as_json:
        typer.echo(exact_json(told))
    else:
        print_lines(output(), {name.replace("_", " "): str(told[name]) for name in told})


@chain.command()
def verify(
    manifest: Annotated[Path, typer.Argument(metavar="MANIFEST.json", show_default=False)],
    node: Node,
    as_json: AsJson = False,
) -> None:
    """Compare the manifest in MANIFEST.json with its terms, with this package, and with a chain.

    It needs no key and no account. Exit code 0 only when everything is equal.
    """
    from darkpool.chain.manifest import compare, read_manifest
    from darkpool.chain.reading import ReadableChain
    from darkpool.cli.chain_tables import checks_document, print_checks
    from darkpool.cli.tables import exact_json, output

    require_url(node)
    found = read_manifest(str(manifest), read_octets(manifest, MANIFEST_MAX_BYTES))
    checks = compare(ReadableChain.at(node), found)
    if as_json:
        typer.echo(exact_json(checks_document(checks)))
    else:
        print_checks(output(), checks)
    if not all(check.ok for check in checks):
        raise typer.Exit(1)


@chain.command()
def status(
    node: Node,
    settlement: Annotated[
        str,
        typer.Option(
            metavar="ADDRESS", show_default=False, help="The venue's settlement contract."
        ),
    ],
    as_json: AsJson = False,
) -> None:
    """Tell where a venue stands: interval, clocks, committee, and what its vaults hold and owe.

    It needs no key and no account.
    """
    from darkpool.chain.reading import ReadableChain
    from darkpool.chain.status import venue_status
    from darkpool.cli.chain_tables import print_status, status_document
    from darkpool.cli.tables import exact_json, output

    require_url(node)
    place = address("--settlement", settlement)
    reader = ReadableChain.at(node)
    reader.attach_at(place)
    found = venue_status(reader)
    if as_json:
        typer.echo(exact_json(status_document(found)))
    else:
        print_status(output(), found)
