"""What a keyper must never forget: roots it signed, numbers it used, what it opened, certified.

One SQLite file a keyper, every write synced before the caller goes on, so that a crash at any point
leaves the promise kept: one batch root an interval for ever, a mask number never twice, no part
of a mask over two ciphertexts, and an opening written down before its shares exist.
"""

from __future__ import annotations

import hashlib
import sqlite3
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from crypto.threshold.attestation import OpeningEntry
from crypto.threshold.revealing import OpeningRequest
from darkpool.durable import open_database, transaction
from darkpool.keyper.admission_store import AdmissionStore
from darkpool.keyper.errors import Equivocation
from darkpool.limits import KEY_EPOCH_OPENINGS_MAX
from darkpool.protocol.refusals import MaskUsed, OpeningRefused
from darkpool.units import Interval

_SCHEMA: Final = """
CREATE TABLE IF NOT EXISTS signed_batches (interval INTEGER PRIMARY KEY, message BLOB NOT NULL);
CREATE TABLE IF NOT EXISTS settlements (
    interval INTEGER PRIMARY KEY, digest BLOB NOT NULL, leaves BLOB NOT NULL);
CREATE TABLE IF NOT EXISTS rotations (epoch INTEGER PRIMARY KEY, digest BLOB NOT NULL);
CREATE TABLE IF NOT EXISTS masks (
    epoch INTEGER NOT NULL, number INTEGER NOT NULL, digest BLOB, parts INTEGER, context BLOB,
    PRIMARY KEY (epoch, number));
CREATE TABLE IF NOT EXISTS openings (
    context BLOB NOT NULL, sequence INTEGER NOT NULL, epoch INTEGER NOT NULL,
    purpose TEXT NOT NULL, ciphertext BLOB NOT NULL, mask INTEGER, part INTEGER, shares BLOB,
    PRIMARY KEY (context, sequence), UNIQUE (epoch, mask, part),
    CHECK ((mask IS NULL) = (part IS NULL)));
CREATE TABLE IF NOT EXISTS transcripts (context BLOB PRIMARY KEY, digest BLOB NOT NULL);
"""


