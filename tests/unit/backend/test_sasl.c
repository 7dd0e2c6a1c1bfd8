#include "backend/sasl.h"

#include "backend/backend.h"
#include "backend/key_shapes.h"
#include "backend/scram.h"
#include "lib/base64.h"
#include "lib/loop.h"
#include "lib/mem.h"

#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

enum { ITERATIONS = 10000, ALL_HASHES = (1 << STORE_HASHES) - 1 };

static struct backend backend;
static struct key_shapes *shapes;
static struct lockout *lockout;
static struct lockout_limits limits;
static struct addr peer;
static struct deadline_queue *ticks;
static struct loop *loop;
static struct mailbox *mailbox;
static struct store *store;
static struct offload *offload;
static struct sasl_env env;
static const uint8_t SECRET[32] = "a secret of the server for tests";

/* What the last answer said. */
static struct {
    int count;
    enum sasl_status status;
    char data[4096];
    size_t len;
    char local[64], condition[64];
    struct sasl **free_inside;
} answer;

static void on_answer(const struct sasl_result *result, void *arg)
{
    (void)arg;
    answer.count++;
    if (answer.free_inside) sasl_free(answer.free_inside);
    answer.status = result->status;
    answer.len = result->data ? result->len : 0;
    if (answer.len > 0) memcpy(answer.data, result->data, answer.len);
    answer.data[answer.len] = '\0';
    snprintf(answer.local, sizeof answer.local, "%s", result->local ? result->local : "");
    snprintf(answer.condition, sizeof answer.condition, "%s", result->condition ? result->condition : "");
    loop_stop(loop);
}

static struct sasl *start(const char *mechanism, const char *initial, size_t len)
{
    struct sasl **inside = answer.free_inside;
    memset(&answer, 0, sizeof answer);
    answer.free_inside = inside;
    struct sasl *sasl = sasl_start(&env, mechanism, (const uint8_t *)initial, len, on_answer, NULL);
    return sasl;
}

/* wait_answer - turn the loop until the answer is there. */
static void wait_answer(void)
{
    while (answer.count == 0)
        loop_run(loop);
    assert_int_equal(answer.count, 1);
}

static void respond(struct sasl *sasl, const char *text)
{
    answer.count = 0;
    sasl_respond(sasl, (const uint8_t *)text, strlen(text));
    wait_answer();
}

static void expect_failure(const char *condition)
{
    if (answer.status != SASL_FAILURE) print_error("status %d data %s\n", answer.status, answer.data);
    assert_int_equal(answer.status, SASL_FAILURE);
    assert_string_equal(answer.condition, condition);
}

/* A client of its own: what it sends is made from RFC 5802, not from the code under test. */
struct scram_client {
    const char *mechanism, *gs2, *name, *password;
    const uint8_t *binding;
    size_t binding_len;
    const EVP_MD *digest;
    char first_bare[512], server_first[4096], final[2048];
    uint8_t signature[64];
    size_t hash_len;
};

static void client_proof(struct scram_client *c, const char *salt, unsigned iterations, const char *without_proof,
                         uint8_t *proof)
{
    uint8_t salt_bytes[64], salted[64], key[64], stored[64], server_key[64], signature[64];
    char message[8192];
    int len = EVP_MD_get_size(c->digest);
    ssize_t salt_len = base64_decode(salt, strlen(salt), salt_bytes);

    assert_true(salt_len > 0);
    PKCS5_PBKDF2_HMAC(c->password, (int)strlen(c->password), salt_bytes, (int)salt_len, (int)iterations, c->digest, len,
                      salted);
    HMAC(c->digest, salted, len, (const uint8_t *)"Client Key", 10, key, NULL);
    HMAC(c->digest, salted, len, (const uint8_t *)"Server Key", 10, server_key, NULL);
    EVP_Digest(key, (size_t)len, stored, NULL, c->digest, NULL);
    snprintf(message, sizeof message, "%s,%s,%s", c->first_bare, c->server_first, without_proof);
    HMAC(c->digest, stored, len, (const uint8_t *)message, strlen(message), signature, NULL);
    HMAC(c->digest, server_key, len, (const uint8_t *)message, strlen(message), c->signature, NULL);
    for (int i = 0; i < len; i++)
        proof[i] = key[i] ^ signature[i];
    c->hash_len = (size_t)len;
}

