"""The screens that an action opens over the queue. Each is imported when it is first opened."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rcqueue.app import RcqueueApp


def open(app: RcqueueApp, name: str) -> None:
    """Opens the screen of that action; one that is signed in only when there is somebody signed in."""
    if name == "view.help":
        from .help import HelpScreen

        app.push_screen(HelpScreen(getattr(app.screen, "context", getattr(app.screen, "CONTEXT", "app"))))
        return
    if app.desk is None:
        app.flash("not signed in yet", "warn")
        return
    match name:
        case "mail.show" | "view.unfold":
            from .message import MessageScreen

            app.push_screen(MessageScreen("recipients" if name == "view.unfold" else app.queue.tab))
        case "filter.list":
            from .saved import SavedScreen

            app.push_screen(SavedScreen())
        case "campaign.list":
            from .campaigns import CampaignsScreen

            app.push_screen(CampaignsScreen())
        case "act.list":
            from .acts import ActsScreen

            app.push_screen(ActsScreen())
        case "people.list":
            from .people import PeopleScreen

            app.push_screen(PeopleScreen())
        case "health.show":
            from .health import HealthScreen

            app.push_screen(HealthScreen())
        case "outgoing.list":
            from .outgoing import OutgoingScreen

            app.push_screen(OutgoingScreen())
        case "history.list":
            from .history import HistoryScreen

            app.push_screen(HistoryScreen())
        case "view.copy":
            _copy(app)
        case "wall.show" if app.api is not None:
            from .wall import WallScreen

            app.push_screen(WallScreen(app.api))
        case "audit.list":
            from .audit import AuditScreen

            app.push_screen(AuditScreen())
        case "view.demo" if app.start.demo is not None:
            from .demo import DemoScreen

            app.push_screen(DemoScreen(app.start.demo))


def _copy(app: RcqueueApp) -> None:
    """The request of the last act, and that of the queue's list."""
    from . import acpi
    from .dialogs import Told

    assert app.desk is not None and app.queue.acting is not None
    requests = [("The last act", request)] if (request := app.queue.acting.request) else []
    requests.append(("This list" if app.screen is app.queue else "The queue's list", acpi.of_list(app.desk.query)))
    if app.settings.copy:
        app.copy_to_clipboard(requests[0][1])
    sentence = "It is in the clipboard of your terminal." if app.settings.copy else "To be copied by hand."
    app.push_screen(Told(sentence, [f"{name}:\n{request}" for name, request in requests]))
