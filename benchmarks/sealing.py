"""What sealing an order costs its client, its check a keyper, and its aggregation the venue.

One process, one core, rings of production, everything but the transport.
"""

import asyncio
import statistics
from dataclasses import dataclass

from benchmarks.committees import INSTRUMENT, terms_of
from benchmarks.machine import Arguments, argument_parser, sample_seconds
from crypto.bfv.aggregation import AggregateSum
from crypto.bfv.ciphertext import from_wire
from crypto.ring.params import STANDARD
from crypto.threshold.keys import KeyperSecrets, deal
from crypto.threshold.knowledge import ProofEnvelope
from crypto.threshold.replicated import Committee
from darkpool.client.sealing import PublicLimits, SealedOrder, seal_order, smallest_cap
from darkpool.client.signer import KeySigner
from darkpool.protocol.intents import LimitOrder
from darkpool.units import Interval, Lots, Side, Tick

RUNS = 60
STORED = 200


@dataclass(frozen=True, slots=True)
class Measured:
    """Seconds by run, `aggregate_s` of STORED intents; bytes of one intent."""

    seal_s: list[float]
    keyper_check_s: list[float]
    aggregate_s: list[float]
    ciphertext_bytes: int
    envelope_bytes_max: int

    def figures(self) -> dict[str, int | float]:
        """Medians in milliseconds; aggregation of one intent."""
        return {
            "seal_ms": round(1e3 * statistics.median(self.seal_s), 3),
            "keyper_check_ms": round(1e3 * statistics.median(self.keyper_check_s), 3),
            "aggregate_ms": round(1e3 * statistics.median(self.aggregate_s) / STORED, 4),
            "ciphertext_bytes": self.ciphertext_bytes,
            "envelope_bytes_max": self.envelope_bytes_max,
        }

    def samples(self) -> dict[str, list[float]]:
        """What the medians are of."""
        return {
            "seal_s": self.seal_s,
            "keyper_check_s": self.keyper_check_s,
            "aggregate_s": self.aggregate_s,
        }


def measure(keypers: int) -> Measured:
    """Seal, check and add up with a committee of 3 or 4 keypers."""
    material, held = deal(STANDARD, Committee(keypers, 0))
    terms, signer = terms_of(material, Interval(1)), KeySigner(b"\1" * 32)

    def seal() -> SealedOrder:
        order = LimitOrder(Side.BUY, Lots(25), Tick(500))
        limits = PublicLimits(2**32, smallest_cap(order.size, terms))
        return asyncio.run(seal_order(order, INSTRUMENT, terms, signer, 1, limits))

    submission = seal().submission
    ring = STANDARD.order_ring

    def check(keyper: KeyperSecrets) -> object:
        ciphertext = from_wire(submission.ciphertext, ring, len(ring.data_primes))
        envelope = submission.envelopes[keyper.keyper]
        return ProofEnvelope(submission.sealed, terms.domain, ciphertext, envelope).announce(
            keyper, material
        )

    ciphertext = from_wire(submission.ciphertext, ring, len(ring.data_primes))
    stored = [ciphertext.add(ciphertext) for _ in range(STORED)]

    def aggregate() -> object:
        running = AggregateSum(ring)
        for term in stored:
            running.add(term)
        return running.ciphertext()

    return Measured(
        seal_s=sample_seconds(seal, RUNS),
        keyper_check_s=sample_seconds(lambda: check(held[0]), RUNS),
        aggregate_s=sample_seconds(aggregate, RUNS // 4),
        ciphertext_bytes=len(submission.ciphertext),
        envelope_bytes_max=max(map(len, submission.envelopes)),
    )


def main() -> None:
    """Measure both committees and write the result."""
    arguments = argument_parser(__doc__).parse_args(namespace=Arguments())
    measured = {f"{keypers} keypers": measure(keypers) for keypers in (4, 3)}
    arguments.write(
        "sealing",
        {name: found.figures() for name, found in measured.items()},
        {name: found.samples() for name, found in measured.items()},
    )


if __name__ == "__main__":
    main()
