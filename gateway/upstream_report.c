#include "gateway/upstream_report.h"

#include "gateway/upstream_log.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

static const char *const ADMIN[UPSTREAM_ADMIN_COUNT] = {
    [UPSTREAM_READY] = "ready", [UPSTREAM_DRAIN] = "drain", [UPSTREAM_MAINTENANCE] = "maintenance"};

/* In the order of enum balance. */
static const char *const BALANCE[] = {"round-robin", "least-connections", "source-hash", "first"};

/* The clock of loop_now_ms, which is what ejections go by. */
static int64_t clock_ms(void)
{
    struct timespec ts;
    clock_gettime(CLOCK_MONOTONIC, &ts);
    return (int64_t)ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}

static void set_number(json_t *object, const char *key, uint64_t value)
{
    json_object_set_new(object, key, json_integer((json_int_t)value));
}

static const char *state_name(const struct upstream_server *server, const struct server_text *text, bool resolved,
                              int64_t now_ms)
{
    if (text->host != NULL && !resolved) return "unresolved";
    if (atomic_load(&server->down)) return "down";
    return ejection_state(&server->ejection, now_ms) == EJECTION_NONE ? "up" : "ejected";
}

static json_t *report_server(const struct upstream_state *state, size_t upstream, size_t i)
{
    const struct server_text *text = &upstream_state_config(state, upstream)->servers[i];
    const struct upstream_server *server = &upstream_state_servers(state, upstream)[i];
    struct upstream_totals totals = upstream_state_totals(state, upstream, i);
    struct addr address;
    char at[ADDR_TEXT_BYTES];
    int64_t now_ms = clock_ms();
    bool resolved = upstream_address_get(&server->address, &address);
    json_t *out =
        json_pack("{s:s, s:s, s:s, s:b}", "server", text->name, "state", state_name(server, text, resolved, now_ms),
                  "admin", ADMIN[atomic_load(&server->admin)], "backup", text->backup);
    set_number(out, "weight", upstream_state_weight(server, text));
    set_number(out, "weight_configured", text->weight);
    set_number(out, "connections", upstream_state_connections(state, upstream, i));
    set_number(out, "max_connections", text->max_connections);
    set_number(out, "total", totals.begun);
    set_number(out, "failures", totals.failed);
    if (resolved) json_object_set_new(out, "address", json_string(addr_format(&address, ADDR_FULL, at, sizeof(at))));
    int64_t until_ms = atomic_load(&server->ejection.until_ms);
    if (until_ms != 0) set_number(out, "ejected_for_ms", until_ms > now_ms ? (uint64_t)(until_ms - now_ms) : 0);
    if (atomic_load(&server->weight) >= 0) json_object_set_new(out, "weight_set", json_true());
    return out;
}

json_t *upstream_report(const struct upstream_state *state)
{
    json_t *all = json_array();
    for (size_t i = 0; i < upstream_state_count(state); i++) {
        const struct upstream_config *config = upstream_state_config(state, i);
        json_t *servers = json_array();
        for (size_t s = 0; s < config->server_count; s++)
            json_array_append_new(servers, report_server(state, i, s));
        json_t *upstream = json_pack("{s:s, s:s, s:o}", "upstream", config->name, "balance", BALANCE[config->balance],
                                     "servers", servers);
        set_number(upstream, "connections", upstream_state_all_connections(state, i));
        set_number(upstream, "max_connections", config->max_connections);
        set_number(upstream, "waiting", upstream_state_all_waiting(state, i));
        set_number(upstream, "queue", config->queue);
        json_array_append_new(all, upstream);
    }
    return all;
}

static int find_admin(const char *text)
{
    for (int i = 0; text != NULL && i < UPSTREAM_ADMIN_COUNT; i++)
        if (strcmp(ADMIN[i], text) == 0) return i;
    return -1;
}

static const char *get_text(const json_t *object, const char *key)
{
    const char *text = json_string_value(json_object_get(object, key));
    return text != NULL ? text : "";
}

static int64_t get_number(const json_t *object, const char *key)
{
    json_int_t n = json_integer_value(json_object_get(object, key));
    return n >= 0 ? n : 0;
}

