#include "bench/backend/letter.h"

#include "bench/backend/hex.h"

enum {
    NUMBER_CHARS = 8,
    DUE_CHARS = 16,
    SENDER_CHARS = 6,
    CHECK_CHARS = 4,
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

static char *put(char *out, struct text text)
{
    memcpy(out, text.at, text.len);
    return out + text.len;
}

/* So that no digit can change without being noticed. */
static uint64_t check_of(const struct letter *letter)
{
    uint64_t mixed = (letter->number ^ (uint64_t)letter->sender << 32) * 0x9e3779b97f4a7c15u + (uint64_t)letter->due_ns;
    return mixed * 0x9e3779b97f4a7c15u >> 48;
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
    at = hex_write(at, check_of(letter), CHECK_CHARS);
    *at++ = ' ';
    at = put(at, sentences[letter->number % SENTENCES]);
    at = put(at, TEXT("</body></message>"));
    return (size_t)(at - out);
}

/* The numbers in front of a body; returns where its sentence begins, NULL: they are none, or were changed. */
static const char *read_numbers(struct text body, struct letter *letter)
{
    static const int widths[] = {NUMBER_CHARS, DUE_CHARS, SENDER_CHARS, CHECK_CHARS};
    uint64_t values[4];
    const char *at = body.at, *end = body.at + body.len;
    for (size_t i = 0; i < 4; i++) {
        if (end - at <= widths[i] || !hex_read(at, widths[i], &values[i]) || at[widths[i]] != ' ') return NULL;
        at += widths[i] + 1;
    }
    *letter =
        (struct letter){.number = (uint32_t)values[0], .due_ns = (int64_t)values[1], .sender = (uint32_t)values[2]};
    return values[3] == check_of(letter) ? at : NULL;
}

const char *letter_read(struct text message, const struct scan_stanza *stanza, struct letter *letter)
{
    if (stanza->type.at == NULL || !text_is(stanza->type, TEXT("chat"))) return "a message that is no chat message";
    struct text body = scan_inside(message, TEXT("body"));
    if (body.at == NULL) return "a message without a body";
    const char *sentence = read_numbers(body, letter);
    if (sentence == NULL) return "a body whose numbers were changed";
    if (!text_is((struct text){sentence, (size_t)(body.at + body.len - sentence)},
                 sentences[letter->number % SENTENCES]))
        return "a body whose sentence was changed";
    if (stanza->id.len != NUMBER_CHARS || memcmp(stanza->id.at, body.at, NUMBER_CHARS) != 0)
        return "a message whose id was changed";
    return NULL;
}
