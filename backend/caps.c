#include "backend/caps.h"

#include "backend/data_form.h"
#include "backend/disco.h"
#include "backend/host.h"
#include "backend/ns.h"
#include "lib/base64.h"
#include "lib/mem.h"

#include <openssl/evp.h>
#include <stdlib.h>
#include <string.h>

/* The node only names the software; nobody looks there. */
#define NODE "https://postern.invalid"

enum { SHA1_BYTES = 20 };

/* Texts of one rank, to be sorted by their keys. */
struct caps_texts {
    size_t count, cap;
    struct caps_text {
        const char *key, *text;
    } * list;
};

static void add(struct caps_texts *texts, const char *key, const char *text)
{
    if (texts->count == texts->cap) {
        texts->cap = texts->cap ? 2 * texts->cap : 32;
        texts->list = mem_realloc(texts->list, texts->cap * sizeof(*texts->list));
    }
    texts->list[texts->count++] = (struct caps_text){key, text};
}

static int compare(const void *a, const void *b)
{
    return strcmp(((const struct caps_text *)a)->key, ((const struct caps_text *)b)->key);
}

/* Append in order, each with what stands behind it, and empty the texts. */
static void flush(struct caps_texts *texts, const char *behind, struct buf *out)
{
    if (texts->count > 0) qsort(texts->list, texts->count, sizeof(*texts->list), compare);
    for (size_t i = 0; i < texts->count; i++) {
        buf_append_str(out, texts->list[i].text);
        buf_append_str(out, behind);
    }
    free(texts->list);
    *texts = (struct caps_texts){0};
}

/* The text in the arena; the buffer is empty afterwards. */
static const char *keep(struct arena *arena, struct buf *text)
{
    const char *kept = arena_strndup(arena, (const char *)buf_data(text), buf_len(text));
    buf_free(text);
    return kept;
}

static const char *or_nothing(const char *text)
{
    return text ? text : "";
}

/* By category, then type, then language. */
static void add_identity(struct caps_texts *texts, const struct elem *identity)
{
    struct buf key = {0}, text = {0};
    const char *category = or_nothing(elem_get(identity, "category")), *type = or_nothing(elem_get(identity, "type"));
    const char *lang = or_nothing(elem_get_ns(identity, NS_XML, "lang"));
    buf_printf(&key, "%s\n%s\n%s", category, type, lang);
    buf_printf(&text, "%s/%s/%s/%s", category, type, lang, or_nothing(elem_get(identity, "name")));
    const char *kept = keep(identity->arena, &key);
    add(texts, kept, keep(identity->arena, &text));
}

static void add_field(struct caps_texts *texts, const struct elem *field)
{
    struct caps_texts values = {0};
    struct buf text = {0};
    const char *var = or_nothing(elem_get(field, "var"));
    buf_printf(&text, "%s<", var);
    for (const struct elem *value = NULL; (value = data_form_next(field, value)) != NULL;)
        add(&values, elem_text(value, NULL), elem_text(value, NULL));
    flush(&values, "<", &text);
    add(texts, var, keep(field->arena, &text));
}

static void add_form(struct caps_texts *texts, const struct elem *form)
{
    struct caps_texts fields = {0};
    struct buf text = {0};
    const char *type = or_nothing(data_form_get(form, "FORM_TYPE"));
    buf_printf(&text, "%s<", type);
    for (const struct elem *field = elem_child(form, NULL, "field"); field; field = elem_next_element(field))
        if (strcmp(or_nothing(elem_get(field, "var")), "FORM_TYPE") != 0) add_field(&fields, field);
    flush(&fields, "", &text);
    add(texts, type, keep(form->arena, &text));
}

void caps_hash(const struct elem *query, char out[CAPS_HASH_BYTES])
{
    struct caps_texts identities = {0}, features = {0}, forms = {0};
    for (const struct elem *e = elem_child(query, NULL, NULL); e; e = elem_next_element(e)) {
        if (elem_is(e, NS_DISCO_INFO, "identity")) add_identity(&identities, e);
        const char *var = or_nothing(elem_get(e, "var"));
        if (elem_is(e, NS_DISCO_INFO, "feature")) add(&features, var, var);
        if (elem_is(e, NS_DATA, "x")) add_form(&forms, e);
    }
    struct buf text = {0};
    flush(&identities, "<", &text);
    flush(&features, "<", &text);
    flush(&forms, "", &text);
    uint8_t digest[SHA1_BYTES];
    CHECK(EVP_Digest(buf_data(&text), buf_len(&text), digest, NULL, EVP_sha1(), NULL) == 1);
    base64_encode(digest, sizeof(digest), out);
    buf_free(&text);
}

static void host_hash(const struct host *host, char out[CAPS_HASH_BYTES])
{
    struct elem *query = elem_new(arena_new(), NS_DISCO_INFO, "query");
    disco_host(host, query);
    caps_hash(query, out);
    elem_free(&query);
}

void caps_add_feature(const struct host *host, struct buf *out)
{
    char hash[CAPS_HASH_BYTES];
    host_hash(host, hash);
    buf_printf(out, "<c xmlns='" NS_CAPS "' hash='sha-1' node='" NODE "' ver='%s'/>", hash);
}

bool caps_is_node(const struct host *host, const char *node)
{
    char hash[CAPS_HASH_BYTES];
    const size_t len = strlen(NODE "#");
    if (strncmp(node, NODE "#", len) != 0) return false;
    host_hash(host, hash);
    return strcmp(node + len, hash) == 0;
}
