"""Signers: a key in memory, a key file, and what answers from elsewhere."""

import asyncio
import stat
from pathlib import Path
from typing import Any

import pytest

from crypto.errors import CryptoError, MalformedKeyFile, OutOfRange, WrongPassphrase
from crypto.ring.params import TEST_INSECURE_SMALL
from crypto.signing.ecdsa import sign, verify_signature
from crypto.signing.key_file import write_encrypted
from crypto.threshold.envelope import write_key_file
from darkpool.client.errors import InvalidAccountKey
from darkpool.client.sealing import PublicLimits, seal_order
from darkpool.client.signer import KeySigner, Signer
from darkpool.errors import DarkpoolError, InvalidAccount, OutOfBounds, UnwritableFolder, WrongType
from darkpool.protocol.intents import LimitOrder
from darkpool.protocol.refusals import WrongSignature
from darkpool.units import AccountId, Interval, Lots, Side, Tick, account_bytes
from tests.support.agent_desk import ACCOUNT, DEADLINE_S, ES, KEY, Desk, collected, order
from tests.support.epochs import dealt

PASSPHRASE = "a horse with a battery"  # noqa: S105
DIGEST = b"\x07" * 32


class FarAway:
    """A signing service: it answers later, in any spelling, with whatever it has."""

    def __init__(self, key: bytes = KEY, answer: object = None) -> None:
        self.address = AccountId(ACCOUNT.lower())
        self.asked = 0
        self._key, self._answer = key, answer

    async def sign(self, digest: bytes) -> bytes:
        self.asked += 1
        await asyncio.sleep(0)
        return sign(digest, self._key) if self._answer is None else self._answer  # type: ignore[return-value]


def test_a_key_signs_for_its_address() -> None:
    signer: Signer = KeySigner(KEY)
    assert signer.address == ACCOUNT
    signature = asyncio.run(signer.sign(DIGEST))
    verify_signature(DIGEST, signature, account_bytes(ACCOUNT))
    assert asyncio.run(signer.sign(DIGEST)) == signature
    with pytest.raises((OutOfBounds, WrongType)):
        asyncio.run(signer.sign(DIGEST[:-1]))


@pytest.mark.parametrize(
    "key", [b"", bytes(32), b"\xff" * 32, b"\x01" * 31, bytearray(KEY), KEY.hex(), 7, None]
)
def test_what_is_no_key_is_refused_and_not_told(key: bytes) -> None:
    with pytest.raises(InvalidAccountKey) as caught:
        KeySigner(key)
    assert KEY.hex() not in str(caught.value)


def test_a_key_file_gives_the_key_back_and_shows_nothing_of_it(tmp_path: Path) -> None:
    path = tmp_path / "account.key"
    KeySigner(KEY).write_file(path, PASSPHRASE)
    data = path.read_bytes()
    assert KEY[:8] not in data
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    signer = KeySigner.from_file(path, PASSPHRASE)
    assert asyncio.run(signer.sign(DIGEST)) == sign(DIGEST, KEY)
    assert KEY.hex() not in repr(signer)
    with pytest.raises(WrongPassphrase):
        KeySigner.from_file(path, PASSPHRASE + ".")
    for passphrase in ("", None, b"bytes"):
        with pytest.raises(OutOfRange, match="passphrase"):
            KeySigner.from_file(path, passphrase)  # type: ignore[arg-type]
        with pytest.raises(OutOfRange, match="passphrase"):
            KeySigner(KEY).write_file(tmp_path / "other", passphrase)  # type: ignore[arg-type]
    assert [one.name for one in tmp_path.iterdir()] == ["account.key"]


def test_a_passphrase_is_what_it_looks_like_on_every_keyboard(tmp_path: Path) -> None:
    for spelling, other in (("caf\u00e9", "cafe\u0301"), ("\ud800", "\ud800")):
        KeySigner(KEY).write_file(tmp_path / "account.key", spelling)
        assert KeySigner.from_file(tmp_path / "account.key", other).address == ACCOUNT


