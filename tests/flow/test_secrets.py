"""Passwords do not stay in the server's memory."""

import base64
import os
import re
import secrets

import pytest

from harness.rawxmpp import AuthenticationFailed
from harness.site import DOMAIN
from harness.sources import client_from

BACKEND_EXTRA = "auth-delay = 0s\n"
HOST_EXTRA = "registration = open"


def memory(pid):
    """All that the process can write to; b"" when we may not look, or a sanitizer has filled it with its own."""
    found = []
    try:
        with open(f"/proc/{pid}/maps") as maps, open(f"/proc/{pid}/mem", "rb", buffering=0) as mem:
            lines = maps.read().splitlines()
            if any("libasan" in line or "libtsan" in line for line in lines):
                return b""
            for line in lines:
                start, end, rights = re.match(r"([0-9a-f]+)-([0-9a-f]+) (\S+)", line).groups()
                if not rights.startswith("rw"):
                    continue
                try:
                    found.append(os.pread(mem.fileno(), int(end, 16) - int(start, 16), int(start, 16)))
                except OSError:
                    pass
    except PermissionError:
        pass
    return b"".join(found)


def traces(site, *texts):
    seen = memory(site.backend.pid)
    if not seen:
        pytest.skip("the memory of the process is closed to us")
    assert DOMAIN.encode() in seen  # it is the right place to look at
    return [text for text in texts if text.encode() in seen]


def plain(user, password):
    return base64.b64encode(f"\0{user}\0{password}".encode()).decode()


@pytest.mark.release
def test_no_trace_of_a_password(backend_site):
    site = backend_site
    password, changed, wrong = (secrets.token_hex(20) for _ in range(3))
    with client_from(site, "192.0.2.1") as client:
        client.open(DOMAIN)
        answer = client.command("<iq type='set' id='r'><query xmlns='jabber:iq:register'><username>keeper</username>"
                                f"<password>{password}</password></query></iq>")
        assert answer.get("type") in ("result", "error")
        assert traces(site, password) == []
        client.login_here("keeper", password, mechanism="PLAIN")
        assert traces(site, password, plain("keeper", password)[8:]) == []
        answer = client.command("<iq type='set' id='c'><query xmlns='jabber:iq:register'><username>keeper</username>"
                                f"<password>{changed}</password></query></iq>")
        assert answer.get("type") == "result"
        assert traces(site, password, changed) == []
    with client_from(site, "192.0.2.1") as client:
        client.open(DOMAIN)
        with pytest.raises(AuthenticationFailed):
            client.authenticate("keeper", wrong, "PLAIN")
        assert traces(site, wrong, plain("keeper", wrong)[8:]) == []
    site.backend.ctl("deluser", f"keeper@{DOMAIN}")
