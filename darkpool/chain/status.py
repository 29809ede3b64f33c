"""Where a venue stands, as its contracts tell anybody who asks."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from darkpool.chain.calls import Call
from darkpool.chain.evidence import (
    Deployment,
    SettledTrees,
    VaultPlace,
    VenueStanding,
    keyper_numbers,
)
from darkpool.chain.reading import ReadableChain
from darkpool.protocol.flows import FlowKind
from darkpool.units import AccountId


@dataclass(frozen=True, slots=True)
class VaultStatus:
    """What a vault holds and owes, in token units.

    Attributes:
        exit_total, claim_total: sums of the last root.
        paid: to all accounts, all payments together.
        counted: deposits that the last settlement counted; `uncounted`: those that it did not.
        held: what the token says that the vault has.
        seats: of `accounts_max`.
    """

    place: VaultPlace
    exit_total: int
    claim_total: int
    paid: int
    counted: int
    uncounted: int
    held: int
    seats: int
    accounts_max: int

    @property
    def owed(self) -> int:
        """All that accounts can get out, now or at the end."""
        return self.exit_total + self.claim_total - self.paid + self.uncounted


@dataclass(frozen=True, slots=True)
class NextCommittee:
    """The committee that is announced, and from when it may take over."""

    keypers: tuple[AccountId, ...]
    active_from: int


@dataclass(frozen=True, slots=True)
class VenueStatus:
    """Where a venue stands.

    Attributes:
        now: time of the last block.
        excluded: numbers of keypers that count no more, from 1.
        waiting: how many flows of each kind the last settlement does not answer.
    """

    now: int
    deployment: Deployment
    standing: VenueStanding
    settled: SettledTrees | None
    excluded: tuple[int, ...]
    next_committee: NextCommittee | None
    waiting: Mapping[FlowKind, int]
    vaults: tuple[VaultStatus, ...]


def venue_status(chain: ReadableChain) -> VenueStatus:
    """Where the venue that a chain is attached to stands.

    Raises:
        ChainUnavailable: the node does not answer, or answers nothing that can be used.
    """
    deployment, standing = chain.deployment, chain.standing()
    settled = chain.last_settlement()
    answered = 0 if settled is None else settled.flows
    flows = chain.flows(standing.flows)
    keypers, _, _, active_from = _ask(chain, "Settlement", deployment.settlement, "next_committee")
    following = NextCommittee(tuple(map(AccountId, keypers)), active_from)
    excluded = _ask(chain, "Settlement", deployment.settlement, "excluded")
    return VenueStatus(
        chain.time(),
        deployment,
        standing,
        settled,
        keyper_numbers(excluded),
        following if active_from else None,
        Counter(flow.kind for flow in flows if flow.index > answered),
        tuple(_vault_status(chain, place) for place in deployment.vaults),
    )


def _vault_status(chain: ReadableChain, place: VaultPlace) -> VaultStatus:
    def told(function: str) -> Any:
        return _ask(chain, "CollateralVault", place.address, function)

    _, exits, claims, paid, counted, uncounted = told("totals")
    held = _ask(chain, "TestToken", place.token, "balanceOf", place.address)
    return VaultStatus(
        place,
        exits,
        claims,
        paid,
        counted,
        uncounted,
        held,
        told("seated"),
        told("accounts_max"),
    )


def _ask(
    chain: ReadableChain, kind: str, contract: AccountId, function: str, *arguments: object
) -> Any:
    return chain.ask(Call(kind, contract, function, arguments))
