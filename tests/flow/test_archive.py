"""The archives of accounts: XEP-0313, XEP-0359, XEP-0441, XEP-0334, XEP-0059."""

import asyncio
import datetime
import json
import re
import time

import pytest

from harness.client import Client
from harness.sm import enable
from harness.site import DOMAIN
from harness.stage import body, element, error, local_name
from harness.wait import wait_until

MAM, SID, RSM = "{urn:xmpp:mam:2}", "{urn:xmpp:sid:0}", "{http://jabber.org/protocol/rsm}"
FORWARDED, DELAY, MESSAGE = "{urn:xmpp:forward:0}forwarded", "{urn:xmpp:delay}delay", "{jabber:client}message"
DISCO = "<query xmlns='http://jabber.org/protocol/disco#info'/>"
METADATA = "<metadata xmlns='urn:xmpp:mam:2'/>"
UNKNOWN = "1234567890"


def conforms(section, what):
    return pytest.mark.conforms("XEP-0313", section, what)


def form(**fields):
    """The fields of a query; a list has several values, before_id is before-id."""
    inner = "".join(f"<field var='{name.replace('_', '-')}'>" + "".join(
        f"<value>{value}</value>" for value in (values if isinstance(values, list) else [values])) + "</field>"
        for name, values in fields.items())
    return ("<x xmlns='jabber:x:data' type='submit'><field var='FORM_TYPE' type='hidden'><value>urn:xmpp:mam:2</value>"
            f"</field>{inner}</x>")


def rsm(**asked):
    inner = "".join(element(name, {}, str(value)) if value != "" else f"<{name}/>" for name, value in asked.items())
    return f"<set xmlns='http://jabber.org/protocol/rsm'>{inner}</set>"


class Page:
    """What a query has found."""

    def __init__(self, results, answer):
        self.results, self.answer = results, answer
        self.ids = [result.get("id") for result in results]
        self.messages = [result.find(f"{FORWARDED}/{MESSAGE}") for result in results]
        self.bodies = [body(message) for message in self.messages]
        self.stamps = [result.find(f"{FORWARDED}/{DELAY}").get("stamp") for result in results]
        self.error = error(answer)
        fin = answer.find(MAM + "fin")
        if fin is not None:
            set = fin.find(RSM + "set")
            self.complete = fin.get("complete") == "true"
            self.first, self.last, self.count = [set.findtext(RSM + name) for name in ("first", "last", "count")]


def ask(actor, content="", queryid="q1", to=None, extra=""):
    """A query; all that comes before its answer must be its results."""
    id = actor.send_iq("set", f"<query xmlns='urn:xmpp:mam:2' queryid='{queryid}'{extra}>{content}</query>", to)
    results = []
    while True:
        got = actor.next()
        if local_name(got) == "iq" and got.get("id") == id:
            return Page(results, got)
        (result,) = got
        assert (result.tag, result.get("queryid")) == (MAM + "result", queryid)
        assert (got.get("from"), got.get("to")) == (actor.bare, actor.jid)
        results.append(result)


def stanza_ids(message):
    return [(one.get("by"), one.get("id")) for one in message.findall(SID + "stanza-id")]


def talk(stage, count=6):
    """(romeo, juliet) who have written to each other in turns."""
    romeo, juliet = stage.enter(), stage.enter()
    for number in range(count):
        writer, reader = (romeo, juliet) if number % 2 == 0 else (juliet, romeo)
        writer.send_message(reader.bare, str(number), id=f"m{number}")
        reader.expect("message", body=str(number))
    return romeo, juliet


@pytest.mark.tsan
@conforms("3.1", "in the order in which they passed the account")
@conforms("3.3.1", "a user's archive is at the bare JID, and has what the user has sent and received")
@conforms("4", "results come first, then the answer; the id of the query is in each")
@conforms("4.2", "results have the message as it came, with its id in the archive and the time")
def test_both_sides_have_it(stage):
    romeo, juliet = talk(stage)
    mine, hers = ask(romeo), ask(juliet, to=juliet.bare)
    assert mine.bodies == hers.bodies == [str(number) for number in range(6)]
    assert mine.complete and hers.complete and (mine.first, mine.last) == (mine.ids[0], mine.ids[-1])
    assert len(set(mine.ids)) == 6 and mine.ids == sorted(mine.ids, key=int)
    for page in (mine, hers):
        assert [(one.get("from"), one.get("id"), one.get("type")) for one in page.messages] == [
            ((romeo if number % 2 == 0 else juliet).jid, f"m{number}", "chat") for number in range(6)]
        assert all(re.fullmatch(r"20\d\d-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", stamp) for stamp in page.stamps)
        assert page.stamps == sorted(page.stamps)


