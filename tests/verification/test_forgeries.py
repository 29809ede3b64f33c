"""Forged records: whoever changes one part to fit another is found by a third."""

import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from crypto.bfv.ciphertext import Ciphertext
from crypto.bfv.encryption import add_plain
from crypto.errors import InvalidSignature
from crypto.ring import slots
from crypto.signing.ecdsa import address_of, sign
from crypto.signing.messages import instrument_id
from crypto.threshold.decryption import combine_shares
from darkpool.committee.beacon import Beacon
from darkpool.committee.committee import KeyperCommittee
from darkpool.committee.session import Session
from darkpool.protocol.keyper import TranscriptRequest
from darkpool.protocol.terms import Pricing
from darkpool.record.folder import npy_header
from darkpool.record.reader import Record
from darkpool.units import Interval
from darkpool.verification.audit import audit
from tests.support.audits import failed
from tests.support.records import Copy, Published, orders_of, publish

Change = Callable[[Any], None]


def swap_intents(copy: Copy) -> None:
    def swap(tree: Any) -> None:
        intents = tree["intents"]
        intents[0], intents[1] = intents[1], intents[0]

    copy.change("intents.json", swap)
    data = copy.read("ciphertexts.bin")
    size = len(data) // len(copy.json("intents.json")["intents"])
    copy.write("ciphertexts.bin", data[size : 2 * size] + data[:size] + data[2 * size :])


