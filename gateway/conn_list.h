/* conn_list - a worker's connections as the administrator asks for them. */
#ifndef POSTERN_GATEWAY_CONN_LIST_H
#define POSTERN_GATEWAY_CONN_LIST_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct worker;

/* conn_list - {"matched": n, "connections": [{"id", "state", "peer", …}, …]}: those that have every value of filter
 * (an object of texts; names that a connection does not have match none), oldest first, at most limit of them.
 * "peer" matches with and without port. */
json_t *conn_list(const struct worker *worker, const json_t *filter, size_t limit);

/* conn_list_kill - close the connection with this id; false: there is none. */
bool conn_list_kill(struct worker *worker, uint64_t id);

#endif