def test_a_key_file_that_cannot_have_its_name_is_not_left_under_another(tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    with pytest.raises(UnwritableFolder, match="Is a directory"):
        KeySigner(KEY).write_file(tmp_path / "folder", PASSPHRASE)
    assert [path.name for path in tmp_path.iterdir()] == ["folder"]
    path: Any
    for path in ("account.key", None):
        with pytest.raises(WrongType, match="key file: expected Path"):
            KeySigner(KEY).write_file(path, PASSPHRASE)
        with pytest.raises(WrongType, match="key file: expected Path"):
            KeySigner.from_file(path, PASSPHRASE)


def test_only_an_account_s_key_file_is_one(tmp_path: Path) -> None:
    keyper = dealt(TEST_INSECURE_SMALL, 4, 1).secrets[0]
    write_key_file(tmp_path / "keyper.key", keyper, PASSPHRASE)
    (tmp_path / "text").write_text("account,side,size,limit\n" * 9)
    for name in ("keyper.key", "text", "none", "."):
        with pytest.raises(MalformedKeyFile, match=r"^(?!.*b')"):
            KeySigner.from_file(tmp_path / name, PASSPHRASE)
    with pytest.raises(UnwritableFolder):
        KeySigner(KEY).write_file(tmp_path / "none" / "account.key", PASSPHRASE)


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"DPKX\1\0" + KEY, "DPKX"),
        (b"DPKA\2\0" + KEY, "2"),
        (b"DPKA\1\0" + KEY + b"\0", "39 bytes"),
        (b"DPKA\1\0" + KEY[1:], "37 bytes"),
    ],
)
def test_a_secret_of_another_kind_is_no_account_s_key(
    content: bytes, says: str, tmp_path: Path
) -> None:
    path = tmp_path / "account.key"
    write_encrypted(path, content, PASSPHRASE)
    with pytest.raises(MalformedKeyFile, match=f"account's key: .*, got .*{says}"):
        KeySigner.from_file(path, PASSPHRASE)
    write_encrypted(path, b"DPKA\1\0" + KEY, PASSPHRASE)
    assert KeySigner.from_file(path, PASSPHRASE).address == ACCOUNT


def test_a_path_that_no_file_can_have_is_refused(tmp_path: Path) -> None:
    with pytest.raises(MalformedKeyFile, match="expected a file that can be read"):
        KeySigner.from_file(tmp_path / "a\0b", PASSPHRASE)
    with pytest.raises(UnwritableFolder, match="a path with a NUL in it"):
        KeySigner(KEY).write_file(tmp_path / "a\0b", PASSPHRASE)


def test_a_signer_that_answers_later_serves_an_agent(desk: Desk) -> None:
    store = desk.store()
    store.place(order())
    sent = desk.sent(desk.agent(store, signer=FarAway()), 1)
    assert desk.sent(desk.agent(store), 1) == sent


@pytest.mark.parametrize("signer", [FarAway(b"\2" * 32), FarAway(answer=b""), FarAway(answer="x")])
def test_an_answer_that_is_no_signature_of_the_account_leaves_nothing(
    signer: FarAway, desk: Desk
) -> None:
    store = desk.store()
    store.place(order())
    submissions = desk.agent(store, signer=signer).submissions(desk.terms(1), DEADLINE_S)
    with pytest.raises(WrongSignature, match="account's signature"):
        collected(submissions)
    assert signer.asked == 1
    (planned,) = store.intents(Interval(1))
    (sent,) = desk.sent(desk.agent(store), 1)
    assert (sent.sealed.nonce, sent.sealed.instrument) == (planned.intent.nonce, ES)


@pytest.mark.parametrize("address", ["", ACCOUNT[2:], "0x" + ACCOUNT[2:].swapcase(), None])
def test_a_signer_has_an_address(address: Any, desk: Desk) -> None:
    signer = FarAway()
    signer.address = address
    terms, limits = desk.terms(1), PublicLimits(DEADLINE_S, Lots(5))
    wanted = LimitOrder(Side.BUY, Lots(1), Tick(1))
    with pytest.raises((InvalidAccount, WrongType)):
        asyncio.run(seal_order(wanted, ES, terms, signer, 7, limits))
    with pytest.raises((InvalidAccount, WrongType)):
        desk.agent(desk.store(), signer=signer)
    assert signer.asked == 0


class AtOnce:
    """Something that signs, but not as a signer does."""

    address = ACCOUNT

    def sign(self, digest: bytes) -> bytes:
        return sign(digest, KEY)


def test_what_is_no_signer_is_refused_in_words(desk: Desk) -> None:
    store = desk.store()
    store.place(order())
    for odd in (None, KEY, object(), ACCOUNT):
        with pytest.raises(WrongType, match="signer: expected a Signer"):
            desk.agent(store, signer=odd)  # type: ignore[arg-type]
    submissions = desk.agent(store, signer=AtOnce()).submissions(desk.terms(1), DEADLINE_S)  # type: ignore[arg-type]
    with pytest.raises(WrongType, match="answer of the signer: expected one to wait for"):
        collected(submissions)
    assert len(desk.sent(desk.agent(store), 1)) == 1


def test_all_errors_of_signers_have_codes() -> None:
    for kind in (InvalidAccountKey, UnwritableFolder, MalformedKeyFile, WrongPassphrase):
        assert issubclass(kind, DarkpoolError | CryptoError)
        assert kind.code
