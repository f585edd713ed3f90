"""What an attachment is by its bytes, and in which language a text is written."""

from __future__ import annotations

import io
import zipfile

import pytest

from rcqueue.server.reading.deep import read_deep
from rcqueue.server.reading.language import language_of
from rcqueue.server.reading.magic import look
from tests.reading.sources import sample


def zipped(*names: str) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        for name in names:
            archive.writestr(zipfile.ZipInfo(name), "x" * 100)  # of 1980: the tests' names hold these bytes
    return out.getvalue()


def locked(data: bytes) -> bytes:
    """As a packer marks what it has encrypted: the first bit of the flags, in both headers."""
    out = bytearray(data)
    out[6] |= 1
    out[out.index(b"PK\x01\x02") + 8] |= 1
    return bytes(out)


OTHER = "but its bytes are of another kind"
OLE = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(600)


@pytest.mark.parametrize(
    ("name", "data", "content", "marks"),
    [
        ("a.pdf", b"%PDF-1.4", "PDF", []),
        ("a.pdf", b"MZ\x90", "Windows program", [f"named .pdf, {OTHER}"]),
        ("a.exe", b"MZ\x90", "Windows program", ["runs when it is opened"]),
        ("a.pdf.exe", b"MZ", "Windows program", ["runs when it is opened", "two extensions: .pdf.exe"]),
        ("invoice.PDF .Js", b"var x", "", ["runs when it is opened", "two extensions: .pdf.js"]),
        ("a.docx", zipped("[Content_Types].xml", "word/document.xml"), "Office document (ZIP)", []),
        ("a.docm", zipped("[Content_Types].xml", "word/vbaProject.bin"), "Office document (ZIP)", ["has macros"]),
        ("a.zip", zipped("x.txt"), "ZIP", []),
        ("a.zip", locked(zipped("x.txt")), "ZIP", ["password-protected"]),
        ("a.zip", zipped("x.txt", "y.txt")[:6], "ZIP", []),
        ("a.rar", b"Rar!\x1a\x07\x01\x00" + b"....\x21\x04", "RAR", ["password-protected"]),
        ("a.7z", b"7z\xbc\xaf\x27\x1c" + b"..\x06\xf1\x07\x01..", "7-Zip", ["password-protected"]),
        ("a.pdf", b"%PDF-1.4 trailer << /Encrypt 5 0 R >>", "PDF", ["password-protected"]),
        (
            "a.xls",
            OLE + "EncryptedPackage".encode("utf-16-le"),
            "OLE (old Office, MSI, Outlook)",
            ["password-protected"],
        ),
        ("a.doc", OLE + "_VBA_PROJECT".encode("utf-16-le"), "OLE (old Office, MSI, Outlook)", ["has macros"]),
        ("a.html", b"\xef\xbb\xbf \r\n<!DOCTYPE html>", "HTML", []),
        ("a.pdf", b"<html>", "HTML", [f"named .pdf, {OTHER}"]),
        ("a.iso", bytes(32769) + b"CD001", "disk image", ["runs when it is opened"]),
        ("a.txt", b"hello", "", []),
        ("", b"%PDF", "PDF", []),
        ("noextension", b"MZ", "Windows program", []),
        ("...", b"", "", []),
    ],
)
def test_an_attachment_by_its_bytes(name: str, data: bytes, content: str, marks: list[str]) -> None:
    assert look(name, data) == (content, marks)


@pytest.mark.parametrize(
    "data", [b"Rar!\x1a\x07", b"Rar!\x1a\x07\x00" + bytes(20), b"PK\x03\x04", b"7z\xbc\xaf\x27\x1c", b"PK\x01\x02"]
)
def test_one_that_is_cut_short_is_looked_at(data: bytes) -> None:
    for end in range(len(data) + 1):
        look("a.b", data[:end])


def test_it_is_told_with_the_attachment() -> None:
    (one,) = read_deep(sample("banned")).attachments
    assert "runs when it is opened" in one.marks


@pytest.mark.parametrize(
    ("text", "language"),
    [
        ("Your password expires today. Please log in to keep your account with us.", "en"),
        ("Sehr geehrte Damen und Herren, bitte beachten Sie die Rechnung, die wir mit dieser Mail senden.", "de"),
        ("Bonjour, vous avez une facture à régler, veuillez la payer avec votre compte dans les deux jours.", "fr"),
        ("Estimado cliente, su cuenta no está activa; por favor entre en la página con su clave que es nueva.", "es"),
        ("Уважаемый клиент, ваш счёт не оплачен, и мы просим вас это сделать как можно скорее для вас.", "ru"),
        ("Шановний клієнте, це ваш рахунок, і ми просимо вас його сплатити до кінця тижня, як це можна.", "uk"),
        ("お客様のアカウントは本日で期限が切れます。ログインしてください。", "ja"),
        ("您的帐户今天到期，请立即登录并确认您的信息，否则将被关闭。", "zh"),
        ("고객님의 계정이 오늘 만료됩니다. 지금 로그인하여 확인하십시오.", "ko"),
        ("आपका खाता आज समाप्त हो रहा है कृपया तुरंत लॉगिन करें और पुष्टि करें", "hi"),
        ("xkcd qwrt zxcv 1234 asdf lkjh poiu mnbv trew hgfd", ""),
        ("ok", ""),
        ("", ""),
        ("12345 67890 " * 50, ""),
    ],
)
def test_language(text: str, language: str) -> None:
    assert language_of(text) == language
