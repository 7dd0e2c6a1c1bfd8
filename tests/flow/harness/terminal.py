"""A program that people use in a terminal: typed to, and its screen's text watched."""

import fcntl
import os
import pty
import re
import select
import signal
import struct
import subprocess
import termios

import pyte

from harness.wait import wait_until

ROWS, COLUMNS = 40, 160


class Terminal:
    """with Terminal(["program"], home) as terminal: ...; home is the program's empty home folder."""

    def __init__(self, arguments, home):
        self.master, slave = pty.openpty()
        fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", ROWS, COLUMNS, 0, 0))
        environment = {"PATH": os.environ["PATH"], "HOME": str(home), "TERM": "linux", "LC_ALL": "C.UTF-8"}
        self.popen = subprocess.Popen(arguments, stdin=slave, stdout=slave, stderr=slave, env=environment, cwd=home,
                                      start_new_session=True)
        os.close(slave)
        self.screen = pyte.Screen(COLUMNS, ROWS)
        self.stream = pyte.ByteStream(self.screen)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        os.killpg(self.popen.pid, signal.SIGKILL)
        self.popen.wait()
        os.close(self.master)

    def text(self):
        """What the screen shows now."""
        while select.select([self.master], [], [], 0)[0]:
            try:
                self.stream.feed(os.read(self.master, 65536))
            except OSError:  # the program has ended
                break
        return "\n".join(self.screen.display)

    def wait_text(self, wanted):
        self.wait_match(f"({re.escape(wanted)})")

    def wait_match(self, pattern):
        """The first group of the pattern's first match."""
        found = wait_until(lambda: re.search(pattern, self.text()), lambda: f"{pattern!r} in\n{self.text()}")
        return found.group(1)

    def enter(self, line):
        os.write(self.master, line.encode() + b"\r")
