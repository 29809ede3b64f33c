"""A node that fails at the last transaction: what was opened is not lost with it."""

import tempfile
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from web3 import Web3

from darkpool.auction.listing import OutrightListing
from darkpool.auction.terms import VenueTerms
from darkpool.canonical_json import from_json
from darkpool.chain import node
from darkpool.chain.client import Chain
from darkpool.chain.reader import RecordedVenue
from darkpool.chain.reading import ReadableChain
from darkpool.protocol.terms import Pricing
from darkpool.record.reader import Record
from darkpool.simulation.errors import NotSettled
from darkpool.simulation.order_file import parse_orders
from darkpool.simulation.unsent import UnsentSettlement
from darkpool.simulation.venue import Places
from darkpool.units import InstrumentName, PriceGrid
from darkpool.verification.audit import audit
from tests.support.one_process import run_here
from tests.support.served_chain import Reply, ServedChain, result, served

GRID = PriceGrid(Decimal("0.25"), Decimal(4805), 16)
TERMS = VenueTerms(OutrightListing(GRID, 100_000, 50), Pricing.UNIFORM, 4)
ORDERS = b"account,side,size,limit\nann,buy,5,4806\nbob,sell,3,4804.5\ncid,sell,7,4805\n"
SETTLEMENT = 8  # after three deployments, mint, approve, deposits and commitment
GAS = "0x989680"


def test_a_settlement_that_no_block_takes_is_kept_and_settles_later(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(node, "PATIENCE_S", 0)
    embedded = Chain.embedded()
    serving = ServedChain(embedded._web3)

    def trouble(method: str, _params: list[Any]) -> Reply | None:
        if method == "eth_estimateGas":
            return result(GAS)
        last = method == "eth_sendTransaction" and serving.asked[method] >= SETTLEMENT
        return Reply(b"", 503) if last else None

    serving.trouble = trouble
    orders = parse_orders(ORDERS, "orders", GRID, InstrumentName("ES"))
    places = Places(tmp_path / "record", tmp_path / "openings")
    with served(serving) as url:
        with pytest.raises(NotSettled, match="HTTP status 503") as stopped:
            run_here(orders, TERMS, lambda: Chain.connect(url), places)
        assert str(stopped.value.settlement) in str(stopped.value)
        assert (tmp_path / "openings" / "0.json").is_file()
        summary = Record.load(tmp_path / "record").summary
        assert summary.settlement.transaction is None

        def audited() -> list[str]:
            venue = RecordedVenue(ReadableChain.at(url), summary.venue)
            report = audit(tmp_path / "record", venue, quick=True)
            return [check.detail for check in report.checks if not check.ok]

        (found,) = audited()
        assert "settlement: expected a settled batch, got none on the chain" in found

        # the holder of the file can settle
        kept = from_json(stopped.value.settlement.read_bytes(), UnsentSettlement, "settlement")
        assert kept.chain_id == summary.venue.chain_id
        embedded._web3.eth.send_transaction(
            {
                "from": list(embedded._web3.eth.accounts)[3],
                "to": Web3.to_checksum_address(kept.contract),
                "data": kept.data,
                "gas": int(GAS, 16),
            }
        )
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
