#include "backend/sasl_mechanism.h"

#include "backend/scram.h"
#include "lib/base64.h"
#include "lib/mem.h"

#include <openssl/crypto.h>
#include <openssl/rand.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* The server's side of SCRAM (RFC 5802 section 5 and 7, RFC 7677), with and without channel binding. */
enum { NONCE_BYTES = 24, BINDING_MAX_BYTES = TLS_END_POINT_MAX_BYTES };

struct scram_state {
    bool sent_first; /* the next message is client-final */
    char local[JID_PART_MAX_BYTES + 1];
    struct sasl_keys keys;
    char *gs2_header;   /* with its last comma */
    char *first_bare;   /* client-first-message-bare */
    char *client_nonce; /* then the whole nonce */
    char *server_first;
    char *final; /* the client's, while it waits to be looked at */
    size_t binding_len;
    uint8_t binding[BINDING_MAX_BYTES]; /* what the client must have bound to */
};

static void clear_text(char **text)
{
    if (*text) mem_wipe(*text, strlen(*text));
    free(*text);
    *text = NULL;
}

static void scram_clear(void *arg)
{
    struct scram_state *state = arg;

    clear_text(&state->gs2_header);
    clear_text(&state->first_bare);
    clear_text(&state->client_nonce);
    clear_text(&state->server_first);
    clear_text(&state->final);
}

/* take_attr - the value of the attribute name at *pos, up to a comma or the end; *pos is then behind the value.  NULL:
 * another attribute is there.  Free the value. */
static char *take_attr(const char **pos, char name)
{
    const char *p = *pos;

    if (p[0] != name || p[1] != '=') return NULL;
    size_t len = strcspn(p + 2, ",");
    *pos = p + 2 + len;
    return mem_strndup(p + 2, len);
}

/* skip_extensions - optional attributes that we do not know (",x=value"), up to the attribute named stop ('\0': up to
 * the end). */
static bool skip_extensions(const char **pos, char stop)
{
    const char *p = *pos;

    while (*p == ',' && (stop == '\0' || p[1] != stop)) {
        char name = p[1];
        if (!((name >= 'a' && name <= 'z') || (name >= 'A' && name <= 'Z')) || p[2] != '=') return false;
        /* "m" is reserved for extensions that must be understood. */
        if (name == 'm') return false;
        size_t len = strcspn(p + 3, ",");
        if (len == 0) return false;
        p += 3 + len;
    }
    *pos = p;
    return stop == '\0' ? *p == '\0' : *p == ',';
}

/* decode_saslname - "=2C" and "=3D" back to "," and "="; in place. */
static bool decode_saslname(char *name)
{
    char *out = name;

    for (const char *in = name; *in; in++) {
        if (*in != '=') {
            *out++ = *in;
        } else if (strncmp(in, "=2C", 3) == 0 || strncmp(in, "=3D", 3) == 0) {
            *out++ = in[1] == '2' ? ',' : '=';
            in += 2;
        } else {
            return false;
        }
    }
    *out = '\0';
    return out != name;
}

/* choose_binding - what a client that asks for the channel binding type must prove to know. */
static bool choose_binding(struct sasl *sasl, const char *type)
{
    const struct sasl_env *env = sasl_env(sasl);
    struct scram_state *state = sasl_state(sasl);
    const uint8_t *data = NULL;

    if (strcmp(type, "tls-exporter") == 0 && env->has_exporter) {
        data = env->exporter;
        state->binding_len = sizeof env->exporter;
        sasl_bound(sasl, "tls-exporter");
    } else if (strcmp(type, "tls-server-end-point") == 0 && env->end_point_len > 0) {
        data = env->end_point;
        state->binding_len = env->end_point_len;
        sasl_bound(sasl, "tls-server-end-point");
    }
    if (data) memcpy(state->binding, data, state->binding_len);
    return data != NULL;
}

/* parse_gs2 - "n,", "y," or "p=type,", then "[a=authzid],".  NULL, or the failure condition. */
static const char *parse_gs2(struct sasl *sasl, const char **pos, char **authzid)
{
    struct scram_state *state = sasl_state(sasl);
    const struct sasl_env *env = sasl_env(sasl);
    bool plus = sasl_mechanism(sasl)->plus;
    const char *start = *pos, *p = start;

    if (p[0] == 'p') {
        char *type = plus ? take_attr(&p, 'p') : NULL;
        if (!type) return "malformed-request";
        bool known = choose_binding(sasl, type);
        free(type);
        if (!known) return "not-authorized";
    } else if (plus || (p[0] != 'n' && p[0] != 'y')) {
        return "malformed-request";
    } else {
        /* A client that can bind, and believes that we cannot: somebody has taken our offer away. */
        if (p[0] == 'y' && (env->has_exporter || env->end_point_len > 0)) return "not-authorized";
        p++;
    }
    if (*p++ != ',') return "malformed-request";
    if (*p == 'a') {
        *authzid = take_attr(&p, 'a');
        if (!*authzid || !decode_saslname(*authzid)) return "malformed-request";
    }
    if (*p++ != ',') return "malformed-request";
    state->gs2_header = mem_strndup(start, (size_t)(p - start));
    *pos = p;
    return NULL;
}

