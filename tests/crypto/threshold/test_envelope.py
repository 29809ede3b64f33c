import os
import stat
from dataclasses import replace
from functools import lru_cache
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from crypto.errors import EnvelopeRefused, MalformedKeyFile, OutOfRange, WrongPassphrase
from crypto.ring.params import TEST_INSECURE_SMALL
from crypto.threshold.envelope import (
    ENVELOPE_BYTES_MAX,
    envelope_info,
    open_envelope,
    read_key_file,
    seal_envelope,
    secrets_from_bytes,
    secrets_to_bytes,
    write_key_file,
)
from crypto.threshold.keys import KeyperSecrets, deal
from crypto.threshold.replicated import Committee

INFO = bytes(32)
PASSPHRASE = "correct horse battery staple"  # noqa: S105


@lru_cache(maxsize=2)
def epoch(size: int) -> tuple[tuple[bytes, ...], tuple[KeyperSecrets, ...]]:
    material, held = deal(TEST_INSECURE_SMALL, Committee(size, 3))
    return material.envelope_keys, held


def recipient(keyper: int = 0) -> tuple[bytes, bytes]:
    public, held = epoch(4)
    return public[keyper], held[keyper].envelope_key


@given(content=st.binary(max_size=300), info=st.binary(max_size=40))
@settings(max_examples=20)
def test_an_envelope_opens_to_its_content(content: bytes, info: bytes) -> None:
    public, private = recipient()
    envelope = seal_envelope(public, info, content)
    assert len(envelope) == len(content) + 48
    assert open_envelope(private, info, envelope) == content


def test_two_envelopes_of_one_content_differ() -> None:
    public, _ = recipient()
    assert seal_envelope(public, INFO, b"same") != seal_envelope(public, INFO, b"same")


