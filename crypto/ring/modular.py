"""Exact 64-bit modular arithmetic for compiled kernels.

Products of two residues need 128 bits; NumPy has none, and floating-point tricks stop being exact
at primes of 54 bits (measured). The high half of a product comes from LLVM's 128-bit integers
instead, so every kernel is exact for any prime below 2^61.

Sources: V. Shoup, "NTL: a library for doing number theory" (multiplication by a constant);
P. Barrett, "Implementing the RSA public key encryption algorithm" (CRYPTO 1986).
"""

# mypy: disable-error-code="no-untyped-call,untyped-decorator,no-untyped-def"
from __future__ import annotations

from llvmlite import ir
from numba import njit, types
from numba.extending import intrinsic


@intrinsic
def high_word(typing_context, a, b):
    """High 64 bits of the product of two uint64."""
    signature = types.uint64(types.uint64, types.uint64)

    def generate(context, builder, _signature, arguments):
        wide = ir.IntType(128)
        product = builder.mul(builder.zext(arguments[0], wide), builder.zext(arguments[1], wide))
        shifted = builder.lshr(product, ir.Constant(wide, 64))
        return builder.trunc(shifted, ir.IntType(64))

    return signature, generate


@njit(inline="always")
def reduce_wide(high, low, prime, ratio_high, ratio_low):
    """(high * 2^64 + low) mod prime, ratio = floor(2^128 / prime); input below 2^64 * prime."""
    carry = high_word(low, ratio_low)
    middle = low * ratio_high
    total = middle + carry
    upper = high_word(low, ratio_high) + (types.uint64(1) if total < carry else types.uint64(0))
    middle = high * ratio_low
    again = total + middle
    carry = high_word(high, ratio_low) + (types.uint64(1) if again < middle else types.uint64(0))
    quotient = high * ratio_high + upper + carry
    remainder = low - quotient * prime
    return remainder - prime if remainder >= prime else remainder


@njit(inline="always")
def multiply(a, b, prime, ratio_high, ratio_low):
    """a * b mod prime for residues a, b."""
    return reduce_wide(high_word(a, b), a * b, prime, ratio_high, ratio_low)


@njit(inline="always")
def multiply_constant(a, constant, quotient, prime):
    """a * constant mod prime, lazily in [0, 2 prime); quotient = floor(constant * 2^64 / prime)."""
    return a * constant - high_word(a, quotient) * prime
