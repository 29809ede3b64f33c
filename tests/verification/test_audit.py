"""An honest record passes; no part of it can be changed without the audit naming the part."""

import json
import random
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from darkpool.chain.reader import RecordedVenue
from darkpool.errors import OutOfBounds, WrongType
from darkpool.record.reader import Record
from darkpool.units import account_of
from darkpool.verification.audit import audit
from darkpool.verification.evidence import Anchor
from darkpool.verification.report import FINDINGS_SHOWN_MAX, Verdict
from tests.support.audits import CHECKS, chain_of, failed
from tests.support.records import Copy, Published

Steps = tuple[str | int, ...]
"""Names and places that lead to a part of a JSON tree."""


@pytest.mark.parametrize("kind", ["uniform", "reference", "quiet", "attacked"])
def test_an_honest_record_passes(kind: str, request: pytest.FixtureRequest) -> None:
    published = request.getfixturevalue(kind)
    summary = Record.load(published.directory).summary
    anchor = Anchor(summary.venue.settlement, summary.committee.addresses, summary.reporter)
    report = audit(published.directory, chain_of(published), anchor=anchor)
    assert not failed(report)
    assert report.ok
    assert [check.name for check in report.checks] == CHECKS
    assert all(check.verdict is Verdict.HOLDS for check in report.checks)


def test_what_was_not_asked_for_is_said(uniform: Published) -> None:
    steps: list[str] = []
    report = audit(uniform.directory, quick=True, progress=steps.append)
    unchecked = [c.name for c in report.checks if c.verdict is Verdict.NOT_CHECKED]
    assert report.ok
    assert unchecked == ["anchor", "circuits", "chain"]
    assert report.checks[-1].detail == "nothing was settled before"
    assert set(steps) >= set(CHECKS) - {"anchor", "circuits", "chain"}


def test_another_venue_is_found_by_who_knows_the_right_one(uniform: Published) -> None:
    summary = Record.load(uniform.directory).summary
    others = (*summary.committee.addresses[:3], bytes(20))
    for anchor in (Anchor(bytes(20)), Anchor(keypers=others), Anchor(reporter=bytes(20))):
        report = audit(uniform.directory, quick=True, anchor=anchor)
        assert list(failed(report)) == ["anchor"]


def test_an_anchor_says_what_it_covers(uniform: Published) -> None:
    summary = Record.load(uniform.directory).summary
    keypers, contract = summary.committee.addresses, summary.venue.settlement
    asked = chain_of(uniform)
    for anchor, chain, says in (
        (Anchor(keypers=keypers), None, "as the auditor knows: keypers"),
        (Anchor(contract, keypers), None, "as the auditor knows: contract, keypers"),
        (Anchor(contract), asked, "as the auditor knows: contract"),
    ):
        report = audit(uniform.directory, chain, quick=True, anchor=anchor)
        (found,) = (check for check in report.checks if check.name == "anchor")
        assert (found.verdict, found.detail) == (Verdict.HOLDS, says)


def test_what_any_record_can_name_or_copy_is_no_anchor(uniform: Published) -> None:
    """A forger who makes up keypers can write any contract beside them, and copy signed prices."""
    summary = Record.load(uniform.directory).summary
    for anchor, chain in (
        (Anchor(summary.venue.settlement), None),
        (Anchor(reporter=summary.reporter), None),
        (Anchor(summary.venue.settlement, reporter=summary.reporter), None),
        (Anchor(), chain_of(uniform)),
    ):
        report = audit(uniform.directory, chain, quick=True, anchor=anchor)
        (found,) = (check for check in report.checks if check.name == "anchor")
        assert found.verdict is Verdict.NOT_CHECKED
        assert "keypers" in found.detail.partition(" are the record's own word")[0]
        assert report.ok


def test_an_anchor_tells_which_of_the_keypers_differs(uniform: Published) -> None:
    keypers = Record.load(uniform.directory).summary.committee.addresses
    swapped = (keypers[1], keypers[0], *keypers[2:])
    report = audit(uniform.directory, quick=True, anchor=Anchor(keypers=swapped))
    (found,) = (check for check in report.checks if check.name == "anchor")
    assert [(one.part, one.expected, one.got) for one in found.differences] == [
        ("committee, addresses, number 0", account_of(keypers[1]), account_of(keypers[0])),
        ("committee, addresses, number 1", account_of(keypers[0]), account_of(keypers[1])),
    ]
    reporters = Record.load(uniform.directory).margin.market.reporters
    known = (*reporters[:-1], bytes(20))
    report = audit(uniform.directory, quick=True, anchor=Anchor(price_reporters=known))
    (found,) = (check for check in report.checks if check.name == "anchor")
    assert f"expected 0x{'00' * 20}, got none of this address" in found.detail
    assert f"got {account_of(reporters[-1])}" in found.detail


