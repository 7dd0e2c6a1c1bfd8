#include "backend/xml.h"

#include "backend/ns.h"
#include "backend/xml_pool.h"
#include "backend/xml_scan.h"
#include "lib/mem.h"

#include <expat.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

enum {
    XML_MAGIC = 0x786d6c31,
    RECENT_NAMESPACES = 8,
    HEADER_MAX_BYTES = 10000, /* an idle stream keeps what it declares, and a new parser reads it */
    /* Memory of one stanza: so much, and so many times what it may have on the wire. */
    ARENA_SLACK_BYTES = 64 * 1024,
    ARENA_FACTOR = 32
};

const struct xml_limits XML_LIMITS_UNAUTHENTICATED = {
    .stanza_bytes = 10000, /* the least that RFC 6120 section 13.12 allows */
    .depth = 12,
    .attributes = 32,
    .name_bytes = 512,
    .elements = 64,
    .secret = true,
};

const struct xml_limits XML_LIMITS_AUTHENTICATED = {
    .stanza_bytes = 262144,
    .depth = 100,
    .attributes = 64,
    .name_bytes = 1024,
    .elements = 8192,
};

/* A tag is fed to Expat whole, with the text before it, so Expat never holds an unfinished token.  The parser is there
 * from the first tag of a unit that is complete to the end of the unit: between units it serves other streams. */
struct xml {
    unsigned magic;
    struct xml_limits limits;
    struct xml_scan scan;
    struct xml_parser *parser;             /* NULL: none at the moment */
    struct buf pending;                    /* bytes of the unit that no tag has ended yet */
    struct buf text;                       /* of the open element, not yet a node */
    const char *dialect;                   /* of the root's start tag: see xml_pool; NULL before it */
    char *rare_dialect;                    /* the same, when it is not one of COMMON_DIALECTS */
    const char *content_ns;                /* declared by it as the default; static */
    size_t unit_bytes;                     /* of the unit being read, so far */
    struct elem *unit;                     /* being built; NULL: none */
    struct elem *open;                     /* the element in it whose content is being read */
    const char *recent[RECENT_NAMESPACES]; /* of this unit, in its arena */
    unsigned recent_next;
    unsigned depth;         /* open elements, the root included */
    unsigned elements;      /* of this unit */
    size_t namespace_bytes; /* of this unit, when printed */
    unsigned declarations;  /* of namespaces, in the tag being read */
    unsigned events;        /* tags and declarations that Expat told of in this feed */
    bool restarted;         /* after xml_reset: white space that was meant for the last stream may come first */
    bool start_ready, stanza_ready, end_ready, ended;
    const char *condition; /* NULL: no fault */
    const char *text_of_fault;
};

static void set_fault(struct xml *xml, const char *condition, const char *text)
{
    if (xml->condition) return;
    xml->condition = condition;
    xml->text_of_fault = text;
}

static struct xml *from_expat(void *arg)
{
    struct xml *xml = arg;
    CHECK_MAGIC(xml, XML_MAGIC);
    return xml;
}

/* share_ns - the namespace as a string that lives as long as the unit; a long one used often is stored once. */
static const char *share_ns(struct xml *xml, const char *ns, size_t len)
{
    if (len == strlen(NS_XML) && memcmp(ns, NS_XML, len) == 0) return NS_XML;
    for (unsigned i = 0; i < RECENT_NAMESPACES && xml->recent[i]; i++) {
        if (strlen(xml->recent[i]) == len && memcmp(xml->recent[i], ns, len) == 0) return xml->recent[i];
    }
    const char *shared = arena_strndup(xml->unit->arena, ns, len);
    xml->recent[xml->recent_next++ % RECENT_NAMESPACES] = shared;
    return shared;
}

/* split_name - the local part of one of Expat's names; ns and *ns_len are what stands before it. */
static const char *split_name(const char *name, size_t *ns_len)
{
    const char *separator = strchr(name, XML_POOL_SEPARATOR[0]);
    *ns_len = separator ? (size_t)(separator - name) : 0;
    return separator ? separator + 1 : name;
}

/* name_space - the namespace of an element or attribute, shared; outer is one that it need not be printed with.  A
 * prefix makes a long one cheap to send, but who prints the stanza writes it out wherever it changes: all together may
 * have the bytes of a stanza. */
static const char *name_space(struct xml *xml, const char *ns, size_t len, const char *outer)
{
    const char *shared = share_ns(xml, ns, len);
    if (outer && elem_same(shared, outer)) return shared;
    xml->namespace_bytes += len;
    if (xml->namespace_bytes > xml->limits.stanza_bytes) {
        set_fault(xml, "policy-violation", "namespace limit exceeded: too many changes of long namespaces");
    }
    return shared;
}

