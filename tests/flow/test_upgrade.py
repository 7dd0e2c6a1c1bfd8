"""Another program takes over in place: same process id, same sockets, no connection is touched."""

import os
import pathlib
import shutil
import signal
import ssl
import stat

import pytest

from harness.door import ANSWER, REQUEST, ask
from harness.load import Load
from harness.ports import reserve_port
from harness.process import BIN
from harness.tcp import connect, read_to_end
from harness.wait import wait_until


@pytest.fixture
def upgradable(door):
    """A door whose gateway runs from a file of its own, which may be replaced as a package manager does."""
    def make(start_now=True, **arguments):
        one = door(start=False, **arguments)
        one.program = one.place.path / "postern-gateway"
        shutil.copy(BIN / "postern-gateway", one.program)
        one.gateway.arguments[0] = str(one.program)
        if start_now:
            one.gateway.start()
        return one

    return make


def install(one, text=None):
    """Put another program, or the same one anew, in the place of the running one."""
    fresh = one.program.with_suffix(".new")
    if text is None:
        shutil.copy(BIN / "postern-gateway", fresh)
    else:
        fresh.write_text(text)
        fresh.chmod(fresh.stat().st_mode | stat.S_IXUSR)
    fresh.rename(one.program)


@pytest.mark.release
def test_upgrade_under_load(upgradable):
    """Several times in a row, with connections that began before; counters, uptime and process id stay."""
    one = upgradable()
    pid, held = one.gateway.pid, [connect(one.port) for _ in range(8)]
    for sock in held:
        ask(sock)
    with Load(one.port, REQUEST, ANSWER) as load:
        for number in range(3):
            install(one)
            if number == 2:
                one.gateway.signal(signal.SIGUSR2)
                one.gateway.wait_log(count=3, event="upgraded")
            else:
                done = one.ctl("upgrade")
                assert done.returncode == 0 and "upgraded" in done.stdout, done.stderr
            for sock in held:
                ask(sock)
            load.wait(20)
        one.reload(workers=3)
        load.wait(20)
    assert load.failed == []
    status = one.gateway.status()
    assert status["pid"] == pid == one.gateway.pid and len(status["workers"]) == 3
    assert status["generation"] == 5
    for sock in held:
        ask(sock)
        sock.close()
    wait_until(lambda: not one.gateway.status()["retired"], "the old workers end")
    counted = one.gateway.stats()
    assert [counted[""][name] for name in ("upgrades", "upgrades_failed", "reloads", "worker_deaths")] == [3, 0, 1, 0]
    wait_until(lambda: one.gateway.stats()["web"]["close_done"] == load.done + 8, "all were counted, before and after")


def children(pid):
    """Names of a process's children; those that have ended and were not waited for are there as well."""
    names = []
    for child in pathlib.Path(f"/proc/{pid}/task/{pid}/children").read_text().split():
        try:
            stat = pathlib.Path(f"/proc/{child}/stat").read_text()
        except (FileNotFoundError, ProcessLookupError):
            continue  # waited for meanwhile
        names.append(stat.partition("(")[2].rpartition(")")[0])
    return sorted(names)


@pytest.mark.release
def test_no_child_of_the_program_before_is_left(upgradable):
    """Names of servers are looked up by a child of the master's, which nobody would wait for."""
    one = upgradable(extra='upstream "named" { server = "localhost:9" }\n'
                           'route "named" { protocol = "ssh" proxy = "named" }')
    before = ["postern-gateway", "postern-gateway", "postern-resolve"]
    wait_until(lambda: children(one.gateway.pid) == before, lambda: f"its children: {children(one.gateway.pid)}")
    for _ in range(2):
        assert one.ctl("upgrade").returncode == 0
    wait_until(lambda: not one.gateway.status()["retired"], "the old workers end")
    wait_until(lambda: children(one.gateway.pid) == before, "the children are those of before")