static bool is_nonce(const char *text)
{
    for (const char *p = text; *p; p++) {
        if (*p < 0x21 || *p > 0x7e) return false; /* the comma has ended the value */
    }
    return text[0] != '\0';
}

/* parse_bare - "n=name,r=nonce[,extensions]".  NULL, or the failure condition; *name is to be freed. */
static const char *parse_bare(struct scram_state *state, const char *p, char **name)
{
    state->first_bare = mem_strdup(p);
    *name = take_attr(&p, 'n'); /* an "m=" here is an extension that we do not support */
    if (!*name || !decode_saslname(*name) || *p++ != ',') return "malformed-request";
    state->client_nonce = take_attr(&p, 'r');
    if (!state->client_nonce || !is_nonce(state->client_nonce)) return "malformed-request";
    return skip_extensions(&p, '\0') ? NULL : "malformed-request";
}

static void send_server_first(struct sasl *sasl, const struct sasl_keys *keys)
{
    struct scram_state *state = sasl_state(sasl);
    uint8_t random[NONCE_BYTES];
    char nonce[BASE64_TEXT_BYTES(NONCE_BYTES)], salt[BASE64_TEXT_BYTES(STORE_SALT_MAX_BYTES)];

    state->keys = *keys;
    CHECK(RAND_bytes(random, sizeof random) == 1);
    base64_encode(random, sizeof random, nonce);
    base64_encode(keys->scram.salt, keys->scram.salt_len, salt);
    char *whole = mem_asprintf("%s%s", state->client_nonce, nonce);
    clear_text(&state->client_nonce);
    state->client_nonce = whole;
    state->server_first = mem_asprintf("r=%s,s=%s,i=%u", whole, salt, (unsigned)keys->scram.iterations);
    state->sent_first = true;
    sasl_challenge(sasl, state->server_first, strlen(state->server_first));
}

static void client_first(struct sasl *sasl, const char *text)
{
    struct scram_state *state = sasl_state(sasl);
    char *authzid = NULL, *name = NULL;
    const char *p = text, *condition = parse_gs2(sasl, &p, &authzid);
    const bool mismatched = condition && strcmp(condition, "not-authorized") == 0;

    if (!condition) condition = parse_bare(state, p, &name);
    if (!condition) condition = sasl_prepare_names(sasl, name, authzid, state->local);
    free(authzid);
    free(name);
    if (mismatched)
        sasl_mismatched(sasl);
    else if (condition)
        sasl_fail(sasl, condition);
    else
        sasl_get_keys(sasl, state->local, send_server_first);
}

/* binds - whether the value of "c=" is base64 of the GS2 header and the channel binding data. */
static bool binds(const struct scram_state *state, const char *value)
{
    size_t len = strlen(value), header_len = strlen(state->gs2_header);
    uint8_t *data = mem_alloc(BASE64_DATA_BYTES(len) + 1);
    ssize_t got = base64_decode(value, len, data);
    bool same = got >= 0 && (size_t)got == header_len + state->binding_len &&
                memcmp(data, state->gs2_header, header_len) == 0 &&
                CRYPTO_memcmp(data + header_len, state->binding, state->binding_len) == 0;

    free(data);
    return same;
}

struct client_final {
    char *binding, *nonce, *proof;
    size_t without_proof_len;
};

/* parse_final - "c=binding,r=nonce[,extensions],p=proof". */
static bool parse_final(const char *text, struct client_final *out)
{
    const char *p = text;

    out->binding = take_attr(&p, 'c');
    if (!out->binding || *p++ != ',') return false;
    out->nonce = take_attr(&p, 'r');
    if (!out->nonce || !skip_extensions(&p, 'p')) return false;
    out->without_proof_len = (size_t)(p - text);
    p++;
    out->proof = take_attr(&p, 'p');
    return out->proof && *p == '\0';
}