static void add_attribute(struct xml *xml, struct elem *e, const char *name, const char *value)
{
    size_t ns_len = 0;
    const char *local = split_name(name, &ns_len);
    /* Expat has seen to it that no attribute comes twice. */
    struct elem_attr *attr = arena_alloc(e->arena, sizeof(*attr));
    attr->ns = ns_len > 0 ? name_space(xml, name, ns_len, NS_XML) : NULL;
    attr->name = arena_strdup(e->arena, local);
    attr->value = arena_strdup(e->arena, value);
    if (e->attrs_last) {
        e->attrs_last->next = attr;
    } else {
        e->attrs = attr;
    }
    e->attrs_last = attr;
}

/* within_limits - whether the start tag may be added to the unit; sets the fault if not. */
static bool within_limits(struct xml *xml, const char *name, const char **attributes)
{
    const struct xml_limits *limits = &xml->limits;
    size_t count = xml->declarations, longest = strlen(name);
    for (const char **a = attributes; *a; a += 2) {
        size_t len = strlen(*a);
        if (len > longest) longest = len;
        count++;
    }
    if (xml->depth > limits->depth) {
        set_fault(xml, "policy-violation", "depth limit exceeded: too many nested elements");
    } else if (count > limits->attributes) {
        set_fault(xml, "policy-violation", "attribute limit exceeded: too many attributes on an element");
    } else if (longest > limits->name_bytes) {
        set_fault(xml, "policy-violation", "name limit exceeded: too long a name or namespace");
    } else if (xml->elements >= limits->elements) {
        set_fault(xml, "policy-violation", "element limit exceeded: too many elements in a stanza");
    } else if (xml->unit && arena_bytes(xml->unit->arena) > ARENA_SLACK_BYTES + ARENA_FACTOR * limits->stanza_bytes) {
        set_fault(xml, "policy-violation", "memory limit exceeded: too costly a stanza");
    }
    return xml->condition == NULL;
}

static void flush_text(struct xml *xml)
{
    size_t len = buf_len(&xml->text);
    if (len == 0) return;
    elem_add_text(xml->open, (const char *)buf_data(&xml->text), len);
    buf_consume(&xml->text, len);
}

static void XMLCALL on_start(void *arg, const XML_Char *name, const XML_Char **attributes)
{
    struct xml *xml = from_expat(arg);
    xml->events++;
    if (xml->condition || !within_limits(xml, name, attributes)) return;
    size_t ns_len = 0;
    const char *local = split_name(name, &ns_len);
    struct elem *e = NULL;
    if (xml->unit) {
        flush_text(xml);
        e = elem_add(xml->open, NULL, local);
    } else {
        e = xml->unit = elem_new(arena_new(), NULL, local);
        if (xml->limits.secret) arena_keep_secret(e->arena);
    }
    e->ns = name_space(xml, name, ns_len, e->parent ? e->parent->ns : NULL);
    for (const XML_Char **a = attributes; *a; a += 2) {
        add_attribute(xml, e, a[0], a[1]);
    }
    xml->open = e;
    xml->declarations = 0;
    xml->elements++;
    xml->start_ready = xml->depth++ == 0;
}

static void XMLCALL on_end(void *arg, const XML_Char *name)
{
    (void)name;
    struct xml *xml = from_expat(arg);
    xml->events++;
    if (xml->condition) return;
    xml->depth--;
    if (xml->depth == 0) {
        xml->end_ready = true;
        return;
    }
    flush_text(xml);
    xml->open = xml->open->parent;
    xml->stanza_ready = xml->depth == 1;
}

static void XMLCALL on_text(void *arg, const XML_Char *text, int len)
{
    struct xml *xml = from_expat(arg);
    if (xml->condition || xml->depth < 2) return;
    buf_append(&xml->text, text, (size_t)len);
}

/* One that nobody asks for need not be kept. */
static const char *known_content(const char *ns)
{
    static const char *const KNOWN[] = {NS_CLIENT, NS_SERVER, NS_STREAM, NS_COMPONENT};
    for (size_t i = 0; i < ARRAY_LEN(KNOWN); i++) {
        if (strcmp(ns, KNOWN[i]) == 0) return KNOWN[i];
    }
    return "";
}

static void XMLCALL on_namespace(void *arg, const XML_Char *prefix, const XML_Char *ns)
{
    struct xml *xml = from_expat(arg);
    xml->declarations++;
    if (xml->depth == 0 && !prefix) xml->content_ns = ns ? known_content(ns) : NULL;
}

static void XMLCALL on_declaration(void *arg, const XML_Char *version, const XML_Char *encoding, int standalone)
{
    (void)standalone;
    struct xml *xml = from_expat(arg);
    xml->events++;
    if (version && strcmp(version, "1.0") != 0)
        set_fault(xml, "not-well-formed", "only version 1.0 of XML is supported");
    if (encoding && strcasecmp(encoding, "UTF-8") != 0) {
        set_fault(xml, "unsupported-encoding", "only UTF-8 is supported");
    }
}

