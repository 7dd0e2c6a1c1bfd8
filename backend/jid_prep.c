#include "backend/jid_prep.h"

#include "backend/code_point.h"
#include "backend/jid.h"

#include <arpa/inet.h>
#include <pthread.h>
#include <stdbool.h>
#include <string.h>
#include <strings.h>
#include <unicode/uidna.h>
#include <unicode/usprep.h>
#include <unicode/ustring.h>
#include <unicode/utf8.h>

enum {
    PART_UNITS = JID_PART_MAX_BYTES + 1, /* UTF-16 units: never more than the bytes of UTF-8 */
    DOMAIN_MAX_BYTES = 253,              /* as A-labels: RFC 1035 section 2.3.4, without length bytes and root */
    LABEL_MAX_BYTES = 63
};

/* Opened once and never closed; ICU promises that const use by several threads is safe. */
static UStringPrepProfile *nodeprep, *resourceprep;
static UIDNA *uts46;

static void open_profiles(void)
{
    UErrorCode error = U_ZERO_ERROR;
    nodeprep = usprep_openByType(USPREP_RFC3920_NODEPREP, &error);
    resourceprep = usprep_openByType(USPREP_RFC3920_RESOURCEPREP, &error);
    uts46 = uidna_openUTS46(UIDNA_USE_STD3_RULES | UIDNA_CHECK_BIDI | UIDNA_CHECK_CONTEXTJ | UIDNA_CHECK_CONTEXTO |
                                UIDNA_NONTRANSITIONAL_TO_ASCII | UIDNA_NONTRANSITIONAL_TO_UNICODE,
                            &error);
    CHECK(U_SUCCESS(error));
}

static void need_profiles(void)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    int error = pthread_once(&once, open_profiles);
    CHECK(error == 0);
}

static int refuse(const char **why, const char *text)
{
    *why = text;
    return -1;
}

static bool is_ascii(const char *text, size_t len)
{
    for (size_t i = 0; i < len; i++) {
        if ((unsigned char)text[i] >= 0x80) return false;
    }
    return true;
}

static int check_length(size_t len, const char **why)
{
    if (len == 0) return refuse(why, "a part of the address is empty");
    if (len > JID_PART_MAX_BYTES) return refuse(why, "a part of the address is longer than 1023 bytes");
    return 0;
}

static char ascii_lower(char c)
{
    if (c >= 'A' && c <= 'Z') return (char)(c - 'A' + 'a');
    return c;
}

static int ascii_local(const char *text, size_t len, char *out, const char **why)
{
    for (size_t i = 0; i < len; i++) {
        if (text[i] <= ' ' || text[i] == 0x7F || strchr("\"&'/:<>@", text[i])) {
            return refuse(why, "the local part contains a forbidden character");
        }
        out[i] = ascii_lower(text[i]);
    }
    out[len] = '\0';
    return 0;
}

static int ascii_resource(const char *text, size_t len, char *out, const char **why)
{
    for (size_t i = 0; i < len; i++) {
        if (text[i] < ' ' || text[i] == 0x7F) return refuse(why, "the resource contains a forbidden character");
        out[i] = text[i];
    }
    out[len] = '\0';
    return 0;
}

/* stringprep - one pass of a profile.  out has PART_UNITS bytes. */
static int stringprep(const UStringPrepProfile *profile, const char *text, size_t len, char *out, const char **why)
{
    UChar raw[PART_UNITS], prepared[PART_UNITS];
    int32_t units = 0, bytes = 0;
    UErrorCode error = U_ZERO_ERROR;
    (void)u_strFromUTF8(raw, PART_UNITS, &units, text, (int32_t)len, &error);
    if (U_FAILURE(error)) return refuse(why, "the address is not UTF-8");
    units = usprep_prepare(profile, raw, units, prepared, PART_UNITS, USPREP_ALLOW_UNASSIGNED, NULL, &error);
    if (U_SUCCESS(error)) (void)u_strToUTF8(out, JID_PART_MAX_BYTES, &bytes, prepared, units, &error);
    if (error == U_BUFFER_OVERFLOW_ERROR) return refuse(why, "a part of the address is longer than 1023 bytes");
    if (U_FAILURE(error)) return refuse(why, "the address contains a forbidden character");
    out[bytes] = '\0';
    return check_length((size_t)bytes, why);
}