/* client_first - up to the server's first message (or a failure). */
static struct sasl *client_first(struct scram_client *c)
{
    char text[1024];

    c->digest = strstr(c->mechanism, "SHA-512")   ? EVP_sha512()
                : strstr(c->mechanism, "SHA-256") ? EVP_sha256()
                                                  : EVP_sha1();
    snprintf(c->first_bare, sizeof c->first_bare, "n=%s,r=fyko+d2lbbFgONRv9qkxdawL", c->name);
    snprintf(text, sizeof text, "%s%s", c->gs2, c->first_bare);
    struct sasl *sasl = start(c->mechanism, text, strlen(text));
    wait_answer();
    return sasl;
}

static void client_make_final(struct scram_client *c)
{
    char nonce[256], salt[128], cb[512], without_proof[1024];
    uint8_t proof[64], cb_bytes[256];
    char proof_text[BASE64_TEXT_BYTES(64)];
    unsigned iterations;

    assert_int_equal(answer.status, SASL_CHALLENGE);
    snprintf(c->server_first, sizeof c->server_first, "%s", answer.data);
    assert_int_equal(sscanf(c->server_first, "r=%255[^,],s=%127[^,],i=%u", nonce, salt, &iterations), 3);
    assert_int_equal(iterations, ITERATIONS);
    assert_int_equal(strncmp(nonce, "fyko+d2lbbFgONRv9qkxdawL", 24), 0);
    assert_true(strlen(nonce) >= 24 + 24);
    memcpy(cb_bytes, c->gs2, strlen(c->gs2));
    if (c->binding_len > 0) memcpy(cb_bytes + strlen(c->gs2), c->binding, c->binding_len);
    base64_encode(cb_bytes, strlen(c->gs2) + c->binding_len, cb);
    snprintf(without_proof, sizeof without_proof, "c=%s,r=%s", cb, nonce);
    client_proof(c, salt, iterations, without_proof, proof);
    base64_encode(proof, c->hash_len, proof_text);
    snprintf(c->final, sizeof c->final, "%s,p=%s", without_proof, proof_text);
}

static void expect_success(const struct scram_client *c)
{
    char wanted[128] = "v=";

    if (answer.status == SASL_FAILURE) print_error("%s %s: %s\n", c->mechanism, c->gs2, answer.condition);
    assert_int_equal(answer.status, SASL_SUCCESS);
    assert_string_equal(answer.local, "juliet");
    base64_encode(c->signature, c->hash_len, wanted + 2);
    assert_string_equal(answer.data, wanted);
}

/* A whole exchange. */
static void authenticate(struct scram_client c)
{
    struct sasl *sasl = client_first(&c);
    if (answer.status == SASL_CHALLENGE) {
        client_make_final(&c);
        respond(sasl, c.final);
        if (answer.status == SASL_SUCCESS) expect_success(&c);
    }
    sasl_free(&sasl);
}

static void with_bindings(void)
{
    env.has_exporter = true;
    memset(env.exporter, 0xe1, sizeof env.exporter);
    env.end_point_len = 32;
    memset(env.end_point, 0xe2, sizeof env.end_point);
}

