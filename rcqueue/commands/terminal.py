"""No command: the terminal. Everything that can be said without drawing is said before Textual is loaded."""

from __future__ import annotations

import argparse
import os
import sys

from rcqueue.client import session
from rcqueue.terminal.check import refusal

from .status import USAGE, Failure


def run(args: argparse.Namespace) -> int:
    why = refusal(os.environ, sys.stdin, sys.stdout)
    if why is not None:
        raise Failure(USAGE, why)
    profile = session.choose(args.server, args.profile)
    token = session.find_token(profile) if profile else None

    from rcqueue import settings
    from rcqueue.app import RcqueueApp, Start, ThemeError

    own = settings.load()
    start = Start(profile=profile, token=token, queue=args.queue, settings=own)
    start.theme = args.theme or start.theme
    try:
        app = RcqueueApp(start)
    except ThemeError as wrong:
        raise Failure(USAGE, str(wrong)) from None
    if args.theme:
        try:
            own.keep("theme", args.theme)
        except settings.SettingsError as error:
            own.wrong.append(str(error))
    app.run()
    return app.return_code or 0
