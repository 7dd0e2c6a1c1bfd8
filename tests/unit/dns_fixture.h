/* dns_fixture - a name server (NSD) on loopback with zones of the test, one of them signed; and what asks it. */
#ifndef POSTERN_TESTS_UNIT_DNS_FIXTURE_H
#define POSTERN_TESTS_UNIT_DNS_FIXTURE_H

#include "backend/backend_config.h"
#include "backend/backend_options.h"
#include "lib/mem.h"

#include <arpa/inet.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct dns_fixture {
    char folder[64];
    unsigned port;
    pid_t nsd;
};

static inline void dns_fixture_write(const struct dns_fixture *dns, const char *name, const char *text)
{
    char path[128];
    snprintf(path, sizeof(path), "%s/%s", dns->folder, name);
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    fputs(text, file);
    fclose(file);
}

/* A port that nobody listens on now, for TCP and UDP. */
static inline unsigned dns_fixture_free_port(void)
{
    struct sockaddr_in sin = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof(sin);
    const int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(bind(fd, (struct sockaddr *)&sin, len), 0);
    assert_int_equal(getsockname(fd, (struct sockaddr *)&sin, &len), 0);
    close(fd);
    return ntohs(sin.sin_port);
}

static inline bool dns_fixture_answers(const struct dns_fixture *dns)
{
    static const uint8_t QUERY[] = {0, 1, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 4, 't', 'e', 's', 't', 0, 0, 6, 0, 1};
    struct sockaddr_in sin = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    struct timeval patience = {.tv_usec = 20000};
    uint8_t answer[512];
    sin.sin_port = htons((uint16_t)dns->port);
    const int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
    const bool answers = connect(fd, (struct sockaddr *)&sin, sizeof(sin)) == 0 &&
                         send(fd, QUERY, sizeof(QUERY), 0) > 0 && recv(fd, answer, sizeof(answer), 0) > 0;
    close(fd);
    return answers;
}

static inline void dns_fixture_start(struct dns_fixture *dns)
{
    char path[128];
    snprintf(path, sizeof(path), "%s/nsd.conf", dns->folder);
    dns->nsd = fork();
    if (dns->nsd == 0) {
        prctl(PR_SET_PDEATHSIG, SIGTERM); /* it shall not outlive a test that failed */
        if (!freopen("/dev/null", "w", stdout)) _exit(127);
        execlp("nsd", "nsd", "-d", "-c", path, (char *)NULL);
        execl("/usr/sbin/nsd", "nsd", "-d", "-c", path, (char *)NULL);
        _exit(127);
    }
    for (int i = 0; i < 500 && !dns_fixture_answers(dns); i++)
        usleep(10000);
    assert_true(dns_fixture_answers(dns));
}

static inline void dns_fixture_stop(struct dns_fixture *dns)
{
    if (dns->nsd <= 0) return;
    kill(dns->nsd, SIGTERM);
    waitpid(dns->nsd, NULL, 0);
    dns->nsd = 0;
}

/* dns_fixture_set_up - records of the zone "test", as in a zone file, and of the signed zone "signed.test"; NULL: it
 * has none.
 */
static inline void dns_fixture_set_up(struct dns_fixture *dns, const char *records, const char *signed_records)
{
    static const char HEAD[] = "$TTL 60\n@ SOA ns.test. root.test. 1 60 60 600 1\n@ NS ns.test.\n";
    snprintf(dns->folder, sizeof(dns->folder), "/tmp/test_dns.XXXXXX");
    assert_non_null(mkdtemp(dns->folder));
    dns->port = dns_fixture_free_port();
    char *text = mem_asprintf("$ORIGIN test.\n%sns A 127.0.0.1\n%s\n", HEAD, records);
    dns_fixture_write(dns, "test.zone", text);
    free(text);
    text = mem_asprintf("server:\n ip-address: 127.0.0.1@%u\n username: \"\"\n chroot: \"\"\n zonesdir: \"%s\"\n"
                        " database: \"\"\n pidfile: \"%s/pid\"\n xfrdfile: \"%s/xfrd\"\n xfrdir: \"%s\"\n"
                        " zonelistfile: \"%s/list\"\n logfile: \"%s/log\"\n server-count: 1\n rrl-ratelimit: 0\n"
                        "remote-control:\n control-enable: no\n"
                        "zone:\n name: \"test\"\n zonefile: \"test.zone\"\n%s",
                        dns->port, dns->folder, dns->folder, dns->folder, dns->folder, dns->folder, dns->folder,
                        signed_records ? "zone:\n name: \"signed.test\"\n zonefile: \"signed.zone\"\n" : "");
    dns_fixture_write(dns, "nsd.conf", text);
    free(text);
    if (signed_records) {
        text = mem_asprintf("$ORIGIN signed.test.\n%s%s\n", HEAD, signed_records);
        dns_fixture_write(dns, "plain.zone", text);
        free(text);
        text = mem_asprintf("cd %s && key=$(ldns-keygen -a ECDSAP256SHA256 -k signed.test) && cp $key.key anchor && "
                            "ldns-signzone -n -f signed.zone plain.zone $key",
                            dns->folder);
        assert_int_equal(system(text), 0); /* NOLINT(cert-env33-c): words of our own */
        free(text);
    }
    dns_fixture_start(dns);
}

static inline void dns_fixture_tear_down(struct dns_fixture *dns)
{
    dns_fixture_stop(dns);
    char *command = mem_asprintf("rm -r %s", dns->folder);
    assert_int_equal(system(command), 0); /* NOLINT(cert-env33-c): words of our own */
    free(command);
}

/* dns_fixture_config - a configuration whose section "resolver" has these options. */
static inline struct backend_config *dns_fixture_config(const struct dns_fixture *dns, const char *options)
{
    char path[128], error[512];
    char *text = mem_asprintf("resolver { %s }\nhost \"example.test\" { certificate = \"c\" key = \"k\" }\n", options);
    dns_fixture_write(dns, "backend.conf", text);
    free(text);
    snprintf(path, sizeof(path), "%s/backend.conf", dns->folder);
    struct backend_config *config = MEM_NEW(struct backend_config);
    atomic_init(&config->refs, 1);
    config->file = option_load(path, BACKEND_OPTIONS, BACKEND_OPTION_COUNT, error, sizeof(error));
    if (!config->file) fail_msg("%s", error);
    return config;
}

#endif
