#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "backend/ns.h"
#include "backend/xml.h"

#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define HEADER "<stream:stream xmlns='jabber:client' xmlns:stream='" NS_STREAM "' version='1.0'>"

static const struct xml_limits small = {
    .stanza_bytes = 200, .depth = 3, .attributes = 4, .name_bytes = 60, .elements = 5};

struct pieces {
    size_t first, then; /* lengths of the first piece and of the others; 0: all */
};

/* tell - write what the parser says of bytes given in pieces: "S(…)" header, "(…)" stanza, "E" end, "!condition". */
static bool tell_unit(struct xml *xml, enum xml_unit unit, struct elem *elem, struct buf *out)
{
    switch (unit) {
    case XML_MORE:
        return false;
    case XML_STREAM_START:
    case XML_STANZA:
        buf_append_str(out, unit == XML_STANZA ? "(" : "S(");
        elem_print(elem, NS_CLIENT, out);
        buf_append_str(out, ")");
        assert_null(elem->parent);
        elem_free(&elem);
        return true;
    case XML_STREAM_END:
        buf_append_str(out, "E");
        return true;
    case XML_FAULT:
        break;
    }
    const char *text = NULL;
    buf_printf(out, "!%s", xml_fault(xml, &text));
    assert_non_null(text);
    return false;
}

static void tell(struct xml *xml, const char *text, size_t len, struct pieces pieces, struct buf *out)
{
    size_t at = 0, piece = pieces.first;
    while (at < len) {
        size_t n = piece && piece < len - at ? piece : len - at;
        /* a copy of its own, so that reading too far is seen */
        uint8_t *copy = mem_alloc(n);
        memcpy(copy, text + at, n);
        const uint8_t *data = copy;
        size_t left = n;
        struct elem *elem = NULL;
        enum xml_unit unit = XML_MORE;
        do {
            unit = xml_next(xml, &data, &left, &elem);
        } while (tell_unit(xml, unit, elem, out));
        free(copy);
        if (unit == XML_FAULT) break;
        assert_int_equal(left, 0);
        at += n;
        piece = pieces.then;
    }
    buf_append(out, "", 1);
}

static void expect_len(const struct xml_limits *limits, const char *text, size_t len, const char *wanted)
{
    /* whole, byte by byte, and in two pieces with every cut */
    for (size_t cut = 0; cut <= len + 2; cut++) {
        struct pieces pieces = {cut, cut == 1 ? 1 : 0};
        struct xml *xml = xml_new(limits);
        struct buf out = {0};
        tell(xml, text, len, pieces, &out);
        assert_string_equal((const char *)buf_data(&out), wanted);
        buf_free(&out);
        xml_free(&xml);
        assert_null(xml);
    }
}

static void expect(const char *text, const char *wanted)
{
    expect_len(&XML_LIMITS_UNAUTHENTICATED, text, strlen(text), wanted);
}

#define START "S(<stream xmlns='" NS_STREAM "' version='1.0'/>)"

/* in_stream - the same after a header. */
static void in_stream(const struct xml_limits *limits, const char *text, const char *wanted)
{
    struct buf all = {0}, told = {0};
    buf_append_str(&all, HEADER);
    buf_append_str(&all, text);
    buf_append_str(&told, START);
    buf_append(&told, wanted, strlen(wanted) + 1);
    expect_len(limits, (const char *)buf_data(&all), buf_len(&all), (const char *)buf_data(&told));
    buf_free(&all);
    buf_free(&told);
}

