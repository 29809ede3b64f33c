"""The one way to open a ciphertext.

A ciphertext is opened only as a `CoveredCiphertext`, and there are two ways to make one: *masked*
(a fresh joint mask added on every lane, everything else zero) and *selected* (a plaintext product
that zeroes every slot but those whose value the public result implies). `reveal` collects the
decryption shares of all virtual parties, compares the holders' digests before any bytes move,
states the noise budget before (guaranteed) and after (measured), and refuses a result with a value
in a slot that had to be zero.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import numpy.typing as npt

from crypto.bfv.ciphertext import Ciphertext
from crypto.bfv.lanes import LaneCiphertext, Lanes
from crypto.bfv.products import sum_of_products
from crypto.bfv.seal import Evaluator
from crypto.errors import HoldersDisagree, MissingShare, UncoveredSlot
from crypto.ring import slots
from crypto.ring.ring import Words
from crypto.threshold.attestation import OpeningEntry, share_purpose
from crypto.threshold.decryption import budget_bits_min, combine_shares
from crypto.threshold.masks import DrawnMask
from crypto.threshold.quorum import Numbered, Panel
from crypto.threshold.replicated import Agreement, Committee, agree, share_digest

Flags = npt.NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class CoveredCiphertext:
    """A ciphertext that may be opened: made by `masked` or `selected`, never directly.

    Attributes:
        support: slots that may be other than zero, shape (degree,).
        mask_number: the mask that covers the support, or None where the support was selected.
        mask_part: which ciphertext of that mask, or None.
    """

    ciphertext: Ciphertext
    support: Flags
    mask_number: int | None
    mask_part: int | None


@dataclass(frozen=True, slots=True)
class OpeningRequest:
    """What keypers are asked to open.

    Attributes:
        context: 32 bytes that name the auction and its final batch root.
        sequence: number of the opening in that context.
        purpose: what is opened, in words.
    """

    context: bytes
    epoch: int
    sequence: int
    purpose: str
    covered: CoveredCiphertext

    def share_purpose(self) -> bytes:
        """What the digests of the shares are bound to."""
        return share_purpose(self.context, self.sequence, self.purpose)


@dataclass(frozen=True, slots=True)
class ShareRequest:
    """What a keyper is asked to send of an opening: the bytes of one share."""

    opening: OpeningRequest
    share: int


@dataclass(frozen=True, slots=True)
class Revealed:
    """An opening as it is published.

    Attributes:
        values: slots in [0, t), shape (degree,).
        shares: decryption shares in share order, each of shape (level, degree).
        share_digests: what the holders announced and agreed on for each, 32 bytes.
        budget_before_bits: the least noise budget for which the flooding argument holds.
        budget_after_bits: what was left after flooding.
        liars: keypers that failed, were outvoted, or sent other bytes than they announced.
    """

    request: OpeningRequest
    values: npt.NDArray[np.int64]
    shares: tuple[Words, ...]
    share_digests: tuple[bytes, ...]
    budget_before_bits: int
    budget_after_bits: int
    liars: tuple[int, ...]

    def entry(self) -> OpeningEntry:
        """What every keyper that answered has written down of this opening."""
        covered = self.request.covered
        return OpeningEntry(
            self.request.purpose,
            covered.ciphertext.digest(),
            covered.mask_number,
            covered.mask_part,
            dict(enumerate(self.share_digests)),
        )


class ShareHolder(Numbered, Protocol):
    """What `reveal` needs of a keyper, near or far."""

    def announce(self, request: OpeningRequest) -> Mapping[int, bytes]:
        """Digests of the decryption shares that the keyper holds, by share number."""

    def send(self, request: ShareRequest) -> Words:
        """The bytes behind an announced digest, shape (level, degree)."""


def masked(
    evaluator: Evaluator, lanes: LaneCiphertext, mask: DrawnMask, part: int
) -> CoveredCiphertext:
    """Add part number `part` of a mask to lane ciphertext number `part`.

    Raises:
        UncoveredSlot: a lane that the mask does not cover.
    """
    active = mask.draw.shape.to_order(np.ones(mask.draw.shape.lanes, dtype=np.int64))[part] == 1
    outside = np.flatnonzero(lanes.support & ~active)
    if outside.size:
        raise UncoveredSlot("masked lanes", int(outside[0]))
    noise = evaluator.switch_to(
        evaluator.load(mask.order_ciphertexts[part]), lanes.ciphertext.level
    )
    total = lanes.ciphertext.add(evaluator.store(noise))
    return CoveredCiphertext(total, active, mask.draw.number, part)


def selected(
    evaluator: Evaluator, ciphertext: Ciphertext, keep: Flags, level: int
) -> CoveredCiphertext:
    """Zero every slot but those of `keep`, shape (degree,), and drop to `level`."""
    return selected_sum(evaluator, [(ciphertext, keep.astype(np.int64))], level)


def selected_sum(
    evaluator: Evaluator, terms: Sequence[tuple[Ciphertext, Lanes]], level: int
) -> CoveredCiphertext:
    """Sum of products with slot vectors, shape (degree,); slots that all of them zero are zero."""
    total = sum_of_products(terms)
    lowered = evaluator.store(evaluator.switch_to(evaluator.load(total), level))
    keep: Flags = np.any([weights != 0 for _, weights in terms], axis=0)
    return CoveredCiphertext(lowered, keep, None, None)


def reveal(request: OpeningRequest, committee: Committee, panel: Panel[ShareHolder]) -> Revealed:
    """Open a covered ciphertext with the keypers that answer.

    A keyper that fails is one that does not answer.

    Raises:
        MissingShare, HoldersDisagree: as `agree`, or no holder sends what was announced; where
            keypers failed instead of answering, the failure of the first of them.
        NoiseBudgetTooSmall: the level allows no flooding, or the result may be wrong.
        UncoveredSlot: a slot outside the support is not zero.
    """
    ciphertext = request.covered.ciphertext
    before = budget_bits_min(ciphertext.ring, ciphertext.level)
    announced = panel.ask(lambda holder: holder.announce(request))
    try:
        agreements = [_agreement(committee, share, announced.given) for share in committee.members]
    except (MissingShare, HoldersDisagree) as error:
        raise next(iter(announced.failures.values()), error) from None
    liars = {liar for agreement in agreements for liar in agreement.liars} | set(announced.failures)
    asked = announced.given.keys() | announced.failures.keys()
    candidates = {a.share: _candidates(a, asked, committee) for a in agreements}
    shares = _collect(request, agreements, panel, candidates, liars)
    decoded = combine_shares(ciphertext, shares, committee.size)
    values = slots.decode(ciphertext.ring, decoded.coefficients)
    outside = np.flatnonzero((values != 0) & ~request.covered.support)
    if outside.size:
        raise UncoveredSlot(request.purpose, int(outside[0]))
    return Revealed(
        request,
        values,
        shares,
        tuple(agreement.digest for agreement in agreements),
        before,
        decoded.budget_bits,
        tuple(sorted(liars)),
    )


def _agreement(
    committee: Committee, share: int, announced: Mapping[int, Mapping[int, bytes]]
) -> Agreement:
    digests = {i: answers[share] for i, answers in announced.items() if share in answers}
    return agree(committee, share, digests)


def _collect(
    request: OpeningRequest,
    agreements: Sequence[Agreement],
    panel: Panel[ShareHolder],
    candidates: Mapping[int, Sequence[int]],
    liars: set[int],
) -> tuple[Words, ...]:
    """The agreed shares, each from a holder that sends it; those that send else join `liars`.

    In every round each missing share is asked of one holder and no holder of two shares, so that
    the shares come from different keypers at the same time.
    """
    waiting = {share: list(keypers) for share, keypers in candidates.items()}
    collected: dict[int, Words] = {}
    while waiting:
        asked: dict[int, Agreement] = {}
        for share, left in waiting.items():
            free = next((i for i in left if i not in asked), None)
            if free is not None:
                left.remove(free)
                asked[free] = agreements[share]
        sent = _sent(request, asked, panel)
        for keyper, agreement in asked.items():
            words = sent.get(keyper)
            if words is not None and _fits(request, agreement, words):
                collected[agreement.share] = words
                del waiting[agreement.share]
            else:
                liars.add(keyper)
        for share, left in waiting.items():
            if not left:
                raise HoldersDisagree(share, tuple(sorted(candidates[share])))
    return tuple(collected[share] for share in sorted(collected))


def _sent(
    request: OpeningRequest, asked: Mapping[int, Agreement], panel: Panel[ShareHolder]
) -> Mapping[int, Words]:
    """What keypers sent, each for the one share that it was asked for."""

    def sent(holder: ShareHolder) -> Words:
        return holder.send(ShareRequest(request, asked[holder.number].share))

    return panel.ask(sent, of=asked).given


def _candidates(agreement: Agreement, asked: Collection[int], committee: Committee) -> list[int]:
    """Keypers that may send a share, beginning behind its number: those that announced no other."""
    behind = [(agreement.share + step) % committee.size for step in range(1, committee.size)]
    return [keyper for keyper in behind if keyper in asked and keyper not in agreement.liars]


def _fits(request: OpeningRequest, agreement: Agreement, words: Words) -> bool:
    """Whether an array that a keyper sent has the bytes of an agreed digest."""
    if words.shape != request.covered.ciphertext.words.shape[1:]:
        return False
    octets = np.ascontiguousarray(words).astype("<u8", copy=False).tobytes()
    digest = share_digest(agreement.share, request.share_purpose(), octets)
    return digest == agreement.digest
