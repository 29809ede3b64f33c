"""The committee's cryptography: replicated shares, keys, masks, openings, certificates."""
