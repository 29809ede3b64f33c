import ast
import importlib
import inspect
import pickle
import pkgutil
import re
from collections.abc import Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import fields
from enum import Enum
from pathlib import Path
from types import NoneType, UnionType
from typing import Any, get_args, get_origin, get_type_hints

import pytest

import crypto
import darkpool
from crypto.errors import HoldersDisagree, OutOfRange, UnmetExpectation
from darkpool.auction.outcome import Refusal
from darkpool.errors import BadInput, CheckFailed, DarkpoolError, NoBucket, OutOfBounds
from darkpool.margin.errors import InsufficientMargin, InvalidFile, MarginError, Problem
from darkpool.protocol.refusals import AdmissionRefused, ReferenceRefused, RefusalCode
from darkpool.simulation.errors import InvalidOrder, InvalidOrderFile
from darkpool.units import Lots, require_bucket

ROOT = Path(__file__).resolve().parents[1]
KEBAB = re.compile(r"[a-z]+(-[a-z]+)*")
TO_CLIENTS = (AdmissionRefused, ReferenceRefused, MarginError)
"""What a client is told: its submission is refused, or there is no auction on a reference price."""

VAGUE = re.compile(
    r"\b(another|something else|a second|a third|one more|a difference|different ones|larger ones"
    r"|a new one|a closed one|one twice|0 to 0|which is none|one that (is|was|does|did) not"
    r"|one (not )?\w+ before)\b|^(others\b.*|more|two|it)$"
)
"""Words that hide what came, or what was asked, from who reads the message."""

CARRIERS = {"Problem", "Refused"}
"""What holds the words of an error until it is raised; `Findings` do, too."""


def error_classes() -> list[type[UnmetExpectation]]:
    for package in (crypto, darkpool):
        for module in pkgutil.walk_packages(package.__path__, f"{package.__name__}."):
            importlib.import_module(module.name)
    found: dict[type[UnmetExpectation], None] = {}
    new: list[type[UnmetExpectation]] = [UnmetExpectation]
    while new:
        kind = new.pop()
        found[kind] = None
        new += kind.__subclasses__()
    return [kind for kind in found if kind.__module__.split(".")[0] in ("crypto", "darkpool")]


CLASSES = error_classes()
CONCRETE = [kind for kind in CLASSES if "code" in vars(kind)]
ABSTRACT = [kind for kind in CLASSES if "code" not in vars(kind)]


def sample(kind: Any) -> Any:
    """A value of a type."""
    origin, arguments = get_origin(kind), get_args(kind)
    if hasattr(kind, "__supertype__"):
        return sample(kind.__supertype__)
    if origin is UnionType:
        return sample(next(one for one in arguments if one is not NoneType))
    if origin is tuple or origin is Sequence:
        return (sample(arguments[0]),) * 2
    if origin is Mapping:
        return {sample(arguments[0]): sample(arguments[1])}
    if issubclass(kind, UnmetExpectation):
        return sample_error(kind)
    if hasattr(kind, "__dataclass_fields__"):
        hints = get_type_hints(kind)
        values = {one.name: sample(hints[one.name]) for one in fields(kind)}
        return kind(**values | ({"account": b"\xab" * 20} if "account" in values else {}))
    if issubclass(kind, Enum):
        return next(iter(kind))
    known = {str: "sample", object: "sample", int: 7, bool: True, bytes: b"\xab" * 32}
    return Path("sample") if kind is Path else known[kind]


def sample_error(kind: type[UnmetExpectation]) -> UnmetExpectation:
    hints = get_type_hints(kind.__init__)
    positional, named = [], {}
    for parameter in inspect.signature(kind).parameters.values():
        value = sample(hints[parameter.name])
        if parameter.kind is parameter.KEYWORD_ONLY:
            named[parameter.name] = value
        else:
            positional.append(value)
    return kind(*positional, **named)


def called(node: ast.Call) -> str:
    return ast.unparse(node.func).rpartition(".")[2]


def tells(node: ast.AST, names: AbstractSet[str]) -> bool:
    """Whether a node makes an error of these names, or notes a finding of an audit."""
    if not isinstance(node, ast.Call):
        return False
    function = ast.unparse(node.func)
    return called(node) in names or bool(re.search(r"\b_?findings\.(add|equal)$", function))


