"""What an audit of the worst records of 64 MB takes, beside that of an honest one."""

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from textwrap import dedent
from typing import Any

import pytest
import zstandard

from tests.support.hostile_records import repeated
from tests.support.records import Copy, Published

RECORD_BYTES = 64 << 20
SECONDS_MAX = 20
MEMORY_MAX = 512 << 20
TINY_FILES = 200_000

CHILD = dedent("""
    import os, resource, sys
    os.environ["DARKPOOL_TEST_INSECURE"] = "1"
    from pathlib import Path
    from darkpool.cli.tables import audit_document, exact_json
    from darkpool.verification.audit import audit
    report = audit(Path(sys.argv[1]))
    exact_json(audit_document(report))
    used = resource.getrusage(resource.RUSAGE_SELF)
    # ru_maxrss is that of the parent before this program began, if that was more
    (peak,) = (line.split()[1] for line in open("/proc/self/status") if line.startswith("VmHWM"))
    print(len(report.checks), used.ru_utime + used.ru_stime, int(peak) * 1024)
""")


def cost(directory: Path) -> tuple[float, int]:
    """Seconds of the processor and bytes of memory that an audit takes in its own process."""
    command = [sys.executable, "-c", CHILD, str(directory)]
    done = subprocess.run(command, check=True, capture_output=True, text=True)  # noqa: S603
    checks, seconds, memory = done.stdout.split()
    assert int(checks) > 20
    return float(seconds), int(memory)


def grow(name: str, *steps: str | int, field: str = "") -> Callable[[Copy], None]:
    """The last entry of a list of a JSON file, until that has all of the bytes."""

    def change(copy: Copy) -> None:
        copy.write(name, repeated(copy.read(name), steps, RECORD_BYTES, field))

    return change


