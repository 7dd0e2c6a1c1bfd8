"""Every cell of RFC 6121's appendix A: what a server does with each of the four subscription stanzas, sent and received,
in each of the nine states.  The contacts live at a component, so that the test sees all that the user's server sends
and can send what a contact's own server would have kept back.  Each state is come to by subscription stanzas alone.

The second half does the same between two accounts of ours: both ends of a subscription agree afterwards."""

import itertools

import pytest

from harness.component import Component
from harness.ports import reserve_port
from harness.stage import Stage, bare, brief, local_name, push_item

COMPONENT, SECRET = "contacts.example.test", "a-shared-secret"
COMPONENT_PORT = reserve_port()
BACKEND_EXTRA = f"""
listener "components" {{ address = "127.0.0.1:{COMPONENT_PORT}" serve = components }}
component "{COMPONENT}" {{ secret = "{SECRET}" }}
"""
KINDS = ("subscribe", "unsubscribe", "subscribed", "unsubscribed")

# Appendix A.1: what the roster shows (subscription, ask), whether a request of the contact's waits for an answer, and a
# way to come there.
STATES = {
    "None": (("none", None), False, ()),
    "None + Pending Out": (("none", "subscribe"), False, ("out subscribe",)),
    "None + Pending In": (("none", None), True, ("in subscribe",)),
    "None + Pending Out+In": (("none", "subscribe"), True, ("out subscribe", "in subscribe")),
    "To": (("to", None), False, ("out subscribe", "in subscribed")),
    "To + Pending In": (("to", None), True, ("out subscribe", "in subscribed", "in subscribe")),
    "From": (("from", None), False, ("in subscribe", "out subscribed")),
    "From + Pending Out": (("from", "subscribe"), False, ("in subscribe", "out subscribed", "out subscribe")),
    "Both": (("both", None), False, ("in subscribe", "out subscribed", "out subscribe", "in subscribed")),
}

# Appendix A.2: state -> (is it routed to the contact, the new state).
OUTBOUND = {
    "subscribe": {
        "None": (True, "None + Pending Out"),
        "None + Pending Out": (True, "None + Pending Out"),
        "None + Pending In": (True, "None + Pending Out+In"),
        "None + Pending Out+In": (True, "None + Pending Out+In"),
        "To": (True, "To"),
        "To + Pending In": (True, "To + Pending In"),
        "From": (True, "From + Pending Out"),
        "From + Pending Out": (True, "From + Pending Out"),
        "Both": (True, "Both"),
    },
    "unsubscribe": {
        "None": (True, "None"),
        "None + Pending Out": (True, "None"),
        "None + Pending In": (True, "None + Pending In"),
        "None + Pending Out+In": (True, "None + Pending In"),
        "To": (True, "None"),
        "To + Pending In": (True, "None + Pending In"),
        "From": (True, "From"),
        "From + Pending Out": (True, "From"),
        "Both": (True, "From"),
    },
    "subscribed": {
        "None": (False, "None"),
        "None + Pending Out": (False, "None + Pending Out"),
        "None + Pending In": (True, "From"),
        "None + Pending Out+In": (True, "From + Pending Out"),
        "To": (False, "To"),
        "To + Pending In": (True, "Both"),
        "From": (False, "From"),
        "From + Pending Out": (False, "From + Pending Out"),
        "Both": (False, "Both"),
    },
    "unsubscribed": {
        "None": (False, "None"),
        "None + Pending Out": (False, "None + Pending Out"),
        "None + Pending In": (True, "None"),
        "None + Pending Out+In": (True, "None + Pending Out"),
        "To": (False, "To"),
        "To + Pending In": (True, "To"),
        "From": (True, "None"),
        "From + Pending Out": (True, "None + Pending Out"),
        "Both": (True, "To"),
    },
}

# Appendix A.3: state -> (is it delivered to the user, the new state).
INBOUND = {
    "subscribe": {
        "None": (True, "None + Pending In"),
        "None + Pending Out": (True, "None + Pending Out+In"),
        "None + Pending In": (False, "None + Pending In"),
        "None + Pending Out+In": (False, "None + Pending Out+In"),
        "To": (True, "To + Pending In"),
        "To + Pending In": (False, "To + Pending In"),
        "From": (False, "From"),
        "From + Pending Out": (False, "From + Pending Out"),
        "Both": (False, "Both"),
    },
    "unsubscribe": {
        "None": (False, "None"),
        "None + Pending Out": (False, "None + Pending Out"),
        "None + Pending In": (True, "None"),
        "None + Pending Out+In": (True, "None + Pending Out"),
        "To": (False, "To"),
        "To + Pending In": (True, "To"),
        "From": (True, "None"),
        "From + Pending Out": (True, "None + Pending Out"),
        "Both": (True, "To"),
    },
    "subscribed": {
        "None": (False, "None"),
        "None + Pending Out": (True, "To"),
        "None + Pending In": (False, "None + Pending In"),
        "None + Pending Out+In": (True, "To + Pending In"),
        "To": (False, "To"),
        "To + Pending In": (False, "To + Pending In"),
        "From": (False, "From"),
        "From + Pending Out": (True, "Both"),
        "Both": (False, "Both"),
    },
    "unsubscribed": {
        "None": (False, "None"),
        "None + Pending Out": (True, "None"),
        "None + Pending In": (False, "None + Pending In"),
        "None + Pending Out+In": (True, "None + Pending In"),
        "To": (True, "None"),
        "To + Pending In": (True, "None + Pending In"),
        "From": (False, "From"),
        "From + Pending Out": (True, "From"),
        "Both": (True, "From"),
    },
}

