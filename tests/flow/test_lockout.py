"""Wrong passwords: what they cost whom, what a stranger can learn, and who is let in all the same."""

import base64
import json
import statistics
import threading
import time

import pytest

from harness.rawxmpp import AuthenticationFailed, mechanisms
from harness.site import DOMAIN, Site
from harness.sources import client_from
from harness.stage import number

PASSWORD = "right"


@pytest.fixture(scope="module")
def site():
    """A backend whose limits are small, and whose delays are short."""
    shared = Site(unlimited="", host_extra="anonymous = true", backend_extra=(
        "auth-failures-per-source = 4\nauth-failures-per-account = 8\nauth-failures-window = 1h\nauth-delay = 0s\n"))
    try:
        shared.backend.start()
        yield shared
    finally:
        shared.stop()


def account(site):
    name = f"user{number()}"
    site.add_account(name, PASSWORD)
    return name


def host():
    return f"203.0.{number() // 250}.{number() % 250}"


def attempt(site, source, user, password=PASSWORD, mechanism="SCRAM-SHA-256", **arguments):
    """None, or the condition of the failure."""
    with client_from(site, source) as client:
        client.open(DOMAIN)
        try:
            client.authenticate(user, password, mechanism, **arguments)
        except AuthenticationFailed as failed:
            return str(failed)


def counter(site, name):
    return site.backend.counter(name)


@pytest.mark.conforms("RFC 6120", "6.5.11", "temporary-auth-failure for who guesses too much")
@pytest.mark.parametrize("mechanism", ["SCRAM-SHA-256", "PLAIN"])
def test_a_source_is_locked(site, mechanism):
    user, source = account(site), host()
    names = [user, "nobody", user, "somebody"]
    assert [attempt(site, source, name, "wrong", mechanism) for name in names] == ["not-authorized"] * 4
    line = site.backend.wait_log(event="auth_locked", what="source", peer=f"{source}:40000")
    assert line["host"] == DOMAIN and "account" not in line
    before = counter(site, "auth_source_locked")
    for name in (user, "nobody"):  # right or wrong, known or not: nobody looks at it
        for password in (PASSWORD, "wrong"):
            assert attempt(site, source, name, password, mechanism) == "temporary-auth-failure"
    assert counter(site, "auth_source_locked") == before + 4
    site.backend.wait_log(event="auth_refused", cause="source_locked", account=user, peer=f"{source}:40000")
    assert attempt(site, host(), user, mechanism=mechanism) is None
    site.backend.ctl("unlock", source)
    assert attempt(site, source, user, mechanism=mechanism) is None


def test_an_account_is_locked_but_not_for_its_user(site):
    for user in (account(site), f"nobody{number()}"):
        home = host()
        exists = attempt(site, home, user) is None
        sources = [host() for _ in range(8 if exists else 7)]
        assert {attempt(site, source, user, "wrong") for source in sources} == {"not-authorized"}
        site.backend.wait_log(event="auth_locked", what="account", account=user)
        assert attempt(site, host(), user) == "temporary-auth-failure"
        if exists:
            assert attempt(site, home, user) is None
            assert attempt(site, home, user, "wrong") == "not-authorized"
        site.backend.ctl("unlock", f"{user}@{DOMAIN}")
        assert attempt(site, host(), user) == (None if exists else "not-authorized")


def test_a_new_password_opens_a_locked_account(site):
    user = account(site)
    assert {attempt(site, host(), user, "wrong") for _ in range(8)} == {"not-authorized"}
    site.backend.wait_log(event="auth_locked", what="account", account=user)
    assert attempt(site, host(), user) == "temporary-auth-failure"
    site.backend.ctl("passwd", f"{user}@{DOMAIN}", stdin=f"{PASSWORD}\n")
    assert attempt(site, host(), user) is None


def test_ipv6_counts_by_prefix_and_tor_by_circuit(site):
    user, prefix = account(site), f"2001:db8:{number():x}:1"
    for last in range(4):
        assert attempt(site, f"{prefix}::{last:x}", user, "wrong") == "not-authorized"
    assert attempt(site, f"{prefix}:ffff::1", user) == "temporary-auth-failure"
    assert attempt(site, f"{prefix[:-1]}2::1", user) is None
    user = account(site)
    for _ in range(4):
        assert attempt(site, "fc00:dead:beef:4dad::1:1", user, "wrong") == "not-authorized"
    assert attempt(site, "fc00:dead:beef:4dad::1:1", user) == "temporary-auth-failure"
    assert attempt(site, "fc00:dead:beef:4dad::1:2", user) is None


