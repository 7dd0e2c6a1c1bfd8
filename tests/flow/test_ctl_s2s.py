"""posternctl s2s: what an administrator sees of other servers, and does about them; between two Posterns."""

import hashlib
import json
import re
import socket
import subprocess
import urllib.request

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from harness.place import Place
from harness.ports import reserve_port
from harness.postern import Backend, run
from harness.process import BIN
from harness.stage import Actor, number
from harness.terminal import Terminal
from harness.wait import wait_until

HERE, THERE, GONE = "here.example", "there.example", "gone.example"
PASSWORD = "a-password-for-every-part"
CONFIG = """
s2s = true
s2s-ca = "{ca}"
s2s-idle-timeout = 0s
listener "c2s" {{ address = "127.0.0.1:{c2s}" tls = direct }}
listener "servers" {{ address = "127.0.0.1:{s2s}" serve = servers }}
listener "starttls" {{ address = "127.0.0.1:{starttls}" }}
listener "watchers" {{ address = "127.0.0.1:{admin}" serve = admin }}
host "{domain}" {{ certificate = "{cert}" key = "{key}" }}
host "wrong.{domain}" {{ certificate = "{cert}" key = "{key}" }}
remote "{other}" {{ address = "127.0.0.1:{other_port}" }}
remote "{gone}" {{ address = "127.0.0.1:{nobody}" }}
remote "*.{gone}" {{ address = "127.0.0.1:{nobody}" }}
remote "silent.example" {{ address = "127.0.0.1:{silent}" }}
remote "wrong.{other}" {{ address = "127.0.0.1:{other_port}" }}
remote "unknown.{other}" {{ address = "127.0.0.1:{other_port}" }}
remote "direct.{other}" {{ address = "127.0.0.1:{other_direct}" }}
remote "clients.{other}" {{ address = "127.0.0.1:{other_starttls}" }}
"""


class Server:
    def __init__(self, place, domain, cert, key, ca):
        self.place, self.domain, self.cert, self.key, self.ca = place, domain, cert, key, ca
        self.c2s, self.starttls, self.s2s, self.nobody, self.admin = (reserve_port() for _ in range(5))
        self.clients = []
        self.silent = socket.create_server(("127.0.0.1", 0))

    def make(self, other):
        self.backend = Backend(self.place, CONFIG.format(
            ca=self.ca, c2s=self.c2s, s2s=self.s2s, domain=self.domain, cert=self.cert, key=self.key,
            other=other.domain, other_port=other.s2s, other_starttls=other.starttls, other_direct=other.c2s, starttls=self.starttls, gone=GONE, nobody=self.nobody, admin=self.admin,
            silent=self.silent.getsockname()[1]), name=self.domain)
        return self

    def enter(self):
        """Somebody new, available."""
        user = f"user{number()}"
        self.backend.add_user(f"{user}@{self.domain}", PASSWORD)
        actor = Actor("127.0.0.1", self.c2s).start_tls(sni=self.domain)
        actor.login(user, PASSWORD, self.domain, mechanism="PLAIN")
        self.clients.append(actor)
        actor.available().drain()
        return actor

    def gauges(self):
        """What Prometheus is told of other servers."""
        with urllib.request.urlopen(f"http://127.0.0.1:{self.admin}/metrics") as page:
            found = re.findall(r"^postern_backend_s2s_(\S+) (\d+)$", page.read().decode(), re.M)
        return {name: int(value) for name, value in found if not name.endswith("_total")}

    def ctl(self, *arguments, status=0):
        return json.loads(self.backend.ctl("--json", "s2s", *arguments, status=status) or "null")


@pytest.fixture(scope="module")
def servers():
    place, made = Place(), []
    try:
        pairs = [place.certificate(domain, [domain]) for domain in (HERE, THERE)]
        ca = place.write("ca.pem", "".join(cert.read_text() for cert, _key in pairs))
        here, there = made = [Server(place, domain, *pair, ca) for domain, pair in zip((HERE, THERE), pairs)]
        here.make(there).backend.start()
        there.make(here).backend.start()
        yield here, there
        for one in made:
            for client in one.clients:
                client.tcp.close()
            one.backend.stop()
            one.backend.check_clean()
    finally:
        for one in made:
            one.backend.kill()
            one.backend.log_text()
            one.silent.close()
        place.remove()


