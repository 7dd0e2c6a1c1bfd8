#include "bench/backend/scram.h"

#include "bench/common/generator.h"

#include <errno.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/rand.h>
#include <openssl/sha.h>
#include <stdio.h>
#include <stdlib.h>

enum { SALT_BYTES = 64, FIRST_KEYS = 1024 };

/* Keys of one salt; iterations = 0: a free place in the table. */
struct keys {
    uint8_t salt[SALT_BYTES];
    uint32_t salt_len, iterations;
    uint8_t client_key[SCRAM_KEY_BYTES], stored_key[SCRAM_KEY_BYTES], server_key[SCRAM_KEY_BYTES];
};

static const char *password_of_all, *keys_file;
static struct keys *table; /* open addressing */
static size_t table_cap, table_count;
static uint64_t derived, derived_saved;

static void hmac(const uint8_t key[SCRAM_KEY_BYTES], const void *data, size_t len, uint8_t out[SCRAM_KEY_BYTES])
{
    if (HMAC(EVP_sha256(), key, SCRAM_KEY_BYTES, data, len, out, NULL) == NULL) fail("OpenSSL: HMAC");
}

static struct keys *place_of(const uint8_t *salt, uint32_t salt_len, uint32_t iterations)
{
    uint64_t hash = 0xcbf29ce484222325; /* FNV-1a */
    for (uint32_t i = 0; i < salt_len; i++)
        hash = (hash ^ salt[i]) * 0x100000001b3;
    for (size_t i = hash;; i++) {
        struct keys *keys = &table[i & (table_cap - 1)];
        if (keys->iterations == 0) return keys;
        if (keys->iterations == iterations && keys->salt_len == salt_len && memcmp(keys->salt, salt, salt_len) == 0)
            return keys;
    }
}

static void make_room(void)
{
    if (table != NULL && table_count < table_cap / 2) return;
    struct keys *old = table;
    size_t old_cap = table_cap;
    table_cap = old_cap > 0 ? 2 * old_cap : FIRST_KEYS;
    table = calloc(table_cap, sizeof(*table));
    if (table == NULL) fail("out of memory");
    for (size_t i = 0; i < old_cap; i++)
        if (old[i].iterations > 0) *place_of(old[i].salt, old[i].salt_len, old[i].iterations) = old[i];
    free(old);
}

static struct keys *keys_of(const uint8_t *salt, uint32_t salt_len, uint32_t iterations)
{
    make_room();
    struct keys *keys = place_of(salt, salt_len, iterations);
    if (keys->iterations > 0) return keys;
    uint8_t salted[SCRAM_KEY_BYTES];
    if (PKCS5_PBKDF2_HMAC(password_of_all, (int)strlen(password_of_all), salt, (int)salt_len, (int)iterations,
                          EVP_sha256(), sizeof(salted), salted) != 1)
        fail("OpenSSL: PBKDF2");
    *keys = (struct keys){.salt_len = salt_len, .iterations = iterations};
    memcpy(keys->salt, salt, salt_len);
    hmac(salted, "Client Key", strlen("Client Key"), keys->client_key);
    SHA256(keys->client_key, sizeof(keys->client_key), keys->stored_key);
    hmac(salted, "Server Key", strlen("Server Key"), keys->server_key);
    derived++, table_count++;
    return keys;
}

/* The file is of one password and one machine: its first bytes say which password, the rest are the structs. */
static void password_mark(uint8_t mark[SHA256_DIGEST_LENGTH])
{
    SHA256((const uint8_t *)password_of_all, strlen(password_of_all), mark);
}

static void load(void)
{
    uint8_t mark[SHA256_DIGEST_LENGTH], wanted[SHA256_DIGEST_LENGTH];
    struct keys keys;
    FILE *file = fopen(keys_file, "rb");
    if (file == NULL) return;
    password_mark(wanted);
    if (fread(mark, sizeof(mark), 1, file) == 1 && memcmp(mark, wanted, sizeof(mark)) == 0)
        while (fread(&keys, sizeof(keys), 1, file) == 1 && keys.iterations > 0 && keys.salt_len <= SALT_BYTES) {
            make_room();
            struct keys *place = place_of(keys.salt, keys.salt_len, keys.iterations);
            table_count += place->iterations == 0;
            *place = keys;
        }
    fclose(file);
}

void scram_setup(const char *password, const char *file)
{
    password_of_all = password;
    keys_file = file;
    if (file != NULL) load();
}

void scram_save(void)
{
    if (keys_file == NULL || derived == derived_saved) return;
    uint8_t mark[SHA256_DIGEST_LENGTH];
    FILE *file = fopen(keys_file, "wb");
    if (file == NULL) fail("%s: %s", keys_file, strerror(errno));
    password_mark(mark);
    bool written = fwrite(mark, sizeof(mark), 1, file) == 1;
    for (size_t i = 0; i < table_cap; i++)
        if (table[i].iterations > 0) written = fwrite(&table[i], sizeof(table[i]), 1, file) == 1 && written;
    if (fclose(file) != 0 || !written) fail("%s: %s", keys_file, strerror(errno));
    derived_saved = derived;
}

