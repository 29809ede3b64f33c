import json
import os
import random
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from textwrap import dedent
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from crypto.circuits.comparison import BITS_LEVEL
from crypto.errors import CryptoError
from crypto.ring.params import STANDARD
from darkpool.canonical_json import from_json, to_json
from darkpool.errors import MalformedRecord
from darkpool.limits import PRICE_MAX_UNITS
from darkpool.record.errors import RecordExists
from darkpool.record.forms import ReferenceRecord
from darkpool.record.reader import Record
from darkpool.record.writer import RecordWriter
from tests.support.record_parts import SMALL, Parts, summary_of


@pytest.mark.parametrize("price", [-PRICE_MAX_UNITS - 1, PRICE_MAX_UNITS + 1])
def test_a_reference_price_has_bounds_on_both_sides(price: int) -> None:
    reference = summary_of().references[0]
    for allowed in (-PRICE_MAX_UNITS, PRICE_MAX_UNITS):
        kept = replace(reference, price=allowed)
        assert from_json(to_json(kept), ReferenceRecord, "reference") == kept
    with pytest.raises(MalformedRecord, match=r"an integer from -10+ to 10+, got"):
        from_json(to_json(replace(reference, price=price)), ReferenceRecord, "reference")


def test_a_record_reads_back_as_it_was_written(parts: Parts, written: Path) -> None:
    record = Record.load(written)
    assert record.parameters is SMALL
    assert record.summary == parts.summary
    assert record.evidence == parts.evidence
    assert record.intents == tuple(intent for intent, _ in parts.intents)
    for index, (_, sealed) in enumerate(parts.intents):
        assert np.array_equal(record.ciphertext(index).words, sealed.words)
    assert record.material().digest() == parts.material.digest()
    assert record.material().envelope_keys == parts.material.envelope_keys
    assert record.mask(9).digest() == parts.mask.digest()
    assert record.masks[0].attestations == {0: bytes(65), 2: bytes(65)}
    opened, original = record.opening(0), parts.opened
    assert np.array_equal(opened.ciphertext.words, original.request.covered.ciphertext.words)
    assert np.array_equal(opened.support, original.request.covered.support)
    assert np.array_equal(np.stack(opened.shares), np.stack(original.shares))
    assert np.array_equal(opened.values, original.values)
    assert (opened.entry.ring, opened.entry.level) == ("comparison", BITS_LEVEL)
    assert opened.entry.liars == (2,)
    assert not list(record.wrong_files())


def test_what_is_not_in_a_record(written: Path) -> None:
    record = Record.load(written)
    with pytest.raises(MalformedRecord, match="mask 4"):
        record.mask(4)
    with pytest.raises(MalformedRecord, match="ciphertext 3"):
        record.ciphertext(3)


def test_nothing_is_overwritten(parts: Parts, written: Path, tmp_path: Path) -> None:
    with pytest.raises(RecordExists):
        RecordWriter(written, SMALL)
    target = tmp_path / "record"
    first, second = RecordWriter(target, SMALL), RecordWriter(target, SMALL)
    for writer in (first, second):
        writer.add_material(parts.material)
    assert first.finish(parts.summary, parts.evidence) == target
    with second, pytest.raises(RecordExists):
        second.finish(parts.summary, parts.evidence)
    assert [path.name for path in tmp_path.iterdir()] == ["record"]


def test_an_exception_removes_what_was_written(parts: Parts, tmp_path: Path) -> None:
    def fail() -> None:
        with RecordWriter(tmp_path / "record", SMALL) as writer:
            writer.add_intent(*parts.intents[0])
            assert [p.name.startswith("record.partial-") for p in tmp_path.iterdir()] == [True]
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fail()
    assert not list(tmp_path.iterdir())


