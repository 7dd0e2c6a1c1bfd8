"""Stream management (XEP-0198): what an acknowledgement means, and sessions that outlive their connection."""

import time

import pytest

from harness.rawxmpp import Closed
from harness.site import DOMAIN, Site
from harness.sm import (SM, acknowledged, bodies, cut, detached, enable, next_sm, reconnect, resume, sm, unacknowledged,
                        wait_acknowledged)
from harness.stage import PASSWORD, Stage, bare, body, local_name
from harness.wait import wait_until


@pytest.fixture(scope="module", params=[1, 4], ids=["one shard", "four shards"])
def site(request):
    shared = Site(backend_extra=f"shards = {request.param}\nunacked-stanzas = 50\nresume-timeout = 5m\n")
    try:
        shared.backend.start()
        yield shared
    finally:
        shared.stop()


@pytest.fixture(scope="module", params=[1, 4], ids=["one shard", "four shards"])
def hasty(request):
    """One that waits for nobody."""
    shared = Site(backend_extra=f"shards = {request.param}\nresume-timeout = 4s\nack-timeout = 1s\n")
    try:
        shared.backend.start()
        yield shared
    finally:
        shared.stop()


@pytest.fixture
def hasty_stage(hasty):
    with Stage(hasty) as one:
        yield one


@pytest.fixture
def stage(site):
    with Stage(site) as one:
        yield one


def bind(actor):
    answer = actor.command("<iq type='set' id='bind'><bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'/></iq>")
    return answer.get("type") == "result"


@pytest.mark.conforms("XEP-0198", "3", "offered after authentication, enabled after binding")
def test_enable(stage):
    romeo = stage.enter(priority=None)
    features = reconnect(stage, romeo.jid).features
    assert features.find(f"{{{SM}}}sm") is not None
    romeo.send(sm("enable", resume="1"))
    enabled = romeo.next()
    assert enabled.tag == f"{{{SM}}}enabled" and enabled.get("resume") == "true" and enabled.get("max") == "300"


def condition(failed):
    assert failed.tag == f"{{{SM}}}failed"
    return local_name(failed[0])


@pytest.mark.conforms("XEP-0198", "3", "a second <enable/> ends the stream")
def test_enable_twice(stage):
    romeo = stage.enter()
    previd = enable(romeo)
    stage.parties.remove(romeo)
    romeo.send(sm("enable"))
    assert romeo.next()[0].tag.endswith("policy-violation")
    _, answer = resume(stage, romeo.jid, previd, 0)
    assert condition(answer) == "item-not-found"


@pytest.mark.conforms("XEP-0198", "6", "what comes too early or is wrong is answered by <failed/>, and the stream goes on")
@pytest.mark.conforms("XEP-0198", "10", "nobody resumes a session before authentication")
def test_failures_are_recoverable(stage):
    romeo = stage.enter()
    previd = enable(romeo)
    other = stage.connect()
    other.open(DOMAIN)
    for early in (sm("enable"), sm("resume", previd=previd, h=0), sm("r")):
        assert condition(other.command(early)) == "unexpected-request"
    other.authenticate(bare(romeo.jid).split("@")[0], PASSWORD, "PLAIN")
    other.open(DOMAIN)
    for early in (sm("enable"), sm("r"), sm("a", h=0)):
        assert condition(other.command(early)) == "unexpected-request"
    for wrong in (sm("resume", previd=previd), sm("resume", h=0), sm("resume", previd=previd, h="x")):
        assert condition(other.command(wrong)) == "bad-request"
    assert bind(other)
    for unasked in (sm("r"), sm("a", h=0), sm("resume", previd=previd, h=0)):
        assert condition(other.command(unasked)) == "unexpected-request"
    assert other.command(sm("enable")).tag == f"{{{SM}}}enabled"
    assert condition(other.command(sm("resume", previd=previd, h=0))) == "unexpected-request"
    other.tcp.close()


