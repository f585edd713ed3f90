"""The arguments of an `/acpi` command: its keys, taken one by one, each with a mistake that says what was expected."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from datetime import datetime
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from rcqueue.model.mail import from_us

from .deps import Viewer

#: Takes what it knows from the arguments; what is left over is a mistake.
Command = Callable[[Viewer, dict[str, Any]], Awaitable[Any]]
Body = TypeVar("Body", bound=BaseModel)


def take(arguments: dict[str, Any], name: str, kind: type, default: Any = ...) -> Any:
    value = arguments.pop(name, default)
    if value is ...:
        raise ValueError(f"{name}: it was expected, and is missing")
    if value is not default and not isinstance(value, kind):
        raise ValueError(f"{name}: a {kind.__name__} was expected")
    return value


def time(seconds: Any) -> datetime:
    try:
        if not isinstance(seconds, int | float):
            raise ValueError
        return from_us(round(seconds * 1_000_000))
    except (ValueError, OverflowError, OSError):
        raise ValueError("a time: Unix seconds were expected") from None


def one_or_many(value: Any) -> Any:
    return value if isinstance(value, list) else [value]


def mistake_in(error: ValidationError, model: type[BaseModel]) -> ValueError:
    first = error.errors()[0]
    key = ".".join(map(str, first["loc"]))
    if first["type"] == "extra_forbidden":
        return ValueError(f"unknown key {key!r}; any of {', '.join(model.model_fields)} or cmd was expected")
    return ValueError(f"{key}: {first['msg']}")


def nothing_else(arguments: dict[str, Any], name: str) -> None:
    """What a command that changes something asks before it does."""
    if arguments:
        raise ValueError(f"unknown key {next(iter(arguments))!r} for {name}")


def body(model: type[Body], fields: dict[str, Any], left: dict[str, Any], name: str) -> Body:
    """The body that the same call of the API has."""
    nothing_else(left, name)
    try:
        return model.model_validate(fields)
    except ValidationError as error:
        raise mistake_in(error, model) from None
