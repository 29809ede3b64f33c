"""The clients of a venue on one machine: whoever has an order in the file, and what only they know.

In a venue of many machines each of them runs by itself; here one object plays them all, and hands
out nothing but what a client would send.
"""

from __future__ import annotations

import os
import shutil
import tempfile
import time
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, suppress
from pathlib import Path
from random import SystemRandom
from types import MappingProxyType
from typing import Final, Protocol

from coincurve import PrivateKey

from crypto.signing.ecdsa import address_of, sign
from darkpool.client.opening_file import OpeningFile
from darkpool.client.sealing import PublicLimits, draw_intent, opening_of, seal_intent
from darkpool.durable import make_folders, remove_empty, writing
from darkpool.limits import CAPS_SUM_MAX_LOTS
from darkpool.margin.errors import BeyondMargin
from darkpool.margin.model.caps import LiveIntent, in_order
from darkpool.margin.model.intent_margin import IntentMargin
from darkpool.protocol.intents import SealedSubmission
from darkpool.protocol.terms import BondTerms, IntervalTerms
from darkpool.simulation.errors import FolderExists
from darkpool.simulation.order_file import Order
from darkpool.units import (
    AccountId,
    AccountLabel,
    Cash,
    InstrumentId,
    InstrumentName,
    Lots,
    account_of,
    cap_bucket,
    identifier,
)

INTENT_LIFETIME_S: Final = 3600
INTENTS_PER_VENUE_MAX: Final = 1 << 20
"""In an interval: the nonces of another one begin there."""
_SEALED: Final = "sealed-"


class Stranger(Protocol):
    """Somebody who takes part besides the orders of the file."""

    @property
    def kind(self) -> str:
        """What it is."""

    @property
    def fault(self) -> str:
        """What it will be taken out for."""

    @property
    def instrument(self) -> InstrumentId:
        """What it trades."""

    @property
    def account(self) -> AccountId:
        """Where its collateral is."""

    @property
    def cap(self) -> Lots:
        """Its public cap."""

    @property
    def minimum_fill(self) -> bool:
        """Whether it sends what says that it is a minimum-fill order."""

    def submission(self, terms: IntervalTerms, nonce: int, deadline_s: int) -> SealedSubmission:
        """Seal and sign."""


class OpeningsFolder:
    """The clients' openings, one file each: written beside their final place, then renamed.

    Raises:
        FolderExists: there is something at the final place.
        UnwritableFolder: the system refuses to write; so does whatever is added later.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        with writing(folder.parent), ExitStack() as undo:
            if folder.exists() or folder.is_symlink():
                raise FolderExists(folder)
            self._made = make_folders(folder.parent)
            undo.callback(remove_empty, self._made)
            pending = tempfile.mkdtemp(prefix=f"{folder.name}.partial-", dir=folder.parent)
            undo.pop_all()
        self._pending = Path(pending)
        self._kept = False

    def add(self, submission: int, opening: OpeningFile) -> None:
        """Write the opening of a submission; only its owner may read it."""
        path = self._pending / f"{_SEALED}{submission}.json"
        with writing(self._pending):
            descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
            with os.fdopen(descriptor, "w", encoding="utf-8") as file:
                file.write(opening.to_json())

    def finish(self, admitted: Sequence[int]) -> None:
        """Name the files by the places of their intents, and move the folder to its own.

        `admitted` are the submissions that became intents, by place; other openings go.
        """
        places = {submission: place for place, submission in enumerate(admitted)}
        with writing(self.folder.parent):
            for path in list(self._pending.iterdir()):
                place = places.get(int(path.stem.removeprefix(_SEALED)))
                if place is None:
                    path.unlink()
                else:
                    path.rename(self._pending / opening_name(place))
            self._pending.rename(self.folder)

    def keep_unfinished(self) -> Path:
        """Leave what was written beside its place, and tell where: it is all there is."""
        self._kept = True
        return self._pending

    def abandon(self) -> None:
        """Remove what was written, unless it was moved to its place or is to be kept."""
        if not self._kept:
            shutil.rmtree(self._pending, ignore_errors=True)
            remove_empty(self._made)


def opening_name(batch_index: int) -> str:
    """The name of the file that tells an intent's order."""
    return f"{batch_index}.json"