@pytest.mark.conforms("XEP-0198", "3", "not before binding")
def test_enable_before_binding_is_refused(stage):
    romeo = stage.enter(priority=None)
    other = reconnect(stage, romeo.jid)
    assert other.command(sm("enable")).tag == f"{{{SM}}}failed"
    assert bind(other)


@pytest.mark.conforms("XEP-0198", "4", "h counts stanzas, not other elements")
def test_count(stage):
    romeo = stage.enter()
    enable(romeo)
    assert acknowledged(romeo) == 0
    for _ in range(3):
        romeo.send_presence(inner="<show>away</show>")
    romeo.request("get", "<ping xmlns='urn:xmpp:ping'/>", to=DOMAIN)
    wait_acknowledged(romeo, 4)


@pytest.mark.conforms("RFC 6120", "4.9.3.21", "undefined-condition with one of its own")
@pytest.mark.conforms("RFC 6120", "4.9.4", "a condition of an extension stands beside it")
@pytest.mark.conforms("XEP-0198", "4", "an h that is too high ends the stream")
def test_too_high(stage):
    romeo = stage.enter()
    enable(romeo)
    romeo.send(sm("a", h="7"))
    error = romeo.next()
    assert local_name(error) == "error"
    assert error.find(f"{{{SM}}}handled-count-too-high").attrib == {"h": "7", "send-count": "0"}


def test_malformed_counts(stage):
    for text in ("", "-1", "4294967296", "x", " 1"):
        romeo = stage.enter()
        enable(romeo)
        romeo.send(sm("a", h=text))
        assert local_name(romeo.next()) == "error"


def test_the_count_waits_for_the_recipient(stage):
    """A message counts when its recipient has acknowledged it; after half a second when it is stored."""
    romeo, juliet = stage.enter(), stage.enter()
    enable(romeo), enable(juliet)
    romeo.send_message(juliet.jid, "one")
    assert bodies(next_sm(juliet, "r")[1]) == ["one"]
    juliet.send(sm("a", h=1))
    began = time.monotonic()
    wait_acknowledged(romeo, 1)
    romeo.send_message(juliet.jid, "two")
    assert bodies(next_sm(juliet, "r")[1]) == ["two"]
    assert acknowledged(romeo) == 1 or time.monotonic() - began > 0.5
    wait_acknowledged(romeo, 2)  # by the store
    juliet.send(sm("a", h=2))
    juliet.nothing()


def test_who_answers_with_an_old_count_is_not_asked_at_once_again(stage):
    romeo, juliet = stage.enter(), stage.enter()
    enable(juliet)
    romeo.send_message(juliet.jid, "one")
    next_sm(juliet, "r")
    began = time.monotonic()
    for _ in range(3):
        juliet.send(sm("a", h=0))
    _, passed = next_sm(juliet, "r")
    assert time.monotonic() - began > 0.9 and passed == []
    juliet.send(sm("a", h=1))
    romeo.send_message(juliet.jid, "two")
    assert bodies(next_sm(juliet, "r")[1]) == ["two"]


def test_an_answer_that_was_short_is_followed_by_the_rest(stage):
    romeo, juliet = stage.enter(), stage.enter()
    enable(romeo), enable(juliet)
    romeo.send_message(juliet.jid, "one")
    romeo.send(sm("r"))
    first = int(next_sm(romeo, "a")[0].get("h"))
    if first == 0:
        assert int(next_sm(romeo, "a")[0].get("h")) == 1