SECTIONS = {"out": {kind: f"A.2.{at}" for at, kind in enumerate(KINDS, 1)},
            "in": {kind: f"A.3.{at}" for at, kind in enumerate(KINDS, 1)}}
SEES_US = ("From", "From + Pending Out", "Both")  # the contact has a subscription to the user's presence
PRE_APPROVABLE = ("None", "None + Pending Out", "To")  # section 3.4.2


def cells():
    for way, table in (("out", OUTBOUND), ("in", INBOUND)):
        for kind, state, listed in itertools.product(KINDS, STATES, (False, True)):
            words = f"{way} {kind} in {state}" + (" with an item" if listed else "")
            where = {"out": "routed or not", "in": "delivered or not"}[way]
            what = f"each of nine states: {where}, new state, pushes, what is answered for the user"
            marks = [pytest.mark.conforms("RFC 6121", SECTIONS[way][kind], what)]
            yield pytest.param(way, kind, state, listed, *table[kind][state], marks=marks, id=words)


class User:
    """One account: balcony gets pushes and is available, garden gets pushes only, chamber is available only."""

    def __init__(self, stage, component):
        self.stage, self.component = stage, component
        self.balcony = stage.enter("juliet", "balcony", interested=True)
        self.garden = stage.enter("juliet", "garden", interested=True, priority=None)
        self.chamber = stage.enter("juliet", "chamber")
        stage.settle()

    def act(self, contact, step):
        way, kind = step.split()
        if way == "out":
            self.balcony.send_presence(kind, contact)
        else:
            self.component.send_presence(kind, self.balcony.bare, from_=contact)

    def state(self, contact):
        """((subscription, ask) or None when the roster has no such item, whether a request waits)."""
        item = self.balcony.roster().get(contact)
        self.chamber.send_presence("unavailable")
        self.chamber.send_presence()
        waits = any(stanza.get("type") == "subscribe" and bare(stanza.get("from")) == contact
                    for stanza in self.chamber.sync())
        self.stage.settle()
        return item and (item["subscription"], item.get("ask")), waits


@pytest.fixture(scope="module")
def user(backend_site):
    with Stage(backend_site) as stage:
        yield User(stage, stage.add(Component(COMPONENT_PORT, COMPONENT, SECRET)))


def come_to(user, contact, state, listed):
    """Bring the two into the state; the roster and what waits say that we are there."""
    if listed:
        assert user.balcony.roster_set(contact, name="a name").get("type") == "result"
    for step in STATES[state][2]:
        user.act(contact, step)
        user.stage.settle()
    visible, waits, _ = STATES[state]
    in_roster = listed or state not in ("None", "None + Pending In")
    assert user.state(contact) == (visible if in_roster else None, waits), "the way to the state leads elsewhere"
    user.stage.settle()
    return in_roster


def pushes(elements):
    return [brief(element) for element in elements if push_item(element)]


def subscriptions(elements):
    return [(element.get("type"), element.get("from"), element.get("to")) for element in elements
            if local_name(element) == "presence" and element.get("type") in KINDS]


def presences(elements):
    """Who is said to be (un)available, as a set of (resource, type)."""
    return {(element.get("from").split("/")[1], element.get("type") or "available") for element in elements
            if local_name(element) == "presence" and element.get("type") in (None, "unavailable")}


def expected_push(contact, way, kind, state, new, in_roster):
    """The roster push that the change calls for, or None."""
    pre_approves = (way, kind) == ("out", "subscribed") and state in PRE_APPROVABLE
    before, after = (STATES[one][0] for one in (state, new))
    if before == after and not pre_approves and (in_roster or new not in SEES_US):
        return None
    subscription, ask = after
    return " ".join(["push", contact, subscription] + ["ask"] * bool(ask) + ["approved"] * pre_approves)


