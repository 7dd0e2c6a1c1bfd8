#include "backend/cert_identity.h"
#include "backend/jid.h"
#include "backend/terminated.h"

#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_address(const struct jid *jid, void *arg)
{
    (void)arg;
    CHECK(jid->full && strlen(jid->full) <= 3 * (JID_PART_MAX_BYTES + 1));
}

/* What is believed is within its bounds, and each of the client's certificates can be asked whom it names. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct pp2 pp;
    const char *why = NULL;
    if (pp2_decode(data, size, &pp, &why) <= 0) return 0;
    why = NULL;
    struct terminated *t = terminated_read(&pp, &why);
    CHECK((t == NULL) == (why != NULL));
    if (!t) return 0;
    CHECK(strlen(t->version) < sizeof(t->version) && strlen(t->cipher) < sizeof(t->cipher));
    CHECK(t->alpn_len <= sizeof(t->alpn) && t->end_point_len <= sizeof(t->end_point));
    CHECK(!t->verified || pp2_find(&pp, PP2_TLV_SSL));
    for (int i = 0; i < sk_X509_num(t->chain); i++)
        cert_identity_each(sk_X509_value(t->chain, i), check_address, NULL);
    terminated_free(&t);
    return 0;
}