static void test_scram_succeeds(void **state)
{
    (void)state;
    authenticate(
        (struct scram_client){.mechanism = "SCRAM-SHA-512", .gs2 = "n,,", .name = "juliet", .password = "pencil"});
    assert_int_equal(answer.status, SASL_SUCCESS);
    authenticate(
        (struct scram_client){.mechanism = "SCRAM-SHA-256", .gs2 = "n,,", .name = "juliet", .password = "pencil"});
    assert_int_equal(answer.status, SASL_SUCCESS);
    authenticate(
        (struct scram_client){.mechanism = "SCRAM-SHA-1", .gs2 = "n,,", .name = "JULIET", .password = "pencil"});
    assert_int_equal(answer.status, SASL_SUCCESS);
    authenticate(
        (struct scram_client){.mechanism = "SCRAM-SHA-1", .gs2 = "y,,", .name = "juliet", .password = "pencil"});
    assert_int_equal(answer.status, SASL_SUCCESS);
    authenticate((struct scram_client){
        .mechanism = "SCRAM-SHA-256", .gs2 = "n,a=juliet@example.test,", .name = "juliet", .password = "pencil"});
    assert_int_equal(answer.status, SASL_SUCCESS);
}

static void test_scram_plus_succeeds(void **state)
{
    (void)state;
    with_bindings();
    static const char *const mechanisms[] = {"SCRAM-SHA-512-PLUS", "SCRAM-SHA-256-PLUS", "SCRAM-SHA-1-PLUS"};
    for (size_t i = 0; i < ARRAY_LEN(mechanisms); i++) {
        authenticate((struct scram_client){.mechanism = mechanisms[i],
                                           .gs2 = "p=tls-exporter,,",
                                           .name = "juliet",
                                           .password = "pencil",
                                           .binding = env.exporter,
                                           .binding_len = sizeof env.exporter});
        assert_int_equal(answer.status, SASL_SUCCESS);
        authenticate((struct scram_client){.mechanism = mechanisms[i],
                                           .gs2 = "p=tls-server-end-point,,",
                                           .name = "juliet",
                                           .password = "pencil",
                                           .binding = env.end_point,
                                           .binding_len = env.end_point_len});
        assert_int_equal(answer.status, SASL_SUCCESS);
    }
}

static void test_scram_refusals(void **state)
{
    (void)state;
    authenticate(
        (struct scram_client){.mechanism = "SCRAM-SHA-256", .gs2 = "n,,", .name = "juliet", .password = "Pencil"});
    expect_failure("not-authorized");
    authenticate(
        (struct scram_client){.mechanism = "SCRAM-SHA-256", .gs2 = "n,,", .name = "nobody", .password = "pencil"});
    expect_failure("not-authorized");
    authenticate((struct scram_client){
        .mechanism = "SCRAM-SHA-256", .gs2 = "n,a=romeo@example.test,", .name = "juliet", .password = "pencil"});
    expect_failure("invalid-authzid");
    authenticate((struct scram_client){
        .mechanism = "SCRAM-SHA-256", .gs2 = "n,a=juliet@example.test/x,", .name = "juliet", .password = "pencil"});
    expect_failure("invalid-authzid");
    with_bindings();
    /* Somebody took -PLUS out of our offer. */
    authenticate(
        (struct scram_client){.mechanism = "SCRAM-SHA-256", .gs2 = "y,,", .name = "juliet", .password = "pencil"});
    expect_failure("not-authorized");
    /* Somebody sits in between: the client's channel is not ours. */
    static const uint8_t other[32] = {1};
    authenticate((struct scram_client){.mechanism = "SCRAM-SHA-256-PLUS",
                                       .gs2 = "p=tls-exporter,,",
                                       .name = "juliet",
                                       .password = "pencil",
                                       .binding = other,
                                       .binding_len = sizeof other});
    expect_failure("not-authorized");
    authenticate((struct scram_client){.mechanism = "SCRAM-SHA-256-PLUS",
                                       .gs2 = "p=tls-exporter,,",
                                       .name = "juliet",
                                       .password = "pencil",
                                       .binding = env.end_point,
                                       .binding_len = env.end_point_len});
    expect_failure("not-authorized");
    authenticate((struct scram_client){.mechanism = "SCRAM-SHA-256-PLUS", .gs2 = "p=tls-unique,,", .name = "juliet"});
    expect_failure("not-authorized");
}

