"""What has been admitted and what was rejected since: the venue's durable memory of intents.

One SQLite file. An intent is written down in a transaction of its own, synced before its sender is
told: a venue that is killed at any moment has forgotten nothing that it acknowledged. Intents are
not gathered into one transaction, because each would wait for the others with its answer; one costs
a fifth of a millisecond of processor time, and the proof of knowledge more than forty.
"""

from collections.abc import Iterable
from pathlib import Path
from typing import Final

from crypto.signing.messages import SealedIntent
from darkpool.durable import open_database, transaction
from darkpool.limits import (
    CAPS_SUM_MAX_LOTS,
    INTENTS_PER_ACCOUNT_MAX,
    REJECTIONS_PER_ACCOUNT_AND_EPOCH_MAX,
)
from darkpool.protocol.refusals import (
    AuctionFull,
    CapRefused,
    CiphertextSeen,
    NonceUsed,
    SecondIntent,
    SecondIntentOfOwner,
    TooManyIntents,
    TooManyRejections,
)
from darkpool.units import OwnerId, account_of

IN_MEMORY: Final = Path(":memory:")
"""Instead of a file, where nothing has to outlive the process: for simulations."""

# 64 bits that a client chooses do not fit SQLite's signed integers: such numbers are kept as bytes.
_SCHEMA: Final = """
CREATE TABLE IF NOT EXISTS intents (
    account BLOB NOT NULL, nonce BLOB NOT NULL, ciphertext BLOB NOT NULL UNIQUE,
    instrument BLOB NOT NULL, interval BLOB NOT NULL, owner TEXT NOT NULL, cap INTEGER NOT NULL,
    live INTEGER NOT NULL DEFAULT 1, PRIMARY KEY (account, nonce)) WITHOUT ROWID;
CREATE UNIQUE INDEX IF NOT EXISTS one_an_account
    ON intents (account, instrument, interval) WHERE live;
CREATE UNIQUE INDEX IF NOT EXISTS one_an_owner ON intents (owner, instrument, interval) WHERE live;
CREATE INDEX IF NOT EXISTS turns ON intents (account, instrument, interval);
CREATE TABLE IF NOT EXISTS auctions (
    instrument BLOB NOT NULL, interval BLOB NOT NULL,
    intents INTEGER NOT NULL, caps INTEGER NOT NULL,
    PRIMARY KEY (instrument, interval)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS rejections (
    account BLOB NOT NULL, epoch INTEGER NOT NULL, ciphertext BLOB NOT NULL,
    PRIMARY KEY (account, epoch, ciphertext)) WITHOUT ROWID;
"""


