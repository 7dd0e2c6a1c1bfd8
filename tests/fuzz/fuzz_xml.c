/* Units and faults of an XML stream do not depend on how its bytes are cut, nor on what its parser read before; and
 * what is printed of a stanza reads as the same stanza.  The first byte of the input chooses the cuts. */
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

static void read_all(const uint8_t *data, size_t size, size_t piece, struct buf *out)
{
    struct xml *xml = xml_new(size % 2 ? &XML_LIMITS_UNAUTHENTICATED : &roomy);
    while (size > 0) {
        size_t n = piece && piece < size ? piece : size;
        uint8_t *copy = malloc(n);
        CHECK(copy != NULL);
        memcpy(copy, data, n);
        bool good = read_piece(xml, copy, n, piece == 0, out);
        free(copy);
        if (!good) break;
        data += n;
        size -= n;
    }
    xml_free(&xml);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 1) return 0;
    size_t piece = (size_t)data[0] % 64 + 1;
    struct buf whole = {0}, cut = {0};
    read_all(data + 1, size - 1, 0, &whole);
    read_all(data + 1, size - 1, piece, &cut);
    CHECK(buf_len(&whole) == buf_len(&cut));
    CHECK(buf_len(&whole) == 0 || memcmp(buf_data(&whole), buf_data(&cut), buf_len(&whole)) == 0);
    buf_free(&whole);
    buf_free(&cut);
    return 0;
}
