"""posternctl: on the running backend, on a stopped one, and its manners."""

import json
import os
import pathlib
import pty
import re
import select
import shutil
import subprocess

import pytest

from harness.postern import run
from harness.process import BIN
from harness.rawxmpp import AuthenticationFailed, RawClient
from harness.site import DOMAIN, PASSWORDS


def can_log_in(site, user, password):
    with RawClient("127.0.0.1", site.c2s_direct) as raw:
        raw.start_tls(sni=DOMAIN)
        raw.open(DOMAIN)
        try:
            raw.authenticate(user, password, "SCRAM-SHA-256")
            return True
        except AuthenticationFailed:
            return False


@pytest.mark.release
@pytest.mark.parametrize("running", [True, False])
def test_the_life_of_an_account(own_site, running):
    """The same commands whether the backend runs or not; what they did is there afterwards."""
    site = own_site().start()
    ctl = site.backend.ctl
    if not running:
        site.backend.stop()
    assert "nurse" in ctl("adduser", f"nurse@{DOMAIN}", stdin="first\n")
    assert "exists" in ctl("adduser", f"nurse@{DOMAIN}", stdin="first\n", status=1)
    ctl("passwd", f"nurse@{DOMAIN}", stdin="second\n")
    ctl("adduser", f"tybalt@{DOMAIN}", stdin="third\n")
    users = [f"juliet@{DOMAIN}", f"nurse@{DOMAIN}", f"romeo@{DOMAIN}", f"tybalt@{DOMAIN}"]
    assert ctl("users").splitlines() == users
    assert json.loads(ctl("--json", "users", DOMAIN)) == users
    ctl("deluser", f"tybalt@{DOMAIN}")
    ctl("deluser", f"tybalt@{DOMAIN}", status=1)
    ctl("passwd", f"tybalt@{DOMAIN}", stdin="x\n", status=1)
    if not running:
        site.backend.start()
    assert can_log_in(site, "nurse", "second")
    assert not can_log_in(site, "nurse", "first")
    assert not can_log_in(site, "tybalt", "third")


def test_what_was_acknowledged_survives_a_kill(own_site):
    site = own_site().start()
    for number in range(5):
        site.backend.add_user(f"user{number}@{DOMAIN}", "secret")
    site.backend.kill()
    site.backend.start()
    assert len(site.backend.ctl("users").splitlines()) == 7
    assert can_log_in(site, "user4", "secret")


def test_a_locked_store_is_not_written_by_a_second_backend(own_site):
    """The control socket is gone, but the server is not: the command must fail, not write beside it."""
    site = own_site().start()
    (site.backend.run_dir / "control.sock").unlink()
    text = site.backend.ctl("adduser", f"late@{DOMAIN}", stdin="secret\n", status=3)
    assert str(site.backend.pid) in text


def test_refusals(site):
    ctl = site.backend.ctl
    secret = "do-not-print-me"
    for jid in (f"a b@{DOMAIN}", "@", DOMAIN, "x@elsewhere.test", f"x@{DOMAIN}/resource"):
        text = ctl("adduser", jid, stdin=secret + "\n", status=1)
        assert text.startswith("posternctl: ") and secret not in text
    for stdin in ("", "\n", "x" * 2000 + "\n", "abc\0def\n"):
        ctl("adduser", f"x@{DOMAIN}", stdin=stdin, status=2)
    assert "command line" in ctl("adduser", f"x@{DOMAIN}", secret, status=2)
    assert f"x@{DOMAIN}" not in ctl("users")
    for wrong in (("nonsense",), (), ("adduser",), ("users", "a", "b"), ("gateway",)):
        ctl(*wrong, status=2)
    assert '"gateway nonsense"' in ctl("gateway", "nonsense", status=2)


def test_passwords_of_all_kinds(site):
    for number, password in enumerate([" spaces ", "p\u00e4ss\u2764", "=,\"'\\<&>", "x" * 500]):
        site.backend.ctl("adduser", f"kind{number}@{DOMAIN}", stdin=password + "\n")
        assert can_log_in(site, f"kind{number}", password)


