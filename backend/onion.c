#include "backend/onion.h"

#include "lib/check.h"

#include <openssl/evp.h>
#include <stdint.h>
#include <string.h>

#define SUFFIX ".onion"

enum {
    NAME_LETTERS = 56,
    KEY_BYTES = 32,
    CHECKSUM_BYTES = 2,
    NAME_BYTES = KEY_BYTES + CHECKSUM_BYTES + 1,
    VERSION = 3
};

bool onion_is(const char *domain)
{
    const size_t len = strlen(domain), suffix = strlen(SUFFIX);
    return len > suffix && strcmp(domain + len - suffix, SUFFIX) == 0;
}

/* RFC 4648 section 6; the letters of a name make whole bytes. */
static bool read_base32(const char *text, uint8_t out[NAME_BYTES])
{
    static const char LETTERS[] = "abcdefghijklmnopqrstuvwxyz234567";
    uint32_t bits = 0;
    unsigned count = 0;
    size_t used = 0;
    for (size_t i = 0; i < NAME_LETTERS; i++) {
        const char *at = strchr(LETTERS, text[i]);
        if (!at || !*at) return false;
        bits = bits << 5 | (uint32_t)(at - LETTERS);
        count += 5;
        if (count < 8) continue;
        count -= 8;
        out[used++] = (uint8_t)(bits >> count);
    }
    return true;
}

static bool has_checksum(const uint8_t name[NAME_BYTES])
{
    static const char HEAD[] = ".onion checksum";
    uint8_t text[sizeof(HEAD) - 1 + KEY_BYTES + 1], digest[EVP_MAX_MD_SIZE];
    memcpy(text, HEAD, sizeof(HEAD) - 1);
    memcpy(text + sizeof(HEAD) - 1, name, KEY_BYTES);
    text[sizeof(text) - 1] = VERSION;
    CHECK(EVP_Digest(text, sizeof(text), digest, NULL, EVP_sha3_256(), NULL) == 1);
    return memcmp(digest, name + KEY_BYTES, CHECKSUM_BYTES) == 0;
}

const char *onion_fault(const char *domain)
{
    uint8_t name[NAME_BYTES];
    if (!onion_is(domain) || strcmp(domain, "*" SUFFIX) == 0) return NULL;
    const char *end = domain + strlen(domain) - strlen(SUFFIX), *start = end;
    while (start > domain && start[-1] != '.')
        start--;
    if (end - start != NAME_LETTERS || !read_base32(start, name) || name[NAME_BYTES - 1] != VERSION)
        return "an onion address has 56 letters and digits (a to z, 2 to 7) before .onion";
    return has_checksum(name) ? NULL : "its checksum is wrong: a letter of it is another one, or is missing";
}
