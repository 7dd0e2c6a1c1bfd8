#include "backend/jid.h"

#include "backend/code_point.h"

#include <stdint.h>
#include <string.h>
#include <unicode/uchar.h>
#include <unicode/unorm2.h>
#include <unicode/ustring.h>
#include <unicode/utf8.h>

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
        if (!code_point_in_identifier(c))
            return refuse(why, "the name contains a character that no user name may have");
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
