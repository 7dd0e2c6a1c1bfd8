"""What becomes of messages between servers when one of them, the network, a certificate or DNS fails for some time:
nothing is lost, and nothing comes in another order."""

import pytest

from harness import process
from harness.federation import Company, Federation, PosternMember
from harness.federation_peers import EjabberdMember, ProsodyMember
from harness.stage import body, number

OURS, THEIRS = "a.example", "b.example"


@pytest.fixture
def federation():
    with Federation() as one:
        yield one
    process.STARTED.clear()


@pytest.fixture
def company(federation):
    with Company(federation) as one:
        yield one


def exchange(one, other):
    """A message each way; what came shortly before a server ended may come again."""
    for writer, reader in ((one, other), (other, one)):
        text = f"message {number()}"
        writer.send_message(reader.jid, text)
        while body(got := reader.next()) != text:
            pass
        assert got.get("from") == writer.jid


def arrives_later(company, writer, jid, mend):
    """What is written while there is no way arrives in order once mend() has been called; who reads it."""
    texts = [f"message {number()}" for _ in range(5)]
    for text in texts:
        writer.send_message(jid, text)
    writer.sync()
    mend()
    reader = company.enter(jid)
    came, waited = [], reader.own_presence
    while texts[-1] not in came:
        stanza = waited.pop(0) if waited else reader.next()
        if body(stanza) in texts:  # without stream management what came before may come again
            came.append(body(stanza))
    assert came == texts
    return reader


def retry(federation):
    federation.members[OURS].backend.ctl("s2s", "retry", THEIRS)


@pytest.mark.parametrize("member, how", [(PosternMember, "stop"), (PosternMember, "kill"), (ProsodyMember, "stop"),
                                         (ProsodyMember, "kill"), (EjabberdMember, "kill")])
def test_the_other_server_restarts(federation, company, member, how):
    PosternMember(federation, OURS)
    theirs = member(federation, THEIRS)
    federation.start()
    juliet, romeo = company.enter(f"juliet@{OURS}"), company.enter(f"romeo@{THEIRS}")
    exchange(juliet, romeo)
    if how == "stop":
        theirs.stop()
    theirs.kill()
    theirs.accounts &= {"romeo"} if member is not EjabberdMember else set()  # which it has not written yet
    company.parties.remove(romeo)

    def mend():
        theirs.start()
        retry(federation)

    romeo = arrives_later(company, juliet, romeo.bare, mend)
    exchange(romeo, juliet)
