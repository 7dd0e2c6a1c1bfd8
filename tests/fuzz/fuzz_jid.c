/* An address that is accepted parses to itself, and its parts make the same address. */
#include "backend/jid.h"

#include <stdint.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const char *why = NULL;
    struct jid *jid = jid_parse((const char *)data, size, &why);
    if (!jid) {
        CHECK(why != NULL);
        return 0;
    }
    struct jid *again = jid_parse(jid->full, strlen(jid->full), &why);
    CHECK(again != NULL && jid_equal(jid, again) && jid_bare_equal(jid, again));
    struct jid *parts = jid_new(jid->local, jid->domain, jid->resource, &why);
    CHECK(parts != NULL && jid_equal(jid, parts));
    CHECK(strlen(jid->full) <= JID_MAX_BYTES && strlen(jid->domain) <= JID_PART_MAX_BYTES);
    if (jid->local) (void)jid_local_is_acceptable(jid->local, &why);
    jid_free(&jid);
    jid_free(&again);
    jid_free(&parts);
    return 0;
}
