"""What fuzzing found: outcomes, what may not happen, times."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import Any, Final

__all__ = ["SLOW_S", "Findings"]

SLOW_S: Final = 5.0
"""No input may take longer."""


@dataclass
class Findings:
    """What came out.

    Attributes:
        outcomes: How often each answer was given.
        violations: What may not happen, with the number of its input.
        slowest_s: Longest time of one input.
        refused_mb: Most memory in use while an input was refused, where it was measured.
    """

    outcomes: Counter[str] = field(default_factory=Counter)
    violations: list[str] = field(default_factory=list)
    slowest_s: float = 0.0
    refused_mb: float = 0.0

    def note(self, number: int, outcome: str, took_s: float, *, allowed: bool) -> None:
        """Note the outcome of one input."""
        self.outcomes[outcome] += 1
        self.slowest_s = max(self.slowest_s, took_s)
        if not allowed:
            self.violations.append(f"input {number}: {outcome}")
        if took_s > SLOW_S:
            self.violations.append(f"input {number}: took {took_s:.1f} s")

    def to_dict(self) -> dict[str, Any]:
        """Return the figures."""
        return {
            "inputs": self.outcomes.total(),
            "outcomes": dict(sorted(self.outcomes.items())),
            "slowest_s": round(self.slowest_s, 3),
            "refused_mb": round(self.refused_mb, 1),
            "violations": self.violations[:50],
        }
