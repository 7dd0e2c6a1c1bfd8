"""The roster: RFC 6121 section 2."""

import pytest

from harness.site import DOMAIN
from harness.stage import element, error, number

ROSTER = "{jabber:iq:roster}"


def conforms(section, what):
    return pytest.mark.conforms("RFC 6121", section, what)


@pytest.fixture
def user(stage):
    """A client of an account that nobody has used, interested in its roster."""
    return stage.enter(interested=True)


def contact():
    return f"contact{number()}@{DOMAIN}"


def query(*items, **attributes):
    return element("query", {"xmlns": "jabber:iq:roster", **attributes}, *items)


def item(jid, name=None, groups=(), **attributes):
    return element("item", {"jid": jid, "name": name, **attributes}, *(f"<group>{group}</group>" for group in groups))


@conforms("2.1.4", "an empty roster is an empty result")
def test_an_empty_roster(user):
    assert user.roster() == {}


@conforms("2.3.2", "an item is added: pushed to interested resources, then the result")
@conforms("2.1.6", "a push goes to interested resources only")
def test_an_item_is_added(stage, user):
    other = stage.enter(user.bare, interested=True)
    deaf = stage.enter(user.bare)
    jid = contact()
    stage.settle()
    assert user.roster_set(jid, "Nurse", ["Servants", "Verona"]).get("type") == "result"
    for client in user, other:
        client.expect("push", to=client.jid)
    deaf.nothing()
    assert user.roster() == {jid: {"jid": jid, "name": "Nurse", "subscription": "none",
                                   "groups": ["Servants", "Verona"]}}
