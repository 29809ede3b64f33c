"""The errors of the cryptographic layer, one tree, each carrying its operands."""

from __future__ import annotations


class CryptoError(Exception):
    """Base of everything that `crypto` raises on purpose."""


class InsecureParameters(CryptoError):
    """Parameters below 128 bit were asked for outside the tests."""

    def __init__(self, name: str) -> None:
        self.name = name
        super().__init__(f"expected parameters of 128-bit security, got the test-only set {name!r}")


class MalformedCiphertext(CryptoError):
    """Bytes or words that are not exactly a ciphertext of the expected ring and level."""

    def __init__(self, what: str, expected: object, got: object) -> None:
        self.what, self.expected, self.got = what, expected, got
        super().__init__(f"malformed ciphertext: {what}: expected {expected}, got {got}")


class MalformedKey(CryptoError):
    """Bytes that are not a key of the expected kind and ring."""

    def __init__(self, what: str, expected: object, got: object) -> None:
        self.what, self.expected, self.got = what, expected, got
        super().__init__(f"malformed key: {what}: expected {expected}, got {got}")


class OutOfRange(CryptoError):
    """A number outside the interval that the protocol gives it."""

    def __init__(self, what: str, expected: object, got: object) -> None:
        self.what, self.expected, self.got = what, expected, got
        super().__init__(f"{what}: expected {expected}, got {got}")


class HoldersDisagree(CryptoError):
    """The holders of a share announced different bytes; `suspects` names who may have lied."""

    def __init__(self, share: int, suspects: tuple[int, ...]) -> None:
        self.share, self.suspects = share, suspects
        super().__init__(
            f"share {share}: expected equal digests from its holders, got a difference; "
            f"suspects: keypers {', '.join(map(str, suspects))}"
        )


class MissingShare(CryptoError):
    """Too few holders answered for a share."""

    def __init__(self, share: int, expected: int, got: int) -> None:
        self.share, self.expected, self.got = share, expected, got
        super().__init__(f"share {share}: expected answers of {expected} holders, got {got}")


class WrongEpoch(CryptoError):
    """A key, share or mask of another key epoch."""

    def __init__(self, expected: int, got: int) -> None:
        self.expected, self.got = expected, got
        super().__init__(f"expected key epoch {expected}, got {got}")


class InvalidMerkleProof(CryptoError):
    """A Merkle proof does not lead from its leaf to the root.

    `what` names the part that failed: index, number of siblings, or root.
    """

    def __init__(self, what: str, expected: object, got: object) -> None:
        super().__init__(f"Merkle proof: {what}: expected {expected}, got {got}")
        self.what = what
        self.expected = expected
        self.got = got


class InvalidSignature(CryptoError):
    """A signature is malformed, malleable, or not from the expected address.

    `what` names the part that failed: length, recovery value, s, point, or signer.
    """

    def __init__(self, what: str, expected: object, got: object) -> None:
        super().__init__(f"signature: {what}: expected {expected}, got {got}")
        self.what = what
        self.expected = expected
        self.got = got


class InvalidCertificate(CryptoError):
    """Signatures that are no certificate: too few, of no keyper, or for something else.

    `what` names the part that failed: the message, the keypers, or the signatures.
    """

    def __init__(self, what: str, expected: object, got: object) -> None:
        super().__init__(f"certificate: {what}: expected {expected}, got {got}")
        self.what = what
        self.expected = expected
        self.got = got


class InvalidMessageField(CryptoError):
    """A field of a typed message does not fit its EIP-712 type."""

    def __init__(self, field: str, expected: str, got: object) -> None:
        super().__init__(f"typed message: {field}: expected {expected}, got {got}")
        self.field = field
        self.expected = expected
        self.got = got


class NoiseBudgetTooSmall(CryptoError):
    """An opening whose noise would not be hidden, or whose result might be wrong."""

    def __init__(self, what: str, expected: int, got: int) -> None:
        self.what, self.expected, self.got = what, expected, got
        super().__init__(f"{what}: expected at least {expected} bits, got {got}")


class UncoveredSlot(CryptoError):
    """A slot of an opened ciphertext that is neither masked nor zero."""

    def __init__(self, purpose: str, slot: int) -> None:
        self.purpose, self.slot = purpose, slot
        super().__init__(f"opening {purpose!r}: expected slot {slot} masked or zero, got a value")


class MalformedProof(CryptoError):
    """Bytes or values that are not exactly the share openings of one keyper."""

    def __init__(self, what: str, expected: object, got: object) -> None:
        self.what, self.expected, self.got = what, expected, got
        super().__init__(f"malformed share openings: {what}: expected {expected}, got {got}")


class SealingMismatch(CryptoError):
    """A sealed vector that is not what its openings say; `what` names the part that differs."""

    def __init__(self, what: str, expected: object, got: object) -> None:
        self.what, self.expected, self.got = what, expected, got
        super().__init__(f"opening does not fit: {what}: expected {expected}, got {got}")


class EnvelopeRefused(CryptoError):
    """An envelope that does not open: malformed, or not sealed to this recipient and binding."""

    def __init__(self, what: str, expected: object, got: object) -> None:
        self.what, self.expected, self.got = what, expected, got
        super().__init__(f"envelope: {what}: expected {expected}, got {got}")


class MalformedKeyFile(CryptoError):
    """Bytes that are not a key file of a known version, or secrets that are not a keyper's."""

    def __init__(self, what: str, expected: object, got: object) -> None:
        self.what, self.expected, self.got = what, expected, got
        super().__init__(f"key file: {what}: expected {expected}, got {got}")


class WrongPassphrase(CryptoError):
    """A key file whose tag does not verify: another passphrase, or changed bytes."""

    def __init__(self, path: object) -> None:
        self.path = path
        super().__init__(f"key file {path}: expected its passphrase, got another, or changed bytes")
