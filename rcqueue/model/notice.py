"""Notices to recipients, as the administrators see them."""

from __future__ import annotations

from .mail import Wire


class NoticeDay(Wire):
    """How many notices there were of a day (local to the server), what became of them, and how many mails they list."""

    day: str
    notices: int
    mails: int
    waiting: int = 0
    sent: int = 0
    refused: int = 0  #: by the next hop, or given up
    uncertain: int = 0  #: the next hop's answer was lost: they are not sent again
    dropped: int = 0  #: nothing was held any more


class NoticesAsked(Wire):
    """`waiting`: recipients who have mail that no notice told them of; `made`: how many of them are sent one now."""

    domain: str
    waiting: int
    made: int
