"""Rule files and signatures: pushed to scanners, taken back, listed."""

from __future__ import annotations

from fastapi import APIRouter

from rcqueue.model.rules import RuleFile, RuleFiles, RulePush, RuleRollback
from rcqueue.server.rules.push import rule_files

from .deps import Asker, Viewer

router = APIRouter(tags=["rules"])


@router.get("/rules")
async def rules(asker: Asker) -> RuleFiles:
    """The pushes in force."""
    return RuleFiles(rules=await asker.read(rule_files))


@router.post("/rules")
async def push(asker: Asker, body: RulePush) -> RuleFile:
    """Checks, installs, reloads, asks; `outcome` says what came of it. Answers when it has ended."""
    return await push_rules(asker, body)


@router.post("/rules/{name}/rollback")
async def rollback(asker: Asker, name: str, body: RuleRollback) -> RuleFile:
    """Takes the newest push of a file back: the one before it stands again, or none."""
    return await roll_back_rules(asker, name, body)


async def push_rules(asker: Viewer, body: RulePush, *, keyed: bool = True) -> RuleFile:
    who = await asker.who()
    return await asker.parts.pushes.push(who, asker.once(who, required=keyed), body)


async def roll_back_rules(asker: Viewer, name: str, body: RuleRollback, *, keyed: bool = True) -> RuleFile:
    who = await asker.who()
    return await asker.parts.pushes.rollback(who, asker.once(who, required=keyed), name, body)
