#include "gateway/clienthello.h"

#include "gateway/server_name.h"

#include <string.h>

enum {
    RECORD_HEADER_BYTES = 5,
    RECORD_MAX_BYTES = 16384, /* RFC 8446 section 5.1 */
    RECORD_HANDSHAKE = 22,
    RECORD_MINOR_MAX = 4,
    MESSAGE_HEADER_BYTES = 4,
    MESSAGE_MAX_BYTES = 65535, /* with its header; those of real clients stay below 4 KiB */
    MESSAGE_CLIENT_HELLO = 1,
    RANDOM_BYTES = 32,
    SESSION_ID_MAX_BYTES = 32,
    EXTENSIONS_MAX = 128, /* real clients send 20; keeps the search for duplicates cheap */
    EXTENSION_SERVER_NAME = 0,
    EXTENSION_ALPN = 16,
    EXTENSION_SUPPORTED_VERSIONS = 43,
    EXTENSION_ECH = 0xfe0d,
    SSLV2_HEADER_BYTES = 2,
    SSLV2_SURE_BYTES = 5,                /* header, type and version */
    SSLV2_MIN_BYTES = 1 + 2 + 6 + 3 + 16 /* type, version, three lengths, one cipher, challenge */
};

static _Thread_local uint8_t joined[MESSAGE_MAX_BYTES];

/* The bytes that are left to read.  Every take_* says false, and then nothing of out counts, when there are too few. */
struct reader {
    const uint8_t *at;
    size_t left;
};

static bool take(struct reader *from, size_t len, struct reader *out)
{
    if (from->left < len) return false;
    *out = (struct reader){from->at, len};
    from->at += len;
    from->left -= len;
    return true;
}

/* A big-endian number of 1 or 2 bytes. */
static bool take_number(struct reader *from, size_t width, unsigned *out)
{
    struct reader bytes;
    if (!take(from, width, &bytes)) return false;
    *out = width == 1 ? bytes.at[0] : (unsigned)bytes.at[0] << 8 | bytes.at[1];
    return true;
}

/* A vector behind its length of 1 or 2 bytes. */
static bool take_vector(struct reader *from, size_t width, struct reader *out)
{
    unsigned len;
    return take_number(from, width, &len) && take(from, len, out);
}

/* RFC 8701: 0x0a0a, 0x1a1a, ... 0xfafa. */
static bool is_grease(unsigned value)
{
    return (value & 0x0f0f) == 0x0a0a && value >> 8 == (value & 0xff);
}

static bool read_server_name(struct reader body, struct clienthello *hello)
{
    struct reader list;
    if (!take_vector(&body, 2, &list) || body.left != 0 || list.left == 0) return false;

    bool seen = false;
    while (list.left > 0) {
        unsigned type;
        struct reader name;
        if (!take_number(&list, 1, &type) || !take_vector(&list, 2, &name)) return false;
        if (type != 0 || seen) continue;
        seen = true;
        enum server_name_kind kind = server_name_clean(name.at, name.left, hello->sni);
        if (kind == SERVER_NAME_BAD) return false;
        hello->has_sni = kind == SERVER_NAME_HOST;
        if (!hello->has_sni) hello->sni[0] = '\0';
    }
    return true;
}

static bool read_alpn(struct reader body, struct clienthello *hello)
{
    struct reader list;
    if (!take_vector(&body, 2, &list) || body.left != 0 || list.left == 0) return false;

    hello->has_alpn = true;
    while (list.left > 0) {
        struct reader name;
        if (!take_vector(&list, 1, &name) || name.left == 0) return false;
        if (name.left == 2 && is_grease((unsigned)name.at[0] << 8 | name.at[1])) continue;
        if (hello->alpn_len + 1 + name.left > sizeof(hello->alpn)) return false;
        hello->alpn[hello->alpn_len++] = (uint8_t)name.left;
        memcpy(hello->alpn + hello->alpn_len, name.at, name.left);
        hello->alpn_len += name.left;
    }
    return true;
}

/* As a set; 0 for what is not in it, SSL 3.0 and drafts among them. */
static uint8_t version_bit(unsigned version)
{
    return version >= 0x0301 && version <= 0x0304 ? (uint8_t)(CLIENTHELLO_TLS10 << (version - 0x0301)) : 0;
}

static bool read_versions(struct reader body, struct clienthello *hello)
{
    struct reader list;
    if (!take_vector(&body, 1, &list) || body.left != 0 || list.left == 0) return false;

    unsigned highest = 0;
    uint8_t versions = 0;
    while (list.left > 0) {
        unsigned version;
        if (!take_number(&list, 2, &version)) return false;
        /* Drafts and what is not TLS have another first byte. */
        if (version >> 8 == 3 && version > highest) highest = version;
        versions |= version_bit(version);
    }
    if (highest == 0) return true;
    hello->version_max = (uint16_t)highest;
    hello->versions = versions;
    return true;
}

