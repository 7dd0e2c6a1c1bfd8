#include "backend/cert_identity.h"

#include "backend/jid.h"

#include <openssl/err.h>
#include <openssl/x509v3.h>
#include <string.h>

static struct jid *address_of(const GENERAL_NAME *name)
{
    ASN1_OBJECT *oid = NULL;
    ASN1_TYPE *value = NULL;
    if (GENERAL_NAME_get0_otherName(name, &oid, &value) != 1) return NULL;
    if (OBJ_obj2nid(oid) != NID_XmppAddr || !value || value->type != V_ASN1_UTF8STRING) return NULL;
    const char *text = (const char *)ASN1_STRING_get0_data(value->value.utf8string);
    const size_t len = (size_t)ASN1_STRING_length(value->value.utf8string);
    /* what lies behind a byte 0 is seen by some programs and not by others */
    if (len == 0 || memchr(text, '\0', len)) return NULL;
    return jid_parse(text, len, NULL);
}

void cert_identity_each(X509 *cert, cert_identity_fn *fn, void *arg)
{
    GENERAL_NAMES *names = X509_get_ext_d2i(cert, NID_subject_alt_name, NULL, NULL);
    for (int i = 0; i < sk_GENERAL_NAME_num(names); i++) {
        struct jid *jid = address_of(sk_GENERAL_NAME_value(names, i));
        if (jid) fn(jid, arg);
        jid_free(&jid);
    }
    GENERAL_NAMES_free(names);
    ERR_clear_error();
}