def exchange(here, there):
    juliet, romeo = here.enter(), there.enter()
    juliet.send_message(romeo.jid, "art thou not Romeo")
    romeo.expect("message", frm=juliet.jid, body="art thou not Romeo")
    return juliet, romeo


def test_a_stream_is_listed_closed_and_made_again(servers):
    here, there = servers
    juliet, romeo = exchange(here, there)
    row, = here.ctl("list", THERE)
    assert (row["local"], row["state"], row["proof"]) == (HERE, "open", "certificate"), row
    assert row["direction"] in ("out", "both") and row["tls"] == "TLSv1.3" and row["cipher"].startswith("TLS_")
    assert row["certificate"] == "valid" and row["tls_by"] == "backend" and row["peer"] == f"127.0.0.1:{there.s2s}"
    assert row["sm"] is True and row["failure"] is None and row["queued"] == 0 and row["since_s"] >= row["idle_s"] >= 0
    assert here.gauges()['open_streams{direction="out"}'] == there.gauges()['open_streams{direction="in"}'] == 1
    theirs, = there.ctl("list", HERE)
    assert theirs["direction"] in ("in", "both") and theirs["state"] == "open" and theirs["domain"] == HERE
    assert here.ctl("list", "nobody.example") == []
    assert here.ctl("close", THERE) == {"streams": 1}
    wait_until(lambda: here.ctl("list", THERE)[0]["state"] == "down", "the stream is gone")
    row, = here.ctl("list", THERE)
    assert row["failure"] == "closed" and row["retry_s"] > 0 and row["tls"] is None
    assert "no stream" in here.backend.ctl("s2s", "close", THERE, status=1)
    juliet.send_message(romeo.jid, "again")
    romeo.expect("message", frm=juliet.jid, body="again")


def queue_two(here):
    juliet = here.enter()
    for text in ("one", "two"):
        juliet.send_message(f"nobody@{GONE}", text, id=f"id-{text}")
    wait_until(lambda: [row["messages"] for row in here.ctl("queue", "list")] == [2], "both wait")
    wait_until(lambda: here.ctl("list", GONE)[0]["state"] == "down", "nobody is there")
    return juliet


def test_what_waits_is_listed_tried_and_thrown_away(servers):
    here, _there = servers
    juliet = queue_two(here)
    gauges = here.gauges()
    assert gauges["queue_messages"] == 2 and gauges["queue_bytes"] > 100 and gauges["failing_domains"] == 1, gauges
    row, = here.ctl("list", GONE)
    assert row["failure"] == "connect_failed" and row["queued"] == 2 and row["state"] == "down", row
    assert 0 < row["retry_s"] <= 10 and row["tls"] is None and row["conn"] is None
    total, = here.ctl("queue", "list")
    assert (total["domain"], total["local"], total["messages"]) == (GONE, HERE, 2) and total["bytes"] > 100
    entries = here.ctl("queue", "list", GONE.upper())
    assert [(one["id"], one["from"], one["to"]) for one in entries] == [
        (f"id-{text}", juliet.jid, f"nobody@{GONE}") for text in ("one", "two")]
    assert all(one["kind"] == "message" and one["type"] == "chat" and one["bytes"] > 50 for one in entries)
    assert all(re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", one["stamp"]) for one in entries)
    assert "two" not in {value for one in entries for value in one.values()}, "nobody's words are shown"
    failed = len(here.backend.log(event="s2s_failed", domain=GONE))
    assert here.ctl("retry", GONE) == {"domains": 1} and here.ctl("retry", "all")["domains"] in (0, 1)
    assert failed == 1
    wait_until(lambda: here.ctl("list", GONE)[0]["state"] == "down", "it failed again")
    assert here.ctl("queue", "purge", GONE) == {"messages": 2}
    assert here.ctl("queue", "list") == []
    assert "nothing waits" in here.backend.ctl("s2s", "queue", "purge", GONE, status=1)
    assert "not waited for" in here.backend.ctl("s2s", "retry", "nobody.example", status=1)
    juliet.nothing()


def test_what_is_thrown_away_may_be_told_to_its_senders(servers):
    here, _there = servers
    juliet = queue_two(here)
    assert here.ctl("queue", "purge", GONE, "--bounce") == {"messages": 2}
    for text in ("one", "two"):
        juliet.expect("message", type="error", frm=f"nobody@{GONE}", id=f"id-{text}", error="remote-server-timeout")
    wait_until(lambda: here.ctl("queue", "list") == [], "all rows are gone")


def fingerprint(path):
    """As somebody would pin it."""
    key = x509.load_pem_x509_certificate(path.read_bytes()).public_key()
    return "sha256:" + hashlib.sha256(key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)).hexdigest()