@conforms("3.5", "a message that was archived says under which id; what its sender gets does not")
@pytest.mark.conforms("XEP-0359", "3", "at most one stanza-id by the account, forged ones are deleted, origin-id is kept")
def test_the_id_is_told(stage):
    romeo, juliet = stage.enter(), stage.enter()
    forged = (f"<stanza-id xmlns='urn:xmpp:sid:0' by='{juliet.bare}' id='f1'/>"
              f"<stanza-id xmlns='urn:xmpp:sid:0' by='{romeo.bare}' id='f2'/>"
              "<stanza-id xmlns='urn:xmpp:sid:0' by='room@rooms.test' id='r'/>"
              "<origin-id xmlns='urn:xmpp:sid:0' id='o'/>")
    romeo.send_message(juliet.jid, "hello", extra=forged)
    got = juliet.expect("message", body="hello")
    ((_, id),) = [one for one in stanza_ids(got) if one[0] == juliet.bare]
    assert sorted(stanza_ids(got)) == sorted([("room@rooms.test", "r"), (juliet.bare, id)])
    assert got.find(SID + "origin-id").get("id") == "o"
    assert ask(juliet).ids == [id]
    assert ask(romeo).bodies == ["hello"]
    romeo.send_message(juliet.jid, "no more than a headline", type="headline", extra=forged)
    assert stanza_ids(juliet.expect("message", type="headline")) == [("room@rooms.test", "r")]
    assert len(ask(juliet).ids) == 1


@conforms("6.1.1", "a message is archived once, however many clients get it, and also one to oneself")
def test_once_for_many_sessions(stage):
    romeo, juliet = stage.enter(), stage.enter(resource="one")
    other = stage.enter(juliet.bare, "two")
    stage.settle()
    romeo.send_message(juliet.bare, "to both")
    ids = {stanza_ids(who.expect("message", body="to both"))[0] for who in (juliet, other)}
    assert len(ids) == 1
    assert ask(juliet).bodies == ["to both"]
    juliet.send_message(juliet.bare, "a note")
    juliet.expect("message", body="a note")
    other.expect("message", body="a note")
    assert ask(juliet).bodies == ["to both", "a note"]
    assert ask(juliet, form(**{"with": juliet.bare})).bodies == ["a note"]


@conforms("6.1.1", "offline messages are in the archive, and come with their id there")
def test_while_nobody_is_there(stage):
    romeo, absent = stage.enter(), stage.account()
    romeo.send_message(absent, "one")
    romeo.send_message(f"{absent}/gone", "two")
    romeo.sync()
    juliet = stage.enter(absent, priority=None)
    page = ask(juliet)
    assert page.bodies == ["one", "two"]
    juliet.send_presence()
    got = [one for one in juliet.sync() if local_name(one) == "message"]
    assert [body(one) for one in got] == ["one", "two"]
    assert [stanza_ids(one) for one in got] == [[(absent, id)] for id in page.ids]


@conforms("6.1.1", "normal and chat with content are archived; groupchat, headlines, errors and states are not")
@pytest.mark.conforms("XEP-0334", "4.1", "no-permanent-store: not archived")
@pytest.mark.conforms("XEP-0334", "4.2", "no-store: not archived")
@pytest.mark.conforms("XEP-0334", "4.4", "store: archived, whatever it contains")
def test_what_is_archived(stage):
    romeo, juliet = stage.enter(), stage.enter()
    state = "<composing xmlns='http://jabber.org/protocol/chatstates'/>"
    for type in ("chat", "normal", "headline", "groupchat", "error"):
        romeo.send_message(juliet.jid, type, type=type)
    for hint in ("no-store", "no-permanent-store", "no-copy", "store"):
        romeo.send_message(juliet.jid, hint, extra=f"<{hint} xmlns='urn:xmpp:hints'/>")
    romeo.send_message(juliet.jid, extra=state, id="state")
    romeo.send_message(juliet.jid, extra=state + "<store xmlns='urn:xmpp:hints'/>", id="kept state")
    romeo.send_message(juliet.jid, extra="<received xmlns='urn:xmpp:receipts' id='x'/>", id="receipt")
    romeo.send_message(f"{juliet.bare}/nobody", "refused", type="normal")
    romeo.expect("message", type="error")
    stage.settle()
    kept = ["chat", "normal", "no-copy", "store", "kept state", "receipt"]
    assert [body(one) or one.get("id") for one in ask(juliet).messages] == kept
    assert [body(one) or one.get("id") for one in ask(romeo).messages] == [*kept, "refused"]