@pytest.mark.release
def test_what_the_administrator_set_and_tickets_outlive_an_upgrade(upgradable):
    one = upgradable(start_now=False)
    cert, key = one.place.certificate("tls", ["www.example"])
    port = reserve_port()
    one.write(extra=f"""
listener "tls" {{ address = "127.0.0.1:{port}" }}
tls "site" {{ certificate = "{cert}" key = "{key}" }}
route "in" {{ listener = "tls" terminate = "site" }}
route "inside" {{ inside = "site" proxy = "nginx" }}
""")
    one.gateway.start()
    context = ssl.create_default_context(cafile=cert)
    server = f"127.0.0.1:{one.nginx.plain_port}"

    def visit(session=None):
        with context.wrap_socket(connect(port), server_hostname="www.example", session=session) as sock:
            ask(sock)
            return sock.session, sock.session_reused

    def weight():
        head, row = (line.split("\t") for line in one.ctl("upstreams").stdout.splitlines())
        return dict(zip(head, row))["weight"]

    session, reused = visit()
    assert not reused
    assert one.ctl("server", "nginx", server, "weight=7").returncode == 0
    install(one)
    assert one.ctl("upgrade").returncode == 0
    assert visit(session)[1], "the ticket's key was handed over"
    assert weight() == "7"


BAD = [
    ("#!/bin/sh\necho 'this is broken' >&2\nexit 3\n", "this is broken"),
    ("no program at all", "cannot run"),
    (None, "expected a number"),  # the program is good; the file is not
]


@pytest.mark.parametrize("text,says", BAD)
def test_a_program_that_fails_its_check_does_not_run(upgradable, text, says):
    one = upgradable()
    install(one, text)
    config = one.gateway.config.read_text()
    before = one.workers()
    if text is None:
        one.write(extra="max-connections = 0")
        one.gateway.signal(signal.SIGUSR2)
    else:
        done = one.ctl("upgrade")
        assert done.returncode == 1 and says in done.stderr, done.stderr
    assert says in one.gateway.wait_log(event="upgrade_failed")["msg"]
    one.gateway.config.write_text(config)
    assert one.workers() == before
    one.get()
    assert one.gateway.stats()[""]["upgrades_failed"] == 1
    install(one)
    assert one.ctl("upgrade").returncode == 0


@pytest.mark.release
def test_a_program_that_knows_another_handover_does_not_run(upgradable):
    one = upgradable()
    install(one, f'#!/bin/sh\nshift 3\nexec {BIN}/postern-gateway -t --takes-over 999 "$@"\n')
    done = one.ctl("upgrade")
    assert done.returncode == 1 and "999" in done.stderr and "restart" in done.stderr
    one.get()


def test_a_new_program_that_cannot_start_workers_leaves_the_old_ones(upgradable):
    """It passes its check, takes over, and then finds something wrong: who served before goes on to serve."""
    one = upgradable()
    held = connect(one.port)
    ask(held)
    before = one.workers()
    missing = one.place.path / "missing" / "gateway.log"
    good = one.gateway.config.read_text()
    one.write(extra=f'log {{ file = "{missing}" }}')
    done = one.ctl("upgrade")
    assert done.returncode == 1 and str(missing) in done.stderr
    assert one.workers() == before
    ask(held)
    one.get()
    one.gateway.config.write_text(good)
    os.kill(before[0], signal.SIGKILL)
    wait_until(lambda: not set(one.workers()) & set(before), "a generation of its own serves")
    one.get()


@pytest.mark.release
def test_old_workers_end_with_the_new_master(upgradable):
    """They are its children still: it stops them, and they end when it is killed."""
    one = upgradable()
    held = connect(one.port)
    ask(held)
    assert one.ctl("upgrade").returncode == 0
    [old] = wait_until(lambda: len(retired := one.gateway.status()["retired"]) == 1 and retired, "one is held")
    one.gateway.kill()
    assert read_to_end(held)[0] == b""
    wait_until(lambda: not os.path.exists(f"/proc/{old}"), "it ends")
    one.gateway.starts = 0
    one.gateway.log_path.unlink()
    one.gateway.start()
    one.get()


def test_signals_during_an_upgrade_are_not_lost(upgradable):
    """Nor do they kill the new program before it has handlers."""
    one = upgradable()
    one.gateway.signal(signal.SIGUSR2)
    for _ in range(300):
        one.gateway.signal(signal.SIGHUP)
        one.gateway.signal(signal.SIGUSR1)
    one.gateway.wait_log(event="upgraded")
    wait_until(lambda: not one.gateway.status()["reload"]["running"], "all is done")
    one.get()


def test_a_stray_handover_is_not_believed(door):
    one = door(start=False)
    one.gateway.arguments = ["env", "POSTERN_HANDOVER=3", *one.gateway.arguments]
    one.gateway.start()
    one.get()
    assert "starting anew" in one.gateway.log_text()