/* An unknown account looks like a known one until the end, and each time the same. */
static void test_unknown_account_is_not_told(void **state)
{
    struct scram_client c = {.mechanism = "SCRAM-SHA-256", .gs2 = "n,,", .name = "nobody", .password = "pencil"};
    char salts[2][128], nonces[2][256];
    unsigned iterations;

    (void)state;
    for (int i = 0; i < 2; i++) {
        struct sasl *sasl = client_first(&c);
        assert_int_equal(answer.status, SASL_CHALLENGE);
        assert_int_equal(sscanf(answer.data, "r=%255[^,],s=%127[^,],i=%u", nonces[i], salts[i], &iterations), 3);
        assert_int_equal(iterations, ITERATIONS);
        sasl_free(&sasl);
    }
    assert_string_equal(salts[0], salts[1]);
    assert_int_equal(strlen(salts[0]), BASE64_TEXT_BYTES(SCRAM_SALT_BYTES) - 1);
    assert_string_not_equal(nonces[0], nonces[1]);
}

static void test_malformed_first_messages(void **state)
{
    static const struct {
        const char *mechanism, *text, *condition;
    } rows[] = {
        {"SCRAM-SHA-256", "", "malformed-request"},
        {"SCRAM-SHA-256", "n", "malformed-request"},
        {"SCRAM-SHA-256", "n,", "malformed-request"},
        {"SCRAM-SHA-256", "n,,", "malformed-request"},
        {"SCRAM-SHA-256", "x,,n=juliet,r=abc", "malformed-request"},
        {"SCRAM-SHA-256", "nn,,n=juliet,r=abc", "malformed-request"},
        {"SCRAM-SHA-256", "n,b=x,n=juliet,r=abc", "malformed-request"},
        {"SCRAM-SHA-256", "n,a=,n=juliet,r=abc", "malformed-request"},
        {"SCRAM-SHA-256", "n,,m=x,n=juliet,r=abc", "malformed-request"},
        {"SCRAM-SHA-256", "n,,n=juliet,r=abc,m=x", "malformed-request"},
        {"SCRAM-SHA-256", "n,,r=abc,n=juliet", "malformed-request"},
        {"SCRAM-SHA-256", "n,,n=,r=abc", "malformed-request"},
        {"SCRAM-SHA-256", "n,,n=juliet,r=", "malformed-request"},
        {"SCRAM-SHA-256", "n,,n=juliet,r=a b", "malformed-request"},
        {"SCRAM-SHA-256", "n,,n=juliet,r=abc,", "malformed-request"},
        {"SCRAM-SHA-256", "n,,n=juliet,r=abc,xy", "malformed-request"},
        {"SCRAM-SHA-256", "n,,n=jul=iet,r=abc", "malformed-request"},
        {"SCRAM-SHA-256", "n,,n=jul=2ciet,r=abc", "malformed-request"},
        {"SCRAM-SHA-256", "n,,n=jul=2", "malformed-request"},
        {"SCRAM-SHA-256", "n,,n=a@b,r=abc", "not-authorized"},
        {"SCRAM-SHA-256", "n,,n=\xff,r=abc", "not-authorized"},
        {"SCRAM-SHA-256", "p=tls-exporter,,n=juliet,r=abc", "malformed-request"},
        {"SCRAM-SHA-256-PLUS", "n,,n=juliet,r=abc", "malformed-request"},
        {"SCRAM-SHA-256-PLUS", "y,,n=juliet,r=abc", "malformed-request"},
        {"SCRAM-SHA-256-PLUS", "p,,n=juliet,r=abc", "malformed-request"},
        {"SCRAM-SHA-256-PLUS", "p=,,n=juliet,r=abc", "not-authorized"},
        {"SCRAM-MD5", "n,,n=juliet,r=abc", "invalid-mechanism"},
        {"", "", "invalid-mechanism"},
    };

    (void)state;
    with_bindings();
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct sasl *sasl = start(rows[i].mechanism, rows[i].text, strlen(rows[i].text));
        wait_answer();
        if (answer.status != SASL_FAILURE) print_error("%s\n", rows[i].text);
        expect_failure(rows[i].condition);
        sasl_free(&sasl);
    }
}