static void a_stream_is_cut_into_units(void **state)
{
    (void)state;
    expect(
        "<?xml version='1.0' encoding='utf-8'?>\n" HEADER
        "<message to='a'><body>x &lt; y &#38; z</body></message> \n\t <iq/>\r\n<presence></presence></stream:stream> ",
        START "(<message to='a'><body>x &lt; y &amp; z</body></message>)(<iq/>)(<presence/>)E");
    expect(" \n" HEADER "</stream:stream>junk", START "E");
    expect("", "");
    expect("<a/>", "S(<a xmlns=''/>)E");
    expect("<a/><b/>", "S(<a xmlns=''/>)E");
    expect("<a>  <b/></a>", "S(<a xmlns=''/>)(<b xmlns=''/>)E");
    in_stream(&XML_LIMITS_AUTHENTICATED, "<a b='>\"' c=\"/>'\"><![CDATA[<x>]]&amp;]]]]></a >",
              "(<a b='&gt;&quot;' c='/&gt;&apos;'>&lt;x&gt;]]&amp;amp;]]</a>)");
    in_stream(&XML_LIMITS_AUTHENTICATED, "<a>1<![CDATA[2]]>3<b/>4\r\n5&#13;</a>", "(<a>123<b/>4\n5&#13;</a>)");
    in_stream(&XML_LIMITS_AUTHENTICATED, "<\xC3\xA4>\xF0\x9F\x98\x80</\xC3\xA4>",
              "(<\xC3\xA4>\xF0\x9F\x98\x80</\xC3\xA4>)");
}

static void namespaces_are_resolved(void **state)
{
    (void)state;
    expect("<s:stream xmlns:s='" NS_STREAM "' xmlns:c='jabber:client' xml:lang='de' c:x='1'><c:message xml:lang='en'>"
           "<c:body/><s/></c:message><message/></s:stream>",
           "S(<stream xmlns='" NS_STREAM "' xml:lang='de' xmlns:n1='jabber:client' n1:x='1'/>)"
           "(<message xml:lang='en'><body/><s xmlns=''/></message>)(<message xmlns=''/>)E");
    in_stream(&XML_LIMITS_AUTHENTICATED,
              "<a xmlns='urn:1'><a xmlns='urn:2'><a xmlns=''><a xmlns='urn:1'/></a></a><p:a xmlns:p='urn:1'/></a><a/>",
              "(<a xmlns='urn:1'><a xmlns='urn:2'><a xmlns=''><a xmlns='urn:1'/></a></a><a/></a>)(<a/>)");
    in_stream(&XML_LIMITS_AUTHENTICATED, "<stream:error><xml:odd/></stream:error>",
              "(<error xmlns='" NS_STREAM "'><xml:odd/></error>)");
    in_stream(&XML_LIMITS_AUTHENTICATED, "<p:a/>", "!not-well-formed");
    in_stream(&XML_LIMITS_AUTHENTICATED, "<a p:b=''/>", "!not-well-formed");
    in_stream(&XML_LIMITS_AUTHENTICATED, "<a xmlns:p=''/>", "!not-well-formed");
    in_stream(&XML_LIMITS_AUTHENTICATED, "<a xmlns:xmlns='urn:x'/>", "!not-well-formed");
    in_stream(&XML_LIMITS_AUTHENTICATED, "<a xmlns:p='u' xmlns:q='u' p:a='' q:a=''/>", "!not-well-formed");
    in_stream(&XML_LIMITS_AUTHENTICATED, "<a:b:c xmlns:a='u'/>", "!not-well-formed");
}

static void the_namespace_of_the_stanzas_is_told(void **state)
{
    static const struct {
        const char *declared, *content;
    } rows[] = {{"xmlns='jabber:client'", NS_CLIENT},
                {"xmlns='jabber:server' xmlns:client='jabber:client'", NS_SERVER},
                {"xmlns='jabber:whatever'", ""},
                {"xmlns='" NS_STREAM "'", NS_STREAM},
                {"xmlns=''", NULL},
                {"xmlns:client='jabber:client'", NULL}};
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct xml *xml = xml_new(&XML_LIMITS_UNAUTHENTICATED);
        char text[256];
        snprintf(text, sizeof(text), "<s:stream xmlns:s='" NS_STREAM "' %s><s:a xmlns='jabber:server'/>",
                 rows[i].declared);
        const uint8_t *data = (const uint8_t *)text;
        size_t len = strlen(text);
        for (enum xml_unit wanted = XML_STREAM_START; wanted <= XML_STANZA; wanted++) {
            struct elem *elem = NULL;
            assert_int_equal(xml_next(xml, &data, &len, &elem), wanted);
            elem_free(&elem);
            const char *content = xml_content_ns(xml);
            assert_true(content && rows[i].content ? strcmp(content, rows[i].content) == 0
                                                   : content == rows[i].content);
        }
        xml_reset(xml);
        assert_null(xml_content_ns(xml));
        xml_free(&xml);
    }
}

