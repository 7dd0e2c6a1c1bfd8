#include "gateway/conn_list.h"

#include "gateway/action_handoff.h"
#include "gateway/conn.h"
#include "gateway/upstream.h"
#include "gateway/worker.h"

#include <stdint.h>
#include <string.h>

static void set_text(json_t *object, const char *name, const char *text)
{
    /* A name in a hello may hold any bytes in an ALPN offer: what is no UTF-8 is left out. */
    if (text != NULL) json_object_set_new(object, name, json_string(text));
}

static json_t *describe(const struct conn *conn)
{
    json_t *out = json_object();
    char id[CONN_ID_BYTES], peer[ADDR_TEXT_BYTES], local[ADDR_TEXT_BYTES];
    const struct upstream *upstream = conn->upstream;
    set_text(out, "id", conn_id(conn, id));
    set_text(out, "state", conn_state_name((enum conn_state)conn->state));
    set_text(out, "peer", addr_format(&conn->peer, ADDR_FULL, peer, sizeof(peer)));
    set_text(out, "local", addr_format(&conn->local, ADDR_FULL, local, sizeof(local)));
    set_text(out, "listener", conn->listener->name);
    set_text(out, "route", conn->route != NULL ? conn->route->name : "");
    set_text(out, "upstream", upstream != NULL ? upstream->config->name : "");
    set_text(out, "server",
             upstream != NULL && conn->server != UPSTREAM_NO_SERVER ? upstream->config->servers[conn->server].name
                                                                    : "");
    set_text(out, "backend", conn->handoff != NULL ? conn->handoff->config->name : "");
    set_text(out, "protocol", conn->protocol != NULL ? conn->protocol : "");
    set_text(out, "sni", conn_sni(conn) != NULL ? conn_sni(conn) : "");
    set_text(out, "alpn", conn_alpn(conn) != NULL ? conn_alpn(conn) : "");
    json_object_set_new(out, "bytes_in", json_integer((json_int_t)conn->up.bytes));
    json_object_set_new(out, "bytes_out", json_integer((json_int_t)conn->down.bytes));
    json_object_set_new(out, "age_s", json_integer((loop_now_ms(conn->worker->loop) - conn->start_ms) / 1000));
    return out;
}

/* "192.0.2.1" fits "192.0.2.1:4711", and "2001:db8::1" fits "[2001:db8::1]:4711". */
static bool fits_peer(const struct conn *conn, const char *wanted)
{
    char text[ADDR_TEXT_BYTES];
    return strcmp(addr_format(&conn->peer, ADDR_FULL, text, sizeof(text)), wanted) == 0 ||
           strcmp(addr_format_host(&conn->peer, text, sizeof(text)), wanted) == 0;
}

static bool fits(const struct conn *conn, const json_t *described, const json_t *filter)
{
    const char *name;
    json_t *value;
    json_object_foreach((json_t *)(uintptr_t)filter, name, value)
    {
        const char *wanted = json_string_value(value);
        if (wanted == NULL) return false;
        if (strcmp(name, "peer") == 0) {
            if (!fits_peer(conn, wanted)) return false;
            continue;
        }
        const char *has = json_string_value(json_object_get(described, name));
        if (has == NULL || strcmp(has, wanted) != 0) return false;
    }
    return true;
}

json_t *conn_list(const struct worker *worker, const json_t *filter, size_t limit)
{
    json_t *found = json_array();
    size_t matched = 0;
    LIST_EACH (pos, &worker->conns) {
        const struct conn *conn = LIST_ENTRY(pos, struct conn, link);
        json_t *described = describe(conn);
        if (!fits(conn, described, filter)) {
            json_decref(described);
            continue;
        }
        if (matched++ < limit)
            json_array_append_new(found, described);
        else
            json_decref(described);
    }
    return json_pack("{s:I, s:o}", "matched", (json_int_t)matched, "connections", found);
}

bool conn_list_kill(struct worker *worker, uint64_t id)
{
    LIST_EACH (pos, &worker->conns) {
        struct conn *conn = LIST_ENTRY(pos, struct conn, link);
        if (conn->id != id) continue;
        conn_close(conn, CLOSE_KILLED);
        return true;
    }
    return false;
}