@conforms("4.1.1", "with: to or from that address, a bare one with every resource")
@conforms("4.1.2", "start and end: not earlier, not later")
def test_filters(stage):
    romeo, juliet = talk(stage)
    tybalt = stage.enter()
    romeo.send_message(tybalt.bare, "villain")
    page = ask(romeo)
    assert ask(romeo, form(**{"with": juliet.bare})).bodies == page.bodies[:6]
    assert ask(romeo, form(**{"with": juliet.jid})).bodies == ["1", "3", "5"]
    assert ask(romeo, form(**{"with": tybalt.bare.upper()})).bodies == ["villain"]
    assert ask(romeo, form(**{"with": "nobody@example.test"})).bodies == []
    assert ask(romeo, form(**{"with": romeo.bare})).bodies == [], "nothing to oneself"
    for fields, wanted in [({"start": page.stamps[2]}, lambda stamp: stamp >= page.stamps[2]),
                           ({"end": page.stamps[2]}, lambda stamp: stamp <= page.stamps[2]),
                           ({"start": page.stamps[1], "end": page.stamps[4]},
                            lambda stamp: page.stamps[1] <= stamp <= page.stamps[4]),
                           ({"start": "2001-01-01T00:00:00Z", "end": "1969-01-01T00:00:00Z"}, lambda _: False),
                           ({"start": "9999-01-01T00:00:00Z"}, lambda _: False),
                           ({"end": "9999-12-31T23:59:59+01:00"}, lambda _: True)]:
        found = ask(romeo, form(**fields))
        assert found.stamps == [stamp for stamp in page.stamps if wanted(stamp)], fields
        assert found.complete


@conforms("4.1.3", "before-id, after-id and ids; item-not-found when one of them is not there")
def test_by_id(stage):
    romeo, _ = talk(stage)
    ids = ask(romeo).ids
    assert ask(romeo, form(after_id=ids[1])).ids == ids[2:]
    assert ask(romeo, form(before_id=ids[4])).ids == ids[:4]
    assert ask(romeo, form(after_id=ids[1], before_id=ids[4])).ids == ids[2:4]
    assert ask(romeo, form(ids=[ids[4], ids[0], ids[4]])).ids == [ids[0], ids[4]]
    for fields in ({"ids": [ids[0], UNKNOWN]}, {"ids": "no id"}, {"before_id": UNKNOWN}, {"after_id": "x"},
                   {"after_id": "0" + ids[0]}):
        assert ask(romeo, form(**fields)).error == ("cancel", "item-not-found"), fields


@conforms("4.3", "pages with RSM: max, after, before, the last page, flipped; complete on the last alone")
@pytest.mark.conforms("XEP-0059", "2.2", "the next page begins behind the item that was named")
@pytest.mark.conforms("XEP-0059", "2.3", "the page before ends before the item that was named")
@pytest.mark.conforms("XEP-0059", "2.5", "an empty before asks for the last page")
@pytest.mark.conforms("XEP-0059", "2.7", "max 0 asks for the count alone")
def test_pages(stage):
    romeo, juliet = talk(stage, 7)
    ids = ask(romeo).ids

    def page(complete, wanted, content, extra=""):
        found = ask(romeo, content + extra)
        assert (found.ids, found.complete) == (wanted, complete), content
        chronological = sorted(wanted, key=int)
        assert (found.first, found.last) == ((chronological[0], chronological[-1]) if wanted else (None, None))
        return found

    flipped = "<flip-page/>"
    page(False, ids[:3], rsm(max=3))
    page(False, ids[3:6], rsm(max=3, after=ids[2]))
    page(True, ids[6:], rsm(max=3, after=ids[5]))
    page(True, [], rsm(max=3, after=ids[6]))
    page(False, ids[4:], rsm(max=3, before=""))
    page(False, ids[1:4], rsm(max=3, before=ids[4]))
    page(True, ids[:1], rsm(max=3, before=ids[1]))
    page(False, ids[2::-1], rsm(max=3), flipped)
    page(False, ids[:3:-1], rsm(max=3, before=""), flipped)
    page(False, ids[5:6], form(after_id=ids[0]) + rsm(max=1, before=ids[6]))
    assert page(False, [], rsm(max=0)).count == "7"
    assert page(False, [], form(**{"with": juliet.jid}) + rsm(max=0)).count == "3"
    assert page(True, ids, rsm(max=7)).count == "7"
    assert page(True, ids, rsm(max=99999999999999999999)).answer.find(f".//{RSM}first").get("index") == "0"
    for wrong in (rsm(max=3, after=UNKNOWN), rsm(max=3, before="nonsense"), rsm(max=0, after=UNKNOWN)):
        assert ask(romeo, wrong).error == ("cancel", "item-not-found")


