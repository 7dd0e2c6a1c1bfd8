#include "backend/xml_scan.h"

#include "lib/byte_table.h"

#include <string.h>

enum state {
    STATE_START = XML_SCAN_START,
    STATE_PROLOG = XML_SCAN_PROLOG,
    STATE_BETWEEN = XML_SCAN_BETWEEN,
    STATE_CONTENT = XML_SCAN_CONTENT,
    STATE_START_LT, /* "<" as the very first byte */
    STATE_LT,
    STATE_DECLARATION_WORD,
    STATE_DECLARATION,
    STATE_DECLARATION_END, /* "?" in it */
    STATE_TAG,
    STATE_SINGLE_QUOTED,
    STATE_DOUBLE_QUOTED,
    STATE_END_TAG,
    STATE_CDATA_WORD,
    STATE_CDATA,
    STATE_CDATA_END1, /* "]" in it */
    STATE_CDATA_END2, /* "]]" in it */
};

static const char declaration_word[] = "xml";
static const char cdata_word[] = "[CDATA[";

/* NEVER - bytes that are no character and part of none: control characters, and what UTF-8 never uses. */
#define WHITE(c) ((c) == ' ' || (c) == '\t' || (c) == '\n' || (c) == '\r')
#define NEVER(c) (((c) < 0x20 && !WHITE(c)) || (c) == 0xC0 || (c) == 0xC1 || (c) >= 0xF5)

/* Nearly all bytes change nothing where they stand: those are passed over in one run. */
enum {
    PLAIN_IN_CONTENT = 1,
    PLAIN_IN_TAG = 2,
    PLAIN_IN_QUOTES = 4,
};

#define QUOTE(c)    ((c) == '"' || (c) == '\'')
#define PLAIN_IN(c) (PLAIN_IN_CONTENT | (QUOTE(c) ? 0 : PLAIN_IN_QUOTES) | (QUOTE(c) || (c) == '>' ? 0 : PLAIN_IN_TAG))
#define PLAIN(c)    (NEVER(c) || (c) == '<' ? 0 : PLAIN_IN(c))

static const uint8_t plain[256] = {BYTE_TABLE(PLAIN)};

static const uint8_t plain_in[STATE_CDATA_END2 + 1] = {
    [STATE_CONTENT] = PLAIN_IN_CONTENT,      [STATE_TAG] = PLAIN_IN_TAG,
    [STATE_SINGLE_QUOTED] = PLAIN_IN_QUOTES, [STATE_END_TAG] = PLAIN_IN_TAG,
    [STATE_DOUBLE_QUOTED] = PLAIN_IN_QUOTES,
};

bool xml_scan_is_white(uint8_t c)
{
    return WHITE(c);
}

static bool begins_name(uint8_t c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_' || c == ':' || c >= 0x80;
}

static enum xml_scan_result fault(struct xml_scan *scan, const char *condition, const char *text)
{
    scan->condition = condition;
    scan->text = text;
    return XML_SCAN_FAULT;
}

static enum xml_scan_result go(struct xml_scan *scan, enum state state)
{
    scan->state = (uint8_t)state;
    scan->matched = 0;
    return XML_SCAN_MORE;
}

static enum xml_scan_result step_outside(struct xml_scan *scan, uint8_t c)
{
    scan->in_content = scan->state == STATE_CONTENT;
    if (c == '<') return go(scan, scan->state == STATE_START ? STATE_START_LT : STATE_LT);
    if (scan->state == STATE_CONTENT) return XML_SCAN_MORE;
    if (scan->state == STATE_BETWEEN) return fault(scan, "bad-format", "text between stanzas");
    if (xml_scan_is_white(c)) return go(scan, STATE_PROLOG);
    return fault(scan, "not-well-formed", "this is not XML");
}

static enum xml_scan_result step_after_lt(struct xml_scan *scan, uint8_t c)
{
    if (c == '?' && scan->state == STATE_START_LT) return go(scan, STATE_DECLARATION_WORD);
    if (c == '?') return fault(scan, "restricted-xml", "processing instruction");
    if (c == '!' && scan->in_content) return go(scan, STATE_CDATA_WORD);
    if (c == '!') return fault(scan, "restricted-xml", "comment or document type declaration");
    if (c == '/') return go(scan, STATE_END_TAG);
    if (begins_name(c)) return go(scan, STATE_TAG);
    return fault(scan, "not-well-formed", "no name after \"<\"");
}

