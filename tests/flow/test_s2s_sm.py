"""Stream management between servers (XEP-0198): what an acknowledgement means, and streams that outlive their
connection, against servers in which the test does every step itself."""

import time
import xml.etree.ElementTree as ElementTree

import pytest

from harness.place import Place
from harness.ports import reserve_port
from harness.rawserver import RawServer
from harness.site import DOMAIN, Site
from harness.sm import SM, bodies, enable, sm, wait_acknowledged
from harness.stage import Stage, body, local_name, number
from harness.wait import wait_until

conforms = pytest.mark.conforms
EACH = 4  # broken streams of a domain that wait at once
AREAS = {"peers.test": "127.0.0.12", "others.test": "127.0.0.13"}


class World:
    """The site, and where other servers are: every test has some of its own, so that it knows nothing of those
    before."""

    def __init__(self, extra):
        self.place, self.port = Place(), reserve_port()
        self.ports = {area: reserve_port() for area in AREAS}
        self.files = {area: self.place.certificate(area, [f"*.{area}"]) for area in AREAS}
        authorities = self.place.write("authorities.pem", "".join(cert.read_text() for cert, _ in self.files.values()))
        remotes = "".join(f'remote "*.{area}" {{ address = "{address}:{self.ports[area]}" }}\n'
                          for area, address in AREAS.items())
        self.site = Site(backend_extra=f"""
            s2s = true
            s2s-ca = "{authorities}"
            listener "s2s" {{ address = "127.0.0.1:{self.port}" serve = servers }}
            {remotes}{extra}""")

    def server(self, area):
        server = RawServer(f"server{number()}.{area}", AREAS[area], self.ports[area], self.files[area])
        server.refuses = False
        return server

    def count(self, counter):
        return self.site.backend.counter(counter)

    def open(self, server, **arguments):
        """A stream of the other server's to us, with its certificate as proof."""
        link = server.connect("127.0.0.1", self.port, DOMAIN, **arguments)
        link.external()
        return link

    def stop(self):
        self.site.stop()
        self.place.remove()


@pytest.fixture(scope="module", params=[1, 4], ids=["one shard", "four shards"])
def world(request):
    one = World(f"shards = {request.param}\ns2s-resume-timeout = 60s\n")
    try:
        one.site.backend.start()
        yield one
    finally:
        one.stop()


@pytest.fixture
def stage(world):
    with Stage(world.site) as one:
        yield one


@pytest.fixture
def peer(world):
    with world.server("peers.test") as server:
        yield server


def condition(failed):
    assert failed.tag == f"{{{SM}}}failed", ElementTree.tostring(failed, "unicode")
    return local_name(failed[0])


def texts(prefix, first, last):
    return [f"{prefix}{i}" for i in range(first, last + 1)]


def received(link, count):
    """The bodies of the next messages."""
    return [body(link.next_of("message")) for _ in range(count)]


def taken(link):
    """We have what came, and the server knows."""
    link.ack()
    link.ask()


# Streams that the other server has opened


@conforms("XEP-0198", "2", "offered between servers once the other server has proved its domain")
def test_offered(world, peer):
    link = peer.connect("127.0.0.1", world.port, DOMAIN)
    assert not link.offers("sm") and link.offers("mechanisms")
    link.external()
    assert link.offers("sm")
    enabled = link.enable()
    assert enabled.get("resume") == "true" and enabled.get("max") == "60"
    link.close()


@conforms("XEP-0198", "3", "not before authentication, between servers as well")
def test_too_early(world, peer):
    link = peer.connect("127.0.0.1", world.port, DOMAIN)
    for early in (sm("enable"), sm("resume", previd="x", h=0), sm("r")):
        assert condition(link.command(early)) == "unexpected-request"
    link.external()
    for unasked in (sm("r"), sm("a", h=0)):
        assert condition(link.command(unasked)) == "unexpected-request"
    for wrong in (sm("resume", previd="x"), sm("resume", h=0), sm("resume", previd="x", h="-1")):
        assert condition(link.command(wrong)) == "bad-request"
    assert condition(link.command(sm("resume", previd="x", h=0))) == "item-not-found"
    link.enable()
    assert condition(link.command(sm("resume", previd="x", h=0))) == "unexpected-request"
    link.close()


