"""HTML as text for the body pane: what a person would read, with where each link leads beside it, defanged.

A tokenizer of its own, since `html.parser` takes quadratic time on markup that is never closed. Here every token is
consumed as it is matched. Style sheets are not followed: what is hidden by a class of one is shown unmarked.
"""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass, field
from html import unescape
from typing import NamedTuple

from rcqueue.server.reading import caps
from rcqueue.server.reading.links import dotless, label_place, place

_TOKEN = re.compile(
    r"""<!--.*?(?:-->|\Z)
      | <(?P<end>/?)(?P<tag>[a-zA-Z][^\s/>]*+)(?P<attributes>(?:[^>"']++|"[^"]*+"?|'[^']*+'?)*+)(?:>|\Z)
      | <[!?/][^>]*+>?
      | (?P<text>[^<]++|<)""",
    re.DOTALL | re.VERBOSE,
)


def _attribute_of(name: str) -> re.Pattern[str]:
    return re.compile(rf"""\s{name}\s*+=\s*+(?:"([^"]*+)|'([^']*+)|([^\s>]*+))""", re.IGNORECASE)


_HREF, _ALT, _SRC, _ACTION, _TYPE, _STYLE, _COLOR, _BGCOLOR, _CONTENT = map(
    _attribute_of, ("href", "alt", "src", "action", "type", "style", "color", "bgcolor", "content")
)
_HIDDEN = re.compile(r"\shidden(?=[\s=/]|\Z)", re.IGNORECASE)
_UNSEEN_STYLE = re.compile(
    r"(?:^|;)\s*+(?:display\s*+:\s*+none|visibility\s*+:\s*+(?:hidden|collapse)|mso-hide\s*+:\s*+all"
    r"|(?:max-height|max-width|opacity)\s*+:\s*+0*(?:\.0+)?(?:px|pt|em|rem|%)?\s*+(?:!|;|\Z)"
    r"|text-indent\s*+:\s*+-\d{3,})",
    re.IGNORECASE,
)
_STYLE_SIZE = re.compile(
    r"(?:^|;)\s*+font-size\s*+:\s*+(?P<none>(?:0*(?:\.0+)?(?:px|pt|em|rem|%)?|0*1px)\s*+(?:!|;|\Z))?", re.IGNORECASE
)
_STYLE_COLOR = re.compile(r"(?:^|;)\s*+color\s*+:\s*+([^;!]{1,40})", re.IGNORECASE)
_STYLE_BEHIND = re.compile(r"(?:^|;)\s*+background(?:-color)?\s*+:\s*+([^;!]{1,200})", re.IGNORECASE)
_RGB = re.compile(r"rgba?\(\s*(\d{1,3})[\s,]+(\d{1,3})[\s,]+(\d{1,3})", re.IGNORECASE)
_WHITE, _NAMED = (255, 255, 255), {"white": (255, 255, 255), "black": (0, 0, 0)}
_NEAR = 12  #: of 255: colours so near to each other can't be told apart

_SPACE = re.compile(r"\s+")
_BLANK_LINES = re.compile(r"\n(?:[ \t]*\n){2,}")
_SAYS_SOMETHING = re.compile(r"\w")
_UNSEEN = {name: re.compile(rf"</{name}\b", re.IGNORECASE) for name in ("script", "style", "title", "template")}
_PARAGRAPHS = {"p", "h1", "h2", "h3", "h4", "h5", "h6", "table", "ul", "ol", "blockquote", "pre", "hr"}
_LINES = {"br", "div", "tr", "li", "section", "article", "header", "footer", "dt", "dd", "form"} | _PARAGRAPHS
_VOID = frozenset(("area", "base", "br", "col", "embed", "hr", "img", "input", "link", "meta", "source", "wbr"))
_ENDS_ITSELF = frozenset(("p", "li", "td", "th", "tr", "dt", "dd", "option"))  # by the next of its kind
_DEPTH = 1000  #: elements within elements whose style is kept
_IMAGE_SOURCES = ("img", "input", "video", "audio", "source", "embed", "iframe", "frame")