class LocalClients:
    """An account and its key for each account name of an order file.

    Keys that are not given (32 bytes by account name) are drawn, fresh for every run.

    Orders are sealed in their order; strangers come in between at random. All orders of an
    instrument have the same public cap, the bucket of the largest, so that a cap tells nothing of
    its own order; only where these caps would add up to too much has each order the smallest
    bucket that covers it. No cap of an order is below `cap_min`.
    """

    def __init__(
        self,
        orders: Sequence[Order],
        openings: OpeningsFolder | None,
        cap_min: Lots,
        strangers: Sequence[Stranger] = (),
        keys: Mapping[AccountLabel, bytes] = MappingProxyType({}),
    ) -> None:
        self._orders = tuple(orders)
        self._openings = openings
        self._keys = {
            name: keys.get(name) or PrivateKey().secret
            for name in {order.account for order in orders}
        }
        self._cap_min = cap_min
        self._common_caps = _common_caps(self._orders, strangers, cap_min)
        self.parties = _mixed(self._orders, strangers)
        self.sealing_ns = 0

    @property
    def openings(self) -> Path | None:
        """Where the opening files will be, if they are kept."""
        return None if self._openings is None else self._openings.folder

    def address(self, account: AccountLabel) -> AccountId:
        """Where the account of a name is on the chain."""
        return account_of(address_of(self._keys[account]))

    def key(self, account: AccountLabel) -> bytes:
        """What the account of a name signs with, 32 bytes."""
        return self._keys[account]

    @property
    def requests(self) -> dict[AccountLabel, Cash]:
        """What accounts ask back, in cash units, by name; none of it zero."""
        asked: Counter[AccountLabel] = Counter()
        for order in self._orders:
            asked[order.account] += order.request
        return {account: Cash(asked[account]) for account in sorted(asked) if asked[account]}

    def deposits(self, margin: IntentMargin, bond: BondTerms) -> dict[AccountId, Cash]:
        """What each account pays in: the bond, and what its orders' public caps need together.

        Of caps that margin cannot be computed of, the bond alone: the venue refuses them.
        """
        live: dict[AccountId, list[LiveIntent]] = defaultdict(list)
        for party in self.parties:
            if isinstance(party, Order):
                account = self.address(party.account)
                cap = self._cap(party)
            else:
                account, cap = party.account, party.cap
            live[account].append(margin.intent(instrument_of(party), cap))
        amounts = {}
        for account, intents in live.items():
            amounts[account] = bond.amount
            with suppress(BeyondMargin):
                amounts[account] = Cash(bond.amount + margin.together(in_order(intents)))
        return amounts

    def submissions(self, terms: IntervalTerms) -> Iterator[SealedSubmission]:
        """Seal for one party after the other, as they are asked for: none is held.

        `sealing_ns` adds up the time that this takes.
        """
        deadline_s = terms.closes_ms // 1000 + INTENT_LIFETIME_S
        for number, party in enumerate(self.parties):
            start = time.perf_counter_ns()
            if isinstance(party, Order):
                limits = PublicLimits(deadline_s, self._cap(party))
                submission = self._sealed(party, terms, number, limits)
            else:
                submission = party.submission(terms, number, deadline_s)
            self.sealing_ns += time.perf_counter_ns() - start
            yield submission

    def _sealed(
        self, order: Order, terms: IntervalTerms, number: int, limits: PublicLimits
    ) -> SealedSubmission:
        """Seal, sign, and keep the opening: the keys are here, so no signer is waited for."""
        key, instrument = self._keys[order.account], identifier(order.instrument)
        nonce = terms.interval * INTENTS_PER_VENUE_MAX + number
        intent = draw_intent(order.limit_order, instrument, terms.interval, address_of(key), nonce)
        unsigned = seal_intent(intent, terms, limits)
        if self._openings is not None:
            self._openings.add(number, opening_of(intent, terms))
        return unsigned.signed(sign(unsigned.digest, key))

    def _cap(self, order: Order) -> Lots:
        common = self._common_caps.get(order.instrument)
        return common or max(cap_bucket(order.size), self._cap_min)


def _mixed(orders: Sequence[Order], strangers: Sequence[Stranger]) -> tuple[Order | Stranger, ...]:
    """All of them: orders in their order, strangers anywhere."""
    length, draw = len(orders) + len(strangers), SystemRandom()
    places = dict(zip(draw.sample(range(length), len(strangers)), strangers, strict=True))
    rest = iter(orders)
    return tuple(places[n] if n in places else next(rest) for n in range(length))


def _common_caps(
    orders: Sequence[Order], strangers: Sequence[Stranger], cap_min: Lots
) -> dict[InstrumentName, Lots]:
    """The cap that all orders of an instrument share, where it fits for all of them."""
    sizes: dict[InstrumentName, list[Lots]] = {}
    for order in orders:
        sizes.setdefault(order.instrument, []).append(order.size)
    others = Counter[InstrumentId]()
    for stranger in strangers:
        others[stranger.instrument] += stranger.cap
    caps = {name: max(cap_bucket(max(found)), cap_min) for name, found in sizes.items()}
    return {
        name: cap
        for name, cap in caps.items()
        if len(sizes[name]) * cap + others[identifier(name)] <= CAPS_SUM_MAX_LOTS
    }


def instrument_of(party: Order | Stranger) -> InstrumentId:
    """What a party trades."""
    return identifier(party.instrument) if isinstance(party, Order) else party.instrument


def has_minimum(party: Order | Stranger) -> bool:
    """Whether a party sends a minimum-fill order."""
    return party.minimum > 0 if isinstance(party, Order) else party.minimum_fill
