#include "gateway/worker_tls.h"

#include "gateway/tls_bundle.h"
#include "gateway/tls_certs.h"
#include "gateway/tls_config.h"
#include "gateway/tls_service.h"
#include "gateway/worker.h"
#include "lib/log.h"
#include "lib/mem.h"

#include <stdlib.h>
#include <string.h>

void worker_tls_open(struct worker *worker, const struct tls_tickets *tickets)
{
    struct gateway_config *config = worker->config;
    worker->tls = mem_alloc((config->tls_count + 1) * sizeof(struct tls_service *));
    for (size_t i = 0; i < config->tls_count; i++) {
        worker->tls[i] = tls_service_new(&config->tls[i], config->routes, tickets);
        tls_config_release(&config->tls[i]);
    }
}

void worker_tls_close(struct worker *worker)
{
    for (size_t i = 0; i < worker->config->tls_count; i++)
        tls_service_free(&worker->tls[i]);
    free(worker->tls);
}

void worker_tls_update(struct worker *worker, const char *title, int fd)
{
    for (size_t i = 0; i < worker->config->tls_count; i++) {
        if (strcmp(worker->config->tls[i].name, title) != 0) continue;
        const char *why = NULL;
        struct tls_certs *certs = tls_bundle_read(fd, tls_service_certs(worker->tls[i]), &why);
        if (certs == NULL) {
            log_msg(LOG_LEVEL_ERROR, "certificates_lost", "what the master sent for tls \"%s\": %s", title, why);
            return;
        }
        tls_service_update(worker->tls[i], certs);
        tls_certs_unref(&certs);
    }
}
