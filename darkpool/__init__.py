"""A dark pool: orders are sealed, crossed while encrypted, and settled on a chain."""
