"""Compile the contracts into the artifacts that the package ships.

Needs the `vyper` package of exactly the version that the sources name. Each artifact is a JSON
file with the ABI, the creation code and the runtime code of one contract, so that users need no
compiler.
"""

import argparse
import json
import subprocess
import sys
from pathlib import Path

SOURCES = Path(__file__).resolve().parent
ARTIFACTS = SOURCES.parent / "darkpool" / "chain" / "artifacts"
CONTRACTS = {
    "CollateralVault": "blueprint_bytecode",
    "Settlement": "bytecode",
    "TestToken": "bytecode",
}
"""What is sent to deploy each contract: a vault is created by Settlement from its blueprint."""

COMPILER = "vyper 0.4.3"
EVM_VERSION = "cancun"
ARTIFACT_VERSION = 1


def compile_contract(name: str) -> str:
    """Return the text of the artifact of one contract.

    Raises:
        subprocess.CalledProcessError: the compiler refused the source; it says why on stderr.
    """
    formats = f"abi,{CONTRACTS[name]},bytecode_runtime"
    command = [sys.executable, "-m", "vyper", "-f", formats, f"{name}.vy"]
    compiled = subprocess.run(command, cwd=SOURCES, check=True, stdout=subprocess.PIPE, text=True)
    abi, bytecode, runtime = compiled.stdout.splitlines()
    artifact = {
        "version": ARTIFACT_VERSION,
        "contract": name,
        "compiler": COMPILER,
        "evm_version": EVM_VERSION,
        "abi": json.loads(abi),
        "bytecode": bytecode,
        "runtime": runtime,
    }
    return json.dumps(artifact, indent=1) + "\n"


def main() -> None:
    """Write all artifacts into the folder that the command line names."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", nargs="?", type=Path, default=ARTIFACTS)
    folder: Path = parser.parse_args().folder
    folder.mkdir(parents=True, exist_ok=True)
    for name in CONTRACTS:
        (folder / f"{name}.json").write_text(compile_contract(name), encoding="utf-8")


if __name__ == "__main__":
    main()
