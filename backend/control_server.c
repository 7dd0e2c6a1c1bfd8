#include "backend/control_server.h"

#include "backend/backend.h"
#include "backend/backend_reload.h"
#include "backend/dispatch.h"
#include "lib/log.h"

#include <event2/event.h>
#include <expat.h>
#include <openssl/crypto.h>
#include <seccomp.h>
#include <sqlite3.h>
#include <string.h>
#include <time.h>
#include <unicode/uversion.h>
#include <unistd.h>

static void add_counter(const char *label, const struct counter_row *row, uint64_t value, void *arg)
{
    (void)label;
    json_object_set_new(arg, row->name, json_integer((json_int_t)value));
}

static void add_handled(const char *ns, uint64_t count, void *arg)
{
    json_object_set_new(arg, ns, json_integer((json_int_t)count));
}

void control_server_status(struct control_request *request, void *arg)
{
    struct backend *backend = arg;
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    json_t *counters = json_object();
    json_t *handled = json_object();
    counters_each(backend->counter_set, add_counter, counters);
    dispatch_each_count(add_handled, handled);
    control_reply(request, json_pack("{s:s, s:i, s:I, s:I, s:I, s:i, s:o, s:o}", "version", POSTERN_VERSION, "pid",
                                     (int)getpid(), "uptime_s", (json_int_t)(now.tv_sec - backend->started_s),
                                     "connections", (json_int_t)atomic_load(&backend->streams), "sessions",
                                     (json_int_t)atomic_load(&backend->sessions), "shards", (int)backend->shard_count,
                                     "counters", counters, "handled", handled));
}

void control_server_reload(struct control_request *request, void *arg)
{
    const struct backend *backend = arg;
    if (backend->reload)
        backend_reload_ask(backend->reload, request);
    else
        control_fail(request, "unavailable", "no server runs");
}

void control_server_stats(struct control_request *request, void *arg)
{
    const struct backend *backend = arg;
    json_t *counters = json_object(), *handled = json_object();
    counters_each(backend->counter_set, add_counter, counters);
    dispatch_each_count(add_handled, handled);
    control_reply(request, json_pack("{s:o, s:o}", "", counters, "handled", handled));
}

void control_server_about(struct control_request *request, void *arg)
{
    UVersionInfo icu;
    char icu_text[U_MAX_VERSION_STRING_LENGTH], seccomp_text[32];
    const struct scmp_version *seccomp = seccomp_version();
    (void)arg;
    u_getVersion(icu);
    u_versionToString(icu, icu_text);
    snprintf(seccomp_text, sizeof(seccomp_text), "%u.%u.%u", seccomp->major, seccomp->minor, seccomp->micro);
    control_reply(request,
                  json_pack("{s:s, s:s, s:s, s:s, s:s, s:s, s:s, s:s, s:s}", "program", "postern-backend", "version",
                            POSTERN_VERSION, "openssl", OpenSSL_version(OPENSSL_VERSION_STRING), "libevent",
                            event_get_version(), "expat", XML_ExpatVersion(), "icu", icu_text, "sqlite",
                            sqlite3_libversion(), "jansson", jansson_version_str(), "libseccomp", seccomp_text));
}

void control_server_log_level(struct control_request *request, void *arg)
{
    static const char *const LEVELS[] = {"debug", "info", "warn", "error"};
    const char *wanted = control_arg_str(request, "level");
    (void)arg;
    for (size_t level = 0; wanted && level < ARRAY_LEN(LEVELS); level++) {
        if (strcmp(LEVELS[level], wanted) != 0) continue;
        log_msg(LOG_LEVEL_WARN, "log_level", "%s, until the next reload or restart", wanted);
        log_set_level((enum log_level)level);
        control_reply(request, NULL);
        return;
    }
    control_fail(request, "usage", "expected a level: debug, info, warn or error");
}
