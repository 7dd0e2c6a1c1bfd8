/* Any bytes: the ClientHello parser and the probes must not depend on how they were cut, and must agree. */
#include "gateway/probe.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_hello(const struct clienthello *hello)
{
    CHECK(hello->has_sni == (hello->sni[0] != '\0'));
    CHECK(memchr(hello->sni, '\0', sizeof(hello->sni)) != NULL);
    CHECK(hello->alpn_len <= sizeof(hello->alpn));
    CHECK(hello->has_alpn || hello->alpn_len == 0);
    CHECK(hello->version_max >> 8 == 3);
    CHECK(hello->versions < 16);
    /* The highest version offered is the highest of the set, as far as the set goes. */
    for (unsigned minor = hello->version_max & 0xff; minor < 4; minor++)
        CHECK((hello->versions & CLIENTHELLO_TLS10 << minor) == 0);
    CHECK(hello->version_max < 0x0301 || hello->version_max > 0x0304 ||
          (hello->versions & CLIENTHELLO_TLS10 << (hello->version_max - 0x0301)) != 0);

    char text[4 * CLIENTHELLO_ALPN_MAX_BYTES + 1];
    clienthello_alpn_text(hello, text, sizeof(text));
    for (const char *p = text; *p != '\0'; p++)
        CHECK(*p > ' ' && *p < 0x7f);
    CHECK((text[0] == '\0') == (hello->alpn_len == 0));

    for (size_t at = 0; at < hello->alpn_len; at += 1 + (size_t)hello->alpn[at]) {
        size_t len = hello->alpn[at];
        CHECK(len > 0 && at + 1 + len <= hello->alpn_len);
        char name[256] = {0};
        memcpy(name, hello->alpn + at + 1, len);
        CHECK(strlen(name) != len || clienthello_offers(hello, name));
    }
}

static enum probe_verdict look(size_t probe, const uint8_t *data, size_t len, bool final)
{
    struct sight sight = {.data = data, .len = len, .final = final};
    enum probe_verdict verdict = PROBES[probe].look(&sight);
    CHECK(!final || verdict != PROBE_MORE);
    CHECK(!sight.hello_done || verdict == PROBE_MATCH);
    CHECK(!sight.hello_partial || (final && verdict == PROBE_MATCH));
    return verdict;
}

static void check_prefix(const uint8_t *data, size_t size, size_t len, enum clienthello_verdict whole)
{
    struct clienthello hello;
    /* A copy of its own size, so that the sanitizer sees a read beyond it. */
    uint8_t *prefix = malloc(len > 0 ? len : 1);
    CHECK(prefix != NULL);
    if (len > 0) memcpy(prefix, data, len);

    enum clienthello_verdict verdict = clienthello_parse(prefix, len, &hello);
    CHECK(verdict == CLIENTHELLO_MORE || verdict == whole);
    if (verdict == CLIENTHELLO_COMPLETE) check_hello(&hello);
    for (size_t i = 0; i < PROBE_COUNT; i++) {
        enum probe_verdict cut = look(i, prefix, len, false);
        CHECK(cut == PROBE_MORE || cut == look(i, data, size, false));
        CHECK(cut == PROBE_MORE || cut == look(i, prefix, len, true));
    }
    free(prefix);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct clienthello hello;
    enum clienthello_verdict whole = clienthello_parse(data, size, &hello);
    if (whole == CLIENTHELLO_COMPLETE) check_hello(&hello);

    size_t matches = 0;
    for (size_t i = 0; i < PROBE_COUNT; i++)
        matches += look(i, data, size, true) == PROBE_MATCH;
    CHECK(matches <= 1);

    /* Where headers lie, every cut; behind, a few that the input chooses. */
    for (size_t len = 0; len < size && len < 48; len++)
        check_prefix(data, size, len, whole);
    for (size_t i = 0; i < 8 && i < size; i++)
        check_prefix(data, size, (data[i] * (size_t)257 + data[size - 1 - i]) % size, whole);
    if (size > 0) check_prefix(data, size, size - 1, whole);
    return 0;
}
