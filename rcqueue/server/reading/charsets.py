"""Bytes in a named character set to text. Names come from mail, so they are looked up in a table that is closed:
Python's own registry keeps every name it was ever asked for, and some of its codecs take quadratic time.
"""

from __future__ import annotations

import codecs
import re
from encodings.aliases import aliases

_KNOWN = """ascii big5 big5hkscs cp037 cp1125 cp1250 cp1251 cp1252 cp1253 cp1254 cp1255 cp1256 cp1257 cp1258 cp437
cp500 cp737 cp775 cp850 cp852 cp855 cp857 cp858 cp860 cp861 cp862 cp863 cp864 cp865 cp866 cp869 cp874 cp932 cp949 cp950
euc_jis_2004 euc_jp euc_kr gb18030 gb2312 gbk hp_roman8 hz iso2022_jp iso2022_jp_1 iso2022_jp_2 iso2022_jp_2004
iso2022_jp_3 iso2022_jp_ext iso2022_kr iso8859_10 iso8859_11 iso8859_13 iso8859_14 iso8859_15 iso8859_16 iso8859_2
iso8859_3 iso8859_4 iso8859_5 iso8859_6 iso8859_7 iso8859_8 iso8859_9 johab koi8_r koi8_t koi8_u kz1048 latin_1
mac_cyrillic mac_greek mac_iceland mac_latin2 mac_roman mac_turkish ptcp154 shift_jis shift_jis_2004 tis_620 utf_16
utf_16_be utf_16_le utf_32 utf_32_be utf_32_le utf_7 utf_8"""

_CODECS = frozenset(_KNOWN.split())
_NAMES = {name: name for name in _CODECS} | {name: codec for name, codec in aliases.items() if codec in _CODECS}
_NAMES |= {f"windows_{name[2:]}": name for name in _CODECS if re.fullmatch(r"cp(125\d|874)", name)}
_NAMES |= {
    "iso_8859_8_i": "iso8859_8",
    "iso_8859_8_e": "iso8859_8",
    "x_sjis": "cp932",
    "x_gbk": "gbk",
    "x_mac_roman": "mac_roman",
    "macintosh": "mac_roman",
    "unicode_1_1_utf_7": "utf_7",
    "unicode_1_1_utf_8": "utf_8",
    "uft_8": "utf_8",
    "utf8mb4": "utf_8",
}

#: What senders mean by a name when its own set does not have their bytes. UTF-8 is tried for all: it proves itself.
_WIDER = {
    "gb2312": ["gb18030"],
    "gbk": ["gb18030"],
    "big5": ["big5hkscs"],
    "shift_jis": ["cp932"],
    "euc_kr": ["cp949"],
    "iso2022_jp": ["iso2022_jp_ext", "utf_8", "euc_jp"],
    "iso8859_11": ["cp874"],
    "tis_620": ["cp874"],
}

_NO_NAME = {"none", "unknown", "x-unknown", "unknown-8bit", "default", "x-user-defined"}
_ASCII = bytes(range(128))
_C1 = re.compile("[\x80-\x9f]")
_UNSTORABLE = re.compile("[\x00\ud800-\udfff]")


def codec(charset: str) -> str | None:
    """The name of Python's codec for a character set as mail names it, or None for one that is not known."""
    return _NAMES.get(re.sub(r"[^a-z0-9]", "_", charset.partition("*")[0].lower()[:64]).strip("_"))


def preload() -> None:
    """Load every codec now: a process that may open no files can't load one later."""
    for name in (*_CODECS, "idna", "punycode"):
        codecs.lookup(name)


def clean(text: str) -> str:
    """Text that every database takes: NUL and lone surrogates become U+FFFD."""
    return text if text.isascii() and "\0" not in text else _UNSTORABLE.sub("\ufffd", text)


def from_charset(data: bytes, charset: str) -> tuple[str, str | None]:
    """The text, and the trouble there was (None without). Unclean: see `clean`."""
    name = codec(charset)
    if name is None:
        if charset.lower() in _NO_NAME:
            return guess(data)
        text, _ = guess(data)
        return text, "unknown charset"
    if name == "latin_1" or (name == "ascii" and data.isascii()):
        return _western(data), None
    for attempt in (name, *_WIDER.get(name, ()), "utf_8"):
        try:
            return data.decode(attempt), None
        except UnicodeError:
            continue
    if name == "ascii":
        return _guess_western(data)
    return data.decode(name, "replace"), f"bytes that are not {name.replace('_', '-')}"


def guess(data: bytes, declared: str = "") -> tuple[str, str | None]:
    """8-bit text whose charset nothing names: UTF-8, else what the mail `declared` for its body, else Western."""
    try:
        return data.decode("utf-8"), None
    except UnicodeError:
        pass
    name = codec(declared)
    if name not in (None, "ascii", "utf_8"):
        text, trouble = from_charset(data, declared)
        if trouble is None:
            return text, None
    return _guess_western(data)


def _guess_western(data: bytes) -> tuple[str, str | None]:
    """Western text has few 8-bit letters among the others; what is full of them is some other script."""
    foreign = 4 * len(data.translate(None, _ASCII)) > len(data)
    return _western(data), "8-bit text in no known charset" if foreign else None


def _western(data: bytes) -> str:
    """Latin-1 as everybody means it: its C1 controls are Windows-1252's quotes and dashes."""
    text = data.decode("latin-1")
    if text.isascii() or not _C1.search(text):
        return text
    return _C1.sub(lambda c1: c1[0].encode("latin-1").decode("cp1252", "ignore") or c1[0], text)
