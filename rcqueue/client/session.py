"""Where the server is and who signs in: profiles, and token files with the checks a shared jump host needs.

Standard library and platformdirs only, so that the terminal may load it before its first paint. Every mistake is a
`SessionError` with one line that names the file, the key and what was expected; a token is never in it.
"""

from __future__ import annotations

import ipaddress
import os
import re
import stat
import tomllib
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

SERVER_VARIABLE = "RCQUEUE_SERVER"
TOKEN_FILE_VARIABLE = "RCQUEUE_TOKEN_FILE"  # noqa: S105 - the name of a variable
_TOKEN_LIMIT = 4096  #: bytes; a token is far shorter
_TOKEN = re.compile(r"[!-~]+")
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")


class SessionError(Exception):
    """A profile, a server's address or a token file that can't be used; the text says why, in one line."""


@dataclass(frozen=True, slots=True)
class Profile:
    """One server to sign in to. `ca` is a file of certificates to trust instead of the system's, `proxy` a URL."""

    server: str
    user: str = ""
    ca: str = ""
    proxy: str = ""
    name: str = ""  #: in profiles.toml; of the token file


@dataclass(frozen=True, slots=True)
class Profiles:
    default: str = ""
    by_name: Mapping[str, Profile] = field(default_factory=dict)


# -- the server's address


def is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def check_server(url: str) -> str:
    """The server's URL without a slash at its end. Plain http is only for this host: a token must not cross a network
    in clear. Raises SessionError."""
    try:
        parts = urlsplit(url.strip())
        host, _ = parts.hostname, parts.port
    except ValueError:
        parts, host = None, None
    if parts is None or parts.scheme not in ("http", "https") or not host:
        raise SessionError(f"{url!r} is no server's address: expected https://HOST[:PORT], or http:// on this host")
    if parts.username is not None or parts.password is not None:
        raise SessionError("a server's address holds no user name and no password: sign in with `rcqueue login`")
    if parts.query or parts.fragment:
        raise SessionError(f"{url!r} is no server's address: nothing may follow a ? or #")
    if parts.scheme == "http" and not is_loopback(host):
        raise SessionError(
            f"refused: {parts.scheme}://{parts.netloc} would carry passwords and tokens in clear over the network; "
            "use https:// (http:// is for 127.0.0.1, ::1 and localhost only)"
        )
    return f"{parts.scheme}://{parts.netloc}{parts.path.rstrip('/')}"


# -- profiles


def profiles_path() -> Path:
    from platformdirs import user_config_path

    return user_config_path("rcqueue") / "profiles.toml"


def load_profiles(path: Path | None = None) -> Profiles:
    """The profiles of `path` (the user's own file); none if there is no such file. Raises SessionError."""
    path = path or profiles_path()
    try:
        text = path.read_text("utf-8")
    except FileNotFoundError:
        return Profiles()
    except (OSError, UnicodeDecodeError) as error:
        raise SessionError(f"{path}: can't be read: {_why(error)}") from None
    try:
        tables = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise SessionError(f"{path}: not TOML: {error}") from None
    default = tables.pop("default", "")
    if not isinstance(default, str):
        raise SessionError(f"{path}: default: expected the name of a profile, found {_kind(default)}")
    found = {name: _profile(path, name, table) for name, table in tables.items()}
    if default and default not in found:
        raise SessionError(f"{path}: default: expected one of {_names(found)}, found {default!r}")
    return Profiles(default, found)


def _profile(path: Path, name: str, table: Any) -> Profile:
    if not isinstance(table, dict):
        raise SessionError(f"{path}: {name}: expected a table [{name}] or the key default, found {_kind(table)}")
    if not _NAME.fullmatch(name):
        raise SessionError(f"{path}: [{name}]: expected a name of letters, digits, '.', '_' and '-', at most 64")
    for key, value in table.items():
        if key not in ("server", "user", "ca", "proxy"):
            raise SessionError(f"{path}: [{name}] {key}: unknown key; expected server, user, ca or proxy")
        if not isinstance(value, str):
            raise SessionError(f"{path}: [{name}] {key}: expected a text in quotes, found {_kind(value)}")
    if "server" not in table:
        raise SessionError(f"{path}: [{name}] server: missing; expected https://HOST[:PORT]")
    try:
        server = check_server(table["server"])
    except SessionError as error:
        raise SessionError(f"{path}: [{name}] server: {error}") from None
    ca = table.get("ca", "")
    if ca:
        ca = str(path.parent / Path(ca).expanduser())
        if not Path(ca).is_file():
            raise SessionError(f"{path}: [{name}] ca: expected a file of certificates, found none at {ca}")
    return Profile(server, table.get("user", ""), ca, table.get("proxy", ""), name)


def choose(
    server: str | None = None,
    profile: str | None = None,
    *,
    profiles: Profiles | None = None,
    environ: Mapping[str, str] = os.environ,
) -> Profile | None:
    """The profile to use: `server`, `profile`, RCQUEUE_SERVER, the default one, else None: ask the person.

    A server named by its address takes `ca` and `proxy` of the profile with that address, if there is one.
    Raises SessionError.
    """
    known = load_profiles() if profiles is None else profiles
    if not server and profile:
        if profile not in known.by_name:
            raise SessionError(f"no profile {profile!r} in {profiles_path()}: expected one of {_names(known.by_name)}")
        return known.by_name[profile]
    address = server or environ.get(SERVER_VARIABLE)
    if address:
        address = check_server(address)
        for candidate in known.by_name.values():
            if candidate.server == address:
                return candidate
        return Profile(address, name=_name_of(address))
    return known.by_name.get(known.default)


