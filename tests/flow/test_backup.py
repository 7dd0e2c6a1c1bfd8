"""posternctl backup, restore, check store: on a running backend and on a stopped one."""

import contextlib
import json
import os
import pathlib
import sqlite3
import stat
import threading

import pytest

from harness.place import AS_ROOT
from harness.postern import run
from harness.rawxmpp import RawClient
from harness.site import DOMAIN
from harness.wait import wait_until

NOTE = "<query xmlns='jabber:iq:private'>{}</query>"


@pytest.fixture
def backend(own_site):
    site = own_site()
    site.backend.start()
    for user in ("juliet", "romeo"):
        site.add_account(user, "secret")
    site.backend.site = site
    return site.backend


def log_in(backend, user="juliet"):
    raw = RawClient("127.0.0.1", backend.site.c2s_direct).start_tls(sni=DOMAIN)
    raw.login(user, "secret", DOMAIN)
    return raw


def note(raw, number=None):
    """Keep a number with the account, or ask for it."""
    inner = f"<n xmlns='test:note'>{number if number is not None else ''}</n>"
    kind = "get" if number is None else "set"
    answer = raw.command(f"<iq type='{kind}' id='n{number}'>{NOTE.format(inner)}</iq>")
    assert answer.get("type") == "result", answer.attrib
    return answer[0][0].text if number is None else None


def files_of(backend):
    """What is in the state folder; all of it is the service's own."""
    found = {path.name: path.stat() for path in backend.state_dir.iterdir()}
    owner = backend.state_dir.stat().st_uid
    for name, info in found.items():
        assert info.st_uid == owner and not info.st_mode & 0o077, (name, oct(info.st_mode), info.st_uid)
    return set(found)


def noted_in(path):
    """The number in a copy, once it is found whole."""
    with contextlib.closing(sqlite3.connect(f"file:{path}?immutable=1", uri=True)) as database:
        assert database.execute("PRAGMA integrity_check").fetchone() == ("ok",)
        value = database.execute("SELECT value FROM record WHERE kind = 'private'").fetchone()[0]
    return int(value.split("</")[0].split(">")[-1])


@pytest.mark.release
@pytest.mark.parametrize("running", [True, False], ids=["running", "stopped"])
def test_a_backup_brings_back_what_was(backend, running):
    ctl, copy = backend.ctl, backend.place.path / "copy.backup"
    with log_in(backend) as raw:
        note(raw, 1)
    if not running:
        backend.stop()
    told = json.loads(ctl("--json", "backup", copy))
    assert told == {"bytes": copy.stat().st_size} and told["bytes"] > 4096
    assert stat.S_IMODE(copy.stat().st_mode) == 0o600
    if not running:
        backend.start()
    with log_in(backend) as raw:
        note(raw, 2)
    ctl("deluser", f"romeo@{DOMAIN}")
    ctl("adduser", f"nurse@{DOMAIN}", stdin="secret\n")
    backend.stop()
    before = files_of(backend)
    text = ctl("restore", copy)
    kept, = files_of(backend) - before
    assert text == f"restored; the store before it is kept as {backend.state_dir / kept}\n"
    assert ctl("users").split() == [f"juliet@{DOMAIN}", f"romeo@{DOMAIN}"]
    backend.start()
    with log_in(backend) as raw:
        assert note(raw) == "1"
    # What was kept is as good a store.
    backend.stop()
    assert json.loads(ctl("--json", "restore", backend.state_dir / kept))["kept"]
    assert ctl("users").split() == [f"juliet@{DOMAIN}", f"nurse@{DOMAIN}"]
    backend.start()
    with log_in(backend) as raw:
        assert note(raw) == "2"


def test_a_backup_under_load_has_what_was_acknowledged(backend):
    """Writes do not stop, and the copy is of one moment between its beginning and its end."""
    copy, done = backend.place.path / "copy.backup", threading.Event()
    acknowledged = [0]

    def write():
        with log_in(backend) as raw:
            while not done.is_set():
                note(raw, acknowledged[-1] + 1)
                acknowledged.append(acknowledged[-1] + 1)

    with log_in(backend) as raw:
        note(raw, 0)
    writer = threading.Thread(target=write)
    writer.start()
    try:
        for _ in range(5):
            before = acknowledged[-1]
            backend.ctl("backup", copy)
            after = acknowledged[-1]
            assert before <= noted_in(copy) <= after + 1
            copy.unlink()
        wait_until(lambda: acknowledged[-1] > 5, "it writes all the time")
    finally:
        done.set()
        writer.join()


