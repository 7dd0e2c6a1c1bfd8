#include "gateway/gateway_views.h"

#include "gateway/close_reason.h"
#include "gateway/gateway_config.h"
#include "gateway/refusal.h"
#include "gateway/tls_certs.h"
#include "lib/counter.h"

static const char *const ACTIONS[] = {
    [ROUTE_PROXY] = "proxy",
    [ROUTE_HANDOFF] = "handoff",
    [ROUTE_TERMINATE] = "terminate",
    [ROUTE_REFUSE] = "refuse",
};

static void set_counter(json_t *row, const char *name, const counter_cell *block, enum gateway_counter counter)
{
    json_object_set_new(row, name, json_integer(block != NULL ? (json_int_t)counter_get(block, counter) : 0));
}

json_t *gateway_views_routes(const struct gateway_config *config, struct counters *counters)
{
    json_t *rows = json_array();
    for (size_t i = 0; i < route_count(config->routes); i++) {
        const struct route *route = route_at(config->routes, i);
        const counter_cell *block = counters_block(counters, route->name);
        json_t *row =
            json_pack("{s:s, s:i, s:s, s:s}", "route", route->name, "line", route->line, "action",
                      ACTIONS[route->action], "target", route->refusal != NULL ? route->refusal->name : route->target);
        if (row == NULL) continue; /* its title is no UTF-8 */
        set_counter(row, "routed", block, COUNTER_ROUTED);
        set_counter(row, "bytes_in", block, COUNTER_BYTES_IN);
        set_counter(row, "bytes_out", block, COUNTER_BYTES_OUT);
        json_array_append_new(rows, row);
    }
    return rows;
}

json_t *gateway_views_certs(const struct gateway_config *config)
{
    json_t *rows = json_array(), *cert;
    size_t place;
    for (size_t i = 0; i < config->tls_count; i++) {
        json_t *list = tls_certs_list(config->tls[i].certs);
        json_array_foreach(list, place, cert)
        {
            json_t *row = json_pack("{s:s}", "tls", config->tls[i].name);
            if (row == NULL) continue;
            (void)json_object_update(row, cert);
            json_array_append_new(rows, row);
        }
        json_decref(list);
    }
    return rows;
}
