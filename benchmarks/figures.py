"""What a benchmark measured, and what it must reach."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Figure:
    """`goal` is the most that `value` may be; None: shown for comparison only."""

    name: str
    value: float
    unit: str
    goal: float | None = None
    detail: str = ""

    @property
    def reached(self) -> bool:
        return self.goal is None or self.value <= self.goal

    def __str__(self) -> str:
        goal = "" if self.goal is None else f"  (goal <= {self.goal:g}{'' if self.reached else ', MISSED'})"
        return f"{self.name:<58} {self.value:8.2f} {self.unit}{goal}  {self.detail}".rstrip()