def check_presence(seen, state, new):
    """RFC 6121 sections 3.1.5, 3.2.2 and 3.3.3: the contact learns who is there as it may see us, and that nobody is
    as it may no longer."""
    if state not in SEES_US and new in SEES_US:
        assert presences(seen) == {("balcony", "available"), ("chamber", "available")}
    elif state in SEES_US and new not in SEES_US:
        assert presences(seen) == {("balcony", "unavailable"), ("chamber", "unavailable")}
    elif new not in SEES_US:
        assert presences(seen) == set()


@pytest.mark.parametrize("way, kind, state, listed, passes, new", cells())
def test_a_cell_of_appendix_a(user, way, kind, state, listed, passes, new):
    contact = user.component.contact()
    in_roster = come_to(user, contact, state, listed)
    user.act(contact, f"{way} {kind}")
    came = user.stage.settle()
    balcony, garden, chamber, component = (
        came.get(party, []) for party in (user.balcony, user.garden, user.chamber, user.component))

    push = expected_push(contact, way, kind, state, new, in_roster)
    assert pushes(balcony) == pushes(garden) == ([push] if push else [])
    assert pushes(chamber) == []

    ours = user.balcony.bare
    routed = [(kind, ours, contact)] if way == "out" and passes else []
    answered = []
    if (way, kind) == ("in", "subscribe") and state in SEES_US:
        answered = [("subscribed", ours, contact)]
    elif (way, kind) == ("in", "unsubscribe") and new != state:
        answered = [("unsubscribed", ours, contact)]
    assert subscriptions(component) == routed + answered
    check_presence(component, state, new)

    delivered = [(kind, contact, ours)] if way == "in" and passes else []
    assert subscriptions(balcony) == delivered
    if kind == "subscribe":
        assert subscriptions(chamber) == delivered and subscriptions(garden) == []
    else:
        assert subscriptions(garden) == delivered
    if delivered and push:
        assert local_name(balcony[0]) == "presence", "the stanza comes before the push"

    pre_approved = (way, kind) == ("out", "subscribed") and state in PRE_APPROVABLE
    visible, waits, _ = STATES[new]
    listed_now = in_roster or visible != ("none", None) or pre_approved
    assert user.state(contact) == (visible if listed_now else None, waits)


# Between two accounts of ours.

MIRROR = {
    "None": "None",
    "None + Pending Out": "None + Pending In",
    "None + Pending In": "None + Pending Out",
    "None + Pending Out+In": "None + Pending Out+In",
    "To": "From",
    "To + Pending In": "From + Pending Out",
    "From": "To",
    "From + Pending Out": "To + Pending In",
    "Both": "Both",
}


@pytest.fixture(scope="module")
def pair(backend_site):
    with Stage(backend_site) as stage:
        yield stage, stage.enter("nurse", "hall", interested=True), stage.enter("friar", "cell", interested=True)


def shown(actor, other):
    """What an account's roster and its waiting requests say of the other: (subscription, ask, whether one waits)."""
    item = actor.roster().get(other.bare, {})
    actor.send_presence("unavailable")
    actor.send_presence()
    waits = any(stanza.get("type") == "subscribe" for stanza in actor.sync())
    return item.get("subscription", "none"), item.get("ask"), waits


def part(stage, one, other):
    """Nothing is left between the two, and neither has the other in its roster."""
    for actor, contact in ((one, other), (other, one)):
        actor.send_presence("unsubscribed", contact.bare)
        stage.settle()
        actor.roster_set(contact.bare, subscription="remove")
        stage.settle()
    for actor, contact in ((one, other), (other, one)):
        assert actor.roster() == {} and shown(actor, contact) == ("none", None, False)
        stage.settle()


@pytest.mark.conforms("RFC 6121", "A.1", "both ends of a subscription between two accounts come to states that agree")
@pytest.mark.parametrize("kind, state", [pytest.param(kind, state, id=f"{kind} in {state}")
                                         for kind in KINDS for state in STATES])
def test_both_ends_agree(pair, kind, state):
    stage, nurse, friar = pair
    sender = {"out": (nurse, friar), "in": (friar, nurse)}
    for step in STATES[state][2]:
        way, step_kind = step.split()
        one, other = sender[way]
        one.send_presence(step_kind, other.bare)
        stage.settle()
    nurse.send_presence(kind, friar.bare)
    stage.settle()
    routed, new = OUTBOUND[kind][state]
    opposite = INBOUND[kind][MIRROR[state]][1] if routed else MIRROR[state]
    assert MIRROR[new] == opposite, "the tables of this file contradict each other"
    for actor, contact, there in ((nurse, friar, new), (friar, nurse, opposite)):
        assert shown(actor, contact) == (*STATES[there][0], STATES[there][1]), actor.jid
        stage.settle()
    part(stage, nurse, friar)
