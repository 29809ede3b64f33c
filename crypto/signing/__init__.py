"""Signing: typed messages (EIP-712), signatures and Merkle trees."""
