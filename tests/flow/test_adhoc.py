"""Ad-hoc commands (XEP-0050) and service administration (XEP-0133)."""

import asyncio
import re

import pytest

from harness.client import Client
from harness.rawxmpp import AuthenticationFailed, Closed
from harness.site import DOMAIN, PASSWORDS, XMPPS, Site
from harness.stage import Stage, body, element, error, number

COMMANDS = "http://jabber.org/protocol/commands"
COMMAND, NOTE = f"{{{COMMANDS}}}command", f"{{{COMMANDS}}}note"
DATA = "{jabber:x:data}"
ADMIN = "http://jabber.org/protocol/admin#"
JULIET = f"juliet@{DOMAIN}"


@pytest.fixture(scope="module")
def site():
    shared = Site(backend_extra="shards = 3", host_extra=f'admins = "{JULIET}"')
    try:
        yield shared.start()
    finally:
        shared.stop()


@pytest.fixture
def stage(site):
    with Stage(site) as one:
        yield one


@pytest.fixture
def admin(stage):
    actor = stage.enter("juliet")
    stage.settle()
    return actor


class Refused(Exception):
    """(condition, condition of ad-hoc commands or None, text)"""


def send(actor, node, fields=None, id=None, action=None):
    """The command element of the answer."""
    inner = ""
    if fields is not None:
        inner = "".join(
            element("field", {"var": name}, *[f"<value>{one}</value>" for one in ([value] if isinstance(value, str) else value)])
            for name, value in fields.items())
        inner = f"<x xmlns='jabber:x:data' type='submit'>{inner}</x>"
    command = element("command", {"xmlns": COMMANDS, "node": node, "sessionid": id, "action": action}, inner)
    answer = actor.request("set", command, DOMAIN)
    if error(answer):
        own = [child.tag.split("}")[1] for child in answer.find("{*}error") if child.tag.startswith("{" + COMMANDS)]
        raise Refused(error(answer)[1], own[0] if own else None, answer.findtext("{*}error/{*}text"))
    return answer.find(COMMAND)


def refusal(actor, *arguments, **named):
    with pytest.raises(Refused) as refused:
        send(actor, *arguments, **named)
    return refused.value.args[:2]


def begin(actor, node):
    """The session's id and the names of the form's fields."""
    command = send(actor, node)
    assert command.get("status") == "executing"
    return command.get("sessionid"), [field.get("var") for field in command.iter(DATA + "field")]


def run(actor, node, fields):
    """The command, done."""
    id, known = begin(actor, node)
    assert set(fields) <= set(known)
    command = send(actor, node, fields, id)
    assert (command.get("status"), command.get("sessionid")) == ("completed", id)
    return command


def result(command):
    """{field: [value …]} of its result."""
    return {field.get("var"): [value.text for value in field.findall(DATA + "value")]
            for field in command.iter(DATA + "field")}


def notes(command):
    return [(note.get("type"), note.text) for note in command.iter(NOTE)]


@pytest.mark.conforms("XEP-0050", "2.2", "the feature, and the list that the asker may use")
@pytest.mark.conforms("XEP-0133", "6", "nobody but an admin may")
def test_who_sees_which(stage, admin):
    other = stage.enter()
    items = f"<query xmlns='http://jabber.org/protocol/disco#items' node='{COMMANDS}'/>"
    info = "<query xmlns='http://jabber.org/protocol/disco#info' node='{}'/>"
    seen = {actor: [item.get("node") for item in actor.request("get", items, DOMAIN)[0]] for actor in (admin, other)}
    assert "ping" in seen[other] and not any(node.startswith(ADMIN) for node in seen[other])
    assert set(seen[other]) < set(seen[admin]) and ADMIN + "shutdown" in seen[admin]
    assert admin.request("get", info.format(ADMIN + "add-user"), DOMAIN)[0][0].get("type") == "command-node"
    assert error(other.request("get", info.format(ADMIN + "add-user"), DOMAIN))[1] == "item-not-found"
    assert other.request("get", info.format(COMMANDS), DOMAIN)[0][0].get("type") == "command-list"
    for node in seen[admin]:
        if node.startswith(ADMIN):
            assert refusal(other, node) == ("forbidden", None)
    assert refusal(admin, "no-such-command") == ("item-not-found", None)
    assert refusal(other, ADMIN + "add-user", {}, "x") == ("forbidden", None)