static void fault_from_expat(struct xml *xml)
{
    enum XML_Error error = XML_GetErrorCode(xml->parser->expat);
    const char *condition = "not-well-formed";
    switch ((int)error) {
    case XML_ERROR_UNDEFINED_ENTITY:
    case XML_ERROR_RECURSIVE_ENTITY_REF:
    case XML_ERROR_ASYNC_ENTITY:
    case XML_ERROR_BINARY_ENTITY_REF:
    case XML_ERROR_ATTRIBUTE_EXTERNAL_ENTITY_REF:
    case XML_ERROR_EXTERNAL_ENTITY_HANDLING:
        condition = "restricted-xml";
        break;
    case XML_ERROR_UNKNOWN_ENCODING:
    case XML_ERROR_INCORRECT_ENCODING:
        condition = "unsupported-encoding";
        break;
    }
    set_fault(xml, condition, XML_ErrorString(error));
}

/* What nearly all streams declare needs no memory of each. */
static const char *const COMMON_DIALECTS[] = {
    "<stream:stream xmlns='" NS_CLIENT "' xmlns:stream='" NS_STREAM "'>",
    "<stream:stream xmlns:stream='" NS_STREAM "' xmlns='" NS_CLIENT "'>",
};

static void keep_dialect(struct xml *xml, char *dialect)
{
    xml->dialect = xml->rare_dialect = dialect;
    for (size_t i = 0; i < ARRAY_LEN(COMMON_DIALECTS); i++) {
        if (strcmp(xml->dialect, COMMON_DIALECTS[i]) != 0) continue;
        xml->dialect = COMMON_DIALECTS[i];
        free(xml->rare_dialect);
        xml->rare_dialect = NULL;
    }
}

static void parser_give(struct xml *xml)
{
    if (!xml->parser) return;
    const bool between = xml->depth == 1 && !xml->unit && !xml->condition;
    xml_pool_give(&xml->parser, between ? xml->dialect : NULL);
}

static void parser_take(struct xml *xml)
{
    xml->parser = xml_pool_take(xml->dialect);
    XML_Parser expat = xml->parser->expat;
    XML_SetUserData(expat, xml);
    XML_SetElementHandler(expat, on_start, on_end);
    XML_SetCharacterDataHandler(expat, on_text);
    XML_SetStartNamespaceDeclHandler(expat, on_namespace);
    XML_SetXmlDeclHandler(expat, on_declaration);
}

/* parse - as XML_Parse, which would leave a copy in the parser: there may be a password in it. */
static enum XML_Status parse(XML_Parser parser, const uint8_t *data, size_t len)
{
    void *room = XML_GetBuffer(parser, (int)len);
    if (!room) return XML_STATUS_ERROR;
    memcpy(room, data, len);
    const enum XML_Status status = XML_ParseBuffer(parser, (int)len, 0);
    mem_wipe(room, len); /* whole tags: Expat is done with it, or with the stream */
    return status;
}

/* feed - give Expat what ends with a tag. */
static void feed(struct xml *xml, const uint8_t *data, size_t len)
{
    if (!xml->parser) parser_take(xml);
    xml->events = 0;
    xml->declarations = 0;
    xml->parser->bytes += len;
    if (parse(xml->parser->expat, data, len) != XML_STATUS_OK) {
        fault_from_expat(xml);
    } else if (xml->events == 0) {
        set_fault(xml, "not-well-formed", "incomplete character in a tag");
    }
    if (xml->start_ready && !xml->condition) keep_dialect(xml, xml_pool_dialect((const char *)data, len));
}

/* feed_pending - the same with what came before in front. */
static void feed_with_pending(struct xml *xml, const uint8_t *data, size_t len)
{
    if (buf_len(&xml->pending) == 0) {
        feed(xml, data, len);
        return;
    }
    buf_append(&xml->pending, data, len);
    feed(xml, buf_data(&xml->pending), buf_len(&xml->pending));
    buf_free(&xml->pending);
}

static void drop_unit(struct xml *xml)
{
    elem_free(&xml->unit);
    buf_free(&xml->text);
    buf_free(&xml->pending);
}

static struct elem *take_unit(struct xml *xml)
{
    struct elem *unit = xml->unit;
    xml->unit = xml->open = NULL;
    xml->unit_bytes = 0;
    xml->elements = 0;
    xml->namespace_bytes = 0;
    xml->recent_next = 0;
    memset(xml->recent, 0, sizeof(xml->recent));
    return unit;
}

