"""Instruments, prices and volatility surfaces, and the reports that they come from."""