static void what_is_not_xml_is_refused_at_once(void **state)
{
    (void)state;
    expect("GET / HTTP/1.1\r\nHost: xmpps.example.test\r\n\r\n", "!not-well-formed");
    expect("G", "!not-well-formed");
    expect("\x16\x03\x01", "!not-well-formed");
    expect("\xEF\xBB\xBF" HEADER, "!not-well-formed"); /* RFC 6120 section 11.6: no byte order mark */
    expect("\xFF\xFE<", "!unsupported-encoding");
    expect("< a", "!not-well-formed");
    expect("<1", "!not-well-formed");
    expect("<a <", "!not-well-formed");
    expect("<a b='<", "!not-well-formed");
    expect("<a\x01", "!not-well-formed");
    expect("<?xml version='1.0'?>x", "!not-well-formed");
    expect("<?xml version='1.0'?></a>", "!not-well-formed");
    expect("<?xml version='1.0' <", "!not-well-formed");
    expect("<?xml?>", "!restricted-xml");
    expect("<?xml encoding='utf-8'?>", "!not-well-formed");
    expect_len(&XML_LIMITS_UNAUTHENTICATED, "<a\0", 3, "!not-well-formed");
    expect_len(&XML_LIMITS_UNAUTHENTICATED, "\0<", 2, "!not-well-formed");
    expect_len(&XML_LIMITS_UNAUTHENTICATED, HEADER "<a>\0", sizeof(HEADER) + 3, START "!not-well-formed");
}

static void faults_inside_a_stream(void **state)
{
    (void)state;
    const struct xml_limits *limits = &XML_LIMITS_AUTHENTICATED;
    in_stream(limits, "<a></b>", "!not-well-formed");
    in_stream(limits, "<a></stream:stream>", "!not-well-formed");
    in_stream(limits, "<a/></a>", "(<a/>)!not-well-formed");
    in_stream(limits, "<a b='1' b='2'/>", "!not-well-formed");
    in_stream(limits, "<a b=1/>", "!not-well-formed");
    in_stream(limits, "<a></a b='>'>", "!not-well-formed");
    in_stream(limits, "<a>]]></a>", "!not-well-formed");
    in_stream(limits, "<a>&#0;</a>", "!not-well-formed");
    in_stream(limits, "<a>&#xD800;</a>", "!not-well-formed");
    in_stream(limits, "<a>\xC3(</a>", "!not-well-formed");
    in_stream(limits, "<a>\xED\xA0\x80</a>", "!not-well-formed");
    in_stream(limits, "<a>\xC0\x80", "!not-well-formed");
    in_stream(limits, "<a\xF0>", "!not-well-formed");
    in_stream(limits, "<a b='\xE2'>", "!not-well-formed");
    in_stream(limits, "x", "!bad-format");
    in_stream(limits, "<a/> &#32;", "(<a/>)!bad-format");
    in_stream(limits, "<![CDATA[x]]>", "!restricted-xml");
    in_stream(limits, "<?xml version='1.0'?>", "!restricted-xml");
    in_stream(limits, HEADER "<a/></stream:stream>",
              "(<stream xmlns='" NS_STREAM "' version='1.0'><a xmlns='jabber:client'/></stream>)");
}

