"""Tables that cut nothing, however narrow the terminal: names fold, numbers and hashes stay whole.

Where the columns do not fit beside each other, each row is told line by line.
"""

from __future__ import annotations

from collections.abc import Sequence
from enum import Enum
from typing import Final

from rich.cells import cell_len
from rich.console import Console, ConsoleOptions, JustifyMethod, RenderResult
from rich.table import Table
from rich.text import Text

FOLDS_FROM_CHARACTERS: Final = 12
"""A column of names or text is at least as wide as this, or as its longest word."""
_BESIDE_CELL_CHARACTERS: Final = 3
"""A border and the space on either side of a cell."""


class Column(Enum):
    """What a column holds: `NAME` folds where it is too long, the others are never broken."""

    NAME = "name"
    WORD = "word"
    NUMBER = "number"


class Sheet:
    """A table for people; `columns` by heading. Cells are plain text, and never a style."""

    def __init__(self, title: str, columns: dict[str, Column], caption: str | None = None) -> None:
        self.title, self.caption = title, caption
        self.columns = columns
        self.rows: list[Sequence[str]] = []

    def add(self, *cells: str) -> None:
        """Add a row with a cell for every column."""
        self.rows.append(cells)

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        """A table where there is room for one, else lines."""
        if self.characters_min() <= options.max_width:
            yield self._table()
        else:
            yield from self._lines()

    def characters_min(self) -> int:
        """The least width at which nothing but names and text is broken."""
        widths = map(self._column_min, range(len(self.columns)))
        return sum(width + _BESIDE_CELL_CHARACTERS for width in widths) + 1

    def _column_min(self, number: int) -> int:
        heading, kind = list(self.columns.items())[number]
        cells = max((cell_len(row[number]) for row in self.rows), default=0)
        if kind is Column.NAME:
            return max(min(cells, FOLDS_FROM_CHARACTERS), *map(cell_len, heading.split()), 1)
        return max(cells, cell_len(heading))

    def _table(self) -> Table:
        table = Table(title=self.title or None, caption=self.caption)
        table.title_justify = table.caption_justify = "left"
        for heading, kind in self.columns.items():
            justify: JustifyMethod = "right" if kind is Column.NUMBER else "left"
            whole = kind is not Column.NAME
            table.add_column(Text(heading), justify=justify, no_wrap=whole, overflow="fold")
        for row in self.rows:
            table.add_row(*(Text(cell) for cell in row))
        return table

    def _lines(self) -> RenderResult:
        width = max(map(cell_len, self.columns))
        if self.title:
            yield Text(self.title, style="italic")
        for row in self.rows:
            for heading, cell in zip(self.columns, row, strict=True):
                if cell:
                    yield Text(f"{heading:<{width}}  {cell}")
            yield Text()
        if self.caption is not None:
            yield Text(self.caption)


def show(console: Console, sheet: Sheet) -> None:
    """Print a table; a line that stands for a cell is never broken."""
    console.print(sheet, soft_wrap=True)