def _name_of(server: str) -> str:
    """A file name for a server that has no profile: `https://mail.example:8025` is `mail.example_8025`."""
    return re.sub(r"[^A-Za-z0-9.-]", "_", server.partition("://")[2]).lstrip(".-") or "server"


# -- token files


def runtime_path() -> Path:
    """The folder of token files: it lives in memory (tmpfs) wherever the system has such a place for a user."""
    from platformdirs import user_runtime_path

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # says that XDG_RUNTIME_DIR is unset; the folder is checked whatever it is
        return user_runtime_path("rcqueue")


def token_path(profile: Profile, folder: Path | None = None) -> Path:
    return (folder or runtime_path()) / f"{profile.name or _name_of(profile.server)}.token"


def find_token(profile: Profile, *, environ: Mapping[str, str] = os.environ, folder: Path | None = None) -> str | None:
    """The token to sign in with: of the file that RCQUEUE_TOKEN_FILE names, else the one `rcqueue login` left, else
    None. Raises SessionError for a file that others may have read or written."""
    named = environ.get(TOKEN_FILE_VARIABLE)
    if named:
        return read_token(Path(named))
    path = token_path(profile, folder)
    try:
        with _own_folder(path.parent) as at:
            return _read(path, at)
    except FileNotFoundError:
        return None


def read_token(path: Path) -> str:
    """The token in `path`: a regular file, the reader's own, open to nobody else. Raises SessionError."""
    try:
        return _read(path, None)
    except FileNotFoundError:
        raise SessionError(f"{path}: no such token file") from None


def write_token(profile: Profile, token: str, *, folder: Path | None = None) -> Path:
    """Keeps `token` (0600 in an own 0700 folder) until `drop_token`. Raises SessionError."""
    path = token_path(profile, folder)
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        with _own_folder(path.parent) as at:
            draft = f".{path.name}.{os.getpid()}"
            with suppress(FileNotFoundError):
                os.unlink(draft, dir_fd=at)
            flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
            with os.fdopen(os.open(draft, flags, 0o600, dir_fd=at), "w") as file:
                os.fchmod(file.fileno(), 0o600)
                file.write(token + "\n")
            os.rename(draft, path.name, src_dir_fd=at, dst_dir_fd=at)
    except OSError as error:
        raise SessionError(f"{path}: the token can't be kept: {_why(error)}") from None
    return path


def drop_token(profile: Profile, *, folder: Path | None = None) -> None:
    with suppress(FileNotFoundError):
        token_path(profile, folder).unlink()


@contextmanager
def _own_folder(path: Path) -> Iterator[int]:
    """A descriptor of a folder that is the user's own and closed to others (0700); FileNotFoundError without one."""
    try:
        at = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
    except FileNotFoundError:
        raise
    except OSError as error:
        raise SessionError(f"{path}: refused: expected a folder of your own (0700): {_why(error)}") from None
    try:
        _check_own(path, os.fstat(at), 0o700)
        yield at
    finally:
        os.close(at)


def _read(path: Path, at: int | None) -> str:
    """The token in `path` (its last part below the folder `at`, if given); FileNotFoundError without one."""
    flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC  # a FIFO must not hang
    try:
        opened = os.open(path if at is None else path.name, flags, dir_fd=at)
    except FileNotFoundError:
        raise
    except OSError as error:
        raise SessionError(f"{path}: refused: expected a regular file, no link: {_why(error)}") from None
    try:
        found = os.fstat(opened)
        if not stat.S_ISREG(found.st_mode):
            raise SessionError(f"{path}: refused: expected a regular file")
        _check_own(path, found, 0o600)
        data = os.read(opened, _TOKEN_LIMIT + 1)
    finally:
        os.close(opened)
    token = data.decode("ascii", "replace").strip()
    if not _TOKEN.fullmatch(token) or len(data) > _TOKEN_LIMIT:
        raise SessionError(f"{path}: expected one line with one token")
    return token


def _check_own(path: Path, found: os.stat_result, mode: int) -> None:
    if found.st_uid != os.geteuid():
        raise SessionError(f"{path}: refused: it belongs to user {found.st_uid}; expected your own ({os.geteuid()})")
    have = stat.S_IMODE(found.st_mode)
    if have & 0o077:
        raise SessionError(f"{path}: refused: mode {have:04o} opens it to others; expected {mode:04o} (chmod {mode:o})")


# -- words


def _why(error: OSError | UnicodeDecodeError) -> str:
    return error.strerror or "unknown error" if isinstance(error, OSError) else "not UTF-8"


def _kind(value: Any) -> str:
    names = {bool: "true or false", int: "a number", float: "a number", list: "a list", dict: "a table", str: "a text"}
    return names.get(type(value), "a date or time")


def _names(names: Mapping[str, Profile]) -> str:
    return ", ".join(sorted(names)) or "none (the file has no profile)"