@pytest.mark.tsan
@pytest.mark.conforms("XEP-0198", "5", "resumption: what was not acknowledged comes again, once, in order")
def test_resume(stage, site):
    romeo, juliet = stage.enter(), stage.enter()
    previd = enable(juliet)
    for text in ("a", "b"):
        romeo.send_message(juliet.jid, text)
    stage.remove(romeo)
    next_sm(juliet, "r")
    juliet.send(sm("a", h=1))
    juliet.sync()
    cut(juliet)
    stage.parties.remove(juliet)
    detached(site, juliet.jid)
    romeo = stage.enter()
    for text in ("c", "d"):
        romeo.send_message(juliet.jid, text)
    romeo.sync()
    again, answer = resume(stage, juliet.jid, previd, 3)
    assert answer.tag == f"{{{SM}}}resumed" and answer.get("previd") == previd and answer.get("h") == "1"
    _, came = next_sm(again, "r")
    assert bodies(came) == ["c", "d"]
    assert all(one.find("{urn:xmpp:delay}delay").get("from") == DOMAIN for one in came if body(one))
    again.send(sm("a", h=5))
    again.nothing()
    romeo.send_message(again.jid, "e")
    assert bodies(next_sm(again, "r")[1]) == ["e"]


def test_resume_while_the_old_connection_seems_alive(stage):
    juliet = stage.enter()
    previd = enable(juliet)
    stage.parties.remove(juliet)
    again, answer = resume(stage, juliet.jid, previd, 0)
    assert answer.tag == f"{{{SM}}}resumed"
    assert b"<conflict" in juliet.receive_all()[0]
    again.send_message(again.jid, "to myself")
    assert bodies(next_sm(again, "r")[1]) == ["to myself"]


@pytest.mark.conforms("XEP-0198", "5", "a session that is not there, or another user's")
def test_resume_of_nothing(stage, site):
    juliet, romeo = stage.enter(), stage.enter()
    previd = enable(juliet)
    for jid, id in ((juliet.jid, "0" * 32), (juliet.jid, ""), (romeo.jid, previd)):
        again, answer = resume(stage, jid, id, 0)
        assert answer.tag == f"{{{SM}}}failed" and answer[0].tag.endswith("item-not-found")
        assert bind(again)
        again.tcp.close()


@pytest.mark.conforms("XEP-0198", "6", "an h that is too high resumes nothing, and does the session no harm")
@pytest.mark.conforms("XEP-0198", "4", "nor may what was acknowledged be taken back")
def test_resume_with_a_wrong_count(stage):
    juliet, romeo = stage.enter(), stage.enter()
    previd = enable(juliet)
    came = []
    for text in ("one", "two"):
        romeo.send_message(juliet.jid, text)
    while "two" not in bodies(came):
        came.append(juliet.next())
    juliet.send(sm("a", h=2))
    assert acknowledged(juliet) == 0
    for h in (1, 3, 4294967295):
        again, answer = resume(stage, juliet.jid, previd, h)
        assert local_name(answer) == "error"
        assert answer.find(f"{{{SM}}}handled-count-too-high").get("h") == str(h)
    romeo.send_message(juliet.jid, "three")
    while "three" not in bodies(came):
        came.append(juliet.next())
    stage.parties.remove(juliet)
    _, answer = resume(stage, juliet.jid, previd, 3)
    assert answer.tag == f"{{{SM}}}resumed"


@pytest.mark.tsan
@pytest.mark.conforms("XEP-0198", "5", "of two that resume a session the later one has it, and it goes on once")
def test_two_resumptions_at_once(stage):
    juliet, romeo = stage.enter(), stage.enter()
    previd = enable(juliet)
    romeo.send_message(juliet.jid, "one")
    romeo.sync()
    stage.parties.remove(juliet)
    rivals = [reconnect(stage, juliet.jid) for _ in range(4)]
    for rival in rivals:
        rival.send(sm("resume", previd=previd, h=0))
    came = []
    for rival in rivals:
        came.append([])
        try:
            while not (came[-1] and local_name(came[-1][-1]) in ("r", "error")):
                came[-1].append(rival.next())
        except Closed:
            pass
    assert all(one[0].tag == f"{{{SM}}}resumed" and bodies(one) == ["one"] for one in came)
    alive = []
    for rival in rivals:
        rival.send(sm("r"))
        try:
            while (got := rival.next()).tag != f"{{{SM}}}a" and local_name(got) != "error":
                pass
            if local_name(got) == "a":
                alive.append(rival)
            else:
                assert got[0].tag.endswith("conflict")
        except Closed:
            pass
    assert len(alive) == 1
    alive[0].jid = juliet.jid
    stage.parties.append(alive[0])
    alive[0].send(sm("a", h=1))
    romeo.send_message(juliet.jid, "two")
    assert bodies(next_sm(alive[0], "r")[1]) == ["two"]


