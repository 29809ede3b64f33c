"""Accounts of the house: no party has the keys of their addresses, so none can withdraw."""

from __future__ import annotations

from typing import Final

from eth_hash.auto import keccak

from darkpool.units import account_of

INSURANCE_FUND: Final = account_of(keccak(b"darkpool insurance fund")[-20:])
BAD_DEBT: Final = account_of(keccak(b"darkpool bad debt")[-20:])
HOUSE: Final = (INSURANCE_FUND, BAD_DEBT)