static void what_xmpp_forbids_is_restricted(void **state)
{
    (void)state;
    const struct xml_limits *limits = &XML_LIMITS_AUTHENTICATED;
    expect("<!DOCTYPE a [<!ENTITY x 'y'>]><a>&x;</a>", "!restricted-xml");
    expect("<?xml version='1.0'?><!", "!restricted-xml");
    expect("<?php", "!restricted-xml");
    expect(" <?xml version='1.0'?>", "!restricted-xml");
    expect("<?xml-stylesheet href='x'?>", "!restricted-xml");
    expect("<!--", "!restricted-xml");
    in_stream(limits, "<!--", "!restricted-xml");
    in_stream(limits, "<a><!-", "!restricted-xml");
    in_stream(limits, "<a><![CDAT!", "!restricted-xml");
    in_stream(limits, "<a><!DOCTYPE", "!restricted-xml");
    in_stream(limits, "<a><?", "!restricted-xml");
    in_stream(limits, "<a>&nbsp;</a>", "!restricted-xml");
    in_stream(limits, "<a b='&x;'/>", "!restricted-xml");
    in_stream(limits, "<a>&amp;&apos;&quot;&gt;&#x41;</a>", "(<a>&amp;'\"&gt;A</a>)");
    expect("<?xml version='1.0' encoding='ISO-8859-1'?><a/>", "!unsupported-encoding");
    expect("<?xml version='1.0' encoding='UTF-16'?><a/>", "!unsupported-encoding");
    expect("<?xml version='1.0' encoding='UTF-8' standalone='yes'?><a/>", "S(<a xmlns=''/>)E");
}

static void limits_are_exact(void **state)
{
    (void)state;
    in_stream(&small, "<a><b><c/></b></a>", "(<a><b><c/></b></a>)");
    in_stream(&small, "<a><b><c><d/></c></b></a>", "!policy-violation");
    in_stream(&small, "<a><b/><b/><b/><b/></a><a/>", "(<a><b/><b/><b/><b/></a>)(<a/>)");
    in_stream(&small, "<a><b/><b/><b/><b/><b/></a>", "!policy-violation");
    in_stream(&small, "<a a='' b='' c='' d=''/>", "(<a a='' b='' c='' d=''/>)");
    in_stream(&small, "<a a='' b='' c='' d='' e=''/>", "!policy-violation");
    in_stream(&small, "<a a='' b='' c='' xmlns:d='d' xmlns:e='e'/>", "!policy-violation");
    in_stream(&small, "<a xmlns='urn:5678901234567890123456789012345678901234567890123456789'/>", "!policy-violation");
    in_stream(&small, "<a123456789012345678901234567890123456789012345678901234567890/>", "!policy-violation");
    in_stream(&small, "<a x123456789012345678901234567890123456789012345678901234567890=''/>", "!policy-violation");

    char stanza[220] = "<a>";
    memset(stanza + 3, 'x', sizeof(stanza) - 3);
    struct buf wanted = {0};
    memcpy(stanza + small.stanza_bytes - 4, "</a>", 5); /* exactly the limit, white space not counted */
    buf_printf(&wanted, "(%s)", stanza);
    buf_append(&wanted, "", 1);
    char text[300];
    (void)snprintf(text, sizeof(text), "  %s ", stanza);
    in_stream(&small, text, (const char *)buf_data(&wanted));
    buf_free(&wanted);
    memset(stanza + small.stanza_bytes - 4, 'x', 5);
    memcpy(stanza + small.stanza_bytes - 3, "</a>", 5); /* one more */
    in_stream(&small, stanza, "!policy-violation");
}

static const char *fault_of(struct xml *xml, const char *part, size_t times)
{
    for (size_t i = 0; i < times; i++) {
        const uint8_t *data = (const uint8_t *)part;
        size_t len = strlen(part);
        struct elem *elem = NULL;
        enum xml_unit unit = xml_next(xml, &data, &len, &elem);
        elem_free(&elem);
        if (unit == XML_FAULT) return xml_fault(xml, NULL);
    }
    return NULL;
}

