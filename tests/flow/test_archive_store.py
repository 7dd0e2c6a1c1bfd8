"""Archives in the store: how long they stay, what an administrator can do about them, copies of them."""

import contextlib
import json
import sqlite3
import time

import pytest

from harness.postern import run
from harness.site import DOMAIN

HOUR, DAY = 3600, 24 * 3600
TEXT = "<message xmlns='jabber:client' type='chat'><body>{}</body></message>"


@pytest.fixture
def backend(own_site):
    site = own_site()
    site.backend.start()
    for user in ("juliet", "romeo"):
        site.add_account(user, "secret")
    site.backend.stop()
    site.backend.site = site
    return site.backend


def database(backend):
    return contextlib.closing(sqlite3.connect(backend.state_dir / "postern.sqlite", isolation_level=None))


def archive(backend, user, ages):
    """Messages of these ages, in seconds, into the store of a stopped server."""
    with database(backend) as db:
        owner, = db.execute("SELECT id FROM owner WHERE jid = ?", [f"{user}@{DOMAIN}"]).fetchone()
        for age in ages:
            db.execute("INSERT INTO archive VALUES (?, ?, 0, 'nurse@far.test', '', ?)",
                       [owner, int((time.time() - age) * 1e6), TEXT.format(age)])
        db.execute("INSERT INTO archive_size SELECT owner, count(*), sum(length(text)) FROM archive WHERE owner = ?",
                   [owner])


def bodies(backend, user):
    with database(backend) as db:
        rows = db.execute("SELECT text FROM archive JOIN owner ON owner.id = archive.owner WHERE jid = ? ORDER BY"
                          " archive.id", [f"{user}@{DOMAIN}"]).fetchall()
    return [int(text.split("<body>")[1].split("<")[0]) for text, in rows]


def show(backend, user="juliet"):
    return json.loads(backend.ctl("--json", "archive", "show", f"{user}@{DOMAIN}"))


@pytest.mark.parametrize("runs", [True, False])
def test_an_administrator_sees_and_deletes_archives(backend, runs):
    archive(backend, "juliet", [5 * DAY, 3 * DAY, HOUR])
    archive(backend, "romeo", [2 * DAY])
    if runs:
        backend.start()
    found = show(backend)
    assert found["messages"] == 3 and found["bytes"] == sum(len(TEXT.format(age)) for age in (5 * DAY, 3 * DAY, HOUR))
    assert found["first"] < found["last"] and found["last"].endswith("Z")
    assert "messages: 3" in backend.ctl("archive", "show", f"juliet@{DOMAIN}")
    gone = json.loads(backend.ctl("--json", "archive", "delete", f"juliet@{DOMAIN}", "4"))
    assert gone["messages"] == 1
    assert show(backend)["messages"] == 2
    assert json.loads(backend.ctl("--json", "archive", "delete", f"juliet@{DOMAIN}"))["messages"] == 2
    assert show(backend) == {"messages": 0, "bytes": 0, "first": None, "last": None}
    assert show(backend, "romeo")["messages"] == 1


def test_orders_that_make_no_sense_are_refused(backend):
    backend.start()
    for words, status, text in [(["show", f"nobody@{DOMAIN}"], 1, "no such account"),
                                (["delete", f"nobody@{DOMAIN}"], 1, "no such account"),
                                (["show", DOMAIN], 1, "expected an account"),
                                (["delete", f"juliet@{DOMAIN}/x"], 1, "expected an account"),
                                (["delete", f"juliet@{DOMAIN}", "0"], 2, "number of days"),
                                (["delete", f"juliet@{DOMAIN}", "7x"], 2, "number of days"),
                                (["delete", f"juliet@{DOMAIN}", "99999"], 1, "number of days")]:
        assert text in backend.ctl("archive", *words, status=status), words


@pytest.mark.parametrize("options, left", [
    ("", [29 * DAY, 3 * DAY, HOUR]),
    ("archive-expire = 2d", [HOUR]),
    ("archive-expire = 0s", [40 * DAY, 29 * DAY, 3 * DAY, HOUR]),
    ("archive-messages = 2", [3 * DAY, HOUR]),
    ("archive-bytes = 160", [3 * DAY, HOUR]),
])
def test_what_is_too_old_or_too_much_goes(own_site, options, left):
    site = own_site(host_extra=options)
    site.backend.start()
    for user in ("juliet", "romeo"):
        site.add_account(user, "secret")
    site.backend.stop()
    archive(site.backend, "juliet", [40 * DAY, 29 * DAY, 3 * DAY, HOUR])
    archive(site.backend, "romeo", [HOUR])
    site.backend.start()
    site.backend.stop()
    assert bodies(site.backend, "juliet") == left
    assert bodies(site.backend, "romeo") == [HOUR]


def test_backup_and_check(backend):
    archive(backend, "juliet", [3 * DAY, HOUR])
    backend.start()
    copy = backend.place.path / "copy.backup"
    backend.ctl("backup", copy)
    assert json.loads(backend.ctl("--json", "check", "store"))["faults"] == 0
    backend.ctl("archive", "delete", f"juliet@{DOMAIN}")
    backend.stop()
    backend.ctl("restore", copy)
    assert bodies(backend, "juliet") == [3 * DAY, HOUR]
    with database(backend) as db:
        db.execute("UPDATE archive SET text = '<message><body>' WHERE text LIKE '%3600%'")
        db.execute("INSERT INTO archive VALUES (999, 1, 0, '', '', '<message/>')")
        db.execute("UPDATE archive_size SET entries = 7")
        db.execute("INSERT INTO archive_log (data) VALUES (x'00')")
    done = run("posternctl", "-c", backend.config, "--json", "check", "store")
    assert done.returncode == 1
    found = json.loads(done.stdout)
    assert found["faults"] == 4, found
    for text in ("is not readable", "belongs to nobody", "says that it has 7", "log of archives"):
        assert any(text in fault for fault in found["found"]), found
