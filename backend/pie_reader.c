#include "backend/pie_reader.h"

#include "backend/ns.h"
#include "lib/mem.h"

#include <expat.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    USER_MAX_BYTES = 64 * 1024 * 1024, /* as they stand in the document */
    ARENA_MAX_BYTES = 256 * 1024 * 1024,
    TOKEN_MAX_BYTES = 4 * 1024 * 1024, /* Expat reads an unfinished one again with each piece */
    DEPTH_MAX = 100,                   /* below the user */
    PLACE_MAX_BYTES = 1024,
};

/* Between a namespace and a name, as Expat hands them out: a byte that UTF-8 never uses. */
#define SEPARATOR    '\xFF'
#define PLACE_TARGET "postern-at"

/* Where the reader is. */
enum place { OUTSIDE, IN_DOCUMENT, IN_HOST, IN_USER };

struct pie_reader {
    XML_Parser parser;
    pie_reader_fn *fn;
    void *arg;
    enum place place;
    unsigned skipped; /* depth in something that is neither host nor user */
    unsigned depth;   /* below the user */
    char *host;
    char at[PLACE_MAX_BYTES];
    XML_Index begins;  /* of the user */
    struct elem *user; /* NULL: none */
    struct elem *open; /* in the user; its innermost element */
    struct buf text;   /* of that, not yet a node */
    XML_Index fed;     /* bytes, so far */
    const char *fault; /* of the user */
    const char *wrong; /* of the document; static */
};

/* A name as Expat gives it: the namespace, "" for none, is copied into ns when there is room for it. */
static const char *split(const char *name, char *ns, size_t cap)
{
    const char *end = strrchr(name, SEPARATOR);
    const size_t len = end ? (size_t)(end - name) : 0;
    snprintf(ns, cap, "%.*s", (int)(len < cap ? len : cap - 1), name);
    return end ? end + 1 : name;
}

static bool is_pie(const char *ns)
{
    return strcmp(ns, NS_PIE) == 0 || strcmp(ns, NS_PIE_EARLY) == 0;
}

static void stop(struct pie_reader *reader, const char *wrong)
{
    reader->wrong = wrong;
    (void)XML_StopParser(reader->parser, XML_FALSE);
}

static void set_attributes(struct elem *elem, const char **attributes)
{
    char ns[1024];
    for (; *attributes; attributes += 2) {
        const char *name = split(attributes[0], ns, sizeof(ns));
        if (*ns) {
            elem_set_ns(elem, ns, name, attributes[1]);
        } else {
            elem_set(elem, name, attributes[1]);
        }
    }
}

/* A user that shall not be read to its end: forget what was read of it, but for its name. */
static void give_up(struct pie_reader *reader, const char *fault)
{
    struct elem *bare = elem_new(arena_new(), NS_PIE, "user");
    elem_set(bare, "name", elem_get(reader->user, "name"));
    elem_free(&reader->user);
    reader->user = bare;
    reader->open = NULL;
    reader->fault = fault;
    buf_free(&reader->text);
}

static bool is_too_large(const struct pie_reader *reader)
{
    return XML_GetCurrentByteIndex(reader->parser) - reader->begins > USER_MAX_BYTES ||
           arena_bytes(reader->user->arena) > ARENA_MAX_BYTES;
}

static void end_text(struct pie_reader *reader)
{
    if (buf_len(&reader->text) == 0) return;
    elem_add_text(reader->open, (const char *)buf_data(&reader->text), buf_len(&reader->text));
    buf_free(&reader->text);
}

static void begin_user(struct pie_reader *reader, const char **attributes)
{
    struct arena *arena = arena_new();
    arena_keep_secret(arena);
    reader->user = elem_new(arena, NS_PIE, "user");
    reader->open = reader->user;
    reader->begins = XML_GetCurrentByteIndex(reader->parser);
    reader->depth = 0;
    reader->fault = NULL;
    set_attributes(reader->user, attributes);
}

static void begin_within_user(struct pie_reader *reader, const char *ns, const char *name, const char **attributes)
{
    reader->depth++;
    if (reader->fault) return;
    if (reader->depth > DEPTH_MAX) {
        give_up(reader, "its elements are too deep in each other");
    } else if (is_too_large(reader)) {
        give_up(reader, "it is larger than 64 MiB");
    } else {
        end_text(reader);
        reader->open = elem_add(reader->open, ns, name);
        set_attributes(reader->open, attributes);
    }
}

static const char *attribute(const char **attributes, const char *name)
{
    for (; *attributes; attributes += 2)
        if (strcmp(attributes[0], name) == 0) return attributes[1];
    return NULL;
}

static void begin_host(struct pie_reader *reader, const char **attributes)
{
    free(reader->host);
    reader->host = mem_strdup(attribute(attributes, "jid"));
    if (!reader->host) stop(reader, "a host has no attribute \"jid\"");
}

