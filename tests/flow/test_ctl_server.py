"""posternctl about the running backend: who is there, what it serves, what to tell them."""

import json
import subprocess

import pytest

from harness.postern import run
from harness.process import BIN
from harness.rawxmpp import STREAM, Closed
from harness.site import DOMAIN
from harness.stage import local_name
from harness.wait import wait_until

OTHER = "other.test"
BACKEND_EXTRA = ""
HOST_EXTRA = 'admins = {"juliet@example.test", "Nurse@example.test"}'


def ask(site, *arguments):
    return json.loads(site.backend.ctl("--json", *arguments))


def jids(site, *arguments):
    return sorted(one["jid"] for one in ask(site, "sessions", *arguments))


@pytest.fixture
def cast(stage):
    """juliet twice, romeo once."""
    return stage.enter("juliet", "balcony"), stage.enter("juliet", "chamber"), stage.enter("romeo", "orchard")


def test_sessions_of_one(backend_site, cast):
    balcony, chamber, orchard = cast
    assert {one.jid for one in cast} <= set(jids(backend_site)) == set(jids(backend_site, DOMAIN))
    assert jids(backend_site, "Juliet@example.test") == [balcony.jid, chamber.jid]
    assert jids(backend_site, f"nobody@{DOMAIN}") == []
    for only in (OTHER, f"nobody@{OTHER}"):
        assert "not served" in backend_site.backend.ctl("sessions", only, status=1)
    backend_site.backend.ctl("sessions", balcony.jid, status=1)
    text = backend_site.backend.ctl("sessions", orchard.bare).splitlines()
    assert text[0].split("\t")[0] == "jid" and text[1].split("\t")[0] == orchard.jid


def kicked(client):
    while (got := client.next()).tag != STREAM + "error":
        pass  # presence of the others
    assert [local_name(child) for child in got] == ["policy-violation", "text"]
    with pytest.raises(Closed):
        while True:
            client.next()


def test_kick(backend_site, cast, stage):
    balcony, chamber, orchard = cast
    assert ask(backend_site, "kick", balcony.jid) == {"sessions": 1}
    stage.parties.remove(balcony)
    balcony.elements.clear()
    kicked(balcony)
    wait_until(lambda: jids(backend_site, balcony.bare) == [chamber.jid], "one is gone")
    again = stage.enter("juliet", "garden")
    stage.settle()
    assert ask(backend_site, "kick", "JULIET@example.test") == {"sessions": 2}
    for one in (chamber, again):
        kicked(one)
        stage.parties.remove(one)
    stage.settle()
    for jid, what in ((balcony.jid, "nobody"), (f"nobody@{DOMAIN}", "nobody"), (DOMAIN, "expected"), ("@", "expected")):
        assert what in backend_site.backend.ctl("kick", jid, status=1)
    wait_until(lambda: ask(backend_site, "stats")[""]["end_kicked"] == 3, "three were counted")


def test_a_kicked_session_is_not_resumed(backend_site, stage):
    mercutio = stage.enter()
    mercutio.send("<enable xmlns='urn:xmpp:sm:3' resume='true'/>")
    mercutio.next()
    stage.parties.remove(mercutio)
    mercutio.tcp.close()
    wait_until(lambda: ask(backend_site, "sessions", mercutio.bare)[0]["conn"] is None, "the connection is gone")
    assert ask(backend_site, "kick", mercutio.jid) == {"sessions": 1}
    assert jids(backend_site, mercutio.bare) == []


def test_message(backend_site, cast, stage):
    balcony, chamber, orchard = cast
    stage.settle()
    assert ask(backend_site, "message", "all", "the show is over", "news")["users"] == 2
    for one in cast:
        got = one.expect("message", type="headline", frm=DOMAIN, body="the show is over")
        assert got.findtext("{*}subject") == "news"
    backend_site.backend.ctl("message", DOMAIN, stdin="two\nlines\n")
    for one in cast:
        one.expect("message", type="headline", frm=DOMAIN, body="two\nlines")
    backend_site.backend.ctl("message", chamber.jid, "only <you> & me")
    chamber.expect("message", type="normal", frm=DOMAIN, body="only <you> & me")
    assert stage.settled() == {}
    for to, text in (("x@elsewhere.test", "served"), ("@", "expected"), (f"nobody@{DOMAIN}", "no such account"),
                     (f"{chamber.bare}/nowhere", "nobody is connected with that resource")):
        assert text in backend_site.backend.ctl("message", to, "text", status=1)
    assert "control characters" in backend_site.backend.ctl("message", "all", "a\x01b", status=1)
    backend_site.backend.ctl("message", "all", stdin="", status=2)
    assert stage.settled() == {}


def test_hosts(backend_site):
    host, = ask(backend_site, "hosts")
    assert (host["host"], host["admins"]) == (DOMAIN, ["juliet@example.test", "nurse@example.test"])
    assert 28 <= host["days_left"] <= 30 and host["server_names"] == ["xmpps.example.test"]
    heading, line = backend_site.backend.ctl("hosts").splitlines()
    assert line.split("\t")[0] == DOMAIN and "juliet@example.test nurse@example.test" in line


def test_status_stats_about(backend_site):
    assert "streams" in ask(backend_site, "stats")[""] and "handled" in ask(backend_site, "stats")
    text = backend_site.backend.ctl("status")
    assert f"pid: {backend_site.backend.pid}" in text and "stanzas_in" not in text
    about = ask(backend_site, "about")
    assert about["program"] == "postern-backend" and about["openssl"].startswith("3.") and about["sqlite"]


def test_log_level(backend_site):
    backend_site.backend.ctl("log-level", "debug")
    with backend_site.backend.log_path.open() as log:
        log.seek(0, 2)
        backend_site.backend.ctl("log-level", "info")
        assert "event=log_level" in log.read()
    assert "expected a level" in backend_site.backend.ctl("log-level", "loud", status=1)


def test_without_a_server(own_site):
    backend = own_site().backend
    for command in (["status"], ["stats"], ["sessions"], ["hosts"], ["reload"], ["kick", f"a@{DOMAIN}"],
                    ["message", "all", "x"], ["log-level", "debug"]):
        assert "posternctl: " in backend.ctl(*command, status=3)
    assert json.loads(backend.ctl("--json", "about"))["program"] == "postern-backend"


def complete(*words):
    """What bash offers for the last of the words."""
    script = (f". <({BIN}/posternctl shell-completion bash); COMP_WORDS=(posternctl \"$@\"); COMP_CWORD=$#; "
              "_posternctl; printf '%s\\n' \"${COMPREPLY[@]}\"")
    done = subprocess.run(["bash", "-c", script, "bash", *words], capture_output=True, text=True, check=True, timeout=30)
    assert done.stderr == ""
    return done.stdout.split()


def test_shell_completion():
    assert complete("adduser", "") == [] and "adduser" in complete("") and "gateway" in complete("")
    assert complete("rel") == ["reload"]
    assert complete("--json", "-c", "x", "gateway", "cer") == ["certs"]
    assert complete("shell-completion", "") == ["bash", "zsh", "fish"]
    assert complete("gateway", "log-level", "w") == ["warn"]
    for shell in ("zsh", "fish"):
        done = run("posternctl", "shell-completion", shell)
        assert done.returncode == 0 and all(name in done.stdout for name in ("adduser", "certs", "Make an account"))
    assert run("posternctl", "shell-completion", "tcsh").returncode == 2
