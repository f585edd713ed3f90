"""HTML as text for the body pane: what a person would read, with each link's host beside it, defanged.

A tokenizer of its own, since `html.parser` takes quadratic time on markup that is never closed. Here every token is
consumed as it is matched.
"""

from __future__ import annotations

import re
from html import unescape

_TOKEN = re.compile(
    r"""<!--.*?(?:-->|\Z)
      | <(?P<end>/?)(?P<tag>[a-zA-Z][^\s/>]*+)(?P<attributes>(?:[^>"']++|"[^"]*+"?|'[^']*+'?)*+)(?:>|\Z)
      | <[!?/][^>]*+>?
      | (?P<text>[^<]++|<)""",
    re.DOTALL | re.VERBOSE,
)
_HREF = re.compile(r"""\shref\s*+=\s*+(?:"([^"]*+)|'([^']*+)|([^\s>]*+))""", re.IGNORECASE)
_ALT = re.compile(r"""\salt\s*+=\s*+(?:"([^"]*+)|'([^']*+)|([^\s>]*+))""", re.IGNORECASE)
_URL = re.compile(r"([a-z][a-z0-9+.-]{0,30}):(/*)([^/?#]{0,300})", re.IGNORECASE)
_NOT_IN_URLS = re.compile(r"[\x00-\x20]+")
_SPACE = re.compile(r"\s+")
_BLANK_LINES = re.compile(r"\n(?:[ \t]*\n){2,}")

_UNSEEN = {name: re.compile(rf"</{name}\b", re.IGNORECASE) for name in ("script", "style", "title", "template")}
_PARAGRAPHS = {"p", "h1", "h2", "h3", "h4", "h5", "h6", "table", "ul", "ol", "blockquote", "pre", "hr"}
_LINES = {"br", "div", "tr", "li", "section", "article", "header", "footer", "dt", "dd", "form"} | _PARAGRAPHS


def html_text(html: str) -> str:
    """The text of a piece of HTML: blocks as lines, links as `text <host[.]example>`."""
    out: list[str] = []
    links: list[str] = []
    preformatted = False
    at, length = 0, len(html)
    while at < length:
        token = _TOKEN.match(html, at)
        assert token is not None, "the alternatives cover every character"
        at = token.end()
        if token["text"]:
            text = unescape(token["text"])
            if not preformatted:
                text = _SPACE.sub(" ", text)
                if not out or out[-1].endswith("\n"):
                    text = text.lstrip(" ")
            if text:
                out.append(text)
            continue
        if not token["tag"]:
            continue
        tag, ends = token["tag"].lower(), bool(token["end"])
        if tag in _UNSEEN and not ends:
            close = _UNSEEN[tag].search(html, at)
            at = close.start() if close else length
        elif tag == "a":
            if links and (host := links.pop()):
                out.append(f" <{host}>")
            if not ends:
                links.append(_host(_attribute(_HREF, token["attributes"])))
        elif tag == "img" and (alt := _attribute(_ALT, token["attributes"]).strip()):
            out.append(f"[{alt}]")
        elif tag in ("td", "th") and not ends and out and not out[-1].endswith("\n"):
            out.append(" ")
        elif tag in _LINES:
            out.append("\n\n" if tag in _PARAGRAPHS else "\n")
            if tag == "pre":
                preformatted = not ends
    out += [f" <{host}>" for host in links if host]
    lines = (line.rstrip() for line in "".join(out).split("\n"))
    return _BLANK_LINES.sub("\n\n", "\n".join(lines)).strip("\n")


def _attribute(pattern: re.Pattern[str], attributes: str) -> str:
    match = pattern.search(attributes)
    return unescape(next((group for group in match.groups() if group is not None), "")) if match else ""


def _host(url: str) -> str:
    """Where a link leads, so that nobody can click it: its host, or the address of a `mailto:`; "" within the page."""
    match = _URL.match(_NOT_IN_URLS.sub("", url).replace("\\", "/"))
    if not match:
        return ""
    scheme, slashes, place = match.groups()
    if scheme.lower() == "mailto":
        return place.replace(".", "[.]")
    if slashes or scheme.lower() in ("http", "https", "ftp"):
        return place.rpartition("@")[2].lower().replace(".", "[.]")
    return f"{scheme.lower()}:"
