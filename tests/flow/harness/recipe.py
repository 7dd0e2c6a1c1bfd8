"""The files in docs/recipes, put to work: as they stand there but for ports, paths and addresses."""

import pathlib
import re

RECIPES = pathlib.Path(__file__).resolve().parents[3] / "docs/recipes"
COMMANDS = re.compile(r"^```sh\n(.*?)^```", re.M | re.S)
BLOCK = re.compile(r"^`(/[^`]+)`[^\n]*:\n\n```\w*\n(.*?)^```", re.M | re.S)


class Recipe:
    def __init__(self, name):
        text = (RECIPES / name).read_text()
        self.files = dict(BLOCK.findall(text))
        self.commands = [line for block in COMMANDS.findall(text) for line in block.splitlines()]

    def file(self, path, changes):
        """The text of a file after the changes (old, new); each must change something."""
        text = self.files[path]
        for old in changes:
            assert old in text, f"{path} has no {old}"
        # In one pass: what was put in is not changed once more.
        pattern = "|".join(re.escape(old) for old in sorted(changes, key=len, reverse=True))
        return re.sub(pattern, lambda found: str(changes[found[0]]), text) if changes else text

    def gateway(self, changes):
        """The gateway's configuration without what the harness sets itself."""
        text = self.file("/etc/postern/gateway.conf", changes)
        return re.sub(r'^(user|control-socket) = .*\n', "", text, flags=re.M)
