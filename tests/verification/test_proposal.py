"""A keyper signs what it computed itself: whatever it is shown, it finds what differs."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from eth_hash.auto import keccak

from darkpool.record.core import HeldRecord
from darkpool.record.forms import AuctionSummary, CommitmentRecord, SettlementRecord
from darkpool.record.reader import Record
from darkpool.verification.errors import Unanswered
from darkpool.verification.evidence import ChainEvidence
from darkpool.verification.proposal import CheckedSettlement, check_proposal
from tests.support.series import Series


def shown(series: Series, number: int = 1) -> HeldRecord:
    """What keypers are shown of a record of the series: nobody has signed batch or settlement."""
    record = Record.load(series.directories[number])
    evidence = replace(
        record.evidence,
        commitment=CommitmentRecord({}, bytes(32)),
        settlement=replace(record.evidence.settlement, signatures={}, transaction=None),
    )
    return HeldRecord(
        record.summary,
        evidence,
        record.material(),
        record.margin,
        record.intents,
        record.cancellations,
        tuple(record.opening(index) for index in range(len(record.openings))),
    )


def checked_of(record: HeldRecord, series: Series, number: int = 1) -> CheckedSettlement:
    """What a keyper finds in a record in the place of one of the series."""
    before = Record.load(series.directories[number - 1]).margin if number else None
    return check_proposal(record, series.reader(), (), before)


def lines(checked: CheckedSettlement) -> set[str]:
    return {difference.check for difference in checked.differences}


@pytest.mark.parametrize("number", [0, 1, 2])
def test_it_computes_what_was_settled(number: int, series: Series) -> None:
    chain = series.reader()
    settled = chain.evidence(number + 1, (0, 0)).settlement
    assert settled is not None
    checked = checked_of(shown(series, number), series, number)
    assert not checked.differences
    assert checked.message == settled.message
    assert keccak(checked.leaves) == settled.message.leaf_hash


def test_what_is_stated_of_the_settlement_is_not_believed(series: Series) -> None:
    honest = shown(series)
    expected = checked_of(honest, series).message
    for name in SettlementRecord.__dataclass_fields__:
        if name in ("signatures", "transaction", "leaf_blobs"):
            continue
        value = getattr(honest.evidence.settlement, name)
        other: Any = () if isinstance(value, tuple) else bytes(32)
        settlement = replace(honest.evidence.settlement, **{name: other})
        evidence = replace(honest.evidence, settlement=settlement)
        checked = checked_of(replace(honest, evidence=evidence), series)
        assert lines(checked) == {"settlement"}
        assert checked.message == expected


def test_blobs_are_named_where_the_proposal_names_some(series: Series) -> None:
    honest = shown(series)
    settlement = replace(honest.evidence.settlement, leaf_blobs=(bytes(32),))
    evidence = replace(honest.evidence, settlement=settlement)
    checked = checked_of(replace(honest, evidence=evidence), series)
    assert lines(checked) == {"settlement"}
    assert [blob[:1] for blob in checked.message.leaf_blobs] == [b"\1"]


def richer(summary: AuctionSummary) -> dict[str, Any]:
    first, *rest = summary.after
    return {"after": (replace(first, cash=first.cash + 1), *rest)}


def richer_before(summary: AuctionSummary) -> dict[str, Any]:
    first, *rest = summary.before
    return {"before": (replace(first, cash=first.cash + 1), *rest)}


def no_request(summary: AuctionSummary) -> dict[str, Any]:
    first, *rest = summary.flows
    return {"flows": (replace(first, amount=0), *rest)}


def another_fill(summary: AuctionSummary) -> dict[str, Any]:
    first, *rest = summary.fills
    return {"fills": (replace(first, size=first.size + 1), *rest)}


def later_block(summary: AuctionSummary) -> dict[str, Any]:
    return {"batch": replace(summary.batch, block=summary.batch.block + 1)}


@pytest.mark.parametrize(
    ("change", "found"),
    [
        (richer, {"collateral"}),
        (richer_before, {"collateral", "continuity"}),
        (no_request, {"collateral", "chain"}),
        (another_fill, {"fills", "collateral"}),
        (later_block, {"batch root", "chain"}),
    ],
)
def test_a_changed_core_is_found(
    change: Callable[[AuctionSummary], dict[str, Any]], found: set[str], series: Series
) -> None:
    honest = shown(series)
    summary = replace(honest.summary, **change(honest.summary))
    checked = checked_of(replace(honest, summary=summary), series)
    assert lines(checked) == found | {"settlement"}


@pytest.mark.parametrize(
    "changes",
    [{"ticks": 1 << 19}, {"beacon_shares": ()}, {"pricing": "free"}, {"interval": -1}],
)
def test_what_no_record_can_say_is_not_signed(changes: dict[str, Any], series: Series) -> None:
    honest = shown(series)
    summary = replace(honest.summary, **changes)
    assert "form" in lines(checked_of(replace(honest, summary=summary), series))


def test_another_key_is_another_settlement(series: Series) -> None:
    honest = shown(series)
    material = replace(honest.held_material, envelope_keys=(bytes(32),) * 4)
    checked = checked_of(replace(honest, held_material=material), series)
    assert {"certificates", "batch root", "transcript", "settlement"} <= lines(checked)


class Silent:
    """A chain whose node does not answer."""

    def chain_id(self) -> int:
        raise Unanswered("chain", "an answer", "none")

    def evidence(self, interval: int, blocks: tuple[int, int]) -> ChainEvidence:
        raise AssertionError((interval, blocks))


def test_a_chain_that_does_not_answer_is_told(series: Series) -> None:
    with pytest.raises(Unanswered):
        check_proposal(shown(series), Silent())


class Elsewhere(Silent):
    """Another chain."""

    def chain_id(self) -> int:
        return 7


def test_another_chain_proves_nothing(series: Series) -> None:
    checked = check_proposal(shown(series), Elsewhere())
    assert {"chain", "continuity"} <= lines(checked)
