#include "gateway/admin_page.h"

#include "gateway/admin_metrics.h"
#include "lib/http_page.h"
#include "lib/metrics.h"

static void write_health(const void *worker, struct buf *out)
{
    (void)worker; /* one that can answer accepts connections */
    buf_append_str(out, "ok\n");
}

static void write_index(const void *worker, struct buf *out)
{
    (void)worker;
    buf_append_str(out, "postern-gateway " POSTERN_VERSION "\n/health\n/metrics\n");
}

static void write_metrics(const void *worker, struct buf *out)
{
    admin_metrics_write(worker, out);
}

static const struct http_page PAGES[] = {
    {"/", HTTP_PAGE_PLAIN, write_index},
    {"/health", HTTP_PAGE_PLAIN, write_health},
    {"/metrics", METRICS_CONTENT_TYPE, write_metrics},
};

void admin_page_answer(const struct worker *worker, const struct listener_config *listener, const struct addr *source,
                       const uint8_t *head, size_t len, struct buf *out)
{
    http_page_answer(PAGES, ARRAY_LEN(PAGES), worker, cidr_set_admits(&listener->allow, source), head, len, out);
}
