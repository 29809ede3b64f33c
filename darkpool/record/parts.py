"""What a record says in JSON, read part by part: what one part lacks leaves the others readable."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import cached_property
from itertools import islice
from pathlib import Path
from typing import Any, Final, cast

from crypto.bfv.ciphertext import wire_size
from crypto.bfv.lanes import LaneShape
from crypto.errors import CryptoError
from crypto.ring.params import STANDARD, TEST_INSECURE_SMALL, ParameterSet, RingParameters
from crypto.threshold.replicated import Committee
from darkpool.canonical_json import JSON_BYTES_MAX, from_json
from darkpool.errors import MalformedRecord, UnreadablePart
from darkpool.record.files import CIPHERTEXTS, MANIFEST, MANIFEST_VERSION, MARGIN_FILES, Manifest
from darkpool.record.folder import EXTRA_TOLD_MAX, RecordFolder
from darkpool.record.forms import (
    RECORD_VERSION,
    AuctionSummary,
    CancellationRecord,
    EvidenceRecord,
    IntentRecord,
    IntentsFile,
    MaskRecord,
    MasksFile,
    OpeningRecord,
    OpeningsFile,
    RecordFile,
)
from darkpool.record.kinds import Ring
from darkpool.record.margin_forms import (
    MARGIN_VERSION,
    MarginInputs,
    MarketRecord,
    RiskArraysFile,
    SpecificationRecord,
)
from darkpool.record.meaning import (
    fits,
    require_below,
    require_fills,
    require_intents,
    require_openings,
    require_places,
    require_summary,
    ring_of,
)
from darkpool.units import require_kind

OPENINGS_A_PART_MAX: Final = 40
"""Openings that one intent or instrument can lead to, with room: to find a malformed intent takes
two for each halving of the batch, and to cross an instrument twice less than twenty."""

LACKING_BYTES_MAX: Final = 64 << 20
"""Of ciphertexts: intents that lack more are made up, and too many to look at."""

PARAMETER_SETS: Final = {p.name: p for p in (STANDARD, TEST_INSECURE_SMALL)}

_KEY_FILES: Final = ("public.npy", "relinearisation.seal", "galois.seal")
_MASK_FILES: Final = ("order.bin", "tables.npy")
_OPENING_FILES: Final = ("ciphertext.bin", "shares.npy", "values.npy", "support.npy")

_FORMS: Final[Mapping[str, tuple[type, int]]] = {
    MANIFEST: (Manifest, MANIFEST_VERSION),
    "record.json": (RecordFile, RECORD_VERSION),
    "intents.json": (IntentsFile, RECORD_VERSION),
    "masks.json": (MasksFile, RECORD_VERSION),
    "openings.json": (OpeningsFile, RECORD_VERSION),
    "contracts.json": (SpecificationRecord, MARGIN_VERSION),
    "market.json": (MarketRecord, MARGIN_VERSION),
    "risk.json": (RiskArraysFile, MARGIN_VERSION),
}
"""Form and version of every JSON file, in the order in which they are read."""


class RecordParts:
    """All of a record but its arrays.

    What it gives has the right form. Whether it is true, an audit finds out. Made by itself it
    reads what can be read, for an audit of the rest: `problems` are all parts that have not their
    form, and what is asked of one of these is refused.

    Attributes:
        problems: what is wrong with the form of its parts and with the names of its files.
    """

    def __init__(self, directory: Path) -> None:
        self.problems: list[MalformedRecord | CryptoError] = []
        self._folder = RecordFolder(require_kind("record", Path, directory))
        self._parts: dict[str, Any] = {}
        self._digests: dict[str, bytes] = {}
        for name, form in _FORMS.items():
            with self._keeping(name):
                self._read(name, *form)
        with self._keeping("openings.json"):
            self._require_few_openings()
        self._require_files()
        with self._keeping("record.json"):
            self._require_parameters()
        with self._keeping("intents.json"):
            self._require_room()
        with self._keeping("record.json"):
            self._require_summary()
        self._require_lists()

    @property
    def manifest(self) -> Manifest:
        """The SHA-256 of every file."""
        return cast("Manifest", self._part(MANIFEST))

    @property
    def manifest_digest(self) -> bytes:
        """SHA-256 of the manifest, which stands for the whole record."""
        self._part(MANIFEST)
        return self._digests[MANIFEST]

    @property
    def versions(self) -> dict[str, int]:
        """Of every file of JSON that has its form, by name."""
        return {name: part.version for name, part in self._parts.items()}

    @property
    def summary(self) -> AuctionSummary:
        """Terms, results and balances."""
        return self._record_file.summary

    @property
    def evidence(self) -> EvidenceRecord:
        """Who signed, and where the chain has it."""
        return self._record_file.evidence

    @property
    def parameters(self) -> ParameterSet:
        """The rings."""
        return PARAMETER_SETS[self._record_file.parameters]

    @property
    def margin(self) -> MarginInputs:
        """What margin follows from."""
        return MarginInputs(*(self._part(name) for name in MARGIN_FILES))

    @property
    def margin_digest(self) -> bytes:
        """`MarginInputs.digest`, of the files: they are spelled in one way."""
        _ = self.margin
        return hashlib.sha256(b"".join(self._digests[name] for name in MARGIN_FILES)).digest()

    @property
    def intents(self) -> tuple[IntentRecord, ...]:
        """The batch, in its order."""
        return cast("IntentsFile", self._part("intents.json")).intents

    @property
    def cancellations(self) -> tuple[CancellationRecord, ...]:
        """What came in and was taken back."""
        return cast("IntentsFile", self._part("intents.json")).cancellations

    @property
    def masks(self) -> tuple[MaskRecord, ...]:
        """The masks that were used."""
        return cast("MasksFile", self._part("masks.json")).masks

    @property
    def openings(self) -> tuple[OpeningRecord, ...]:
        """What was opened, without the arrays."""
        return cast("OpeningsFile", self._part("openings.json")).openings

    @property
    def _record_file(self) -> RecordFile:
        return cast("RecordFile", self._part("record.json"))

    def _part(self, name: str) -> Any:
        if name not in self._parts:
            raise UnreadablePart(name)
        return self._parts[name]

    @property
    def committee(self) -> Committee:
        """The committee, without its addresses."""
        return Committee(self.summary.committee.size, self.summary.committee.epoch)

    def _read(self, name: str, kind: type, version: int) -> None:
        data = self._folder.whole(name, JSON_BYTES_MAX)
        value: Any = from_json(data, kind, name)
        if value.version != version:
            raise MalformedRecord(name, f"version {version}", value.version)
        self._parts[name] = value
        self._digests[name] = hashlib.sha256(data).digest()

    @contextmanager
    def _keeping(self, name: str) -> Iterator[None]:
        """Note the error that ends the block; the part is as good as none then."""
        try:
            yield
        except UnreadablePart:
            return  # which was told
        except (MalformedRecord, CryptoError) as error:
            self.problems.append(error)
            self._parts.pop(name, None)

    def _expected_names(self) -> set[str]:
        """Names of the files of the record, as far as its lists of masks and openings tell."""
        expected = {*_FORMS, CIPHERTEXTS}
        for name in ("order", "comparison"):
            expected |= {f"material/{name}-{kind}" for kind in _KEY_FILES}
        for number in self._lanes:
            expected |= {f"masks/{number}-{kind}" for kind in _MASK_FILES}
        if "openings.json" in self._parts:
            for index in range(len(self.openings)):
                expected |= {f"openings/{index}-{kind}" for kind in _OPENING_FILES}
        return expected

    @cached_property
    def _lanes(self) -> Mapping[int, int]:
        """Lanes of the masks, by number; the first counts where one is listed twice."""
        masks = self.masks if "masks.json" in self._parts else ()
        return {mask.number: mask.lanes for mask in reversed(masks)}

    def _require_few_openings(self) -> None:
        """Check that no more openings are listed than an auction makes: each names four files."""
        parts = 1
        if "intents.json" in self._parts:
            parts += len(self.intents)
        if "record.json" in self._parts:
            parts += len(self.summary.instruments)
        require_below("openings.json", OPENINGS_A_PART_MAX * parts + 1, [len(self.openings)])

    def _require_files(self) -> None:
        """Check the names of files, of the manifest and of the folder."""
        expected = self._expected_names()
        lists = {"masks": "masks.json", "openings": "openings.json"}
        unread = {folder for folder, name in lists.items() if name not in self._parts}
        if MANIFEST in self._parts:
            wrong = (
                f"{name} {'missing' if name in expected else 'extra'}"
                for name in sorted({*self.manifest.files, MANIFEST} ^ expected)
                if name in expected or name.partition("/")[0] not in unread
            )
            self.problems += [
                MalformedRecord(MANIFEST, "exactly its files", got)
                for got in islice(wrong, EXTRA_TOLD_MAX)
            ]
        told = {problem.subject for problem in self.problems} & {*_FORMS}
        missing = {f"{name} missing" for name in told}
        self.problems += [
            problem
            for problem in self._folder.problems(expected, unread)
            if problem.subject not in told and problem.got not in missing
        ]

    def _require_parameters(self) -> None:
        parameters = self._record_file.parameters
        if parameters not in PARAMETER_SETS:
            raise MalformedRecord("parameters", " or ".join(PARAMETER_SETS), parameters)
        self.parameters.require_usable()

    def _require_room(self) -> None:
        """Check that there are as many ciphertexts as intents."""
        ring = self.parameters.order_ring
        size = len(self.intents) * wire_size(ring, len(ring.data_primes))
        got = 0
        try:
            got = self._folder.size(CIPHERTEXTS)
            if got != size:
                raise MalformedRecord(CIPHERTEXTS, f"{size} bytes", got)
        except MalformedRecord as error:
            if error.subject not in {problem.subject for problem in self.problems}:
                self.problems.append(error)
        if size - got > LACKING_BYTES_MAX:
            expected = f"intents whose ciphertexts have {got} bytes"
            raise MalformedRecord("intents.json", expected, f"{len(self.intents)} intents")

    def _require_summary(self) -> None:
        """Check what numbers of `record.json` mean by themselves: keypers, sizes, places."""
        require_summary(self, len(self._record_file.envelope_keys))
        if "intents.json" in self._parts:
            require_places(self)
        require_fills(self)

    def _require_lists(self) -> None:
        """Check what numbers mean beside those of other files."""
        with self._keeping("intents.json"):
            require_intents(self)
        with self._keeping("masks.json"):
            for mask in self.masks:
                name = f"mask {mask.number}, attestations"
                require_below(name, self.committee.size, mask.attestations)
                with fits(f"mask {mask.number}"):
                    LaneShape(self.parameters, mask.lanes)
        with self._keeping("openings.json"):
            require_openings(self)

    def _ring(self, name: Ring) -> RingParameters:
        return ring_of(self, name)
