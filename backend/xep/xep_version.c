/* xep_version - XEP-0092: Software Version. */
#include "backend/dispatch.h"
#include "backend/ns.h"
#include "backend/router.h"
#include "backend/shard.h"
#include "backend/software.h"
#include "backend/stanza_error.h"
#include "lib/option.h"

#include <string.h>

static void add(struct elem *query, const char *name, const char *text)
{
    elem_add_text(elem_add(query, NULL, name), text, strlen(text));
}

void xep_version_iq(struct shard *shard, const struct stanza *request)
{
    char os[SOFTWARE_OS_BYTES];
    const struct host *host = hosts_find(shard_hosts(shard), request->to->domain);
    if (!host || !elem_child(request->elem, NS_VERSION, "query")) {
        stanza_error_answer(shard, request, STANZA_ERROR_BAD_REQUEST, NULL);
        return;
    }
    struct stanza *reply = stanza_reply(request, "result");
    struct elem *query = elem_add(reply->elem, NS_VERSION, "query");
    add(query, "name", SOFTWARE_NAME);
    /* required in an answer, so it is there, but says nothing */
    add(query, "version", option_bool(host->section, "announce-version") ? POSTERN_VERSION : "");
    if (option_bool(host->section, "announce-os")) add(query, "os", software_os(os));
    router_deliver(shard, reply);
}
