#include "backend/elem_parse.h"

#include "backend/ns.h"

#include <string.h>

/* More than what can come of the largest stanza that a client may send.  Escapes make it six times as long at the most,
 * and so its namespaces, which are written out; an attribute may have to declare its namespace where it stands; the
 * server adds a delay, addresses and the like. */
static const struct xml_limits LIMITS = {
    .stanza_bytes = (size_t)256 * 1024 * 1024,
    .depth = 256,
    .attributes = 512,
    .name_bytes = 8192,
    .elements = 65536,
};

static const char HEADER[] = "<stream:stream xmlns='" NS_CLIENT "' xmlns:stream='" NS_STREAM "'>";

static enum xml_unit next(struct xml *parser, const char *text, size_t *len, struct elem **elem)
{
    const uint8_t *data = (const uint8_t *)text;
    return xml_next(parser, &data, len, elem);
}

static struct xml *open_parser(void)
{
    struct xml *parser = xml_new(&LIMITS);
    struct elem *header = NULL;
    size_t len = sizeof(HEADER) - 1;
    CHECK(next(parser, HEADER, &len, &header) == XML_STREAM_START);
    elem_free(&header);
    return parser;
}

struct elem *elem_parse(struct xml **parser, const char *text, size_t len)
{
    struct elem *elem = NULL;
    if (!*parser) *parser = open_parser();
    if (next(*parser, text, &len, &elem) == XML_STANZA && len == 0) return elem;
    elem_free(&elem);
    xml_free(parser); /* what it is in the middle of must not meet the next text */
    return NULL;
}
