"""XEP-0077: accounts made, changed and deleted by clients."""

import itertools

import pytest

from harness.rawxmpp import AuthenticationFailed, RawClient
from harness.site import DOMAIN
from harness.sources import client_from
from harness.stage import Stage, bare, error, number

HOST_EXTRA = f'registration = open registration-watchers = "watcher@{DOMAIN}" admins = "chief@{DOMAIN}"'
BACKEND_EXTRA = "registrations-per-source = 3\nregistrations-window = 1h\nauth-delay = 0s\n"
REGISTER = "{jabber:iq:register}"
FEATURE = "{http://jabber.org/features/iq-register}register"

conforms = pytest.mark.conforms
_hosts = itertools.count(1)


def fresh_host():
    """An address that nobody has come from."""
    return f"198.51.100.{next(_hosts)}"


def fields(username=None, password=None, more=""):
    inner = f"<username>{username}</username>" if username is not None else ""
    inner += f"<password>{password}</password>" if password is not None else ""
    return f"<query xmlns='jabber:iq:register'>{inner}{more}</query>"


def ask(client, type, payload, id="r1"):
    return client.command(f"<iq type='{type}' id='{id}'>{payload}</iq>")


def newcomer(site, host=None):
    client = client_from(site, host or fresh_host())
    client.open(DOMAIN)
    return client


def register(client, username, password="secret"):
    """None, or (type, condition) of the error."""
    answer = ask(client, "set", fields(username, password))
    assert answer.get("id") == "r1" and answer.get("from") == DOMAIN and answer.get("to") is None
    return error(answer)


def can_log_in(site, user, password):
    with newcomer(site) as client:
        try:
            client.authenticate(user, password, "SCRAM-SHA-512")
        except AuthenticationFailed:
            return False
        return True


@conforms("XEP-0077", "3.1", "the form, an account made before authentication, and a log-in with it on the same stream")
def test_a_new_account(backend_site, stage):
    site = backend_site
    watcher = stage.enter("watcher")
    name, host = f"new{number()}", fresh_host()
    with client_from(site, host) as client:
        assert client.open(DOMAIN).find(FEATURE) is not None
        form = ask(client, "get", fields())
        assert [child.tag for child in form[0]] == [REGISTER + tag for tag in ("instructions", "username", "password")]
        assert register(client, name.upper(), "secret") is None
        client.login_here(name, "secret", mechanism="SCRAM-SHA-512")
        assert client.jid.startswith(f"{name}@{DOMAIN}/")
    watcher.expect("message", frm=DOMAIN, body=f"{name}@{DOMAIN} has been registered from {host}.")
    line = site.backend.wait_log(event="account_registered", account=f"{name}@{DOMAIN}")
    assert line["peer"].startswith(host)


@pytest.mark.conforms("RFC 6120", "8.3.3.22", "unexpected-request for what must wait for the log-in")
@conforms("XEP-0077", "3.1", "conflict, not-acceptable, and nothing made by what is refused")
def test_what_is_refused(backend_site):
    site = backend_site
    taken = f"taken{number()}"
    with newcomer(site) as client:
        assert register(client, taken) is None
        assert register(client, f"second{number()}") == ("modify", "not-acceptable")  # one for each connection
    with newcomer(site) as client:
        assert register(client, taken, "other") == ("cancel", "conflict")
        assert register(client, "chief") == ("cancel", "conflict")  # an administrator's name, though no account yet
        for payload in (fields("x"), fields(None, "y"), fields("", "y"), fields("x", ""), fields("a b", "y"),
                        fields("a@b", "y"), fields("x", "\u0378")):
            assert error(ask(client, "set", payload)) == ("modify", "not-acceptable"), payload
        assert error(ask(client, "set", fields(more="<remove/>")))[1] == "unexpected-request"
    users = site.backend.ctl("users").splitlines()
    assert f"{taken}@{DOMAIN}" in users and not [user for user in users if user.startswith(("second", "chief", "x@"))]
    assert can_log_in(site, taken, "secret") and not can_log_in(site, taken, "other")


def test_a_source_may_ask_for_so_many(backend_site):
    site = backend_site
    host = fresh_host()
    answers = []
    for _ in range(5):
        with newcomer(site, host) as client:
            answers.append(register(client, f"many{number()}"))
    assert answers == [None] * 3 + [("wait", "resource-constraint")] * 2
    with newcomer(site) as client:
        assert register(client, f"many{number()}") is None
    # the same for a /64 and whoever tries to find out names
    prefix = f"2001:db8:2:{number():x}"
    answers = []
    for last in range(4):
        with newcomer(site, f"{prefix}::{last + 1}") as client:
            answers.append(register(client, "watcher"))
    assert [answer[1] for answer in answers] == ["conflict"] * 3 + ["resource-constraint"]


