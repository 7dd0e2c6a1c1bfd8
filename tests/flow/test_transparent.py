"""transparent = true: the server sees the client's own address and port, with the routes that docs/gateway.md gives."""

import subprocess

import pytest

from harness.farm import Farm, Named
from harness.networks import Networks, possible
from harness.place import AS_ROOT
from harness.ports import reserve_port
from harness.process import BIN

pytestmark = pytest.mark.skipif(not AS_ROOT or not possible(), reason="needs network namespaces of our own")


@pytest.fixture
def networks():
    one = Networks()
    yield one
    one.stop()


@pytest.fixture
def farm(place):
    one = Farm(place)
    yield one
    one.stop()


class SeesClients(Named):
    """It answers with the address that it sees."""
    answer = "$remote_addr $remote_port"


def ask(networks, url):
    """(what the server saw, the client's own address and port)"""
    seen, own = networks.run("client", "curl", "-sS", "-g", "--max-time", "20", "--noproxy", "*", "-w",
                             "|%{local_ip} %{local_port}", url).split("|")
    return seen, own


@pytest.mark.release
@pytest.mark.parametrize("family, client_net, server", [("-4", "10.99.1.1", "10.99.2.2"),
                                                        ("-6", "[fd99:1::1]", "[fd99:2::2]")])
def test_the_server_sees_the_client(networks, farm, place, family, client_net, server):
    port = reserve_port()
    farm.servers["far"] = SeesClients(place, "far", host=server, wrapper=networks.inside("server")).start()
    far = farm.servers["far"]
    # What comes back from the server to addresses that are not ours is ours.
    networks.run("gateway", "ip", family, "rule", "add", "from", server.strip("[]"), "ipproto", "tcp", "sport",
                 str(far.port), "lookup", "100")
    networks.run("gateway", "ip", family, "route", "add", "local", "default", "dev", "lo", "table", "100")
    gateway = farm.start([far.at], "transparent = true",
                         f'listener "outside" {{ address = "{client_net}:{port}" }}',
                         wrapper=networks.inside("gateway"))
    for _ in range(2):
        seen, own = ask(networks, f"http://{client_net}:{port}/")
        assert seen == own
    worker = gateway.status()["workers"][0]["pid"]
    status = open(f"/proc/{worker}/status").read()
    assert "CapEff:\t0000000000002000\n" in status and "CapPrm:\t0000000000002000\n" in status, "CAP_NET_RAW alone"


def test_a_server_on_the_same_machine(networks, farm, place):
    port = reserve_port()
    farm.servers["near"] = SeesClients(place, "near", wrapper=networks.inside("gateway")).start()
    near = farm.servers["near"]
    networks.run("gateway", "ip", "rule", "add", "from", "127.0.0.1", "ipproto", "tcp", "sport", str(near.port), "iif",
                 "lo", "lookup", "100")
    networks.run("gateway", "ip", "route", "add", "local", "default", "dev", "lo", "table", "100")
    farm.start([near.at], "transparent = true", f'listener "outside" {{ address = "10.99.1.1:{port}" }}',
               wrapper=networks.inside("gateway"))
    seen, own = ask(networks, f"http://10.99.1.1:{port}/")
    assert seen == own


def test_a_client_of_another_family_is_not_sent_on_under_another_address(networks, farm, place):
    port = reserve_port()
    farm.servers["far"] = SeesClients(place, "far", host="10.99.2.2", wrapper=networks.inside("server")).start()
    gateway = farm.start([farm.servers["far"].at], "transparent = true",
                         f'listener "outside" {{ address = "[fd99:1::1]:{port}" }}',
                         wrapper=networks.inside("gateway"))
    with pytest.raises(AssertionError):
        ask(networks, f"http://[fd99:1::1]:{port}/")
    assert gateway.wait_log(event="connect_failed")["error"] == "Address family not supported by protocol"


@pytest.mark.release
def test_without_it_no_right_is_kept(farm):
    gateway = farm.start([farm.server("a").at])
    for worker in gateway.status()["workers"]:
        assert "CapEff:\t0000000000000000\n" in open(f"/proc/{worker['pid']}/status").read()


def test_without_the_capability_it_does_not_start(place):
    config = place.write("bare.conf", f"""
lock-file = "{place.path}/bare.lock"
{place.user_line()}
listener "public" {{ address = "127.0.0.1:{reserve_port()}" }}
upstream "u" {{ server = "127.0.0.1:1" transparent = true }}
route "all" {{ proxy = "u" }}
""")
    done = subprocess.run(["setpriv", "--bounding-set", "-net_raw", BIN / "postern-gateway", "-c", config],
                          capture_output=True, text=True, timeout=60)
    assert done.returncode == 1
    assert "needs capability 13" in done.stderr
