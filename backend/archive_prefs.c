#include "backend/archive_prefs.h"

#include "backend/elem_parse.h"
#include "backend/ns.h"
#include "backend/roster.h"
#include "backend/shard.h"
#include "backend/stanza_error.h"
#include "lib/log.h"

#include <stdlib.h>
#include <string.h>

/* Sorted texts of prepared addresses, each an allocation of its own. */
struct archive_jids {
    char **items;
    size_t count;
};

struct archive_prefs {
    enum archive_default preset;
    struct archive_jids always, never;
};

static const char *const DEFAULTS[] = {
    [ARCHIVE_ALWAYS] = "always", [ARCHIVE_ROSTER] = "roster", [ARCHIVE_NEVER] = "never"};

static int compare(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

/* Source: XEP-0441 section 2.3.1. */
static bool has(const struct archive_jids *jids, const struct jid *other)
{
    if (jids->count == 0) return false;
    return bsearch(&other->bare, jids->items, jids->count, sizeof(char *), compare) != NULL ||
           bsearch(&other->full, jids->items, jids->count, sizeof(char *), compare) != NULL;
}

const struct archive_prefs *archive_prefs_of(const struct user *user)
{
    return user->parts[USER_PART_ARCHIVE];
}

bool archive_prefs_want(const struct user *user, enum archive_default preset, const struct jid *other)
{
    const struct archive_prefs *prefs = archive_prefs_of(user);
    if (prefs) {
        if (has(&prefs->never, other)) return false;
        if (has(&prefs->always, other)) return true;
        preset = prefs->preset;
    }
    return preset == ARCHIVE_ALWAYS || (preset == ARCHIVE_ROSTER && (roster_flags(user, other->bare) & ROSTER_LISTED));
}

static void jids_free(struct archive_jids *jids)
{
    for (size_t i = 0; i < jids->count; i++)
        free(jids->items[i]);
    free(jids->items);
}

void archive_prefs_free(void *part)
{
    struct archive_prefs *prefs = part;
    jids_free(&prefs->always);
    jids_free(&prefs->never);
    free(prefs);
}

/* What is wrong with the list of that name, or -1. */
static int read_jids(const struct elem *elem, const char *name, struct archive_jids *out)
{
    const struct elem *list = elem_child(elem, NS_MAM, name);
    size_t room = 0;
    for (const struct elem *item = list ? elem_child(list, NULL, NULL) : NULL; item; item = elem_next_element(item))
        room++;
    if (room > ARCHIVE_PREFS_MAX) return STANZA_ERROR_POLICY_VIOLATION;
    if (room == 0) return -1;
    out->items = mem_alloc(room * sizeof(char *));
    for (const struct elem *item = elem_child(list, NULL, NULL); item; item = elem_next_element(item)) {
        size_t len = 0;
        const char *text = elem_text(item, &len);
        if (!elem_is(item, NS_MAM, "jid")) return STANZA_ERROR_BAD_REQUEST;
        struct jid *jid = jid_parse(text, len, NULL);
        if (!jid) return STANZA_ERROR_JID_MALFORMED;
        out->items[out->count++] = mem_strdup(jid->full);
        jid_free(&jid);
    }
    qsort(out->items, out->count, sizeof(char *), compare);
    return -1;
}

static int preset_of(const struct elem *elem)
{
    const char *text = elem_get(elem, "default");
    for (int i = 0; text && i < (int)ARRAY_LEN(DEFAULTS); i++)
        if (strcmp(text, DEFAULTS[i]) == 0) return i;
    return -1;
}

struct archive_prefs *archive_prefs_read(const struct elem *elem, int *error)
{
    struct archive_prefs *prefs = MEM_NEW(struct archive_prefs);
    const int preset = preset_of(elem);
    *error = preset < 0 ? (int)STANZA_ERROR_BAD_REQUEST : -1;
    if (*error < 0) *error = read_jids(elem, "always", &prefs->always);
    if (*error < 0) *error = read_jids(elem, "never", &prefs->never);
    if (*error < 0 && prefs->always.count + prefs->never.count > ARCHIVE_PREFS_MAX)
        *error = STANZA_ERROR_POLICY_VIOLATION;
    if (*error < 0) {
        prefs->preset = (enum archive_default)preset;
        return prefs;
    }
    archive_prefs_free(prefs);
    return NULL;
}

static void add_jids(const struct archive_jids *jids, const char *name, struct elem *parent)
{
    struct elem *list = elem_add(parent, NULL, name);
    for (size_t i = 0; jids && i < jids->count; i++)
        elem_add_text(elem_add(list, NULL, "jid"), jids->items[i], strlen(jids->items[i]));
}

void archive_prefs_add(const struct archive_prefs *prefs, enum archive_default preset, struct elem *parent)
{
    struct elem *elem = elem_add(parent, NS_MAM, "prefs");
    elem_set(elem, "default", DEFAULTS[prefs ? prefs->preset : preset]);
    add_jids(prefs ? &prefs->always : NULL, "always", elem);
    add_jids(prefs ? &prefs->never : NULL, "never", elem);
}

void archive_prefs_set(struct user *user, struct archive_prefs *prefs)
{
    if (user->parts[USER_PART_ARCHIVE]) archive_prefs_free(user->parts[USER_PART_ARCHIVE]);
    user->parts[USER_PART_ARCHIVE] = prefs;
}

void *archive_prefs_load(struct user *user, const struct store_record *records, size_t count)
{
    (void)count; /* one */
    int error = -1;
    struct elem *elem = elem_parse(&user->shard->parser, records[0].value, strlen(records[0].value));
    struct archive_prefs *prefs = elem && elem_is(elem, NS_MAM, "prefs") ? archive_prefs_read(elem, &error) : NULL;
    if (!prefs)
        log_msg(LOG_LEVEL_ERROR, "store_tampered", "archiving preferences of %s: not what this program writes",
                user->bare);
    elem_free(&elem);
    return prefs;
}
