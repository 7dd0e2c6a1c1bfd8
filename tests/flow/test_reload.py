"""A changed configuration is put in force without touching a connection; a bad one changes nothing."""

import os
import re
import signal
import socket
import subprocess
import threading
import time

import pytest

from harness.door import ANSWER, REQUEST, ask
from harness.load import Load
from harness.ports import reserve_port
from harness.tcp import connect, listens, read_to_end
from harness.wait import PATIENCE_S, wait_until

@pytest.mark.release
def test_reload_every_100_ms_under_load(door):
    """No connection fails, neither the many short ones nor the long ones that began before."""
    one = door()
    long_ones = [connect(one.port) for _ in range(8)]
    with Load(one.port, REQUEST, ANSWER) as load:
        for number in range(20):
            if number == 10:
                long_ones += [connect(one.port) for _ in range(8)]
            started = time.monotonic()
            one.gateway.signal(signal.SIGHUP)
            one.gateway.wait_log(count=number + 1, event="reloaded")
            for sock in long_ones:
                ask(sock)
            time.sleep(max(0, 0.1 - (time.monotonic() - started)))  # the rhythm that is tested
        load.wait(100)
    assert load.failed == []
    for sock in long_ones:
        ask(sock)
        sock.close()
    counted = one.gateway.stats()
    assert counted[""]["reloads"] == 20 and counted[""]["reloads_failed"] == 0 and counted[""]["worker_deaths"] == 0
    wait_until(lambda: one.gateway.stats()["web"]["close_done"] >= load.done, "every connection is counted")
    wait_until(lambda: not one.gateway.status()["retired"], "the old workers end")


@pytest.mark.release
def test_ten_reloads_in_a_row(door):
    """Routes come and go, workers too; what each route has counted stays."""
    one = door()
    one.get()
    for number in range(10):
        one.reload(route=f"web{number % 3}", workers=number % 4 + 1)
        assert len(one.workers()) == number % 4 + 1
        one.get()
    counted = one.gateway.stats()
    assert [counted[name]["routed"] for name in ("web", "web0", "web1", "web2")] == [1, 4, 3, 3]
    assert (counted[""]["accepted"], counted[""]["reloads"]) == (11, 10)
    assert one.gateway.status()["generation"] == 11


def listening():
    """The inodes of all listening sockets.  The table is long when many connections have just ended."""
    with open("/proc/net/tcp") as table:
        return {line.split()[9] for line in table if " 0A " in line}


def sockets(pids):
    """The listening sockets that each process holds, by inode."""
    held, known = [], listening()
    for pid in pids:
        links = []
        for name in os.listdir(f"/proc/{pid}/fd"):
            try:
                links.append(os.readlink(f"/proc/{pid}/fd/{name}"))
            except FileNotFoundError:
                pass  # closed meanwhile
        held.append({match[1] for match in map(re.compile(r"socket:\[(\d+)\]").fullmatch, links) if match} & known)
    return held


@pytest.mark.release
def test_more_and_fewer_workers(door):
    """1 -> 4 -> 2 -> 3: every socket that was opened is accepted from, whoever is there."""
    one = door(workers=1)
    with Load(one.port, REQUEST, ANSWER) as load:
        for workers, opened in ((4, 4), (2, 4), (3, 4), (1, 4)):
            one.reload(workers=workers)
            load.wait(40)

            def shared():
                """The table of sockets is read in pieces, while others change it."""
                master, *held = sockets([one.gateway.pid, *one.workers()])
                return len(held) == workers and len(master) == opened and set.union(*held) == master

            wait_until(shared, f"{workers} workers have {opened} sockets")
    assert load.failed == []


@pytest.mark.release
def test_addresses_come_and_go(door):
    one = door()
    other = reserve_port()
    with Load(one.port, REQUEST, ANSWER) as load:
        one.reload(ports=[one.port, other])
        one.get(other)
        held = connect(other)
        ask(held)
        one.reload(ports=[one.port])
        wait_until(lambda: not listens(other), "nobody listens at the removed address")
        ask(held)
        held.close()
        load.wait(20)
    assert load.failed == []
    wait_until(lambda: len(sockets([one.gateway.pid])[0]) == 2, "its sockets are closed")