@pytest.mark.conforms("XEP-0050", "2.4.2", "a form, and what was filled in")
@pytest.mark.conforms("XEP-0050", "2.4.3", "canceled")
@pytest.mark.conforms("XEP-0050", "3.3", "a session is its requester's, and ends")
@pytest.mark.conforms("XEP-0050", "4.4", "bad-action, malformed-action, bad-sessionid, session-expired, bad-payload")
def test_sessions_and_actions(stage, admin):
    second = stage.enter("juliet")
    node = ADMIN + "end-user-session"
    id, fields = begin(admin, node)
    assert fields == ["FORM_TYPE", "accountjids"]
    assert refusal(admin, node, {}, id, "next") == ("bad-request", "bad-action")
    assert refusal(admin, node, {}, id, "prev") == ("bad-request", "bad-action")
    assert refusal(admin, node, {}, id, "jump") == ("bad-request", "malformed-action")
    assert refusal(admin, node, None, id) == ("bad-request", "bad-payload")
    assert refusal(admin, node, {"accountjids": ""}, id) == ("bad-request", "bad-payload")
    assert refusal(second, node, {"accountjids": JULIET}, id) == ("bad-request", "bad-sessionid")
    assert refusal(admin, "change-password", {}, id) == ("bad-request", "bad-sessionid")
    assert refusal(admin, node, {}, "0123") == ("bad-request", "bad-sessionid")
    assert refusal(admin, node, action="cancel") == ("bad-request", "bad-action")
    assert send(admin, node, id=id, action="cancel").get("status") == "canceled"
    assert refusal(admin, node, {"accountjids": JULIET}, id) == ("not-allowed", "session-expired")
    many = [begin(admin, node)[0] for _ in range(11)]
    assert len(set(many)) == 11
    assert refusal(admin, node, {"accountjids": "x"}, many[0]) == ("not-allowed", "session-expired")
    assert send(admin, node, {"accountjids": f"x@{DOMAIN}"}, many[1], "complete").get("status") == "completed"
    assert refusal(admin, node, {"accountjids": "x"}, many[1]) == ("not-allowed", "session-expired")