class AdmissionRegister:
    """What has been admitted, across intervals and restarts, in a file at `path`.

    Several processes may share the file: what one of them has recorded, the others refuse.
    """

    def __init__(self, path: Path) -> None:
        self._connection = open_database(path, _SCHEMA)

    def close(self) -> None:
        """Release the file."""
        self._connection.close()

    def require_new(self, sealed: SealedIntent, owner: OwnerId, intents_max: int) -> None:
        """Check an intent against everything admitted or rejected before.

        Raises:
            TooManyRejections, NonceUsed, SecondIntent, SecondIntentOfOwner, TooManyIntents,
            CiphertextSeen, AuctionFull, CapRefused: see there.
        """
        self._require_trusted(sealed)
        self._require_once(sealed, owner)
        self._require_room(sealed, intents_max)

    def record(self, sealed: SealedIntent, owner: OwnerId, intents_max: int) -> None:
        """Write down an admitted intent; on disk when this returns.

        Raises:
            AdmissionRefused: as `require_new`, if another process was faster.
        """
        auction = _auction(sealed)
        row = (
            *(sealed.account, _octets(sealed.nonce), sealed.ciphertext_digest),
            *(*auction, owner, sealed.cap),
        )
        with transaction(self._connection) as cursor:
            self.require_new(sealed, owner, intents_max)
            cursor.execute("INSERT INTO intents VALUES (?, ?, ?, ?, ?, ?, ?, 1)", row)
            cursor.execute(
                "INSERT INTO auctions VALUES (?, ?, 1, ?) ON CONFLICT DO UPDATE"
                " SET intents = intents + 1, caps = caps + excluded.caps",
                (*auction, sealed.cap),
            )

    def cancel(self, sealed: SealedIntent) -> None:
        """Free the place and the cap of a recorded intent; nonce and ciphertext stay used.

        It frees them once, however often it is told.
        """
        key = (sealed.account, _octets(sealed.nonce))
        with transaction(self._connection) as cursor:
            cursor.execute(
                "UPDATE intents SET live = 0 WHERE live AND account = ? AND nonce = ?", key
            )
            if cursor.rowcount:
                cursor.execute(
                    "UPDATE auctions SET intents = intents - 1, caps = caps - ?"
                    " WHERE instrument = ? AND interval = ?",
                    (sealed.cap, *_auction(sealed)),
                )

    def note_rejections(self, rejected: Iterable[SealedIntent]) -> None:
        """Write down intents that failed the check of shape or cap, each once however often told.

        All of them are on disk when this returns, or none if it is killed.
        """
        rows = [(s.account, s.key_epoch, s.ciphertext_digest) for s in rejected]
        with transaction(self._connection) as cursor:
            cursor.executemany("INSERT OR IGNORE INTO rejections VALUES (?, ?, ?)", rows)

    def rejections(self, account: bytes, epoch: int) -> int:
        """Intents of an account that were rejected in a key epoch."""
        (count,) = self._connection.execute(
            "SELECT COUNT(*) FROM rejections WHERE account = ? AND epoch = ?", (account, epoch)
        ).fetchone()
        return int(count)

    def _require_trusted(self, sealed: SealedIntent) -> None:
        limit = REJECTIONS_PER_ACCOUNT_AND_EPOCH_MAX
        rejected = self.rejections(sealed.account, sealed.key_epoch)
        if rejected >= limit:
            expected = f"fewer than {limit} of the account in the key epoch"
            raise TooManyRejections("rejected intents", expected, str(rejected))

    def _require_once(self, sealed: SealedIntent, owner: OwnerId) -> None:
        auction = _auction(sealed)
        if self._found("account = ? AND nonce = ?", sealed.account, _octets(sealed.nonce)):
            raise NonceUsed("nonce", "a nonce new to the account", str(sealed.nonce))
        if self._found(f"live AND account = ? AND {_IN_AUCTION}", sealed.account, *auction):
            subject = f"live intents of account {account_of(sealed.account)}"
            raise SecondIntent(subject, f"1 for {_named(sealed)}", 2)
        if self._found(f"live AND owner = ? AND {_IN_AUCTION}", owner, *auction):
            expected = f"1 for {_named(sealed)}, of all accounts together"
            raise SecondIntentOfOwner(f"live intents of owner {owner}", expected, 2)
        turns = self._turns(sealed.account, auction)
        if turns >= INTENTS_PER_ACCOUNT_MAX:
            expected = f"at most {INTENTS_PER_ACCOUNT_MAX} for {_named(sealed)}"
            raise TooManyIntents("intents of the account in turn", expected, turns + 1)
        if self._found("ciphertext = ?", sealed.ciphertext_digest):
            digest = sealed.ciphertext_digest.hex()
            raise CiphertextSeen("ciphertext", "a ciphertext of no admitted intent", digest)

    def _require_room(self, sealed: SealedIntent, intents_max: int) -> None:
        found = self._connection.execute(
            f"SELECT intents, caps FROM auctions WHERE {_IN_AUCTION}",  # noqa: S608
            _auction(sealed),
        ).fetchone()
        intents, caps = (0, 0) if found is None else found
        if intents >= intents_max:
            raise AuctionFull("auction", f"at most {intents_max} intents", intents + 1)
        total = caps + sealed.cap
        if total > CAPS_SUM_MAX_LOTS:
            expected = f"at most {CAPS_SUM_MAX_LOTS} lots for all intents together"
            raise CapRefused("sum of caps", expected, f"{total} with this one")

    def _turns(self, account: bytes, auction: tuple[bytes, bytes]) -> int:
        """Intents of an account that were ever recorded for an auction, cancelled ones too."""
        (count,) = self._connection.execute(
            f"SELECT COUNT(*) FROM intents WHERE account = ? AND {_IN_AUCTION}",  # noqa: S608
            (account, *auction),
        ).fetchone()
        return int(count)

    def _found(self, condition: str, *values: bytes | str) -> bool:
        statement = f"SELECT 1 FROM intents WHERE {condition}"  # noqa: S608 (constants alone)
        return self._connection.execute(statement, values).fetchone() is not None


_IN_AUCTION: Final = "instrument = ? AND interval = ?"


def _auction(sealed: SealedIntent) -> tuple[bytes, bytes]:
    return sealed.instrument, _octets(sealed.interval)


def _octets(number: int) -> bytes:
    return number.to_bytes(8, "big")


def _named(sealed: SealedIntent) -> str:
    return f"instrument {sealed.instrument.hex()} in interval {sealed.interval}"
