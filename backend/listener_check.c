#include "backend/listener_check.h"

#include "lib/cidr.h"
#include "lib/option.h"

/* No two listeners can have one address; "*:5222" takes the port of every address. */
static int check_address_free(const struct option_file *file, const struct option_section *mine, size_t index,
                              char *error, size_t cap)
{
    const struct endpoint *wanted = option_endpoint(mine, "address", index);
    const struct option_section *s = NULL;
    if (wanted->sa.sa_family == AF_UNIX)
        return option_error(mine, "address", error, cap, "expected an IP address and port, not a Unix socket");
    while ((s = option_next(file, "listener", s)) != NULL) {
        const size_t end = s == mine ? index : option_count(s, "address");
        for (size_t i = 0; i < end; i++) {
            const struct endpoint *taken = option_endpoint(s, "address", i);
            if (!addr_overlaps(&taken->ip, &wanted->ip)) continue;
            char text[ENDPOINT_TEXT_BYTES], by[ENDPOINT_TEXT_BYTES];
            return option_error(mine, "address", error, cap, "%s is already used by %s of listener \"%s\"",
                                endpoint_format(wanted, text, sizeof(text)), endpoint_format(taken, by, sizeof(by)),
                                option_title(s));
        }
        if (s == mine) return 0;
    }
    return 0;
}

static bool on_this_machine(const struct option_section *s)
{
    for (size_t i = 0; i < option_count(s, "address"); i++)
        if (!addr_is_loopback(&option_endpoint(s, "address", i)->ip)) return false;
    return true;
}

static bool has_certificate(const struct option_file *file)
{
    const struct option_section *s = NULL;
    while ((s = option_next(file, "host", s)) != NULL)
        if (option_is_set(s, "certificate")) return true;
    return false;
}

/* Passwords are never sent in clear over a network; to an onion service Tor encrypts them. */
static int check_clients(const struct option_file *file, const struct option_section *s, char *error, size_t cap)
{
    if (option_enum(s, "tls") == LISTENER_PLAIN) {
        if (!option_bool(s, "allow-plain"))
            return option_error(s, "tls", error, cap,
                                "expected starttls or direct: clients are encrypted; or, for those that come by Tor, "
                                "\"allow-plain = true\" beside it");
        if (!on_this_machine(s))
            return option_error(s, "address", error, cap,
                                "expected addresses of this machine alone, such as 127.0.0.1:5222: passwords are not "
                                "encrypted there");
        return 0;
    }
    if (option_bool(s, "allow-plain"))
        return option_error(s, "allow-plain", error, cap, "expected \"tls = none\" beside it");
    if (!has_certificate(file))
        return option_error(s, "tls", error, cap,
                            "expected \"tls = none\" and \"allow-plain = true\": no host has a certificate");
    return 0;
}

/* What a component sends has no passwords, but is no less private; and so is what other servers send. */
static int check_plain(const struct option_section *s, bool plain, char *error, size_t cap)
{
    if (!plain || option_bool(s, "allow-plain") || on_this_machine(s)) return 0;
    return option_error(s, "address", error, cap,
                        "expected an address of this machine alone, such as 127.0.0.1:%s; others need tls = %s, or "
                        "allow-plain = true",
                        option_enum(s, "serve") == LISTENER_SERVERS ? "5269" : "5347",
                        option_enum(s, "serve") == LISTENER_SERVERS ? "starttls" : "direct");
}

static int check_encryption(const struct option_file *file, const struct option_section *s, char *error, size_t cap)
{
    const int tls = option_enum(s, "tls"); /* -1: unset */
    const enum listener_serve serve = (enum listener_serve)option_enum(s, "serve");
    if (serve == LISTENER_CLIENTS) return check_clients(file, s, error, cap);
    if (serve == LISTENER_ADMIN)
        return tls >= 0 && tls != LISTENER_PLAIN
                   ? option_error(s, "tls", error, cap, "expected none: these pages have no TLS")
                   : 0;
    if (serve == LISTENER_COMPONENTS && tls == LISTENER_STARTTLS)
        return option_error(s, "tls", error, cap, "expected direct or none: components have no STARTTLS");
    if (tls == LISTENER_DIRECT && !has_certificate(file))
        return option_error(s, "tls", error, cap, "expected a host with a certificate");
    return check_plain(s, serve == LISTENER_SERVERS ? tls == LISTENER_PLAIN : tls != LISTENER_DIRECT, error, cap);
}

/* Who may ask is for those who watch the server; they come through nobody. */
static int check_networks(const struct option_section *s, char *error, size_t cap)
{
    static const char *const NETWORKS[] = {"allow", "proxy-protocol-from"};
    const bool admin = option_enum(s, "serve") == LISTENER_ADMIN;
    if (option_is_set(s, "allow") && !admin)
        return option_error(s, "allow", error, cap, "expected \"serve = admin\" beside it");
    if (option_is_set(s, "proxy-protocol-from") && admin)
        return option_error(s, "proxy-protocol-from", error, cap, "expected another serve than admin beside it");
    for (size_t i = 0; i < ARRAY_LEN(NETWORKS); i++) {
        struct cidr_set networks = {0};
        const int result = cidr_set_read(&networks, s, NETWORKS[i], error, cap);
        cidr_set_clear(&networks);
        if (result != 0) return result;
    }
    return 0;
}

int listener_check(const struct option_file *file, const struct option_section *s, char *error, size_t cap)
{
    if (check_networks(s, error, cap) != 0) return -1;
    for (size_t i = 0; i < option_count(s, "address"); i++)
        if (check_address_free(file, s, i, error, cap) != 0) return -1;
    return check_encryption(file, s, error, cap);
}