Colour = tuple[int, int, int]


class _Open(NamedTuple):
    """An element that is open, and how what stands in it is shown."""

    tag: str
    unseen: bool = False
    tiny: bool = False  #: of no size; an element within may set one again
    colour: Colour | None = None  #: of the text; None: as it comes
    behind: Colour | None = _WHITE  #: None: not known, such as a picture


@dataclass(slots=True)
class Html:
    """A piece of HTML: its text, and what a text does not show."""

    text: str = ""
    links: dict[tuple[str, str], None] = field(default_factory=dict)  #: URL and text of each
    hidden: int = 0  #: pieces of text that nobody sees
    forms: list[str] = field(default_factory=list)  #: where each form sends to, defanged; "" where it does not say
    asks_password: bool = False
    images: Counter[str] = field(default_factory=Counter)  #: by host, of what would be fetched on opening; defanged
    runs: bool = False  #: it has a script
    moves: bool = False  #: it leads elsewhere by itself


def html_text(html: str) -> Html:
    """Blocks become lines, links `text <host[.]example>`, a link whose text names another place
    `text [! goes to host[.]example]`, and what nobody would see `[hidden: text]`. Nothing is fetched."""
    reader = _Reader()
    at, length = 0, len(html)
    while at < length:
        token = _TOKEN.match(html, at)
        assert token is not None, "the alternatives cover every character"
        at = token.end()
        if token["text"]:
            reader.text(unescape(token["text"]))
        elif token["tag"]:
            tag, attributes = token["tag"].lower(), token["attributes"]
            if token["end"]:
                reader.end(tag)
            else:
                reader.start(tag, attributes)
                if tag in _UNSEEN:
                    close = _UNSEEN[tag].search(html, at)
                    at = close.start() if close else length
    return reader.done()


