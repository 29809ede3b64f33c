"""The errors of the cryptographic layer, one tree, each carrying its operands."""


class CryptoError(Exception):
    """Base of everything that `crypto` raises on purpose."""
