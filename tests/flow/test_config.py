"""A wrong configuration names the file, the line and what was expected; the exit status is 2."""

import pathlib
import re
import subprocess

import pytest

from harness.postern import run

GATEWAY = [
    # text, line, what the message must have
    ("workers = many\n", 1, ["workers"]),
    ("workers = 0\n", 1, ["workers", "1", "256"]),
    ("\nno-such-option = 1\n", 2, ["no-such-option"]),
    ("peek-timeout = 5\n", 1, ["peek-timeout", "unit"]),
    ("listener \"a\" { address = \"localhost\" }\n", 1, ["address"]),
    ("log { level = loud }\n", 1, ["level", "debug"]),
    ("listener \"a\" { address = \"127.0.0.1:1\" }\nlistener \"a\" { address = \"127.0.0.1:2\" }\n", 2, ["a"]),
    ("listener \"a\" { address = \"127.0.0.1:1\" }\nroute \"r\" { proxy = \"nowhere\" }\n", 2, ["nowhere"]),
    ("listener \"a\" { address = \"127.0.0.1:1\" }\nroute \"r\" { protocol = \"gopher\" refuse = close }\n", 2,
     ["gopher", "tls"]),
    ("listener \"a\" { address = \"127.0.0.1:1\" }\nroute \"r\" { refuse = politely }\n", 2, ["refuse", "https-redirect"]),
    ("listener \"a\" { address = \"127.0.0.1:1\" }\nroute \"r\" {\nprotocol = \"http\"\nrefuse = tls-unrecognized-name }\n", 4,
     ["refuse", "http", "tls only"]),
    ("listener \"a\" { address = \"127.0.0.1:1\"\n", None, []),
]

HOST = "host \"example.test\" { certificate = \"no-certificate.pem\" key = \"no-key.pem\" }\n"

BACKEND = [
    ("shards = 0\n", 1, ["shards", "1", "64"]),
    ("store = \"mysql\"\n", 1, ["store", "sqlite"]),
    ("\n\nhost \"example.test\" { }\n", 3, ["certificate"]),
    ("listener \"c2s\" { address = \"nowhere\" }\n", 1, ["address"]),
    ("auth-timeout = 1\n", 1, ["auth-timeout", "unit"]),
    ("group = \"no-such-group\"\n" + HOST, 1, ["group", "no-such-group"]),
    ("listener \"a\" { address = \"*:1\" }\nlistener \"b\" { address = {\"*:2\", \"127.0.0.1:1\"} }\n" + HOST, 2,
     ["127.0.0.1:1", "*:1", "listener \"a\""]),
    ("listener \"a\" { address = \"127.0.0.1:1\" proxy-protocol-from = \"tor\" }\n" + HOST, 1,
     ["listener \"a\"", "proxy-protocol-from", "\"tor\""]),
    ("listener \"a\" { address = \"127.0.0.1:1\" serve = admin proxy-protocol-from = \"::1\" }\n" + HOST, 1,
     ["listener \"a\"", "proxy-protocol-from", "admin"]),
    ("listener \"a\" { address = \"unix:/x\" }\n" + HOST, 1, ["address", "Unix"]),
    ("host \"example.test\" { certificate = \"no-certificate.pem\" key = \"no-key.pem\" client-certificate = optional }\n", 1,
     ["client-ca", "required"]),
    (HOST[:-2] + "client-certificate = maybe }\n", 1, ["client-certificate", "none", "required"]),
    (HOST[:-2] + "contact-support = {\"mailto:a@b.example\", \"help me\"} }\n", 1,
     ["host \"example.test\"", "contact-support", "URIs", "help me"]),
    (HOST[:-2] + "mechanisms = {\"PLAIN\", \"LOGIN\"} }\n", 1,
     ["host \"example.test\"", "mechanisms", "SCRAM-SHA-512", "\"LOGIN\""]),
    (HOST[:-2] + "registration-watchers = \"@x\" }\n", 1, ["host \"example.test\"", "registration-watchers", "\"@x\""]),
    (HOST[:-2] + "registration = yes }\n", 1, ["registration", "open"]),
    ("unlimited-sources = \"localhost\"\n" + HOST, 1, ["unlimited-sources", "localhost"]),
    ("scram-iterations = 100\n" + HOST, 1, ["scram-iterations", "4096"]),
    ("run-dir = \"/" + 95 * "r" + "\"\n" + HOST, 1, ["run-dir", "shorter"]),
    ("shards = 1\n", None, ["host", "expected"]),
    ("host \"a b\" { certificate = \"x\" key = \"y\" }\n", 1, ["a b", "expected", "domain"]),
    (HOST, 1, ["certificate", "no-certificate.pem"]),
]

