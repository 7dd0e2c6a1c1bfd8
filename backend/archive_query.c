#include "backend/archive_query.h"

#include "backend/data_form.h"
#include "backend/delay.h"
#include "backend/ns.h"
#include "backend/rsm.h"
#include "backend/stanza_error.h"
#include "backend/stanza_id.h"

#include <stdlib.h>
#include <string.h>

enum { FINE = -1 };

static const char *value_of(const struct elem *field)
{
    const struct elem *value = data_form_next(field, NULL);
    return value ? elem_text(value, NULL) : "";
}

static int read_type(const struct elem *field, struct archive_query *out)
{
    (void)out;
    return strcmp(value_of(field), NS_MAM) == 0 ? FINE : STANZA_ERROR_BAD_REQUEST;
}

static int read_with(const struct elem *field, struct archive_query *out)
{
    const char *text = value_of(field);
    jid_free(&out->with);
    out->with = jid_parse(text, strlen(text), NULL);
    if (!out->with) return STANZA_ERROR_JID_MALFORMED;
    out->store.with_bare = out->with->bare;
    out->store.with_resource = out->with->resource;
    return FINE;
}

static int read_start(const struct elem *field, struct archive_query *out)
{
    int64_t ms = 0;
    if (!delay_read(value_of(field), &ms)) return STANZA_ERROR_BAD_REQUEST;
    out->store.from = ms > 0 ? (uint64_t)ms * 1000 : 0;
    return FINE;
}

/* To the end of the millisecond: clients are told no more of it. */
static int read_end(const struct elem *field, struct archive_query *out)
{
    int64_t ms = 0;
    if (!delay_read(value_of(field), &ms)) return STANZA_ERROR_BAD_REQUEST;
    out->nothing |= ms < 0;
    out->store.to = ms < 0 ? 1 : (uint64_t)ms * 1000 + 999;
    return FINE;
}

static int read_id(const char *text, uint64_t *out)
{
    return stanza_id_read(text, out) ? FINE : STANZA_ERROR_ITEM_NOT_FOUND;
}

static int read_before(const struct elem *field, struct archive_query *out)
{
    return read_id(value_of(field), &out->store.before);
}

static int read_after(const struct elem *field, struct archive_query *out)
{
    return read_id(value_of(field), &out->store.after);
}

static int read_ids(const struct elem *field, struct archive_query *out)
{
    free(out->ids);
    out->ids = mem_alloc(ARCHIVE_IDS_MAX * sizeof(*out->ids));
    out->store.ids = out->ids;
    out->store.id_count = 0;
    for (const struct elem *value = NULL; (value = data_form_next(field, value)) != NULL;) {
        if (out->store.id_count == ARCHIVE_IDS_MAX) return STANZA_ERROR_POLICY_VIOLATION;
        const int wrong = read_id(elem_text(value, NULL), &out->ids[out->store.id_count++]);
        if (wrong >= 0) return wrong;
    }
    return out->store.id_count > 0 ? FINE : STANZA_ERROR_BAD_REQUEST;
}

/* Section 6.1.1: there are no messages of rooms in an archive of ours, so both answers are the same. */
static int read_groupchat(const struct elem *field, struct archive_query *out)
{
    (void)field;
    (void)out;
    return FINE;
}

static const struct {
    const char *var, *type;
    int (*read)(const struct elem *field, struct archive_query *out);
} FIELDS[] = {
    {"FORM_TYPE", "hidden", read_type},        {"with", "jid-single", read_with},
    {"start", "text-single", read_start},      {"end", "text-single", read_end},
    {"before-id", "text-single", read_before}, {"after-id", "text-single", read_after},
    {"ids", "list-multi", read_ids},           {"include-groupchat", "boolean", read_groupchat},
};

static int read_field(const struct elem *field, struct archive_query *out)
{
    const char *var = elem_get(field, "var");
    if (!var) return STANZA_ERROR_BAD_REQUEST;
    for (size_t i = 0; i < ARRAY_LEN(FIELDS); i++)
        if (strcmp(FIELDS[i].var, var) == 0) return FIELDS[i].read(field, out);
    return STANZA_ERROR_FEATURE_NOT_IMPLEMENTED;
}

static int read_form(const struct elem *form, struct archive_query *out)
{
    if (!form) return FINE;
    if (!data_form_find(form, "FORM_TYPE")) return STANZA_ERROR_BAD_REQUEST;
    for (const struct elem *field = elem_child(form, NS_DATA, NULL); field; field = elem_next_element(field)) {
        const int wrong = elem_is(field, NS_DATA, "field") ? read_field(field, out) : FINE;
        if (wrong >= 0) return wrong;
    }
    return FINE;
}

static int read_page(const struct elem *elem, struct archive_query *out)
{
    struct rsm rsm;
    if (!rsm_read(elem, &rsm)) return STANZA_ERROR_BAD_REQUEST;
    if (rsm.has_index) return STANZA_ERROR_FEATURE_NOT_IMPLEMENTED;
    out->store.max = !rsm.has_max ? ARCHIVE_PAGE : rsm.max < ARCHIVE_PAGE_MAX ? rsm.max : ARCHIVE_PAGE_MAX;
    out->store.total = out->store.max == 0;
    out->store.backwards = rsm.before != NULL;
    int wrong = rsm.after ? read_id(rsm.after, &out->store.page_after) : FINE;
    if (wrong < 0 && rsm.before && *rsm.before) wrong = read_id(rsm.before, &out->store.page_before);
    return wrong;
}

int archive_query_read(const struct elem *elem, struct archive_query *out)
{
    *out = (struct archive_query){0};
    /* a node would be one of publish-subscribe: XEP-0442 */
    int wrong = elem_get(elem, "node") ? (int)STANZA_ERROR_ITEM_NOT_FOUND : FINE;
    if (wrong < 0) wrong = read_form(elem_child(elem, NS_DATA, "x"), out);
    if (wrong < 0) wrong = read_page(elem, out);
    out->flip = elem_child(elem, NS_MAM, "flip-page") != NULL;
    if (wrong >= 0) archive_query_free(out);
    return wrong;
}

void archive_query_free(struct archive_query *query)
{
    jid_free(&query->with);
    free(query->ids);
    query->ids = NULL;
}

void archive_query_form(struct elem *parent)
{
    struct elem *form = data_form_add(parent, "form", NS_MAM);
    for (size_t i = 1; i < ARRAY_LEN(FIELDS); i++) {
        struct elem *field = data_form_field(form, FIELDS[i].var, FIELDS[i].type, NULL, NULL);
        if (FIELDS[i].read != read_ids) continue;
        struct elem *validate = elem_add(field, NS_DATA_VALIDATE, "validate"); /* section 4.1.5: any are */
        elem_set(validate, "datatype", "xs:string");
        elem_add(validate, NULL, "open");
    }
}
