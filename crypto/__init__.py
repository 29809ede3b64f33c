"""Cryptography of the dark pool; knows nothing of markets, clocks or chains."""
