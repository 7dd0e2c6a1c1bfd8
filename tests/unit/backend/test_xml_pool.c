#include "backend/ns.h"
#include "backend/xml.h"
#include "backend/xml_pool.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { STREAMS = 4 * XML_POOL_PARSERS };

static const char HEADER[] = "<stream:stream xmlns='" NS_CLIENT "' xmlns:stream='" NS_STREAM "'>";

static enum xml_unit feed(struct xml *xml, const char *text, struct elem **elem)
{
    const uint8_t *data = (const uint8_t *)text;
    size_t len = strlen(text);
    const enum xml_unit unit = xml_next(xml, &data, &len, elem);
    assert_true(len == 0 || unit == XML_FAULT);
    return unit;
}

static void open_all(struct xml **streams)
{
    for (int i = 0; i < STREAMS; i++) {
        struct elem *header = NULL;
        streams[i] = xml_new(&XML_LIMITS_AUTHENTICATED);
        assert_int_equal(feed(streams[i], HEADER, &header), XML_STREAM_START);
        elem_free(&header);
    }
}

/* Each stream's stanza is whole, though others have used its parser meanwhile. */
static void many_streams_share_few_parsers(void **state)
{
    (void)state;
    struct xml *streams[STREAMS];
    open_all(streams);
    for (int round = 0; round < 3; round++) {
        for (int i = 0; i < STREAMS; i++) {
            char text[128], id[16];
            struct elem *elem = NULL;
            snprintf(id, sizeof(id), "%d", i);
            snprintf(text, sizeof(text), "<message id='%d'><a:b xmlns:a='urn:%d'/></message>", i, i);
            assert_int_equal(feed(streams[i], text, &elem), XML_STANZA);
            assert_string_equal(elem_get(elem, "id"), id);
            assert_non_null(elem_child(elem, NULL, "b"));
            elem_free(&elem);
        }
    }
    for (int i = 0; i < STREAMS; i++)
        xml_free(&streams[i]);
}

/* A stream in the middle of a stanza keeps its parser: what was read is not lost. */
static void unfinished_stanzas_are_kept(void **state)
{
    (void)state;
    struct xml *streams[STREAMS];
    struct elem *elem = NULL;
    open_all(streams);
    for (int i = 0; i < STREAMS; i++)
        assert_int_equal(feed(streams[i], "<message><body>", &elem), XML_MORE);
    for (int i = 0; i < STREAMS; i++) {
        assert_int_equal(feed(streams[i], "x</body></message>", &elem), XML_STANZA);
        assert_string_equal(elem_text(elem_child(elem, NULL, "body"), NULL), "x");
        elem_free(&elem);
    }
    for (int i = 0; i < STREAMS; i++)
        xml_free(&streams[i]);
}

/* A parser that comes back from a broken stream, or a hostile one, tells the next stream nothing. */
static void the_next_stream_finds_nothing(void **state)
{
    (void)state;
    static const char *const BROKEN[] = {"<message></iq>", "<!DOCTYPE x>", "</stream:stream>", "<a:b/>"};
    for (size_t i = 0; i < sizeof(BROKEN) / sizeof(BROKEN[0]); i++) {
        struct elem *elem = NULL;
        struct xml *xml = xml_new(&XML_LIMITS_AUTHENTICATED);
        assert_int_equal(
            feed(xml, "<stream:stream xmlns:a='urn:a' xmlns='" NS_CLIENT "' xmlns:stream='" NS_STREAM "'>", &elem),
            XML_STREAM_START);
        elem_free(&elem);
        (void)feed(xml, BROKEN[i], &elem);
        elem_free(&elem);
        xml_free(&xml);
        xml = xml_new(&XML_LIMITS_AUTHENTICATED);
        assert_int_equal(feed(xml, HEADER, &elem), XML_STREAM_START);
        elem_free(&elem);
        assert_int_equal(feed(xml, "<a:b/>", &elem), XML_FAULT); /* the prefix was the other's */
        xml_free(&xml);
    }
}

static void expect_dialect(const char *tag, const char *wanted)
{
    char *dialect = xml_pool_dialect(tag, strlen(tag));
    assert_string_equal(dialect, wanted);
    free(dialect);
}

static void a_dialect_is_what_a_root_declares(void **state)
{
    (void)state;
    expect_dialect("<a>", "<a>");
    expect_dialect("<a/>", "<a>");
    expect_dialect(" \n<a:b\txmlns:a = 'urn:a' c=\">\"/>", "<a:b xmlns:a='urn:a'>");
    expect_dialect("<a x='y' xmlns=\"urn:'\"\nxmlnsx='n' xml:lang='de' xmlns:b='urn:b' >",
                   "<a xmlns=\"urn:'\" xmlns:b='urn:b'>");
}

/* Two of a dialect are one parser, one after the other; another dialect, and one in the middle of something, get
 * another. */
static void one_parser_serves_a_dialect(void **state)
{
    (void)state;
    struct xml_parser *first = xml_pool_take("<a>"), *other = xml_pool_take("<a xmlns:b='urn:b'>");
    struct xml_parser *kept = first, *others = other;
    assert_ptr_not_equal(first, other);
    xml_pool_give(&first, "<a>");
    xml_pool_give(&other, "<a xmlns:b='urn:b'>");
    assert_null(first);
    first = xml_pool_take("<a>");
    other = xml_pool_take("<a xmlns:b='urn:b'>");
    assert_ptr_equal(first, kept);
    assert_ptr_equal(other, others);
    struct xml_parser *second = xml_pool_take("<a>");
    assert_ptr_not_equal(first, second);
    xml_pool_give(&first, "<a>");
    xml_pool_give(&second, NULL);
    xml_pool_give(&other, NULL);
}

/* Of many dialects only some are kept, and a parser that has read much is not. */
static void few_parsers_are_kept(void **state)
{
    (void)state;
    struct xml_parser *parsers[4 * XML_POOL_PARSERS];
    char dialect[64];
    for (size_t i = 0; i < ARRAY_LEN(parsers); i++) {
        snprintf(dialect, sizeof(dialect), "<a xmlns:a='urn:%zu'>", i);
        parsers[i] = xml_pool_take(dialect);
        assert_string_equal(parsers[i]->dialect, dialect);
    }
    for (size_t i = 0; i < ARRAY_LEN(parsers); i++) {
        snprintf(dialect, sizeof(dialect), "<a xmlns:a='urn:%zu'>", i);
        xml_pool_give(&parsers[i], dialect);
    }
    struct xml_parser *parser = xml_pool_take(dialect);
    assert_int_equal(XML_Parse(parser->expat, "<b/>", 4, 0), XML_STATUS_OK);
    parser->bytes = XML_POOL_PARSER_MAX_BYTES + 1;
    xml_pool_give(&parser, dialect);
    parser = xml_pool_take(dialect);
    assert_int_equal(parser->bytes, 0);
    xml_pool_give(&parser, dialect);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(many_streams_share_few_parsers), cmocka_unit_test(unfinished_stanzas_are_kept),
        cmocka_unit_test(the_next_stream_finds_nothing),  cmocka_unit_test(a_dialect_is_what_a_root_declares),
        cmocka_unit_test(one_parser_serves_a_dialect),    cmocka_unit_test(few_parsers_are_kept),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
