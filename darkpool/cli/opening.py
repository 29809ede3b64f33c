"""`darkpool open`: check a client's opening against its sealed intent."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from darkpool.cli.arguments import OPENING_FILE_READ_MAX_BYTES, read_whole, whole


def open_intent(
    record: Annotated[Path, typer.Argument(metavar="DIR", show_default=False)],
    intent: Annotated[int, typer.Argument(parser=whole, metavar="INTENT", show_default=False)],
    opening: Annotated[
        Path,
        typer.Option(metavar="FILE", show_default=False, help="The client's opening file."),
    ],
) -> None:
    """Check a client's opening against its sealed intent in the record in DIR.

    INTENT is its place in the batch, counted from 0, and the number of its opening file. The table
    Orders of `darkpool auction`, and orders of its --json, have it for each row of the order file.
    The opening is encrypted again, and has to give the very bytes of the ciphertext in the record.
    Whether the record itself holds, `darkpool audit` finds out.
    """
    from darkpool.cli.tables import output, print_lines, progress
    from darkpool.client.disclosure import disclose

    text = read_whole(opening, OPENING_FILE_READ_MAX_BYTES)
    with progress() as shown:
        shown("read", 0, 0)
        disclosed = disclose(record, intent, text)
    print_lines(output(), disclosed.lines())