def test_who_waits_at_a_removed_address_is_served(door):
    """The old worker takes the queue along, even if it was busy when the address was removed."""
    other = reserve_port()
    one = door(workers=1)
    one.reload(workers=1, ports=[one.port, other])
    [busy] = one.workers()
    os.kill(busy, signal.SIGSTOP)
    waiting = [connect(other) for _ in range(200)]  # more than it takes in one turn
    one.write(workers=1)
    one.gateway.signal(signal.SIGHUP)
    one.gateway.wait_log(count=2, event="reloaded")
    os.kill(busy, signal.SIGCONT)
    for sock in waiting:
        ask(sock)
        sock.close()


def test_who_waits_at_a_busy_worker_is_served_by_the_next_generation(door):
    one = door(workers=1)
    [busy] = one.workers()
    os.kill(busy, signal.SIGSTOP)
    waiting = [connect(one.port) for _ in range(20)]
    one.reload(workers=1)
    for sock in waiting:
        ask(sock)
        sock.close()
    os.kill(busy, signal.SIGCONT)


BAD = [
    ('listener "public" { address = "127.0.0.1:1" ', "never closed"),
    ('route "x" { proxy = "nobody" }', 'route "x"'),
    ("max-connections = 0", "max-connections"),
]


@pytest.mark.parametrize("extra,says", BAD)
def test_a_bad_file_changes_nothing(door, extra, says):
    one = door()
    before = one.workers()
    one.write(extra=extra)
    done = one.ctl("reload")
    assert says in done.stderr and re.search(r"gateway\.conf:\d+: ", done.stderr)
    assert done.returncode in (1, 2)  # 2: posternctl itself could not read the file
    one.gateway.signal(signal.SIGHUP)
    line = one.gateway.wait_log(count=3 - done.returncode, event="reload_failed")
    assert re.search(r"gateway\.conf:\d+: ", line["msg"]) and says in line["msg"]
    one.get()
    one.write()
    assert one.workers() == before
    status = one.gateway.status()
    assert says in status["reload"]["error"] and not status["reload"]["running"]
    counted = one.gateway.stats()[""]
    assert (counted["reloads"], counted["reloads_failed"]) == (0, 3 - done.returncode)
    one.reload()
    assert one.gateway.status()["reload"]["error"] is None


def test_a_port_that_is_taken_changes_nothing(door):
    one = door()
    before = one.workers()
    with socket.create_server(("127.0.0.1", 0)) as taken:
        other = reserve_port()
        one.write(ports=[one.port, other, taken.getsockname()[1]])
        done = one.ctl("reload")
    assert done.returncode == 1 and "in use by" in done.stderr
    assert one.workers() == before and not listens(other)
    one.get()


def test_workers_that_cannot_start_change_nothing(door):
    """Found out only after the fork: the log of the old generation goes on, its workers serve."""
    one = door()
    before = one.workers()
    missing = one.place.path / "missing" / "gateway.log"
    one.write(extra=f'log {{ file = "{missing}" }}')
    done = one.ctl("reload")
    assert done.returncode == 1 and str(missing) in done.stderr
    assert one.workers() == before
    one.get()
    one.gateway.close_lines()


@pytest.mark.parametrize("option", ["lock-file", "control-socket"])
def test_what_needs_a_restart_says_so(door, option):
    one = door()
    text = one.gateway.config.read_text()
    one.gateway.config.write_text(re.sub(rf'{option} = "(.*)"', rf'{option} = "\1.other"', text))
    one.gateway.signal(signal.SIGHUP)
    line = one.gateway.wait_log(event="reload_failed")
    assert option in line["msg"] and "restart" in line["msg"]


def test_many_signals_make_few_reloads(door):
    """Those that come while one runs become one more, and everyone who asked hears how it went."""
    one = door()
    results = []
    askers = [threading.Thread(target=lambda: results.append(one.ctl("reload"))) for _ in range(5)]
    for asker in askers:
        asker.start()
    for _ in range(200):
        one.gateway.signal(signal.SIGHUP)
    for asker in askers:
        asker.join()
    assert [done.returncode for done in results] == [0] * 5
    wait_until(lambda: not one.gateway.status()["reload"]["running"], "the last has ended")
    assert 1 <= one.gateway.stats()[""]["reloads"] < 100


