"""Health, for people, and counts for a display on a wall: numbers and states, nothing of any mail."""

from __future__ import annotations

from fastapi import APIRouter

from rcqueue.model.health import Health, Wall
from rcqueue.server.marshal.figures import mails_of, wall_of

from .deps import Asker, Viewer

router = APIRouter(tags=["health"])


@router.get("/health", response_model_exclude_none=True)
async def health(asker: Asker) -> Health:
    return await shown(asker)


async def shown(asker: Viewer) -> Health:
    return await asker.parts.health.shown(await asker.read(mails_of, asker.parts.marshal.clock.now()))


@router.get("/wall", response_model_exclude_none=True)
async def wall(asker: Asker) -> Wall:
    return await wall_for(asker)


async def wall_for(asker: Viewer) -> Wall:
    return asker.parts.health.wall(*await asker.read(wall_of, asker.parts.marshal.clock.now()))