@pytest.mark.tsan
def test_what_is_left_goes_to_the_other_session(hasty_stage, hasty):
    juliet = hasty_stage.enter(priority=5)
    enable(juliet)
    other = hasty_stage.enter(juliet.jid, priority=1)
    romeo = hasty_stage.enter()
    hasty_stage.parties.remove(juliet)
    cut(juliet)
    detached(hasty, juliet.jid)
    for text in ("a", "b"):
        romeo.send_message(bare(juliet.jid), text)
    romeo.sync()
    wait_until(lambda: hasty.backend.log(event="session_expired", jid=juliet.jid), "the end of the session")
    came = []
    while len(bodies(came)) < 2:
        came.append(other.next())
    assert bodies(came) == ["a", "b"]


def test_too_much_for_a_detached_session(stage, site):
    juliet = stage.enter()
    enable(juliet)
    romeo = stage.enter()
    stage.parties.remove(juliet)
    cut(juliet)
    detached(site, juliet.jid)
    for number in range(51):
        romeo.send_message(juliet.jid, str(number), type="headline")
    wait_until(lambda: unacknowledged(site, juliet.jid) in (None, 51), "all have arrived")
    for number in range(9):
        romeo.send_message(juliet.jid, str(number), type="headline")
    line = site.backend.wait_log(event="session_expired", jid=juliet.jid)
    assert line["unacknowledged"] == "51"


def test_a_client_that_does_not_answer_is_detached(hasty_stage, hasty):
    juliet, romeo = hasty_stage.enter(), hasty_stage.enter()
    previd = enable(juliet)
    hasty_stage.parties.remove(juliet)
    romeo.send_message(juliet.jid, "are you there?")
    detached(hasty, juliet.jid)
    hasty.backend.wait_log(event="stream_end", reason="silent", jid=bare(juliet.jid))
    again, answer = resume(hasty_stage, juliet.jid, previd, 0)
    assert answer.tag == f"{{{SM}}}resumed"
    assert bodies(next_sm(again, "r")[1]) == ["are you there?"]


def test_a_new_session_with_the_resource_ends_the_one_that_waits(stage, site):
    juliet = stage.enter(resource="balcony")
    previd = enable(juliet)
    stage.parties.remove(juliet)
    cut(juliet)
    detached(site, juliet.jid)
    stage.enter(juliet.jid, resource="balcony")
    _, answer = resume(stage, juliet.jid, previd, 0)
    assert answer.tag == f"{{{SM}}}failed"


@pytest.mark.conforms("XEP-0198", "7", "a stream that was closed is over, and its session with it")
def test_a_client_that_closes_its_stream_is_not_waited_for(stage):
    juliet = stage.enter()
    previd = enable(juliet)
    stage.remove(juliet)
    _, answer = resume(stage, juliet.jid, previd, 0)
    assert answer.tag == f"{{{SM}}}failed"


def test_a_changed_password_ends_a_session_that_waits(stage, site):
    juliet = stage.enter()
    previd = enable(juliet)
    stage.parties.remove(juliet)
    cut(juliet)
    detached(site, juliet.jid)
    site.backend.ctl("passwd", bare(juliet.jid), stdin=PASSWORD + "\n")
    _, answer = resume(stage, juliet.jid, previd, 0)
    assert answer.tag == f"{{{SM}}}failed"


