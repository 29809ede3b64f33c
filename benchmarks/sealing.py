"""What sealing an order costs its client, its check a keyper, and its aggregation the venue.

One process, one core, rings of production, everything but the transport.
"""

import gc
import secrets
import statistics
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from decimal import Decimal

from benchmarks.machine import write_result
from crypto.bfv.aggregation import AggregateSum
from crypto.bfv.ciphertext import from_wire
from crypto.ring.params import STANDARD
from crypto.signing.eip712 import Domain
from crypto.signing.messages import instrument_id
from crypto.threshold.keys import KeyperSecrets, PublicMaterial, deal
from crypto.threshold.knowledge import ProofEnvelope
from crypto.threshold.replicated import Committee
from darkpool.client.sealing import SealedOrder, seal_order
from darkpool.clock import SystemClock
from darkpool.protocol.intents import LimitOrder
from darkpool.protocol.terms import AuctionTerms
from darkpool.simulation.reporters import Reporter
from darkpool.units import InstrumentId, Interval, Lots, PriceGrid, Side, Tick

RUNS = 60
STORED = 200
INSTRUMENT = InstrumentId(instrument_id("ES"))


@dataclass(frozen=True, slots=True)
class Figures:
    """Milliseconds, median and smallest of the runs; bytes of one intent."""

    keypers: int
    runs: int
    seal_ms: float
    seal_ms_min: float
    keyper_check_ms: float
    keyper_check_ms_min: float
    aggregate_ms: float
    aggregate_ms_min: float
    ciphertext_bytes: int
    envelope_bytes_max: int


def timed(action: Callable[[], object], runs: int) -> tuple[float, float]:
    """Median and minimum of the milliseconds that an action takes, once warm."""
    action()
    gc.collect()
    times_ms = []
    for _ in range(runs):
        start = time.perf_counter_ns()
        action()
        times_ms.append((time.perf_counter_ns() - start) / 1e6)
    return round(statistics.median(times_ms), 3), round(min(times_ms), 3)


def _terms(material: PublicMaterial) -> AuctionTerms:
    grid = PriceGrid(Decimal("0.25"), Decimal(4805), 1024)
    domain, interval, clock = Domain(1, bytes(20)), Interval(1), SystemClock()
    reporter = Reporter(secrets.token_bytes(32), clock)
    signed = reporter.sign(grid, [INSTRUMENT], interval, domain)
    return AuctionTerms(domain, material, interval, reporter.address, signed, 2**40, ())


def measure(keypers: int) -> Figures:
    """Seal, check and add up with a committee of 3 or 4 keypers."""
    material, held = deal(STANDARD, Committee(keypers, 0))
    terms = _terms(material)

    def seal() -> SealedOrder:
        order = LimitOrder(Side.BUY, Lots(25), Tick(500))
        return seal_order(order, INSTRUMENT, terms, b"\1" * 32, nonce=1, deadline_s=2**32)

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

    seal_ms, seal_ms_min = timed(seal, RUNS)
    check_ms, check_ms_min = timed(lambda: check(held[0]), RUNS)
    aggregate_ms, aggregate_ms_min = timed(aggregate, RUNS // 4)
    return Figures(
        keypers=keypers,
        runs=RUNS,
        seal_ms=seal_ms,
        seal_ms_min=seal_ms_min,
        keyper_check_ms=check_ms,
        keyper_check_ms_min=check_ms_min,
        aggregate_ms=round(aggregate_ms / STORED, 4),
        aggregate_ms_min=round(aggregate_ms_min / STORED, 4),
        ciphertext_bytes=len(submission.ciphertext),
        envelope_bytes_max=max(map(len, submission.envelopes)),
    )


def main() -> None:
    """Measure both committees; print and keep the figures."""
    figures = {f"{keypers} keypers": asdict(measure(keypers)) for keypers in (4, 3)}
    for name, row in figures.items():
        print(
            f"{name}: seal {row['seal_ms']:.1f} ms, a keyper's check "
            f"{row['keyper_check_ms']:.1f} ms, aggregation {row['aggregate_ms']:.3f} ms an intent; "
            f"{row['ciphertext_bytes'] / 1024:.0f} KiB and at most "
            f"{row['envelope_bytes_max'] / 1024:.1f} KiB a keyper"
        )
    print(write_result("sealing", figures))


if __name__ == "__main__":
    main()
