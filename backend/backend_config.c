#include "backend/backend_config.h"

#include "backend/backend_options.h"
#include "backend/contact.h"
#include "backend/dns_context.h"
#include "backend/jid.h"
#include "backend/listener_check.h"
#include "backend/onion.h"
#include "lib/log_config.h"
#include "lib/mem.h"

#include <grp.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/un.h>
#include <unistd.h>

static int check_required(const struct option_section *s, const char *option, char *error, size_t cap)
{
    if (option_is_set(s, option)) return 0;
    return option_error(s, option, error, cap, "required, but not given");
}

/* Who reaches a host by its onion address needs no certificate of it. */
static bool needs_certificate(const struct option_section *s)
{
    char domain[JID_PART_MAX_BYTES + 1];
    const bool onion = jid_prepare_domain(option_title(s), domain, NULL) == 0 && onion_is(domain);
    return !onion || option_is_set(s, "certificate") || option_is_set(s, "key") ||
           option_enum(s, "client-certificate") != 0;
}

static int check_host(const struct option_section *s, char *error, size_t cap)
{
    if (needs_certificate(s) &&
        (check_required(s, "certificate", error, cap) != 0 || check_required(s, "key", error, cap) != 0))
        return -1;
    if (option_enum(s, "client-certificate") != 0 && check_required(s, "client-ca", error, cap) != 0) return -1;
    return contact_check(s, error, cap);
}

static int check_sections(const struct option_file *file, char *error, size_t cap)
{
    const struct option_section *s = NULL;
    unsigned hosts = 0;
    while ((s = option_next(file, "host", s)) != NULL) {
        hosts++;
        if (check_host(s, error, cap) != 0) return -1;
    }
    if (hosts == 0)
        return option_error(option_top(file), NULL, error, cap, "expected at least one section host \"DOMAIN\" { … }");
    while ((s = option_next(file, "listener", s)) != NULL)
        if (check_required(s, "address", error, cap) != 0 || listener_check(file, s, error, cap) != 0) return -1;
    return 0;
}

/* All sockets stand there, and this is the longest name. */
static int check_run_dir(const struct option_section *top, char *error, size_t cap)
{
    char why[512];
    char *path = backend_config_path(option_str(top, "run-dir"), "terminated.sock", why, sizeof(why));
    if (!path) return option_error(top, "run-dir", error, cap, "expected a shorter path: %s", why);
    free(path);
    return 0;
}

static int check_users(const struct option_section *top, char *error, size_t cap)
{
    static const char *const NAMES[] = {"user", "gateway-user"};
    for (size_t i = 0; i < ARRAY_LEN(NAMES); i++) {
        const char *name = option_str(top, NAMES[i]);
        if (name && !getpwnam(name)) return option_error(top, NAMES[i], error, cap, "no user is named \"%s\"", name);
    }
    if (geteuid() == 0 && !option_str(top, "user"))
        return option_error(top, "user", error, cap, "expected the name of a user: required when started as root");
    const char *group = option_str(top, "group");
    if (group && !getgrnam(group)) return option_error(top, "group", error, cap, "no group is named \"%s\"", group);
    return 0;
}

static void fill(struct backend_config *config)
{
    const struct option_section *top = option_top(config->file);
    config->state_dir = option_str(top, "state-dir");
    config->run_dir = option_str(top, "run-dir");
    config->user = option_str(top, "user");
    config->group = option_str(top, "group");
    config->gateway_user = option_str(top, "gateway-user");
    config->pid_file = option_str(top, "pid-file");
    config->engine = option_str(top, "store");
    config->shards = (unsigned)option_int(top, "shards");
    config->hashing_threads = (unsigned)option_int(top, "hashing-threads");
    config->sandbox = option_bool(top, "sandbox");
    config->max_connections = option_int(top, "max-connections");
    config->resume_timeout_ms = option_int(top, "resume-timeout");
    config->ack_timeout_ms = option_int(top, "ack-timeout");
    config->sm_unacked = (size_t)option_int(top, "unacked-stanzas");
    config->sm_unacked_bytes = (size_t)option_int(top, "unacked-bytes");
    config->auth_timeout_ms = option_int(top, "auth-timeout");
    config->roster_items = option_int(top, "roster-items");
    config->roster_requests = option_int(top, "roster-requests");
    config->roster_groups = option_int(top, "roster-groups");
    config->roster_name_bytes = option_int(top, "roster-name-bytes");
    config->registrations_per_source = (unsigned)option_int(top, "registrations-per-source");
    config->registrations_window_ms = option_int(top, "registrations-window");
    config->scram_iterations = (uint32_t)option_int(top, "scram-iterations");
    config->client_ping_ms = option_int(top, "client-ping");
}

/* What is used up at the start: the system's part of it (users, folders, threads), and what the sandbox fixes. */
static int check_restart(const struct option_section *top, const struct backend_config *running, char *error,
                         size_t cap)
{
    static const char *const FIXED[] = {
        "state-dir", "run-dir", "user",  "group",           "gateway-user",
        "shards",    "sandbox", "store", "hashing-threads", "certificate-folders",
        "pid-file",
    };
    for (size_t i = 0; i < ARRAY_LEN(FIXED); i++) {
        if (option_same(top, option_top(running->file), FIXED[i])) continue;
        return option_error(top, FIXED[i], error, cap, "needs restart: it cannot change while the server runs");
    }
    return 0;
}

static int check(const struct option_file *file, const struct backend_config *running, char *error, size_t cap)
{
    const struct option_section *top = option_top(file);
    if (check_sections(file, error, cap) != 0 || dns_context_check(file, error, cap) != 0) return -1;
    if (running) return check_restart(top, running, error, cap);
    return check_run_dir(top, error, cap) != 0 || check_users(top, error, cap) != 0 ? -1 : 0;
}

struct backend_config *backend_config_load(const char *path, const struct backend_config *running, char *error,
                                           size_t cap)
{
    struct option_file *file = option_load(path, BACKEND_OPTIONS, BACKEND_OPTION_COUNT, error, cap);
    if (!file) return NULL;
    if (check(file, running, error, cap) != 0) {
        option_file_free(&file);
        return NULL;
    }
    struct backend_config *config = MEM_NEW(struct backend_config);
    atomic_init(&config->refs, 1);
    config->file = file;
    fill(config);
    if (log_config_read(&config->log, file, error, cap) < 0 ||
        lockout_limits_read(&config->lockout, option_top(file), error, cap) < 0)
        backend_config_unref(&config);
    return config;
}

struct backend_config *backend_config_ref(struct backend_config *config)
{
    atomic_fetch_add_explicit(&config->refs, 1, memory_order_relaxed);
    return config;
}

void backend_config_unref(struct backend_config **config)
{
    struct backend_config *c = *config;
    *config = NULL;
    if (!c || atomic_fetch_sub_explicit(&c->refs, 1, memory_order_acq_rel) > 1) return;
    lockout_limits_clear(&c->lockout);
    option_file_free(&c->file);
    free(c);
}

char *backend_config_path(const char *folder, const char *name, char *why, size_t cap)
{
    char *path = mem_asprintf("%s/%s", folder, name);
    if (strlen(path) < sizeof(((struct sockaddr_un *)NULL)->sun_path)) return path;
    snprintf(why, cap, "%s: longer than the name of a socket may be", path);
    free(path);
    return NULL;
}