def test_backups_that_cannot_be_made(backend):
    ctl, folder = backend.ctl, backend.place.path
    there = folder / "there"
    there.write_text("precious")
    assert f"{there} exists" in ctl("backup", there, status=1)
    assert there.read_text() == "precious"
    assert "No such file or directory" in ctl("backup", folder / "none" / "copy", status=1)
    assert "FILE" in ctl("backup", status=2)
    # Nothing half done is left behind.
    backend.kill()
    database = backend.state_dir / "postern.sqlite"
    database.chmod(0o644)
    text = ctl("backup", folder / "copy", status=3)
    assert f"{database} is open to others (mode 0644); mend it by: chmod go= '{database}'" in text
    database.chmod(0o600)
    assert not [path for path in folder.iterdir() if path.name.startswith("copy")]
    backend.start()


def test_restores_that_are_refused(backend):
    """The store is as it was, and nothing is left beside it."""
    ctl, folder = backend.ctl, backend.place.path
    copy = folder / "copy.backup"
    ctl("backup", copy)
    assert f"pid {backend.pid}; stop that server first" in ctl("restore", copy, status=1)
    backend.stop()
    before = files_of(backend)

    def changed(name, sql):
        path = folder / name
        path.write_bytes(copy.read_bytes())
        with contextlib.closing(sqlite3.connect(path)) as database:
            database.executescript(sql)
        return path

    damaged = folder / "damaged"
    damaged.write_bytes(copy.read_bytes()[:-4096] + b"Z" * 4096)
    cut = folder / "cut"
    cut.write_bytes(copy.read_bytes()[:-4096])
    garbage = folder / "garbage"
    garbage.write_bytes(os.urandom(20000))
    empty = folder / "empty"
    empty.touch()
    for path, says in ((damaged, "it is damaged"), (cut, "cut off"), (garbage, "it is no backup of a store"),
                       (empty, "it is no backup of a store"),
                       (changed("other", "DROP TABLE account_scram; DROP TABLE account"), "it is no backup of a store"),
                       (changed("stray", "INSERT INTO queue (owner, kind, stamp_ms, text) VALUES (99, '', 0, '')"),
                        "it is damaged"),
                       (changed("newer", "PRAGMA user_version=999"), "newer than this program's")):
        text = ctl("restore", path, status=1)
        assert says in text, text
        assert files_of(backend) == before
    assert "No such file" in ctl("restore", folder / "none", status=1)
    assert ctl("users").split() == [f"juliet@{DOMAIN}", f"romeo@{DOMAIN}"]


def test_a_store_that_is_past_reading_can_be_replaced(backend):
    ctl, copy = backend.ctl, backend.place.path / "copy.backup"
    ctl("backup", copy)
    backend.stop()
    backend.start()
    with log_in(backend) as raw:
        note(raw, 1)
    backend.kill()
    with open(backend.state_dir / "postern.sqlite", "r+b") as database:
        database.write(os.urandom(4096))
    assert "not a database" in ctl("users", status=3)
    kept = pathlib.Path(json.loads(ctl("--json", "restore", copy))["kept"])
    assert kept.name in files_of(backend) and kept.stat().st_size >= 4096
    backend.start()
    assert ctl("users").split() == [f"juliet@{DOMAIN}", f"romeo@{DOMAIN}"]
    log_in(backend).tcp.close()


@pytest.mark.release
def test_check_store(backend):
    with log_in(backend) as raw:
        note(raw, 1)
    expected = {"accounts": 2, "records": 1, "entries": 0, "faults": 0, "found": []}
    assert json.loads(backend.ctl("--json", "check", "store")) == expected
    backend.stop()
    assert json.loads(backend.ctl("--json", "check", "store")) == expected
    with contextlib.closing(sqlite3.connect(backend.state_dir / "postern.sqlite")) as database:
        database.executescript("UPDATE record SET value = '<broken'")
    for start in (False, True):
        if start:
            backend.start()
        done = run("posternctl", "-c", backend.config, "--json", "check", "store")
        assert done.returncode == 1
        told = json.loads(done.stdout)
        assert told["faults"] == 1 and told["found"] == [
            f'juliet@{DOMAIN}: a record of the kind "private" is not readable']


@pytest.mark.skipif(not AS_ROOT, reason="needs another user")
def test_files_of_somebody_else_are_told(backend):
    backend.stop()
    path = backend.state_dir / "postern.sqlite"
    os.chown(path, 0, 0)
    assert f"{path} belongs to somebody else; mend it by: chown nobody '{path}'" in backend.ctl("users", status=3)
