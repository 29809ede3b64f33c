"""Named parameter sets of the two rings.

Security: degree and total modulus stay within the 128-bit table of the homomorphic encryption
security standard (Albrecht et al., 2018), which SEAL enforces when it builds the context. Sets
named ``TEST_INSECURE_*`` keep the moduli (so noise and depth behave alike) at a small degree; they
exist for fast unit tests and refuse to load anywhere else.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import Final

from crypto.errors import InsecureParameters

TEST_INSECURE_VARIABLE: Final = "DARKPOOL_TEST_INSECURE"


@dataclass(frozen=True, slots=True)
class RingParameters:
    """One BFV ring Z_t[X]/(X^degree + 1) with its RNS coefficient modulus.

    Attributes:
        name: identifies the ring in files, logs and errors.
        degree: power of two; also the number of plaintext slots, as two rows of degree / 2.
        data_primes: RNS primes of ciphertexts at the top level, in SEAL's order.
        special_prime: the key-switching prime.
        plain_modulus: prime t, congruent 1 modulo 2 * degree.
        secure: whether SEAL's 128-bit check holds and is enforced.
    """

    name: str
    degree: int
    data_primes: tuple[int, ...]
    special_prime: int
    plain_modulus: int
    secure: bool

    @property
    def row(self) -> int:
        """Slots in one of the two rows."""
        return self.degree // 2

    @property
    def key_primes(self) -> tuple[int, ...]:
        """All primes of the key level: data primes, then the special prime."""
        return (*self.data_primes, self.special_prime)

    def require_usable(self) -> None:
        """Refuse a test-only ring outside the tests.

        Raises:
            InsecureParameters: the ring is not secure and the tests' variable is not set.
        """
        if not self.secure and os.environ.get(TEST_INSECURE_VARIABLE) != "1":
            raise InsecureParameters(self.name)


@dataclass(frozen=True, slots=True)
class ParameterSet:
    """The two rings of the protocol and what follows from their geometry.

    `order_ring` carries sealed orders and everything linear; `comparison_ring` carries exact
    comparisons.
    """

    name: str
    order_ring: RingParameters
    comparison_ring: RingParameters

    @property
    def secure(self) -> bool:
        """True when both rings pass the 128-bit check."""
        return self.order_ring.secure and self.comparison_ring.secure

    @property
    def ticks_max(self) -> int:
        """Most price ticks of a grid: the live slots 0 .. row/2 - 2 of a row."""
        return self.order_ring.row // 2 - 1

    @property
    def intents_max(self) -> int:
        """Most intents for one instrument in one auction: half a row of packed fills."""
        return self.order_ring.row // 2

    def require_usable(self) -> None:
        """Refuse a test-only set outside the tests.

        Raises:
            InsecureParameters: a ring is not secure and the tests' variable is not set.
        """
        self.order_ring.require_usable()
        self.comparison_ring.require_usable()


_ORDER_PRIMES: Final = (8796092792833, 8796092858369, 17592184717313, 17592185438209)
_ORDER_SPECIAL: Final = 17592186028033
_COMPARISON_PRIMES: Final = (
    18014398504206337,
    18014398505943041,
    18014398506729473,
    18014398506827777,
    18014398507220993,
    18014398507614209,
    18014398508138497,
)
_COMPARISON_SPECIAL: Final = 18014398508400641
_ORDER_PLAIN: Final = 67043329
_COMPARISON_PLAIN: Final = 65537


def _rings(name: str, order_degree: int, comparison_degree: int, *, secure: bool) -> ParameterSet:
    order_ring = RingParameters(
        f"{name}/order", order_degree, _ORDER_PRIMES, _ORDER_SPECIAL, _ORDER_PLAIN, secure
    )
    comparison_ring = RingParameters(
        f"{name}/comparison",
        comparison_degree,
        _COMPARISON_PRIMES,
        _COMPARISON_SPECIAL,
        _COMPARISON_PLAIN,
        secure,
    )
    return ParameterSet(name, order_ring, comparison_ring)


STANDARD: Final = _rings("standard-128", 8192, 16384, secure=True)
TEST_INSECURE_SMALL: Final = _rings("TEST_INSECURE_SMALL", 512, 1024, secure=False)


PACKING_RADIX: Final = 8
"""Base of the two digits of an intent's number in its packing group."""
