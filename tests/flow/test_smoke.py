"""The smoke test of the guides: a web client that asks the XMPP name gets an XMPP stream error."""

import pytest

from harness.site import XMPPS


@pytest.mark.release
@pytest.mark.parametrize("arguments", [(), ("--http1.1",), ("--no-alpn",), ("--tls-max", "1.2")])
def test_curl_gets_a_stream_error_and_no_http(site, arguments):
    """curl offers h2,http/1.1 (or less): the SNI decides, and the backend answers without ALPN."""
    done = site.curl(f"https://{XMPPS}/", "-i", "--http0.9", "-w", "|%{local_port}", *arguments)
    answer, port = done.stdout.rsplit("|", 1)
    assert done.returncode == 0, f"{done.stderr}{done.stdout}"
    assert "<stream:stream" in answer and "</stream:stream>" in answer
    assert "<not-well-formed xmlns='urn:ietf:params:xml:ns:xmpp-streams'" in answer.replace('"', "'")
    assert "HTTP/" not in answer and "nginx" not in answer
    line = site.gateway.close_lines(peer=f"127.0.0.1:{port}")[0]
    assert (line["route"], line["reason"], line["sni"]) == ("xmpp-sni", "handed_off", XMPPS)
    ended = site.backend.wait_log(event="stream_end", conn=line["conn"])
    assert ended["peer"] == f"127.0.0.1:{port}"


def test_the_website_is_served_on_the_same_port(site):
    done = site.curl("https://www.example.test/")
    assert (done.returncode, done.stdout) == (0, "the website\n")
