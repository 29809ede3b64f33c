"""Admission of sealed intents: the shape check's cost, the operator's part, and the whole.

* The shape check of one intent on one core: its products on arrival, and its part of the weighted
  sums after close.
* The operator's part, sustained: signatures, parsing, the durable register, and what two workers
  compute of every intent, one full interval after the other; the shape sums of each are computed
  when it ends. Workers' results lie in memory (/dev/shm), and are written over from interval to
  interval. Clients seal before the clock starts. The keypers' checks are not in it.
* The whole, sealing left out: four keypers of this process check and certify as well.

`--minutes N` sets how long the operator's part goes on; the result file wants 5.
"""

import asyncio
import secrets
import statistics
import tempfile
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass, replace
from itertools import count
from multiprocessing import active_children
from pathlib import Path

import numpy as np

from benchmarks.committees import GRID, INSTRUMENT, Bench, start
from benchmarks.machine import Arguments, Figures, Samples, argument_parser, peak_memory_mib
from crypto.bfv.ciphertext import Ciphertext, from_wire, to_wire
from crypto.circuits.wellformed import COMBINATIONS, ShapeSum, shape_weights, shape_words
from crypto.ring.params import STANDARD
from crypto.signing.ecdsa import address_of, sign
from darkpool.admission.admit import Admission
from darkpool.admission.register import AdmissionRegister
from darkpool.auction.instruments import Instruments
from darkpool.client.sealing import PublicLimits, seal_order
from darkpool.client.signer import KeySigner
from darkpool.clock import SystemClock
from darkpool.crossing.arrivals import Arrivals
from darkpool.protocol.checks import parse_ciphertext, verify_sealed_intent
from darkpool.protocol.intents import LimitOrder, ProvenIntent, SealedSubmission
from darkpool.protocol.terms import IntervalTerms
from darkpool.units import Interval, Lots, Side, Tick

INTENTS = 1000
SEALED = 32
WHOLE = 200
WORKERS = 2


@dataclass(frozen=True, slots=True)
class Clients:
    """Submissions of many accounts, made from a few orders that were sealed for good."""

    submissions: Sequence[SealedSubmission]

    def of_interval(self, terms: IntervalTerms, count: int) -> list[SealedSubmission]:
        """As many submissions, each of an account of its own and with a ciphertext of its own.

        Two bits of the ciphertext differ: it costs the operator the same, and no proof could pass.
        """
        made = []
        for number in range(count):
            base = self.submissions[number % len(self.submissions)]
            words = from_wire(base.ciphertext, STANDARD.order_ring, 4).words.copy()
            for prime in (0, 1):
                words[0, prime, secrets.randbelow(STANDARD.order_ring.degree)] ^= np.uint64(1)
            ciphertext = Ciphertext(STANDARD.order_ring, words % _primes())
            key = secrets.token_bytes(32)
            sealed = replace(
                base.sealed,
                account=address_of(key),
                interval=terms.interval,
                ciphertext_digest=ciphertext.digest(),
            )
            signature = sign(sealed.digest(terms.domain), key)
            made.append(SealedSubmission(sealed, signature, to_wire(ciphertext), base.envelopes))
        return made


def _primes() -> np.ndarray[tuple[int, ...], np.dtype[np.uint64]]:
    return np.array(STANDARD.order_ring.data_primes, dtype=np.uint64)[None, :, None]


def _terms(bench: Bench, interval: int) -> IntervalTerms:
    return bench.terms(Interval(interval), SystemClock().unix_ms() + 3_600_000)


def _sealed(terms: IntervalTerms, count: int) -> list[SealedSubmission]:
    deadline_s = SystemClock().unix_ms() // 1000 + 86_400
    orders = (LimitOrder(Side(k % 2), Lots(k % 50), Tick(500 + k % 20)) for k in range(count))
    limits = PublicLimits(deadline_s, Lots(100))

    async def sealed() -> list[SealedSubmission]:
        signers = (KeySigner(secrets.token_bytes(32)) for _ in range(count))
        return [
            (await seal_order(order, INSTRUMENT, terms, signer, k, limits)).submission
            for k, (order, signer) in enumerate(zip(orders, signers, strict=True))
        ]

    return asyncio.run(sealed())


