"""The store under a running backend: a disk without room, files that others could read, a start after a crash."""

import json
import os
import pwd
import subprocess

import pytest

from harness.place import AS_ROOT, USER
from harness.rawxmpp import RawClient
from harness.site import DOMAIN
from harness.stage import Stage, error

ROOM = 64 * 1024
NOTE = "<query xmlns='jabber:iq:private'><n xmlns='test:note'>{}</n></query>"


def keep(actor, text):
    """Have the server keep a text; the error's condition, None when it did."""
    found = error(actor.request("set", NOTE.format(text)))
    return found and found[1]


def kept(actor):
    return actor.request("get", NOTE.format(""))[0][0].text


class Limit:
    """No file of the process may grow beyond some bytes, which leaves no room as a quota does."""

    def __init__(self, pid):
        self.pid = pid

    def set(self, size):
        who = {"user": USER, "group": pwd.getpwnam(USER).pw_gid, "extra_groups": []} if USER else {}
        subprocess.run(["prlimit", f"--pid={self.pid}", f"--fsize={size}:unlimited"], check=True, **who)

    def fill(self):
        self.set(ROOM)

    def free(self):
        self.set("unlimited")


class SmallDisk:
    """The state folder has a small disk to itself, which a file fills."""

    def __init__(self, folder):
        self.filler = folder / "filler"

    def fill(self):
        with open(self.filler, "wb", buffering=0) as file:
            try:
                while True:
                    file.write(bytes(4096))
            except OSError:
                pass

    def free(self):
        self.filler.unlink()


@pytest.fixture
def small_disk():
    mounted = []

    def mount(folder):
        done = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=2m,mode=0700,uid=65534,gid=65534", "none", folder],
                              capture_output=True, text=True)
        if done.returncode:
            pytest.skip(f"this machine lets us mount nothing: {done.stderr}")
        mounted.append(folder)

    yield mount
    for folder in mounted:
        subprocess.run(["umount", "-l", folder], check=True)


def suffer(site, disk):
    """What does not fit is refused with the right error, what was there stays, and with room all is well again."""
    with Stage(site) as stage:
        juliet, romeo = stage.enter("juliet"), stage.enter("romeo")
        assert keep(juliet, "before") is None
        absent = stage.account("absent")
        disk.fill()
        refused = 0
        for number in range(100):
            refused += keep(juliet, f"{number} " + "x" * 10000) == "resource-constraint"
            if refused:
                break
        assert refused
        text = kept(juliet)
        for _ in range(3):
            assert keep(juliet, "y" * 10000) == "resource-constraint"
        assert kept(juliet) == text
        assert error(romeo.request("set", "<query xmlns='jabber:iq:roster'><item jid='nurse@example.test' name='"
                                   + "n" * 900 + "'/></query>")) == ("wait", "resource-constraint")
        assert romeo.roster() == {}
        romeo.send_message(absent, "z" * 10000, id="full")
        assert error(romeo.expect("message", "error", absent, id="full")) == ("wait", "resource-constraint")
        assert "the disk is full" in site.backend.ctl("adduser", f"late@{DOMAIN}", stdin="x\n", status=1)
        romeo.send_message(juliet.jid, "it still routes")
        juliet.expect("message", body="it still routes")
        # Told once, not for every write that it refuses.
        assert len(site.backend.log(event="store_full")) == 1
        disk.free()
        assert keep(juliet, "after") is None
        assert kept(juliet) == "after"
        site.backend.wait_log(event="store_room")
        site.backend.ctl("adduser", f"late@{DOMAIN}", stdin="x\n")
    assert json.loads(site.backend.ctl("--json", "check", "store"))["faults"] == 0
    site.backend.kill()
    site.backend.start()
    with Stage(site) as stage:
        assert kept(stage.enter("juliet")) == "after"


def test_no_room_by_a_limit(own_site):
    site = own_site()
    site.backend.start()
    suffer(site, Limit(site.backend.pid))


@pytest.mark.skipif(not AS_ROOT, reason="needs a disk of its own")
def test_no_room_on_the_disk(own_site, small_disk):
    site = own_site()
    small_disk(site.backend.state_dir)
    site.backend.start()
    suffer(site, SmallDisk(site.backend.state_dir))


def test_what_others_could_read_is_not_served(own_site):
    """Each file by itself, and the message has the command that mends it, which does."""
    site = own_site()
    backend = site.backend
    backend.start()
    site.add_account("juliet", "secret")
    backend.kill()
    state = backend.state_dir
    names = ["", "postern.sqlite", "postern.sqlite-wal", "postern.sqlite-shm", "secret"]
    for name in names:
        path = state / name if name else state
        path.chmod(0o755)
        done = subprocess.run(backend.arguments, capture_output=True, text=True, timeout=60)
        assert done.returncode == 1, done
        says = f"{path} is open to others (mode 0755); mend it by: "
        assert says in done.stderr, (name, done.stderr)
        subprocess.run(["sh", "-c", done.stderr.strip().rpartition("mend it by: ")[2]], check=True)
        assert not path.stat().st_mode & 0o077
    backend.start()
    with RawClient("127.0.0.1", site.c2s_direct) as raw:
        raw.start_tls(sni=DOMAIN)
        raw.login("juliet", "secret", DOMAIN)
    for path in state.iterdir():
        assert not path.stat().st_mode & 0o077 and path.stat().st_uid == os.stat(state).st_uid, path
