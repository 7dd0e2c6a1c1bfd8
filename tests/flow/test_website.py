"""The website behind the gateway: TLS passed through to a real nginx, which sees its visitors' true addresses."""

import hashlib
import random
import subprocess

import pytest

from harness.site import DOMAIN, WEBSITE


@pytest.mark.release
@pytest.mark.tsan
def test_curl_reaches_nginx_which_logs_the_true_address(site):
    before = len(site.nginx.requests())
    done = site.curl(f"https://{WEBSITE}/", "-w", "%{local_port} %{http_code} %{ssl_verify_result}")
    assert done.returncode == 0, done.stderr
    page, status = done.stdout.rsplit("\n", 1)
    port, code, verified = status.split()
    assert (page, code, verified) == ("the website", "200", "0")
    client, _, sni, _, _ = site.nginx.wait_request(before + 1)
    assert (client, sni) == (f"127.0.0.1:{port}", WEBSITE)
    line = site.gateway.close_lines(peer=f"127.0.0.1:{port}")[0]
    assert (line["route"], line["sni"], line["reason"]) == ("browsers", WEBSITE, "done")
    assert int(line["bytes_in"]) > 0 and int(line["bytes_out"]) > 1000
    assert "http/1.1" in line["alpn"]


def test_ipv6_visitor(site):
    before = len(site.nginx.requests())
    done = subprocess.run(
        ["curl", "-sS", "--noproxy", "*", "--cacert", site.cert, "--connect-to", f"::[::1]:{site.port}",
         "-w", "%{local_port}", f"https://{WEBSITE}/"], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    port = done.stdout.rsplit("\n", 1)[1]
    assert site.nginx.wait_request(before + 1)[0] == f"::1:{port}"


def test_the_bare_domain_is_the_website_too(site):
    done = site.curl(f"https://{DOMAIN}/")
    assert (done.returncode, done.stdout) == (0, "the website\n"), done.stderr


def test_http2_through_the_passthrough(site):
    before = len(site.nginx.requests())
    done = site.curl(f"https://{WEBSITE}/", "--http2", "-w", "%{http_version}")
    assert (done.returncode, done.stdout) == (0, "the website\n2"), done.stderr
    assert site.nginx.wait_request(before + 1)[1] == "HTTP/2.0"


@pytest.mark.parametrize("arguments,version", [((), "HTTP/1.1"), (("--http2-prior-knowledge",), "HTTP/1.1")])
def test_plain_http_is_told_apart(site, arguments, version):
    """Plain HTTP/1 and the HTTP/2 preface take their own route (this nginx answers only the former in clear)."""
    done = site.curl(f"http://{WEBSITE}/", *arguments, "-w", "%{local_port}")
    port = done.stdout.rsplit("\n", 1)[-1]
    line = site.gateway.close_lines(peer=f"127.0.0.1:{port}")[0]
    assert line["route"] == "website-plain"
    if not arguments:
        assert (done.returncode, done.stdout.startswith("the website\n")) == (0, True), done.stderr
        assert site.nginx.requests()[-1][:2] == (f"127.0.0.1:{port}", version)


@pytest.mark.release
def test_a_gibibyte_arrives_intact(site):
    """Bulk goes through splice(2); what arrives is hashed, not counted only."""
    size_mib = 1024
    block = random.Random(20).randbytes(1 << 20)
    expected = hashlib.sha256()
    path = site.nginx.www / "large"
    with open(path, "wb") as file:
        for i in range(size_mib):
            part = i.to_bytes(8, "big") + block[8:]
            file.write(part)
            expected.update(part)
    try:
        curl = subprocess.Popen(
            ["curl", "-sS", "--noproxy", "*", "--cacert", site.cert, "--connect-to", f"::127.0.0.1:{site.port}",
             f"https://{WEBSITE}/large"], stdout=subprocess.PIPE)
        seen = hashlib.sha256()
        while part := curl.stdout.read(1 << 20):
            seen.update(part)
        assert curl.wait(60) == 0
        assert seen.hexdigest() == expected.hexdigest()
    finally:
        path.unlink()
