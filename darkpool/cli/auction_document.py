"""What `darkpool auction --json` prints."""

from __future__ import annotations

from pathlib import Path

from crypto.errors import hexadecimal
from darkpool.simulation.clients import opening_name
from darkpool.simulation.result import RowIntent, VenueResult
from darkpool.units import PriceUnits, price_decimal


def auction_document(result: VenueResult) -> dict[str, object]:
    """What `darkpool auction --json` prints.

    `price`, `volume` and `short_side` are those of the only instrument; where the file has several,
    they are null and `instruments` has them all.
    """
    instruments = [
        {
            "instrument": instrument.instrument,
            "outcome": instrument.crossing.value,
            "price": instrument.price,
            "volume": instrument.volume,
            "short_side": None if instrument.short_side is None else instrument.short_side.label,
            "exhausted": instrument.exhausted,
        }
        for instrument in result.instruments
    ]
    addresses = {order.account: order.address for order in result.orders}
    only = instruments[0] if len(instruments) == 1 else {}
    settlement = result.outcome.settlement
    return {
        "price": only.get("price"),
        "volume": only.get("volume"),
        "short_side": only.get("short_side"),
        "fills": [
            {
                "row": fill.row,
                "account": fill.account,
                "address": addresses[fill.account],
                "instrument": fill.instrument,
                "side": fill.side.label,
                "size": fill.size,
                "price": fill.price,
            }
            for fill in result.fills
        ],
        "margins": [
            {
                "account": margin.account,
                "address": addresses[margin.account],
                "before": price_decimal(PriceUnits(margin.before)),
                "after": price_decimal(PriceUnits(margin.after)),
                "equity": price_decimal(PriceUnits(margin.equity)),
            }
            for margin in result.margins
        ],
        "withdrawals": [
            {
                "account": one.account,
                "address": one.address,
                "deposited": price_decimal(PriceUnits(one.deposited)),
                "requested": price_decimal(PriceUnits(one.requested)),
                "granted": price_decimal(PriceUnits(one.granted)),
                "claimed": price_decimal(PriceUnits(one.claimed)),
            }
            for one in result.withdrawals
        ],
        "instruments": instruments,
        "orders": [_order(order, result.openings) for order in result.orders],
        "taken_out": [
            {
                "intent": taken.batch_index,
                "row": taken.row,
                "attacker": taken.kind,
                "fault": taken.fault.value,
            }
            for taken in result.taken_out
        ],
        "left_out": [
            {
                "intent": left.batch_index,
                "row": left.row,
                "attacker": left.kind,
                "missing": left.missing.value,
                "required": left.required,
                "available": left.available,
            }
            for left in result.left_out
        ],
        "refused": [
            {
                "row": refused.row,
                "attacker": refused.kind,
                "code": refused.code,
                "reason": refused.reason,
            }
            for refused in result.refused
        ],
        "intents": len(result.outcome.admitted),
        "batch_root": hexadecimal(result.outcome.batch.root),
        "balances_root": hexadecimal(settlement.balances_root),
        "settlement_tx": hexadecimal(settlement.final().hash),
        "settlement_contract": result.settlement_contract,
        "keypers": list(result.keypers),
        "reporter": result.reporter,
        "price_reporters": list(result.price_reporters),
        "timings_ms": dict(result.timings_ms),
        "record": None if result.record is None else str(result.record),
        "openings": None if result.openings is None else str(result.openings),
    }


def _order(order: RowIntent, openings: Path | None) -> dict[str, object]:
    """An order of the file; its opening file is null where none was kept."""
    intent = order.batch_index
    return {
        "row": order.row,
        "account": order.account,
        "address": order.address,
        "instrument": order.instrument,
        "intent": intent,
        "opening": None if openings is None or intent is None else opening_name(intent),
    }