ONION = "2gzyxa5ihm7nsggfxnu52rck2vv4rvmdlkiu3zzui5du4xyclen53wid.onion"
MISTYPED = ONION.replace("x", "y", 1)
PIN = "sha256:000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f"
PROXY = 's2s-proxy = "127.0.0.1:9050"\n'

SERVERS = [
    # Lists of domains.
    ('s2s-deny = "user@a.example"\n' + HOST, 1, ["s2s-deny", "*.example.net", "user@a.example"]),
    ('s2s-allow = "*"\n' + HOST, 1, ["s2s-allow", "*.example.net"]),
    ('s2s-secure-domains = "a.example"\ns2s-insecure-domains = {"b.example", "A.example"}\n' + HOST, 2,
     ["s2s-insecure-domains", "a.example", "s2s-secure-domains as well"]),
    ('s2s-allow = "*.a.example"\ns2s-deny = "*.a.example"\n' + HOST, 2, ["s2s-deny", "*.a.example", "s2s-allow as well"]),
    (HOST[:-2] + '\ns2s-insecure-domains = "a b" }\n', 2, ['host "example.test"', "s2s-insecure-domains", "a b"]),
    (f's2s-secure-domains = "{ONION}"\n' + HOST, 1, ["s2s-secure-domains", "onion", "no certificate"]),
    # Nobody could prove who he is.
    ("s2s-require-encryption = false\n" + HOST, 1, ["s2s-require-encryption", "s2s-secure-auth = false"]),
    ("s2s-secure-auth = false\ns2s-dialback = no\n" + HOST, 2, ["s2s-dialback", "s2s-secure-auth = true"]),
    ('s2s-dialback = no\ns2s-insecure-domains = "a.example"\n' + HOST, 2, ["s2s-insecure-domains", "s2s-dialback = true"]),
    # Proxies.
    ('s2s-proxy = "localhost"\n' + HOST, 1, ["s2s-proxy", "127.0.0.1:9050", "localhost"]),
    ('s2s-proxy = "unix:/run/tor/socks"\n' + HOST, 1, ["s2s-proxy", "127.0.0.1:9050"]),
    ("s2s-proxy-for = all\n" + HOST, 1, ["s2s-proxy-for", "s2s-proxy", "127.0.0.1:9050"]),
    ("s2s-proxy-for = most\n" + HOST, 1, ["s2s-proxy-for", "onion", "all"]),
    # Numbers.
    ("s2s-stanza-size = 9k\n" + HOST, 1, ["s2s-stanza-size", "10000"]),
    ("s2s-queue-age = 1s\n" + HOST, 1, ["s2s-queue-age", "1m"]),
    ("s2s-streams-per-domain = 0\n" + HOST, 1, ["s2s-streams-per-domain"]),
    # Sections of other servers.
    (HOST + 'remote "a b" { }\n', 2, ['remote "a b"', "expected a domain", "*.example.net"]),
    (HOST + 'remote "Example.test" { }\n', 2, ['remote "Example.test"', "served here"]),
    (HOST + 'remote "a.example" { }\nremote "A.example" { }\n', 3, ['remote "A.example"', "a section already"]),
    (HOST + 'remote "a.example" { address = {"b.example", "b.example:x"} }\n', 2, ["address", "b.example:x"]),
    (HOST + 'remote "a.example" { address = "bücher.example" }\n', 2, ["address", "xmpp.example.net:5269"]),
    (HOST + 'remote "a.example" {\ntls = direct }\n', 3, ["tls", "address"]),
    (HOST + 'remote "a.example" { tls = none }\n', 2, ["tls", "starttls", "direct"]),
    (HOST + 'remote "a.example" {\npins = {"%s", "%s0"} }\n' % (PIN, PIN), 3, ["pins", "64 hexadecimal", PIN + "0"]),
    (HOST + 'remote "a.example" { require-encryption = false }\n', 2, ["require-encryption", "secure-auth = false"]),
    ("s2s-dialback = false\n" + HOST + 'remote "a.example" { secure-auth = no }\n', 3, ["secure-auth", "dialback = true"]),
    ("s2s-secure-auth = false\n" + HOST + 'remote "a.example" { dialback = no }\n', 3, ["dialback", "secure-auth = true"]),
    (HOST[:-2] + 's2s-secure-domains = "a.example" }\nremote "a.example" { secure-auth = false }\n', 2,
     ["secure-auth", "a.example", "s2s-secure-domains"]),
    (HOST + 'remote "a.example" { proxy = 9050 }\n', 2, ["proxy", "127.0.0.1:9050", "9050"]),
    # Authorities.
    ('s2s-ca = "no-authorities.pem"\n' + HOST, 1, ["s2s-ca", "no-authorities.pem", "No such file"]),
    ('s2s-ca = "/dev/null"\n' + HOST, 1, ["s2s-ca", "/dev/null", "no certificates"]),
    ('s2s-ca = "/usr/bin"\n' + HOST, 1, ["s2s-ca", "/usr/bin", "openssl rehash"]),
    ('s2s-crl = "no-list.pem"\n' + HOST, 1, ["s2s-crl", "no-list.pem", "No such file"]),
    ('s2s-crl = "/dev/null"\n' + HOST, 1, ["s2s-crl", "/dev/null", "revocation lists"]),
    # Onion services.
    (HOST + f'remote "{ONION}" {{ }}\n', 2, [ONION, "s2s-proxy", "127.0.0.1:9050", "Tor"]),
    (HOST + f'remote "a.example" {{ onion = "{ONION}" }}\n', 2, ["a.example", "s2s-proxy", "127.0.0.1:9050", "Tor"]),
    (PROXY + HOST + f'remote "{ONION}" {{ proxy = none }}\n', 3, ["proxy", "SOCKS5", "Tor only"]),
    (PROXY + HOST + f'remote "{ONION}" {{ require-encryption = true }}\n', 3, ["require-encryption", "without TLS"]),
    (PROXY + HOST + f'remote "{ONION}" {{ secure-auth = true }}\n', 3, ["secure-auth", "without TLS"]),
    (PROXY + HOST + f'remote "{ONION}" {{ dialback = false }}\n', 3, ["dialback", "expected true"]),
    (PROXY + HOST + f'remote "{ONION}" {{ pins = "{PIN}" }}\n', 3, ["pins", "without TLS"]),
    (PROXY + HOST + f'remote "{ONION}" {{ address = "192.0.2.1" }}\n', 3, ["address", "onion addresses", "192.0.2.1"]),
    (PROXY + HOST + f'remote "{ONION}" {{ onion = "{ONION}" }}\n', 3, ["onion", "itself"]),
    (PROXY + HOST + 'remote "a.example" { onion = "b.example" }\n', 3, ["onion", ".onion", "b.example"]),
    (PROXY + HOST + f'remote "{MISTYPED}" {{ }}\n', 3, [MISTYPED, "checksum"]),
    (PROXY + HOST + f'remote "a.example" {{ onion = "{MISTYPED}:5269" }}\n', 3, ["onion", MISTYPED, "checksum"]),
    (PROXY + f'host "{MISTYPED}" {{ }}\n', 2, [MISTYPED, "checksum"]),
    (PROXY + f'host "example.onion" {{ }}\n', 2, ["example.onion", "56"]),
    (PROXY + HOST + f'remote "a.example" {{ onion = "{ONION}" address = "192.0.2.1" }}\n', 3, ["onion", "address"]),
    (PROXY + HOST + f'remote "a.example" {{ onion = "{ONION}:5269" tls = starttls address = "{ONION}" }}\n', 3, ["onion"]),
    (PROXY + HOST + f'remote "a.example" {{ address = "{ONION}" }}\n', 3, ["address", f"onion = {ONION}"]),
    (f'host "{ONION}" {{ key = "k" }}\n', 1, ["certificate", "required"]),
    (f'host "{ONION}" {{ certificate = "k" }}\n', 1, ["key", "required"]),
    (f'host "{ONION}" {{ client-certificate = optional client-ca = "c" }}\n', 1, ["certificate", "required"]),
    (f'host "{ONION}" {{ }}\n', 1, [ONION, "s2s-proxy", "127.0.0.1:9050", "s2s = false"]),
    ('host "onion" { }\n', 1, ["certificate", "required"]),
    # Listeners.
    (HOST + 'listener "a" { address = "127.0.0.1:1" tls = none }\n', 2, ["tls", "starttls", "allow-plain = true"]),
    (HOST + 'listener "a" { address = {"127.0.0.1:1", "192.0.2.1:1"} tls = none allow-plain = true }\n', 2,
     ["address", "this machine", "passwords"]),
    (HOST + 'listener "a" { address = "127.0.0.1:1" allow-plain = true }\n', 2, ["allow-plain", "tls = none"]),
    (HOST + 'listener "a" { address = "*:1" serve = servers tls = none }\n', 2, ["address", "tls = starttls", "allow-plain"]),
    (HOST + 'listener "a" { address = "*:1" serve = peers }\n', 2, ["serve", "clients", "servers"]),
    (HOST + 'listener "a" { address = "*:1" serve = servers allow = "127.0.0.1" }\n', 2, ["allow", "serve = admin"]),
]


