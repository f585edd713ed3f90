"""The one door to mail: every verb, by people and by `system`, with rights, claim and journal in one transaction."""

from .door import Marshal
from .refusal import Refusal
from .verbs import Idempotency, Terms

__all__ = ["Idempotency", "Marshal", "Refusal", "Terms"]