@pytest.mark.conforms("XEP-0133", "4.1", "add a user")
@pytest.mark.conforms("XEP-0133", "4.2", "delete users")
@pytest.mark.conforms("XEP-0133", "4.3", "disable users")
@pytest.mark.conforms("XEP-0133", "4.4", "re-enable users")
@pytest.mark.conforms("XEP-0133", "4.7", "change a user's password")
@pytest.mark.conforms("XEP-0133", "4.13", "the number of users")
@pytest.mark.conforms("XEP-0133", "4.19", "the disabled users")
@pytest.mark.conforms("XEP-0133", "4.14", "the number of disabled users")
def test_accounts(site, stage, admin):
    jid = f"new{number()}@{DOMAIN}"

    def login(password):
        actor = stage.connect()
        try:
            actor.login(jid.split("@")[0], password, DOMAIN, mechanism="PLAIN")
        except AuthenticationFailed as failure:
            return str(failure)
        actor.leave()
        return None

    add = ADMIN + "add-user"
    twice = {"accountjid": jid, "password": "a new one", "password-verify": "a new one"}
    id, _ = begin(admin, add)
    assert refusal(admin, add, {**twice, "password-verify": "another"}, id) == ("bad-request", "bad-payload")
    assert refusal(admin, add, {**twice, "accountjid": "x@elsewhere.example"}, id) == ("bad-request", "bad-payload")
    assert refusal(admin, add, {**twice, "accountjid": DOMAIN}, id) == ("bad-request", "bad-payload")
    assert send(admin, add, twice, id).get("status") == "completed"
    id, _ = begin(admin, add)
    assert refusal(admin, add, twice, id) == ("conflict", None)
    assert login("a new one") is None
    run(admin, ADMIN + "change-user-password", {"accountjid": jid, "password": "better"})
    assert login("a new one") == "not-authorized" and login("better") is None
    before = int(result(send(admin, ADMIN + "get-disabled-users-num"))["disabledusersnum"][0])
    run(admin, ADMIN + "disable-user", {"accountjids": [jid]})
    assert login("better") == "account-disabled"
    assert result(send(admin, ADMIN + "get-disabled-users-num"))["disabledusersnum"] == [str(before + 1)]
    assert jid in result(run(admin, ADMIN + "get-disabled-users-list", {"max_items": "none"}))["disableduserjids"]
    run(admin, ADMIN + "reenable-user", {"accountjids": [jid]})
    assert login("better") is None
    registered = int(result(send(admin, ADMIN + "get-registered-users-num"))["registeredusersnum"][0])
    done = run(admin, ADMIN + "delete-user", {"accountjids": [jid, f"nobody@{DOMAIN}", "x@elsewhere.example"]})
    assert [kind for kind, _ in notes(done)] == ["error", "error"]
    assert result(send(admin, ADMIN + "get-registered-users-num"))["registeredusersnum"] == [str(registered - 1)]
    id, _ = begin(admin, ADMIN + "delete-user")
    assert refusal(admin, ADMIN + "delete-user", {"accountjids": [jid]}, id) == ("item-not-found", None)
    assert login("better") == "not-authorized"


@pytest.mark.conforms("XEP-0133", "4.5", "end sessions")
@pytest.mark.conforms("XEP-0133", "4.8", "a user's roster")
@pytest.mark.conforms("XEP-0133", "4.9", "when a user was last there")
@pytest.mark.conforms("XEP-0133", "4.10", "a user's statistics")
@pytest.mark.conforms("XEP-0133", "4.15", "how many are online")
@pytest.mark.conforms("XEP-0133", "4.16", "how many are available")
@pytest.mark.conforms("XEP-0133", "4.20", "who is online")
@pytest.mark.conforms("XEP-0133", "4.21", "who is available")
@pytest.mark.conforms("XEP-0133", "4.22", "who is online, but not available")
def test_users_and_their_sessions(stage, admin):
    user = stage.enter(resource="one")
    away = stage.enter(user.bare, resource="two", priority=None)
    idle = stage.enter(priority=None)
    user.roster_set(f"friend@{DOMAIN}", name="Friend", groups=["A"])
    stage.settle()
    online = result(run(admin, ADMIN + "get-online-users-list", {"max_items": "100"}))["onlineuserjids"]
    active = result(run(admin, ADMIN + "get-active-users-list", {"max_items": "100"}))["activeuserjids"]
    assert {user.bare, idle.bare, JULIET} <= set(online)
    assert {user.bare, JULIET} <= set(active) and idle.bare not in active
    assert idle.bare in result(run(admin, ADMIN + "get-idle-users-list", {"max_items": "25"}))["idleuserjids"]
    for kind, names in (("online", online), ("active", active)):
        assert result(send(admin, f"{ADMIN}get-{kind}-users-num"))[f"{kind}usersnum"] == [str(len(names))]
    id, _ = begin(admin, ADMIN + "get-online-users-list")
    assert refusal(admin, ADMIN + "get-online-users-list", {"max_items": "many"}, id) == ("not-acceptable", "bad-payload")
    some = send(admin, ADMIN + "get-online-users-list", {"max_items": "1"}, id)
    assert len(result(some)["onlineuserjids"]) == 1 and notes(some)[0][0] == "warn"
    stats = result(run(admin, ADMIN + "user-stats", {"accountjids": user.bare}))
    assert stats["rostersize"] == ["1"] and sorted(stats["onlineresources"]) == ["one", "two"]
    assert len(stats["ipaddresses"]) == 2 and stats["ipaddresses"][0].startswith("127.0.0.1:")
    roster = run(admin, ADMIN + "get-user-roster", {"accountjids": user.bare}).find(".//{jabber:iq:roster}query")
    assert [(item.get("jid"), item.get("name"), item[0].text) for item in roster] == [(f"friend@{DOMAIN}", "Friend", "A")]
    done = run(admin, ADMIN + "end-user-session", {"accountjids": [away.jid, f"nobody@{DOMAIN}"]})
    assert ("info", "1 sessions ended.") in notes(done)
    with pytest.raises(Closed):
        while True:
            ended = away.next()
    assert ended[0].tag.endswith("policy-violation")
    stage.parties.remove(away)
    run(admin, ADMIN + "end-user-session", {"accountjids": user.bare})
    user.receive_all()
    stage.parties.remove(user)
    last = result(run(admin, ADMIN + "get-user-lastlogin", {"accountjids": user.bare}))["lastlogin"][0]
    assert re.fullmatch(r"20\d\d-\d\d-\d\dT\d\d:\d\d:\d\dZ", last)
    id, _ = begin(admin, ADMIN + "user-stats")
    assert refusal(admin, ADMIN + "user-stats", {"accountjids": f"nobody@{DOMAIN}"}, id) == ("item-not-found", None)