def test_a_terminal_asks_twice_without_echo(site):
    def talk(*answers):
        leader, follower = pty.openpty()
        child = subprocess.Popen([BIN / "posternctl", "-c", site.backend.config, "adduser", f"typed@{DOMAIN}"],
                                 stdin=follower, stdout=follower, stderr=follower)
        os.close(follower)
        screen = b""
        for answer in answers:
            while not screen.rstrip(b" ").endswith(b":"):
                assert select.select([leader], [], [], 30)[0], screen
                screen += os.read(leader, 1000)
            os.write(leader, answer + b"\n")
            screen += b"|"
        status = child.wait(60)
        while select.select([leader], [], [], 0)[0]:
            try:
                screen += os.read(leader, 1000)
            except OSError:
                break
        os.close(leader)
        return status, screen

    status, screen = talk(b"typed-secret", b"different")
    assert status == 2 and b"differ" in screen and b"typed-secret" not in screen
    status, screen = talk(b"typed-secret", b"typed-secret")
    assert status == 0 and b"typed-secret" not in screen, screen
    assert can_log_in(site, "typed", "typed-secret")


def test_status_and_sessions(site):
    with RawClient("127.0.0.1", site.c2s_direct) as raw:
        raw.start_tls(sni=DOMAIN)
        raw.login("juliet", PASSWORDS["juliet"], DOMAIN, resource="balcony")
        status = json.loads(site.backend.ctl("--json", "status"))
        assert status["pid"] == site.backend.pid and status["sessions"] == 1
        sessions = json.loads(site.backend.ctl("--json", "sessions"))
        assert [one["jid"] for one in sessions] == [f"juliet@{DOMAIN}/balcony"]
        assert f"juliet@{DOMAIN}/balcony" in site.backend.ctl("sessions")
        text = site.backend.ctl("status")
        assert f"pid: {site.backend.pid}" in text and "bound" not in text
        text = site.backend.ctl("stats")
        assert "\nbound: 1\n" in text
        assert status["counters"]["end_conflict"] == 0 and "end_conflict" not in text


def test_a_server_that_is_not_there(own_site):
    site = own_site()
    for asked in (("-c", site.backend.config, "status"), ("-g", site.gateway.config, "gateway", "status")):
        done = run("posternctl", *asked)
        assert done.returncode == 3 and "does not seem to run" in done.stderr
    missing = run("posternctl", "-c", site.place.path / "missing.conf", "users")
    assert missing.returncode == 2 and "missing.conf" in missing.stderr


def test_a_broken_program_is_told(tmp_path):
    """posternctl asks the programs beside it where their sockets are; one that fails without a word is named."""
    shutil.copy(BIN / "posternctl", tmp_path)
    broken = tmp_path / "postern-gateway"
    broken.write_text("#!/bin/sh\nexit 3\n")
    broken.chmod(0o755)
    done = subprocess.run([tmp_path / "posternctl", "gateway", "status"], text=True, capture_output=True, timeout=60)
    assert done.returncode == 3
    assert done.stderr == "posternctl: postern-gateway --print control-socket: exit status 3\n"


def test_every_command_is_in_the_manual():
    text = subprocess.run([BIN / "posternctl", "-h"], capture_output=True, text=True, check=True).stdout
    commands = re.findall(r"^  ((?:(?:gateway|roster|motd|welcome|check) )?[a-z-]+)", text.split("Commands:")[1].split("Options:")[0], re.M)
    page = (pathlib.Path(__file__).parents[2] / "man" / "posternctl.8").read_text()
    page = re.sub(r'\\f[A-Z]|"', "", page).replace("\\-", "-")
    heads = "\n".join(line for line in page.splitlines() if line.startswith((".B", ".BI", ".BR")))
    missing = [one for one in commands if not all(word in heads for word in one.split())]
    assert len(commands) > 30 and missing == []