@given(data=st.data())
@settings(max_examples=40)
def test_one_changed_bit_is_refused(data: st.DataObject) -> None:
    public, private = recipient()
    envelope = bytearray(seal_envelope(public, INFO, b"content"))
    # The high bit of an X25519 key is not part of it (RFC 7748), but it is of the key schedule.
    position = data.draw(st.integers(0, 8 * len(envelope) - 1))
    envelope[position // 8] ^= 1 << position % 8
    with pytest.raises(EnvelopeRefused):
        open_envelope(private, INFO, bytes(envelope))


def test_another_recipient_or_binding_is_refused() -> None:
    public, private = recipient()
    envelope = seal_envelope(public, INFO, b"content")
    with pytest.raises(EnvelopeRefused):
        open_envelope(recipient(1)[1], INFO, envelope)
    with pytest.raises(EnvelopeRefused):
        open_envelope(private, b"\1" * 32, envelope)


@given(octets=st.binary(max_size=100))
@settings(max_examples=40)
def test_arbitrary_bytes_are_refused(octets: bytes) -> None:
    with pytest.raises(EnvelopeRefused):
        open_envelope(recipient()[1], INFO, octets)


def test_an_envelope_beyond_its_bound_is_neither_made_nor_read() -> None:
    public, private = recipient()
    largest = seal_envelope(public, INFO, bytes(ENVELOPE_BYTES_MAX - 48))
    assert len(largest) == ENVELOPE_BYTES_MAX
    with pytest.raises(OutOfRange):
        seal_envelope(public, INFO, bytes(ENVELOPE_BYTES_MAX - 47))
    with pytest.raises(EnvelopeRefused, match="length"):
        open_envelope(private, INFO, largest + b"\0")


@pytest.mark.parametrize("key", [b"", bytes(31), bytes(32), b"\1" + bytes(31)])
def test_a_key_that_hides_nothing_is_refused(key: bytes) -> None:
    with pytest.raises(EnvelopeRefused, match="X25519"):
        seal_envelope(key, INFO, b"content")


def test_the_binding_tells_every_field_apart() -> None:
    base = (b"\1" * 32, b"\2" * 20, 0, (1, 2, 3))
    others = [
        (b"\3" * 32, *base[1:]),
        (base[0], b"\4" * 20, *base[2:]),
        (*base[:2], 1, base[3]),
        (*base[:3], (1, 2)),
        (*base[:3], (0, 2, 3)),
    ]
    assert len({envelope_info(*fields) for fields in [base, *others]}) == 6


@pytest.mark.parametrize(("size", "keyper"), [(3, 0), (3, 2), (4, 0), (4, 3)])
def test_secrets_survive_their_bytes(size: int, keyper: int) -> None:
    held = epoch(size)[1][keyper]
    assert secrets_from_bytes(secrets_to_bytes(held)) == held


@given(data=st.data())
def test_changed_secrets_never_parse_to_something_else(data: st.DataObject) -> None:
    original = secrets_to_bytes(epoch(4)[1][1])
    position = data.draw(st.integers(0, len(original) - 1))
    changed = bytearray(original)
    changed[position] ^= data.draw(st.integers(1, 255))
    changed = changed[: data.draw(st.sampled_from([len(original), position]))]
    try:
        parsed = secrets_from_bytes(bytes(changed))
    except MalformedKeyFile as error:
        assert "b'" not in str(error)  # noqa: PT017
        return
    assert secrets_to_bytes(parsed) == bytes(changed)


@pytest.mark.parametrize("size", [3, 4])
def test_a_key_file_returns_the_secrets_and_shows_none_of_them(size: int, tmp_path: Path) -> None:
    held = epoch(size)[1][1]
    path = tmp_path / "keyper-1.key"
    write_key_file(path, held, PASSPHRASE)
    assert read_key_file(path, PASSPHRASE) == held
    data = path.read_bytes()
    for secret in [*held.seeds.values(), held.envelope_key]:
        assert secret[:8] not in data
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert list(tmp_path.iterdir()) == [path]


def test_a_wrong_passphrase_is_told(tmp_path: Path) -> None:
    path = tmp_path / "k"
    write_key_file(path, epoch(4)[1][0], PASSPHRASE)
    with pytest.raises(WrongPassphrase, match="expected its passphrase"):
        read_key_file(path, PASSPHRASE + " ")


def test_one_spelling_of_a_passphrase_is_as_good_as_another(tmp_path: Path) -> None:
    path = tmp_path / "k"
    write_key_file(path, epoch(4)[1][0], "Zürich 猫")
    assert read_key_file(path, "Zu\u0308rich 猫") == epoch(4)[1][0]


def test_an_empty_passphrase_is_refused(tmp_path: Path) -> None:
    with pytest.raises(OutOfRange, match="passphrase"):
        write_key_file(tmp_path / "k", epoch(4)[1][0], "")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("position", [6, 37, 38, 49, 50, -17, -1])
def test_a_changed_byte_of_a_key_file_is_noticed(position: int, tmp_path: Path) -> None:
    path = tmp_path / "k"
    write_key_file(path, epoch(4)[1][0], PASSPHRASE)
    data = bytearray(path.read_bytes())
    data[position] ^= 1
    path.write_bytes(bytes(data))
    with pytest.raises(WrongPassphrase):
        read_key_file(path, PASSPHRASE)


@pytest.mark.parametrize(
    "data", [b"", b"DPKF", bytes(200), b"DPKF\2\0" + bytes(200), b"DPKF\1\0" + bytes(5000)]
)
def test_other_files_are_no_key_files(data: bytes, tmp_path: Path) -> None:
    path = tmp_path / "k"
    path.write_bytes(data)
    with pytest.raises(MalformedKeyFile, match=r"^(?!.*b')"):
        read_key_file(path, PASSPHRASE)


def test_a_failed_write_leaves_the_old_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "k"
    first = epoch(4)[1][0]
    write_key_file(path, first, PASSPHRASE)

    def fail(_descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", fail)
    with pytest.raises(OSError, match="No space"):
        write_key_file(path, replace(first, envelope_key=bytes(32)), PASSPHRASE)
    monkeypatch.undo()
    assert read_key_file(path, PASSPHRASE) == first
    assert list(tmp_path.iterdir()) == [path]