def check(program, place, text, line, words):
    path = place.write("wrong.conf", text + place.user_line())
    for arguments in (("-t", "-c", path), ("-c", path)):
        done = run(program, *arguments)
        assert done.returncode == 2, f"{done.returncode}: {done.stderr}"
        where = f"{path}:{line}:" if line else f"{path}:"
        assert where in done.stderr, done.stderr
        for word in words:
            assert word in done.stderr, done.stderr


@pytest.mark.parametrize("text,line,words", GATEWAY)
def test_gateway(place, text, line, words):
    check("postern-gateway", place, text, line, words)


@pytest.mark.parametrize("text,line,words", BACKEND)
def test_backend(place, text, line, words):
    check("postern-backend", place, text, line, words)


@pytest.mark.parametrize("text,line,words", SERVERS)
def test_other_servers(place, text, line, words):
    check("postern-backend", place, text, line, words)


@pytest.mark.parametrize("program", ["postern-gateway", "postern-backend"])
def test_a_file_that_is_not_there(place, program):
    path = place.path / "missing.conf"
    done = run(program, "-c", path)
    assert done.returncode == 2 and str(path) in done.stderr


@pytest.mark.parametrize("program", ["postern-gateway", "postern-backend"])
def test_the_file_that_is_meant_when_none_is_named(program):
    default = f"/etc/postern/{program.removeprefix('postern-')}.conf"
    assert default in run(program, "-h").stdout
    done = run(program, "-t")
    assert (done.stdout + done.stderr).startswith(default)