def test_a_check_of_a_server_that_is_there(servers):
    here, there = servers
    told = here.ctl("check", THERE)
    steps = {step["step"]: step for step in told["steps"]}
    assert told["ok"] and told["from"] == HERE and told["advice"] is None
    key, = [step["text"] for step in told["steps"] if step["step"] == "key"]
    assert key == fingerprint(there.cert)
    assert any(f'issued by "{THERE}", valid until 20' in step["text"] for step in told["steps"])
    assert "TLSv1.3" in steps["tls"]["text"] and "valid" in steps["certificate"]["text"]
    assert steps["authentication"]["result"] == "ok" and steps["ready"]["result"] == "ok"
    assert [step["ms"] for step in told["steps"]] == sorted(step["ms"] for step in told["steps"])
    done = run("posternctl", "-c", here.backend.config, "s2s", "check", THERE, "--from", HERE)
    lines = done.stdout.splitlines()
    assert done.returncode == 0 and lines[-1] == f"{THERE} can be reached from {HERE}", done
    assert [line.split()[1] for line in lines[:-1]] == [step["step"] for step in told["steps"]]
    wait_until(lambda: not [row for row in there.ctl("list") if row["state"] != "open"], "the check has hung up")


def test_a_check_beside_a_stream_in_use_leaves_it_alone(servers):
    here, there = servers
    juliet, romeo = exchange(here, there)
    before = [row["conn"] for row in here.ctl("list", THERE)]
    assert here.ctl("check", THERE)["ok"]
    assert [row["conn"] for row in here.ctl("list", THERE)] == before
    romeo.send_message(juliet.jid, "still there")
    juliet.expect("message", frm=romeo.jid, body="still there")


def test_a_check_of_servers_that_are_not_there(servers):
    here, _there = servers
    new = f"new.{GONE}"
    told = json.loads(run("posternctl", "-c", here.backend.config, "--json", "s2s", "check", new).stdout)
    assert not told["ok"] and "firewall" in told["advice"] and told["steps"][-1]["step"] == "connect_failed"
    done = run("posternctl", "-c", here.backend.config, "s2s", "check", new)
    assert done.returncode == 1 and done.stdout.splitlines()[-1].startswith(f"{new} cannot be reached from {HERE}; ")
    assert [line for line in done.stdout.splitlines() if "FAILED" in line and "connect_failed" in line]
    done = run("posternctl", "-c", here.backend.config, "s2s", "check", f"wrong.{THERE}")
    assert done.returncode == 1 and done.stdout.count("bad_certificate") == 1, done.stdout
    for domain in (new, f"wrong.{THERE}"):
        wait_until(lambda domain=domain: here.ctl("list", domain) == [], "a check leaves nothing behind")


def test_a_check_that_nobody_can_read_fails(servers):
    with open("/dev/full", "w") as full:
        done = subprocess.run([BIN / "posternctl", "-c", servers[0].backend.config, "s2s", "check", THERE], stdout=full,
                              stderr=subprocess.PIPE, text=True)
    assert done.returncode == 1 and "standard output" in done.stderr, done


