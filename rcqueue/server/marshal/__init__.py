"""The one door to mail: every verb, by people and by `system`, with rights, claim and journal in one transaction."""

from .door import Marshal
from .once import Idempotency
from .refusal import Refusal
from .verbs import Terms

__all__ = ["Idempotency", "Marshal", "Refusal", "Terms"]
