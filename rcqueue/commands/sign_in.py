"""login, logout, whoami, profiles."""

from __future__ import annotations

import argparse
import getpass
import os
import socket
from typing import TYPE_CHECKING

from rcqueue.client import session

from .arguments import Commands, json_option
from .connect import ask_password, connected, out_of, the_profile, the_token, with_api
from .output import Column, Out
from .status import DONE, REFUSED, Failure

if TYPE_CHECKING:
    from rcqueue.client.api import Api


def add(commands: Commands) -> None:
    login = commands.add(
        "login",
        "sign in, and keep the token until logout or its end",
        more="The password is asked on the terminal; without one it is the first line of standard input.\n",
    )
    login.add_argument("--user", metavar="NAME", help="your account; else that of the profile, else your login name")
    json_option(login)
    login.set_defaults(run=_login)
    logout = commands.add("logout", "end the session; its claims go at once")
    json_option(logout)
    logout.set_defaults(run=_logout)
    whoami = commands.add("whoami", "who is signed in, and what they may do and see")
    json_option(whoami)
    whoami.set_defaults(run=connected(_whoami))
    profiles = commands.add("profiles", "the profiles, and which of them have a token kept", connects=False)
    json_option(profiles)
    profiles.set_defaults(run=_profiles)


def _login(args: argparse.Namespace) -> int:
    profile = the_profile(args)
    name = args.user or profile.user or getpass.getuser()
    password = ask_password(f"Password of {name} at {profile.server}: ")

    async def sign_in(api: Api) -> int:
        from rcqueue.model.mail import rfc3339

        answer = await api.login(name, password, "cli", f"{socket.gethostname()}:{os.getpid()}")
        path = session.write_token(profile, answer.token)
        out = out_of(args)
        if out.as_json:
            out.done(name=answer.whoami.name, ends=rfc3339(answer.ends), token_file=str(path))
        else:
            out.line(f"signed in as {answer.whoami.name} until {out.when(answer.ends)}; the token is in {path}")
        return DONE

    return with_api(profile, None, sign_in)


def _logout(args: argparse.Namespace) -> int:
    profile = the_profile(args)
    token = the_token(profile)

    async def sign_out(api: Api) -> int:
        await api.logout()
        return DONE

    kept = not os.environ.get(session.TOKEN_FILE_VARIABLE)  # the file that it names is not ours to remove
    try:
        status = with_api(profile, token, sign_out)
    except Failure as end:
        if kept and end.status == REFUSED:  # the session had ended before
            session.drop_token(profile)
        raise
    if kept:
        session.drop_token(profile)
    out_of(args).done(server=profile.server)
    return status


async def _whoami(args: argparse.Namespace, api: Api, out: Out) -> int:
    me = await api.whoami()
    if out.as_json:
        out.json(me)
        return DONE
    out.line(f"{me.name} at {api.server}, rcqueue {me.server}, queue {me.queue}")
    out.line("roles      " + (", ".join(f"{grant.role}@{grant.customer}" for grant in me.roles) or "none"))
    out.line("rights     " + (" ".join(me.rights) or "none"))
    out.line("classes    " + (" ".join(me.classes) or "none"))
    out.line("customers  " + (" ".join(me.customers) or "none"))
    if me.locks:
        out.line("locked     " + " ".join(me.locks))
    if me.warning:
        out.line("warning    " + me.warning)
    return DONE


def _profiles(args: argparse.Namespace) -> int:
    out = out_of(args)
    known = session.load_profiles()
    table = out.table([Column("", 1), Column("NAME", 16), Column("USER", 16), Column("TOKEN", 5), Column("SERVER", 0)])
    for name, profile in sorted(known.by_name.items()):
        default = name == known.default
        kept = session.token_path(profile).exists()
        if out.as_json:
            shown = {"name": name, "server": profile.server, "user": profile.user, "default": default, "token": kept}
            out.json(shown)
        else:
            table.row(["*" if default else "", name, profile.user, "kept" if kept else "", profile.server])
    return DONE