@pytest.mark.parametrize("program", ["postern-gateway", "postern-backend", "posternctl"])
def test_command_line(program):
    version = run(program, "-V")
    assert version.returncode == 0 and version.stdout.startswith(program + " ")
    for wrong in ("--nonsense", "unwanted-word"):
        done = run(program, wrong)
        assert done.returncode == 2 and wrong in done.stderr.splitlines()[0]


def test_half_a_command_of_posternctl():
    done = run("posternctl", "motd")
    lines = done.stderr.splitlines()
    assert done.returncode == 2 and 'no command "motd"' in lines[0] and "posternctl -h" in lines[0]
    assert "usage: posternctl motd set HOST [TEXT]" in lines and all(" motd " in line for line in lines[1:])
    assert len(run("posternctl", "mot").stderr.splitlines()) == 1


def test_a_right_configuration_passes_the_check(own_site):
    site = own_site()
    for server in (site.gateway, site.backend):
        done = run(server.program, "-t", "-c", server.config)
        assert done.returncode == 0, done.stderr
        assert done.stdout == f"{server.config} is good\n"


def with_every_option(text):
    """The lines that are commented out, but not the prose; of the log's two places the second."""
    text = re.sub(r'^# +file = .*\n', "", text, flags=re.M)
    return re.sub(r'^# ?( *(?:[a-z0-9-]+ = |[a-z]+ (?:"[^"]*" )?\{|\}))', r"\1", text, flags=re.M)