def literals(node: ast.AST) -> Iterator[str]:
    """String literals and the fixed parts of formatted ones, of all but documentation."""
    for one in ast.walk(node):
        documented = isinstance(one, ast.Expr) and isinstance(one.value, ast.Constant)
        for child in ast.iter_child_nodes(one) if not documented else ():
            if isinstance(child, ast.Constant) and isinstance(child.value, str):
                yield child.value


def vague(source: str, names: AbstractSet[str]) -> list[str]:
    """Vague words in whatever makes an error: classes of errors, and functions that call them."""
    found = []
    for node in ast.walk(ast.parse(source)):
        makes = isinstance(node, ast.ClassDef) and node.name in names
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            makes = any(tells(one, names) for one in ast.walk(node))
        if makes:
            found += [text for text in literals(node) if VAGUE.search(text)]
    return found


def sources() -> list[Path]:
    return [path for package in ("crypto", "darkpool") for path in (ROOT / package).rglob("*.py")]


def test_errors_have_one_base_and_a_code_each() -> None:
    assert len(CONCRETE) > 100
    codes = [kind.code for kind in CONCRETE]
    assert all(KEBAB.fullmatch(code) for code in codes)
    assert sorted(codes) == sorted(set(codes))


def test_a_class_without_a_code_is_a_branch_of_the_tree_and_never_raised() -> None:
    assert all(kind.__subclasses__() for kind in ABSTRACT)
    names = {kind.__name__ for kind in ABSTRACT}
    for path in sources():
        nodes = ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        assert not [one for one in nodes if isinstance(one, ast.Call) and called(one) in names]


def test_what_reaches_a_client_has_the_codes_of_one_closed_list() -> None:
    assert set(get_args(get_type_hints(Refusal)["error"])) <= set(TO_CLIENTS)
    told = [kind.code for kind in CONCRETE if issubclass(kind, TO_CLIENTS)]
    assert sorted(told) == sorted(RefusalCode)
    for kind in CONCRETE:
        assert isinstance(kind.code, RefusalCode) is issubclass(kind, TO_CLIENTS)


@pytest.mark.parametrize("kind", CONCRETE, ids=lambda kind: kind.code)
def test_a_message_has_a_subject_and_what_was_expected_and_came(
    kind: type[UnmetExpectation],
) -> None:
    error = sample_error(kind)
    shown = [
        f"0x{one.hex()}" if isinstance(one, bytes) else one for one in (error.expected, error.got)
    ]
    assert str(error) == f"{kind.prefix}{error.subject}: expected {shown[0]}, got {shown[1]}"
    assert all(map(str, (error.subject, *shown)))


@pytest.mark.parametrize("path", sources(), ids=lambda path: str(path.relative_to(ROOT)))
def test_no_message_is_vague(path: Path) -> None:
    names = {kind.__name__ for kind in CLASSES} | CARRIERS
    assert vague(path.read_text(encoding="utf-8"), names) == []


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ('raise NonceUsed("nonce", "one not used before", str(nonce))', ["one not used before"]),
        ('raise AuctionFull("auction", f"at most {most}", "one more")', ["one more"]),
        ('got = "others"\n    raise SecondReference(subject, expected, got)', ["others"]),
        ('got = f"a second of {owner}"\n    raise NonceUsed("owner", "", got)', ["a second of "]),
        ('findings.add(part, "the digest", "another")', ["another"]),
        ('self._note(Problem("file", "plain", f"{name}, which is none"))', [", which is none"]),
        ('raise OutOfBounds("live intents 0 to 0", 0, 0, 1)', ["live intents 0 to 0"]),
        ('"""Not another one."""\n    raise NonceUsed("nonce", "a new nonce", "7")', []),
        ('return "another"', []),
    ],
)
def test_a_vague_message_is_found(line: str, words: list[str]) -> None:
    names = {kind.__name__ for kind in CLASSES} | CARRIERS
    assert vague(f"def f():\n    {line}\n", names) == words