/* Each change to a right final message is refused. */
static void test_altered_final_messages(void **state)
{
    static const char *const replacements[][2] = {
        {"c=biws", "c=eSws"}, {"c=biws", "c=biw"},      {"c=biws", "c="},   {"c=biws", "d=biws"},
        {"r=fyko", "r=fykp"}, {"r=fyko", "x=1,r=fyko"}, {",p=", ",m=1,p="}, {",p=", ",p=A"},
        {",p=", ",q="},       {"c=biws,", ""},          {",p=", ",x=1,p="},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(replacements); i++) {
        struct scram_client c = {.mechanism = "SCRAM-SHA-256", .gs2 = "n,,", .name = "juliet", .password = "pencil"};
        struct sasl *sasl = client_first(&c);
        char altered[4096];
        client_make_final(&c);
        char *at = strstr(c.final, replacements[i][0]);
        assert_non_null(at);
        snprintf(altered, sizeof altered, "%.*s%s%s", (int)(at - c.final), c.final, replacements[i][1],
                 at + strlen(replacements[i][0]));
        respond(sasl, altered);
        assert_int_equal(answer.status, SASL_FAILURE);
        /* The exchange is over: the right message comes too late. */
        respond(sasl, c.final);
        expect_failure("malformed-request");
        sasl_free(&sasl);
    }
}

static void test_escapes_in_names(void **state)
{
    (void)state;
    /* Decoded, these are "a,b" and "a=b": accounts that do not exist, but well-formed names. */
    authenticate((struct scram_client){.mechanism = "SCRAM-SHA-1", .gs2 = "n,,", .name = "a=2Cb", .password = "x"});
    expect_failure("not-authorized");
    authenticate((struct scram_client){.mechanism = "SCRAM-SHA-1", .gs2 = "n,,", .name = "a=3Db", .password = "x"});
    expect_failure("not-authorized");
}

static void plain(const char *message, size_t len)
{
    struct sasl *sasl = start("PLAIN", message, len);
    wait_answer();
    sasl_free(&sasl);
}

#define PLAIN(text) plain(text, sizeof(text) - 1)

static void test_plain(void **state)
{
    (void)state;
    PLAIN("\0juliet\0pencil");
    assert_int_equal(answer.status, SASL_SUCCESS);
    assert_string_equal(answer.local, "juliet");
    PLAIN("juliet@example.test\0JuLiet\0pencil");
    assert_int_equal(answer.status, SASL_SUCCESS);
    assert_string_equal(answer.local, "juliet");
    PLAIN("romeo@example.test\0juliet\0pencil");
    expect_failure("invalid-authzid");
    PLAIN("\0juliet\0pencils");
    expect_failure("not-authorized");
    PLAIN("\0nobody\0pencil");
    expect_failure("not-authorized");
    PLAIN("\0juliet\0");
    expect_failure("malformed-request");
    PLAIN("\0\0pencil");
    expect_failure("malformed-request");
    PLAIN("\0juliet");
    expect_failure("malformed-request");
    PLAIN("juliet");
    expect_failure("malformed-request");
    PLAIN("");
    expect_failure("malformed-request");
    PLAIN("\0juliet\0pen\0cil");
    expect_failure("malformed-request");
    PLAIN("\0juliet\0\x07");
    expect_failure("not-authorized");
    static char longest[5000] = "\0juliet\0";
    memset(longest + 8, 'a', sizeof longest - 8);
    plain(longest, sizeof longest);
    expect_failure("malformed-request");
    plain(longest, 4096);
    expect_failure("not-authorized");
}

static void external(const char *authzid, size_t len)
{
    struct sasl *sasl = start("EXTERNAL", authzid, len);
    wait_answer();
    sasl_free(&sasl);
}

#define EXTERNAL(text) external(text, sizeof(text) - 1)