@conforms("XEP-0198", "3", "a second <enable/> ends a stream between servers")
def test_enable_twice(world, peer):
    link = world.open(peer)
    link.enable()
    link.send(sm("enable"))
    assert link.stream_error()[0] == "policy-violation"


@conforms("XEP-0198", "4", "h counts the stanzas of another server once they are safe")
def test_count(world, stage, peer):
    juliet, link = stage.enter(), world.open(peer)
    link.enable()
    assert link.ask() == 0
    for i in range(3):
        link.send_message(juliet.jid, f"{i}")
    link.send_presence(to=juliet.jid)
    link.send_iq("get", "<nothing xmlns='of:this'/>", to=DOMAIN)
    wait_until(lambda: link.ask() == 5, "h=5")
    assert bodies(juliet.drain())[:3] == ["0", "1", "2"]
    link.close()


@conforms("XEP-0198", "4", "a message of another server counts when its recipient has acknowledged it, or it is stored")
def test_the_count_waits_for_the_recipient(world, stage, peer):
    juliet, link = stage.enter(), world.open(peer)
    enable(juliet)
    link.enable()
    stored = world.count("promises_stored")
    link.send_message(juliet.jid, "one")
    assert body(juliet.next()) == "one"
    wait_until(lambda: link.ask() == 1, "h=1")
    assert world.count("promises_stored") == stored + 1  # nobody has acknowledged it
    juliet.send(sm("a", h=1))
    link.close()


@conforms("XEP-0198", "4", "an h of another server that is too high ends the stream")
def test_too_high(world, peer):
    link = world.open(peer)
    link.enable()
    link.send(sm("a", h=7))
    name, error = link.stream_error()
    assert name == "undefined-condition"
    assert error.find(f"{{{SM}}}handled-count-too-high").attrib == {"h": "7", "send-count": "0"}


@conforms("XEP-0198", "5", "a stream between servers is resumed, and nothing comes twice")
@pytest.mark.tsan
def test_broken_in_the_middle(world, stage, peer):
    juliet, link = stage.enter(), world.open(peer)
    link.enable()
    sent = texts("a", 1, 40)
    for text in sent:
        link.send_message(juliet.jid, text)
    link.cut()
    second = world.open(peer)
    resumed = second.resume(link)
    assert resumed.get("previd") == link.sm_id
    h = int(resumed.get("h"))
    assert h <= 40
    for text in sent[h:] + ["and more"]:
        second.send_message(juliet.jid, text)
    wait_until(lambda: second.ask() == 41, "h=41")
    assert bodies(juliet.drain()) == sent + ["and more"]
    second.close()


def test_resumed_twice(world, stage, peer):
    juliet, link = stage.enter(), world.open(peer)
    link.enable()
    for i in range(3):
        link.send_message(juliet.jid, f"{i}")
        wait_until(lambda: link.ask() == i + 1, "h")
        link.cut()
        link, before = world.open(peer), link
        assert link.resume(before).get("h") == f"{i + 1}"
    assert bodies(juliet.drain()) == ["0", "1", "2"]
    link.close()


@conforms("XEP-0198", "5", "an unknown stream is not resumed, and another one may be enabled at once")
def test_unknown(world, peer):
    link = world.open(peer)
    link.enable()
    link.cut()
    second = world.open(peer)
    failed = world.count("s2s_sm_resume_failed")
    assert condition(second.resume(link, previd="no such stream")) == "item-not-found"
    assert world.count("s2s_sm_resume_failed") == failed + 1
    second.enable()
    assert second.ask() == 0
    second.close()


@conforms("XEP-0198", "10", "only the domain whose stream it was resumes it")
def test_stolen(world, peer):
    link = world.open(peer)
    link.enable()
    link.cut()
    with world.server("others.test") as other:
        thief = world.open(other)
        assert condition(thief.resume(link)) == "item-not-found"
        thief.close()
    second = world.open(peer)
    assert second.resume(link).get("h") == "0"
    second.close()