/* prep_unicode - the profile applied, if applying it again changes nothing (stringprep does not promise that). */
static int prep_unicode(const UStringPrepProfile *profile, const char *text, size_t len, char *out, const char **why)
{
    char again[JID_PART_MAX_BYTES + 1];
    if (stringprep(profile, text, len, out, why) != 0) return -1;
    if (stringprep(profile, out, strlen(out), again, why) != 0) return -1;
    return strcmp(out, again) == 0 ? 0 : refuse(why, "the address has no stable form");
}

static int unicode_local(const char *text, size_t len, char *out, const char **why)
{
    need_profiles();
    return prep_unicode(nodeprep, text, len, out, why);
}

static int unicode_resource(const char *text, size_t len, char *out, const char **why)
{
    need_profiles();
    return prep_unicode(resourceprep, text, len, out, why);
}

int jid_prep_local(const char *text, size_t len, char *out, const char **why)
{
    if (check_length(len, why) != 0) return -1;
    return is_ascii(text, len) ? ascii_local(text, len, out, why) : unicode_local(text, len, out, why);
}

int jid_prep_resource(const char *text, size_t len, char *out, const char **why)
{
    if (check_length(len, why) != 0) return -1;
    return is_ascii(text, len) ? ascii_resource(text, len, out, why) : unicode_resource(text, len, out, why);
}

