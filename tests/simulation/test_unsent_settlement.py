"""A node that fails at the last transaction: what was opened is not lost with it."""

import tempfile
from decimal import Decimal
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from darkpool.auction.listing import OutrightListing
from darkpool.auction.outcome import Settlement
from darkpool.auction.terms import VenueTerms
from darkpool.canonical_json import from_json
from darkpool.chain import node
from darkpool.chain.client import Chain
from darkpool.chain.errors import ChainUnavailable
from darkpool.chain.evidence import ContractCall
from darkpool.chain.reader import RecordedVenue
from darkpool.chain.reading import ReadableChain
from darkpool.protocol.terms import Pricing
from darkpool.record.reader import Record
from darkpool.simulation.errors import NotSettled
from darkpool.simulation.order_file import parse_orders
from darkpool.simulation.unsent import UnsentSettlement, read_unsent, require_settled
from darkpool.simulation.venue import Places
from darkpool.units import InstrumentName, Interval, PriceGrid, account_of
from darkpool.verification.audit import audit
from tests.support.one_process import run_here
from tests.support.served_chain import Reply, ServedChain, refusal, result, served

GRID = PriceGrid(Decimal("0.25"), Decimal(4805), 16)
TERMS = VenueTerms(OutrightListing(GRID, 100_000, 50), Pricing.UNIFORM)
ORDERS = b"account,side,size,limit\nann,buy,5,4806\nbob,sell,3,4804.5\ncid,sell,7,4805\n"
PUBLICATION = 8  # after three deployments, mint, approve, deposits and commitment
SETTLEMENT = 9
GAS = "0x989680"


BUSY = ("eth_sendTransaction", Reply(b"", 503), "HTTP status 503")
TROUBLES = {
    "busy before its leaves are published": (PUBLICATION, *BUSY),
    "busy": (SETTLEMENT, *BUSY),
    # it has not come to the commitment yet
    "behind": (
        *(SETTLEMENT, "eth_estimateGas", refusal(3, "execution reverted: not the open batch")),
        "a revert",
    ),
}


@pytest.mark.parametrize("trouble", TROUBLES)
def test_a_settlement_that_no_block_takes_is_kept_and_settles_later(
    trouble: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(node, "PATIENCE_S", 0)
    last, at, reply, told = TROUBLES[trouble]
    embedded = Chain.embedded()
    serving = ServedChain(embedded._web3)

    def made(method: str, _params: list[Any]) -> Reply | None:
        if method == at and serving.asked[method] >= last:
            return reply
        return result(GAS) if method == "eth_estimateGas" else None

    serving.trouble = made
    orders = parse_orders(ORDERS, "orders", GRID, InstrumentName("ES"))
    places = Places(tmp_path / "record", tmp_path / "openings")
    with served(serving) as url:
        with pytest.raises(NotSettled, match=told) as stopped:
            run_here(orders, TERMS, lambda: Chain.connect(url), places)
        assert str(stopped.value.settlement) in str(stopped.value)
        assert (tmp_path / "openings" / "0.json").is_file()
        record = Record.load(tmp_path / "record")
        summary = record.summary
        assert record.evidence.settlement.transaction is None

        def audited() -> list[str]:
            venue = RecordedVenue(ReadableChain.at(url), summary.venue)
            report = audit(tmp_path / "record", venue, quick=True)
            return [check.detail for check in report.checks if not check.ok]

        (found,) = audited()
        assert "settlement: expected a settled batch, got none on the chain" in found

        # the holder of the file can settle
        serving.begin_anew()
        kept = read_unsent("settlement", stopped.value.settlement.read_bytes())
        assert kept.call.chain_id == summary.venue.chain_id
        assert embedded.settle_kept(kept) is not None
        assert audited() == []


@pytest.mark.parametrize("gone", [False, True])
def test_without_a_record_the_settlement_is_kept_in_the_working_folder_or_a_temporary_one(
    gone: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(node, "PATIENCE_S", 0)
    temporary, working = tmp_path / "temporary", tmp_path / "working"
    temporary.mkdir()
    working.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(temporary))
    monkeypatch.chdir(working)
    if gone:
        working.rmdir()
    serving = ServedChain(Chain.embedded()._web3)

    def trouble(method: str, _params: list[Any]) -> Reply | None:
        if method == "eth_estimateGas":
            return result(GAS)
        last = method == "eth_sendTransaction" and serving.asked[method] >= SETTLEMENT
        return Reply(b"", 503) if last else None

    serving.trouble = trouble
    orders = parse_orders(ORDERS, "orders", GRID, InstrumentName("ES"))
    with served(serving) as url, pytest.raises(NotSettled) as stopped:
        run_here(orders, TERMS, lambda: Chain.connect(url))
    assert [*(temporary if gone else working).iterdir()] == [stopped.value.settlement]
    from_json(stopped.value.settlement.read_bytes(), UnsentSettlement, "settlement")


def test_one_settlement_is_not_written_over_another(tmp_path: Path) -> None:
    call = ContractCall(1, account_of(bytes(20)), b"\1")
    unsent = SimpleNamespace(transaction=ChainUnavailable("node", "silence"), call=call, leaves=b"")
    for number in (1, 2):
        with pytest.raises(NotSettled):
            require_settled(Interval(number), cast("Settlement", unsent), tmp_path / "record")
    kept = [
        from_json(path.read_bytes(), UnsentSettlement, "settlement")
        for path in tmp_path.glob("record.settlement-*.json")
    ]
    assert sorted(one.interval for one in kept) == [1, 2]