def test_who_has_lost_count_harms_nobody(world, peer):
    link = world.open(peer)
    link.enable()
    link.cut()
    second = world.open(peer)
    second.send(sm("resume", previd=link.sm_id, h=1))
    name, error = second.stream_error()
    assert name == "undefined-condition"
    assert error.find(f"{{{SM}}}handled-count-too-high").attrib == {"h": "1", "send-count": "0"}
    third = world.open(peer)
    assert third.resume(link).get("h") == "0"
    third.close()


@conforms("XEP-0198", "5", "the stream before, if it is still open, ends with a conflict")
def test_still_alive(world, stage, peer):
    juliet, link = stage.enter(), world.open(peer)
    link.enable()
    link.send_message(juliet.jid, "one")
    wait_until(lambda: link.ask() == 1, "h=1")
    second = world.open(peer)
    assert second.resume(link).get("h") == "1"
    assert link.stream_error()[0] == "conflict"
    try:
        link.send_message(juliet.jid, "counts no more")
    except OSError:
        pass
    second.send_message(juliet.jid, "two")
    wait_until(lambda: second.ask() == 2, "h=2")
    assert bodies(juliet.drain()) == ["one", "two"]
    second.close()


@conforms("XEP-0198", "7", "a stream between servers that was closed in order is over")
def test_closed(world, peer):
    link = world.open(peer)
    link.enable()
    link.close()
    second = world.open(peer)
    assert condition(second.resume(link)) == "item-not-found"
    second.close()


def test_few_wait(world, peer):
    """Of one domain a handful; the newest."""
    links, dropped = [], world.count("s2s_sm_dropped")
    for i in range(EACH + 1):
        links.append(world.open(peer))
        links[i].enable()
        detached = world.count("s2s_sm_detached")
        links[i].cut()
        wait_until(lambda: world.count("s2s_sm_detached") == detached + 1, "the end of the connection")
    wait_until(lambda: world.count("s2s_sm_dropped") > dropped, "one more than may wait")
    second = world.open(peer)
    assert condition(second.resume(links[0])) == "item-not-found"
    assert second.resume(links[1]).get("h") == "0"
    second.close()


def test_last_words(world, stage, peer):
    """Before the server ends a stream itself it acknowledges what came."""
    juliet, link = stage.enter(), world.open(peer)
    link.enable()
    link.send_message(juliet.jid, "one")
    assert body(juliet.next()) == "one"
    world.site.backend.ctl("s2s", "list")  # goes round all shards, behind the word that it is settled
    link.send("<nonsense xmlns='of:some:kind'/>")
    assert int(link.next_of("a").get("h")) == 1
    assert link.stream_error()[0] == "unsupported-stanza-type"


# XEP-0288: both ways


def open_both_ways(world, server):
    link = server.connect("127.0.0.1", world.port, DOMAIN)
    link.ask_bidi()
    link.external()
    return link


@conforms("XEP-0198", "5", "with XEP-0288 both directions of a stream between servers are counted and resumed")
@pytest.mark.tsan
def test_both_ways(world, stage, peer):
    juliet, link = stage.enter(), open_both_ways(world, peer)
    link.acks = False
    link.enable()
    link.send_message(juliet.jid, "up")
    assert body(juliet.next()) == "up"
    for text in texts("down", 1, 10):
        juliet.send_message(link.jid, text)
    assert received(link, 10) == texts("down", 1, 10)
    link.cut()
    link.received = 4  # of the rest we know nothing
    second = open_both_ways(world, peer)
    assert second.resume(link).get("h") == "1"
    assert received(second, 6) == texts("down", 5, 10)
    juliet.send_message(link.jid, "the last one")
    assert received(second, 1) == ["the last one"]
    second.send_message(juliet.jid, "up")
    wait_until(lambda: second.ask() == 2, "h=2")
    assert bodies(juliet.drain()) == ["up"]
    assert [one for one in second.elements if local_name(one) not in ("r", "a")] == []
    second.close()


def test_nothing_is_sent_before_the_other_server_has_said_what_it_wants(world, stage, peer):
    juliet, link = stage.enter(), open_both_ways(world, peer)
    link.acks = False
    link.enable()
    juliet.send_message(link.jid, "one")
    assert received(link, 1) == ["one"]
    link.cut()
    link.received = 0
    second = open_both_ways(world, peer)
    juliet.send_message(link.jid, "two")
    assert second.resume(link).tag == f"{{{SM}}}resumed"
    assert received(second, 2) == ["one", "two"]
    second.close()


