"""What accounts of an order file ask back, and take: each by its own signature."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from darkpool.chain.client import Chain
from darkpool.chain.errors import ChainError
from darkpool.client.leaving import balances_of
from darkpool.simulation.clients import LocalClients
from darkpool.simulation.errors import NotClaimed
from darkpool.units import AccountId, AccountLabel, Cash

GAS_WEI: Final = 10**17
"""What an account gets for the gas of its request and its claim, on a chain for development."""


@dataclass(frozen=True, slots=True)
class Withdrawal:
    """What became of a request, in cash units.

    Attributes:
        deposited: what the account had paid in.
        granted: by the settlement, up to what was requested.
        claimed: what the vault then paid.
        failure: why it did not pay, if it did not.
    """

    account: AccountLabel
    address: AccountId
    deposited: Cash
    requested: Cash
    granted: Cash
    claimed: Cash
    failure: NotClaimed | None = None


def send_requests(chain: Chain, clients: LocalClients) -> None:
    """Send the requests of all accounts, which the next settlement answers.

    Raises:
        ChainError: the chain does not take one.
    """
    for account, amount in clients.requests.items():
        chain.fund_gas(clients.address(account), GAS_WEI)
        chain.request(clients.key(account), amount)


def claim_granted(
    chain: Chain,
    clients: LocalClients,
    deposited: Mapping[AccountId, Cash],
    granted: Mapping[AccountId, Cash],
) -> tuple[Withdrawal, ...]:
    """Take what the last settlement granted; a claim that fails stops no other.

    A claim waits for nothing: what was not taken now can be taken under any later settlement.
    """
    withdrawals = []
    for account, requested in clients.requests.items():
        address, claimed, failure = clients.address(account), Cash(0), None
        if granted.get(address):
            try:
                claimed = _claim(chain, clients.key(account), address)
            except ChainError as error:
                failure = NotClaimed(account, error)
        amounts = (deposited.get(address, Cash(0)), requested, granted.get(address, Cash(0)))
        withdrawals.append(Withdrawal(account, address, *amounts, claimed, failure))
    return tuple(withdrawals)


def _claim(chain: Chain, key: bytes, address: AccountId) -> Cash:
    balance = balances_of(chain, address)[0]
    if balance.proven is None or not balance.claimable:
        return Cash(0)
    chain.claim(key, balance.proven, address)
    return Cash(balance.claimable)
