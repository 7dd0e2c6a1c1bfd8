#include "bench/backend/letter.h"

enum {
    NUMBER_CHARS = 8,
    DUE_CHARS = 16,
    SENDER_CHARS = 6,
    SENTENCES = 8, /* the number says which */
};

#define SENTENCE(literal)                                                                                              \
    {                                                                                                                  \
        literal, sizeof(literal) - 1                                                                                   \
    }
static const struct text sentences[SENTENCES] = {
    SENTENCE("Two households, both alike in dignity,"),
    SENTENCE("In fair Verona, where we lay our scene,"),
    SENTENCE("From ancient grudge break to new mutiny,"),
    SENTENCE("Where civil blood makes civil hands unclean."),
    SENTENCE("From forth the fatal loins of these two foes"),
    SENTENCE("A pair of star-crossed lovers take their life;"),
    SENTENCE("Whose misadventured piteous overthrows"),
    SENTENCE("Do with their death bury their parents strife."),
};

static char *hex_write(char *out, uint64_t value, int chars)
{
    for (int i = chars - 1; i >= 0; i--, value >>= 4)
        out[i] = "0123456789abcdef"[value & 15];
    return out + chars;
}

static bool hex_read(const char *at, int chars, uint64_t *value)
{
    *value = 0;
    for (int i = 0; i < chars; i++) {
        unsigned c = (unsigned char)at[i];
        unsigned decimal = c - '0', letter = c - 'a', digit = decimal < 10 ? decimal : letter < 6 ? letter + 10 : 16;
        if (digit > 15) return false;
        *value = *value << 4 | digit;
    }
    return true;
}

static char *put(char *out, struct text text)
{
    memcpy(out, text.at, text.len);
    return out + text.len;
}

size_t letter_write(char *out, struct text to, const struct letter *letter)
{
    char *at = put(out, TEXT("<message to='"));
    at = put(at, to);
    at = put(at, TEXT("' type='chat' id='"));
    at = hex_write(at, letter->number, NUMBER_CHARS);
    at = put(at, TEXT("'><body>"));
    at = hex_write(at, letter->number, NUMBER_CHARS);
    *at++ = ' ';
    at = hex_write(at, (uint64_t)letter->due_ns, DUE_CHARS);
    *at++ = ' ';
    at = hex_write(at, letter->sender, SENDER_CHARS);
    *at++ = ' ';
    at = put(at, sentences[letter->number % SENTENCES]);
    at = put(at, TEXT("</body></message>"));
    return (size_t)(at - out);
}

const char *letter_read(struct text message, const struct scan_stanza *stanza, struct letter *letter)
{
    enum {
        NUMBER = 0,
        DUE = NUMBER + NUMBER_CHARS + 1,
        SENDER = DUE + DUE_CHARS + 1,
        TEXT_AT = SENDER + SENDER_CHARS + 1
    };
    uint64_t number, due, sender;
    if (stanza->type.at == NULL || !text_is(stanza->type, TEXT("chat"))) return "a message that is no chat message";
    struct text body = scan_inside(message, TEXT("body"));
    if (body.at == NULL || body.len < TEXT_AT) return "a message without our body";
    if (!hex_read(body.at + NUMBER, NUMBER_CHARS, &number) || !hex_read(body.at + DUE, DUE_CHARS, &due) ||
        !hex_read(body.at + SENDER, SENDER_CHARS, &sender) || body.at[DUE - 1] != ' ' || body.at[SENDER - 1] != ' ' ||
        body.at[TEXT_AT - 1] != ' ')
        return "a body that was changed";
    struct text sentence = {body.at + TEXT_AT, body.len - TEXT_AT};
    if (!text_is(sentence, sentences[number % SENTENCES])) return "a sentence that was changed";
    if (stanza->id.len != NUMBER_CHARS || memcmp(stanza->id.at, body.at, NUMBER_CHARS) != 0)
        return "a message whose id is not the one it was sent with";
    *letter = (struct letter){.number = (uint32_t)number, .sender = (uint32_t)sender, .due_ns = (int64_t)due};
    return NULL;
}