static void floods_end_in_faults(void **state)
{
    (void)state;
    static const char *const floods[][2] = {
        {"", "<a>"},      {"<a ", "xmlns:a='u' "},
        {"<a ", "b='' "}, {"<a", "a"},
        {"<a>", "x"},     {"<a>", "&"},
        {"<a>", "]"},     {"<a><![CDATA[", "]"},
        {"<a b='", ">"},  {"<a>", "<b/>"},
        {"</a", " "},     {"<a>", "<b xmlns='urn:something:or:other'>"},
    };
    for (size_t i = 0; i < sizeof(floods) / sizeof(floods[0]); i++) {
        struct xml *xml = xml_new(&XML_LIMITS_AUTHENTICATED);
        assert_null(fault_of(xml, HEADER, 1));
        if (*floods[i][0]) assert_null(fault_of(xml, floods[i][0], 1));
        assert_non_null(fault_of(xml, floods[i][1], 307200));
        xml_free(&xml);
    }
    struct xml *xml = xml_new(&XML_LIMITS_UNAUTHENTICATED);
    assert_string_equal(fault_of(xml, " ", 10001), "policy-violation"); /* before a header white space counts too */
    assert_string_equal(fault_of(xml, HEADER, 1), "policy-violation");  /* and a fault stays */
    xml_free(&xml);
}

#ifdef POSTERN_SANITIZED
size_t __sanitizer_get_current_allocated_bytes(void);

static size_t heap_bytes(void)
{
    return __sanitizer_get_current_allocated_bytes();
}
#else
static size_t heap_bytes(void)
{
    return mallinfo2().uordblks;
}
#endif

static void names_made_up_for_ever_cost_no_memory(void **state)
{
    (void)state;
    struct xml *xml = xml_new(&XML_LIMITS_UNAUTHENTICATED);
    assert_null(fault_of(xml, HEADER, 1));
    size_t before = heap_bytes();
    for (unsigned i = 0; i < 200000; i++) {
        char stanza[64];
        (void)snprintf(stanza, sizeof(stanza), "<a%x b%x='' xmlns:c%x='u'/>", i, i, i);
        assert_null(fault_of(xml, stanza, 1));
        if (i % 100 == 0) assert_true(heap_bytes() < before + 2 * 1024 * 1024);
    }
    xml_free(&xml);
}

#define TEN_BYTES "urn:567890"
#define HUNDRED_BYTES                                                                                                  \
    TEN_BYTES TEN_BYTES TEN_BYTES TEN_BYTES TEN_BYTES TEN_BYTES TEN_BYTES TEN_BYTES TEN_BYTES TEN_BYTES

static void a_prefix_does_not_make_a_stanza_larger_than_allowed(void **state)
{
    (void)state;
    static const char start[] = "<a xmlns:p='" HUNDRED_BYTES "'>";
    static const struct {
        const char *child;
        size_t fit;
    } rows[] = {{"<p:b/>", 99}, {"<b p:c=''/>", 99}, {"<p:b><p:b/></p:b>", 99}, {"<p:b/><c xmlns='x'/>", 98}};
    struct xml_limits limits = XML_LIMITS_AUTHENTICATED;
    limits.stanza_bytes = 10000;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct xml *xml = xml_new(&limits);
        assert_null(fault_of(xml, HEADER, 1));
        assert_null(fault_of(xml, start, 1));
        assert_null(fault_of(xml, rows[i].child, rows[i].fit));
        assert_null(fault_of(xml, "</a>", 1));
        assert_null(fault_of(xml, start, 1)); /* each stanza is counted alone */
        assert_string_equal(fault_of(xml, rows[i].child, rows[i].fit + 1), "policy-violation");
        xml_free(&xml);
    }
}

static void a_header_is_kept_so_it_is_short(void **state)
{
    (void)state;
    struct xml *xml = xml_new(&XML_LIMITS_AUTHENTICATED);
    assert_null(fault_of(xml, "<a b='", 1));
    assert_null(fault_of(xml, "0123456789", 999));
    assert_string_equal(fault_of(xml, "0123456789", 1), "policy-violation");
    xml_free(&xml);
}