@pytest.mark.conforms("XEP-0133", "4.23", "an announcement to all who are online")
@pytest.mark.conforms("XEP-0133", "4.24", "the message of the day: at once, and once for those who come later")
@pytest.mark.conforms("XEP-0133", "4.25", "a correction for those who have not seen it")
@pytest.mark.conforms("XEP-0133", "4.26", "no more message of the day")
def test_announcements_and_the_message_of_the_day(stage, admin):
    online, absent, late = stage.enter(), stage.account(), stage.account()
    stage.settle()

    def come(jid):
        actor = stage.enter(jid, priority=None)
        actor.send_presence()
        came = [body(one) for one in actor.sync() if body(one)]
        actor.leave()
        stage.parties.remove(actor)
        return came

    done = run(admin, ADMIN + "announce", {"subject": "News", "announcement": ["One &amp;", "two"]})
    assert notes(done)[0] == ("info", "Sent to 2 users.")
    got = online.expect("message", "headline", frm=DOMAIN, body="One &\ntwo")
    assert got.findtext("{*}subject") == "News"
    admin.expect("message", "headline")
    run(admin, ADMIN + "set-motd", {"motd": "Thursday"})
    online.expect("message", "headline", frm=DOMAIN, body="Thursday")
    admin.expect("message", body="Thursday")
    assert come(online.bare) == []
    assert not any(body(one) for one in online.sync())
    assert come(absent) == ["Thursday"]
    assert come(absent) == []
    run(admin, ADMIN + "edit-motd", {"motd": "Friday"})
    assert come(absent) == [] and come(late) == ["Friday"]
    online.nothing()
    run(admin, ADMIN + "set-motd", {"motd": "Sunday"})
    online.expect("message", body="Sunday")
    admin.expect("message", body="Sunday")
    assert come(absent) == ["Sunday"]
    assert send(admin, ADMIN + "delete-motd").get("status") == "completed"
    assert come(late) == []