static void expect_juliet(void)
{
    assert_int_equal(answer.status, SASL_SUCCESS);
    assert_string_equal(answer.local, "juliet");
    assert_int_equal(answer.len, 0);
}

static void test_external(void **state)
{
    static char juliet[] = "juliet", nobody[] = "nobody";
    char *const proven[] = {juliet, nobody};

    (void)state;
    EXTERNAL("");
    expect_failure("invalid-mechanism");
    env.external = proven;
    env.external_count = 1;
    EXTERNAL("");
    expect_juliet();
    EXTERNAL("JULIET@example.test");
    expect_juliet();
    EXTERNAL("nobody@example.test");
    expect_failure("invalid-authzid");
    env.external_count = 2;
    EXTERNAL("");
    expect_failure("invalid-authzid");
    EXTERNAL("juliet@example.test");
    expect_juliet();
    EXTERNAL("nobody@example.test");
    expect_failure("not-authorized");
    EXTERNAL("juliet@example.org");
    expect_failure("invalid-authzid");
    EXTERNAL("juliet@example.test/x");
    expect_failure("invalid-authzid");
    EXTERNAL("example.test");
    expect_failure("invalid-authzid");
    EXTERNAL("juliet@example.test\0");
    expect_failure("malformed-request");
    env.encrypted = false;
    EXTERNAL("juliet@example.test");
    expect_failure("invalid-mechanism");
}

static void test_no_initial_response(void **state)
{
    static const char message[] = "\0juliet\0pencil";

    (void)state;
    struct sasl *sasl = start("PLAIN", NULL, 0);
    assert_int_equal(answer.count, 1);
    assert_int_equal(answer.status, SASL_CHALLENGE);
    assert_int_equal(answer.len, 0);
    answer.count = 0;
    sasl_respond(sasl, (const uint8_t *)message, sizeof message - 1);
    wait_answer();
    assert_int_equal(answer.status, SASL_SUCCESS);
    sasl_free(&sasl);
}

static void append_name(const char *name, void *arg)
{
    strcat(arg, name);
    strcat(arg, " ");
}

static void test_offers(void **state)
{
    char text[256] = "";

    (void)state;
    sasl_each(&env, append_name, text);
    assert_string_equal(text, "SCRAM-SHA-512 SCRAM-SHA-256 SCRAM-SHA-1 PLAIN ");
    env.end_point_len = 32;
    text[0] = '\0';
    sasl_each(&env, append_name, text);
    assert_string_equal(text, "SCRAM-SHA-512-PLUS SCRAM-SHA-256-PLUS SCRAM-SHA-1-PLUS "
                              "SCRAM-SHA-512 SCRAM-SHA-256 SCRAM-SHA-1 PLAIN ");
    env.has_exporter = true;
    text[0] = '\0';
    sasl_channel_bindings_each(&env, append_name, text);
    assert_string_equal(text, "tls-exporter tls-server-end-point ");
    env.encrypted = false;
    text[0] = '\0';
    sasl_each(&env, append_name, text);
    sasl_channel_bindings_each(&env, append_name, text);
    assert_string_equal(text, "");
    PLAIN("\0juliet\0pencil");
    expect_failure("invalid-mechanism");
}

static void stop_loop(void *arg)
{
    (void)arg;
    loop_stop(loop);
}

static void on_flush(enum store_status status, const struct store_account *account, void *arg)
{
    (void)status;
    (void)account;
    (void)arg;
    loop_stop(loop);
}

static void no_work(void *arg)
{
    (void)arg;
}

/* settle - let all outstanding answers of the store, and then of the offload thread, arrive. */
static void settle(void)
{
    store_account_get(store, mailbox, "nobody", "example.test", on_flush, NULL);
    loop_run(loop);
    const struct offload_job job = {.reply_to = mailbox, .work = no_work, .done = stop_loop, .dropped = stop_loop};
    assert_int_equal(offload_post(offload, &job), 0);
    loop_run(loop);
}