@pytest.mark.tsan
def test_many_messages_between_two_with_sm(stage):
    romeo, juliet = stage.enter(), stage.enter()
    enable(romeo), enable(juliet)
    total, got = 300, []
    for number in range(total):
        romeo.send_message(juliet.jid, str(number))
        if number % 10 == 9:
            while len(got) <= number:
                one = juliet.next()
                if local_name(one) == "message":
                    got.append(body(one))
                elif one.tag == f"{{{SM}}}r":
                    juliet.send(sm("a", h=len(got)))
    assert got == [str(number) for number in range(total)]
    wait_acknowledged(romeo, total)


def test_closed_with_an_error_when_too_much_is_unacknowledged(stage):
    romeo, juliet = stage.enter(), stage.enter()
    enable(juliet)
    stage.parties.remove(juliet)
    for number in range(60):
        romeo.send_message(juliet.jid, str(number), type="headline")
    came = []
    with pytest.raises(Closed):
        while True:
            came.append(juliet.next())
    assert local_name(came[-1]) == "error" and local_name(came[-1][0]) == "resource-constraint"
    assert len(bodies(came)) == 51


@pytest.mark.tsan
def test_an_orderly_stop_keeps_what_was_not_acknowledged(own_site):
    """One session is connected, one is detached; both have messages in memory only when the server is told to stop."""
    site = own_site(backend_extra="shards = 4\n")
    site.backend.start()
    with Stage(site) as stage:
        juliet, nurse, romeo = stage.enter("juliet"), stage.enter("nurse"), stage.enter("romeo")
        enable(juliet), enable(nurse)
        cut(nurse)
        stage.parties.remove(nurse)
        detached(site, nurse.jid)
        for to in (juliet, nurse):
            for text in ("one", "two"):
                romeo.send_message(to.jid, text)
        romeo.sync()
        site.backend.stop()
        stage.parties.clear()
    site.backend.start()
    with Stage(site) as stage:
        for name in ("juliet", "nurse"):
            actor = stage.enter(name)
            came = actor.own_presence
            while len(bodies(came)) < 2:
                came.append(actor.next())
            assert bodies(came) == ["one", "two"]


@pytest.mark.parametrize("how", ["closed", "broken"])
def test_a_session_ends_with_what_has_no_way_back(stage, how):
    """A push, and errors from addresses that are none, were sent to it and not acknowledged."""
    juliet = stage.enter()
    enable(juliet, resume=False)
    juliet.roster()
    juliet.roster_set("romeo@montague.example")
    for to in ("@/", f"ro meo@{DOMAIN}"):
        juliet.send(f"<iq type='get' id='i' to='{to}'><query xmlns='urn:example:x'/></iq>")
        juliet.send(f"<message to='{to}' id='m'><body>x</body></message>")
    juliet.sync()
    stage.parties.remove(juliet)
    if how == "closed":
        juliet.leave()
    else:
        juliet.tcp.close()
    again = stage.enter(juliet.jid, "again")
    assert set(again.roster()) == {"romeo@montague.example"}


def test_what_was_for_one_resource_only_is_not_refused_when_it_breaks(hasty_stage, hasty):
    """A normal message to a full address: its sender was told that it is safe, so it is for who comes next."""
    juliet, romeo = hasty_stage.enter(), hasty_stage.enter()
    enable(juliet)
    enable(romeo)
    hasty_stage.parties.remove(juliet)
    cut(juliet)
    detached(hasty, juliet.jid)
    romeo.send_message(juliet.jid, "safe", type="normal")
    wait_acknowledged(romeo, 1)
    wait_until(lambda: hasty.backend.log(event="session_expired", jid=juliet.jid), "the end of the session")
    again = hasty_stage.enter(bare(juliet.jid), priority=None)
    again.send_presence()
    assert bodies(again.sync()) == ["safe"]
    assert bodies(romeo.sync()) == []
