"""Every bound of the system, in one place, checked against the others when it is imported.

A bound is the largest allowed value unless its name says otherwise. Units come last in the name.
"""

from typing import Final

from darkpool.errors import InconsistentLimits

ORDER_PLAIN_MODULUS: Final = 67_043_329
"""t, the plain modulus of the order ring: sizes, and sums of sizes, are counted modulo it."""

ORDER_ROW_SLOTS: Final = 4096
"""Slots in one of the two rows of an order ciphertext; the lower half holds the ticks."""

TICKS_MAX: Final = 2047
"""Ticks of a price grid: the last slot of the lower half-row is not a tick."""

INTENTS_PER_AUCTION_MAX: Final = 2048
"""Intents for one instrument in one auction: priority order has one slot each in a half-row."""

INTENTS_PER_ACCOUNT_MAX: Final = 16
"""Intents of one account for one instrument in one auction, each but the last cancelled."""

INSTRUMENTS_PER_VENUE_MAX: Final = 64
"""Instruments that cross together."""

CAP_BUCKETS_LOTS: Final = (
    *(digit * 10**exponent for exponent in range(7) for digit in (1, 2, 5)),
    10_000_000,
)
"""The only public caps there are: a cap tells no more of a size than its bucket."""

ORDER_SIZE_MAX_LOTS: Final = CAP_BUCKETS_LOTS[-1]
"""Size of one order."""

OWNERS_MIN_DEFAULT: Final = 3
"""Distinct owners without whom an auction opens nothing, where the terms do not say otherwise."""

REJECTIONS_PER_ACCOUNT_AND_EPOCH_MAX: Final = 3
"""Intents of an account that may fail the check of shape or cap under one committee key. After so
many it is admitted no more; those it has in one interval fail together, one for each instrument."""

CAPS_SUM_MAX_LOTS: Final = (ORDER_PLAIN_MODULUS - 1) // 4
"""Sum of the public caps for one instrument in one auction: strictly below t/4, so that no sum of
sizes and no difference of two such sums wraps, and every comparison stays in its exact range."""

KEY_EPOCH_OPENINGS_MAX: Final = 1 << 20
"""Decryptions under one committee key: the bound in the flooding argument."""

PRICE_DECIMALS: Final = 6
"""Decimals of an integer price: one price unit is 10**-6 of the quote currency."""

CASH_DECIMALS: Final = 6
"""Decimals of an integer amount of money. Equal to PRICE_DECIMALS, so that price times lots times
contract multiplier is an exact amount and nothing but a margin rate ever rounds."""

PRICE_MAX_UNITS: Final = 10**18
"""Absolute price, in units of 10**-6."""

CONTRACT_MULTIPLIER_MAX: Final = 10**6
"""Units of the underlying in one contract."""

MARGIN_RATE_ONE_PPM: Final = 10**6
"""The whole notional, in parts per million: the largest margin rate, and its scale."""

BOND_CHARGE_ONE_PPM: Final = 10**6
"""The whole bond, in parts per million: the largest charge for one intent, and its scale."""

CASH_MAX: Final = (1 << 128) - 1
"""An amount of money, in units of 10**-6: fits the contracts' uint256 with room for any sum."""

REFERENCE_AGE_MAX_MS: Final = 60_000
"""Age of a reference price when an auction opens on it."""

REFERENCE_AGE_AT_CLOSE_MAX_MS: Final = 900_000
"""Age of a reference price when a keyper begins to open what the closed batch leads to. Longer
than `REFERENCE_AGE_MAX_MS` by the time in which sealed orders are admitted."""

REFERENCE_AHEAD_MAX_MS: Final = 2_000
"""How far a reference price may seem to lie in the future: clocks of two machines differ."""

FUNDING_PERIOD_MS: Final = 28_800_000
"""Time in which a perpetual swap costs its whole premium, and that one mark counts for."""

FUNDING_PREMIUM_MAX_PPM: Final = 5_000
"""Premium that funding counts, as a part of the index, in parts per million: half a percent."""

ORDER_FILE_MAX_BYTES: Final = 16 << 20
"""Size of an order file."""

ORDER_FILE_PROBLEMS_MAX: Final = 20
"""Problems told of one order file before reading stops."""

ACCOUNT_LABEL_MAX_CHARACTERS: Final = 64
"""Length of an account's name in an order file."""

INSTRUMENT_NAME_MAX_CHARACTERS: Final = 32
"""Length of an instrument's name."""

DECIMAL_DIGITS_MAX: Final = 40
"""Digits of a decimal number that is read from text."""

KEYPER_ANSWER_MAX_MS: Final = 120_000
"""How long the operator waits for a keyper's answer before it goes on with the others."""

_RULES: Final = {
    "t = 1 modulo 32768": ORDER_PLAIN_MODULUS % 32_768 == 1,
    "TICKS_MAX < ORDER_ROW_SLOTS / 2": ORDER_ROW_SLOTS // 2 > TICKS_MAX,
    "INTENTS_PER_AUCTION_MAX <= ORDER_ROW_SLOTS / 2": (
        INTENTS_PER_AUCTION_MAX <= ORDER_ROW_SLOTS // 2
    ),
    "4 * CAPS_SUM_MAX_LOTS < t": 4 * CAPS_SUM_MAX_LOTS < ORDER_PLAIN_MODULUS,
    "ORDER_SIZE_MAX_LOTS <= CAPS_SUM_MAX_LOTS": ORDER_SIZE_MAX_LOTS <= CAPS_SUM_MAX_LOTS,
    "CAP_BUCKETS_LOTS rises from 1": (
        CAP_BUCKETS_LOTS[0] == 1 and list(CAP_BUCKETS_LOTS) == sorted(set(CAP_BUCKETS_LOTS))
    ),
    "REFERENCE_AGE_MAX_MS < REFERENCE_AGE_AT_CLOSE_MAX_MS": (
        REFERENCE_AGE_MAX_MS < REFERENCE_AGE_AT_CLOSE_MAX_MS
    ),
    "PRICE_DECIMALS = CASH_DECIMALS": PRICE_DECIMALS == CASH_DECIMALS,
    "the largest notional <= CASH_MAX": (
        PRICE_MAX_UNITS * ORDER_SIZE_MAX_LOTS * CONTRACT_MULTIPLIER_MAX <= CASH_MAX
    ),
    "PRICE_MAX_UNITS has at most DECIMAL_DIGITS_MAX digits": (
        len(str(PRICE_MAX_UNITS)) <= DECIMAL_DIGITS_MAX
    ),
}

for _rule, _holds in _RULES.items():
    if not _holds:
        raise InconsistentLimits(_rule)