def nest(copy: Copy) -> None:
    copy.write("openings.json", b"[" + b"[]," * (RECORD_BYTES // 3) + b"[]]")


def digits(copy: Copy) -> None:
    text = copy.read("record.json")
    copy.write("record.json", text.replace(b": 1,", b": " + b"1" * RECORD_BYTES + b",", 1))


def name_files(copy: Copy) -> None:
    tree = copy.json("manifest.json")
    more = {f"openings/{k}-more.bin": "0x" + "00" * 32 for k in range(RECORD_BYTES // 110)}
    copy.write_json("manifest.json", {**tree, "files": {**tree["files"], **more}})


def inflate(copy: Copy) -> None:
    """Keys that are zeros: as long as an honest one says it is, but of very many bytes."""
    name = "material/comparison-galois.seal"
    header = bytearray(copy.read(name)[:16])
    zeros, chunks = bytes(1 << 20), []
    compressor = zstandard.ZstdCompressor().compressobj()
    chunks = [compressor.compress(zeros) for _ in range(1 << 13)]
    body = b"".join(chunks) + compressor.flush()
    header[5] = 2
    header[8:] = (len(header) + len(body)).to_bytes(8, "little")
    copy.write(name, bytes(header) + body)


def scatter(copy: Copy) -> None:
    for k in range(TINY_FILES):
        os.close(os.open(copy.directory / f"openings/{k}-tiny", os.O_CREAT | os.O_WRONLY))


def quote_far(copy: Copy) -> None:
    """An underlying with very many expiries, and as many options on it."""
    market = json.loads(copy.read("market.json"))
    market["underlyings"][-1]["expiries"] = [
        {
            "expiry_ms": 1,
            "forward": market["underlyings"][-1]["index"],
            "rate": market["underlyings"][-1]["index"],
            "strikes": [1],
            "volatilities": [market["underlyings"][-1]["index"]],
        }
    ]
    copy.write_json("market.json", market)
    place = ("underlyings", len(market["underlyings"]) - 1, "expiries")
    text = repeated(copy.read("market.json"), place, RECORD_BYTES // 2, "expiry_ms")
    copy.write("market.json", text)
    copy.write(
        "contracts.json", repeated(copy.read("contracts.json"), ("contracts",), RECORD_BYTES // 4)
    )
    copy.write("risk.json", repeated(copy.read("risk.json"), ("contracts",), RECORD_BYTES // 4))


def lengthened(tree: Any, steps: tuple[str | int, ...], entry: Any, size: int) -> bytes:
    """Canonical JSON of a tree with an entry at the end of a list, as often as it fits."""
    inner = tree
    for step in steps:
        inner = inner[step]
    inner.append(entry)
    return repeated(json.dumps(tree).encode(), steps, size)


def quote_backwards(copy: Copy) -> None:
    """Very many expiries that do not ascend, and options that each need all of them."""
    quote_far(copy)
    market = copy.json("market.json")
    market["underlyings"][-1]["expiries"].reverse()
    copy.write_json("market.json", market)
    contracts, risk = copy.json("contracts.json"), copy.json("risk.json")
    array = risk["contracts"][-1]
    count = RECORD_BYTES // 4 // len(json.dumps(array, indent=1))
    option = contracts["contracts"][-1] | {"kind": "call", "expiry_ms": 100, "strike": 1}
    copy.write_json("contracts.json", contracts | {"contracts": [option] * count})
    copy.write_json("risk.json", risk | {"contracts": [array] * count})


def name_underlyings(copy: Copy) -> None:
    """As many underlyings as fit into specification and market, each of a name of its own."""
    for name in ("market.json", "contracts.json"):
        tree = copy.json(name)
        entry = tree["underlyings"][-1]
        count = RECORD_BYTES // 2 // len(json.dumps(entry, indent=1))
        tree["underlyings"] += [entry | {"name": f"U{k}"} for k in range(count)]
        copy.write_json(name, tree)


def group_often(copy: Copy) -> None:
    """Very many groups, all of the underlyings that are traded."""
    contracts = copy.json("contracts.json")
    names = [underlying["name"] for underlying in contracts["underlyings"]]
    entry = {"name": "G", "underlyings": names, "offset": 0}
    copy.write("contracts.json", lengthened(contracts, ("groups",), entry, RECORD_BYTES))


def take_back(copy: Copy) -> None:
    intents = copy.json("intents.json")
    first = intents["intents"][0]
    names = ("account", "instrument", "interval", "intent", "nonce")
    sealed = first["sealed"] | {"intent": first["sealed"]["commitment"]}
    message = {name: sealed[name] for name in names}
    entry = {"cancellation": message, "signature": first["signature"]}
    copy.write("intents.json", lengthened(intents, ("cancellations",), entry, RECORD_BYTES))


def own(copy: Copy) -> None:
    tree = copy.json("record.json")
    account = tree["summary"]["after"][0]["account"]
    place, entry = ("summary", "participation", "owners"), {"account": account, "owner": account}
    copy.write("record.json", lengthened(tree, place, entry, RECORD_BYTES))


@pytest.mark.slow
@pytest.mark.parametrize(
    "change",
    [
        nest,
        digits,
        name_files,
        inflate,
        scatter,
        quote_far,
        quote_backwards,
        name_underlyings,
        group_often,
        take_back,
        own,
        grow("record.json", "summary", "before"),
        grow("record.json", "summary", "after"),
        grow("record.json", "summary", "fills"),
        grow("record.json", "summary", "instruments", 0, "intents"),
        grow("record.json", "summary", "beacon_shares"),
        grow("intents.json", "intents"),
        grow("masks.json", "masks"),
        grow("masks.json", "masks", field="number"),
        grow("openings.json", "openings"),
        grow("market.json", "reporters"),
        grow("market.json", "underlyings"),
        grow("contracts.json", "contracts"),
        grow("contracts.json", "underlyings"),
        grow("risk.json", "contracts"),
        grow("risk.json", "contracts", 0, "low"),
    ],
)
def test_an_audit_of_64_mb_ends_soon_and_in_little_memory(
    change: Callable[[Copy], None], uniform: Published, copy_of: Callable[[Published], Copy]
) -> None:
    honest_seconds, honest_memory = cost(uniform.directory)
    copy = copy_of(uniform)
    copy.reseal()
    change(copy)
    seconds, memory = cost(copy.directory)
    print(f"{seconds:.1f} s, {(memory - honest_memory) >> 20} MB more than an honest record")  # noqa: T201
    assert memory - honest_memory <= MEMORY_MAX
    assert seconds - honest_seconds <= SECONDS_MAX
