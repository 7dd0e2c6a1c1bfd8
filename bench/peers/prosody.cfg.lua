-- Prosody 0.12 as Debian 12 has it (Lua 5.4), as a server for clients alone.
-- The network backend is the one that its documentation recommends, and the default (prosody.im/doc/network_backend).
daemonize = false
data_path = "$home/store"
pidfile = "$home/prosody.pid"
log = { warn = "*console" }
network_backend = "epoll"
network_settings = { tcp_backlog = 4096 }
$collector

-- What Postern does, and nothing else.  There are no other servers, and no limits.
modules_enabled = {
    "roster"; "saslauth"; "tls"; "disco"; "ping"; "version"; "time"; "lastactivity"; "uptime"; "private"; "vcard";
    "blocklist"; "smacks"; "user_account_management"; "posix"; $archive_module
}
modules_disabled = { "s2s" }

interfaces = { "127.0.0.1" }
c2s_ports = { $plain_port }
c2s_direct_tls_ports = { $tls_port }
c2s_require_encryption = false
allow_unencrypted_plain_auth = true
certificates = "$home/certificates"
ssl = { protocol = "tlsv1_3"; curveslist = { "X25519" }; ciphersuites = { "TLS_AES_128_GCM_SHA256" } }

authentication = "internal_hashed"
password_hash = "SHA-256"
default_iteration_count = 4096
storage = "internal"
$archive_lines

VirtualHost "$domain"