static enum xml_scan_result step_declaration(struct xml_scan *scan, uint8_t c)
{
    if (scan->state == STATE_DECLARATION_WORD) {
        if (scan->matched == sizeof(declaration_word) - 1 && xml_scan_is_white(c)) return go(scan, STATE_DECLARATION);
        if (c && c == (uint8_t)declaration_word[scan->matched++]) return XML_SCAN_MORE;
        return fault(scan, "restricted-xml", "processing instruction");
    }
    if (c == '<') return fault(scan, "not-well-formed", "\"<\" in the XML declaration");
    if (c == '>' && scan->state == STATE_DECLARATION_END) return XML_SCAN_TAG;
    return go(scan, c == '?' ? STATE_DECLARATION_END : STATE_DECLARATION);
}

static enum xml_scan_result step_tag(struct xml_scan *scan, uint8_t c)
{
    enum state quoted = c == '"' ? STATE_DOUBLE_QUOTED : STATE_SINGLE_QUOTED;
    if (c == '<') return fault(scan, "not-well-formed", "\"<\" in a tag");
    if (scan->state == STATE_TAG || scan->state == STATE_END_TAG) {
        if (c == '>') return XML_SCAN_TAG;
        if (c != '"' && c != '\'') return XML_SCAN_MORE;
        if (scan->state == STATE_END_TAG) return fault(scan, "not-well-formed", "quote in an end tag");
        return go(scan, quoted);
    }
    if ((c == '"' || c == '\'') && scan->state == quoted) return go(scan, STATE_TAG);
    return XML_SCAN_MORE;
}

static enum xml_scan_result step_cdata(struct xml_scan *scan, uint8_t c)
{
    if (scan->state == STATE_CDATA_WORD) {
        if (c != (uint8_t)cdata_word[scan->matched++]) {
            return fault(scan, "restricted-xml", "comment or document type declaration");
        }
        return scan->matched == sizeof(cdata_word) - 1 ? go(scan, STATE_CDATA) : XML_SCAN_MORE;
    }
    if (c == ']') return go(scan, scan->state == STATE_CDATA ? STATE_CDATA_END1 : STATE_CDATA_END2);
    return go(scan, c == '>' && scan->state == STATE_CDATA_END2 ? STATE_CONTENT : STATE_CDATA);
}

typedef enum xml_scan_result step_fn(struct xml_scan *scan, uint8_t c);

static step_fn *const steps[] = {
    [STATE_START] = step_outside,
    [STATE_PROLOG] = step_outside,
    [STATE_BETWEEN] = step_outside,
    [STATE_CONTENT] = step_outside,
    [STATE_START_LT] = step_after_lt,
    [STATE_LT] = step_after_lt,
    [STATE_DECLARATION_WORD] = step_declaration,
    [STATE_DECLARATION] = step_declaration,
    [STATE_DECLARATION_END] = step_declaration,
    [STATE_TAG] = step_tag,
    [STATE_SINGLE_QUOTED] = step_tag,
    [STATE_DOUBLE_QUOTED] = step_tag,
    [STATE_END_TAG] = step_tag,
    [STATE_CDATA_WORD] = step_cdata,
    [STATE_CDATA] = step_cdata,
    [STATE_CDATA_END1] = step_cdata,
    [STATE_CDATA_END2] = step_cdata,
};

void xml_scan_enter(struct xml_scan *scan, enum xml_scan_place place)
{
    *scan = (struct xml_scan){.state = (uint8_t)place};
}

/* skip - how many of the len bytes at the front change nothing. */
static size_t skip(const struct xml_scan *scan, const uint8_t *data, size_t len)
{
    const uint8_t where = plain_in[scan->state];
    size_t i = 0;
    while (i < len && plain[data[i]] & where)
        i++;
    return i;
}

enum xml_scan_result xml_scan_next(struct xml_scan *scan, const uint8_t *data, size_t len, size_t *used)
{
    enum xml_scan_result result = XML_SCAN_MORE;
    size_t i = 0;
    while (result == XML_SCAN_MORE && (i += skip(scan, data + i, len - i)) < len) {
        uint8_t c = data[i++];
        if (scan->state == STATE_START && c >= 0xFE) {
            result = fault(scan, "unsupported-encoding", "UTF-16; only UTF-8 is supported");
        } else if (NEVER(c)) {
            result = fault(scan, "not-well-formed", "no XML character");
        } else {
            result = steps[scan->state](scan, c);
        }
    }
    *used = i;
    return result;
}