static void test_free_while_busy(void **state)
{
    static const char message[] = "\0juliet\0pencil";

    (void)state;
    /* While the store works. */
    struct sasl *sasl = start("PLAIN", message, sizeof message - 1);
    sasl_free(&sasl);
    settle();
    assert_int_equal(answer.count, 0);
    /* While the thread works: the store's answer comes first, then the free, then the thread's answer. */
    sasl = start("PLAIN", message, sizeof message - 1);
    store_account_get(store, mailbox, "nobody", "example.test", on_flush, NULL);
    loop_run(loop);
    sasl_free(&sasl);
    settle();
    assert_int_equal(answer.count, 0);
}

static void test_free_inside_the_answer(void **state)
{
    static const char message[] = "\0juliet\0pencil";
    struct sasl *sasl = NULL;

    (void)state;
    answer.free_inside = &sasl;
    sasl = start("PLAIN", message, sizeof message - 1);
    wait_answer();
    assert_null(sasl);
    assert_int_equal(answer.status, SASL_SUCCESS);
    assert_string_equal(answer.local, "juliet"); /* read after the free */
    answer.free_inside = NULL;
}

static void on_added(enum store_status status, void *arg)
{
    (void)arg;
    assert_int_equal(status, STORE_OK);
    loop_stop(loop);
}

static int set_up(void **state)
{
    char why[256];
    struct store_account account = {.local = "juliet", .domain = "example.test"};

    (void)state;
    loop = loop_new();
    mailbox = mailbox_new(loop);
    offload = offload_new(1);
    store = store_open("memory", "", why, sizeof why);
    if (!store) return -1;
    backend.store = store;
    shapes = key_shapes_new(&backend, loop, mailbox);
    ticks = deadline_queue_new(loop, 1, sasl_on_tick, NULL);
    scram_make_keys("pencil", ITERATIONS, account.keys);
    store_account_add(store, mailbox, &account, on_added, NULL);
    loop_run(loop);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    lockout_free(&lockout);
    store_close(&store);
    offload_free(&offload);
    key_shapes_free(&shapes);
    deadline_queue_free(&ticks);
    mailbox_free(&mailbox);
    loop_free(&loop);
    return 0;
}

static int fresh_env(void **state)
{
    (void)state;
    lockout_free(&lockout);
    lockout = lockout_new();
    peer.in.sin_family = AF_INET;
    limits = (struct lockout_limits){.per_source = 20, .per_account = 40, .window_ms = 3600000};
    env = (struct sasl_env){.store = store,
                            .offload = offload,
                            .mailbox = mailbox,
                            .loop = loop,
                            .ticks = ticks,
                            .shapes = shapes,
                            .lockout = lockout,
                            .limits = &limits,
                            .peer = &peer,
                            .iterations = ITERATIONS,
                            .hashes = ALL_HASHES,
                            .plain = true,
                            .domain = "example.test",
                            .secret = SECRET,
                            .secret_len = sizeof SECRET,
                            .encrypted = true};
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(test_scram_succeeds, fresh_env),
        cmocka_unit_test_setup(test_scram_plus_succeeds, fresh_env),
        cmocka_unit_test_setup(test_scram_refusals, fresh_env),
        cmocka_unit_test_setup(test_unknown_account_is_not_told, fresh_env),
        cmocka_unit_test_setup(test_malformed_first_messages, fresh_env),
        cmocka_unit_test_setup(test_altered_final_messages, fresh_env),
        cmocka_unit_test_setup(test_escapes_in_names, fresh_env),
        cmocka_unit_test_setup(test_plain, fresh_env),
        cmocka_unit_test_setup(test_external, fresh_env),
        cmocka_unit_test_setup(test_no_initial_response, fresh_env),
        cmocka_unit_test_setup(test_offers, fresh_env),
        cmocka_unit_test_setup(test_free_while_busy, fresh_env),
        cmocka_unit_test_setup(test_free_inside_the_answer, fresh_env),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