static void clear_final(struct client_final *final)
{
    clear_text(&final->binding);
    clear_text(&final->nonce);
    clear_text(&final->proof);
}

/* read_proof - the proof into out (STORE_KEY_MAX_BYTES + 3 bytes); false: it is not what a proof can be. */
static bool read_proof(const struct scram_state *state, const struct client_final *final, uint8_t *out)
{
    size_t len = strlen(final->proof);

    return BASE64_DATA_BYTES(len) <= STORE_KEY_MAX_BYTES + 3 &&
           base64_decode(final->proof, len, out) == (ssize_t)state->keys.scram.key_len;
}

/* proves - whether the proof shows that the client knows the password; *answer is then server-final. */
static bool proves(const struct scram_state *state, const struct client_final *final, const uint8_t *proof,
                   char answer[2 + BASE64_TEXT_BYTES(STORE_KEY_MAX_BYTES)])
{
    uint8_t signature[STORE_KEY_MAX_BYTES];
    char *message = mem_asprintf("%s,%s,%.*s", state->first_bare, state->server_first, (int) final->without_proof_len,
                                 state->final);
    bool matches = scram_verify(state->keys.hash, &state->keys.scram, message, proof, signature);

    clear_text(&message);
    if (!matches || !state->keys.real) return false;
    answer[0] = 'v';
    answer[1] = '=';
    base64_encode(signature, state->keys.scram.key_len, answer + 2);
    return true;
}

/* judge - the whole message is well-formed and may be looked at.  The proof comes first: without the password nobody
 * learns whether the rest was right. */
static void judge(struct sasl *sasl)
{
    const struct scram_state *state = sasl_state(sasl);
    struct client_final final = {0};
    char answer[2 + BASE64_TEXT_BYTES(STORE_KEY_MAX_BYTES)];
    uint8_t proof[STORE_KEY_MAX_BYTES + 3];
    bool whole = parse_final(state->final, &final) && read_proof(state, &final, proof);
    bool proved = whole && strcmp(final.nonce, state->client_nonce) == 0 && proves(state, &final, proof, answer);
    bool bound = proved && binds(state, final.binding);

    clear_final(&final);
    if (bound)
        sasl_prove(sasl, &state->keys, answer, strlen(answer));
    else if (proved)
        sasl_mismatched(sasl);
    else
        sasl_guessed(sasl);
}

static void client_final(struct sasl *sasl, const char *text)
{
    struct scram_state *state = sasl_state(sasl);
    struct client_final final = {0};
    uint8_t proof[STORE_KEY_MAX_BYTES + 3];
    bool whole = parse_final(text, &final) && read_proof(state, &final, proof);

    clear_final(&final);
    if (!whole) {
        sasl_fail(sasl, "malformed-request");
        return;
    }
    state->final = mem_strdup(text);
    sasl_admit(sasl, state->local, judge);
}

static void scram_message(struct sasl *sasl, const char *text, size_t len)
{
    const struct scram_state *state = sasl_state(sasl);

    if (memchr(text, '\0', len))
        sasl_fail(sasl, "malformed-request");
    else if (state->sent_first)
        client_final(sasl, text);
    else
        client_first(sasl, text);
}

#define SCRAM_ROW(hash_row, plus_row, name_row)                                                                        \
    {                                                                                                                  \
        .name = (name_row), .hash = (hash_row), .plus = (plus_row), .state_bytes = sizeof(struct scram_state),         \
        .message = scram_message, .clear = scram_clear                                                                 \
    }

const struct sasl_mechanism SASL_SCRAM_SHA_512_PLUS = SCRAM_ROW(STORE_HASH_SHA512, true, "SCRAM-SHA-512-PLUS");
const struct sasl_mechanism SASL_SCRAM_SHA_256_PLUS = SCRAM_ROW(STORE_HASH_SHA256, true, "SCRAM-SHA-256-PLUS");
const struct sasl_mechanism SASL_SCRAM_SHA_1_PLUS = SCRAM_ROW(STORE_HASH_SHA1, true, "SCRAM-SHA-1-PLUS");
const struct sasl_mechanism SASL_SCRAM_SHA_512 = SCRAM_ROW(STORE_HASH_SHA512, false, "SCRAM-SHA-512");
const struct sasl_mechanism SASL_SCRAM_SHA_256 = SCRAM_ROW(STORE_HASH_SHA256, false, "SCRAM-SHA-256");
const struct sasl_mechanism SASL_SCRAM_SHA_1 = SCRAM_ROW(STORE_HASH_SHA1, false, "SCRAM-SHA-1");
