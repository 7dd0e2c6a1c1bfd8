#include "gateway/action_admin.h"

#include "gateway/admin_page.h"
#include "gateway/peek.h"
#include "gateway/probing.h"
#include "gateway/worker.h"
#include "lib/http_head.h"
#include "lib/mem.h"

#include <string.h>

/* The answer is freed by the driver, like a refusal's words. */
static enum conn_state answer(struct conn *conn, const uint8_t *data, size_t len)
{
    struct buf text = {0};
    admin_page_answer(conn->worker, conn->listener, &conn->peer, data, len, &text);
    conn->header_len = (uint32_t)buf_len(&text);
    conn->header = mem_alloc(conn->header_len);
    memcpy(conn->header, buf_data(&text), conn->header_len);
    buf_free(&text);
    peek_wait_beyond(conn->client.fd, 0);
    probing_leave(conn);
    conn->reason = CLOSE_ADMIN;
    return CONN_REFUSE;
}

enum conn_state action_admin_step(struct conn *conn, unsigned wake)
{
    const struct worker *worker = conn->worker;
    size_t cap = worker->config->peek_limit_bytes, len = 0;
    enum peek_look look = peek_look(conn->client.fd, worker->peek_buffer, cap, conn->seen, &len);
    if (look == PEEK_BROKEN) return conn_resets(conn, CLOSE_CLIENT_RESET);
    if (look == PEEK_ENDED && len == 0) return conn_ends(conn, CLOSE_PEEK_EOF);
    bool final = (wake & CONN_WAKE_DEADLINE) || look == PEEK_ENDED || len >= cap;
    if (final || http_head_complete(worker->peek_buffer, len)) return answer(conn, worker->peek_buffer, len);
    peek_wait(conn, len);
    return CONN_ADMIN;
}
