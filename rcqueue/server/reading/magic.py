"""What an attachment is by its bytes, whatever it is called. Nothing is opened or unpacked: bytes are looked for."""

from __future__ import annotations

from rcqueue.server.reading import caps

_ZIPPED = "zip docx xlsx pptx docm xlsm pptm dotx xltx potx odt ods odp jar apk epub xpi vsdx kmz ipa war nupkg whl key"
#: How it begins, what it is, and the extensions that say so.
_KINDS: tuple[tuple[bytes, str, str], ...] = (
    (b"MZ", "Windows program", "exe dll scr com sys cpl ocx drv pif"),
    (b"\x7fELF", "Linux program", "so bin elf o"),
    (b"\xca\xfe\xba\xbe", "Java class or macOS program", "class"),
    (b"%PDF", "PDF", "pdf ai"),
    (b"PK\x03\x04", "ZIP", _ZIPPED),
    (b"PK\x05\x06", "ZIP, empty", _ZIPPED),
    (b"Rar!\x1a\x07", "RAR", "rar"),
    (b"7z\xbc\xaf\x27\x1c", "7-Zip", "7z"),
    (b"\x1f\x8b", "gzip", "gz tgz svgz"),
    (b"BZh", "bzip2", "bz2 tbz tbz2"),
    (b"\xfd7zXZ\x00", "xz", "xz txz"),
    (b"MSCF", "cabinet", "cab"),
    (
        b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1",
        "OLE (old Office, MSI, Outlook)",
        "doc xls ppt dot xlt pps msi msg vsd pub mpp",
    ),
    (b"{\\rt", "RTF", "rtf doc"),
    (b"\xe4R\\{\x8c\xd8\xa7M\xae\xb1Sx\xd0)\x96\xd3", "OneNote", "one"),
    (b"L\x00\x00\x00\x01\x14\x02\x00", "Windows shortcut", "lnk"),
    (b"ITSF", "Windows help", "chm"),
    (b"#!", "script", "sh py pl rb"),
    (b"\x89PNG", "PNG", "png"),
    (b"\xff\xd8\xff", "JPEG", "jpg jpeg jpe jfif"),
    (b"GIF8", "GIF", "gif"),
    (b"BM", "BMP", "bmp dib"),
    (b"II*\x00", "TIFF", "tif tiff"),
    (b"MM\x00*", "TIFF", "tif tiff"),
    (b"ID3", "MP3", "mp3"),
    (b"-----BEGIN PGP", "PGP", "asc pgp gpg sig key"),
    (b"BEGIN:VCALENDAR", "calendar", "ics ical ifb"),
    (b"BEGIN:VCARD", "address card", "vcf vcard"),
)
_RUN = "exe dll scr com pif cpl bat cmd ps1 js jse vbs vbe wsf wsh hta lnk msi jar iso img vhd vhdx chm reg url"
_READ = "pdf doc docx xls xlsx ppt pptx txt rtf jpg jpeg png gif zip htm html mp3 mp4 csv eml"
_PROGRAMS, _DOCUMENTS = frozenset(_RUN.split()), frozenset(_READ.split())
_MARKUP = (b"<!doctype html", b"<html", b"<script", b"<head", b"<body")
_NAMED_MARKUP = frozenset(("html", "htm", "xhtml", "shtml", "mht", "hta", "svg", "xml", "eml"))


def look(name: str, data: bytes) -> tuple[str, list[str]]:
    """What it is ("" where its bytes tell nothing), and what there is to say against it."""
    extensions = [part.strip().lower() for part in name.rstrip(". ").split(".")[1:]]
    last = extensions[-1] if extensions else ""
    content, fits = "", False
    for begins, kind, named in _KINDS:
        if data.startswith(begins):
            content, fits = kind, last in named.split()
            break
    else:
        if data[:512].lstrip(b"\xef\xbb\xbf \t\r\n").lower().startswith(_MARKUP):
            content, fits = "HTML", last in _NAMED_MARKUP
        elif data[32769:32774] == b"CD001":
            content, fits = "disk image", last in ("iso", "img")
    if content == "ZIP" and b"[Content_Types].xml" in data:
        content = "Office document (ZIP)"
    marks = []
    if content and last and not fits and last != "bin" and last != "dat":
        marks.append(f"named .{last[: caps.EXTENSION]}, but its bytes are of another kind")
    if last in _PROGRAMS:
        marks.append("runs when it is opened")
        if len(extensions) > 1 and extensions[-2] in _DOCUMENTS:
            marks.append(f"two extensions: .{extensions[-2]}.{last}")
    if _locked(content, data):
        marks.append("password-protected")
    if _has_macros(content, data):
        marks.append("has macros")
    return content, marks


def _locked(content: str, data: bytes) -> bool:
    match content:
        case "ZIP" | "Office document (ZIP)":  # a flag of each file within: in its header, and again in the directory
            return bool(data[6] & 1 if len(data) > 6 else 0) or _flagged(data)
        case "RAR":
            if data[6:7] == b"\x01":  # version 5: the first block is one of encryption
                return data[13:14] == b"\x04"
            return bool(len(data) > 24 and (data[10] & 0x80 or (data[22] == 0x74 and data[23] & 4)))
        case "7-Zip":  # the method AES-256 of its directory, which stands at the end
            return b"\x06\xf1\x07\x01" in data[-(1 << 16) :]
        case "PDF":
            return b"/Encrypt" in data
    return content.startswith("OLE") and "EncryptedPackage".encode("utf-16-le") in data


def _flagged(data: bytes) -> bool:
    at = 0
    for _ in range(caps.PARTS):
        at = data.find(b"PK\x01\x02", at)
        if at < 0:
            return False
        if data[at + 8 : at + 9] and data[at + 8] & 1:
            return True
        at += 4
    return False


def _has_macros(content: str, data: bytes) -> bool:
    if content.startswith("OLE"):
        return "_VBA_PROJECT".encode("utf-16-le") in data
    return content == "Office document (ZIP)" and b"vbaProject.bin" in data
