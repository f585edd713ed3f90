"""Rule files and signatures, from a person's hand to a scanner that knows them, and back if it does not take them."""

from .push import Pushes

__all__ = ["Pushes"]