@pytest.mark.conforms("XEP-0133", "4.27", "a welcome at the first login of a new account")
@pytest.mark.conforms("XEP-0133", "4.28", "no more welcome")
def test_the_welcome(stage, admin):
    old = stage.enter()
    old.leave()
    stage.parties.remove(old)

    def come(jid):
        actor = stage.enter(jid, priority=None)
        actor.send_presence()
        came = [(one.get("type"), body(one)) for one in actor.sync() if body(one)]
        actor.leave()
        stage.parties.remove(actor)
        return came

    run(admin, ADMIN + "set-welcome", {"welcome": "Hello!"})
    new = stage.account()
    assert come(new) == [(None, "Hello!")]
    assert come(new) == [] and come(old.bare) == []
    send(admin, ADMIN + "delete-welcome")
    assert come(stage.account()) == []


@pytest.mark.conforms("XEP-0050", "2.4.1", "done at once")
def test_what_users_may_do(stage):
    user = stage.enter(resource="one")
    other = stage.enter(user.bare, resource="two")
    stage.settle()
    assert notes(send(user, "ping")) == [("info", "The server is there.")]
    listed = result(send(user, "list-sessions"))
    rows = [{field.get("var"): field.findtext(DATA + "value") for field in item}
            for item in send(user, "list-sessions").iter(DATA + "item")]
    assert sorted(row["resource"] for row in rows) == ["one", "two"] and "address" in listed
    run(user, "end-session", {"resource": "two"})
    other.receive_all()
    stage.parties.remove(other)
    id, _ = begin(user, "end-session")
    assert refusal(user, "end-session", {"resource": "two"}, id) == ("item-not-found", None)
    id, _ = begin(user, "change-password")
    assert refusal(user, "change-password", {"password": "x", "password-verify": "y"}, id) == ("bad-request", "bad-payload")
    assert send(user, "change-password", {"password": "mine", "password-verify": "mine"}, id).get("status") == "completed"
    stage.parties.remove(user)
    again = stage.connect()
    again.login(user.bare.split("@")[0], "mine", DOMAIN, mechanism="PLAIN")
    again.tcp.close()


@pytest.mark.conforms("XEP-0133", "4.30", "it ends with a status that asks for a restart")
@pytest.mark.conforms("XEP-0133", "4.31", "the server stops, after an announcement")
@pytest.mark.parametrize("command, status", [("shutdown", 0), ("restart", 75)])
def test_the_server_stops(own_site, command, status):
    site = own_site(host_extra=f'admins = "{JULIET}"').start()
    with Stage(site) as stage:
        admin = stage.enter("juliet")
        stage.settle()
        id, _ = begin(admin, ADMIN + command)
        assert refusal(admin, ADMIN + command, {"delay": "soon"}, id) == ("bad-request", "bad-payload")
        assert send(admin, ADMIN + command, {"delay": "0", "announcement": "Bye"}, id).get("status") == "completed"
        admin.expect("message", "headline", body="Bye")
        assert "system-shutdown" in admin.receive_all()[0].decode()
        assert site.backend.popen.wait(60) == status
        stage.parties.clear()


def test_a_real_client(site):
    async def run_it():
        async with Client(JULIET, PASSWORDS["juliet"], site.cert, mechanism="PLAIN") as juliet:
            for plugin in ("xep_0004", "xep_0050", "xep_0133"):
                juliet.register_plugin(plugin)
            await juliet.connect_to("127.0.0.1", site.port, sni=XMPPS)
            done, steps = asyncio.get_running_loop().create_future(), []

            def on_form(iq, session):
                steps.append(iq["command"]["status"])
                session["payload"] = juliet["xep_0004"].make_form(ftype="submit")
                session["payload"].add_field(var="max_items", value="100")
                session["next"] = on_list
                juliet["xep_0050"].complete_command(session)

            def on_list(iq, session):
                steps.append(iq["command"]["status"])
                done.set_result(iq["command"]["form"].get_values())

            def on_error(iq, session):
                done.set_exception(AssertionError(str(iq)))

            juliet["xep_0133"].get_online_users_list(DOMAIN, session={"next": on_form, "error": on_error})
            values = await asyncio.wait_for(done, 20)
            assert steps == ["executing", "completed"] and JULIET in str(values["onlineuserjids"])

    asyncio.run(run_it())
