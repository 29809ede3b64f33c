"""What reading the worst answers of a node takes: memory in proportion to their bytes."""

import subprocess
import sys
from textwrap import dedent

import pytest

ANSWER_BYTES = 3 << 20
MEMORY_MAX = 40 * ANSWER_BYTES
"""An empty list of Python's takes 64 bytes."""
CHILD = dedent("""
    import sys
    from darkpool.chain.answers import read_answer
    from darkpool.chain.errors import ChainUnavailable

    def peak():
        (line,) = (one for one in open("/proc/self/status") if one.startswith("VmHWM"))
        return int(line.split()[1]) * 1024

    method, entry, size = sys.argv[1], sys.argv[2].encode() + b",", int(sys.argv[3])
    entries = b"[" + (entry * (size // len(entry)))[:-1] + b"]"
    if method == "eth_getBlockByNumber":
        head = b'{"number":"0x1","timestamp":"0x1","gasLimit":"0x1","transactions":'
        entries = head + entries + b"}"
    body = b'{"jsonrpc":"2.0","id":1,"result":' + entries + b"}"
    before = peak()
    try:
        read_answer("http://localhost", (method, 1), "", body)
    except ChainUnavailable as error:
        assert len(str(error)) < 400
        print(peak() - before)
""")


@pytest.mark.parametrize(
    ("method", "entry"),
    [
        ("eth_accounts", '"x"'),
        ("eth_getBlockByNumber", "{}"),
        ("eth_getBlockByNumber", '""'),
        ("eth_getLogs", "[]"),
        ("eth_getLogs", "0"),
    ],
)
def test_an_answer_of_millions_of_wrong_entries_is_refused_at_the_first(
    method: str, entry: str
) -> None:
    command = [sys.executable, "-c", CHILD, method, entry, str(ANSWER_BYTES)]
    done = subprocess.run(command, check=True, capture_output=True, text=True)  # noqa: S603
    assert int(done.stdout) < MEMORY_MAX