static bool read_extension(unsigned type, struct reader body, struct clienthello *hello)
{
    switch (type) {
    case EXTENSION_SERVER_NAME:
        return read_server_name(body, hello);
    case EXTENSION_ALPN:
        return read_alpn(body, hello);
    case EXTENSION_SUPPORTED_VERSIONS:
        return read_versions(body, hello);
    case EXTENSION_ECH:
        hello->has_ech = true;
        return true;
    default:
        return true;
    }
}

static bool read_extensions(struct reader list, struct clienthello *hello)
{
    uint16_t seen[EXTENSIONS_MAX];
    size_t count = 0;
    while (list.left > 0) {
        unsigned type;
        struct reader body;
        if (count == EXTENSIONS_MAX || !take_number(&list, 2, &type) || !take_vector(&list, 2, &body)) return false;
        for (size_t i = 0; i < count; i++) {
            if (seen[i] == type) return false;
        }
        seen[count++] = (uint16_t)type;
        if (!read_extension(type, body, hello)) return false;
    }
    return true;
}

/* The body of a ClientHello message, RFC 8446 section 4.1.2. */
static bool read_hello(struct reader body, struct clienthello *hello)
{
    unsigned version;
    struct reader skipped, session_id, ciphers, compressions, extensions;
    if (!take_number(&body, 2, &version) || version >> 8 != 3) return false;
    if (!take(&body, RANDOM_BYTES, &skipped)) return false;
    if (!take_vector(&body, 1, &session_id) || session_id.left > SESSION_ID_MAX_BYTES) return false;
    if (!take_vector(&body, 2, &ciphers) || ciphers.left == 0 || ciphers.left % 2 != 0) return false;
    if (!take_vector(&body, 1, &compressions) || compressions.left == 0) return false;

    hello->version_max = (uint16_t)version;
    hello->versions = version_bit(version);
    if (body.left == 0) return true; /* before TLS 1.3 a hello need not have extensions */
    return take_vector(&body, 2, &extensions) && body.left == 0 && read_extensions(extensions, hello);
}

/* RFC 5246 appendix E.2, behind the message type. */
static bool read_sslv2(struct reader body, struct clienthello *hello)
{
    unsigned version, ciphers, session_id, challenge;
    if (!take_number(&body, 2, &version) || !take_number(&body, 2, &ciphers)) return false;
    if (!take_number(&body, 2, &session_id) || !take_number(&body, 2, &challenge)) return false;
    if (ciphers == 0 || ciphers % 3 != 0 || session_id > SESSION_ID_MAX_BYTES) return false;
    if (challenge < 16 || challenge > 32) return false;
    hello->version_max = (uint16_t)version;
    hello->versions = version_bit(version);
    hello->sslv2 = true;
    return body.left == (size_t)ciphers + session_id + challenge;
}

static enum clienthello_verdict parse_sslv2(const uint8_t *data, size_t len, struct clienthello *hello)
{
    size_t size = 0;
    if (len > 1) {
        size = (data[0] & 0x7fU) << 8 | data[1];
        if (size < SSLV2_MIN_BYTES) return CLIENTHELLO_NO;
    }
    if (len > 2 && data[2] != MESSAGE_CLIENT_HELLO) return CLIENTHELLO_NO;
    if (len > 3 && data[3] != 3) return CLIENTHELLO_NO;
    if (len > 4 && data[4] > RECORD_MINOR_MAX) return CLIENTHELLO_NO;
    if (len < SSLV2_SURE_BYTES || len < SSLV2_HEADER_BYTES + size) return CLIENTHELLO_MORE;
    struct reader body = {data + SSLV2_HEADER_BYTES + 1, size - 1};
    return read_sslv2(body, hello) ? CLIENTHELLO_COMPLETE : CLIENTHELLO_BAD;
}

static size_t record_size(const uint8_t *record)
{
    return (size_t)record[3] << 8 | record[4];
}

/* Whether what is there of a record's header can belong to a fragment of a ClientHello. */
static bool record_plausible(const uint8_t *record, size_t len)
{
    if (len > 0 && record[0] != RECORD_HANDSHAKE) return false;
    if (len > 1 && record[1] != 3) return false;
    if (len > 2 && record[2] > RECORD_MINOR_MAX) return false;
    return len < RECORD_HEADER_BYTES || (record_size(record) > 0 && record_size(record) <= RECORD_MAX_BYTES);
}

/* How the first message lies in the records. */
struct framing {
    size_t records;
    size_t have;    /* bytes of the message that are there, and of what shares its last record */
    size_t message; /* bytes of the message with its header, once that is there */
    uint8_t header[MESSAGE_HEADER_BYTES];
};

/* Go through the records until the message is whole (COMPLETE) or something else is certain.  Records are looked at in
 * order and nothing behind the message counts, so that more bytes cannot change a verdict. */
