#include "backend/cert_domain.h"

#include "backend/cert_identity.h"
#include "backend/jid.h"
#include "lib/check.h"

#include <arpa/inet.h>
#include <openssl/err.h>
#include <openssl/x509v3.h>
#include <string.h>
#include <strings.h>

enum { NAMES_MAX_BYTES = 32 * 1024 }; /* of a subjectAltName; public authorities end at 100 names */

/* What is looked for; a domain that is an address has no name. */
struct reference {
    bool service; /* SRV-ID will do */
    char name[JID_ASCII_BYTES];
    uint8_t address[sizeof(struct in6_addr)];
    int address_len; /* 0: it is a name */
};

static void read_address(struct reference *reference, const char *domain)
{
    char text[INET6_ADDRSTRLEN + 2];
    const size_t len = strlen(domain);
    if (inet_pton(AF_INET, domain, reference->address) == 1) reference->address_len = sizeof(struct in_addr);
    if (len < 2 || len >= sizeof(text) || domain[0] != '[' || domain[len - 1] != ']') return;
    memcpy(text, domain + 1, len - 2);
    text[len - 2] = '\0';
    if (inet_pton(AF_INET6, text, reference->address) == 1) reference->address_len = sizeof(struct in6_addr);
}

static bool is_name(const char *text, size_t len)
{
    static const char LETTERS[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_.*";
    for (size_t i = 0; i < len; i++)
        if (text[i] == '\0' || !strchr(LETTERS, text[i])) return false;
    return len > 0;
}

static bool is_same(const char *text, size_t len, const char *name)
{
    return strlen(name) == len && strncasecmp(text, name, len) == 0;
}

/* RFC 6125 section 6.4.3: the wildcard is the whole first label, and stands for one. */
static bool matches(const char *text, size_t len, const char *name)
{
    if (len > 0 && text[len - 1] == '.') len--;
    if (!is_name(text, len)) return false;
    if (len < 2 || text[0] != '*' || text[1] != '.') return is_same(text, len, name);
    const char *rest = strchr(name, '.');
    if (!rest || rest == name || !memchr(text + 2, '.', len - 2)) return false;
    return is_same(text + 1, len - 1, rest);
}

static bool matches_string(const ASN1_STRING *string, const char *name)
{
    return matches((const char *)ASN1_STRING_get0_data(string), (size_t)ASN1_STRING_length(string), name);
}

/* RFC 4985: "_service.name". */
static bool matches_service(const ASN1_TYPE *value, const char *name)
{
    static const char *const SERVICES[] = {"_xmpp-server.", "_xmpps-server."};
    if (!value || value->type != V_ASN1_IA5STRING) return false;
    const char *text = (const char *)ASN1_STRING_get0_data(value->value.ia5string);
    const size_t len = (size_t)ASN1_STRING_length(value->value.ia5string);
    for (size_t i = 0; i < ARRAY_LEN(SERVICES); i++) {
        const size_t prefix = strlen(SERVICES[i]);
        if (len > prefix && strncasecmp(text, SERVICES[i], prefix) == 0)
            return matches(text + prefix, len - prefix, name);
    }
    return false;
}

static bool is_for(const GENERAL_NAME *id, const struct reference *reference)
{
    ASN1_OBJECT *oid = NULL;
    ASN1_TYPE *value = NULL;
    switch (id->type) {
    case GEN_DNS:
        return reference->address_len == 0 && matches_string(id->d.dNSName, reference->name);
    case GEN_IPADD:
        return reference->address_len > 0 && ASN1_STRING_length(id->d.iPAddress) == reference->address_len &&
               memcmp(ASN1_STRING_get0_data(id->d.iPAddress), reference->address, (size_t)reference->address_len) == 0;
    case GEN_OTHERNAME:
        if (!reference->service || reference->address_len > 0) return false;
        if (GENERAL_NAME_get0_otherName(id, &oid, &value) != 1 || OBJ_obj2nid(oid) != NID_SRVName) return false;
        return matches_service(value, reference->name);
    default:
        return false;
    }
}

/* So many that looking at them takes long are no names. */
static bool is_too_much(const X509 *cert)
{
    const int at = X509_get_ext_by_NID(cert, NID_subject_alt_name, -1);
    const ASN1_OCTET_STRING *data = at < 0 ? NULL : X509_EXTENSION_get_data(X509_get_ext(cert, at));
    return data && ASN1_STRING_length(data) > NAMES_MAX_BYTES;
}

static bool find(const X509 *cert, const struct reference *reference)
{
    bool found = false;
    GENERAL_NAMES *names = X509_get_ext_d2i(cert, NID_subject_alt_name, NULL, NULL);
    for (int i = 0; i < sk_GENERAL_NAME_num(names) && !found; i++)
        found = is_for(sk_GENERAL_NAME_value(names, i), reference);
    GENERAL_NAMES_free(names);
    ERR_clear_error();
    return found;
}

struct search {
    const char *domain;
    bool found;
};

/* Of a server: neither of a user nor of a resource. */
static void look_at(const struct jid *jid, void *arg)
{
    struct search *search = arg;
    if (!jid->local && !jid->resource && strcmp(jid->domain, search->domain) == 0) search->found = true;
}

bool cert_domain_has(X509 *cert, const char *domain)
{
    struct reference reference = {.service = true};
    struct search search = {.domain = domain};
    if (is_too_much(cert)) return false;
    read_address(&reference, domain);
    const bool has_form = reference.address_len > 0 || jid_domain_ascii(domain, reference.name) == 0;
    if (has_form && find(cert, &reference)) return true;
    cert_identity_each(cert, look_at, &search);
    return search.found;
}

bool cert_domain_has_target(X509 *cert, const char *target)
{
    struct reference reference = {.service = false};
    const size_t len = strlen(target);
    if (is_too_much(cert) || len == 0 || len >= sizeof(reference.name)) return false;
    memcpy(reference.name, target, len + 1);
    if (reference.name[len - 1] == '.') reference.name[len - 1] = '\0';
    read_address(&reference, reference.name);
    return find(cert, &reference);
}
