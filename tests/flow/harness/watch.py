"""The pages for those who watch a server: its listener with serve = admin, whose port the test has put into ports."""

import shutil
import subprocess


def curl(port, path, *arguments):
    done = subprocess.run(["curl", "-sS", "--noproxy", "*", "--max-time", "30", "-w", "\n%{http_code}", *arguments,
                           f"http://127.0.0.1:{port}{path}"], capture_output=True, text=True, check=True)
    body, _, status = done.stdout.rpartition("\n")
    return int(status), body


def metrics(server):
    status, text = curl(server.ports["admin"], "/metrics")
    assert status == 200
    return text


def check_metrics(text):
    """By Prometheus' own tool."""
    checked = subprocess.run([shutil.which("promtool"), "check", "metrics"], input=text, capture_output=True, text=True,
                             timeout=60)
    assert (checked.returncode, checked.stdout + checked.stderr) == (0, "")
