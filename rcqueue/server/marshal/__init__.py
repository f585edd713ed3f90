"""The one door to mail: every verb, by people and by `system`, with rights, claim and journal in one transaction."""

from .doing import Terms
from .door import Marshal
from .once import Idempotency
from .refusal import Refusal

__all__ = ["Idempotency", "Marshal", "Refusal", "Terms"]
