#include "backend/code_point.h"

#include "lib/check.h"
#include "lib/mem.h"

#include <string.h>
#include <unicode/uchar.h>
#include <unicode/unorm2.h>
#include <unicode/ustring.h>

/* RFC 8264 section 9.6 and RFC 5892 section 2.6 (Exceptions): never in a name, although they are letters, digits or
 * marks; always in one, although they are not or could be written otherwise; and, in labels, where the context is right
 * (the two that join are of RFC 5892 section 2.8). */
static const UChar32 NEVER[] = {0x0640, 0x07FA, 0x302E, 0x302F, 0x3031, 0x3032, 0x3033, 0x3034, 0x3035, 0x303B};
static const UChar32 ALWAYS[] = {0x00DF, 0x03C2, 0x06FD, 0x06FE, 0x0F0B, 0x3007};
static const UChar32 IN_CONTEXT[] = {0x00B7, 0x0375, 0x05F3, 0x05F4, 0x200C, 0x200D, 0x30FB};

static bool is_among(UChar32 c, const UChar32 *list, size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (list[i] == c) return true;
    return false;
}

static bool is_letter_or_digit(UChar32 c)
{
    switch (u_charType(c)) { /* RFC 8264 section 9.1 */
    case U_LOWERCASE_LETTER:
    case U_UPPERCASE_LETTER:
    case U_OTHER_LETTER:
    case U_DECIMAL_DIGIT_NUMBER:
    case U_MODIFIER_LETTER:
    case U_NON_SPACING_MARK:
    case U_COMBINING_SPACING_MARK:
        return true;
    default:
        return false;
    }
}

/* has_compat - whether c is another character's compatibility form (section 9.17). */
static bool has_compat(UChar32 c)
{
    UErrorCode error = U_ZERO_ERROR;
    const UNormalizer2 *nfkc = unorm2_getNFKCInstance(&error);
    UChar raw[2], normal[32];
    int32_t raw_len = 0;
    (void)u_strFromUTF32(raw, 2, &raw_len, &c, 1, &error);
    int32_t len = unorm2_normalize(nfkc, raw, raw_len, normal, 32, &error);
    return U_FAILURE(error) || len != raw_len || memcmp(raw, normal, (size_t)len * sizeof(UChar)) != 0;
}

static bool is_old_hangul(UChar32 c)
{
    const int32_t type = u_getIntPropertyValue(c, UCHAR_HANGUL_SYLLABLE_TYPE);
    return type == U_HST_LEADING_JAMO || type == U_HST_VOWEL_JAMO || type == U_HST_TRAILING_JAMO;
}

static bool in_name(UChar32 c)
{
    if (is_among(c, ALWAYS, ARRAY_LEN(ALWAYS))) return true;
    if (is_among(c, NEVER, ARRAY_LEN(NEVER)) || is_old_hangul(c)) return false;
    if (u_hasBinaryProperty(c, UCHAR_DEFAULT_IGNORABLE_CODE_POINT)) return false;
    return is_letter_or_digit(c) && !has_compat(c);
}

bool code_point_in_identifier(int32_t c)
{
    if (c < 0x80) return c > ' ' && c < 0x7F && !strchr("\"&'/:<>@", (int)c); /* RFC 7622 section 3.3.1 */
    return in_name(c);
}

bool code_point_in_label(int32_t c)
{
    if (is_among(c, IN_CONTEXT, ARRAY_LEN(IN_CONTEXT))) return true;
    switch (ublock_getCode(c)) { /* RFC 5892 section 2.4 */
    case UBLOCK_COMBINING_MARKS_FOR_SYMBOLS:
    case UBLOCK_MUSICAL_SYMBOLS:
    case UBLOCK_ANCIENT_GREEK_MUSICAL_NOTATION:
        return false;
    default:
        return in_name(c) && u_tolower(c) == c; /* section 2.2: folding it changes nothing */
    }
}
