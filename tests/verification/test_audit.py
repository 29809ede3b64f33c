"""An honest record passes; no part of it can be changed without the audit naming the part."""

import json
import re
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest

from crypto import slots
from crypto.ciphertext import Ciphertext
from crypto.decryption import combine_shares
from crypto.encryption import add_plain
from darkpool.record import Record
from darkpool.record_files import npy_header
from darkpool.settlement.chain import Chain
from darkpool.units import Interval, account_bytes
from darkpool.verification.audit import audit
from darkpool.verification.evidence import (
    ChainBatch,
    ChainEvidence,
    ChainResult,
    ChainSettlement,
)
from darkpool.verification.report import AuditReport, Verdict

CHECKS = [
    "form",
    "files",
    "committee",
    "intents",
    "ciphertexts",
    "batch root",
    "masks",
    "openings",
    "beacon",
    "schedule",
    "circuits",
    "results",
    "fills",
    "margin",
    "roots",
    "settlement",
    "chain",
]


class EmbeddedReader:
    """The chain that the auction was settled on, as the auditor asks it."""

    def __init__(self, chain: Chain) -> None:
        self._chain = chain

    def evidence(self, interval: int) -> ChainEvidence:
        said, deployment = self._chain.evidence(Interval(interval)), self._chain.deployment
        assert said.batch is not None
        assert said.settlement is not None
        flows = self._chain.flows_before(Interval(interval))
        return ChainEvidence(
            chain_id=deployment.chain_id,
            settlement_contract=account_bytes(deployment.settlement),
            vault=account_bytes(deployment.vault),
            keypers=tuple(map(account_bytes, deployment.keypers)),
            quorum=deployment.quorum,
            batch=ChainBatch(
                said.batch.root,
                said.batch.count,
                tuple(n - 1 for n in said.batch.signers),
                said.batch.transaction,
                said.batch.block,
            ),
            settlement=ChainSettlement(
                tuple(
                    ChainResult(r.instrument, r.crossed, r.price_tick, r.volume)
                    for r in said.settlement.results
                ),
                said.settlement.results_root,
                said.settlement.fills_root,
                said.settlement.balances_root,
                tuple(n - 1 for n in said.settlement.signers),
                said.settlement.transaction,
                said.settlement.block,
            ),
            halted=said.halted,
            paid_in={account_bytes(a): f.deposited - f.withdrawn for a, f in flows.items()},
        )


def failed(report: AuditReport) -> dict[str, str]:
    """Detail of every failed check, by its name."""
    return {c.name: c.detail for c in report.checks if c.verdict is Verdict.FAILS}


@pytest.mark.parametrize("kind", ["uniform", "reference", "quiet"])
def test_an_honest_record_passes(kind: str, request: pytest.FixtureRequest) -> None:
    published = request.getfixturevalue(kind)
    report = audit(published.directory, EmbeddedReader(published.chain))
    assert not failed(report)
    assert report.ok
    assert [check.name for check in report.checks] == CHECKS
    assert all(check.verdict is Verdict.HOLDS for check in report.checks)


def test_what_was_not_asked_for_is_said(uniform: Any) -> None:
    steps: list[str] = []
    report = audit(uniform.directory, quick=True, progress=steps.append)
    unchecked = [c.name for c in report.checks if c.verdict is Verdict.NOT_CHECKED]
    assert report.ok
    assert unchecked == ["circuits", "chain"]
    assert set(steps) >= set(CHECKS) - {"circuits", "chain"}


def test_the_records_of_the_tests_have_what_they_are_to_show(uniform: Any, quiet: Any) -> None:
    summary = json.loads((uniform.directory / "record.json").read_bytes())["summary"]
    crossed = [i["outcome"] is not None for i in summary["instruments"]]
    assert crossed == [True, True, False]
    assert len(summary["fills"]) > 4
    purposes = {
        entry["purpose"].rstrip("0123456789. ")
        for entry in json.loads((uniform.directory / "openings.json").read_bytes())["openings"]
    }
    assert purposes == {
        "price lanes",
        "no-cross",
        "price bits",
        "tie lanes",
        "short row",
        "ration lanes",
        "ration bits",
        "long row",
    }
    summary = json.loads((quiet.directory / "record.json").read_bytes())["summary"]
    assert [i["outcome"] for i in summary["instruments"]] == [None, None]


