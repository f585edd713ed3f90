"""Reading `rcqueue.toml`, and the environment over it, with every mistake named at once."""

from __future__ import annotations

import os
import tomllib
from collections.abc import Iterable
from pathlib import Path
from typing import Any, get_args

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails
from pydantic_settings import (
    BaseSettings,
    EnvSettingsSource,
    PydanticBaseSettingsSource,
    SettingsError,
    TomlConfigSettingsSource,
)

from .config import ENVIRONMENT, Config, ConfigMistake


def load(file: Path) -> Config:
    """Reads a file and the environment. Raises `ConfigMistake` with every mistake at once."""

    class Loaded(Config):
        @classmethod
        def settings_customise_sources(
            cls, settings_cls: type[BaseSettings], init_settings: PydanticBaseSettingsSource, *_: Any, **__: Any
        ) -> tuple[PydanticBaseSettingsSource, ...]:
            return EnvSettingsSource(settings_cls), TomlConfigSettingsSource(settings_cls, file)

    mistakes = _unknown_variables(os.environ)
    config: Config | None = None
    try:
        with file.open("rb") as opened:
            tomllib.load(opened)  # pydantic-settings says nothing when there is no file
        config = Loaded()
    except OSError as error:
        mistakes.append(f"{file}: cannot be read: {error.strerror}; a file of TOML was expected")
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        mistakes.append(f"{file}: TOML was expected: {error}")
    except SettingsError as error:
        mistakes.append(f"environment: {error}; JSON was expected")
    except ValidationError as error:
        mistakes += [_mistake(file, details) for details in error.errors()]
    if config is not None:
        config = _resolved(config, file.absolute().parent)
        mistakes += [
            f"{file}: {key}: no such file: {path}"
            for key, path in _files(config)
            if path is not None and not path.is_file()
        ]
        mistakes += [
            f"{file}: {key}: no such folder: {path}"
            for key, path in _folders(config)
            if path is not None and not path.is_dir()
        ]
    if mistakes or config is None:
        raise ConfigMistake("\n".join(mistakes))
    return config


def _resolved(config: Config, folder: Path) -> Config:
    http, smtp = (
        table.model_copy(update={k: folder / p for k in ("cert", "key") if (p := getattr(table, k)) is not None})
        for table in (config.http, config.smtp)
    )
    scanner = tuple(
        s.model_copy(update={k: folder / p for k in ("password_file", "signatures") if (p := getattr(s, k))})
        for s in config.scanner
    )
    policy = config.policy and folder / config.policy
    hop = config.next_hop
    at = tuple(one.model_copy(update={"ca": one.ca and folder / one.ca}) for one in hop.at)
    hop = hop.model_copy(update={"ca": hop.ca and folder / hop.ca, "at": at})
    rules = {
        name: to.model_copy(update={k: folder / p for k in ("folder", "pid_file") if (p := getattr(to, k))})
        for name, to in config.rules.items()
    }
    tables = {"http": http, "smtp": smtp, "next_hop": hop, "scanner": scanner, "policy": policy, "rules": rules}
    return config.model_copy(update={"data_dir": folder / config.data_dir, **tables})


def _files(config: Config) -> Iterable[tuple[str, Path | None]]:
    """What has to be there, by its key."""
    yield "http.cert", config.http.cert
    yield "http.key", config.http.key
    yield "smtp.cert", config.smtp.cert
    yield "smtp.key", config.smtp.key
    yield "policy", config.policy
    yield "next_hop.ca", config.next_hop.ca
    for number, at in enumerate(config.next_hop.at, 1):
        yield f"next_hop.at.{number}.ca", at.ca
    for number, scanner in enumerate(config.scanner, 1):
        yield f"scanner.{number}.password_file", scanner.password_file


def _folders(config: Config) -> Iterable[tuple[str, Path | None]]:
    for number, scanner in enumerate(config.scanner, 1):
        yield f"scanner.{number}.signatures", scanner.signatures
    for name, rules in config.rules.items():
        yield f"rules.{name}.folder", rules.folder


def _unknown_variables(environ: Iterable[str]) -> list[str]:
    """pydantic-settings looks for the variables that it knows: a table that nobody knows is no mistake to it."""
    return [
        f"environment: {name}: unknown table; one of {_names(Config)} was expected"
        for name in environ
        if name.upper().startswith(ENVIRONMENT)
        and name[len(ENVIRONMENT) :].lower().partition("__")[0] not in Config.model_fields
    ]


def _names(model: type[BaseModel]) -> str:
    return ", ".join(field.alias or name for name, field in model.model_fields.items())


def _mistake(file: Path, details: ErrorDetails) -> str:
    keys = details["loc"]
    variable = ENVIRONMENT + "__".join(str(k) for k in keys).upper()
    key = ".".join(str(k + 1) if isinstance(k, int) else k for k in keys if k != "[key]")
    match details["type"]:
        case "extra_forbidden":
            said = f"unknown key; one of {_names(_table_at(keys))} was expected"
        case "missing":
            said = "is missing; it is required"
        case "value_error":
            said = str(details["ctx"]["error"])
        case "tuple_type":
            said = "a list was expected"
        case _:
            said = details["msg"].replace("Input should be", "expected", 1)
    where = f"environment: {variable}" if variable in os.environ else f"{file}: {key}" if key else str(file)
    return f"{where}: {said}"


def _table_at(keys: tuple[int | str, ...]) -> type[BaseModel]:
    """The table that an unknown key stands in."""
    table: type[BaseModel] = Config
    for key in keys[:-1]:
        if isinstance(key, str) and key in table.model_fields:
            table = _model_in(table.model_fields[key].annotation) or table
    return table


def _model_in(annotation: Any) -> type[BaseModel] | None:
    """The table in a field's type: its own, that of a list, or one that may be missing."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    return next((found for one in get_args(annotation) if (found := _model_in(one))), None)
