/* Any bytes: every refusal that fits has an answer, a redirect never says more than one place, and cuts do not matter.
 */
#include "gateway/refusal.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static enum probe_verdict look(const struct refusal *refusal, const uint8_t *data, size_t len, bool final)
{
    struct sight sight = {.data = data, .len = len, .final = final};
    return refusal_look(refusal, &sight);
}

/* A head of visible bytes in lines that end in CR LF, of which one at most says where to go, and there by https. */
static void check_http(const struct refusal_answer *answer)
{
    static const char LOCATION[] = "\r\nLocation: ", HTTPS[] = "https://";
    const char *text = (const char *)answer->data, *end = strstr(text, "\r\n\r\n");
    CHECK(end != NULL);
    for (const char *p = text; p < end; p++) {
        CHECK((*p >= ' ' && *p < 0x7f) || *p == '\r' || *p == '\n');
        CHECK((*p == '\r') == (p[1] == '\n'));
    }
    CHECK(strncmp(text, "HTTP/1.1 400 ", 13) == 0 || strcmp(end, "\r\n\r\n") == 0);
    const char *place = strstr(text, LOCATION);
    CHECK((place == NULL) == (strncmp(text, "HTTP/1.1 400 ", 13) == 0));
    if (place == NULL) return;
    place += strlen(LOCATION);
    CHECK(strstr(place, LOCATION) == NULL && strncmp(place, HTTPS, strlen(HTTPS)) == 0);
    size_t host = strcspn(place + strlen(HTTPS), "/");
    CHECK(host > 0 && host < 270);
    for (size_t i = 0; i < host; i++)
        CHECK(strchr("@?#\\%\"<> ", place[strlen(HTTPS) + i]) == NULL);
}

static void check(const struct refusal *refusal, const uint8_t *data, size_t size, size_t len)
{
    /* A copy of its own size, so that the sanitizer sees a read beyond it. */
    uint8_t *prefix = malloc(len > 0 ? len : 1);
    CHECK(prefix != NULL);
    if (len > 0) memcpy(prefix, data, len);
    enum probe_verdict cut = look(refusal, prefix, len, false), at_end = look(refusal, prefix, len, true);
    CHECK(at_end != PROBE_MORE);
    CHECK(cut == PROBE_MORE || (cut == at_end && cut == look(refusal, data, size, false)));
    if (at_end == PROBE_MATCH) {
        struct sight sight = {.data = prefix, .len = len, .final = true};
        struct refusal_answer answer = {0};
        CHECK(refusal_look(refusal, &sight) == PROBE_MATCH);
        refusal->compose(&sight, &answer);
        CHECK(answer.len > 0 && answer.len < sizeof(answer.data));
        if (strcmp(refusal->protocol, "http") == 0) check_http(&answer);
    }
    free(prefix);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    for (size_t i = 0; i < REFUSAL_COUNT; i++) {
        check(&REFUSALS[i], data, size, size);
        for (size_t n = 0; n < 8 && n < size; n++)
            check(&REFUSALS[i], data, size, (data[n] * (size_t)257 + data[size - 1 - n]) % size);
        if (size > 0) check(&REFUSALS[i], data, size, size - 1);
    }
    return 0;
}