def test_only_behind_tls_and_where_it_is_open(backend_site, own_site):
    with RawClient("127.0.0.1", backend_site.c2s) as client:
        assert client.open(DOMAIN).find(FEATURE) is None
        client.send(f"<iq type='set' id='r1'>{fields('early', 'secret')}</iq>")
        assert b"<not-authorized " in client.receive_all()[0]
    site = own_site()
    site.backend.start()
    with newcomer(site) as client:
        assert error(ask(client, "get", fields())) == ("cancel", "service-unavailable")
        assert register(client, "x") == ("cancel", "service-unavailable")
    with client_from(site, fresh_host()) as client:
        assert client.open(DOMAIN).find(FEATURE) is None


def test_other_requests_before_logging_in_end_the_stream(backend_site):
    with newcomer(backend_site) as client:
        client.send("<iq type='get' id='p'><ping xmlns='urn:xmpp:ping'/></iq>")
        assert b"<not-authorized " in client.receive_all()[0]
    with newcomer(backend_site) as client:
        for _ in range(25):
            client.send(f"<iq type='get' id='r'>{fields()}</iq>")
        assert b"<policy-violation " in client.receive_all()[0]


def test_who_leaves_meanwhile_gets_the_account_all_the_same(backend_site):
    site = backend_site
    name = f"hasty{number()}"
    client = newcomer(site)
    client.send(f"<iq type='set' id='r1'>{fields(name, 'secret')}</iq></stream:stream>")
    client.receive_all()
    client.tcp.close()
    with newcomer(site) as other:  # hashed one after the other
        register(other, f"behind{number()}")
    assert f"{name}@{DOMAIN}" in site.backend.ctl("users").splitlines()


@conforms("XEP-0077", "3.3", "a user changes the password: the other sessions end, and the old one is worth nothing")
def test_a_changed_password(backend_site, stage):
    site = backend_site
    jid = stage.account()
    name = bare(jid).split("@")[0]
    one, other = stage.enter(jid), stage.enter(jid)
    form = one.request("get", fields(), DOMAIN)
    assert [child.tag for child in form[0]] == [REGISTER + tag for tag in ("registered", "username", "password")]
    assert form[0][1].text == name and not form[0][2].text
    for to, payload, condition in (
            (DOMAIN, fields(name), "bad-request"), (DOMAIN, fields(None, "new"), "bad-request"),
            (DOMAIN, fields(name, ""), "bad-request"), (DOMAIN, fields("romeo", "new"), "not-allowed"),
            (DOMAIN, "<other xmlns='jabber:iq:register'/>", "bad-request"),
            (DOMAIN, fields(name, "\u0378"), "not-acceptable")):
        assert error(one.request("set", payload, to))[1] == condition, payload
    assert one.request("set", fields(name.upper(), "changed"), DOMAIN).get("type") == "result"
    other.receive_all()
    assert b"<stream:error><reset " in other.received
    one.sync()  # goes on
    assert can_log_in(site, name, "changed")
    assert not can_log_in(site, name, stage.password(jid))
    site.backend.wait_log(event="password_changed", account=jid)


@conforms("XEP-0077", "3.2", "a user deletes the account: answered, sessions ended, subscriptions cancelled, name free")
def test_a_removed_account(backend_site, stage):
    site = backend_site
    leaver, friend = stage.enter(interested=True), stage.enter(interested=True)
    for one, two in ((leaver, friend), (friend, leaver)):
        one.send_presence("subscribe", to=two.bare)
        two.sync(), one.sync()
        two.send_presence("subscribed", to=one.bare)
        one.sync(), two.sync(), one.sync()
    assert friend.roster()[leaver.bare]["subscription"] == "both"
    friend.sync()
    assert error(leaver.request("set", fields(more="<remove/><x/>"), DOMAIN))[1] == "bad-request"
    answer = leaver.request("set", fields(more="<remove/>"), leaver.bare)
    assert answer.get("type") == "result"
    leaver.receive_all()
    assert b"<stream:error><not-authorized " in leaver.received
    seen = set()
    while not {("unsubscribe", leaver.bare), ("unsubscribed", leaver.bare)} <= seen:
        stanza = friend.next()
        seen.add((stanza.get("type"), stanza.get("from")))
    assert friend.roster()[leaver.bare]["subscription"] == "none"
    assert not can_log_in(site, leaver.bare.split("@")[0], stage.password(leaver.bare))
    assert leaver.bare not in site.backend.ctl("users").splitlines()
    with newcomer(site) as client:
        assert register(client, leaver.bare.split("@")[0], "again") is None


def test_what_a_host_may_forbid(own_site):
    site = own_site(host_extra="password-change = false account-removal = false")
    site.backend.start()
    with Stage(site) as stage:
        juliet = stage.enter("juliet")
        assert error(juliet.request("set", fields("juliet", "new"), DOMAIN))[1] == "not-allowed"
        assert error(juliet.request("set", fields(more="<remove/>"), DOMAIN))[1] == "not-allowed"
        romeo = stage.enter("romeo")
        assert error(romeo.request("set", fields(more="<remove/>"), juliet.bare))[1] == "service-unavailable"
        juliet.sync()
