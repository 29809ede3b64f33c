"""What stands for a record in the auditor's hands."""

from types import SimpleNamespace


class Stated(SimpleNamespace):
    """Some parts of a record; two are never the same, as records are not."""

    __hash__ = object.__hash__  # type: ignore[assignment]
