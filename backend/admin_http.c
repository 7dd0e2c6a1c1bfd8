#include "backend/admin_http.h"

#include "backend/backend_metrics.h"
#include "backend/shard.h"
#include "backend/shard_tour.h"
#include "lib/http_head.h"
#include "lib/http_page.h"
#include "lib/io.h"
#include "lib/metrics.h"

#include <stdlib.h>
#include <unistd.h>

enum {
    ADMIN_CLIENT_MAGIC = 0x61646d63,
    CLIENTS_MAX = 64,
    HEAD_MAX_BYTES = 8192,
    PATIENCE_MS = 10000,
    LINGER_MS = 2000,
};

struct admin_http {
    struct backend *backend;
    struct list clients;
    unsigned count;
    struct deadline_queue *patience;
};

/* What the shards are asked, one after the other. */
struct admin_question {
    struct admin_client *client; /* NULL: it has gone meanwhile */
    struct backend_metrics metrics;
};

struct admin_client {
    unsigned magic;
    struct list link;
    struct admin_http *http;
    struct io *io;
    struct deadline deadline;
    struct buf head;
    struct admin_question *question; /* under way; NULL: none */
    bool allowed, asked;
};

static struct admin_client *client_of(void *arg)
{
    struct admin_client *client = arg;
    CHECK_MAGIC(client, ADMIN_CLIENT_MAGIC);
    return client;
}

static void client_free(struct admin_client *client)
{
    list_remove(&client->link);
    client->http->count--;
    if (client->question) client->question->client = NULL;
    deadline_disarm(&client->deadline);
    io_free(&client->io);
    buf_free(&client->head);
    client->magic = 0;
    free(client);
}

static void write_health(const void *metrics, struct buf *out)
{
    (void)metrics; /* one that stops listens no more */
    buf_append_str(out, "ok\n");
}

static void write_index(const void *metrics, struct buf *out)
{
    (void)metrics;
    buf_append_str(out, "postern-backend " POSTERN_VERSION "\n/health\n/metrics\n");
}

static const struct http_page PAGES[] = {
    {"/", HTTP_PAGE_PLAIN, write_index},
    {"/health", HTTP_PAGE_PLAIN, write_health},
    {"/metrics", METRICS_CONTENT_TYPE, backend_metrics_write},
};

static void ask_shard(struct shard *shard, void *arg)
{
    struct admin_question *question = arg;
    s2s_gauges_add(shard, &question->metrics.s2s);
}

static void on_answer(void *arg)
{
    struct admin_question *question = arg;
    struct admin_client *client = question->client;
    if (client) {
        struct buf out = {0};
        client->question = NULL;
        http_page_answer(PAGES, ARRAY_LEN(PAGES), &question->metrics, client->allowed, buf_data(&client->head),
                         buf_len(&client->head), &out);
        io_write(client->io, buf_data(&out), buf_len(&out));
        buf_free(&out);
        io_shutdown(client->io, LINGER_MS);
    }
    free(question);
}

static void ask(struct admin_client *client)
{
    struct backend *backend = client->http->backend;
    struct admin_question *question = MEM_NEW(struct admin_question);
    question->client = client;
    question->metrics.backend = backend;
    client->question = question;
    client->asked = true;
    shard_tour(backend, ask_shard, backend->shards[0]->mailbox, on_answer, question);
}

static void on_data(void *arg, const uint8_t *data, size_t len)
{
    struct admin_client *client = client_of(arg);
    if (client->asked) return;
    buf_append(&client->head, data, len);
    len = buf_len(&client->head);
    if (http_head_complete(buf_data(&client->head), len) || len >= HEAD_MAX_BYTES) ask(client);
}

static void on_end(void *arg, bool clean, const char *why)
{
    (void)clean;
    (void)why;
    client_free(client_of(arg));
}

static const struct io_events EVENTS = {.on_data = on_data, .on_end = on_end};

static void on_impatience(struct deadline *deadline, void *arg)
{
    (void)arg;
    client_free(client_of(CONTAINER_OF(deadline, struct admin_client, deadline)));
}

struct admin_http *admin_http_new(struct backend *backend)
{
    struct admin_http *http = MEM_NEW(struct admin_http);
    http->backend = backend;
    list_init(&http->clients);
    http->patience = deadline_queue_new(backend->shards[0]->loop, PATIENCE_MS, on_impatience, http);
    return http;
}

void admin_http_free(struct admin_http **http)
{
    struct admin_http *h = *http;
    if (!h) return;
    *http = NULL;
    LIST_EACH (link, &h->clients) {
        client_free(LIST_ENTRY(link, struct admin_client, link));
    }
    deadline_queue_free(&h->patience);
    free(h);
}

void admin_http_take(struct admin_http *http, int fd, bool allowed)
{
    if (http->count >= CLIENTS_MAX) {
        close(fd);
        return;
    }
    struct admin_client *client = MEM_NEW(struct admin_client);
    client->magic = ADMIN_CLIENT_MAGIC;
    client->http = http;
    client->allowed = allowed;
    client->io = io_new(http->backend->shards[0]->loop, fd, &EVENTS, client);
    list_append(&http->clients, &client->link);
    http->count++;
    deadline_arm(http->patience, &client->deadline);
}