@conforms("4.3.1", "the server limits a page; the client asks for the next")
def test_a_long_archive(stage):
    romeo, juliet = stage.enter(), stage.enter(priority=None)
    count, large = 520, "x" * 3000
    for number in range(count):
        romeo.send_message(juliet.bare, f"{number}.{large if number % 7 == 0 else ''}")
        if number % 100 == 0:
            romeo.sync()
    romeo.sync()
    seen, after = [], {}
    while True:
        page = ask(juliet, rsm(max=100000, **after))
        seen += [text.split(".")[0] for text in page.bodies]
        if page.complete:
            break
        assert len(page.ids) == 250
        after = {"after": page.last}
    assert seen == [str(number) for number in range(count)]
    assert len(ask(juliet).ids) == 50
    assert ask(juliet, rsm(max=250, before="") + "<flip-page/>").bodies[0].startswith(f"{count - 1}.")


@conforms("4.1.5", "the form has all fields, none is required, ids are open")
@conforms("4.1.5", "a field that nobody knows is answered by feature-not-implemented")
def test_the_form(stage):
    romeo = stage.enter()
    answer = romeo.request("get", "<query xmlns='urn:xmpp:mam:2'/>")
    fields = answer.find(f"{MAM}query/{{jabber:x:data}}x")
    assert {one.get("var"): one.get("type") for one in fields} == {
        "FORM_TYPE": "hidden", "with": "jid-single", "start": "text-single", "end": "text-single",
        "before-id": "text-single", "after-id": "text-single", "ids": "list-multi", "include-groupchat": "boolean"}
    assert not list(fields.iter("{jabber:x:data}required"))
    assert fields.find(".//{http://jabber.org/protocol/xdata-validate}open") is not None
    assert ask(romeo, form(**{"{urn:test}x": "y"})).error[1] == "feature-not-implemented"
    assert ask(romeo, form(include_groupchat="true")).complete


@conforms("5", "metadata: the first and the last message; nothing of an empty archive")
def test_metadata(stage):
    nobody = stage.enter()
    assert len(nobody.request("get", METADATA).find(MAM + "metadata")) == 0
    romeo, _ = talk(stage)
    page = ask(romeo)
    assert [(local_name(end), end.get("id"), end.get("timestamp")) for end in
            romeo.request("get", METADATA).find(MAM + "metadata")] == [
        ("start", page.ids[0], page.stamps[0]), ("end", page.ids[-1], page.stamps[-1])]


@conforms("7", "the account says that it has an archive")
@pytest.mark.conforms("XEP-0359", "5", "the account says that it assigns ids")
def test_features(stage):
    romeo = stage.enter()
    features = [one.get("var") for one in romeo.request("get", DISCO, romeo.bare).iter() if one.get("var")]
    assert {"urn:xmpp:mam:2", "urn:xmpp:mam:2#extended", "urn:xmpp:mam:2#groupchat-field", "urn:xmpp:sid:0",
            "http://jabber.org/protocol/rsm"} <= set(features)
    assert "urn:xmpp:mam:2" not in [one.get("var") for one in romeo.request("get", DISCO, DOMAIN).iter()]


@conforms("8.1", "nobody but the owner: forbidden, whether there is such an account or not")
def test_nobody_else_may_ask(stage):
    romeo, juliet = stage.enter(interested=True), stage.enter(interested=True)
    stage.befriend(romeo, juliet)
    juliet.send_message(juliet.bare, "secret")
    juliet.expect("message", body="secret")
    for whom in (juliet.bare, f"nobody@{DOMAIN}"):
        assert ask(romeo, to=whom).error == ("auth", "forbidden")
        assert error(romeo.request("get", METADATA, whom)) == ("auth", "forbidden")
        assert error(romeo.request("get", "<prefs xmlns='urn:xmpp:mam:2'/>", whom)) == ("auth", "forbidden")
    assert ask(romeo).bodies == []
    assert ask(romeo, to=DOMAIN).error[1] == "service-unavailable"


