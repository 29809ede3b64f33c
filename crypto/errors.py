"""The base of all errors, and the tree of the cryptographic layer."""

from __future__ import annotations

from typing import Any, ClassVar, Final

_SHOWN_BITS_MAX: Final = 512
"""Longer numbers are told by their length: Python refuses to write the digits of very long ones."""


class UnmetExpectation(Exception):
    """Something was expected of a subject and something else came: the base of all errors.

    Each class that is raised has a `code` of its own: stable, in kebab-case, for programs. `prefix`
    stands before the subject in messages. `has_lines` says that line breaks in `got` are the
    class's own; elsewhere they are escaped with all that cannot be printed.
    """

    code: ClassVar[str]
    prefix: ClassVar[str] = ""
    has_lines: ClassVar[bool] = False

    def __init__(self, subject: str, expected: object, got: object) -> None:
        super().__init__(subject, expected, got)
        self.subject, self.expected, self.got = subject, expected, got

    def __reduce__(self) -> tuple[Any, ...]:
        # the arguments of a class's own constructor are not these three: workers send errors whole
        return _read_back, (type(self), self.args, self.__dict__)

    def __str__(self) -> str:
        expected, got = shown(self.expected), str(shown(self.got))
        asked = printable(f"{self.prefix}{self.subject}: expected {expected}, got ")
        lines = got.split("\n") if self.has_lines else [got]
        return asked + "\n".join(map(printable, lines))


def printable(text: str) -> str:
    """Text whose control characters and lone surrogates are escaped: it may quote any party."""
    if text.isprintable():
        return text
    return "".join(
        character if character.isprintable() else ascii(character)[1:-1] for character in text
    )


def _read_back(
    kind: type[UnmetExpectation], args: tuple[object, ...], state: dict[str, object]
) -> UnmetExpectation:
    error = kind.__new__(kind, *args)
    error.__dict__.update(state)
    return error


def shown(value: object) -> object:
    """A value as messages show it: long numbers by their length, bytes in hexadecimal digits."""
    if isinstance(value, int) and value.bit_length() > _SHOWN_BITS_MAX:
        return f"a number of {value.bit_length()} bits"
    return f"0x{value.hex()}" if isinstance(value, bytes) else value


class CryptoError(UnmetExpectation):
    """Base of everything that `crypto` raises on purpose."""


class MalformedContribution(CryptoError):
    """What a keyper sent for a mask draw is not of the draw's form."""

    code = "malformed-contribution"
    prefix = "contribution to a mask, "


class MalformedAnswer(CryptoError):
    """What a keyper answered is not of the type that its question has an answer of."""

    code = "malformed-answer"
    prefix = "answer of a keyper: "


class InsecureParameters(CryptoError):
    """Parameters below 128 bit were asked for outside the tests."""

    code = "insecure-parameters"

    def __init__(self, name: str) -> None:
        super().__init__("parameters", "128-bit security", f"the test-only set {name!r}")


class MalformedCiphertext(CryptoError):
    """Bytes or words that are not exactly a ciphertext of the expected ring and level."""

    code = "malformed-ciphertext"
    prefix = "malformed ciphertext: "


class MalformedKey(CryptoError):
    """Bytes that are not a key of the expected kind and ring."""

    code = "malformed-key"
    prefix = "malformed key: "


class OutOfRange(CryptoError):
    """A number outside the interval that the protocol gives it."""

    code = "out-of-range"


class HoldersDisagree(CryptoError):
    """The holders of a share announced different bytes; `suspects` names who may have lied."""

    code = "holders-disagree"

    def __init__(self, share: int, suspects: tuple[int, ...]) -> None:
        named = ", ".join(map(str, suspects))
        got = f"unequal ones; suspects: keypers {named}"
        super().__init__(f"share {share}", "equal digests from its holders", got)
        self.share, self.suspects = share, suspects


class MissingShare(CryptoError):
    """Too few holders answered for a share."""

    code = "missing-share"

    def __init__(self, share: int, expected: int, got: int) -> None:
        super().__init__(f"share {share}, answers of holders", expected, got)
        self.share = share


class WrongEpoch(CryptoError):
    """A key, share or mask of another key epoch."""

    code = "wrong-epoch"

    def __init__(self, expected: int, got: int) -> None:
        super().__init__("key epoch", expected, got)


class InvalidMerkleProof(CryptoError):
    """A Merkle proof does not lead from its leaf to the root.

    `subject` names the part that failed: index, number of siblings, or root.
    """

    code = "invalid-merkle-proof"
    prefix = "Merkle proof: "


class InvalidBalances(CryptoError):
    """Balances cannot stand in a sum tree."""

    code = "invalid-balances"
    prefix = "balances: "


class InvalidSignature(CryptoError):
    """A signature is malformed, malleable, or not from the expected address.

    `subject` names the part that failed: length, recovery value, s, point, or signer.
    """

    code = "invalid-signature"
    prefix = "signature: "


class InvalidCertificate(CryptoError):
    """Signatures that are no certificate: too few, of no keyper, or for something else.

    `subject` names the part that failed: the message, the keypers, or the signatures.
    """

    code = "invalid-certificate"
    prefix = "certificate: "


class InvalidMessageField(CryptoError):
    """A field of a typed message does not fit its EIP-712 type."""

    code = "invalid-message-field"
    prefix = "typed message: "


class NoiseBudgetTooSmall(CryptoError):
    """An opening whose noise would not be hidden, or whose result might be wrong."""

    code = "too-little-margin"


class UncoveredSlot(CryptoError):
    """A slot of an opened ciphertext that is neither masked nor zero."""

    code = "uncovered-slot"

    def __init__(self, purpose: str, slot: int) -> None:
        super().__init__(f"opening {purpose!r}", f"slot {slot} masked or zero", "a value")
        self.purpose, self.slot = purpose, slot


class MalformedProof(CryptoError):
    """Bytes or values that are not exactly the share openings of one keyper."""

    code = "malformed-proof"
    prefix = "malformed share openings: "


class SealingMismatch(CryptoError):
    """A sealed vector that is not what its openings say; `subject` names the part that differs."""

    code = "sealing-mismatch"
    prefix = "opening does not fit: "


class EnvelopeRefused(CryptoError):
    """An envelope that does not open: malformed, or not sealed to this recipient and binding."""

    code = "envelope-refused"
    prefix = "envelope: "


class MalformedKeyFile(CryptoError):
    """Bytes that are not a key file of a known version, or secrets that are not a keyper's."""

    code = "malformed-key-file"
    prefix = "key file: "


class WrongPassphrase(CryptoError):
    """A key file whose tag does not verify: another passphrase, or changed bytes."""

    code = "wrong-passphrase"

    def __init__(self, path: object) -> None:
        super().__init__(f"key file {path}", "its passphrase", "a wrong one, or changed bytes")
        self.path = path