static void on_start(void *arg, const char *full, const char **attributes)
{
    struct pie_reader *reader = arg;
    char ns[1024];
    const char *name = split(full, ns, sizeof(ns));
    if (reader->place == IN_USER) {
        begin_within_user(reader, ns, name, attributes);
    } else if (reader->skipped > 0) {
        reader->skipped++;
    } else if (reader->place == OUTSIDE && is_pie(ns) && strcmp(name, "server-data") == 0) {
        reader->place = IN_DOCUMENT;
    } else if (reader->place == OUTSIDE) {
        stop(reader, "the outermost element is no <server-data/> of XEP-0227");
    } else if (reader->place == IN_DOCUMENT && is_pie(ns) && strcmp(name, "host") == 0) {
        reader->place = IN_HOST;
        begin_host(reader, attributes);
    } else if (reader->place == IN_HOST && is_pie(ns) && strcmp(name, "user") == 0) {
        reader->place = IN_USER;
        begin_user(reader, attributes);
    } else {
        reader->skipped = 1;
    }
}

static void end_user(struct pie_reader *reader)
{
    struct pie_user user = {.host = reader->host, .place = reader->at, .elem = reader->user, .fault = reader->fault};
    reader->user = NULL;
    reader->open = NULL;
    reader->fn(&user, reader->arg);
    if (user.elem) elem_free(&user.elem);
    reader->at[0] = '\0';
    reader->place = IN_HOST;
}

static void on_end(void *arg, const char *name)
{
    struct pie_reader *reader = arg;
    (void)name;
    if (reader->place == IN_USER && reader->depth > 0) {
        reader->depth--;
        if (reader->fault) return;
        end_text(reader);
        reader->open = reader->open->parent;
    } else if (reader->place == IN_USER) {
        end_user(reader);
    } else if (reader->skipped > 0) {
        reader->skipped--;
    } else {
        reader->place = reader->place == IN_HOST ? IN_DOCUMENT : OUTSIDE;
    }
}

/* White space between the user's parts means nothing. */
static void on_text(void *arg, const char *text, int len)
{
    struct pie_reader *reader = arg;
    if (reader->place != IN_USER || reader->fault || reader->depth == 0) return;
    if (is_too_large(reader)) {
        give_up(reader, "it is larger than 64 MiB");
    } else {
        buf_append(&reader->text, text, (size_t)len);
    }
}

static void on_instruction(void *arg, const char *target, const char *data)
{
    struct pie_reader *reader = arg;
    if (reader->place == IN_HOST && strcmp(target, PLACE_TARGET) == 0)
        snprintf(reader->at, sizeof(reader->at), "%s", data);
}

static void on_doctype(void *arg, const char *name, const char *system, const char *public, int internal)
{
    (void)name;
    (void)system;
    (void)public;
    (void)internal;
    stop(arg, "a document type declaration is not allowed");
}

struct pie_reader *pie_reader_new(pie_reader_fn *fn, void *arg)
{
    struct pie_reader *reader = MEM_NEW(struct pie_reader);
    reader->fn = fn;
    reader->arg = arg;
    reader->parser = XML_ParserCreateNS(NULL, SEPARATOR);
    CHECK(reader->parser);
    XML_SetUserData(reader->parser, reader);
    XML_SetElementHandler(reader->parser, on_start, on_end);
    XML_SetCharacterDataHandler(reader->parser, on_text);
    XML_SetProcessingInstructionHandler(reader->parser, on_instruction);
    XML_SetStartDoctypeDeclHandler(reader->parser, on_doctype);
    return reader;
}

void pie_reader_free(struct pie_reader **reader)
{
    if (!*reader) return;
    if ((*reader)->user) elem_free(&(*reader)->user);
    buf_free(&(*reader)->text);
    XML_ParserFree((*reader)->parser);
    free((*reader)->host);
    free(*reader);
    *reader = NULL;
}

int pie_reader_feed(struct pie_reader *reader, const char *data, size_t len, bool last, char *why, size_t cap)
{
    const bool parsed = XML_Parse(reader->parser, data, (int)len, last) == XML_STATUS_OK;
    reader->fed += (XML_Index)len;
    const bool too_long = reader->fed - XML_GetCurrentByteIndex(reader->parser) > TOKEN_MAX_BYTES;
    if (parsed && !too_long) return 0;
    if (parsed) reader->wrong = "a tag is longer than 4 MiB";
    const char *text = reader->wrong ? reader->wrong : XML_ErrorString(XML_GetErrorCode(reader->parser));
    snprintf(why, cap, "line %lu: %s", (unsigned long)XML_GetCurrentLineNumber(reader->parser), text);
    return -1;
}