KILLED = """
    import os, signal, sys
    from pathlib import Path
    os.environ["DARKPOOL_TEST_INSECURE"] = "1"
    from crypto.threshold.keys import deal
    from crypto.ring.params import TEST_INSECURE_SMALL
    from crypto.threshold.replicated import Committee
    from darkpool.record import files as record_files
    from darkpool.record.writer import RecordWriter

    writes = int(sys.argv[2])
    def dying(self, name, chunks, write=record_files.PendingDirectory.write):
        global writes
        writes -= 1
        if writes < 0:
            os.kill(os.getpid(), signal.SIGKILL)
        write(self, name, chunks)
    record_files.PendingDirectory.write = dying
    writer = RecordWriter(Path(sys.argv[1]), TEST_INSECURE_SMALL)
    writer.add_material(deal(TEST_INSECURE_SMALL, Committee(4, 1))[0])
    writer.finish(None, None)
"""


@pytest.mark.parametrize("writes", [0, 5, 8, 10])
def test_a_killed_writer_leaves_no_record(tmp_path: Path, writes: int) -> None:
    target = tmp_path / "record"
    command = [sys.executable, "-c", dedent(KILLED), str(target), str(writes)]
    done = subprocess.run(command, check=False, timeout=120)  # noqa: S603
    assert done.returncode == -signal.SIGKILL
    assert not target.exists()
    (left,) = tmp_path.iterdir()
    assert left.name.startswith("record.partial-")
    with pytest.raises(MalformedRecord):
        Record.load(left)


def rewrite(path: Path, data: bytes) -> None:
    path.unlink(missing_ok=True)
    path.write_bytes(data)


Change = Callable[[Path], object]


@pytest.mark.parametrize(
    ("change", "part"),
    [
        (lambda d: (d / "openings/0-values.npy").unlink(), "files"),
        (lambda d: (d / "masks/extra.txt").write_text("x"), "files"),
        (lambda d: (d / "link").symlink_to("record.json"), "files"),
        (lambda d: (d / "intents.json").unlink(), "intents.json"),
        (lambda d: (d / "manifest.json").unlink(), "manifest.json"),
        (lambda d: rewrite(d / "ciphertexts.bin", b"x"), "ciphertexts.bin"),
        (lambda d: rewrite(d / "record.json", b"{"), "record.json"),
        (lambda d: rewrite(d / "record.json", b"\xff"), "record.json"),
        (lambda d: rewrite(d / "record.json", b"[" * 100_000), "record.json"),
        (lambda d: rewrite(d / "record.json", b'{"\\"' + b"[" * 100_000), "record.json"),
        (lambda d: rewrite(d / "record.json", b'["' + b'",{"":"' * 100_000), "record.json"),
        (lambda d: rewrite(d / "record.json", b"9" * 10_000), "record.json"),
    ],
)
def test_a_record_of_another_form_is_refused(change: Change, part: str, copy: Path) -> None:
    change(copy)
    with pytest.raises(MalformedRecord) as caught:
        Record.load(copy)
    assert caught.value.subject == part


@pytest.mark.parametrize("name", ["none", "copy/record.json", "a\0b"])
def test_a_path_that_is_no_record_is_refused(name: str, copy: Path) -> None:
    with pytest.raises(MalformedRecord, match="manifest"):
        Record.load(copy.parent / name)


