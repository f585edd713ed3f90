"""What the terminal can do, as far as the encoder uses it."""

import curses
from collections.abc import Mapping
from dataclasses import dataclass, fields, replace


@dataclass(frozen=True, slots=True)
class Caps:
    """Everything off is right for any terminal, only longer."""

    regions: bool = False
    """DECSTBM: a range of rows scrolls by itself."""
    scroll: bool = False
    """SU and SD: scroll by n rows."""
    lines: bool = False
    """IL and DL: insert and delete n rows."""
    erase: bool = False
    """EL paints with the pen's background ("bce")."""
    repeat: bool = False
    """REP: the last character again, n times. Never taken from terminfo: mosh and tmux claim it and get it wrong."""
    diff: bool = True
    """Send what changed in a row, not the whole row."""

    @classmethod
    def of(cls, environ: Mapping[str, str]) -> "Caps":
        """By terminfo for `TERM`, then by `RCQUEUE_CAPS`, words such as ``-erase +repeat`` (a wrong word: ValueError).

        With `RCQUEUE_PLAIN` (not empty) everything is off: whole rows, nothing clever, for a terminal that gets the
        clever ways wrong. It passes the same gate.
        """
        caps = cls(diff=False) if environ.get("RCQUEUE_PLAIN") else cls._from_terminfo(environ.get("TERM", ""))
        names = [field.name for field in fields(cls)]
        for word in environ.get("RCQUEUE_CAPS", "").split():
            if word[0] not in "+-" or word[1:] not in names:
                raise ValueError(f"RCQUEUE_CAPS: {word!r} is not + or - and one of {', '.join(names)}")
            caps = replace(caps, **{word[1:]: word[0] == "+"})
        return caps

    @classmethod
    def _from_terminfo(cls, term: str) -> "Caps":
        try:
            curses.setupterm(term, 1)
        except curses.error:
            return cls()
        return cls(
            regions=bool(curses.tigetstr("csr")),
            scroll=bool(curses.tigetstr("indn") and curses.tigetstr("rin")),
            lines=bool(curses.tigetstr("il") and curses.tigetstr("dl")),
            erase=curses.tigetflag("bce") == 1,
        )


def blocks(environ: Mapping[str, str]) -> bool:
    """Whether there are block glyphs of eight heights. The console of Linux has a font with a few of them."""
    return environ.get("TERM", "") not in ("linux", "vt100", "vt220", "dumb") and not environ.get("RCQUEUE_PLAIN")