static enum clienthello_verdict walk_records(const uint8_t *data, size_t len, struct framing *f)
{
    for (size_t at = 0;;) {
        const uint8_t *record = data + at;
        size_t left = len - at;
        if (!record_plausible(record, left)) return at == 0 ? CLIENTHELLO_NO : CLIENTHELLO_BAD;
        if (left <= RECORD_HEADER_BYTES) return CLIENTHELLO_MORE;
        if (at == 0 && record[RECORD_HEADER_BYTES] != MESSAGE_CLIENT_HELLO) return CLIENTHELLO_NO;

        size_t size = record_size(record);
        size_t there = left - RECORD_HEADER_BYTES < size ? left - RECORD_HEADER_BYTES : size;
        for (size_t i = 0; i < there && f->have + i < MESSAGE_HEADER_BYTES; i++)
            f->header[f->have + i] = record[RECORD_HEADER_BYTES + i];
        f->have += there;
        f->records++;
        if (f->have >= MESSAGE_HEADER_BYTES) {
            size_t body = (size_t)f->header[1] << 16 | (size_t)f->header[2] << 8 | f->header[3];
            f->message = MESSAGE_HEADER_BYTES + body;
            if (f->message > MESSAGE_MAX_BYTES) return CLIENTHELLO_BAD;
            if (f->have >= f->message) return CLIENTHELLO_COMPLETE;
        }
        if (there < size) return CLIENTHELLO_MORE;
        at += RECORD_HEADER_BYTES + size;
    }
}

/* Put the fragments of a message that walk_records found whole together in the scratch buffer. */
static const uint8_t *join_records(const uint8_t *data, size_t message)
{
    size_t done = 0;
    while (done < message) {
        size_t size = record_size(data);
        size_t part = size < message - done ? size : message - done;
        memcpy(joined + done, data + RECORD_HEADER_BYTES, part);
        done += part;
        data += RECORD_HEADER_BYTES + size;
    }
    return joined;
}

static enum clienthello_verdict parse_records(const uint8_t *data, size_t len, struct clienthello *hello)
{
    struct framing f = {0};
    enum clienthello_verdict verdict = walk_records(data, len, &f);
    if (verdict != CLIENTHELLO_COMPLETE) return verdict;

    hello->fragmented = f.records > 1;
    const uint8_t *message = hello->fragmented ? join_records(data, f.message) : data + RECORD_HEADER_BYTES;
    struct reader body = {message + MESSAGE_HEADER_BYTES, f.message - MESSAGE_HEADER_BYTES};
    return read_hello(body, hello) ? CLIENTHELLO_COMPLETE : CLIENTHELLO_BAD;
}

enum clienthello_verdict clienthello_parse(const uint8_t *data, size_t len, struct clienthello *out)
{
    if (len == 0) return CLIENTHELLO_MORE;

    struct clienthello hello = {0};
    bool sslv2 = (data[0] & 0x80) != 0;
    enum clienthello_verdict verdict = sslv2 ? parse_sslv2(data, len, &hello) : parse_records(data, len, &hello);
    if (verdict == CLIENTHELLO_COMPLETE) *out = hello;
    return verdict;
}

void clienthello_negotiated(struct clienthello *out, const char *sni, const uint8_t *alpn, size_t alpn_len,
                            uint16_t version)
{
    *out = (struct clienthello){.version_max = version, .versions = version_bit(version)};
    out->has_sni = sni != NULL && server_name_clean((const uint8_t *)sni, strlen(sni), out->sni) == SERVER_NAME_HOST;
    if (!out->has_sni) out->sni[0] = '\0';
    if (alpn == NULL || alpn_len == 0 || alpn_len > 255) return;
    out->has_alpn = true;
    out->alpn[0] = (uint8_t)alpn_len;
    memcpy(out->alpn + 1, alpn, alpn_len);
    out->alpn_len = 1 + alpn_len;
}

bool clienthello_offers(const struct clienthello *hello, const char *alpn)
{
    size_t wanted = strlen(alpn);
    for (size_t at = 0; at < hello->alpn_len; at += 1 + (size_t)hello->alpn[at]) {
        if (hello->alpn[at] == wanted && memcmp(hello->alpn + at + 1, alpn, wanted) == 0) return true;
    }
    return false;
}

/* put_letter - a letter of a name as it is read in a log line.  Returns its length, up to 4. */
static size_t put_letter(uint8_t c, char *out)
{
    static const char hex[] = "0123456789abcdef";
    /* A comma or backslash of the name's own would read as one of ours. */
    if (c > ' ' && c < 0x7f && c != ',' && c != '\\' && c != '"') {
        out[0] = (char)c;
        return 1;
    }
    memcpy(out, (char[]){'\\', 'x', hex[c >> 4], hex[c & 15]}, 4);
    return 4;
}

char *clienthello_alpn_text(const struct clienthello *hello, char *out, size_t cap)
{
    if (cap == 0) return out;

    size_t used = 0;
    size_t name_left = 0;
    for (size_t at = 0; at < hello->alpn_len; at++) {
        char piece[4] = ",";
        uint8_t c = hello->alpn[at];
        size_t len = at == 0 ? 0 : 1;
        if (name_left == 0) {
            name_left = c;
        } else {
            name_left--;
            len = put_letter(c, piece);
        }
        if (used + len >= cap) break;
        memcpy(out + used, piece, len);
        used += len;
    }
    out[used] = '\0';
    return out;
}
