"""Attachments: files that look like what they say, and the one harmless file that every scanner calls a virus."""

from __future__ import annotations

import io
import zipfile
from functools import cache
from random import Random

#: In two halves, so that this source is not itself found.
EICAR = (r"X5O!P%@AP[4\PZX54(P^)7CC)7}$EICAR" + r"-STANDARD-ANTIVIRUS-TEST-FILE!$H+H*").encode()


def size(rng: Random) -> int:
    """Bytes of an attachment: some 20 KB most often, now and then 200 KB."""
    return min(
        220_000, 2_000 + int(rng.expovariate(1 / 18_000)) + (rng.random() < 0.08) * rng.randrange(60_000, 200_000)
    )


def pdf(rng: Random) -> bytes:
    return (
        b"%PDF-1.5\n%\xe2\xe3\xcf\xd3\n1 0 obj <</Filter/FlateDecode>> stream\n" + rng.randbytes(size(rng)) + _PDF_END
    )


def image(rng: Random) -> bytes:
    return (
        b"\xff\xd8\xff\xe0\x00\x10JFIF\x00\x01\x02\x00\x00\x01\x00\x01\x00\x00" + rng.randbytes(size(rng)) + b"\xff\xd9"
    )


def document(rng: Random, macro: bool) -> bytes:
    """An office document (a zip), with a part for macros if asked."""
    parts = {"[Content_Types].xml": b"<Types/>", "word/document.xml": rng.randbytes(size(rng) // 2)}
    if macro:
        parts["word/vbaProject.bin"] = b"\xd0\xcf\x11\xe0" + rng.randbytes(3_000)
    return archive(parts)


def archive(parts: dict[str, bytes]) -> bytes:
    """A zip of the parts, the same bytes at each call: no times in it, nothing deflated."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as made:
        for name, data in parts.items():
            made.writestr(zipfile.ZipInfo(name), data)
    return out.getvalue()


@cache
def eicar_zip(depth: int) -> bytes:
    """EICAR in a zip in a zip, `depth` deep."""
    return archive({"eicar.com" if depth == 1 else "inner.zip": EICAR if depth == 1 else eicar_zip(depth - 1)})


_PDF_END = b"\nendstream endobj\ntrailer <</Root 1 0 R>>\n%%EOF\n"