def client_files(place):
    """What the example names for clients' certificates: a CA, its revocation list, and a folder of our own ones."""
    ca, key, crl = (place.path / name for name in ("client-ca.pem", "client-ca.key", "revoked.pem"))
    settings = place.write("ca.conf", f"[ca]\ndefault_ca = c\n[c]\ndatabase = {place.write('index.txt', '')}\n"
                                      "default_md = sha256\ndefault_crl_days = 2\n")
    for arguments in (("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-subj",
                       "/CN=client ca", "-addext", "subjectAltName=DNS:example.com", "-keyout", key, "-out", ca),
                      ("ca", "-config", settings, "-gencrl", "-cert", ca, "-keyfile", key, "-out", crl)):
        subprocess.run(["openssl", *arguments], check=True, capture_output=True)
    live = place.path / "live" / "example.com"
    live.mkdir(parents=True)
    (live / "fullchain.pem").write_bytes(ca.read_bytes())
    (live / "privkey.pem").write_bytes(key.read_bytes())
    (live / "privkey.pem").chmod(0o600)
    return {"/etc/postern/client-ca.pem": ca, "/etc/postern/client-revoked.pem": crl,
            "/etc/ssl/certs": ca, "/etc/postern/revoked.pem": crl,
            "/etc/letsencrypt/live": live.parent}


@pytest.mark.parametrize("change", [str, with_every_option])
def test_the_examples_pass_the_check_and_fit_together(own_site, change):
    """As they are, but for what this machine lacks: the user, the certificate, the folders."""
    site = own_site()
    root = pathlib.Path(__file__).resolve().parents[2]
    files = client_files(site.place)
    examples = {"gateway": root / "gateway.conf.example", "backend": root / "conf/backend.conf.example"}
    for name, example in examples.items():
        text = change(example.read_text())
        text = text.replace('group = "postern"\n', "").replace('gateway-user = "postern"\n', "")
        text = text.replace('user = "postern"', site.place.user_line().strip())
        text = text.replace("/etc/postern/example.com.pem", str(site.cert))
        text = text.replace("/etc/postern/example.com.key", str(site.key))
        for path, there in files.items():
            text = text.replace(path, str(there))
        done = run(f"postern-{name}", "-t", "-c", site.place.write(f"{name}-example.conf", text))
        assert done.returncode == 0, done.stderr
    run_dir = run("postern-backend", "-c", site.place.path / "backend-example.conf", "--print", "run-dir").stdout.strip()
    assert f'inlet = "{run_dir}/inlet.sock"' in examples["gateway"].read_text()


@pytest.mark.parametrize("change", [str, with_every_option])
def test_the_example_for_onion_services_passes_the_check(place, change):
    text = change((pathlib.Path(__file__).resolve().parents[2] / "conf/backend-onion.conf.example").read_text())
    text = text.replace('user = "postern"', place.user_line().strip()).replace("ONION", ONION)
    done = run("postern-backend", "-t", "-c", place.write("backend-onion.conf", text))
    assert done.returncode == 0, done.stderr


def test_a_key_that_others_may_read_is_refused(own_site):
    site = own_site()
    site.key.chmod(0o644)
    done = run("postern-backend", "-c", site.backend.config)
    assert done.returncode in (1, 2) and str(site.key) in done.stderr
    site.key.chmod(0o600)