def test_bounds_are_said_as_what_they_allow() -> None:
    assert str(OutOfBounds("lots", 1, 9, 10)) == "lots: expected 1 to 9, got 10"
    assert str(OutOfBounds("live intents", 0, 0, 2)) == "live intents: expected 0, got 2"
    assert str(OutOfBounds("intent", 0, -1, 0)) == "intent: expected no value at all, got 0"


def test_a_cap_that_is_no_bucket_is_told_all_buckets() -> None:
    with pytest.raises(NoBucket, match=r"cap: expected one of the buckets 1, 2, 5, 10, .*, got 3"):
        require_bucket("cap", Lots(3))
    with pytest.raises(NoBucket, match=r"buckets 5000000, 10000000, got 1000000 lots"):
        require_bucket("cap", Lots(1_000_000), smallest=Lots(2_000_001))


def test_bytes_are_shown_as_hexadecimal_digits() -> None:
    assert str(OutOfRange("root", b"\x01\xab", b"")) == "root: expected 0x01ab, got 0x"
    assert "keypers 0, 2" in str(HoldersDisagree(1, (0, 2)))


def test_bad_input_and_a_failed_check_have_different_exit_codes() -> None:
    assert (DarkpoolError.exit_code, BadInput.exit_code, CheckFailed.exit_code) == (1, 2, 1)
    assert InvalidOrder(0, "size", "1", "0").exit_code == 2


def test_an_order_is_named_by_row_and_column_with_expected_and_got() -> None:
    error = InvalidOrder(7, "size", "1 to 10 lots", "'0'")
    assert str(error) == "row 7, column size: expected 1 to 10 lots, got '0'"
    assert (error.row, error.column, error.expected, error.got) == (
        7,
        "size",
        "1 to 10 lots",
        "'0'",
    )
    assert str(InvalidOrder(7, None, "4 fields", "3")) == "row 7: expected 4 fields, got 3"
    assert str(InvalidOrder(None, None, "UTF-8 text", "x")) == "file: expected UTF-8 text, got x"


def test_an_order_file_lists_its_problems() -> None:
    problems = [InvalidOrder(0, "side", "buy or sell", "'b'"), InvalidOrder(2, None, "a", "b")]
    error = InvalidOrderFile("orders.csv", problems, complete=False)
    assert str(error).splitlines() == [
        "orders.csv: expected an order file, got these problems",
        "  row 0, column side: expected buy or sell, got 'b'",
        "  row 2: expected a, got b",
        "  and more",
    ]


def test_insufficient_margin_carries_its_operands() -> None:
    error = InsufficientMargin(required=10, available=3)
    assert (error.required, error.available) == (10, 3)
    assert str(error) == "margin: expected at least 10 cash units available, got 3"


@pytest.mark.parametrize("kind", CONCRETE, ids=lambda kind: kind.__name__)
def test_an_error_crosses_processes_whole(kind: type[UnmetExpectation]) -> None:
    """Workers send what they raise; one that cannot be read back would end their pool."""
    error = sample_error(kind)
    read = pickle.loads(pickle.dumps(error))  # noqa: S301  # bytes that were just made here
    assert type(read) is kind
    assert str(read) == str(error)
    assert vars(read).keys() == vars(error).keys()


@pytest.mark.parametrize("quoted", ["\x1b[2J", "a\nb", "\ud800", "\u202e", "\x00"])
def test_what_a_message_quotes_can_be_printed(quoted: str) -> None:
    assert str(OutOfRange(quoted, quoted, quoted)).isprintable()
    assert str(InvalidOrder(0, "side", quoted, quoted)).isprintable()


@pytest.mark.parametrize("name", ["a\nforged", "a\r\nb", "a\x1b[2J", "a\u2028b"])
def test_only_an_error_s_own_lines_break_a_message(name: str) -> None:
    """What is quoted of a file's name adds no line that looks like the program's."""
    problem = Problem("cash", name, name)
    for error in (
        InvalidFile(name, [problem, problem]),
        InvalidOrderFile(name, [InvalidOrder(0, "side", name, name)], complete=False),
    ):
        first, *problems = str(error).split("\n")
        assert first.endswith("got these problems")
        assert len(problems) == 2
        assert all(line.startswith("  ") and line.isprintable() for line in problems)
        assert first.isprintable()