def test_a_binding_that_does_not_match_is_no_guess(site):
    """As a man in the middle has it: the right password, another channel.  The user would be locked out by it."""
    user, source = account(site), host()
    for _ in range(6):
        assert attempt(site, source, user, mechanism="SCRAM-SHA-256-PLUS", binding="tls-exporter",
                       binding_data=b"\0" * 32) == "not-authorized"
    site.backend.wait_log(event="auth_refused", cause="binding_mismatch", account=user)
    assert attempt(site, source, user, mechanism="SCRAM-SHA-256-PLUS", binding="tls-exporter") is None
    # but a guess is one, whatever its binding is
    source = host()
    for _ in range(4):
        assert attempt(site, source, account(site), "wrong", mechanism="SCRAM-SHA-256-PLUS", binding="tls-exporter",
                       binding_data=b"\0" * 32) == "not-authorized"
    assert attempt(site, source, user) == "temporary-auth-failure"


def test_a_disabled_account_is_told_to_its_user_alone(site):
    user = account(site)
    with client_from(site, host()) as client:
        client.login(user, PASSWORD, DOMAIN)
        site.backend.ctl("disable", f"{user}@{DOMAIN}")
        assert b"<stream:error><not-authorized " in client.receive_all()[0]
    for mechanism in ("SCRAM-SHA-512", "SCRAM-SHA-1", "PLAIN"):
        assert attempt(site, host(), user, mechanism=mechanism) == "account-disabled"
        assert attempt(site, host(), user, "wrong", mechanism=mechanism) == "not-authorized"
    site.backend.ctl("passwd", f"{user}@{DOMAIN}", stdin="other\n")
    assert attempt(site, host(), user, "other") == "account-disabled"
    site.backend.ctl("enable", f"{user}@{DOMAIN}")
    assert attempt(site, host(), user, "other") is None
    assert "no such account" in site.backend.ctl("disable", f"nobody@{DOMAIN}", status=1)


def server_first(site, user, mechanism):
    """What the server says about the keys of a user: (salt, iterations)."""
    with client_from(site, host()) as client:
        client.open(DOMAIN)
        answer = client._step("auth", f"n,,n={user},r=abcdefgh".encode(), mechanism)
        fields = dict(part.split("=", 1) for part in base64.b64decode(answer.text).decode().split(","))
        return fields["s"], fields["i"]


@pytest.mark.parametrize("mechanism", ["SCRAM-SHA-512", "SCRAM-SHA-256", "SCRAM-SHA-1"])
def test_an_unknown_account_has_keys_like_any_other(site, mechanism):
    real, made_up = server_first(site, account(site), mechanism), server_first(site, "nobody", mechanism)
    assert made_up == server_first(site, "NOBODY", mechanism)  # each time the same
    assert made_up[0] != server_first(site, "somebody", mechanism)[0]
    assert len(base64.b64decode(made_up[0])) == len(base64.b64decode(real[0])) and made_up[1] == real[1]


@pytest.mark.parametrize("mechanism", ["PLAIN", "SCRAM-SHA-256"])
def test_an_unknown_account_takes_as_long(own_site, mechanism):
    """Turn by turn, so that a busy machine is busy for both; a quarter of them, the quickest, is disturbed by nobody."""
    site = own_site(backend_extra="auth-failures-per-account = 0\nscram-iterations = 20000")
    site.backend.start()
    site.add_account("juliet", PASSWORD)
    times = {"juliet": [], "nobody": []}
    for _ in range(30):
        for user in times:
            with client_from(site, host()) as client:
                client.open(DOMAIN)
                began = time.perf_counter()
                with pytest.raises(AuthenticationFailed):
                    client.authenticate(user, "wrong", mechanism)
                times[user].append(time.perf_counter() - began)
    known, unknown = (statistics.quantiles(values, n=4)[0] for values in times.values())
    assert abs(known - unknown) < 0.25 * max(known, unknown), (known, unknown)


def plain(user, password):
    text = base64.b64encode(f"\0{user}\0{password}".encode()).decode()
    return f"<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' mechanism='PLAIN'>{text}</auth>"


def test_many_waiting_passwords_of_one_source_delay_nobody_else(own_site):
    """1,024 of them are some ten seconds of hashing in this build."""
    site = own_site(unlimited="", backend_extra="auth-failures-per-source = 0\nauth-delay = 0s\n"
                    "scram-iterations = 20000\nmax-connections = 3000\n")
    site.backend.start()
    site.add_account("juliet", PASSWORD)
    flood = [client_from(site, "192.0.2.66") for _ in range(128)]
    try:
        for client in flood:
            client.open(DOMAIN)
        began = time.monotonic()
        assert attempt(site, "192.0.2.67", "juliet", mechanism="PLAIN") is None
        alone, began = time.monotonic() - began, time.monotonic()
        for client in flood:
            client.send(plain("juliet", "wrong") * 4)
        assert attempt(site, "192.0.2.67", "juliet", mechanism="PLAIN") is None
        took = time.monotonic() - began
        refused = json.loads(site.backend.ctl("--json", "status"))["counters"]
        assert refused["auth_busy"] > 0, "the flood has not filled its own queue"
        assert took < 2 + 5 * alone, (took, alone)
    finally:
        for client in flood:
            client.tcp.close()


