"""What the contracts compile to, as `contracts/compile.py` wrote it."""

import json
from dataclasses import dataclass
from functools import cache
from importlib import resources
from typing import Any, Final

from darkpool.chain.errors import WrongDeployment

ARTIFACT_VERSION: Final = 1


@dataclass(frozen=True, slots=True)
class Artifact:
    """One contract: its JSON ABI, its creation code and the code that stays on the chain.

    On the chain, the values that are fixed at deployment follow the runtime code.
    """

    abi: list[dict[str, Any]]
    bytecode: bytes
    runtime: bytes


@cache
def load_artifact(name: str) -> Artifact:
    """Read the artifact of a contract.

    Raises:
        WrongDeployment: it is of another format version.
    """
    text = (resources.files(__name__) / f"{name}.json").read_text(encoding="utf-8")
    fields = json.loads(text)
    if fields["version"] != ARTIFACT_VERSION:
        raise WrongDeployment(f"format of {name}.json", ARTIFACT_VERSION, fields["version"])
    return Artifact(
        abi=fields["abi"],
        bytecode=bytes.fromhex(fields["bytecode"][2:]),
        runtime=bytes.fromhex(fields["runtime"][2:]),
    )
