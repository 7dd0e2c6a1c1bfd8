#include "backend/client_cert.h"

#include "backend/cert_identity.h"
#include "backend/host.h"
#include "backend/jid.h"
#include "lib/mem.h"
#include "lib/tls_ask.h"

#include <stdlib.h>
#include <string.h>

struct gathering {
    struct client_cert *cert;
    const char *domain;
};

static void gather(const struct jid *jid, void *arg)
{
    const struct gathering *gathering = arg;
    struct client_cert *cert = gathering->cert;
    if (!jid->local || jid->resource || strcmp(jid->domain, gathering->domain) != 0) return;
    for (size_t i = 0; i < cert->count; i++)
        if (strcmp(cert->locals[i], jid->local) == 0) return;
    cert->locals = mem_realloc(cert->locals, (cert->count + 1) * sizeof(char *));
    cert->locals[cert->count++] = mem_strdup(jid->local);
}

bool client_cert_read(struct client_cert *out, const struct host *host, STACK_OF(X509) * chain, const char **why)
{
    *out = (struct client_cert){0};
    if (!tls_ask_verify(host->tls, chain, why)) return false;
    struct gathering gathering = {.cert = out, .domain = host->domain};
    cert_identity_each(sk_X509_value(chain, 0), gather, &gathering);
    return true;
}

void client_cert_clear(struct client_cert *cert)
{
    for (size_t i = 0; i < cert->count; i++)
        free(cert->locals[i]);
    free(cert->locals);
    *cert = (struct client_cert){0};
}
