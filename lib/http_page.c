#include "lib/http_page.h"

#include "lib/http_date.h"
#include "lib/http_head.h"

#include <string.h>

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
    respond(out, status, fields, HTTP_PAGE_PLAIN, &body, head_only);
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

void http_page_answer(const struct http_page *pages, size_t count, const void *arg, bool allowed, const uint8_t *head,
                      size_t len, struct buf *out)
{
    struct http_head request;
    if (!allowed) {
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
    for (size_t i = 0; i < count; i++) {
        if (!is_path(request.target, pages[i].path)) continue;
        struct buf body = {0};
        pages[i].write(arg, &body);
        respond(out, "200 OK", "", pages[i].type, &body, head_only);
        buf_free(&body);
        return;
    }
    respond_error(out, "404 Not Found", "", head_only);
}
