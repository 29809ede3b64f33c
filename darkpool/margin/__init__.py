"""Margin: the collateral that stands behind every order and every position."""