def test_both_ways_without_stream_management(world, stage, peer):
    juliet, link = stage.enter(), open_both_ways(world, peer)
    juliet.send_message(link.jid, "one")
    assert received(link, 1) == ["one"]
    link.close()


def test_enabled_too_late(world, stage, peer):
    """The answer to a ping from before may not confirm less than what has been acknowledged since."""
    juliet, link = stage.enter(), open_both_ways(world, peer)
    link.acks = False
    juliet.send_message(link.jid, "one")
    assert received(link, 1) == ["one"]
    ping = link.next_of("iq")
    answer = link.command(sm("enable", resume="true"))
    juliet.send_message(link.jid, "two")
    assert received(link, 1) == ["two"]
    link.send(sm("a", h=1))
    link.send(f"<iq type='result' id='{ping.get('id')}' from='{peer.domain}' to='{DOMAIN}'/>")
    link.sync()
    assert condition(answer) == "unexpected-request"
    link.close()


# Streams that we have opened


def first(world, stage, peer, *sent):
    """A user whose messages open a stream to the other server; (user, stream)."""
    juliet = stage.enter()
    for text in sent or ["hello"]:
        juliet.send_message(f"romeo@{peer.domain}", text)
    return juliet, peer.accept()


@conforms("XEP-0198", "3", "enabled with resumption on streams to other servers")
def test_we_enable(world, stage, peer):
    peer.enables = None
    juliet, link = first(world, stage, peer)
    enable = link.next()
    assert enable.tag == f"{{{SM}}}enable" and enable.get("resume") == "true"
    link.send(sm("failed"))
    assert received(link, 1) == ["hello"]


@conforms("XEP-0198", "4", "a client's message to another domain counts when that server has acknowledged it")
def test_the_count_waits_for_the_other_server(world, stage, peer):
    juliet, link = first(world, stage, peer)
    assert received(link, 1) == ["hello"]
    enable(juliet)
    link.acks = False
    stored, begun = world.count("promises_stored"), time.monotonic()
    juliet.send_message(f"romeo@{peer.domain}", "one")
    assert received(link, 1) == ["one"]
    link.ack()
    wait_acknowledged(juliet, 1)
    slow = time.monotonic() - begun > 0.4  # the store acknowledges after half a second
    before, stored = stored, world.count("promises_stored")
    assert slow or stored == before
    juliet.send_message(f"romeo@{peer.domain}", "two")
    assert received(link, 1) == ["two"]
    wait_acknowledged(juliet, 2)  # by the store
    assert world.count("promises_stored") == stored + 1
    link.ack()
    link.acks = True


def test_few_questions(world, stage, peer):
    """Many stanzas, few questions."""
    juliet, link = first(world, stage, peer)
    assert received(link, 1) == ["hello"]
    link.asked = 0
    juliet.send("".join(f"<message to='romeo@{peer.domain}' type='chat'><body>{text}</body></message>"
                        for text in texts("", 1, 200)))
    assert received(link, 200) == texts("", 1, 200)
    wait_until(lambda: link.asked, "a question")
    assert link.asked <= 20


@conforms("XEP-0198", "5", "a stream to another server is resumed, and nothing is sent twice")
@pytest.mark.tsan
def test_we_resume(world, stage, peer):
    juliet, link = first(world, stage, peer)
    assert received(link, 1) == ["hello"]
    link.acks = False
    for text in texts("", 2, 50):
        juliet.send_message(f"romeo@{peer.domain}", text)
    assert received(link, 49) == texts("", 2, 50)
    peer.deafen()
    link.cut()
    for text in texts("", 51, 55):
        juliet.send_message(f"romeo@{peer.domain}", text)
    juliet.sync()
    peer.listen()
    second = peer.accept()
    resume = second.next()
    assert (resume.tag, resume.get("previd"), resume.get("h")) == (f"{{{SM}}}resume", link.sm_id, "0")
    second.resumed(link, h=20)
    assert received(second, 35) == texts("", 21, 55)
    taken(second)
    juliet.send_message(f"romeo@{peer.domain}", "the last one")
    assert received(second, 1) == ["the last one"]


