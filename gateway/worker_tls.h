/* worker_tls - a worker's TLS services, one for each "tls" section. */
#ifndef POSTERN_GATEWAY_WORKER_TLS_H
#define POSTERN_GATEWAY_WORKER_TLS_H

struct tls_tickets;
struct worker;

/* worker_tls_open - make worker->tls from the configuration, whose certificates belong to the services from now on. */
void worker_tls_open(struct worker *worker, const struct tls_tickets *tickets);
void worker_tls_close(struct worker *worker);

/* worker_tls_update - serve what the master has put into a bundle (tls_bundle.h; fd is borrowed) for the section. */
void worker_tls_update(struct worker *worker, const char *title, int fd);

#endif