@dataclass(frozen=True, slots=True)
class ShapeCost:
    """Seconds: of each intent on arrival, of the sums of INTENTS, and of what a sum takes once."""

    arrival_s: list[float]
    sums_s: float
    once_s: float

    def figures(self) -> dict[str, float]:
        """Milliseconds for each intent."""
        arrival_ms = 1000 * statistics.median(self.arrival_s)
        sums_ms = 1000 * self.sums_s / INTENTS
        return {
            "on_arrival_ms": round(arrival_ms, 2),
            "sums_after_close_ms": round(sums_ms, 2),
            "an_intent_ms": round(arrival_ms + sums_ms, 2),
            "once_a_sum_ms": round(1000 * self.once_s, 1),
        }


def shape_check(bench: Bench, submissions: Sequence[SealedSubmission]) -> ShapeCost:
    """What one core takes."""
    ring = STANDARD.order_ring
    ciphertexts = [from_wire(s.ciphertext, ring, 4) for s in submissions]
    shape_words(bench.evaluators.order, ciphertexts[0])
    times, words = [], []
    for ciphertext in ciphertexts:
        begin = time.perf_counter()
        words.append(shape_words(bench.evaluators.order, ciphertext))
        times.append(time.perf_counter() - begin)
    rows = [k % len(words) for k in range(INTENTS)]
    weights, stacked = shape_weights(ring, secrets.token_bytes(32), INTENTS), np.stack(words)
    begin = time.perf_counter()
    for combination in range(COMBINATIONS):
        total = ShapeSum(ring)
        total.add(stacked, rows, weights[combination].tolist())
    sums_s = time.perf_counter() - begin
    begin = time.perf_counter()
    total.covered(bench.evaluators.order, GRID.ticks)
    once_s = time.perf_counter() - begin
    return ShapeCost(times, sums_s, once_s)


def _memory_mib() -> int:
    """Resident memory of this process and its children that no file backs."""
    total = 0
    for pid in ("self", *(str(child.pid) for child in active_children())):
        for line in Path(f"/proc/{pid}/status").read_text(encoding="ascii").splitlines():
            if line.startswith("RssAnon:"):
                total += int(line.split()[1])
    return total // 1024


@dataclass(frozen=True, slots=True)
class Measured:
    """One interval of the operator's part: seconds, and memory at its end."""

    seconds: float
    memory_mib: int


def operators_part(bench: Bench, clients: Clients, minutes: float, state: Path) -> list[Measured]:
    """Intervals of INTENTS intents, until they have taken so many minutes; one warms up before."""
    intervals: list[Measured] = []
    with ExitStack() as stack:
        register = AdmissionRegister(state / "register.sqlite")
        stack.callback(register.close)
        keys = bench.material.order_keys
        memory = Path(stack.enter_context(tempfile.TemporaryDirectory(dir="/dev/shm")))
        arrivals = stack.enter_context(Arrivals(keys, memory / "arrivals", INTENTS, WORKERS))
        for number in count(1):
            terms = _terms(bench, number)
            submissions = clients.of_interval(terms, INTENTS)
            begin = time.perf_counter()
            _interval(bench, terms, register, submissions, arrivals)
            seconds = time.perf_counter() - begin
            intervals.append(Measured(seconds, _memory_mib()))
            for row in reversed(range(INTENTS)):
                arrivals.release(row)
            rate = INTENTS / seconds
            print(f"interval {number}: {rate:.1f} a second, {_memory_mib()} MiB", flush=True)
            if sum(interval.seconds for interval in intervals[1:]) >= 60 * minutes:
                break
    return intervals[1:]


