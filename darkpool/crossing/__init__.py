"""Crossing: from a batch of orders to a price, a volume and who fills how much."""
