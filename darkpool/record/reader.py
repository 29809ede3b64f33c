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

from collections.abc import Iterator
from pathlib import Path
from typing import Final

import numpy as np
import numpy.typing as npt

from crypto.bfv.ciphertext import Ciphertext, from_wire, level_primes, wire_size
from crypto.bfv.encryption import PublicKey
from crypto.bfv.lanes import DIGIT_VALUES, LaneShape
from crypto.ring.params import RingParameters
from crypto.threshold.keys import PublicMaterial, RingKeys, comparison_elements, order_elements
from crypto.threshold.masks import TABLE_LEVEL, Draw, DrawnMask
from darkpool.errors import MalformedRecord
from darkpool.record.files import CIPHERTEXTS
from darkpool.record.kinds import Ring
from darkpool.record.meaning import fits
from darkpool.record.opened import OpenedRecord
from darkpool.record.parts import RecordParts

KEY_BYTES_MAX: Final = 1 << 30


class Record(RecordParts):
    """A record that is read back; `load` makes it.

    What is loaded has the right form. Whether it is true, an audit finds out.
    """

    @classmethod
    def load(cls, directory: Path) -> Record:
        """Read a record's JSON, and check that everything has its form and that no file is extra.

        Raises:
            MalformedRecord: a part is missing, extra, or not exactly what its version says.
            InsecureParameters: a test-only record outside the tests.
        """
        record = cls(directory)
        for problem in record.problems:
            raise problem
        return record

    def wrong_files(self) -> Iterator[MalformedRecord]:
        """What is wrong with files whose SHA-256 is not the manifest's; reads every file."""
        expected = self._expected_names()
        for name, digest in self.manifest.files.items():
            if name not in expected:
                continue
            try:
                got = self._folder.digest(name)
            except MalformedRecord as error:
                yield error
                continue
            if got != digest:
                yield MalformedRecord(name, f"SHA-256 0x{digest.hex()}", f"SHA-256 0x{got.hex()}")

    def ciphertext(self, index: int) -> Ciphertext:
        """Read the ciphertext of the intent at a place in the batch.

        Raises:
            MalformedRecord: bytes that are no fresh ciphertext of the order ring.
        """
        ring, part = self.parameters.order_ring, f"ciphertext {index}"
        size = wire_size(ring, len(ring.data_primes))
        data = self._folder.bytes_at(CIPHERTEXTS, part, size, index * size)
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
            self._record_file.envelope_keys,
        )

    def mask(self, number: int) -> DrawnMask:
        """Read a mask, by its number.

        Raises:
            MalformedRecord: there is none, or its files are no mask of its shape.
        """
        lanes = self._lanes.get(number)
        if lanes is None:
            raise MalformedRecord("masks.json", f"mask {number}", "none")
        shape = LaneShape(self.parameters, lanes)
        ones = np.ones(shape.lanes, dtype=np.int64)
        draw = Draw(self.summary.committee.epoch, number, 0, shape, ones)
        ring, name = self.parameters.order_ring, f"masks/{number}-order.bin"
        size = shape.order_ciphertexts * wire_size(ring, len(ring.data_primes))
        data = self._folder.whole(name, size)
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
        ring = self._ring(entry.ring)
        name = f"{stem}-ciphertext.bin"
        data = self._folder.whole(name, wire_size(ring, entry.level))
        (ciphertext,) = _ciphertexts(name, data, ring, 1, entry.level)
        dimensions = (self.summary.committee.size, entry.level, ring.degree)
        primes = level_primes(ring, entry.level)
        shares = self._residues(f"{stem}-shares.npy", dimensions, primes)
        name = f"{stem}-values.npy"
        values = self._folder.array(name, "<i8", (ring.degree,))
        if values.min() < 0 or values.max() >= ring.plain_modulus:
            got = f"{values.min()} to {values.max()}"
            raise MalformedRecord(name, f"values from 0 to {ring.plain_modulus - 1}", got)
        name = f"{stem}-support.npy"
        support = self._folder.array(name, "|u1", (ring.degree,))
        if support.max() > 1:
            raise MalformedRecord(name, "0 or 1", int(support.max()))
        return OpenedRecord(entry, ciphertext, support == 1, tuple(shares), values)

    def _ring_keys(self, name: Ring, ring: RingParameters, elements: tuple[int, ...]) -> RingKeys:
        dimensions = (2, len(ring.key_primes), ring.degree)
        public = self._residues(f"material/{name}-public.npy", dimensions, ring.key_primes)
        parts = [f"material/{name}-{kind}.seal" for kind in ("relinearisation", "galois")]
        relinearisation, galois = (self._folder.whole(part, KEY_BYTES_MAX) for part in parts)
        return RingKeys(PublicKey(ring, public), relinearisation, galois, elements)

    def _residues(
        self, name: str, dimensions: tuple[int, ...], primes: tuple[int, ...]
    ) -> npt.NDArray[np.uint64]:
        """Words whose last axis but one counts the primes that each is below."""
        words = self._folder.array(name, "<u8", dimensions)
        bounds = np.array(primes, dtype=np.uint64)[:, None]
        above = words >= bounds
        if above.any():
            place = np.unravel_index(int(above.argmax()), words.shape)
            expected = f"below {primes[place[-2]]} at {', '.join(map(str, place))}"
            raise MalformedRecord(name, expected, int(words[place]))
        return words.astype(np.uint64, copy=False)


def _ciphertexts(
    part: str, data: bytes, ring: RingParameters, count: int, level: int | None = None
) -> tuple[Ciphertext, ...]:
    level = len(ring.data_primes) if level is None else level
    size = wire_size(ring, level)
    with fits(part):
        return tuple(from_wire(data[k * size : (k + 1) * size], ring, level) for k in range(count))