def _interval(
    bench: Bench,
    terms: IntervalTerms,
    register: AdmissionRegister,
    submissions: Sequence[SealedSubmission],
    arrivals: Arrivals,
) -> None:
    instruments = Instruments(bench.evaluators.order, arrivals, terms.grids)
    for submission in submissions:
        sealed = submission.sealed
        digest = verify_sealed_intent(sealed, submission.signature, terms)
        owner = terms.rules.owner_of(sealed.account)
        register.require_new(sealed, owner, INTENTS)
        ciphertext = parse_ciphertext(submission, terms)
        register.record(sealed, owner, INTENTS)
        instruments.add(ProvenIntent(sealed, submission.signature, digest, ciphertext, ()))
    instruments.gather(wait=True)
    weights = shape_weights(STANDARD.order_ring, secrets.token_bytes(32), INTENTS).tolist()

    def summed(combination: int) -> ShapeSum:
        total = ShapeSum(STANDARD.order_ring)
        total.add(arrivals.shape, range(INTENTS), weights[combination])
        return total

    with ThreadPoolExecutor(COMBINATIONS) as threads:
        sums = list(threads.map(summed, range(COMBINATIONS)))
    for total in sums:
        total.covered(bench.evaluators.order, GRID.ticks)


def the_whole(bench: Bench, state: Path) -> float:
    """Seconds of WHOLE intents, the checks and certificates of four local keypers included."""
    terms = _terms(bench, 1_000_000)
    submissions = _sealed(terms, WHOLE)
    register = AdmissionRegister(state / "whole.sqlite")
    with Arrivals(bench.material.order_keys, state / "whole", WHOLE, WORKERS) as arrivals:
        arrivals.start()
        instruments = Instruments(bench.evaluators.order, arrivals, terms.grids)
        admission = Admission(terms, SystemClock(), bench.committee.panel, register)
        begin = time.perf_counter()
        for submission in submissions:
            proven = admission.prove(submission)
            instruments.add(proven)
            admission.certify(proven)
        instruments.gather(wait=True)
        seconds = time.perf_counter() - begin
    register.close()
    return seconds


class AdmissionArguments(Arguments):
    """With the minutes that the operator's part goes on."""

    minutes: float


def main() -> None:
    """Measure and write the result."""
    parser = argument_parser(__doc__)
    parser.add_argument("--minutes", type=float, default=5.0)
    arguments = parser.parse_args(namespace=AdmissionArguments())
    with tempfile.TemporaryDirectory() as directory:
        state = Path(directory)
        bench = start(state)
        submissions = _sealed(_terms(bench, 0), SEALED)
        shape = shape_check(bench, submissions)
        print(f"shape check: {shape.figures()}", flush=True)
        whole_s = the_whole(bench, state)
        print(f"the whole: {WHOLE / whole_s:.1f} a second", flush=True)
        intervals = operators_part(bench, Clients(submissions), arguments.minutes, state)
    seconds = [interval.seconds for interval in intervals]
    memory = [interval.memory_mib for interval in intervals]
    figures: Figures = {
        "shape_check": shape.figures(),
        "operator": {
            "minutes": round(sum(seconds) / 60, 1),
            "intents_a_second": round(len(seconds) * INTENTS / sum(seconds), 1),
            "slowest_interval": round(INTENTS / max(seconds), 1),
            "memory_first_mib": memory[0],
            "memory_last_mib": memory[-1],
        },
        "with_four_keypers": {"intents_a_second": round(WHOLE / whole_s, 1)},
        "peak_memory_mib": peak_memory_mib(),
    }
    samples: Samples = {
        "shape_check": {"on_arrival_s": shape.arrival_s},
        "operator": {"interval_s": seconds, "memory_mib": memory},
        "with_four_keypers": {"all_intents_s": [whole_s]},
    }
    arguments.write("admission", figures, samples)


if __name__ == "__main__":
    main()
