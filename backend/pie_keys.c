#include "backend/pie_keys.h"

#include "backend/ns.h"
#include "backend/scram.h"
#include "lib/base64.h"

#include <stdio.h>
#include <string.h>

enum {
    ITERATIONS_MAX = 10 * 1000 * 1000, /* whoever logs in with PLAIN makes us do them */
    TEXT_MAX_BYTES = 256,
};

static const size_t KEY_BYTES[STORE_HASHES] = {
    [STORE_HASH_SHA1] = 20, [STORE_HASH_SHA256] = 32, [STORE_HASH_SHA512] = 64};

static int hash_of(const char *mechanism)
{
    if (!mechanism || strncmp(mechanism, "SCRAM-", 6) != 0) return -1;
    for (int hash = 0; hash < STORE_HASHES; hash++)
        if (strcmp(mechanism + 6, scram_hash_name(hash)) == 0) return hash;
    return -1;
}

/* The text of a child, without the white space around it. */
static const char *text_of(const struct elem *elem, const char *name, size_t *len)
{
    static const char WHITE[] = " \t\r\n";
    const struct elem *child = elem_child(elem, NULL, name);
    const char *text = child ? elem_text(child, len) : "";
    text += strspn(text, WHITE);
    *len = strlen(text);
    while (*len > 0 && strchr(WHITE, text[*len - 1]))
        --*len;
    return text;
}

/* Returns the number of bytes, or -1. */
static ssize_t decode(const struct elem *elem, const char *name, uint8_t out[TEXT_MAX_BYTES])
{
    size_t len = 0;
    const char *text = text_of(elem, name, &len);
    return len > 0 && len <= TEXT_MAX_BYTES ? base64_decode(text, len, out) : -1;
}

/* What was decoded is base64 itself.  Returns the number of bytes, or -1. */
static ssize_t decode_again(uint8_t data[TEXT_MAX_BYTES], ssize_t len)
{
    uint8_t inner[TEXT_MAX_BYTES];
    const ssize_t count = len > 0 ? base64_decode((const char *)data, (size_t)len, inner) : -1;
    if (count > 0) memcpy(data, inner, (size_t)count);
    return count;
}

static bool read_iterations(const struct elem *elem, uint32_t *out)
{
    size_t len = 0;
    const char *text = text_of(elem, "iter-count", &len);
    uint64_t value = 0;
    if (len == 0 || len > 8) return false;
    for (size_t i = 0; i < len; i++) {
        if (text[i] < '0' || text[i] > '9') return false;
        value = value * 10 + (uint64_t)(text[i] - '0');
    }
    *out = (uint32_t)value;
    return value >= 1 && value <= ITERATIONS_MAX;
}

int pie_keys_read(const struct elem *elem, struct store_scram_keys keys[STORE_HASHES], const char **why)
{
    uint8_t salt[TEXT_MAX_BYTES], stored[TEXT_MAX_BYTES], server[TEXT_MAX_BYTES];
    const int hash = hash_of(elem_get(elem, "mechanism"));
    struct store_scram_keys *out = hash < 0 ? NULL : &keys[hash];
    *why = "its mechanism is none of SCRAM-SHA-1, SCRAM-SHA-256 and SCRAM-SHA-512";
    if (!out) return -1;
    ssize_t salt_len = decode(elem, "salt", salt), stored_len = decode(elem, "stored-key", stored);
    ssize_t server_len = decode(elem, "server-key", server);
    const ssize_t wanted = (ssize_t)KEY_BYTES[hash];
    if (stored_len > wanted && server_len > wanted) {
        stored_len = decode_again(stored, stored_len);
        server_len = decode_again(server, server_len);
        salt_len = decode_again(salt, salt_len);
    }
    *why = "its keys, salt or count of iterations are not right";
    if (stored_len != wanted || server_len != wanted || salt_len < 1 || salt_len > STORE_SALT_MAX_BYTES) return -1;
    uint32_t iterations = 0;
    if (!read_iterations(elem, &iterations)) return -1;
    *out = (struct store_scram_keys){.iterations = iterations, .salt_len = (size_t)salt_len, .key_len = (size_t)wanted};
    memcpy(out->salt, salt, (size_t)salt_len);
    memcpy(out->stored_key, stored, (size_t)wanted);
    memcpy(out->server_key, server, (size_t)wanted);
    return 0;
}

static void add_base64(struct elem *parent, const char *name, const uint8_t *data, size_t len)
{
    char text[BASE64_TEXT_BYTES(STORE_KEY_MAX_BYTES)];
    const size_t text_len = base64_encode(data, len, text);
    elem_add_text(elem_add(parent, NULL, name), text, text_len);
}

void pie_keys_add(struct elem *user, const struct store_scram_keys keys[STORE_HASHES])
{
    for (int hash = 0; hash < STORE_HASHES; hash++) {
        char text[32];
        if (keys[hash].key_len == 0) continue;
        struct elem *elem = elem_add(user, NS_PIE_SCRAM, "scram-credentials");
        snprintf(text, sizeof(text), "SCRAM-%s", scram_hash_name(hash));
        elem_set(elem, "mechanism", text);
        const int len = snprintf(text, sizeof(text), "%u", (unsigned)keys[hash].iterations);
        elem_add_text(elem_add(elem, NULL, "iter-count"), text, (size_t)len);
        add_base64(elem, "salt", keys[hash].salt, keys[hash].salt_len);
        add_base64(elem, "server-key", keys[hash].server_key, keys[hash].key_len);
        add_base64(elem, "stored-key", keys[hash].stored_key, keys[hash].key_len);
    }
}
