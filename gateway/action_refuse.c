#include "gateway/action_refuse.h"

enum conn_state action_refuse_start(struct conn *conn, const struct sight *sight)
{
    (void)sight;
    if (conn->route->reset) return conn_resets(conn, CLOSE_REFUSED);
    conn_discard(conn);
    return conn_ends(conn, CLOSE_REFUSED);
}