def test_the_log_follows_the_configuration(door):
    """Old workers, too, write where and how the new configuration says."""
    one = door()
    held = connect(one.port)
    ask(held)
    log = one.place.folder("log") / "new.log"
    one.reload(extra=f'log {{ file = "{log}" format = json addresses = none }}')
    held.close()
    wait_until(lambda: log.exists() and '"event":"close"' in log.read_text(), "the old worker's line")
    assert '"peer":"-"' in log.read_text()
    one.gateway.log_path = log


def test_listeners_options_are_put_in_force_on_the_sockets_that_are_there(door):
    one = door()

    def queues_and_timers():
        listening = subprocess.run(["ss", "-ltnH", "sport", "=", f":{one.port}"], capture_output=True, text=True, check=True)
        with connect(one.port) as sock:
            ask(sock)
            own = subprocess.run(["ss", "-tnoH", "sport", "=", f":{one.port}", "and", "dport", "=",
                                  f":{sock.getsockname()[1]}"], capture_output=True, text=True, check=True)
        return {line.split()[2] for line in listening.stdout.splitlines()}, "timer:(keepalive," in own.stdout

    def wait_for(queue, timer):
        """The timer is another one until what was sent is acknowledged."""
        wait_until(lambda: queues_and_timers() == ({queue}, timer), lambda: f"{queue}, {timer}: {queues_and_timers()}")

    wait_for("1024", False)
    one.gateway.config.write_text(one.gateway.config.read_text().replace(
        'listener "public" {', 'listener "public" { backlog = 77 keepalive = 1m'))
    assert one.ctl("reload").returncode == 0
    wait_for("77", True)
    one.reload()
    wait_for("1024", False)


def test_hard_stop_after(door):
    """The one drop that is allowed: connections of an old generation when their time is over."""
    one = door()
    held = connect(one.port)
    ask(held)
    one.reload(extra="hard-stop-after = 200ms")
    assert read_to_end(held)[0] == b""
    one.gateway.close_lines(reason="drained")
    wait_until(lambda: not one.gateway.status()["retired"], "the old workers end")
    assert one.gateway.stats()[""]["worker_deaths"] == 0


@pytest.mark.release
def test_drain_finishes_what_is_there(door):
    one = door()
    held = connect(one.port)
    ask(held)
    assert one.ctl("drain").returncode == 0
    wait_until(lambda: not listens(one.port), "nobody listens")
    assert one.ctl("reload").returncode == 1
    assert one.gateway.status()["stopping"]
    ask(held)
    held.close()
    assert one.gateway.popen.wait(PATIENCE_S) == 0


def test_a_drain_without_a_deadline_has_that_of_reloads(door):
    one = door(extra="hard-stop-after = 300ms")
    held = connect(one.port)
    ask(held)
    assert one.ctl("drain").returncode == 0
    assert read_to_end(held)[0] == b""
    assert one.gateway.popen.wait(PATIENCE_S) == 0


def test_a_drain_has_a_deadline(door):
    """After SIGTERM, and also when a drain without one was under way."""
    one = door()
    held = connect(one.port)
    ask(held)
    one.reload()
    later = connect(one.port)
    ask(later)
    one.ctl("drain")
    one.gateway.signal(signal.SIGTERM)
    assert one.gateway.popen.wait(PATIENCE_S) == 0
    for sock in (held, later):
        assert read_to_end(sock)[0] == b""


def test_a_worker_that_is_killed_during_reloads(door):
    one = door()
    with Load(one.port, REQUEST, ANSWER) as load:
        victim = one.workers()[0]
        os.kill(victim, signal.SIGKILL)
        one.reload()
        wait_until(lambda: victim not in one.workers(), "it is replaced")
        before = len(load.failed)
        load.stopping = False
        wait_until(lambda: load.done > 50, "clients are served")
        assert len(load.failed) == before
    assert before <= 8  # what it held
    assert one.gateway.stats()[""]["worker_deaths"] == 1