@pytest.mark.parametrize("h, missed", [(None, 2), (30, 31), (50, None), (99, 2)])
def test_we_may_not_resume(world, stage, peer, h, missed):
    """What the other server has all the same is not sent again; a number that cannot be is no number."""
    juliet, link = first(world, stage, peer)
    assert received(link, 1) == ["hello"]
    taken(link)
    link.acks = False
    for text in texts("", 2, 50):
        juliet.send_message(f"romeo@{peer.domain}", text)
    assert received(link, 49) == texts("", 2, 50)
    link.cut()
    second = peer.accept()
    assert second.next().tag == f"{{{SM}}}resume"
    second.send(f"<failed xmlns='{SM}'" + (f" h='{h}'" if h else "") +
                "><item-not-found xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></failed>")
    juliet.send_message(f"romeo@{peer.domain}", "the last one")
    expected = texts("", missed, 50) if missed else []
    assert received(second, len(expected) + 1) == expected + ["the last one"]
    assert second.sm_id not in (None, link.sm_id)  # it was enabled anew


def test_not_offered_any_more(world, stage, peer):
    juliet, link = first(world, stage, peer)
    assert received(link, 1) == ["hello"]
    taken(link)
    link.acks = False
    juliet.send_message(f"romeo@{peer.domain}", "one")
    assert received(link, 1) == ["one"]
    peer.sm = False
    link.cut()
    assert received(peer.accept(), 1) == ["one"]


def test_the_other_server_resumes_nothing(world, stage, peer):
    peer.enables = "enable"
    juliet, link = first(world, stage, peer)
    assert received(link, 1) == ["hello"]
    wait_until(lambda: link.acked == 1, "it is acknowledged")
    link.acks = False
    juliet.send_message(f"romeo@{peer.domain}", "one")
    assert received(link, 1) == ["one"]
    link.cut()
    second = peer.accept()
    assert received(second, 1) == ["one"]
    assert second.counting


@conforms("XEP-0198", "4", "a server that answers no request for an acknowledgement is dead")
@pytest.mark.parametrize("shards", [1, 4])
def test_silent(shards):
    world = World(f"shards = {shards}\nack-timeout = 1s\n")
    try:
        world.site.backend.start()
        with Stage(world.site) as stage, world.server("peers.test") as peer:
            juliet, link = first(world, stage, peer)
            assert received(link, 1) == ["hello"]
            taken(link)
            link.acks = False
            juliet.send_message(f"romeo@{peer.domain}", "one")
            assert received(link, 1) == ["one"]
            link.wait_end()
            world.site.backend.wait_log(event="s2s_end", reason="silent", domain=peer.domain)
            second = peer.accept()
            assert second.next().tag == f"{{{SM}}}resume"
            second.resumed(link, h=1)
            assert received(second, 1) == ["one"]
    finally:
        world.stop()


def test_answers_that_nobody_wants(world, stage, peer):
    for unasked in (sm("enabled"), sm("resumed", h=0, previd="x"), sm("failed")):
        juliet, link = first(world, stage, peer)
        assert received(link, 1) == ["hello"]
        taken(link)
        link.send(unasked)
        assert link.stream_error()[0] == "policy-violation"
        link.close()


def test_too_much_acknowledged_by_a_resumption(world, stage, peer):
    juliet, link = first(world, stage, peer)
    assert received(link, 1) == ["hello"]
    taken(link)
    link.acks = False
    juliet.send_message(f"romeo@{peer.domain}", "one")
    assert received(link, 1) == ["one"]
    link.cut()
    second = peer.accept()
    assert second.next().tag == f"{{{SM}}}resume"
    second.send(sm("resumed", h=7, previd=link.sm_id))
    assert second.stream_error()[0] == "undefined-condition"
    world.site.backend.wait_log(event="s2s_failed", domain=peer.domain)
    world.site.backend.retry(peer.domain)  # it would wait for some seconds
    assert received(peer.accept(), 1) == ["one"]
