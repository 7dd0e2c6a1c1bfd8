#include "gateway/admin_page.h"

#include "gateway/admin_metrics.h"
#include "gateway/http_date.h"
#include "gateway/http_head.h"
#include "lib/metrics.h"

#include <stdbool.h>
#include <string.h>

static const char PLAIN[] = "text/plain; charset=utf-8";

struct page {
    const char *path;
    const char *type; /* of its content */
    void (*write)(const struct worker *worker, struct buf *out);
};

static void write_health(const struct worker *worker, struct buf *out)
{
    (void)worker; /* one that can answer accepts connections */
    buf_append_str(out, "ok\n");
}

static void write_index(const struct worker *worker, struct buf *out)
{
    (void)worker;
    buf_append_str(out, "postern-gateway " POSTERN_VERSION "\n/health\n/metrics\n");
}

static const struct page PAGES[] = {
    {"/", PLAIN, write_index},
    {"/health", PLAIN, write_health},
    {"/metrics", METRICS_CONTENT_TYPE, admin_metrics_write},
};

static void respond(struct buf *out, const char *status, const char *fields, const char *type, const struct buf *body,
                    bool head_only)
{
    char date[HTTP_DATE_BYTES];
    buf_printf(out,
               "HTTP/1.1 %s\r\nDate: %s\r\nConnection: close\r\nCache-Control: no-store\r\n%s"
               "X-Content-Type-Options: nosniff\r\nContent-Type: %s\r\nContent-Length: %zu\r\n\r\n",
               status, http_date(date), fields, type, buf_len(body));
    if (!head_only) buf_append(out, buf_data(body), buf_len(body));
}

static void respond_error(struct buf *out, const char *status, const char *fields, bool head_only)
{
    struct buf body = {0};
    buf_printf(&body, "%s\n", status);
    respond(out, status, fields, PLAIN, &body, head_only);
    buf_free(&body);
}

/* The target without its query. */
static bool is_path(struct http_text target, const char *path)
{
    const char *query = memchr(target.data, '?', target.len);
    size_t len = query != NULL ? (size_t)(query - target.data) : target.len;
    return len == strlen(path) && memcmp(target.data, path, len) == 0;
}

static bool is_method(struct http_text method, const char *name)
{
    return method.len == strlen(name) && memcmp(method.data, name, method.len) == 0;
}

void admin_page_answer(const struct worker *worker, const struct listener_config *listener, const struct addr *source,
                       const uint8_t *head, size_t len, struct buf *out)
{
    struct http_head request;
    if (!listener_config_allows(listener, source)) {
        respond_error(out, "403 Forbidden", "", false);
        return;
    }
    if (http_head_parse(head, len, &request) < 0) {
        respond_error(out, "400 Bad Request", "", false);
        return;
    }
    bool head_only = is_method(request.method, "HEAD");
    if (!head_only && !is_method(request.method, "GET")) {
        respond_error(out, "405 Method Not Allowed", "Allow: GET, HEAD\r\n", false);
        return;
    }
    for (size_t i = 0; i < ARRAY_LEN(PAGES); i++) {
        if (!is_path(request.target, PAGES[i].path)) continue;
        struct buf body = {0};
        PAGES[i].write(worker, &body);
        respond(out, "200 OK", "", PAGES[i].type, &body, head_only);
        buf_free(&body);
        return;
    }
    respond_error(out, "404 Not Found", "", head_only);
}