def test_the_records_of_the_tests_have_what_they_are_to_show(
    uniform: Published, quiet: Published
) -> None:
    summary = json.loads((uniform.directory / "record.json").read_bytes())["summary"]
    crossed = [i["outcome"] is not None for i in summary["instruments"]]
    assert crossed == [True, True, False]
    assert len(summary["fills"]) > 4
    purposes = {
        entry["purpose"].rstrip("0123456789. ")
        for entry in json.loads((uniform.directory / "openings.json").read_bytes())["openings"]
    }
    assert purposes == {
        "shape",
        "cap bits",
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


def test_a_changed_byte_of_any_file_names_the_file(
    uniform: Published, copy_of: Callable[[Published], Copy]
) -> None:
    copy = copy_of(uniform)
    names = [p.relative_to(copy.directory).as_posix() for p in copy.directory.rglob("*.*")]
    assert len(names) > 50
    texts = [name for name in names if name.endswith(".json")]
    arrays = [name for name in names if name not in texts]
    # an array that is none ends an audit; of others, one audit names as many as it shows
    firsts = [[name] for name in names]
    rests = [[name] for name in texts]
    rests += [arrays[k : k + FINDINGS_SHOWN_MAX] for k in range(0, len(arrays), FINDINGS_SHOWN_MAX)]
    for groups, numerator in ((firsts, 0), (rests, 1), (rests, 2)):
        for group in groups:
            originals = {name: copy.read(name) for name in group}
            for name, original in originals.items():
                copy.flip(name, (len(original) - 1) * numerator // 2)
            report = audit(copy.directory, quick=True)
            found = [c for c in report.checks if not c.ok and c.name in ("form", "files")]
            assert not report.ok, (group, numerator)
            if group == ["manifest.json"]:
                assert found, numerator
            elif len(group) == 1:
                parts = [check.part.split("[")[0] for check in found]
                assert any(part.startswith(group[0]) for part in parts), (group, parts)
            else:
                (files,) = (check.detail for check in found)
                assert all(f"{name}: expected" in files for name in group), (group, files)
            for name, original in originals.items():
                copy.write(name, original)
    assert audit(copy.directory, quick=True).ok


ALL, FIRST, LAST = slice(None), slice(0, 1), slice(-1, None)


def leaves(tree: Any, path: Steps = (), which: slice = ALL) -> Iterator[tuple[Steps, slice]]:
    """Paths to everything that can be changed, and which of the other values of `changed` to try.

    Of a list its ends stand for all of it, and try one of two values each.
    """
    if isinstance(tree, dict):
        for name, item in tree.items():
            yield from leaves(item, (*path, name), which)
    elif isinstance(tree, list) and tree:
        yield path, ALL
        if len(tree) == 1:
            yield from leaves(tree[0], (*path, 0), which)
        else:
            yield from leaves(tree[0], (*path, 0), FIRST)
            yield from leaves(tree[-1], (*path, len(tree) - 1), LAST)
    elif not isinstance(tree, list):
        yield path, which


def changed(value: Any) -> list[Any]:
    """Other values of the same type."""
    if isinstance(value, bool):
        return [not value]
    if value is None:
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
    (r"record.json evidence (commitment|settlement) transaction.*", "holds"),
    (r"record.json evidence transcripts.*", "transcript|form"),
    (r"record.json evidence commitment signatures.*", "batch root|form"),
    (r"record.json evidence settlement.*", "settlement|form"),
    (r"record.json summary venue vault", "transcript"),
    (r"record.json envelope_keys.*", "transcript|form"),
    (r".* version", "form"),
    (r"record.json parameters", "form"),
    (r"record.json summary interval", "intents"),
    (r"record.json summary closes_ms", "certificates"),
    (r"record.json summary pricing", "form"),
    (r"record.json summary reporter", "reference"),
    (r"record.json summary references.*", "reference|form"),
    (r"record.json summary ticks", "reference"),
    (r"contracts.json contracts \d+ kind", "form"),
    # a lower rate of what nobody holds would be good as well: keypers signed the one that was
    (r"(contracts|market).json.*", "transcript"),
    # all contracts of these records are alike
    (r"risk.json contracts$", "prices|holds"),
    (r"risk.json.*", "prices"),
    (r"record.json summary committee size", "form"),
    (r"record.json summary committee epoch", "intents"),
    (r"record.json summary committee quorum", "committee"),
    (r"record.json summary committee addresses$", "form|batch root"),
    (r"record.json summary committee addresses.*", "batch root"),
    (r"record.json summary venue deposit_min", "settlement"),
    (r"record.json summary venue.*", "intents"),
    (r"record.json summary context", "batch root"),
    (r"record.json summary beacon.*", "beacon|form"),
    (r"record.json summary instruments$", "results|form|intents"),
    (r"record.json summary instruments \d+ (name|identifier|intents).*", "intents|form"),
    (r"record.json summary instruments \d+ outcome.*", "results|form"),
    (r"record.json summary participation.*", "transcript"),
    (r"record.json summary bond.*", "transcript"),
    (r"record.json summary fills.*", "fills|form"),
    # what a request asks for above what is free changes nothing but the hash of all flows
    (r"record.json summary flows.*", "collateral|continuity|form"),
    (r"record.json summary after.*", "collateral|form"),
    (r"record.json summary due market_ms", "settlement"),  # void intervals may have moved it
    (r"record.json summary due.*", "continuity|collateral"),
    (r"record.json summary batch flows_head", "continuity"),
    (r"record.json summary batch flows", "collateral"),
    (r"record.json summary batch masks \d+ digest", "masks"),
    (r"record.json summary batch masks \d+ (number|lanes)", "schedule|masks"),
    (r"record.json summary batch.*", "batch root|form"),
    (r"intents.json intents$", "batch root|form"),
    (r"intents.json intents \d+ signature", "intents"),
    (r"intents.json intents \d+ certificate.*", "certificates"),
    (r"intents.json intents.*", "intents"),
    (r"masks.json masks$", "schedule|form"),
    (r"masks.json masks \d+ (number|lanes)", "form"),
    (r"masks.json masks.*", "masks|form"),
    (r"openings.json openings$", "form|schedule"),
    (r"openings.json openings \d+ liars.*", "openings"),
    (r"openings.json openings \d+ budget.*", "openings"),
    (r"openings.json openings \d+ (ring|level)", "openings|form"),
    (r"openings.json openings.*", "schedule"),
]


FILES = ["record.json", "contracts.json", "market.json", "risk.json"]
FILES += ["intents.json", "masks.json", "openings.json"]


def expectation(name: str, path: Steps) -> str:
    text = " ".join([name, *map(str, path)])
    for pattern, check in EXPECTED:
        if re.fullmatch(pattern.removesuffix("$"), text):
            return check
    raise AssertionError(f"no expectation for {text}")


@pytest.mark.parametrize("name", FILES)
def test_a_changed_field_under_a_new_manifest_fails_its_check(
    name: str, uniform: Published, copy_of: Callable[[Published], Copy]
) -> None:
    copy = copy_of(uniform)
    original = copy.read(name)
    places = list(leaves(json.loads(original)))
    assert len(places) > 10
    for path, which in places:
        wanted = expectation(name, path)
        holder = json.loads(original)
        inner = holder
        for step in path[:-1]:
            inner = inner[step]
        for value in changed(inner[path[-1]])[which]:
            inner[path[-1]] = value
            copy.write_json(name, holder)
            copy.reseal()
            found = failed(audit(copy.directory, quick=True)) or {"holds": ""}
            assert set(found) & set(wanted.split("|")), (path, value, found)


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
    file: str, check: str, part: str, uniform: Published, copy_of: Callable[[Published], Copy]
) -> None:
    copy = copy_of(uniform)
    size = len(copy.read(file))
    copy.flip(file, size * 35 // 72 if file == "ciphertexts.bin" else size // 2 // 8 * 8)
    copy.reseal()
    report = audit(copy.directory)
    found = {c.name: c.part for c in report.checks if not c.ok}
    assert found[check].startswith(part), found


def test_a_changed_evaluation_key_gives_other_ciphertexts(
    uniform: Published, copy_of: Callable[[Published], Copy]
) -> None:
    copy, name = copy_of(uniform), "material/comparison-relinearisation.seal"
    copy.flip(name, len(copy.read(name)) // 40)
    copy.reseal()
    found = set(failed(audit(copy.directory)))
    assert found == {"certificates", "batch root", "transcript", "circuits", "settlement"}


def test_a_record_of_another_chain_is_told_from_this_one(
    uniform: Published, quiet: Published
) -> None:
    found = failed(audit(uniform.directory, chain_of(quiet), quick=True))
    assert set(found) == {"chain"}
    for part in ("committee, addresses", "batch, root"):
        assert part in found["chain"]


def test_transactions_are_checked_where_a_chain_is_asked(
    uniform: Published, copy_of: Callable[[Published], Copy]
) -> None:
    def another(tree: Any) -> None:
        tree["transaction"] = "0x" + "ee" * 32

    def later(tree: Any) -> None:
        tree["transaction"]["block"] += 1

    def gone(tree: Any) -> None:
        tree["signatures"].pop(min(tree["signatures"]))

    for part, change, says in (
        ("commitment", another, "batch, transaction"),
        ("commitment", gone, "batch, signatures"),
        ("settlement", later, "settlement, block"),
        ("settlement", gone, "settlement, signatures"),
    ):
        copy = copy_of(uniform)
        copy.change("record.json", lambda tree: change(tree["evidence"][part]))  # noqa: B023
        copy.reseal()
        assert audit(copy.directory, quick=True).ok
        found = failed(audit(copy.directory, chain_of(uniform), quick=True))
        assert set(found) == {"chain"}
        assert says in found["chain"]


# What no signature of the record reaches: keys that the circuits do not use.
def require_report(seed: int, copy: Copy) -> None:
    generator = random.Random(seed)
    names = [p.relative_to(copy.directory).as_posix() for p in copy.directory.rglob("*.*")]
    name = generator.choice(sorted(set(names) - {"manifest.json"}))
    copy.flip(name, generator.randrange(len(copy.read(name))), 1 << generator.randrange(8))
    copy.reseal()
    report = audit(copy.directory)
    assert not report.ok or name == "record.json", name


@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(seed=st.integers(0, 2**32))
def test_an_audit_of_anything_ends_in_a_report(
    seed: int, uniform: Published, copy_of: Callable[[Published], Copy]
) -> None:
    require_report(seed, copy_of(uniform))


@pytest.mark.slow
@settings(max_examples=400, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(seed=st.integers(0, 2**32))
def test_an_audit_of_anything_ends_in_a_report_many_times(
    seed: int, uniform: Published, copy_of: Callable[[Published], Copy]
) -> None:
    require_report(seed, copy_of(uniform))


def test_contracts_that_are_others_are_told_by_the_chain(
    uniform: Published, copy_of: Callable[[Published], Copy]
) -> None:
    copy = copy_of(uniform)
    copy.change("record.json", lambda tree: tree["summary"]["venue"].update(vault="0x" + "11" * 20))
    copy.reseal()
    venue = Record.load(copy.directory).summary.venue
    found = failed(audit(copy.directory, RecordedVenue(uniform.chain, venue), quick=True))
    signed = {"certificates", "batch root", "transcript", "settlement"}
    # no deposit reached that vault, so nobody has anything
    covered = {"schedule", "rejections", "results", "fills", "collateral"}
    assert set(found) == {*signed, *covered, "chain"}


def test_no_record_is_a_failed_check(tmp_path: Path) -> None:
    report = audit(tmp_path / "nothing")
    assert not report.ok
    assert [check.name for check in report.checks] == CHECKS
    assert set(failed(report)) == {"form"}
    assert report.checks[0].part == "manifest.json"


def test_what_an_audit_is_given_is_checked_first(tmp_path: Path) -> None:
    for place in ("record", None, b"record"):
        with pytest.raises(WrongType, match="record: expected"):
            audit(place)  # type: ignore[arg-type]
    with pytest.raises(WrongType, match="anchor"):
        audit(tmp_path, anchor="0x" + "11" * 20)  # type: ignore[arg-type]
    for chain in ("http://127.0.0.1:8545", 7, object()):
        with pytest.raises(WrongType, match="chain: expected a ChainReader"):
            audit(tmp_path, chain)  # type: ignore[arg-type]
    for name in ("settlement", "reporter"):
        for address in ("0x" + "11" * 20, b"", 7):
            with pytest.raises((WrongType, OutOfBounds), match=name):
                Anchor(**{name: address})  # type: ignore[arg-type]
    for name in ("keypers", "price_reporters"):
        for addresses in ([bytes(20)], (bytes(19),), bytes(20), ("0x" + "11" * 20,)):
            with pytest.raises((WrongType, OutOfBounds), match=name):
                Anchor(**{name: addresses})  # type: ignore[arg-type]
