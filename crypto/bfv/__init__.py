"""BFV: ciphertexts, encryption, SEAL, noise."""
