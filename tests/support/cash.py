"""What accounts own, as the record of a venue's first interval tells it."""

from darkpool.protocol.flows import FlowKind
from darkpool.record.forms import AuctionSummary


def counted_deposits(summary: AuctionSummary) -> dict[bytes, int]:
    """Deposits that the interval counts, by the 20 bytes of their accounts; cash units."""
    returned = {flow.number for flow in summary.flows if flow.kind == FlowKind.RETURN}
    counted: dict[bytes, int] = {}
    for flow in summary.flows:
        if flow.kind == FlowKind.DEPOSIT and flow.index not in returned:
            counted[flow.account] = counted.get(flow.account, 0) + flow.amount
    return counted


def cash_after(summary: AuctionSummary) -> dict[bytes, int]:
    """Cash as the interval settled it, in cash units; who owns and owes nothing is not in it."""
    return {state.account: state.cash for state in summary.after}
