#include "backend/sasl_mechanism.h"

#include <openssl/rand.h>
#include <string.h>

/* ANONYMOUS (RFC 4505, XEP-0175): a guest with a name that nobody has had or can guess. */
enum { NAME_BYTES = 16 };

static bool anonymous_offered(const struct sasl_env *env)
{
    return env->anonymous;
}

/* The message is trace information, which is nobody's to choose from: it is not looked at. */
static void anonymous_message(struct sasl *sasl, const char *text, size_t len)
{
    static const char DIGITS[] = "0123456789abcdef";
    uint8_t random[NAME_BYTES];
    char local[sizeof "guest-" + 2 * sizeof random] = "guest-", *out = local + strlen(local);

    (void)text;
    (void)len;
    CHECK(RAND_bytes(random, sizeof random) == 1);
    for (size_t i = 0; i < sizeof random; i++) {
        *out++ = DIGITS[random[i] >> 4];
        *out++ = DIGITS[random[i] & 15];
    }
    *out = '\0';
    sasl_welcome(sasl, local);
}

const struct sasl_mechanism SASL_ANONYMOUS = {
    .name = "ANONYMOUS",
    .hash = SASL_ANY_HASH,
    .offered = anonymous_offered,
    .message = anonymous_message,
};