def prefs(actor, default=None, always=(), never=()):
    """(default, always, never) after they were set, or as they are."""
    lists = "".join(f"<{name}>" + "".join(f"<jid>{jid}</jid>" for jid in jids) + f"</{name}>"
                    for name, jids in (("always", always), ("never", never)))
    answer = actor.request("set" if default else "get", element("prefs", {"xmlns": "urn:xmpp:mam:2", "default": default},
                                                                lists if default else ""))
    found = answer.find(MAM + "prefs")
    if found is None:
        return error(answer)[1]
    return (found.get("default"), *[[jid.text for jid in found.find(MAM + name)] for name in ("always", "never")])


@pytest.mark.conforms("XEP-0441", "2.1", "preferences are kept, and answered with both lists")
@pytest.mark.conforms("XEP-0441", "2.1.1", "always, never and roster")
@pytest.mark.conforms("XEP-0441", "2.3.1", "a bare address is every resource, a full one itself alone")
def test_preferences(stage):
    romeo, juliet, tybalt = stage.enter(), stage.enter(interested=True), stage.enter()
    assert prefs(juliet) == ("always", [], [])

    def kept():
        for who in (romeo, tybalt):
            for to in (juliet.bare, juliet.jid):
                who.send_message(to, f"{len(told)}")
                juliet.expect("message", body=f"{len(told)}")
                told.append(who)
        return [told[int(text)] for text in ask(juliet).bodies]

    told = []
    assert prefs(juliet, "never") == ("never", [], [])
    assert kept() == []
    assert prefs(juliet, "never", always=[tybalt.jid.upper().replace(tybalt.jid.split("/")[1].upper(),
                                                                     tybalt.jid.split("/")[1])]) == (
        "never", [tybalt.jid], [])
    assert kept() == [tybalt] * 2
    assert prefs(juliet, "always", never=[tybalt.bare]) == ("always", [], [tybalt.bare])
    assert kept() == [tybalt] * 2 + [romeo] * 2
    assert juliet.roster_set(romeo.bare).get("type") == "result"
    stage.settle()
    assert prefs(juliet, "roster") == ("roster", [], [])
    assert kept() == [tybalt] * 2 + [romeo] * 4
    stage.remove(juliet)
    juliet = stage.enter(juliet.bare)
    assert prefs(juliet) == ("roster", [], [])
    assert prefs(juliet, "sometimes") == "bad-request"
    assert prefs(juliet, "always", never=["@"]) == "jid-malformed"
    assert prefs(juliet, "always", never=[f"user{number}@{DOMAIN}" for number in range(1001)]) == "policy-violation"
    assert prefs(juliet) == ("roster", [], [])


def test_hostile_queries(stage):
    romeo, _ = talk(stage, 4)
    garbage = ["", "yesterday", "2026-13-45T99:99:99Z", "2026-01-01", "99999999999999999999", "<b/>"]
    for value in garbage:
        for name in ("start", "end"):
            assert ask(romeo, form(**{name: value})).error[1] == "bad-request", value
    for wrong in ("-1", "x", "", "1.5"):
        assert ask(romeo, f"<set xmlns='http://jabber.org/protocol/rsm'><max>{wrong}</max></set>").error[1] == "bad-request"
    assert ask(romeo, form(**{"with": "@"})).error[1] == "jid-malformed"
    assert ask(romeo, form(ids=[UNKNOWN] * 501)).error[1] == "policy-violation"
    assert ask(romeo, form(ids=[])).error[1] == "bad-request"
    assert ask(romeo, rsm(index=1)).error[1] == "feature-not-implemented"
    assert ask(romeo, "<x xmlns='jabber:x:data' type='submit'><field var='with'><value>a@b</value></field></x>"
               ).error[1] == "bad-request"
    assert ask(romeo, form().replace("urn:xmpp:mam:2", "urn:test")).error[1] == "bad-request"
    assert ask(romeo, extra=" node='x'").error[1] == "item-not-found"
    assert error(romeo.request("set", "<other xmlns='urn:xmpp:mam:2'/>"))[1] == "bad-request"
    assert len(ask(romeo).ids) == 4