def test_a_changed_byte_of_any_file_names_the_file(uniform: Any, copy_of: Any) -> None:
    copy = copy_of(uniform)
    names = [p.relative_to(copy.directory).as_posix() for p in copy.directory.rglob("*.*")]
    assert len(names) > 50
    for name in names:
        original = copy.read(name)
        for offset in (0, len(original) // 2, len(original) - 1):
            copy.flip(name, offset)
            report = audit(copy.directory, quick=True)
            parts = [c.part for c in report.checks if not c.ok and c.name in ("form", "files")]
            assert not report.ok, (name, offset)
            if name == "manifest.json":
                assert parts, offset
            else:
                assert any(part.split("[")[0].startswith(name) for part in parts), (name, parts)
        copy.write(name, original)
    assert audit(copy.directory, quick=True).ok


def leaves(tree: Any, path: tuple[str | int, ...] = ()) -> Iterator[tuple[str | int, ...]]:
    """Paths to everything that can be changed; of a list its ends stand for all of it."""
    if isinstance(tree, dict):
        for name, item in tree.items():
            yield from leaves(item, (*path, name))
    elif isinstance(tree, list) and tree:
        yield path
        for index in {0, len(tree) - 1}:
            yield from leaves(tree[index], (*path, index))
    elif not isinstance(tree, list):
        yield path


def changed(value: Any) -> list[Any]:
    """Other values of the same type."""
    if isinstance(value, bool) or value is None:
        return [0]
    if isinstance(value, int):
        return [value + 1, *([value - 1] if value else [])]
    if isinstance(value, list):
        return [value[:-1], *([value[::-1]] if len(value) > 1 else [])]
    if value.startswith("0x"):
        return [
            f"{value[:-1]}{int(value[-1], 16) ^ 1:x}",
            f"0x{int(value[2], 16) ^ 8:x}{value[3:]}",
        ]
    return [value[:-1] + chr(ord(value[-1]) ^ 1), f"1{value}"]


# Which check has to fail, by file and path; the first pattern that fits counts. What nobody signs,
# and only a chain or the clients could tell, "holds".
EXPECTED: list[tuple[str, str]] = [
    (r"record.json summary (batch|settlement) transaction.*", "holds"),
    (r"record.json summary venue vault", "holds"),
    (r"record.json envelope_keys.*", "holds|form"),
    (r".* version", "form"),
    (r"record.json parameters", "form"),
    (r"record.json summary interval", "intents"),
    (r"record.json summary pricing", "form"),
    (r"record.json summary grid ticks", "margin"),
    (r"record.json summary grid.*", "margin"),
    (r"record.json summary committee size", "form"),
    (r"record.json summary committee epoch", "intents"),
    (r"record.json summary committee quorum", "committee"),
    (r"record.json summary committee addresses$", "form|batch root"),
    (r"record.json summary committee addresses.*", "batch root"),
    (r"record.json summary venue.*", "intents"),
    (r"record.json summary context", "batch root"),
    (r"record.json summary beacon.*", "beacon|form"),
    (r"record.json summary instruments$", "results|form|intents"),
    (r"record.json summary instruments \d+ (name|identifier|intents).*", "intents|form"),
    (r"record.json summary instruments \d+ outcome.*", "results|form"),
    # a lower margin of an instrument that did not cross covers no less
    (r"record.json summary instruments 2 margin (rate_ppm|multiplier)", "margin|holds"),
    (r"record.json summary instruments \d+ margin.*", "margin"),
    (r"record.json summary fills.*", "fills|form"),
    (r"record.json summary (before|after).*", "margin|form"),
    (r"record.json summary batch (root|count|signatures).*", "batch root|form"),
    (r"record.json summary settlement signatures.*", "settlement|form"),
    (r"record.json summary settlement.*root", "roots"),
    (r"intents.json intents$", "batch root|form"),
    (r"intents.json intents \d+ signature", "intents"),
    (r"intents.json intents.*", "intents"),
    (r"masks.json masks$", "schedule|form"),
    (r"masks.json masks \d+ (number|lanes)", "form"),
    (r"masks.json masks.*", "masks|form"),
    (r"openings.json openings$", "form|schedule"),
    (r"openings.json openings \d+ (budget|liars).*", "openings"),
    (r"openings.json openings \d+ (ring|level)", "openings|form"),
    (r"openings.json openings.*", "schedule"),
]


def expectation(name: str, path: tuple[str | int, ...]) -> str:
    text = " ".join([name, *map(str, path)])
    for pattern, check in EXPECTED:
        if re.fullmatch(pattern.removesuffix("$"), text):
            return check
    raise AssertionError(f"no expectation for {text}")


@pytest.mark.parametrize("name", ["record.json", "intents.json", "masks.json", "openings.json"])
def test_a_changed_field_under_a_new_manifest_fails_its_check(
    name: str, uniform: Any, copy_of: Any
) -> None:
    copy = copy_of(uniform)
    original = copy.read(name)
    tree = json.loads(original)
    count = 0
    for path in list(leaves(tree)):
        wanted = expectation(name, path)
        holder = json.loads(original)
        inner = holder
        for step in path[:-1]:
            inner = inner[step]
        for value in changed(inner[path[-1]]):
            inner[path[-1]] = value
            copy.write_json(name, holder)
            copy.reseal()
            found = failed(audit(copy.directory, quick=True)) or {"holds": ""}
            count += 1
            assert set(found) & set(wanted.split("|")), (path, value, found)
    assert count > 20


@pytest.mark.parametrize(
    ("file", "check", "part"),
    [
        ("ciphertexts.bin", "ciphertexts", "ciphertext 17"),
        ("masks/0-tables.npy", "masks", "mask 0"),
        ("masks/0-order.bin", "masks", "mask 0"),
        ("openings/0-ciphertext.bin", "openings", "opening 0"),
        ("openings/0-shares.npy", "openings", "opening 0"),
        ("openings/0-values.npy", "openings", "opening 0"),
        ("openings/2-support.npy", "schedule", "opening 2"),
    ],
)
def test_a_changed_byte_of_an_array_under_a_new_manifest(
    file: str, check: str, part: str, uniform: Any, copy_of: Any
) -> None:
    copy = copy_of(uniform)
    size = len(copy.read(file))
    copy.flip(file, size * 35 // 72 if file == "ciphertexts.bin" else size // 2 // 8 * 8)
    copy.reseal()
    report = audit(copy.directory)
    found = {c.name: c.part for c in report.checks if not c.ok}
    assert found[check].startswith(part), found


def test_a_changed_evaluation_key_gives_other_ciphertexts(uniform: Any, copy_of: Any) -> None:
    copy, name = copy_of(uniform), "material/comparison-relinearisation.seal"
    copy.flip(name, len(copy.read(name)) // 40)
    copy.reseal()
    assert set(failed(audit(copy.directory))) == {"circuits"}


Change = Callable[[Any], None]


def swap_intents(copy: Any) -> None:
    def swap(tree: Any) -> None:
        intents = tree["intents"]
        intents[0], intents[1] = intents[1], intents[0]

    copy.change("intents.json", swap)
    data = copy.read("ciphertexts.bin")
    size = len(data) // len(copy.json("intents.json")["intents"])
    copy.write("ciphertexts.bin", data[size : 2 * size] + data[:size] + data[2 * size :])


def drop_intent(copy: Any) -> None:
    count = len(copy.json("intents.json")["intents"])
    copy.change("intents.json", lambda tree: tree["intents"].pop())
    data = copy.read("ciphertexts.bin")
    copy.write("ciphertexts.bin", data[: -len(data) // count])

    def renumber(tree: Any) -> None:
        tree["summary"]["instruments"][-1]["intents"].remove(count - 1)
        tree["summary"]["batch"]["count"] = count - 1

    copy.change("record.json", renumber)


def use_a_mask_twice(copy: Any) -> None:
    def repeat(tree: Any) -> None:
        masks = [entry for entry in tree["openings"] if entry["mask_number"] is not None]
        masks[-1]["mask_number"] = masks[0]["mask_number"]

    copy.change("openings.json", repeat)


def add_fill(copy: Any) -> None:
    def add(tree: Any) -> None:
        fills = tree["summary"]["fills"]
        taken = {fill["intent"] for fill in fills if fill["instrument"] == 0}
        intent = next(k for k in range(12) if k not in taken)
        fills.append({**fills[0], "intent": intent})

    copy.change("record.json", add)


def move_a_lot(copy: Any) -> None:
    def move(tree: Any) -> None:
        fills = [f for f in tree["summary"]["fills"] if f["instrument"] == 0]
        pair = [f for f in fills if f["side"] == fills[0]["side"]][:2]
        pair[0]["size"] += 1
        pair[1]["size"] -= 1

    copy.change("record.json", move)


def shift_price(copy: Any) -> None:
    def shift(tree: Any) -> None:
        tree["summary"]["instruments"][0]["outcome"]["tick"] += 1
        for fill in tree["summary"]["fills"]:
            fill["tick"] += fill["instrument"] == 0

    copy.change("record.json", shift)


def forge_signature(copy: Any) -> None:
    def forge(tree: Any) -> None:
        signatures = tree["summary"]["batch"]["signatures"]
        signatures["0"] = signatures["1"]

    copy.change("record.json", forge)


def lose_the_quorum(copy: Any) -> None:
    def lose(tree: Any) -> None:
        tree["summary"]["settlement"]["signatures"] = dict(
            list(tree["summary"]["settlement"]["signatures"].items())[:2]
        )

    copy.change("record.json", lose)


def drop_the_last_opening(copy: Any) -> None:
    last = len(copy.json("openings.json")["openings"]) - 1
    copy.change("openings.json", lambda tree: tree["openings"].pop())
    for kind in ("ciphertext.bin", "shares.npy", "values.npy", "support.npy"):
        (copy.directory / f"openings/{last}-{kind}").unlink()


def open_something_more(copy: Any) -> None:
    entries = copy.json("openings.json")["openings"]
    extra = {**entries[-1], "sequence": len(entries)}
    copy.change("openings.json", lambda tree: tree["openings"].append(extra))
    for kind in ("ciphertext.bin", "shares.npy", "values.npy", "support.npy"):
        data = copy.read(f"openings/{len(entries) - 1}-{kind}")
        copy.write(f"openings/{len(entries)}-{kind}", data)


def number_of(copy: Any, purpose: str) -> int:
    entries = copy.json("openings.json")["openings"]
    return next(i for i, entry in enumerate(entries) if entry["purpose"] == purpose)


def swap_openings(copy: Any) -> None:
    first, second = number_of(copy, "short row 0"), number_of(copy, "short row 1")
    for kind in ("ciphertext.bin", "shares.npy", "values.npy", "support.npy"):
        names = [f"openings/{k}-{kind}" for k in (first, second)]
        data = [copy.read(name) for name in names]
        for name, content in zip(names, reversed(data), strict=True):
            copy.write(name, content)


def shift_share(copy: Any, purpose: str, slots_shifted: dict[int, int]) -> None:
    """Shift a decryption share so that it decodes to other values, and state those."""
    record, index = Record.load(copy.directory), number_of(copy, purpose)
    opened = record.opening(index)
    ring = opened.ciphertext.ring
    change = np.zeros(ring.degree, dtype=np.int64)
    for slot, amount in slots_shifted.items():
        change[slot] = amount
    pair = Ciphertext(ring, np.stack([opened.shares[1], opened.shares[1]]))
    shifted = add_plain(pair, slots.encode(ring, change)).words[0]
    shares = (opened.shares[0], shifted, *opened.shares[2:])
    decoded = combine_shares(opened.ciphertext, shares, len(shares))
    values = slots.decode(ring, decoded.coefficients)
    assert np.array_equal(values, (opened.values + change) % ring.plain_modulus)
    header = npy_header("<u8", (len(shares), *shifted.shape))
    copy.write(f"openings/{index}-shares.npy", header + np.stack(shares).tobytes())
    header = npy_header("<i8", values.shape)
    copy.write(f"openings/{index}-values.npy", header + values.tobytes())

    def measure(tree: Any) -> None:
        tree["openings"][index]["budget_after_bits"] = decoded.budget_bits

    copy.change("openings.json", measure)


def shift_masked_lane(copy: Any) -> None:
    shift_share(copy, "price lanes 0.0", {3: 1})


def shift_short_row(copy: Any) -> None:
    record, index = Record.load(copy.directory), number_of(copy, "short row 0")
    slot = int(np.flatnonzero(record.opening(index).values)[0])
    shift_share(copy, "short row 0", {slot: 1})


def shift_zeroed_slot(copy: Any) -> None:
    record, index = Record.load(copy.directory), number_of(copy, "short row 0")
    slot = int(np.flatnonzero(~record.opening(index).support)[0])
    shift_share(copy, "short row 0", {slot: 1})


def deny_the_cross(copy: Any) -> None:
    record, index = Record.load(copy.directory), number_of(copy, "no-cross 0")
    slot = int(np.flatnonzero(record.opening(index).values)[0])
    shift_share(copy, "no-cross 0", {slot: -1})


@pytest.mark.parametrize(
    ("forge", "check", "says"),
    [
        (swap_intents, "batch root", "batch, root"),
        (drop_intent, "batch root", "batch, root"),
        (use_a_mask_twice, "schedule", "a mask not used before"),
        (add_fill, "fills", "fills, how many"),
        (move_a_lot, "fills", "fill "),
        (shift_price, "results", "instrument A, price tick"),
        (forge_signature, "batch root", "batch, signature of keyper 0"),
        (lose_the_quorum, "settlement", "at least 3, got 2"),
        (drop_the_last_opening, "schedule", "got none"),
        (open_something_more, "schedule", "no further opening"),
        (swap_openings, "schedule", "long row"),
        (shift_masked_lane, "circuits", "ciphertext of no-cross 0"),
        (shift_short_row, "circuits", "ciphertext of ration lanes 0.0"),
        (shift_short_row, "results", "instrument A, volume"),
        (shift_zeroed_slot, "openings", "expected zero, got 1"),
        (deny_the_cross, "schedule", "support of slot 0"),
    ],
)
def test_a_forged_record_fails_the_right_check(
    forge: Change, check: str, says: str, uniform: Any, copy_of: Any
) -> None:
    copy = copy_of(uniform)
    forge(copy)
    copy.reseal()
    assert says in failed(audit(copy.directory)).get(check, "holds")


def test_a_record_of_another_chain_is_told_from_this_one(uniform: Any, quiet: Any) -> None:
    found = failed(audit(uniform.directory, EmbeddedReader(quiet.chain), quick=True))
    assert set(found) == {"chain"}
    for part in ("committee, addresses", "batch, root"):
        assert part in found["chain"]


def test_transactions_are_checked_where_a_chain_is_asked(uniform: Any, copy_of: Any) -> None:
    for path in (("batch", "transaction", "block"), ("settlement", "transaction", "block")):
        copy = copy_of(uniform)

        def later(tree: Any, path: tuple[str, str, str] = path) -> None:
            tree["summary"][path[0]][path[1]][path[2]] += 1

        copy.change("record.json", later)
        copy.reseal()
        assert audit(copy.directory, quick=True).ok
        found = failed(audit(copy.directory, EmbeddedReader(uniform.chain), quick=True))
        assert f"{path[0]}, block" in found["chain"]


def test_no_record_is_a_failed_check(tmp_path: Any) -> None:
    report = audit(tmp_path / "nothing")
    assert not report.ok
    assert [(check.name, check.part) for check in report.checks] == [("form", "manifest.json")]