CONTRACT = "contracts.json.contracts[0]."
EDITS: list[tuple[str, Callable[[Any], object], str]] = [
    ("record.json", lambda t: t.update(version=1), "record.json"),
    ("record.json", lambda t: t.update(version=True), "record.json.version"),
    ("record.json", lambda t: t.update(version=1.0), "record.json.version"),
    ("record.json", lambda t: t.update(version=float("nan")), "record.json.version"),
    ("record.json", lambda t: t.update(extra=1), "record.json"),
    ("record.json", lambda t: t.pop("summary"), "record.json"),
    ("record.json", lambda t: t.update(parameters="other"), "parameters"),
    ("record.json", lambda t: t["summary"].update(pricing="free"), "record.json.summary.pricing"),
    ("record.json", lambda t: t["summary"].update(interval=-1), "record.json.summary.interval"),
    (
        "record.json",
        lambda t: t["summary"].update(interval=1 << 64),
        "record.json.summary.interval",
    ),
    ("record.json", lambda t: t["summary"].update(context="0x00"), "record.json.summary.context"),
    (
        "record.json",
        lambda t: t["summary"].update(beacon="0X" + "0" * 64),
        "record.json.summary.beacon",
    ),
    ("record.json", lambda t: t["summary"].update(ticks=0xFFFF), "ticks"),
    ("record.json", lambda t: t["summary"]["references"].pop(), "references"),
    (
        "record.json",
        lambda t: t["summary"]["references"][0].update(tick_size="1e3"),
        "record.json.summary.references[0].tick_size",
    ),
    ("contracts.json", lambda t: t.update(version=1), "contracts.json"),
    ("contracts.json", lambda t: t["contracts"][0].update(kind="swap"), CONTRACT + "kind"),
    ("contracts.json", lambda t: t["contracts"][0].pop("tick_size"), CONTRACT[:-1]),
    ("market.json", lambda t: t.update(version=1), "market.json"),
    (
        "market.json",
        lambda t: t["underlyings"][0]["index"]["reports"][0].update(signature="0x00"),
        "market.json.underlyings[0].index.reports[0].signature",
    ),
    ("risk.json", lambda t: t.update(version=0), "risk.json"),
    ("risk.json", lambda t: t["contracts"][0]["low"].append("1"), "risk.json.contracts[0].low[2]"),
    ("record.json", lambda t: t["summary"]["committee"].update(size=5), "committee"),
    ("record.json", lambda t: t["summary"]["committee"]["addresses"].pop(), "committee.addresses"),
    ("record.json", lambda t: t["summary"]["beacon_shares"].pop(), "beacon_shares"),
    ("record.json", lambda t: t["envelope_keys"].pop(), "envelope_keys"),
    (
        "record.json",
        lambda t: t["summary"].update(instruments=t["summary"]["instruments"][:1] * 65),
        "instruments",
    ),
    (
        "record.json",
        lambda t: t["summary"]["instruments"][0].update(intents=[0, 0, 0, 0]),
        "instrument ES H4, intents",
    ),
    (
        "record.json",
        lambda t: t["evidence"]["settlement"]["signatures"].update({"4": "0x" + "00" * 65}),
        "settlement.signatures",
    ),
    (
        "record.json",
        lambda t: t["evidence"]["transcripts"].update({"4": "0x" + "00" * 65}),
        "transcripts",
    ),
    (
        "masks.json",
        lambda t: t["masks"][0]["attestations"].update({"4": "0x" + "00" * 65}),
        "mask 9, attestations",
    ),
    (
        "intents.json",
        lambda t: t["intents"][1]["certificate"].update({"4": "0x" + "00" * 65}),
        "intent 1, certificate",
    ),
    (
        "openings.json",
        lambda t: t.update(openings=t["openings"] * 241),
        "openings.json",
    ),
    (
        "record.json",
        lambda t: t["summary"]["instruments"][0].update(intents=[3]),
        "instrument ES H4, intents",
    ),
    ("record.json", lambda t: t["summary"]["fills"][0].update(instrument=2), "fill 0, instrument"),
    ("record.json", lambda t: t["summary"]["fills"][0].update(intent=2), "fill 0, intent"),
    (
        "record.json",
        lambda t: t["evidence"]["commitment"]["signatures"].update({"4": "0x" + "00" * 65}),
        "commitment.signatures",
    ),
    (
        "record.json",
        lambda t: t["evidence"]["commitment"]["signatures"].update({"01": "0x" + "00" * 65}),
        "record.json.evidence.commitment.signatures",
    ),
    (
        "intents.json",
        lambda t: t["intents"][1]["sealed"].update(account="0x00"),
        "intents.json.intents[1].sealed.account",
    ),
    (
        "intents.json",
        lambda t: t["intents"][2]["sealed"].update(key_epoch=1 << 32),
        "intents.json.intents[2].sealed.key_epoch",
    ),
    ("record.json", lambda t: t["summary"]["rejections"][1].update(intent=3), "rejections"),
    ("intents.json", lambda t: t["intents"].pop(), "ciphertexts.bin"),
    ("masks.json", lambda t: t["masks"][0].update(lanes=100), "mask 9"),
    ("masks.json", lambda t: t["masks"][0].update(number=8), "manifest.json"),
    ("openings.json", lambda t: t["openings"][0].update(level=9), "opening 0"),
    (
        "openings.json",
        lambda t: t["openings"][0].update(purpose="Ünknown"),
        "openings.json.openings[0].purpose",
    ),
]


