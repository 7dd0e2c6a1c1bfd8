#include "backend/ns.h"
#include "backend/xml.h"
#include "backend/xml_pool.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
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

static void open_all(struct xml **streams, struct xml_pool *pool)
{
    for (int i = 0; i < STREAMS; i++) {
        struct elem *header = NULL;
        streams[i] = xml_new(&XML_LIMITS_AUTHENTICATED, pool);
        assert_int_equal(feed(streams[i], HEADER, &header), XML_STREAM_START);
        elem_free(&header);
    }
}

/* Each stream's stanza is whole, though most of them have had to give their parser back meanwhile. */
static void many_streams_share_few_parsers(void **state)
{
    (void)state;
    struct xml_pool *pool = xml_pool_new();
    struct xml *streams[STREAMS];
    open_all(streams, pool);
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
    xml_pool_free(&pool);
}

/* A stream in the middle of a stanza keeps its parser: what was read is not lost. */
static void unfinished_stanzas_are_kept(void **state)
{
    (void)state;
    struct xml_pool *pool = xml_pool_new();
    struct xml *streams[STREAMS];
    struct elem *elem = NULL;
    open_all(streams, pool);
    for (int i = 0; i < STREAMS; i++)
        assert_int_equal(feed(streams[i], "<message><body>", &elem), XML_MORE);
    for (int i = 0; i < STREAMS; i++) {
        assert_int_equal(feed(streams[i], "x</body></message>", &elem), XML_STANZA);
        assert_string_equal(elem_text(elem_child(elem, NULL, "body"), NULL), "x");
        elem_free(&elem);
    }
    for (int i = 0; i < STREAMS; i++)
        xml_free(&streams[i]);
    xml_pool_free(&pool);
}

/* A parser that comes back from a broken stream, or a hostile one, tells the next stream nothing. */
static void the_next_stream_finds_nothing(void **state)
{
    (void)state;
    static const char *const BROKEN[] = {"<message></iq>", "<!DOCTYPE x>", "</stream:stream>", "<a:b/>"};
    struct xml_pool *pool = xml_pool_new();
    for (size_t i = 0; i < sizeof(BROKEN) / sizeof(BROKEN[0]); i++) {
        struct elem *elem = NULL;
        struct xml *xml = xml_new(&XML_LIMITS_AUTHENTICATED, pool);
        assert_int_equal(
            feed(xml, "<stream:stream xmlns:a='urn:a' xmlns='" NS_CLIENT "' xmlns:stream='" NS_STREAM "'>", &elem),
            XML_STREAM_START);
        elem_free(&elem);
        (void)feed(xml, BROKEN[i], &elem);
        elem_free(&elem);
        xml_free(&xml);
        xml = xml_new(&XML_LIMITS_AUTHENTICATED, pool);
        assert_int_equal(feed(xml, HEADER, &elem), XML_STREAM_START);
        elem_free(&elem);
        assert_int_equal(feed(xml, "<a:b/>", &elem), XML_FAULT); /* the prefix was the other's */
        xml_free(&xml);
    }
    xml_pool_free(&pool);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(many_streams_share_few_parsers),
        cmocka_unit_test(unfinished_stanzas_are_kept),
        cmocka_unit_test(the_next_stream_finds_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
