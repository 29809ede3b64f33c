"""Fills: who comes first, and what an auction gave to whom."""