@pytest.mark.parametrize(("name", "edit", "part"), EDITS)
def test_a_changed_field_is_refused(
    name: str, edit: Callable[[Any], object], part: str, copy: Path
) -> None:
    tree = json.loads((copy / name).read_bytes())
    edit(tree)
    rewrite(copy / name, (json.dumps(tree, indent=1) + "\n").encode())
    with pytest.raises(MalformedRecord) as caught:
        Record.load(copy)
    assert caught.value.subject == part


@pytest.mark.parametrize("beyond", [-1, SMALL.comparison_ring.plain_modulus])
def test_an_opened_value_is_one_of_the_plaintext(beyond: int, parts: Parts, copy: Path) -> None:
    path = copy / "openings/0-values.npy"
    changed = parts.opened.values.copy()
    changed[3] = beyond
    path.unlink()
    np.save(path, changed)
    with pytest.raises(MalformedRecord, match=f"openings/0-values.npy: .* {beyond}|{beyond} to"):
        Record.load(copy).opening(0)


@settings(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(seed=st.integers(0, 2**32))
def test_damage_anywhere_raises_typed_errors_only(seed: int, written: Path, tmp_path: Path) -> None:
    """Flip, cut, lengthen or copy over any file; then read everything there is."""
    generator = random.Random(seed)
    copy = tmp_path / f"copy-{seed}"
    shutil.copytree(written, copy, copy_function=os.link)
    files = sorted(path for path in copy.rglob("*") if path.is_file())
    for _ in range(generator.randrange(1, 3)):
        path = generator.choice(files)
        data = bytearray(path.read_bytes())
        kind = generator.randrange(4)
        if kind == 0 and data:
            data[generator.randrange(min(len(data), 4000))] ^= 1 << generator.randrange(8)
        elif kind == 1:
            del data[generator.randrange(len(data) + 1) :]
        elif kind == 2:
            data += generator.randbytes(generator.randrange(1, 99))
        else:
            data = bytearray(generator.choice(files).read_bytes())
        rewrite(path, bytes(data))
    with suppress(MalformedRecord, CryptoError):
        read_all(copy)
    shutil.rmtree(copy)


def read_all(directory: Path) -> None:
    record = Record.load(directory)
    list(record.wrong_files())
    for index in range(len(record.intents)):
        record.ciphertext(index)
    record.material()
    for mask in record.masks:
        record.mask(mask.number)
    for index in range(len(record.openings)):
        record.opening(index)


def test_a_record_of_the_small_rings_is_refused_outside_the_tests(
    written: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("DARKPOOL_TEST_INSECURE")
    with pytest.raises(CryptoError, match="TEST_INSECURE_SMALL"):
        Record.load(written)


def test_the_standard_rings_have_a_name(copy: Path) -> None:
    """A record that claims other rings than it was made with has files of wrong sizes."""
    tree = json.loads((copy / "record.json").read_bytes())
    tree["parameters"] = STANDARD.name
    rewrite(copy / "record.json", (json.dumps(tree, indent=1) + "\n").encode())
    with pytest.raises(MalformedRecord, match=r"ciphertexts\.bin"):
        Record.load(copy)


def test_an_array_of_another_type_is_told_by_what_it_begins_with(copy: Path) -> None:
    path = copy / "openings/0-support.npy"
    changed = np.load(path).astype(np.int8)
    path.unlink()
    np.save(path, changed)
    with pytest.raises(MalformedRecord, match=r"\d bytes, beginning \\x93NUMPY\\x01.*'\|i1'"):
        Record.load(copy).opening(0)
