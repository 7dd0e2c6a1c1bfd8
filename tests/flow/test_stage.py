"""The stage itself: what several clients at once are told by it is true."""

import pytest

from harness.stage import number


def test_messages_come_once_and_nothing_else(stage):
    juliet, romeo = stage.enter("juliet", "balcony"), stage.enter("romeo", "orchard")
    romeo.send_message(juliet.jid, "but soft", id="first")
    juliet.expect("message", "chat", romeo.jid, juliet.jid, body="but soft", id="first")
    assert stage.settle() == {}
    juliet.nothing()


def test_what_nobody_expected_is_seen(stage):
    juliet, romeo = stage.enter("juliet", "balcony"), stage.enter("romeo", "orchard")
    romeo.send_message(juliet.jid, "one")
    romeo.send_message(juliet.jid, "two")
    assert stage.settled() == {juliet.jid: [f"message chat from={romeo.jid} «{text}»" for text in ("one", "two")]}
    romeo.send_message(juliet.jid, "three")
    with pytest.raises(AssertionError, match="three"):
        while True:
            juliet.nothing()
            romeo.nothing()
    romeo.send_message(juliet.jid, "four")
    with pytest.raises(AssertionError, match="four"):
        juliet.expect("message", body="five")


def test_an_answer_is_found_among_other_stanzas(stage):
    juliet, romeo = stage.enter("juliet", "balcony"), stage.enter("romeo", "orchard")
    romeo.send_message(juliet.jid, "before")
    romeo.sync()
    answer = juliet.request("get", "<ping xmlns='urn:xmpp:ping'/>", id=f"mine{number()}")
    assert answer.get("type") == "result"
    juliet.expect("message", body="before")
