#include "backend/stanza_id.h"

#include "backend/jid.h"
#include "backend/ns.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#define END_TAG "</message>"

const char *stanza_id_write(uint64_t id, char out[STANZA_ID_BYTES])
{
    snprintf(out, STANZA_ID_BYTES, "%" PRIu64, id);
    return out;
}

bool stanza_id_read(const char *text, uint64_t *id)
{
    *id = 0;
    if (*text == '0' || *text == '\0') return false;
    for (; *text; text++) {
        if (*text < '0' || *text > '9' || *id > (UINT64_MAX - 9) / 10) return false;
        *id = *id * 10 + (uint64_t)(*text - '0');
    }
    return true;
}

void stanza_id_append(struct buf *out, const char *by, uint64_t id)
{
    char text[STANZA_ID_BYTES];
    const size_t tail = sizeof(END_TAG) - 1;
    CHECK(buf_len(out) > tail && memcmp(out->mem + out->end - tail, END_TAG, tail) == 0);
    out->end -= tail;
    buf_append_str(out, "<stanza-id xmlns='" NS_SID "' by='");
    elem_escape(by, strlen(by), out);
    buf_append_str(out, "' id='");
    buf_append_str(out, stanza_id_write(id, text));
    buf_append_str(out, "'/>" END_TAG);
}

/* An address can be written in several ways. */
static bool is_address(const char *text, const char *by)
{
    if (!text) return false;
    if (strcmp(text, by) == 0) return true;
    struct jid *jid = jid_parse(text, strlen(text), NULL);
    const bool same = jid && strcmp(jid->full, by) == 0;
    jid_free(&jid);
    return same;
}

static bool is_by(const struct elem *child, const void *by)
{
    return elem_is(child, NS_SID, "stanza-id") && is_address(elem_get(child, "by"), by);
}

void stanza_id_strip(struct stanza *stanza, const char *by)
{
    if (elem_remove_all(stanza->elem, is_by, by)) stanza->text = NULL;
}
