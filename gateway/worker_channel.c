#include "gateway/worker_channel.h"

#include "gateway/channel.h"
#include "gateway/conn_list.h"
#include "gateway/log_settings.h"
#include "gateway/worker.h"
#include "gateway/worker_tls.h"
#include "lib/log.h"

#include <string.h>

/* arg: an array of ids, or true for all. */
static bool is_named(uint64_t socket, const void *arg)
{
    const json_t *named = arg;
    for (size_t i = 0; i < json_array_size(named); i++)
        if ((uint64_t)json_integer_value(json_array_get(named, i)) == socket) return true;
    return json_is_true(named);
}

static void on_drain(struct channel *channel, const json_t *message, int *fd, void *arg)
{
    (void)channel, (void)fd;
    worker_drain(arg, json_integer_value(json_object_get(message, "timeout_ms")), is_named,
                 json_object_get(message, "empty"));
}

static void on_end(struct channel *channel, const json_t *message, int *fd, void *arg)
{
    (void)channel, (void)message, (void)fd;
    worker_end(arg);
}

static void on_log(struct channel *channel, const json_t *message, int *fd, void *arg)
{
    (void)channel, (void)arg;
    const struct log_config config = log_settings_read(message);
    const json_int_t sink = json_integer_value(json_object_get(message, "sink"));
    if (*fd < 0 || sink < LOG_SINK_STDERR || sink > LOG_SINK_ERROR_FILE) return;
    log_adopt(&config, (enum log_sink)sink, *fd);
    *fd = -1;
}

static void on_log_level(struct channel *channel, const json_t *message, int *fd, void *arg)
{
    (void)channel, (void)fd, (void)arg;
    log_set_level((enum log_level)json_integer_value(json_object_get(message, "level")));
}

/* Handshakes that begin from now on get the new ones. */
static void on_certificates(struct channel *channel, const json_t *message, int *fd, void *arg)
{
    const char *title = json_string_value(json_object_get(message, "tls"));
    (void)channel;
    if (title != NULL && *fd >= 0) worker_tls_update(arg, title, *fd);
}

static void on_connections(struct channel *channel, const json_t *message, int *fd, void *arg)
{
    json_int_t limit = json_integer_value(json_object_get(message, "limit"));
    (void)fd;
    channel_answer(channel, message, conn_list(arg, json_object_get(message, "filter"), (size_t)limit));
}

static void on_kill(struct channel *channel, const json_t *message, int *fd, void *arg)
{
    json_int_t id = json_integer_value(json_object_get(message, "conn"));
    (void)fd;
    channel_answer(channel, message, json_boolean(conn_list_kill(arg, (uint64_t)id)));
}

static const struct channel_row MESSAGES[] = {
    /* {"timeout_ms", "empty": [id, …] or true}: stop accepting, take who waits at those sockets, end with the last
     * connection or after the time; negative: whenever that is */
    {"drain", on_drain},
    {"end", on_end}, /* end now */
    {"log", on_log}, /* log_settings, and the number of a "sink", with its descriptor */
    {"log-level", on_log_level},
    {"certificates", on_certificates}, /* with the descriptor of a bundle, for the section "tls" */
    {"connections", on_connections},   /* asks for conn_list */
    {"kill", on_kill},                 /* asks whether that connection was here */
};

/* Who starts a new master must find the port free. */
static void on_gone(void *arg, const char *why)
{
    struct worker *worker = arg;
    log_msg(LOG_LEVEL_ERROR, "master_gone", "%s; so does worker %zu",
            why != NULL ? why : "the master process has ended", worker->index);
    worker_end(worker);
}

struct channel *worker_channel_open(struct worker *worker, int fd)
{
    return channel_new(worker->loop, fd, MESSAGES, ARRAY_LEN(MESSAGES), on_gone, worker);
}

int worker_channel_ready(struct worker *worker)
{
    return channel_send(worker->channel, json_pack("{s:s}", "type", "ready"), -1);
}
