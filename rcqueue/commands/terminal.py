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

    try:
        app = RcqueueApp(Start(profile=profile, token=token, queue=args.queue, settings=settings.load()))
    except ThemeError as wrong:
        raise Failure(USAGE, str(wrong)) from None
    app.run()
    return app.return_code or 0