static void restore_address(struct upstream_server *server, const struct server_text *text, const json_t *object)
{
    struct endpoint at;
    const char *why;
    if (text->host == NULL || endpoint_parse(get_text(object, "address"), &at, &why) < 0) return;
    if (at.sa.sa_family != AF_UNIX && addr_port(&at.ip) == text->port) upstream_address_set(&server->address, &at.ip);
}

static void restore_server(struct upstream_server *server, const struct upstream_config *config, size_t i,
                           const json_t *object)
{
    int admin = find_admin(get_text(object, "admin"));
    int64_t weight = get_number(object, "weight"), out_ms = get_number(object, "ejected_for_ms");
    if (admin >= 0) atomic_store(&server->admin, (uint8_t)admin);
    if (json_is_true(json_object_get(object, "weight_set")) && weight <= BALANCE_WEIGHT_MAX)
        atomic_store(&server->weight, (int32_t)weight);
    /* Without checks nobody would find out that it is up again. */
    if (config->check_interval_ms > 0) atomic_store(&server->down, strcmp(get_text(object, "state"), "down") == 0);
    if (json_object_get(object, "ejected_for_ms") != NULL && config->ejection.max_fails > 0) {
        if (out_ms > config->ejection.max_ms) out_ms = config->ejection.max_ms;
        atomic_store(&server->ejection.until_ms, (clock_ms() + out_ms + 1) & ~INT64_C(1));
        atomic_store(&server->ejection.times, 1);
    }
    atomic_store(&server->earlier_total, (uint64_t)get_number(object, "total"));
    atomic_store(&server->earlier_failures, (uint64_t)get_number(object, "failures"));
    restore_address(server, &config->servers[i], object);
}

void upstream_report_restore(struct upstream_state *state, const json_t *report)
{
    size_t u, s;
    json_t *upstream, *server;
    json_array_foreach((json_t *)(uintptr_t)report, u, upstream)
    {
        int index = upstream_state_index(state, get_text(upstream, "upstream"));
        if (index < 0) continue;
        const struct upstream_config *config = upstream_state_config(state, (size_t)index);
        json_array_foreach(json_object_get(upstream, "servers"), s, server)
        {
            int i = upstream_state_server_index(state, (size_t)index, get_text(server, "server"));
            if (i < 0) continue;
            restore_server(&upstream_state_servers(state, (size_t)index)[i], config, (size_t)i, server);
        }
    }
}

static struct upstream_server *find_server(struct upstream_state *state, const char *upstream, const char *server,
                                           char *why, size_t cap)
{
    int u = upstream_state_index(state, upstream);
    if (u < 0) {
        snprintf(why, cap, "expected the title of an upstream, not \"%s\"", upstream);
        return NULL;
    }
    int s = upstream_state_server_index(state, (size_t)u, server);
    if (s < 0) {
        snprintf(why, cap, "expected a server of upstream \"%s\" as it stands in the configuration, not \"%s\"",
                 upstream, server);
        return NULL;
    }
    return &upstream_state_servers(state, (size_t)u)[s];
}

int upstream_report_set_admin(struct upstream_state *state, const char *upstream, const char *server, const char *admin,
                              char *why, size_t cap)
{
    struct upstream_server *found = find_server(state, upstream, server, why, cap);
    if (found == NULL) return -1;
    int wanted = find_admin(admin);
    if (wanted < 0) {
        snprintf(why, cap, "expected ready, drain or maintenance, not \"%s\"", admin);
        return -1;
    }
    if (atomic_exchange(&found->admin, (uint8_t)wanted) != wanted)
        upstream_log(LOG_LEVEL_INFO, "server_admin", upstream, server, "state", admin);
    return 0;
}

int upstream_report_set_weight(struct upstream_state *state, const char *upstream, const char *server, int64_t weight,
                               char *why, size_t cap)
{
    struct upstream_server *found = find_server(state, upstream, server, why, cap);
    char text[32];
    if (found == NULL) return -1;
    if (weight < -1 || weight > BALANCE_WEIGHT_MAX) {
        snprintf(why, cap, "expected a weight from 0 to %d, or default (in JSON -1)", BALANCE_WEIGHT_MAX);
        return -1;
    }
    snprintf(text, sizeof(text), "%" PRId64, weight);
    if (atomic_exchange(&found->weight, (int32_t)weight) != weight)
        upstream_log(LOG_LEVEL_INFO, "server_weight", upstream, server, "weight", text);
    return 0;
}