def test_thousands_of_queries(stage):
    """They are answered one after the other; who asks for too many at once is told so, and nobody else waits."""
    romeo, juliet = talk(stage, 4)
    count = 2000
    romeo.send("".join(f"<iq type='set' id='many{number}'><query xmlns='urn:xmpp:mam:2' queryid='{number}'/></iq>"
                       for number in range(count)))
    juliet.send_message(romeo.jid, "are you there?")
    answers, results, came = {}, {}, False
    while len(answers) < count or not came:
        got = romeo.next()
        if local_name(got) == "iq":
            answers[got.get("id")] = got.get("type")
        elif got.find(MAM + "result") is not None:
            queryid = got.find(MAM + "result").get("queryid")
            results[queryid] = results.get(queryid, 0) + 1
            assert f"many{queryid}" not in answers, "the answer comes last"
        else:
            came = True
    answered = [id for id, type in answers.items() if type == "result"]
    assert len(answered) >= 128
    assert all(results.get(id.removeprefix("many")) in (4, 5) for id in answered)
    assert len(results) == len(answered)


def test_a_client_that_does_not_read(stage):
    """Its results wait in the store, not in memory; when it is gone nothing is left of its query."""
    romeo, juliet = stage.enter(), stage.enter(priority=None)
    for number in range(120):
        romeo.send_message(juliet.bare, "x" * 60000)
    romeo.sync()
    reader = stage.enter(juliet.bare, priority=None)
    for number in range(40):
        reader.send_iq("set", f"<query xmlns='urn:xmpp:mam:2'>{rsm(max=250)}</query>")
    reader.tcp.close()
    stage.parties.remove(reader)
    wait_until(lambda: reader.jid not in {who["jid"] for who in sessions(stage)}, "the session has ended")
    assert len(ask(juliet, rsm(max=250)).ids) == 120


def sessions(stage):
    return json.loads(stage.site.backend.ctl("--json", "sessions"))


def test_results_are_for_one_session_alone(stage):
    """What a client has not acknowledged of a page goes to nobody else, and is not stored."""
    romeo, juliet = talk(stage, 4)
    other = stage.enter(juliet.bare, priority=None)
    enable(other)
    assert len(ask(other).ids) == 4
    stage.remove(other)
    juliet.nothing()
    stage.remove(juliet)
    again = stage.enter(juliet.bare, priority=None)
    again.send_presence()
    assert [one for one in again.sync() if local_name(one) == "message"] == []


def test_with_slixmpp(backend_site):
    """A client that people use finds its history, page by page."""
    backend_site.add_account("viola", "secret")
    backend_site.add_account("orsino", "secret")

    async def run():
        async with Client(f"viola@{DOMAIN}", "secret", backend_site.cert) as viola, \
                Client(f"orsino@{DOMAIN}", "secret", backend_site.cert) as orsino:
            for one in (viola, orsino):
                one.register_plugin("xep_0313")
                await one.connect_to("127.0.0.1", backend_site.c2s_direct)
            for number in range(25):
                await viola.chat(orsino, str(number))
            mam = orsino["xep_0313"]
            start = datetime.datetime(2020, 1, 1, tzinfo=datetime.timezone.utc)
            seen = []
            iterator = mam.retrieve(with_jid=viola.boundjid.bare, start=start, iterator=True, rsm={"max": 10})
            async for page in iterator:
                seen += [one["mam_result"]["forwarded"]["stanza"]["body"] for one in page["mam"]["results"]]
            assert seen == [str(number) for number in range(25)]

    asyncio.run(run())


def test_what_a_hostile_client_names_its_messages(stage):
    """Taking out what claims to be the server's takes no longer than reading it."""
    romeo, juliet = stage.enter(), stage.enter()
    seconds = []
    for forged in (f"<i:stanza-id by='{romeo.bare}x'/>", f"<i:stanza-id by='{juliet.bare}'/>"):
        began = time.monotonic()
        romeo.send_message(juliet.jid, "hello", extra="<i:stanza-id by='A@b'/>" * 3500 + forged * 3500,
                           **{"xmlns:i": "urn:xmpp:sid:0"})
        got = juliet.expect("message", body="hello")
        seconds.append(time.monotonic() - began)
        assert [by for by, _ in stanza_ids(got) if by == juliet.bare] == [juliet.bare]
    assert seconds[1] < 5 * seconds[0] + 1, seconds


def test_queries_are_not_kept_as_large_as_they_come(stage):
    romeo, _ = talk(stage)
    refused = ask(romeo, queryid="q" * 3000)
    assert refused.error == ("modify", "policy-violation")
    assert ask(romeo, queryid="q" * 1000, content=rsm(max=2)).bodies == ["0", "1"]