class KeyperStore:
    """The durable memory of one keyper."""

    def __init__(self, path: Path) -> None:
        self._connection = open_database(path, _SCHEMA)
        self.admissions = AdmissionStore(self._connection)

    def close(self) -> None:
        """Release the file."""
        self._connection.close()

    def sign_batch_once(self, interval: Interval, message: bytes) -> None:
        """Remember the one batch of an interval, by the struct hash of what is signed.

        Raises:
            Equivocation: another one was signed for it.
        """
        with transaction(self._connection) as cursor:
            cursor.execute(
                "INSERT OR IGNORE INTO signed_batches VALUES (?, ?)", (interval, message)
            )
            (known,) = cursor.execute(
                "SELECT message FROM signed_batches WHERE interval = ?", (interval,)
            ).fetchone()
            if known != message:
                raise Equivocation("batch root", interval, known, message)

    def sign_settlement_once(self, interval: Interval, digest: bytes, leaves: bytes) -> None:
        """Remember the one settlement of an interval, and its leaves.

        Raises:
            Equivocation: another one was signed.
        """
        with transaction(self._connection) as cursor:
            cursor.execute(
                "INSERT OR IGNORE INTO settlements VALUES (?, ?, ?)", (interval, digest, leaves)
            )
            (known,) = cursor.execute(
                "SELECT digest FROM settlements WHERE interval = ?", (interval,)
            ).fetchone()
            if known != digest:
                raise Equivocation("settlement", interval, known, digest)

    def sign_rotation_once(self, epoch: int, digest: bytes) -> None:
        """Remember the one rotation of an epoch.

        Raises:
            Equivocation: another one was signed.
        """
        with transaction(self._connection) as cursor:
            cursor.execute("INSERT OR IGNORE INTO rotations VALUES (?, ?)", (epoch, digest))
            (known,) = cursor.execute(
                "SELECT digest FROM rotations WHERE epoch = ?", (epoch,)
            ).fetchone()
            if known != digest:
                raise Equivocation("rotation", epoch, known, digest)

    def leaves(self, interval: Interval) -> bytes | None:
        """The leaves of the settlement that was signed for an interval, if any."""
        row = self._connection.execute(
            "SELECT leaves FROM settlements WHERE interval = ?", (interval,)
        ).fetchone()
        return None if row is None else bytes(row[0])

    def signed_batch(self, interval: Interval) -> bytes | None:
        """Struct hash of the batch signed for an interval, if any."""
        row = self._connection.execute(
            "SELECT message FROM signed_batches WHERE interval = ?", (interval,)
        ).fetchone()
        return None if row is None else bytes(row[0])

    def require_finished(self, epoch: int, number: int, digest: bytes) -> None:
        """Check that a mask is what this keyper attested, and bound to no auction.

        Raises:
            MaskUsed: it is not.
        """
        known = self._unused_mask(self._connection.cursor(), epoch, number)
        if known != digest:
            got = "in preparation" if known is None else known.hex()
            raise MaskUsed(number, digest.hex(), got)

    def issue_mask(self, epoch: int, number: int) -> None:
        """Mark a mask number as issued, before anything is drawn from it.

        Raises:
            MaskUsed: it was issued before.
        """
        try:
            with transaction(self._connection) as cursor:
                cursor.execute("INSERT INTO masks (epoch, number) VALUES (?, ?)", (epoch, number))
        except sqlite3.IntegrityError as error:
            raise MaskUsed(number, f"a number new to epoch {epoch}", "issued before") from error

    def next_mask(self, epoch: int) -> int:
        """The smallest number above all that were issued in an epoch."""
        (highest,) = self._connection.execute(
            "SELECT MAX(number) FROM masks WHERE epoch = ?", (epoch,)
        ).fetchone()
        return 0 if highest is None else int(highest) + 1

    def finish_mask(self, epoch: int, number: int, digest: bytes, parts: int) -> None:
        """Note what a mask has become; its preparation is over.

        Raises:
            MaskUsed: it was not issued, is bound already, or has become another one.
        """
        with transaction(self._connection) as cursor:
            known = self._unused_mask(cursor, epoch, number)
            if known is not None and known != digest:
                raise MaskUsed(number, known.hex(), digest.hex())
            cursor.execute(
                "UPDATE masks SET digest = ?, parts = ? WHERE epoch = ? AND number = ?",
                (digest, parts, epoch, number),
            )

    def consume_mask(self, epoch: int, number: int, context: bytes) -> None:
        """Bind a finished mask to the one context whose values it may cover.

        Raises:
            MaskUsed: it was not issued, is not finished, or is bound already.
        """
        with transaction(self._connection) as cursor:
            if self._unused_mask(cursor, epoch, number) is None:
                raise MaskUsed(number, "prepared", "still in preparation")
            cursor.execute(
                "UPDATE masks SET context = ? WHERE epoch = ? AND number = ?",
                (context, epoch, number),
            )

    def _unused_mask(self, cursor: sqlite3.Cursor, epoch: int, number: int) -> bytes | None:
        """Digest of a mask that is bound to no context; None while it is being prepared."""
        row = cursor.execute(
            "SELECT context, digest FROM masks WHERE epoch = ? AND number = ?", (epoch, number)
        ).fetchone()
        if row is None:
            raise MaskUsed(number, f"a number issued in epoch {epoch}", "never issued")
        if row[0] is not None:
            raise MaskUsed(number, "not used", f"used in {row[0].hex()}")
        return None if row[1] is None else bytes(row[1])

    def require_mask(self, epoch: int, number: int, part: int | None, context: bytes) -> None:
        """Check that a mask is bound to a context, and has a part.

        Raises:
            MaskUsed: it is bound to another context, or to none, or has no such part.
        """
        row = self._connection.execute(
            "SELECT context, parts FROM masks WHERE epoch = ? AND number = ?", (epoch, number)
        ).fetchone()
        if row is None or row[0] != context:
            bound = "no context" if row is None or row[0] is None else row[0].hex()
            raise MaskUsed(number, f"bound to {context.hex()}", f"bound to {bound}")
        if type(part) is not int or not 0 <= part < row[1]:
            raise MaskUsed(number, f"a part below {row[1]}", f"part {part}")

    def require_preparation(self, epoch: int, number: int) -> None:
        """Check that a mask was issued and is still being prepared.

        Raises:
            MaskUsed: it was not issued, or is finished.
        """
        if self._unused_mask(self._connection.cursor(), epoch, number) is not None:
            raise MaskUsed(number, "in preparation", "prepared")

    def log_opening(self, request: OpeningRequest) -> None:
        """Write an opening down before it is answered; the same one again is no news.

        Raises:
            OpeningRefused: another ciphertext under this number, a gap before it, or one opening
                more than an epoch has.
            MaskUsed: this part of the mask covers another ciphertext already.
        """
        covered, purpose = request.covered, request.purpose
        digest = covered.ciphertext.digest()
        number, part = covered.mask_number, covered.mask_part
        with transaction(self._connection) as cursor:
            if self._logged(cursor, request, digest):
                return
            ended = cursor.execute(
                "SELECT digest FROM transcripts WHERE context = ?", (request.context,)
            ).fetchone()
            if ended:
                raise OpeningRefused(purpose, "an open transcript", f"closed as {ended[0].hex()}")
            (count,) = cursor.execute(
                "SELECT COUNT(*) FROM openings WHERE context = ?", (request.context,)
            ).fetchone()
            if request.sequence != count:
                raise OpeningRefused(purpose, f"number {count}", f"number {request.sequence}")
            answered = self.openings(request.epoch)
            if answered >= KEY_EPOCH_OPENINGS_MAX:
                most = f"at most {KEY_EPOCH_OPENINGS_MAX} openings in epoch {request.epoch}"
                raise OpeningRefused(purpose, most, f"{answered + 1} with this one")
            row = cursor.execute(
                "SELECT ciphertext FROM openings WHERE epoch = ? AND mask = ? AND part = ?",
                (request.epoch, number, part),
            ).fetchone()
            if number is not None and row is not None:
                raise MaskUsed(number, f"part {part} over {row[0].hex()}", digest.hex())
            cursor.execute(
                "INSERT INTO openings VALUES (?, ?, ?, ?, ?, ?, ?, NULL)",
                (request.context, request.sequence, request.epoch, purpose, digest, number, part),
            )

    def note_shares(self, request: OpeningRequest, digests: Mapping[int, bytes]) -> None:
        """Note the digests of the shares that were announced for an opening."""
        written = b"".join(bytes([j]) + digests[j] for j in sorted(digests))
        self._connection.execute(
            "UPDATE openings SET shares = ? WHERE context = ? AND sequence = ?",
            (written, request.context, request.sequence),
        )

    def entries(self, context: bytes) -> list[OpeningEntry]:
        """Everything opened in a context, in order."""
        rows = self._connection.execute(
            "SELECT purpose, ciphertext, mask, part, shares FROM openings WHERE context = ?"
            " ORDER BY sequence",
            (context,),
        )
        return [
            OpeningEntry(purpose, ciphertext, mask, part, _digests(shares or b""))
            for purpose, ciphertext, mask, part, shares in rows
        ]

    def close_transcript(self, context: bytes, digest: bytes) -> None:
        """End the openings of a context with the digest of all of them.

        Raises:
            OpeningRefused: it ended with another.
        """
        with transaction(self._connection) as cursor:
            cursor.execute("INSERT OR IGNORE INTO transcripts VALUES (?, ?)", (context, digest))
            (known,) = cursor.execute(
                "SELECT digest FROM transcripts WHERE context = ?", (context,)
            ).fetchone()
            if known != digest:
                raise OpeningRefused("transcript", known.hex(), digest.hex())

    def require_opening(self, request: OpeningRequest) -> None:
        """Check that an opening was written down.

        Raises:
            OpeningRefused: it was not, or another ciphertext was under this number.
        """
        digest = request.covered.ciphertext.digest()
        if not self._logged(self._connection.cursor(), request, digest):
            got = f"{digest.hex()} as number {request.sequence}, never announced"
            raise OpeningRefused(request.purpose, "an opening announced before", got)

    def _logged(self, cursor: sqlite3.Cursor, request: OpeningRequest, digest: bytes) -> bool:
        row = cursor.execute(
            "SELECT purpose, ciphertext FROM openings WHERE context = ? AND sequence = ?",
            (request.context, request.sequence),
        ).fetchone()
        if row is not None and row != (request.purpose, digest):
            expected = f"{row[0]!r} of {row[1].hex()}"
            got = f"{request.purpose!r} of {digest.hex()}"
            raise OpeningRefused(request.purpose, expected, got)
        return row is not None

    def openings(self, epoch: int) -> int:
        """Openings answered in an epoch."""
        (count,) = self._connection.execute(
            "SELECT COUNT(*) FROM openings WHERE epoch = ?", (epoch,)
        ).fetchone()
        return int(count)


def _digests(written: bytes) -> dict[int, bytes]:
    size = 1 + hashlib.sha256().digest_size
    parts = (written[i : i + size] for i in range(0, len(written), size))
    return {part[0]: part[1:] for part in parts}
