/* gateway_views - what the control socket shows of the configuration that serves: routes and certificates. */
#ifndef POSTERN_GATEWAY_GATEWAY_VIEWS_H
#define POSTERN_GATEWAY_GATEWAY_VIEWS_H

#include <jansson.h>

struct counters;
struct gateway_config;

/* gateway_views_routes - in file order: [{"route", "line", "action", "target", "routed", "bytes_in", "bytes_out"}, …].
 */
json_t *gateway_views_routes(const struct gateway_config *config, struct counters *counters);

/* gateway_views_certs - of all "tls" sections: [{"tls": TITLE, and what tls_certs_list says}, …]. */
json_t *gateway_views_certs(const struct gateway_config *config);

#endif