def drop_intent(copy: Copy) -> None:
    count = len(copy.json("intents.json")["intents"])
    copy.change("intents.json", lambda tree: tree["intents"].pop())
    data = copy.read("ciphertexts.bin")
    copy.write("ciphertexts.bin", data[: -len(data) // count])

    def renumber(tree: Any) -> None:
        tree["summary"]["instruments"][-1]["intents"].remove(count - 1)
        tree["summary"]["batch"]["count"] = count - 1

    copy.change("record.json", renumber)


def count_one_more(copy: Copy) -> None:
    copy.change("record.json", lambda tree: tree["summary"]["batch"].update(count=99))


def use_a_mask_twice(copy: Copy) -> None:
    def repeat(tree: Any) -> None:
        masks = [entry for entry in tree["openings"] if entry["mask_number"] is not None]
        masks[-1]["mask_number"] = masks[0]["mask_number"]

    copy.change("openings.json", repeat)


def add_fill(copy: Copy) -> None:
    def add(tree: Any) -> None:
        fills = tree["summary"]["fills"]
        taken = {fill["intent"] for fill in fills if fill["instrument"] == 0}
        intent = next(k for k in range(12) if k not in taken)
        fills.append({**fills[0], "intent": intent})

    copy.change("record.json", add)


def move_a_lot(copy: Copy) -> None:
    def move(tree: Any) -> None:
        fills = [f for f in tree["summary"]["fills"] if f["instrument"] == 0]
        pair = [f for f in fills if f["side"] == fills[0]["side"]][:2]
        pair[0]["size"] += 1
        pair[1]["size"] -= 1

    copy.change("record.json", move)


def shift_price(copy: Copy) -> None:
    def shift(tree: Any) -> None:
        tree["summary"]["instruments"][0]["outcome"]["tick"] += 1
        for fill in tree["summary"]["fills"]:
            fill["tick"] += fill["instrument"] == 0

    copy.change("record.json", shift)


def forge_signature(copy: Copy) -> None:
    def forge(tree: Any) -> None:
        signatures = tree["evidence"]["commitment"]["signatures"]
        signatures["0"] = signatures["1"]

    copy.change("record.json", forge)


def lose_the_quorum(copy: Copy) -> None:
    def lose(tree: Any) -> None:
        settlement = tree["evidence"]["settlement"]
        settlement["signatures"] = dict(list(settlement["signatures"].items())[:2])

    copy.change("record.json", lose)


def drop_the_last_opening(copy: Copy) -> None:
    last = len(copy.json("openings.json")["openings"]) - 1
    copy.change("openings.json", lambda tree: tree["openings"].pop())
    for kind in ("ciphertext.bin", "shares.npy", "values.npy", "support.npy"):
        (copy.directory / f"openings/{last}-{kind}").unlink()


def open_something_more(copy: Copy) -> None:
    entries = copy.json("openings.json")["openings"]
    extra = {**entries[-1], "sequence": len(entries)}
    copy.change("openings.json", lambda tree: tree["openings"].append(extra))
    for kind in ("ciphertext.bin", "shares.npy", "values.npy", "support.npy"):
        data = copy.read(f"openings/{len(entries) - 1}-{kind}")
        copy.write(f"openings/{len(entries)}-{kind}", data)


def number_of(copy: Copy, purpose: str) -> int:
    entries = copy.json("openings.json")["openings"]
    return next(i for i, entry in enumerate(entries) if entry["purpose"] == purpose)


def swap_openings(copy: Copy) -> None:
    first, second = number_of(copy, "short row 0"), number_of(copy, "short row 1")
    for kind in ("ciphertext.bin", "shares.npy", "values.npy", "support.npy"):
        names = [f"openings/{k}-{kind}" for k in (first, second)]
        data = [copy.read(name) for name in names]
        for name, content in zip(names, reversed(data), strict=True):
            copy.write(name, content)


def shift_share(copy: Copy, purpose: str, slots_shifted: dict[int, int]) -> None:
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


def shift_masked_lane(copy: Copy) -> None:
    shift_share(copy, "price lanes 0.0", {3: 1})


def shift_short_row(copy: Copy) -> None:
    record, index = Record.load(copy.directory), number_of(copy, "short row 0")
    slot = int(np.flatnonzero(record.opening(index).values)[0])
    shift_share(copy, "short row 0", {slot: 1})


def shift_zeroed_slot(copy: Copy) -> None:
    record, index = Record.load(copy.directory), number_of(copy, "short row 0")
    slot = int(np.flatnonzero(~record.opening(index).support)[0])
    shift_share(copy, "short row 0", {slot: 1})


def deny_the_cross(copy: Copy) -> None:
    record, index = Record.load(copy.directory), number_of(copy, "no-cross 0")
    slot = int(np.flatnonzero(record.opening(index).values)[0])
    shift_share(copy, "no-cross 0", {slot: -1})


def resign(copy: Copy, change: Change, key: bytes) -> None:
    """Change the references, and sign them again with a key of somebody."""

    def sign_again(tree: Any) -> None:
        change(tree["summary"])
        for reference in tree["summary"]["references"]:
            reference["signature"] = "0x" + bytes(65).hex()

    copy.change("record.json", sign_again)
    copy.reseal()
    record = Record.load(copy.directory)
    domain = record.summary.venue.domain()
    signatures = [sign(r.message().digest(domain), key) for r in record.summary.references]

    def put(tree: Any) -> None:
        for reference, signature in zip(tree["summary"]["references"], signatures, strict=True):
            reference["signature"] = "0x" + signature.hex()

    copy.change("record.json", put)


FORGERS_KEY = b"\x66" * 32


def forge_references(copy: Copy) -> None:
    resign(copy, lambda _summary: None, FORGERS_KEY)


def name_a_reporter(copy: Copy, change: Change = lambda _summary: None) -> None:
    """The forger is the reporter, so that only what the keypers signed speaks against it."""

    def appoint(summary: Any) -> None:
        summary["reporter"] = "0x" + address_of(FORGERS_KEY).hex()
        change(summary)

    resign(copy, appoint, FORGERS_KEY)


def every_reference(**fields: int) -> Change:
    def change(summary: Any) -> None:
        for reference in summary["references"]:
            reference.update(fields)

    return change


def use_references_of_another_interval(copy: Copy) -> None:
    name_a_reporter(copy, every_reference(interval=2))


def move_the_reference(copy: Copy) -> None:
    name_a_reporter(copy, every_reference(price=100_250_000))


def leave_the_multiples(copy: Copy) -> None:
    name_a_reporter(copy, every_reference(price=100_100_000))


def observe_after_the_intents(copy: Copy) -> None:
    name_a_reporter(copy, every_reference(observed_at=4_000_000_000_000))


def observe_one_long_before(copy: Copy) -> None:
    def change(summary: Any) -> None:
        summary["references"][0]["observed_at"] -= 62_001

    name_a_reporter(copy, change)


def swap_references(copy: Copy) -> None:
    copy.change("record.json", lambda tree: tree["summary"]["references"].reverse())


def drop_a_reference(copy: Copy) -> None:
    copy.change("record.json", lambda tree: tree["summary"]["references"].pop())


def copy_a_signature(copy: Copy) -> None:
    def repeat(tree: Any) -> None:
        first, second, *_ = tree["summary"]["references"]
        second["signature"] = first["signature"]

    copy.change("record.json", repeat)


def shorten_the_grid(copy: Copy) -> None:
    copy.change("record.json", lambda tree: tree["summary"].update(ticks=15))


INVENTED = tuple(bytes([j]) * 32 for j in range(4))


def invent_a_beacon(copy: Copy) -> None:
    """Shares of the forger's choice, and the value that goes with them."""

    def invent(tree: Any) -> None:
        tree["summary"]["beacon_shares"] = [f"0x{share.hex()}" for share in INVENTED]
        tree["summary"]["beacon"] = f"0x{hashlib.sha256(b''.join(INVENTED)).hexdigest()}"

    copy.change("record.json", invent)


def add_an_instrument(copy: Copy) -> None:
    def add(tree: Any) -> None:
        summary = tree["summary"]
        identifier = "0x" + instrument_id("Z").hex()
        last: dict[str, Any] = {
            "name": "Z",
            "identifier": identifier,
            "intents": [],
            "outcome": None,
        }
        summary["instruments"].append({**summary["instruments"][0], **last})
        summary["references"].append({**summary["references"][0], "instrument": identifier})

    copy.change("record.json", add)


@pytest.mark.parametrize(
    ("forge", "check", "says"),
    [
        (invent_a_beacon, "transcript", "signature of keyper 3"),
        (add_an_instrument, "transcript", "signature of keyper 0"),
        (swap_intents, "batch root", "batch, root"),
        (drop_intent, "batch root", "batch, root"),
        (count_one_more, "batch root", "batch, count: expected"),
        (use_a_mask_twice, "schedule", "mask number"),
        (add_fill, "fills", "fills, how many"),
        (move_a_lot, "fills", "fill "),
        (shift_price, "results", "instrument A, price tick"),
        (forge_signature, "batch root", "batch, signature of keyper 0"),
        (lose_the_quorum, "settlement", "at least 3, got 2"),
        (drop_the_last_opening, "schedule", "got none"),
        (open_something_more, "schedule", "no further opening"),
        (swap_openings, "schedule", "long row"),
        (shift_masked_lane, "circuits", "ciphertext of cap bits 0"),
        (shift_short_row, "circuits", "ciphertext of ration lanes 0.0"),
        (shift_short_row, "results", "instrument A, volume"),
        (shift_zeroed_slot, "openings", "expected zero, got 1"),
        (deny_the_cross, "schedule", "support of slot 0"),
        (forge_references, "reference", "reference 0, signature: signature: signer"),
        (name_a_reporter, "transcript", "signature of keyper 0"),
        (use_references_of_another_interval, "reference", "interval: expected 1, got 2"),
        (move_the_reference, "collateral", "positions: expected"),
        (leave_the_multiples, "reference", "price: expected a multiple of 250000"),
        (observe_after_the_intents, "reference", "intent 0, deadline: expected after"),
        (observe_one_long_before, "reference", "times: expected within 62000 ms"),
        (swap_references, "reference", "references, instruments"),
        (drop_a_reference, "form", "references: expected 3 entries, got 2"),
        (copy_a_signature, "reference", "reference 1, signature: signature: signer"),
        (shorten_the_grid, "reference", "ticks of the grid: expected 15, got 16"),
    ],
)
def test_a_forged_record_fails_the_right_check(
    forge: Change, check: str, says: str, uniform: Published, copy_of: Callable[[Published], Copy]
) -> None:
    copy = copy_of(uniform)
    forge(copy)
    copy.reseal()
    assert says in failed(audit(copy.directory)).get(check, "holds")


def test_an_invented_beacon_is_found_where_it_decides_nothing(
    quiet: Published, copy_of: Callable[[Published], Copy]
) -> None:
    copy = copy_of(quiet)
    invent_a_beacon(copy)
    copy.reseal()
    # the core of the record that was settled has another one
    assert set(failed(audit(copy.directory, quick=True))) == {"transcript", "settlement"}


def constant_beacon(_committee: KeyperCommittee, _interval: Interval, _root: bytes) -> Beacon:
    return Beacon(INVENTED, hashlib.sha256(b"".join(INVENTED)).digest())


def unchecked_signatures(
    committee: KeyperCommittee, session: Session, terms: bytes, _beacon: Beacon
) -> dict[int, bytes]:
    request = TranscriptRequest(session.context, terms)
    return {k.number: k.sign_transcript(request) for k in committee.keypers}


def test_an_operator_cannot_choose_the_beacon_of_an_auction(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Weights and priority follow from it, so all else fits: only the keypers' word does not."""
    orders = orders_of("A", 3)
    monkeypatch.setattr(KeyperCommittee, "beacon", constant_beacon)
    with pytest.raises(InvalidSignature):
        publish(tmp_path / "none", orders, Pricing.UNIFORM, 4)
    monkeypatch.setattr(KeyperCommittee, "sign_transcript", unchecked_signatures)
    published = publish(tmp_path / "record", orders, Pricing.UNIFORM, 4)
    assert Record.load(published.directory).summary.beacon_shares == INVENTED
    found = failed(audit(published.directory))
    assert set(found) == {"transcript"}
    assert "transcript, signature of keyper 0" in found["transcript"]


def pardon_the_guilty(copy: Copy) -> None:
    copy.change("record.json", lambda tree: tree["summary"]["rejections"].pop())


def blame_an_innocent(copy: Copy) -> None:
    def blame(tree: Any) -> None:
        rejections = tree["summary"]["rejections"]
        taken = {rejection["intent"] for rejection in rejections}
        innocent = next(k for k in range(len(taken) + 1) if k not in taken)
        rejections[0]["intent"] = innocent

    copy.change("record.json", blame)


def change_the_fault(copy: Copy) -> None:
    def change(tree: Any) -> None:
        first = tree["summary"]["rejections"][0]
        first["reason"] = "cap" if first["reason"] == "shape" else "shape"

    copy.change("record.json", change)


def hide_a_malformed_intent(copy: Copy) -> None:
    """Shift the sum that was opened so that it is zero: nobody would seem to be at fault."""
    record, index = Record.load(copy.directory), number_of(copy, "shape 0")
    values = record.opening(index).values
    shift_share(copy, "shape 0", {k: -int(v) for k, v in enumerate(values) if v})


def blame_by_a_shifted_sum(copy: Copy) -> None:
    shift_share(copy, "shape 1", {5: 1})


def hide_a_size_above_its_cap(copy: Copy) -> None:
    record, index = Record.load(copy.directory), number_of(copy, "cap bits 0")
    opened = record.opening(index)
    slots_of_ones = np.flatnonzero(opened.support & (opened.values == 0))
    shift_share(copy, "cap bits 0", {int(slot): 1 for slot in slots_of_ones})


@pytest.mark.parametrize(
    ("forge", "check", "says"),
    [
        (pardon_the_guilty, "rejections", "rejections"),
        (blame_an_innocent, "rejections", "rejections"),
        (change_the_fault, "rejections", "rejections"),
        (hide_a_malformed_intent, "schedule", "shape 1"),
        (hide_a_malformed_intent, "transcript", "signature"),
        (blame_by_a_shifted_sum, "transcript", "signature"),
        (hide_a_size_above_its_cap, "schedule", "no-cross 0"),
        (hide_a_size_above_its_cap, "transcript", "signature"),
    ],
)
def test_a_forged_rejection_fails_the_right_check(
    forge: Change, check: str, says: str, attacked: Published, copy_of: Callable[[Published], Copy]
) -> None:
    copy = copy_of(attacked)
    forge(copy)
    copy.reseal()
    assert says in failed(audit(copy.directory, quick=True)).get(check, "holds")
