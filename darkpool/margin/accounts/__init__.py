"""Accounts: collateral, positions, reservations, bonds, defaults."""
