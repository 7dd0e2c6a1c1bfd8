#include "backend/jid.h"

#include <stdint.h>
#include <string.h>
#include <unicode/uchar.h>
#include <unicode/unorm2.h>
#include <unicode/ustring.h>
#include <unicode/utf8.h>

/* RFC 8264 section 9.6 (Exceptions): never in an identifier, although they are letters, digits or marks. */
static const UChar32 exceptions[] = {0x0640, 0x07FA, 0x302E, 0x302F, 0x3031, 0x3032, 0x3033, 0x3034, 0x3035, 0x303B};

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

/* in_identifier - whether the IdentifierClass of RFC 8264 section 4.2 has c.  The code points that it allows in some
 * contexts only are refused, but for the Arabic digits. */
static bool in_identifier(UChar32 c)
{
    if (c < 0x80) return c > ' ' && c < 0x7F && !strchr("\"&'/:<>@", (int)c); /* RFC 7622 section 3.3.1 */
    for (size_t i = 0; i < sizeof(exceptions) / sizeof(exceptions[0]); i++) {
        if (c == exceptions[i]) return false;
    }
    if (c == 0x06FD || c == 0x06FE || c == 0x0F0B || c == 0x3007) return true; /* section 9.6 too */
    int32_t hangul = u_getIntPropertyValue(c, UCHAR_HANGUL_SYLLABLE_TYPE);
    if (hangul == U_HST_LEADING_JAMO || hangul == U_HST_VOWEL_JAMO || hangul == U_HST_TRAILING_JAMO) return false;
    if (u_hasBinaryProperty(c, UCHAR_DEFAULT_IGNORABLE_CODE_POINT)) return false;
    return is_letter_or_digit(c) && !has_compat(c);
}

/* is_composed - whether today's Unicode has no other way to write it (NFC): nodeprep knows that of 3.2 only. */
static bool is_composed(const char *local, int32_t len)
{
    UChar text[JID_PART_MAX_BYTES + 1];
    int32_t units = 0;
    UErrorCode error = U_ZERO_ERROR;
    (void)u_strFromUTF8(text, JID_PART_MAX_BYTES + 1, &units, local, len, &error);
    const UNormalizer2 *nfc = unorm2_getNFCInstance(&error);
    return unorm2_isNormalized(nfc, text, units, &error) && U_SUCCESS(error);
}

static bool refuse(const char **why, const char *text)
{
    if (why) *why = text;
    return false;
}

bool jid_local_is_acceptable(const char *local, const char **why)
{
    int32_t len = (int32_t)strnlen(local, JID_PART_MAX_BYTES + 1);
    if (len == 0 || len > JID_PART_MAX_BYTES) return refuse(why, "the name is empty or longer than 1023 bytes");
    bool arabic = false, extended = false;
    for (int32_t i = 0; i < len;) {
        UChar32 c = 0;
        int32_t start = i;
        U8_NEXT(local, i, len, c);
        if (c < 0) return refuse(why, "the name is not UTF-8");
        if (!in_identifier(c)) return refuse(why, "the name contains a character that no user name may have");
        /* A capital that nodeprep does not know: to a server that follows RFC 7622 the small letter is the same. */
        if (u_tolower(c) != c)
            return refuse(why, "the name contains a capital letter that cannot be told from a small one");
        int8_t category = u_charType(c);
        bool mark = category == U_NON_SPACING_MARK || category == U_COMBINING_SPACING_MARK;
        if (mark && start == 0) return refuse(why, "the name begins with a combining mark");
        arabic = arabic || (c >= 0x0660 && c <= 0x0669);
        extended = extended || (c >= 0x06F0 && c <= 0x06F9);
    }
    if (!is_composed(local, len)) return refuse(why, "the name can be written in two ways");
    /* RFC 5892 appendix A.8 */
    if (arabic && extended) return refuse(why, "the name mixes two kinds of Arabic digits");
    return true;
}