static void keepalives_cost_nothing(void **state)
{
    (void)state;
    struct xml *xml = xml_new(&small);
    assert_true(xml_idle(xml));
    assert_null(fault_of(xml, HEADER, 1));
    assert_true(xml_idle(xml));
    assert_null(fault_of(xml, " \n", 100000));
    assert_true(xml_idle(xml));
    assert_null(fault_of(xml, "<", 1));
    assert_false(xml_idle(xml));
    assert_null(fault_of(xml, "a>b", 1));
    assert_false(xml_idle(xml));
    assert_null(fault_of(xml, "</a>", 1));
    assert_true(xml_idle(xml));
    xml_free(&xml);
    xml_free(&xml);
}

static void a_reset_goes_on_at_the_very_byte(void **state)
{
    (void)state;
    static const char wire[] = HEADER "<auth/>\n <?xml version='1.0'?><r:s xmlns:r='urn:r'><r:a/></r:s>";
    const size_t len = sizeof(wire) - 1;
    for (size_t cut = 0; cut <= len; cut++) {
        struct xml *xml = xml_new(&XML_LIMITS_UNAUTHENTICATED);
        struct buf out = {0};
        const uint8_t *data = (const uint8_t *)wire;
        size_t left = cut;
        bool second = false;
        for (;;) {
            struct elem *elem = NULL;
            enum xml_unit unit = xml_next(xml, &data, &left, &elem);
            bool auth = unit == XML_STANZA && elem_is(elem, NULL, "auth");
            if (auth) assert_memory_equal(data, "\n <?xml", 2);
            if (tell_unit(xml, unit, elem, &out)) {
                if (auth) xml_reset(xml);
                continue;
            }
            if (second || unit == XML_FAULT) break;
            second = true;
            left = len - cut;
        }
        buf_append(&out, "", 1);
        assert_string_equal((const char *)buf_data(&out), START "(<auth/>)S(<s xmlns='urn:r'/>)(<a xmlns='urn:r'/>)E");
        buf_free(&out);
        xml_free(&xml);
    }
    struct xml *xml = xml_new(&small);
    assert_null(fault_of(xml, "<half", 1));
    xml_reset(xml);
    assert_true(xml_idle(xml));
    assert_string_equal(fault_of(xml, "GET", 1), "not-well-formed");
    xml_reset(xml);
    assert_null(xml_fault(xml, NULL));
    assert_null(fault_of(xml, HEADER, 1));
    xml_free(&xml);
}

static void limits_may_grow_and_shrink(void **state)
{
    (void)state;
    struct xml *xml = xml_new(&small);
    assert_null(fault_of(xml, HEADER "", 1));
    xml_set_limits(xml, &XML_LIMITS_AUTHENTICATED);
    assert_null(fault_of(xml, "<a><b><c><d>", 1));
    assert_null(fault_of(xml, "some text that goes on for a while", 10));
    xml_set_limits(xml, &small);
    assert_string_equal(fault_of(xml, "x", 1), "policy-violation");
    xml_free(&xml);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_stream_is_cut_into_units),
        cmocka_unit_test(namespaces_are_resolved),
        cmocka_unit_test(the_namespace_of_the_stanzas_is_told),
        cmocka_unit_test(what_is_not_xml_is_refused_at_once),
        cmocka_unit_test(faults_inside_a_stream),
        cmocka_unit_test(what_xmpp_forbids_is_restricted),
        cmocka_unit_test(limits_are_exact),
        cmocka_unit_test(floods_end_in_faults),
        cmocka_unit_test(names_made_up_for_ever_cost_no_memory),
        cmocka_unit_test(a_prefix_does_not_make_a_stanza_larger_than_allowed),
        cmocka_unit_test(a_header_is_kept_so_it_is_short),
        cmocka_unit_test(keepalives_cost_nothing),
        cmocka_unit_test(a_reset_goes_on_at_the_very_byte),
        cmocka_unit_test(limits_may_grow_and_shrink),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
