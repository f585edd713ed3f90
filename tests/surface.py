"""What the product offers to whoever asks from outside, read off the running code: routes and commands."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from typing import cast

from fastapi import FastAPI
from fastapi.routing import iter_route_contexts

from rcqueue.cli import build_parser
from rcqueue.server.asgi import build_app
from rcqueue.server.routes.deps import Parts


def app() -> FastAPI:
    """The server's application, to look at: nothing runs behind it."""
    return build_app(cast(Parts, None))


def routes(of: FastAPI | None = None) -> set[str]:
    """`METHOD /path/{with}/{names}` of every route; those without a method are websockets."""
    found: set[str] = set()
    for route in iter_route_contexts((of or app()).routes):
        methods = {"WEBSOCKET"} if route.methods is None else route.methods - {"HEAD"}
        found |= {f"{method} {route.path}" for method in methods}
    return found


def described() -> set[str]:
    """The same of the OpenAPI page."""
    paths = app().openapi()["paths"]
    return {f"{method.upper()} {path}" for path, methods in paths.items() for method in methods}


def commands() -> dict[tuple[str, ...], argparse.ArgumentParser]:
    """Every command by its words, ("people", "lock"); those that only hold others are not among them."""
    return dict(_leaves(build_parser(), ()))


def _leaves(
    parser: argparse.ArgumentParser, words: tuple[str, ...]
) -> Iterator[tuple[tuple[str, ...], argparse.ArgumentParser]]:
    below = [action for action in parser._actions if isinstance(action, argparse._SubParsersAction)]
    for action in below:
        for name, inner in cast(dict[str, argparse.ArgumentParser], action.choices).items():
            yield from _leaves(inner, (*words, name))
    if not below:
        yield words, parser