uint64_t scram_derived(void)
{
    return derived;
}

static void encode(const void *data, size_t len, char out[SCRAM_TEXT_BYTES])
{
    if (4 * ((len + 2) / 3) >= SCRAM_TEXT_BYTES) fail("SASL: a message is too long");
    EVP_EncodeBlock((unsigned char *)out, data, (int)len);
}

/* Length of the decoded text, which is NUL-terminated; -1: malformed. */
static int decode(struct text in, char out[SCRAM_TEXT_BYTES])
{
    if (in.len == 0 || in.len % 4 != 0 || in.len / 4 * 3 >= SCRAM_TEXT_BYTES) return -1;
    int len = EVP_DecodeBlock((unsigned char *)out, (const unsigned char *)in.at, (int)in.len);
    if (len < 0) return -1;
    for (size_t i = in.len; i > in.len - 2 && in.at[i - 1] == '='; i--)
        len--;
    out[len] = '\0';
    return len;
}

void scram_first(struct scram *scram, const char *user, char out[SCRAM_TEXT_BYTES])
{
    uint8_t random[SCRAM_NONCE_CHARS / 4 * 3];
    char message[SCRAM_TEXT_BYTES];
    if (RAND_bytes(random, sizeof(random)) != 1) fail("OpenSSL: no random bytes");
    EVP_EncodeBlock((unsigned char *)scram->nonce, random, sizeof(random));
    int len = snprintf(message, sizeof(message), "n,,n=%s,r=%s", user, scram->nonce);
    encode(message, (size_t)len, out);
}

/* r=NONCE,s=SALT,i=ITERATIONS, taken apart in place. */
static const char *parse_first(char *message, const struct scram *scram, char **nonce, struct text *salt,
                               unsigned long *iterations)
{
    char *salt_at = strstr(message, ",s="), *count_at = strstr(message, ",i=");
    if (strncmp(message, "r=", 2) != 0 || salt_at == NULL || count_at == NULL || count_at < salt_at)
        return "the server's first SCRAM message is malformed";
    *salt_at = *count_at = '\0';
    *nonce = message + 2;
    *salt = (struct text){salt_at + 3, strlen(salt_at + 3)};
    *iterations = strtoul(count_at + 3, NULL, 10);
    if (strncmp(*nonce, scram->nonce, SCRAM_NONCE_CHARS) != 0 || strlen(*nonce) <= SCRAM_NONCE_CHARS)
        return "the server's nonce does not begin with ours";
    return *iterations > 0 && *iterations < 10000000 ? NULL : "the server's number of iterations is out of range";
}

const char *scram_final(struct scram *scram, const char *user, struct text challenge, char out[SCRAM_TEXT_BYTES])
{
    char first[SCRAM_TEXT_BYTES], salt[SCRAM_TEXT_BYTES], auth[3 * SCRAM_TEXT_BYTES], *nonce;
    struct text salt64;
    unsigned long iterations;
    if (decode(challenge, first) < 0) return "the server's first SCRAM message is not Base64";
    int auth_len = snprintf(auth, sizeof(auth), "n=%s,r=%s,%s,", user, scram->nonce, first);
    const char *why = parse_first(first, scram, &nonce, &salt64, &iterations);
    if (why != NULL) return why;
    int salt_len = decode(salt64, salt);
    if (salt_len <= 0 || salt_len > SALT_BYTES) return "the server's salt is malformed";
    const char *without_proof = auth + auth_len;
    auth_len += snprintf(auth + auth_len, sizeof(auth) - (size_t)auth_len, "c=biws,r=%s", nonce);

    const struct keys *keys = keys_of((const uint8_t *)salt, (uint32_t)salt_len, (uint32_t)iterations);
    uint8_t proof[SCRAM_KEY_BYTES];
    hmac(keys->stored_key, auth, (size_t)auth_len, proof);
    for (size_t i = 0; i < sizeof(proof); i++)
        proof[i] ^= keys->client_key[i];
    hmac(keys->server_key, auth, (size_t)auth_len, scram->server_signature);
    char proof64[SCRAM_TEXT_BYTES], message[3 * SCRAM_TEXT_BYTES];
    encode(proof, sizeof(proof), proof64);
    int len = snprintf(message, sizeof(message), "%s,p=%s", without_proof, proof64);
    encode(message, (size_t)len, out);
    return NULL;
}

bool scram_verify(const struct scram *scram, struct text success)
{
    char message[SCRAM_TEXT_BYTES], wanted[SCRAM_TEXT_BYTES];
    if (decode(success, message) < 0 || strncmp(message, "v=", 2) != 0) return false;
    encode(scram->server_signature, sizeof(scram->server_signature), wanted);
    return strcmp(message + 2, wanted) == 0;
}

void scram_plain(const char *user, char out[SCRAM_TEXT_BYTES])
{
    char message[SCRAM_TEXT_BYTES];
    int len = snprintf(message, sizeof(message), "%c%s%c%s", '\0', user, '\0', password_of_all);
    encode(message, (size_t)len, out);
}