/* ascii_label - one label of letters, digits and inner hyphens into out; its length, or -1. */
static int ascii_label(const char *text, size_t len, char *out)
{
    if (len == 0 || len > LABEL_MAX_BYTES || text[0] == '-' || text[len - 1] == '-') return -1;
    for (size_t i = 0; i < len; i++) {
        char c = ascii_lower(text[i]);
        if (!((c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-')) return -1;
        out[i] = c;
    }
    return (int)len;
}

static int ascii_domain(const char *text, size_t len, char *out, const char **why)
{
    if (text[len - 1] == '.') len--; /* the root */
    if (len == 0 || len > DOMAIN_MAX_BYTES) return refuse(why, "the domain is empty or too long");
    for (size_t start = 0; start <= len;) {
        const char *dot = memchr(text + start, '.', len - start);
        size_t end = dot ? (size_t)(dot - text) : len;
        if (ascii_label(text + start, end - start, out + start) < 0) {
            return refuse(why, "the domain is not a host name");
        }
        out[end] = end < len ? '.' : '\0';
        start = end + 1;
    }
    return 0;
}

/* has_a_label - whether some label is punycode, which must be decoded. */
static bool has_a_label(const char *text, size_t len)
{
    for (size_t i = 0; i + 4 <= len; i++) {
        if ((i == 0 || text[i - 1] == '.') && strncasecmp(text + i, "xn--", 4) == 0) return true;
    }
    return false;
}

/* has_symbol - whether there is a character that UTS 46 lets through and IDNA2008 has in no name: most are symbols. */
static bool has_symbol(const char *text, int32_t len)
{
    for (int32_t i = 0; i < len;) {
        UChar32 c = 0;
        U8_NEXT(text, i, len, c);
        if (c >= 0x80 && !code_point_in_label(c)) return true;
    }
    return false;
}

/* idna - one pass to U-labels, of a domain whose A-labels are not too long. */
static int idna(const char *text, size_t len, char *out, const char **why)
{
    UErrorCode error = U_ZERO_ERROR;
    UIDNAInfo to_unicode = UIDNA_INFO_INITIALIZER, to_ascii = UIDNA_INFO_INITIALIZER;
    char ascii[DOMAIN_MAX_BYTES + 2];
    int32_t n = uidna_nameToUnicodeUTF8(uts46, text, (int32_t)len, out, JID_PART_MAX_BYTES, &to_unicode, &error);
    if (U_SUCCESS(error)) {
        (void)uidna_nameToASCII_UTF8(uts46, out, n, ascii, (int32_t)sizeof(ascii), &to_ascii, &error);
    }
    if (error == U_BUFFER_OVERFLOW_ERROR) return refuse(why, "the domain is too long");
    /* Hyphens in third and fourth place are in use, whatever registries say. */
    uint32_t errors = (to_unicode.errors | to_ascii.errors) & ~(uint32_t)UIDNA_ERROR_HYPHEN_3_4;
    if (U_FAILURE(error) || errors || has_symbol(out, n))
        return refuse(why, "the domain is not an internationalized host name");
    if (n > 0 && out[n - 1] == '.') n--;
    out[n] = '\0';
    return check_length((size_t)n, why);
}

int jid_domain_ascii(const char *domain, char *out)
{
    UErrorCode error = U_ZERO_ERROR;
    UIDNAInfo info = UIDNA_INFO_INITIALIZER;
    const size_t len = strlen(domain);
    if (is_ascii(domain, len)) {
        if (len >= JID_ASCII_BYTES) return -1;
        memcpy(out, domain, len + 1);
        return 0;
    }
    need_profiles();
    const int32_t n = uidna_nameToASCII_UTF8(uts46, domain, (int32_t)len, out, JID_ASCII_BYTES - 1, &info, &error);
    const uint32_t errors = info.errors & ~(uint32_t)UIDNA_ERROR_HYPHEN_3_4;
    if (U_FAILURE(error) || errors || n >= JID_ASCII_BYTES) return -1;
    out[n] = '\0';
    return 0;
}

static int unicode_domain(const char *text, size_t len, char *out, const char **why)
{
    char again[JID_PART_MAX_BYTES + 1];
    need_profiles();
    if (idna(text, len, out, why) != 0) return -1;
    if (idna(out, strlen(out), again, why) != 0) return -1;
    return strcmp(out, again) == 0 ? 0 : refuse(why, "the domain has no stable form");
}

/* ipv6_domain - an address in brackets, in its one written form. */
static int ipv6_domain(const char *text, size_t len, char *out, const char **why)
{
    char inner[INET6_ADDRSTRLEN];
    struct in6_addr address;
    if (len < 2 || text[len - 1] != ']' || len - 2 >= sizeof(inner)) return refuse(why, "not an IPv6 address");
    memcpy(inner, text + 1, len - 2);
    inner[len - 2] = '\0';
    if (inet_pton(AF_INET6, inner, &address) != 1) return refuse(why, "not an IPv6 address");
    out[0] = '[';
    if (!inet_ntop(AF_INET6, &address, out + 1, INET6_ADDRSTRLEN)) return refuse(why, "not an IPv6 address");
    size_t end = strlen(out);
    out[end] = ']';
    out[end + 1] = '\0';
    return 0;
}

int jid_prep_domain(const char *text, size_t len, char *out, const char **why)
{
    if (check_length(len, why) != 0) return -1;
    if (memchr(text, '\0', len)) return refuse(why, "the domain contains a NUL byte");
    if (text[0] == '[') return ipv6_domain(text, len, out, why);
    if (is_ascii(text, len) && !has_a_label(text, len)) return ascii_domain(text, len, out, why);
    return unicode_domain(text, len, out, why);
}

int jid_prep_ascii(const char *domain, char *out, size_t cap)
{
    const size_t len = strlen(domain);
    if (len >= cap && is_ascii(domain, len)) return -1;
    if (domain[0] == '[') return -1;
    if (is_ascii(domain, len)) {
        memcpy(out, domain, len + 1);
        return len <= DOMAIN_MAX_BYTES ? 0 : -1;
    }
    UErrorCode error = U_ZERO_ERROR;
    UIDNAInfo info = UIDNA_INFO_INITIALIZER;
    need_profiles();
    const int32_t n = uidna_nameToASCII_UTF8(uts46, domain, (int32_t)len, out, (int32_t)cap, &info, &error);
    if (U_FAILURE(error) || (info.errors & ~(uint32_t)UIDNA_ERROR_HYPHEN_3_4) || n < 0 || (size_t)n >= cap) return -1;
    out[n] = '\0';
    return n <= DOMAIN_MAX_BYTES ? 0 : -1;
}
