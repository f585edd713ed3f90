"""Certificates of a CA of one's own, made by openssl."""

from __future__ import annotations

import subprocess
from pathlib import Path


class Authority:
    """`certificate("DNS:mx.example")` gives a certificate and its key; `file` is what is to be trusted."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(mode=0o755, exist_ok=True)
        self.folder, self.file = folder, folder / "ca.pem"
        self._made = 0
        self._run("-out", self.file, "-keyout", folder / "ca.key", "-subj", "/CN=A CA of these tests")

    def certificate(self, *names: str) -> tuple[Path, Path]:
        """For `names` as openssl writes them: "DNS:mx.example", "IP:127.0.0.1"."""
        self._made += 1
        cert, key = (self.folder / f"{self._made}.{kind}" for kind in ("pem", "key"))
        by = ["-CA", self.file, "-CAkey", self.folder / "ca.key", "-addext", f"subjectAltName={','.join(names)}"]
        self._run("-out", cert, "-keyout", key, "-subj", "/CN=server", *by)
        return cert, key

    def _run(self, *more: str | Path) -> None:
        command = ["openssl", "req", "-x509", "-nodes", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1"]
        subprocess.run([*command, "-days", "2", *map(str, more)], check=True, capture_output=True, timeout=20)
