"""RELEASING mails go to the next hop, each attempt durable before it connects and again before its final dot."""

from .dispatch import Delivery

__all__ = ["Delivery"]