class _Reader:
    def __init__(self) -> None:
        self.html = Html()
        self._out: list[str] = []
        self._stack: list[_Open] = [_Open("")]
        self._open: Counter[str] = Counter()
        self._beyond = 0  # elements that are open and not on the stack
        self._link: tuple[str, int] | None = None  # where the open one leads, and where its text begins
        self._unseen = False  # within "[hidden: "

    # -- text

    def text(self, text: str) -> None:
        now = self._stack[-1]
        unseen = now.unseen or now.tiny or (now.colour is not None and _near(now.colour, now.behind))
        if not self._open["pre"]:
            text = _SPACE.sub(" ", text)
        if unseen and not self._unseen:
            if not _SAYS_SOMETHING.search(text):
                return  # what fills the preview of a mail
            self.html.hidden += 1
            self._out.append("[hidden: ")
            self._unseen = True
        elif not unseen and text.strip():
            self._seen_again()
        if not self._open["pre"] and (not self._out or self._out[-1].endswith("\n")):
            text = text.lstrip(" ")
        if text:
            self._out.append(text)

    def _seen_again(self) -> None:
        if self._unseen:
            self._unseen = False
            self._out.append("] ")

    # -- tags

    def start(self, tag: str, attributes: str) -> None:
        if tag in _ENDS_ITSELF and self._stack[-1].tag == tag:
            self._pop()
        match tag:
            case "a" | "area":
                self._end_link()
                href = _attribute(_HREF, attributes)
                self._link = (href, len(self._out))
                if tag == "area":
                    self._end_link()
            case "img":
                if alt := _attribute(_ALT, attributes).strip():
                    self._out.append(f"[{alt}]")
            case "form":
                where = place(_attribute(_ACTION, attributes))
                self.html.forms.append(dotless(where.host) if where is not None else "")
            case "input":
                self.html.asks_password |= _attribute(_TYPE, attributes).strip().lower() == "password"
            case "script":
                self.html.runs = True
            case "meta":
                self.html.moves |= "refresh" in attributes.lower() and "url" in _attribute(_CONTENT, attributes).lower()
        if tag in _IMAGE_SOURCES and (where := place(_attribute(_SRC, attributes))) is not None and where.plain:
            self.html.images[dotless(where.host)] += 1
        self._break(tag, ends=False)
        if tag not in _VOID and tag not in _UNSEEN:
            self._push(tag, attributes)

    def end(self, tag: str) -> None:
        if tag == "a":
            self._end_link()
        if self._beyond and tag not in _VOID:
            self._beyond -= 1
        elif self._open[tag]:
            while self._pop().tag != tag:
                pass
        self._break(tag, ends=True)

    def _break(self, tag: str, *, ends: bool) -> None:
        if tag in ("td", "th") and not ends and self._out and not self._out[-1].endswith("\n"):
            self._out.append(" ")
        elif tag in _LINES:
            self._out.append("\n\n" if tag in _PARAGRAPHS else "\n")

    def _push(self, tag: str, attributes: str) -> None:
        if len(self._stack) > _DEPTH:
            self._beyond += 1
            return
        now = self._stack[-1]
        self._open[tag] += 1
        if "=" not in attributes and not _HIDDEN.search(attributes):
            self._stack.append(now._replace(tag=tag))
            return
        style = _attribute(_STYLE, attributes)
        colour = _STYLE_COLOR.search(style)
        behind = _STYLE_BEHIND.search(style)
        of_text = colour[1] if colour else _attribute(_COLOR, attributes) if tag == "font" else ""
        of_behind = behind[1] if behind else _attribute(_BGCOLOR, attributes)
        size = _STYLE_SIZE.search(style)
        self._stack.append(
            _Open(
                tag,
                now.unseen or bool(_UNSEEN_STYLE.search(style) or _HIDDEN.search(attributes)),
                now.tiny if size is None else size["none"] is not None,
                _colour(of_text) or now.colour if of_text else now.colour,
                _colour(of_behind) if of_behind else now.behind,
            )
        )

    def _pop(self) -> _Open:
        gone = self._stack.pop()
        self._open[gone.tag] -= 1
        return gone

    # -- links

    def _end_link(self) -> None:
        if self._link is None:
            return
        (url, start), self._link = self._link, None
        where = place(url)
        if where is None or not where.host:
            return
        label = "".join(self._out[start:])
        self.html.links.setdefault((url, label[: caps.URL]))
        host = dotless(where.host)
        self._out.append(f" [! goes to {host}]" if label_place(label, where) else f" <{host}>")

    def done(self) -> Html:
        self._end_link()
        self._seen_again()
        lines = (line.rstrip() for line in "".join(self._out).split("\n"))
        self.html.text = _BLANK_LINES.sub("\n\n", "\n".join(lines)).strip("\n")
        return self.html


def _attribute(pattern: re.Pattern[str], attributes: str) -> str:
    match = pattern.search(attributes)
    return unescape(next((group for group in match.groups() if group is not None), "")) if match else ""


def _colour(text: str) -> Colour | None:
    """Red, green and blue; None for what is no colour that is known here."""
    word = text.strip().split(" ")[0].lower() if text.strip() else ""
    if word in _NAMED:
        return _NAMED[word]
    digits = word.removeprefix("#")
    if len(digits) == 3:
        digits = "".join(2 * c for c in digits)
    if len(digits) == 6 and all(c in "0123456789abcdef" for c in digits):
        return int(digits[:2], 16), int(digits[2:4], 16), int(digits[4:], 16)
    if rgb := _RGB.match(text.strip()):
        return int(rgb[1]), int(rgb[2]), int(rgb[3])
    return None


def _near(one: Colour, other: Colour | None) -> bool:
    return other is not None and all(abs(a - b) <= _NEAR for a, b in zip(one, other, strict=True))
