"""The backend's pages for those who watch it: /metrics and /health, over HTTP."""

import re
import subprocess

import pytest

from harness.ports import reserve_port
from harness.site import DOMAIN
from harness.stage import Stage
from harness.tcp import connect, read_to_end
from harness.wait import wait_until
from harness.watch import check_metrics, curl, metrics

LISTENERS = """
listener "watchers" {{ address = "127.0.0.1:{admin}" serve = admin }}
listener "others" {{ address = "127.0.0.1:{closed}" serve = admin allow = "192.0.2.0/24" }}
"""


@pytest.fixture(name="watched", scope="module")
def fixture_watched():
    from harness.site import Site
    ports = {"admin": reserve_port(), "closed": reserve_port()}
    site = Site(backend_extra=LISTENERS.format(**ports))
    site.ports = ports
    site.backend.start()
    yield site
    site.stop()


def value(site, name):
    return int(re.search(rf"^postern_backend_{re.escape(name)} (\d+)$", metrics(site), re.M)[1])


@pytest.mark.release
def test_metrics(watched):
    with Stage(watched) as stage:
        one, _ = stage.enter(), stage.enter()
        one.sync()
        text = metrics(watched)
        assert "\npostern_backend_sessions 2\n" in text and "\npostern_backend_connections 2\n" in text
        assert '\npostern_backend_handled_total{namespace="urn:xmpp:ping"} ' in text
        assert f'\npostern_backend_certificate_not_after_seconds{{host="{DOMAIN}"}} ' in text
        assert value(watched, "stanzas_in_total") > 0
    wait_until(lambda: value(watched, "sessions") == 0, "the sessions are over")
    samples = [line.rpartition(" ")[0] for line in text.splitlines() if not line.startswith("#")]
    assert len(samples) == len(set(samples)) > 30
    check_metrics(text)


@pytest.mark.release
def test_health_and_refusals(watched):
    port = watched.ports["admin"]
    assert curl(port, "/health") == (200, "ok\n") and curl(port, "/health?x=1") == (200, "ok\n")
    assert curl(port, "/")[0] == 200 and curl(port, "/nothing")[0] == 404
    assert curl(port, "/health", "-I")[0] == 200 and curl(port, "/health", "-X", "POST")[0] == 405
    assert curl(watched.ports["closed"], "/metrics")[0] == 403
    with connect(port) as sock:
        sock.sendall(b"nonsense\r\n\r\n")
        assert read_to_end(sock)[0].startswith(b"HTTP/1.1 400 ")
    with connect(port) as sock:
        sock.sendall(b"GET / HTTP/1.1\r\n" + b"x" * 9000)
        assert read_to_end(sock)[0].startswith(b"HTTP/1.1 400 ")


def test_too_many_who_ask(watched):
    silent = [connect(watched.ports["admin"]) for _ in range(64)]
    with connect(watched.ports["admin"]) as one_more:
        assert read_to_end(one_more)[0] == b""
    for sock in silent:
        sock.close()
    wait_until(lambda: answers(watched), "there is room again")


def answers(site):
    try:
        return curl(site.ports["admin"], "/health")[0] == 200
    except subprocess.CalledProcessError:
        return False


def test_a_reload_changes_who_may_ask(watched):
    text = watched.backend.config.read_text().removeprefix(watched.backend.common)
    watched.backend.configure(text.replace("192.0.2.0/24", "127.0.0.1"))
    watched.backend.ctl("reload")
    assert curl(watched.ports["closed"], "/health")[0] == 200
    watched.backend.configure(text)
    watched.backend.ctl("reload")
    assert curl(watched.ports["closed"], "/health")[0] == 403


@pytest.mark.parametrize("listener, says", [
    ('serve = clients allow = "127.0.0.1"', "allow: expected \"serve = admin\" beside it"),
    ('serve = admin allow = "127.0.0.1/8"', "allow: "), ("serve = page", "serve: expected")])
def test_what_is_refused(watched, listener, says):
    text = watched.backend.config.read_text().removeprefix(watched.backend.common)
    watched.backend.configure(text + f'listener "x" {{ address = "127.0.0.1:1" {listener} }}\n')
    assert says in watched.backend.ctl("reload", status=2 if "page" in listener else 1)
    watched.backend.configure(text)
