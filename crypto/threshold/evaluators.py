"""The evaluators of the two rings, which compute on ciphertexts with the public material alone."""

from __future__ import annotations

from dataclasses import dataclass

from crypto.bfv.seal import Evaluator
from crypto.threshold.keys import PublicMaterial


@dataclass(frozen=True, slots=True)
class Evaluators:
    """One evaluator for each ring; loading them takes seconds and hundreds of megabytes."""

    order: Evaluator
    comparison: Evaluator

    @classmethod
    def of(cls, material: PublicMaterial) -> Evaluators:
        """Load the evaluation keys of both rings."""
        return cls(
            Evaluator(material.order_keys.evaluation_keys()),
            Evaluator(material.comparison_keys.evaluation_keys()),
        )