static enum xml_unit finish(struct xml *xml, enum xml_unit unit)
{
    drop_unit(xml);
    parser_give(xml);
    xml->unit_bytes = 0;
    xml->ended = true;
    return unit;
}

/* deliver - the unit that is complete, or XML_MORE. */
static enum xml_unit deliver(struct xml *xml, struct elem **elem)
{
    if (xml->condition) return finish(xml, XML_FAULT);
    if (xml->start_ready || xml->stanza_ready) {
        enum xml_unit unit = xml->start_ready ? XML_STREAM_START : XML_STANZA;
        xml->start_ready = xml->stanza_ready = false;
        *elem = take_unit(xml);
        if (!xml->end_ready) parser_give(xml);
        return unit;
    }
    if (xml->end_ready) {
        xml->end_ready = false;
        return finish(xml, XML_STREAM_END);
    }
    return XML_MORE;
}

static enum xml_scan_place place(const struct xml *xml)
{
    if (xml->depth > 1) return XML_SCAN_CONTENT;
    return xml->depth == 1 ? XML_SCAN_BETWEEN : XML_SCAN_PROLOG;
}

/* skip_white - drop white space where it means nothing. */
static void skip_white(const struct xml *xml, const uint8_t **data, size_t *len)
{
    if (xml->unit_bytes > 0 || (!xml->dialect && !xml->restarted)) return;
    while (*len > 0 && xml_scan_is_white(**data)) {
        (*data)++;
        (*len)--;
    }
}

/* read_tag - read up to the end of one tag. */
static void read_tag(struct xml *xml, const uint8_t **data, size_t *len)
{
    size_t limit = xml->limits.stanza_bytes;
    if (!xml->dialect && limit > HEADER_MAX_BYTES) limit = HEADER_MAX_BYTES;
    size_t room = limit > xml->unit_bytes ? limit - xml->unit_bytes : 0;
    size_t used = 0;
    const uint8_t *from = *data;
    enum xml_scan_result result = xml_scan_next(&xml->scan, from, *len < room ? *len : room, &used);
    xml->unit_bytes += used;
    *data += used;
    *len -= used;
    if (result == XML_SCAN_FAULT) {
        set_fault(xml, xml->scan.condition, xml->scan.text);
    } else if (result == XML_SCAN_TAG) {
        feed_with_pending(xml, from, used);
        xml_scan_enter(&xml->scan, place(xml));
    } else if (*len > 0) {
        set_fault(xml, "policy-violation", "stanza size limit exceeded");
    } else {
        buf_append(&xml->pending, from, used);
    }
}

enum xml_unit xml_next(struct xml *xml, const uint8_t **data, size_t *len, struct elem **elem)
{
    *elem = NULL;
    if (xml->condition) return XML_FAULT;
    enum xml_unit unit = deliver(xml, elem); /* the end of a root that was empty */
    while (unit == XML_MORE && *len > 0) {
        if (xml->ended) {
            *data += *len;
            *len = 0;
            break;
        }
        skip_white(xml, data, len);
        if (*len == 0) break;
        read_tag(xml, data, len);
        unit = deliver(xml, elem);
    }
    return unit;
}

struct xml *xml_new(const struct xml_limits *limits)
{
    struct xml *xml = MEM_NEW(struct xml);
    xml->magic = XML_MAGIC;
    xml->limits = *limits;
    xml->text.secret = xml->pending.secret = true;
    xml_scan_enter(&xml->scan, XML_SCAN_START);
    return xml;
}

/* clear - give back everything that hangs on it. */
static void clear(struct xml *xml)
{
    if (xml->parser) xml_pool_give(&xml->parser, NULL);
    drop_unit(xml);
    free(xml->rare_dialect);
}

void xml_free(struct xml **xml)
{
    if (!*xml) return;
    CHECK_MAGIC(*xml, XML_MAGIC);
    clear(*xml);
    (*xml)->magic = 0;
    free(*xml);
    *xml = NULL;
}

void xml_set_limits(struct xml *xml, const struct xml_limits *limits)
{
    xml->limits = *limits;
}

size_t xml_max_bytes(const struct xml *xml)
{
    return xml->limits.stanza_bytes;
}

void xml_reset(struct xml *xml)
{
    clear(xml);
    *xml = (struct xml){.magic = XML_MAGIC, .limits = xml->limits, .restarted = true};
    xml_scan_enter(&xml->scan, XML_SCAN_START);
}

const char *xml_fault(const struct xml *xml, const char **text)
{
    if (text) *text = xml->text_of_fault;
    return xml->condition;
}

const char *xml_content_ns(const struct xml *xml)
{
    return xml->content_ns;
}

int xml_idle(const struct xml *xml)
{
    return xml->unit_bytes == 0 && !xml->end_ready;
}
