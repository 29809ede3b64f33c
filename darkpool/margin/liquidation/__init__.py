"""Liquidation: margin calls, plans, auctions of lots, the waterfall of losses."""
