"""What can end an interval before it has settled."""

from __future__ import annotations

from darkpool.errors import CheckFailed


class OtherBatchCommitted(CheckFailed):
    """The chain has another batch of the interval than the one that was closed."""

    code = "other-batch-committed"

    def __init__(self, interval: int, expected: str, got: str) -> None:
        super().__init__(f"batch of interval {interval} on the chain", expected, got)


class FlowsDiffer(CheckFailed):
    """The chain's flows are not those that its commitment of the batch counts."""

    code = "flows-differ"

    def __init__(self, interval: int, expected: str, got: str) -> None:
        super().__init__(f"hash of the flows that interval {interval} counts", expected, got)
