"""Circuits: what is computed on ciphertexts of intents, and nothing of markets."""
