import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

from darkpool.chain.artifacts import load_artifact

ROOT = Path(__file__).resolve().parents[2]
SHIPPED = ROOT / "darkpool" / "chain" / "artifacts"
SOURCES = ROOT / "contracts"
CONTRACTS = ["CollateralVault", "Settlement", "TestToken"]


def test_artifacts_are_what_the_sources_compile_to(tmp_path: Path) -> None:
    subprocess.run([sys.executable, SOURCES / "compile.py", tmp_path], check=True)  # noqa: S603
    fresh = {path.name: path.read_text("utf-8") for path in tmp_path.iterdir()}
    shipped = {path.name: path.read_text("utf-8") for path in SHIPPED.glob("*.json")}
    assert fresh == shipped
    assert sorted(shipped) == [f"{name}.json" for name in CONTRACTS]


@pytest.mark.parametrize("name", CONTRACTS)
def test_artifacts_fit_the_limit_on_contract_code(name: str) -> None:
    artifact = load_artifact(name)
    assert 0 < len(artifact.runtime) <= 24_576  # EIP-170
    assert artifact.runtime in artifact.bytecode


@pytest.mark.parametrize("source", sorted(SOURCES.glob("*.vy")), ids=lambda path: path.stem)
def test_every_function_of_a_contract_is_documented(source: Path) -> None:
    text = source.read_text("utf-8")
    header = re.compile(
        r"^def (\w+)\((.*?)\)(?: -> [^\n]+)?:\n(.*?)(?=^\S|\Z)", re.DOTALL | re.MULTILINE
    )
    functions = header.findall(re.sub(r"\([^()]*\)", lambda m: m[0].replace("\n", " "), text))
    assert len(functions) == len(re.findall(r"^def ", text, re.MULTILINE)) > 0
    for name, parameters, body in functions:
        assert body.lstrip().startswith('"""\n    @notice '), name
        for parameter in re.findall(r"(\w+): ", parameters):
            assert f"@param {parameter} " in body, (name, parameter)


def test_internal_functions_carry_the_prefix_and_external_ones_do_not() -> None:
    for source in SOURCES.glob("*.vy"):
        functions = re.findall(
            r"^@(internal|external)\n(?:@\w+\n)*def (\w+)", source.read_text(), re.MULTILINE
        )
        assert functions
        for visibility, name in functions:
            assert name.startswith("_") == (visibility == "internal"), (source.name, name)


def test_the_types_that_keypers_sign_are_those_of_the_engine() -> None:
    from crypto.signing.settling import (
        BatchRoot,
        Claim,
        Closing,
        Rotation,
        Settlement,
        TakeBack,
        Tree,
    )

    sources = "".join(path.read_text("utf-8") for path in SOURCES.glob("*.vy"))
    for message in (BatchRoot, Claim, Closing, TakeBack, Rotation, Settlement, Tree):
        assert f'"{message.ENCODE_TYPE}"' in sources


def test_artifacts_say_their_version_and_compiler() -> None:
    for name in CONTRACTS:
        fields = json.loads((SHIPPED / f"{name}.json").read_text("utf-8"))
        assert (fields["version"], fields["compiler"]) == (1, "vyper 0.4.3")
        assert fields["contract"] == name
