#include "lib/socks5.h"

#include <arpa/inet.h>
#include <string.h>

enum { VERSION = 5, AUTH_VERSION = 1, CONNECT = 1 };
enum { METHOD_NONE = 0, METHOD_PASSWORD = 2, METHOD_REFUSED = 0xff };
enum { ADDRESS_V4 = 1, ADDRESS_NAME = 3, ADDRESS_V6 = 4 };

/* What is wanted next; have bytes of it may have come. */
enum step { STEP_METHOD, STEP_AUTH, STEP_REPLY, STEP_ADDRESS, STEP_REST, STEP_DONE };

static const char PASSWORD[] = "postern";

static void put(struct socks5 *s, const void *bytes, size_t len)
{
    CHECK(s->out_len + len <= sizeof(s->out));
    memcpy(s->out + s->out_len, bytes, len);
    s->out_len += len;
}

static void put_byte(struct socks5 *s, size_t value)
{
    const uint8_t byte = (uint8_t)value;
    put(s, &byte, 1);
}

static void put_text(struct socks5 *s, const char *text)
{
    put_byte(s, strlen(text));
    put(s, text, strlen(text));
}

int socks5_begin(struct socks5 *s, const char *host, uint16_t port, const char *user)
{
    if (!*host || strlen(host) > SOCKS5_NAME_MAX_BYTES) return -1;
    if (user && (!*user || strlen(user) > SOCKS5_NAME_MAX_BYTES)) return -1;
    memset(s, 0, sizeof(*s));
    memcpy(s->host, host, strlen(host) + 1);
    if (user) memcpy(s->user, user, strlen(user) + 1);
    s->port = port;
    put_byte(s, VERSION);
    put_byte(s, user ? 2 : 1);
    if (user) put_byte(s, METHOD_PASSWORD);
    put_byte(s, METHOD_NONE);
    s->step = STEP_METHOD;
    s->want = 2;
    return 0;
}

static enum socks5_verdict end(struct socks5 *s, enum socks5_verdict verdict, const char *why)
{
    s->why = why;
    s->want = 0;
    s->step = STEP_DONE;
    return verdict;
}

static enum socks5_verdict await(struct socks5 *s, enum step step, size_t want)
{
    s->step = (unsigned char)step;
    s->want = want;
    return SOCKS5_MORE;
}

static enum socks5_verdict request(struct socks5 *s)
{
    uint8_t address[16];
    put_byte(s, VERSION);
    put_byte(s, CONNECT);
    put_byte(s, 0);
    if (inet_pton(AF_INET, s->host, address) == 1) {
        put_byte(s, ADDRESS_V4);
        put(s, address, 4);
    } else if (inet_pton(AF_INET6, s->host, address) == 1) {
        put_byte(s, ADDRESS_V6);
        put(s, address, 16);
    } else {
        put_byte(s, ADDRESS_NAME);
        put_text(s, s->host);
    }
    put_byte(s, s->port >> 8);
    put_byte(s, s->port & 0xff);
    return await(s, STEP_REPLY, 2);
}

static enum socks5_verdict take_method(struct socks5 *s, const uint8_t *in)
{
    if (in[0] != VERSION) return end(s, SOCKS5_BROKEN, "what answers is not a SOCKS5 proxy");
    if (in[1] == METHOD_NONE) return request(s);
    if (in[1] != METHOD_PASSWORD || !*s->user)
        return end(s, SOCKS5_BROKEN, "the proxy wants another kind of authentication");
    put_byte(s, AUTH_VERSION);
    put_text(s, s->user);
    put_text(s, PASSWORD);
    return await(s, STEP_AUTH, 2);
}

/* Those from 0xF0 on are Tor's, for onion services. */
static enum socks5_verdict refuse(struct socks5 *s, uint8_t code)
{
    static const struct {
        uint8_t code;
        enum socks5_verdict verdict;
        const char *why;
    } ROWS[] = {
        {0x01, SOCKS5_REFUSED, "the proxy says: general failure"},
        {0x02, SOCKS5_BROKEN, "the proxy says: not allowed"},
        {0x03, SOCKS5_REFUSED, "the proxy says: network unreachable"},
        {0x04, SOCKS5_REFUSED, "the proxy says: host unreachable"},
        {0x05, SOCKS5_REFUSED, "the proxy says: connection refused"},
        {0x06, SOCKS5_REFUSED, "the proxy says: it took too long"},
        {0x07, SOCKS5_BROKEN, "the proxy says: command not supported"},
        {0x08, SOCKS5_BROKEN, "the proxy says: kind of address not supported"},
        {0xf0, SOCKS5_REFUSED, "the proxy says: the onion service is not known now"},
        {0xf1, SOCKS5_REFUSED, "the proxy says: the onion service's descriptor is not valid"},
        {0xf2, SOCKS5_REFUSED, "the proxy says: the onion service cannot be introduced to"},
        {0xf3, SOCKS5_REFUSED, "the proxy says: no meeting point with the onion service"},
        {0xf4, SOCKS5_REFUSED, "the proxy says: the onion service wants clients to authenticate"},
        {0xf5, SOCKS5_REFUSED, "the proxy says: the onion service does not take our authentication"},
        {0xf6, SOCKS5_REFUSED, "the proxy says: that is no onion address"},
        {0xf7, SOCKS5_REFUSED, "the proxy says: the onion service took too long"},
    };
    for (size_t i = 0; i < ARRAY_LEN(ROWS); i++)
        if (ROWS[i].code == code) return end(s, ROWS[i].verdict, ROWS[i].why);
    return end(s, SOCKS5_REFUSED, "the proxy refuses, and its reason is unknown");
}

/* in: the third byte of the reply, the kind of address, and the first byte of that, which is a name's length. */
static enum socks5_verdict take_address(struct socks5 *s, const uint8_t *in)
{
    static const size_t PORT_BYTES = 2;
    if (in[1] == ADDRESS_V4) return await(s, STEP_REST, 4 - 1 + PORT_BYTES);
    if (in[1] == ADDRESS_V6) return await(s, STEP_REST, 16 - 1 + PORT_BYTES);
    if (in[1] == ADDRESS_NAME) return await(s, STEP_REST, in[2] + PORT_BYTES);
    return end(s, SOCKS5_BROKEN, "the proxy's reply cannot be understood");
}

static enum socks5_verdict step(struct socks5 *s)
{
    switch ((enum step)s->step) {
    case STEP_METHOD:
        return take_method(s, s->in);
    case STEP_AUTH:
        return s->in[1] == 0 ? request(s) : end(s, SOCKS5_BROKEN, "the proxy refuses the user name");
    case STEP_REPLY:
        if (s->in[0] != VERSION) return end(s, SOCKS5_BROKEN, "the proxy's reply cannot be understood");
        return s->in[1] == 0 ? await(s, STEP_ADDRESS, 3) : refuse(s, s->in[1]);
    case STEP_ADDRESS:
        return take_address(s, s->in);
    case STEP_REST:
        return end(s, SOCKS5_DONE, NULL);
    case STEP_DONE:
        break;
    }
    CHECK(!"the proxy's answer was known");
    return SOCKS5_BROKEN;
}

enum socks5_verdict socks5_take(struct socks5 *s, const uint8_t *bytes, size_t len)
{
    CHECK(len <= s->want);
    for (size_t i = 0; i < len; i++)
        if (s->have < sizeof(s->in)) s->in[s->have++] = bytes[i]; /* the rest of an address is of no interest */
    s->want -= len;
    if (s->want > 0) return SOCKS5_MORE;
    s->have = 0;
    return step(s);
}
