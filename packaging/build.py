"""Puts into a wheel what is made from the parser of commands: the manual page, and the completion of each shell."""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface


class Made(BuildHookInterface):  # type: ignore[type-arg]
    PLUGIN_NAME = "custom"

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        sys.path.insert(0, self.root)
        from rcqueue.cli import build_parser  # it needs nothing that is not Python's own
        from rcqueue.commands.completion import script
        from rcqueue.commands.manual import page

        parser = build_parser()
        made = {
            "man/man1/rcqueue.1": page(parser),
            "bash-completion/completions/rcqueue": script("bash", parser),
            "zsh/site-functions/_rcqueue": script("zsh", parser),
            "fish/vendor_completions.d/rcqueue.fish": script("fish", parser),
        }
        self._folder = tempfile.TemporaryDirectory()
        for name, text in made.items():
            file = Path(self._folder.name, name)
            file.parent.mkdir(parents=True)
            file.write_text(text, "utf-8")
            build_data["shared_data"][str(file)] = f"share/{name}"

    def finalize(self, version: str, build_data: dict[str, Any], artifact_path: str) -> None:
        self._folder.cleanup()
