"""What an auction publishes: everything that an auditor needs, and nothing that was not opened.

A record is a folder of these files, all named in `manifest.json` with their SHA-256:

| file | what |
| --- | --- |
| `record.json` | terms, results, fills, collateral, signatures, evidence of the chain |
| `contracts.json` | specification: contracts and risk parameters |
| `market.json` | prices that margin is computed at, with the signed reports they come from |
| `risk.json` | what a unit of each contract is worth now, and in each scenario of margin |
| `intents.json` | sealed intents and their accounts' signatures, in batch order |
| `ciphertexts.bin` | their ciphertexts in wire form, one after the other, in the same order |
| `material/*` | public, relinearisation and Galois keys of the epoch |
| `masks.json`, `masks/*` | masks that were used, and the keypers' signatures on them |
| `openings.json`, `openings/*` | every ciphertext that was opened, with all shares and values |

`docs/record.md` says every field. Big files are read only when they are asked for.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final, TypeVar

import numpy as np
import numpy.typing as npt

from crypto.bfv.ciphertext import Ciphertext, from_wire, level_primes, wire_size
from crypto.bfv.encryption import PublicKey
from crypto.bfv.lanes import DIGIT_VALUES, LaneShape
from crypto.errors import CryptoError
from crypto.ring.params import STANDARD, TEST_INSECURE_SMALL, RingParameters
from crypto.ring.ring import Words
from crypto.threshold.keys import PublicMaterial, RingKeys, comparison_elements, order_elements
from crypto.threshold.masks import TABLE_LEVEL, Draw, DrawnMask
from crypto.threshold.replicated import Committee
from darkpool.canonical_json import JSON_BYTES_MAX, from_json
from darkpool.errors import MalformedRecord
from darkpool.record.files import (
    CIPHERTEXTS,
    MANIFEST,
    MANIFEST_VERSION,
    MARGIN_FILES,
    Manifest,
    file_digest,
    files_of,
    read_bytes,
    read_npy,
    read_whole,
)
from darkpool.record.forms import (
    RECORD_VERSION,
    IntentsFile,
    MasksFile,
    OpeningRecord,
    OpeningsFile,
    RecordFile,
    Ring,
)
from darkpool.record.margin_forms import (
    MARGIN_VERSION,
    MarginInputs,
    MarketRecord,
    RiskArraysFile,
    SpecificationRecord,
)

KEY_BYTES_MAX: Final = 1 << 30
PARAMETER_SETS: Final = {p.name: p for p in (STANDARD, TEST_INSECURE_SMALL)}

_KEY_FILES: Final = ("public.npy", "relinearisation.seal", "galois.seal")
_MASK_FILES: Final = ("order.bin", "tables.npy")
_OPENING_FILES: Final = ("ciphertext.bin", "shares.npy", "values.npy", "support.npy")

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class OpenedRecord:
    """An opening with its arrays.

    Attributes:
        support: slots that may be other than zero, shape (degree,).
        shares: in share order, each of shape (level, degree).
        values: slots in [0, t), shape (degree,).
    """

    entry: OpeningRecord
    ciphertext: Ciphertext
    support: npt.NDArray[np.bool_]
    shares: tuple[Words, ...]
    values: npt.NDArray[np.int64]


class Record:
    """A record that is read back; `load` makes it.

    What is loaded has the right form. Whether it is true, an audit finds out.
    """

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self.manifest = _load(directory, MANIFEST, Manifest)
        if self.manifest.version != MANIFEST_VERSION:
            raise MalformedRecord(MANIFEST, f"version {MANIFEST_VERSION}", self.manifest.version)
        record = _load(directory, "record.json", RecordFile)
        if record.parameters not in PARAMETER_SETS:
            raise MalformedRecord("parameters", " or ".join(PARAMETER_SETS), record.parameters)
        self.summary = record.summary
        self.parameters = PARAMETER_SETS[record.parameters]
        self._envelope_keys = record.envelope_keys
        intents = _load(directory, "intents.json", IntentsFile)
        masks = _load(directory, "masks.json", MasksFile)
        openings = _load(directory, "openings.json", OpeningsFile)
        for name, version in (
            ("record.json", record.version),
            ("intents.json", intents.version),
            ("masks.json", masks.version),
            ("openings.json", openings.version),
        ):
            if version != RECORD_VERSION:
                raise MalformedRecord(name, f"version {RECORD_VERSION}", version)
        self.margin = MarginInputs(
            _load(directory, "contracts.json", SpecificationRecord),
            _load(directory, "market.json", MarketRecord),
            _load(directory, "risk.json", RiskArraysFile),
        )
        for name, version in zip(MARGIN_FILES, self.margin.versions(), strict=True):
            if version != MARGIN_VERSION:
                raise MalformedRecord(name, f"version {MARGIN_VERSION}", version)
        self.intents = intents.intents
        self.cancellations = intents.cancellations
        self.masks = masks.masks
        self.openings = openings.openings

    @classmethod
    def load(cls, directory: Path) -> Record:
        """Read a record's JSON, and check that everything has its form and that no file is extra.

        Raises:
            MalformedRecord: a part is missing, extra, or not exactly what its version says.
            InsecureParameters: a test-only record outside the tests.
        """
        record = cls(directory)
        record.parameters.require_usable()
        record._require_files()
        record._require_form()
        return record

    @property
    def committee(self) -> Committee:
        """The committee, without its addresses."""
        return Committee(self.summary.committee.size, self.summary.committee.epoch)

    def wrong_files(self) -> Iterator[MalformedRecord]:
        """What is wrong with files whose SHA-256 is not the manifest's; reads every file.

        Raises:
            MalformedRecord: a file cannot be read.
        """
        for name, digest in self.manifest.files.items():
            got = file_digest(self._directory / name, name)
            if got != digest:
                yield MalformedRecord(name, f"SHA-256 {digest.hex()}", f"SHA-256 {got.hex()}")

    def ciphertext(self, index: int) -> Ciphertext:
        """Read the ciphertext of the intent at a place in the batch.

        Raises:
            MalformedRecord: bytes that are no fresh ciphertext of the order ring.
        """
        ring, part = self.parameters.order_ring, f"ciphertext {index}"
        size = wire_size(ring, len(ring.data_primes))
        data = read_bytes(self._directory / CIPHERTEXTS, part, size, index * size)
        return _ciphertexts(part, data, ring, 1)[0]

    def material(self) -> PublicMaterial:
        """Read the public keys.

        Raises:
            MalformedRecord: files that are no keys of these rings.
        """
        rings = self.parameters
        return PublicMaterial(
            rings,
            self.committee,
            self._ring_keys("order", rings.order_ring, order_elements(rings.order_ring)),
            self._ring_keys(
                "comparison", rings.comparison_ring, comparison_elements(rings.comparison_ring)
            ),
            self._envelope_keys,
        )

    def mask(self, number: int) -> DrawnMask:
        """Read a mask, by its number.

        Raises:
            MalformedRecord: there is none, or its files are no mask of its shape.
        """
        entry = next((mask for mask in self.masks if mask.number == number), None)
        if entry is None:
            raise MalformedRecord("masks.json", f"mask {number}", "none")
        shape = LaneShape(self.parameters, entry.lanes)
        ones = np.ones(shape.lanes, dtype=np.int64)
        draw = Draw(self.summary.committee.epoch, number, 0, shape, ones)
        ring, name = self.parameters.order_ring, f"masks/{number}-order.bin"
        size = shape.order_ciphertexts * wire_size(ring, len(ring.data_primes))
        data = read_whole(self._directory / name, name, size)
        order = _ciphertexts(name, data, ring, shape.order_ciphertexts)
        ring, name = self.parameters.comparison_ring, f"masks/{number}-tables.npy"
        dimensions = (shape.positions, DIGIT_VALUES, 2, TABLE_LEVEL, ring.degree)
        tables = self._residues(name, dimensions, level_primes(ring, TABLE_LEVEL))
        return DrawnMask(draw, order, tables)

    def opening(self, index: int) -> OpenedRecord:
        """Read the opening at a place in the list.

        Raises:
            MalformedRecord: its files are no opening of its ring and level.
        """
        entry, stem = self.openings[index], f"openings/{index}"
        ring = (
            self.parameters.order_ring if entry.ring == "order" else self.parameters.comparison_ring
        )
        name = f"{stem}-ciphertext.bin"
        data = read_whole(self._directory / name, name, wire_size(ring, entry.level))
        (ciphertext,) = _ciphertexts(name, data, ring, 1, entry.level)
        dimensions = (self.summary.committee.size, entry.level, ring.degree)
        primes = level_primes(ring, entry.level)
        shares = self._residues(f"{stem}-shares.npy", dimensions, primes)
        name = f"{stem}-values.npy"
        values = read_npy(self._directory / name, name, "<i8", (ring.degree,))
        if values.min() < 0 or values.max() >= ring.plain_modulus:
            got = f"{values.min()} to {values.max()}"
            raise MalformedRecord(name, f"values from 0 to {ring.plain_modulus - 1}", got)
        name = f"{stem}-support.npy"
        support = read_npy(self._directory / name, name, "|u1", (ring.degree,))
        if support.max() > 1:
            raise MalformedRecord(name, "0 or 1", int(support.max()))
        return OpenedRecord(entry, ciphertext, support == 1, tuple(shares), values)

    def _ring_keys(self, name: Ring, ring: RingParameters, elements: tuple[int, ...]) -> RingKeys:
        dimensions = (2, len(ring.key_primes), ring.degree)
        public = self._residues(f"material/{name}-public.npy", dimensions, ring.key_primes)
        parts = [f"material/{name}-{kind}.seal" for kind in ("relinearisation", "galois")]
        relinearisation, galois = (
            read_whole(self._directory / part, part, KEY_BYTES_MAX) for part in parts
        )
        return RingKeys(PublicKey(ring, public), relinearisation, galois, elements)

    def _residues(
        self, name: str, dimensions: tuple[int, ...], primes: tuple[int, ...]
    ) -> npt.NDArray[np.uint64]:
        """Words whose last axis but one counts the primes that each is below."""
        words = read_npy(self._directory / name, name, "<u8", dimensions)
        bounds = np.array(primes, dtype=np.uint64)[:, None]
        above = words >= bounds
        if above.any():
            raise MalformedRecord(name, f"residues below {primes}", int(words[above][0]))
        return words.astype(np.uint64, copy=False)

    def _require_files(self) -> None:
        self.manifest.require_names()
        named = {*self.manifest.files, MANIFEST}
        expected = {MANIFEST, "record.json", "intents.json", "masks.json", "openings.json"}
        expected |= {CIPHERTEXTS, *MARGIN_FILES}
        for name in ("order", "comparison"):
            expected |= {f"material/{name}-{kind}" for kind in _KEY_FILES}
        for mask in self.masks:
            expected |= {f"masks/{mask.number}-{kind}" for kind in _MASK_FILES}
        for index in range(len(self.openings)):
            expected |= {f"openings/{index}-{kind}" for kind in _OPENING_FILES}
        for what, names in ((MANIFEST, named), ("files", files_of(self._directory))):
            if names != expected:
                difference = min(names ^ expected)
                kind = "extra" if difference in names else "missing"
                raise MalformedRecord(what, "exactly its files", f"{difference} {kind}")
        ring = self.parameters.order_ring
        size = len(self.intents) * wire_size(ring, len(ring.data_primes))
        got = (self._directory / CIPHERTEXTS).stat().st_size
        if got != size:
            raise MalformedRecord(CIPHERTEXTS, f"{size} bytes", got)

    def _require_form(self) -> None:
        """Check what numbers mean: places, keypers, sizes of committee and grid."""
        summary = self.summary
        n, count = summary.committee.size, len(self.intents)
        with _fits("committee"):
            _ = self.committee
        _require("committee.addresses", n, len(summary.committee.addresses))
        _require("beacon_shares", n, len(summary.beacon_shares))
        _require("envelope_keys", n, len(self._envelope_keys))
        _require_below("ticks", self.parameters.ticks_max + 1, [summary.ticks])
        _require("references", len(summary.instruments), len(summary.references))
        for name, signatures in (
            ("batch.signatures", summary.batch.signatures),
            ("settlement.signatures", summary.settlement.signatures),
            ("transcripts", summary.transcripts),
            *((f"mask {mask.number}, attestations", mask.attestations) for mask in self.masks),
            *((f"intent {i}, certificate", one.certificate) for i, one in enumerate(self.intents)),
        ):
            _require_below(name, n, signatures)
        for instrument in summary.instruments:
            _require_below(f"instrument {instrument.name}, intents", count, instrument.intents)
        _require_below("rejections", count, [entry.intent for entry in summary.rejections])
        for i, fill in enumerate(summary.fills):
            _require_below(f"fill {i}, instrument", len(summary.instruments), [fill.instrument])
            members = summary.instruments[fill.instrument].intents
            _require_below(f"fill {i}, intent", len(members), [fill.intent])
        for i, intent in enumerate(self.intents):
            with _fits(f"intent {i}"):
                intent.sealed.digest(summary.venue.domain())
        for i, cancelled in enumerate(self.cancellations):
            with _fits(f"cancellation {i}"):
                cancelled.cancellation.digest(summary.venue.domain())
        for mask in self.masks:
            with _fits(f"mask {mask.number}"):
                LaneShape(self.parameters, mask.lanes)
        for i, entry in enumerate(self.openings):
            ring = (
                self.parameters.order_ring
                if entry.ring == "order"
                else self.parameters.comparison_ring
            )
            with _fits(f"opening {i}"):
                level_primes(ring, entry.level)


def _load(directory: Path, name: str, kind: type[T]) -> T:
    return from_json(read_whole(directory / name, name, JSON_BYTES_MAX), kind, name)


def _ciphertexts(
    part: str, data: bytes, ring: RingParameters, count: int, level: int | None = None
) -> tuple[Ciphertext, ...]:
    level = len(ring.data_primes) if level is None else level
    size = wire_size(ring, level)
    with _fits(part):
        return tuple(from_wire(data[k * size : (k + 1) * size], ring, level) for k in range(count))


@contextmanager
def _fits(part: str) -> Iterator[None]:
    try:
        yield
    except CryptoError as error:
        raise MalformedRecord(part, "what its parameters allow", error) from error


def _require(part: str, expected: int, got: int) -> None:
    if got != expected:
        raise MalformedRecord(part, f"{expected} entries", got)


def _require_below(part: str, bound: int, numbers: Iterable[int]) -> None:
    for number in numbers:
        if number >= bound:
            raise MalformedRecord(part, f"numbers below {bound}", number)