def test_who_fails_waits_but_right_away_at_first(own_site):
    site = own_site(unlimited="", backend_extra="auth-delay = 1s\n")
    site.backend.start()
    site.add_account("juliet", PASSWORD)
    source, took = host(), []
    for password in ("wrong", "wrong", "wrong", PASSWORD):
        with client_from(site, source) as client:
            client.open(DOMAIN)
            began = time.monotonic()
            try:
                client.authenticate("juliet", password, "SCRAM-SHA-256")
            except AuthenticationFailed:
                pass
            took.append(time.monotonic() - began)
    assert took[1] >= 0.45 and took[2] >= 0.95 and took[3] >= 0.95, took
    assert [line.get("delayed_ms") for line in site.backend.log(event="auth_refused")] == [None, "500", "1000"]
    with client_from(site, source) as client:  # known there now: it is not made to wait for others' failures
        client.open(DOMAIN)
        client.authenticate("juliet", PASSWORD, "SCRAM-SHA-256")
    assert counter(site, "auth_delayed") == 3
    with client_from(site, source) as client:  # who leaves while waiting leaves nothing behind
        client.open(DOMAIN)
        client.send(plain("nobody", "wrong"))


def test_guests(site):
    jids = []
    for _ in range(2):
        with client_from(site, host()) as client:
            features = client.open(DOMAIN)
            assert mechanisms(features)[-1] == "ANONYMOUS"
            answer = client._step("auth", b"juliet@example.test", "ANONYMOUS")
            assert answer.tag.endswith("}success")
            jids.append(client.bind())
            # nothing is stored for a guest
            for payload in ("<query xmlns='jabber:iq:roster'><item jid='a@b.test'/></query>",
                            "<query xmlns='jabber:iq:private'><x xmlns='urn:x'/></query>",
                            "<query xmlns='jabber:iq:register'><username>x</username><password>y</password></query>",
                            "<query xmlns='jabber:iq:register'><remove/></query>"):
                answer = client.command(f"<iq type='set' id='1'>{payload}</iq>")
                assert answer.get("type") == "error", payload
    locals_ = [jid.split("@")[0] for jid in jids]
    assert len(set(locals_)) == 2 and all(len(local) >= 32 for local in locals_) and "juliet" not in str(jids)
    assert not [user for user in site.backend.ctl("users").splitlines() if user.split("@")[0] in locals_]


def test_guests_are_not_let_in_unless_wanted(own_site):
    site = own_site(host_extra='mechanisms = {"SCRAM-SHA-256", "SCRAM-SHA-1"}')
    site.backend.start()
    site.add_account("juliet", PASSWORD)
    with client_from(site, host()) as client:
        offered = mechanisms(client.open(DOMAIN))
        assert offered == ["SCRAM-SHA-256-PLUS", "SCRAM-SHA-1-PLUS", "SCRAM-SHA-256", "SCRAM-SHA-1"]
    for mechanism in ("PLAIN", "SCRAM-SHA-512"):
        assert attempt(site, host(), "juliet", mechanism=mechanism) == "invalid-mechanism"
    with client_from(site, host()) as client:
        client.open(DOMAIN)
        with pytest.raises(AuthenticationFailed, match="invalid-mechanism"):
            client._fail_unless(client._step("auth", b"", "ANONYMOUS"), "success")


def test_the_authorization_identity(site):
    user = account(site)
    for authzid, condition in ((f"{user}@{DOMAIN}", None), (f"romeo@{DOMAIN}", "invalid-authzid"),
                               (f"{user}@elsewhere.test", "invalid-authzid"), (DOMAIN, "invalid-authzid")):
        with client_from(site, host()) as client:
            client.open(DOMAIN)
            answer = client._step("auth", f"{authzid}\0{user}\0{PASSWORD}".encode(), "PLAIN")
            got = answer[0].tag.split("}")[1] if answer.tag.endswith("}failure") else None
            assert got == condition, authzid


def test_guesses_side_by_side_are_bounded(site):
    """However many connections guess at once, few more passwords are looked at than the limit allows."""
    user, source = account(site), host()
    results, clients = [], [client_from(site, source) for _ in range(40)]
    for client in clients:
        client.open(DOMAIN)

    def guess(client):
        try:
            client.authenticate(user, "wrong", "SCRAM-SHA-256")
        except AuthenticationFailed as failed:
            results.append(str(failed))

    threads = [threading.Thread(target=guess, args=(client,)) for client in clients]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for client in clients:
        client.tcp.close()
    assert len(results) == 40 and results.count("not-authorized") == 4