def test_a_check_tells_of_a_port_where_no_servers_are_served(servers):
    here, _there = servers
    done = run("posternctl", "-c", here.backend.config, "s2s", "check", f"clients.{THERE}")
    failed, = [line for line in done.stdout.splitlines() if "FAILED" in line]
    assert failed.endswith("the stanzas' namespace is not jabber:server"), failed
    done = run("posternctl", "-c", here.backend.config, "s2s", "check", f"direct.{THERE}")
    assert "maybe that port wants TLS from the first byte" in done.stdout, done.stdout


def test_a_server_that_asks_for_a_domain_which_is_not_here_is_logged_there(servers):
    here, there = servers
    done = run("posternctl", "-c", here.backend.config, "s2s", "check", f"unknown.{THERE}")
    assert done.returncode == 1 and "host_unknown" in done.stdout, done.stdout
    there.backend.wait_log(event="s2s_refused", condition="host-unknown", domain=HERE, local=f"unknown.{THERE}")


def test_a_check_tells_where_the_place_is_from_and_of_stream_management(servers):
    here, _there = servers
    steps = here.ctl("check", THERE)["steps"]
    assert steps[0]["step"] == "srv" and "a section remote" in steps[0]["text"], steps
    assert [step["text"] for step in steps if step["step"] == "features"][-1] == "stream management", steps



@pytest.mark.parametrize("arguments,words", [
    (("check", HERE), "served here"),
    (("check", "a b"), "expected a domain"),
    (("check", THERE, "--from", "nobody.example"), "nobody.example is not served here"),
    (("list", "a b"), "expected a domain"),
    (("close", "a@b"), "expected a domain"),
    (("retry", "a b"), "expected a domain"),
    (("queue", "list", "a b"), "expected a domain"),
    (("queue", "purge", "a b"), "expected a domain"),
])
def test_what_cannot_be_asked(servers, arguments, words):
    assert words in servers[0].backend.ctl("s2s", *arguments, status=1)


@pytest.mark.parametrize("arguments", [("s2s",), ("s2s", "queue"), ("s2s", "check"), ("s2s", "list", "--bounce"),
                                       ("s2s", "list", "--from", HERE), ("s2s", "queue", "purge")])
def test_half_commands(servers, arguments):
    done = run("posternctl", "-c", servers[0].backend.config, *arguments)
    assert done.returncode == 2 and "s2s" in done.stderr, done


def test_it_fits_on_a_terminal(servers):
    here, there = servers
    exchange(here, there)
    with Terminal([str(BIN / "posternctl"), "-c", str(here.backend.config), "s2s", "list"], here.place.path) as terminal:
        terminal.wait_text(THERE)
        lines = [line.rstrip() for line in terminal.text().splitlines() if line.strip()]
    assert lines[0].split() == ["domain", "local", "direction", "state", "tls", "proof", "sm", "unacked", "queued", "open",
                                "idle", "problem"]


def test_the_shell_completes_three_words(servers):
    script = run("posternctl", "shell-completion", "bash").stdout
    asked = script + "\nCOMP_WORDS=(posternctl s2s queue '') COMP_CWORD=3; _posternctl; echo \"${COMPREPLY[*]}\""
    assert subprocess.run(["bash", "-c", asked], capture_output=True, text=True, check=True).stdout.split() == [
        "list", "purge"]
    asked = script + "\nCOMP_WORDS=(posternctl s2s '') COMP_CWORD=2; _posternctl; echo \"${COMPREPLY[*]}\""
    assert subprocess.run(["bash", "-c", asked], capture_output=True, text=True, check=True).stdout.split() == [
        "list", "check", "retry", "close", "queue"]


def test_steps_are_told_as_they_come_and_nobody_has_to_wait_for_the_end(servers):
    """The last test: the servers stop while the check still waits for an answer."""
    here, _there = servers
    asking = subprocess.Popen([BIN / "posternctl", "-c", here.backend.config, "s2s", "check", "silent.example"],
                              stdout=subprocess.PIPE, text=True)
    assert [asking.stdout.readline().split()[1] for _step in range(2)] == ["srv", "connect"]
    row, = here.ctl("list", "silent.example")
    assert row["state"] == "opening" and row["proof"] is None
    asking.kill()
    asking.wait()
    asking.stdout.close()
    again, = here.ctl("list", "silent.example")
    assert again["conn"] == row["conn"]
