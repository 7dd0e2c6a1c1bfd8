/* dane - what signed TLSA records say of a server's certificate.  Source: RFC 6698, RFC 7671. */
#ifndef POSTERN_BACKEND_DANE_H
#define POSTERN_BACKEND_DANE_H

#include "backend/dialer.h"

#include <openssl/x509.h>
#include <stdbool.h>
#include <stddef.h>

/* RFC 7218.  PKIX: the certificate must also be valid by the usual authorities. */
enum { DANE_PKIX_TA, DANE_PKIX_EE, DANE_TA, DANE_EE };

/* dane_is_usable - whether record i of them counts: its fields are known, its data has the right form, and no other one
 * of its usage and selector has a stronger digest (RFC 7671 section 9).  When none is usable, there might as well be
 * none. */
bool dane_is_usable(const struct dialer_tlsa *records, size_t count, size_t i);

/* dane_matches - whether a usable record means that certificate or its key. */
bool dane_matches(const struct dialer_tlsa *record, X509 *cert);

/* dane_certificate - the certificate that a record contains in full; NULL: it does not.  Free with X509_free. */
X509 *dane_certificate(const struct dialer_tlsa *record);

#endif
