/* Units and faults of an XML stream do not depend on how its bytes are cut, nor on what its parser read before, nor on
 * other streams that use the parser in between, and neither do theirs; and what is printed of a stanza reads as the
 * same stanza.  The first byte of the input chooses the cuts. */
#include "backend/ns.h"
#include "backend/xml.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const struct xml_limits roomy = {
    .stanza_bytes = 1 << 20, .depth = 100, .attributes = 1000, .name_bytes = 4096, .elements = 8192};

static void print(const struct elem *e, struct buf *out)
{
    elem_print(e, NS_CLIENT, out);
}

/* check_print - a stanza, printed, read, and printed again, is the same text. */
static void check_print(const struct elem *stanza)
{
    static const char header[] = "<s xmlns='" NS_CLIENT "'>";
    struct buf once = {0}, twice = {0};
    /* a printed stanza has more declarations than the one that came */
    const struct xml_limits none = {
        .stanza_bytes = 1 << 30, .depth = 1 << 20, .attributes = 1 << 20, .name_bytes = 1 << 30, .elements = 1 << 20};
    struct xml *xml = xml_new(&none);
    struct elem *elem = NULL;
    const uint8_t *data = (const uint8_t *)header;
    size_t len = sizeof(header) - 1;
    CHECK(xml_next(xml, &data, &len, &elem) == XML_STREAM_START && len == 0);
    elem_free(&elem);
    print(stanza, &once);
    data = buf_data(&once);
    len = buf_len(&once);
    CHECK(xml_next(xml, &data, &len, &elem) == XML_STANZA && len == 0);
    print(elem, &twice);
    CHECK(buf_len(&once) == buf_len(&twice) && memcmp(buf_data(&once), buf_data(&twice), buf_len(&once)) == 0);
    struct elem *copy = elem_copy(elem);
    buf_free(&twice);
    print(copy, &twice);
    CHECK(buf_len(&once) == buf_len(&twice) && memcmp(buf_data(&once), buf_data(&twice), buf_len(&once)) == 0);
    elem_free(&copy);
    elem_free(&elem);
    xml_free(&xml);
    buf_free(&once);
    buf_free(&twice);
}

/* read_piece - append what the parser says of one piece to out; false after a fault. */
static bool read_piece(struct xml *xml, const uint8_t *data, size_t len, bool check, struct buf *out)
{
    for (;;) {
        struct elem *elem = NULL;
        enum xml_unit unit = xml_next(xml, &data, &len, &elem);
        if (unit == XML_MORE) {
            CHECK(len == 0 && !elem);
            return true;
        }
        if (unit == XML_FAULT) {
            const char *text = NULL;
            buf_printf(out, "!%s", xml_fault(xml, &text));
            buf_append_str(out, text);
            return false;
        }
        buf_printf(out, "%d", (int)unit);
        if (!elem) continue;
        print(elem, out);
        if (unit == XML_STANZA && check) check_print(elem);
        bool reset = unit == XML_STANZA && elem_is(elem, NS_SASL, "auth");
        elem_free(&elem);
        if (reset) xml_reset(xml);
    }
}

/* A well-behaved stream beside the one that is read. */
struct witness {
    struct xml *xml;
    bool good;
};

/* witness_open - a stream whose header is the first of data, or nothing if there is none. */
static void witness_open(struct witness *w, const uint8_t *data, size_t size)
{
    struct elem *elem = NULL;
    const uint8_t *rest = data;
    w->xml = xml_new(&roomy);
    enum xml_unit unit = xml_next(w->xml, &rest, &size, &elem);
    elem_free(&elem);
    /* An empty root has ended already. */
    w->good = unit == XML_STREAM_START && xml_idle(w->xml);
}

/* say - what is read of one stanza, in bytes that are gone afterwards. */
static enum xml_unit say(struct xml *xml, const char *text, struct buf *out)
{
    struct elem *elem = NULL;
    size_t len = strlen(text);
    uint8_t *copy = malloc(len);
    CHECK(copy != NULL);
    memcpy(copy, text, len);
    const uint8_t *at = copy;
    const enum xml_unit unit = xml_next(xml, &at, &len, &elem);
    free(copy);
    if (elem) print(elem, out);
    elem_free(&elem);
    return unit;
}

/* witness_check - its stanza reads as it ever did. */
static void witness_check(struct witness *w)
{
    static const char plain[] = "<w xmlns='urn:w' a='1&lt;'><v:x xmlns:v='urn:v' v:b=\"'\"/>t</w>";
    static const char printed[] = "<w xmlns='urn:w' a='1&lt;'><x xmlns='urn:v' xmlns:n0='urn:v' n0:b='&apos;'/>t</w>";
    struct buf out = {0};
    if (!w->good) return;
    CHECK(say(w->xml, plain, &out) == XML_STANZA);
    CHECK(buf_len(&out) == sizeof(printed) - 1 && memcmp(buf_data(&out), printed, sizeof(printed) - 1) == 0);
    buf_free(&out);
}

/* A prefix that the witness's header does not declare is none of its, whoever else declares it. */
static void witness_close(struct witness *w, const uint8_t *data, size_t size)
{
    struct buf out = {0};
    if (w->good && !memmem(data, size, "vv", 2)) CHECK(say(w->xml, "<vv:x/>", &out) == XML_FAULT);
    buf_free(&out);
    xml_free(&w->xml);
}

/* read_cut - the whole stream in pieces; piece 0: as one.  The witnesses, if any, speak after each piece. */
static void read_cut(const uint8_t *data, size_t size, size_t piece, struct witness witnesses[2], struct buf *out)
{
    struct xml *xml = xml_new(size % 2 ? &XML_LIMITS_UNAUTHENTICATED : &roomy);
    while (size > 0) {
        size_t n = piece && piece < size ? piece : size;
        uint8_t *copy = malloc(n);
        CHECK(copy != NULL);
        memcpy(copy, data, n);
        bool good = read_piece(xml, copy, n, piece == 0, out);
        free(copy);
        for (int i = 0; witnesses && i < 2; i++)
            witness_check(&witnesses[i]);
        if (!good) break;
        data += n;
        size -= n;
    }
    xml_free(&xml);
}

/* One of the witnesses is what most streams are, the other declares what the fuzzed one does. */
static void read_beside_witnesses(const uint8_t *data, size_t size, size_t piece, struct buf *out)
{
    static const char header[] = "<stream:stream xmlns='" NS_CLIENT "' xmlns:stream='" NS_STREAM "'>";
    struct witness witnesses[2];
    witness_open(&witnesses[0], (const uint8_t *)header, sizeof(header) - 1);
    witness_open(&witnesses[1], data, size);
    CHECK(witnesses[0].good);
    read_cut(data, size, piece, witnesses, out);
    for (int i = 0; i < 2; i++) {
        witness_check(&witnesses[i]);
        witness_close(&witnesses[i], data, size);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 1) return 0;
    size_t piece = (size_t)data[0] % 64 + 1;
    struct buf whole = {0}, cut = {0};
    read_cut(data + 1, size - 1, 0, NULL, &whole);
    read_beside_witnesses(data + 1, size - 1, piece, &cut);
    CHECK(buf_len(&whole) == buf_len(&cut));
    CHECK(buf_len(&whole) == 0 || memcmp(buf_data(&whole), buf_data(&cut), buf_len(&whole)) == 0);
    buf_free(&whole);
    buf_free(&cut);
    return 0;
}
