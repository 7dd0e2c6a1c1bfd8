"""A program under test: started, watched by its log, stopped, killed."""

import json
import os
import pathlib
import re
import signal
import subprocess

from harness.tcp import BEGAN
from harness.wait import wait_until

BIN = pathlib.Path(os.environ.get("POSTERN_BIN", "build/asan")).resolve()

# Every process of the running test, for the report of a failure.
STARTED = []

FIELD = re.compile(r'([^\s=]+)=("(?:[^"\\]|\\.)*"|\S*)')
ESCAPE = re.compile(r'\\(x[0-9a-fA-F]{2}|u[0-9a-fA-F]{4}|.)')


def _unescape(match):
    text = match.group(1)
    if len(text) > 1:
        return chr(int(text[1:], 16))
    return {"n": "\n", "r": "\r", "t": "\t"}.get(text, text)


def parse_logfmt(line):
    """A log line as a dict of strings."""
    fields = {}
    for key, value in FIELD.findall(line):
        if value.startswith('"'):
            value = ESCAPE.sub(_unescape, value[1:-1])
        fields[key] = value
    return fields


def parse_line(line):
    """A log line in either form as a dict of strings."""
    if line.startswith("{"):
        return {key: str(value) for key, value in json.loads(line).items()}
    return parse_logfmt(line)


class Process:
    with_children = False  # whether kill() kills what it has started, too

    def __init__(self, name, arguments, log_path, cwd=None):
        self.name, self.arguments, self.log_path, self.cwd = name, [str(a) for a in arguments], log_path, cwd
        self.output_path = log_path  # standard output and error; the log itself may go elsewhere
        self.popen = None
        self.environment = {}  # beside our own
        self.last_log = ""  # what the log said when its folder was removed
        STARTED.append(self)

    def start(self):
        with open(self.output_path, "ab") as log:
            self.popen = subprocess.Popen(self.arguments, stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                                          env=os.environ | self.environment, cwd=self.cwd,
                                          start_new_session=self.with_children)
        return self

    @property
    def pid(self):
        return self.popen.pid

    def running(self):
        return self.popen is not None and self.popen.poll() is None

    def log_text(self):
        if self.log_path.exists():
            self.last_log = self.log_path.read_text(errors="replace")
        return self.last_log

    def log(self, **wanted):
        """The log's lines as dicts; with arguments, those that have these values ("at" finds "at", too).  With a peer
        those about the last one that had this address."""
        lines, since = [parse_line(line) for line in self.log_text().splitlines()], BEGAN.get(wanted.get("peer"), "")
        return [line for line in lines if all(line.get(key) == str(value) for key, value in wanted.items())
                and line.get("time", since) >= since]

    def wait_log(self, count=1, **wanted):
        """Wait for count such lines; the last of them."""
        def found():
            lines = self.log(**wanted)
            if len(lines) >= count:
                return lines
            assert self.running(), f"{self.name} ended: {self.log_text()[-3000:]}"
            return None
        return wait_until(found, f"{self.name} logs {wanted}")[-1]

    def signal(self, number):
        self.popen.send_signal(number)

    def stop(self, expect=0):
        """End by SIGTERM; the exit status must be expect, and a sanitizer must have found nothing."""
        if self.running():
            self.signal(signal.SIGTERM)
        status = self.popen.wait(60)
        self.check_clean()
        assert status == expect, f"{self.name} ended with status {status}"

    def kill(self):
        if self.with_children and self.popen is not None:
            try:
                os.killpg(self.pid, signal.SIGKILL)
            except ProcessLookupError:
                pass  # all have ended
        if self.running():
            self.signal(signal.SIGKILL)
        if self.popen is not None:
            self.popen.wait(60)

    def check_clean(self):
        text = self.output_path.read_text(errors="replace") if self.output_path.exists() else self.last_log
        for mark in ("ERROR: AddressSanitizer", "ERROR: LeakSanitizer", "runtime error:", "WARNING: ThreadSanitizer",
                     "FATAL: ThreadSanitizer"):
            assert mark not in text, f"{self.name}: {text[text.index(mark):][:6000]}"
