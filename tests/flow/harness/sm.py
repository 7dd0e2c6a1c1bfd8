"""Stream management (XEP-0198) as a client of the tests does it: an actor of the stage."""

import json
import socket
import struct

from harness.site import DOMAIN
from harness.stage import PASSWORD, bare, body, local_name
from harness.wait import wait_until

SM = "urn:xmpp:sm:3"


def sm(name, **attributes):
    text = "".join(f" {key}='{value}'" for key, value in attributes.items())
    return f"<{name} xmlns='{SM}'{text}/>"


def next_sm(actor, name):
    """The next element of that name; those before it are given back, too."""
    passed = []
    while True:
        got = actor.next()
        if got.tag == f"{{{SM}}}{name}":
            return got, passed
        passed.append(got)


def enable(actor, resume=True):
    actor.send(sm("enable", resume="true") if resume else sm("enable"))
    enabled, _ = next_sm(actor, "enabled")
    actor.sent = 0
    return enabled.get("id")


def acknowledged(actor):
    """h, now."""
    actor.send(sm("r"))
    return int(next_sm(actor, "a")[0].get("h"))


def wait_acknowledged(actor, wanted):
    wait_until(lambda: acknowledged(actor) == wanted, f"h={wanted}")


def cut(actor):
    """The connection breaks."""
    actor.tcp.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    actor.tcp.close()


def reconnect(stage, jid):
    actor = stage.connect()
    actor.open(DOMAIN)
    actor.authenticate(bare(jid).split("@")[0], PASSWORD, "PLAIN")
    actor.features = actor.open(DOMAIN)
    return actor


def resume(stage, jid, previd, h):
    actor = reconnect(stage, jid)
    actor.send(sm("resume", previd=previd, h=h))
    answer = actor.next()
    if answer.tag == f"{{{SM}}}resumed":
        actor.jid = jid
        stage.parties.append(actor)
    return actor, answer


def bodies(elements):
    return [body(one) for one in elements if local_name(one) == "message"]


def detached(site, jid):
    """Wait until the server has noticed."""
    wait_until(lambda: site.backend.log(event="session_detached", jid=jid),
               "the end of the connection")


def unacknowledged(site, jid):
    """How many the server keeps; None: there is no such session."""
    sessions = json.loads(site.backend.ctl("--json", "sessions", bare(jid)))
    return next((one["unacknowledged"] for one in sessions if one["jid"] == jid), None)
