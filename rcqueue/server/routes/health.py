"""Health, for people: numbers and states, nothing of any mail."""

from __future__ import annotations

from fastapi import APIRouter

from rcqueue.model.health import Health
from rcqueue.server.health import mails_of

from .deps import Asker, Viewer

router = APIRouter(tags=["health"])


@router.get("/health", response_model_exclude_none=True)
async def health(asker: Asker) -> Health:
    return await shown(asker)


async def shown(asker: Viewer) -> Health:
    return await asker.parts.health.shown(await asker.read(mails_of))
