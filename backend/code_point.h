/* code_point - which characters may stand in a name, by the properties that Unicode gives them.
 *
 * Source: RFC 8264 section 9 (PRECIS), RFC 5892 section 2 (IDNA2008). */
#ifndef POSTERN_BACKEND_CODE_POINT_H
#define POSTERN_BACKEND_CODE_POINT_H

#include <stdbool.h>
#include <stdint.h>

/* code_point_in_identifier - whether the IdentifierClass of RFC 8264 section 4.2 has c, and RFC 7622 section 3.3.1 does
 * not exclude it.  The code points that the class allows in some contexts only are refused, but for the Arabic digits.
 */
bool code_point_in_identifier(int32_t c);

/* code_point_in_label - whether c, which is not ASCII, may be in a U-label (RFC 5892 section 3); where that depends on
 * the context (appendix A), the caller has to look at it. */
bool code_point_in_label(int32_t c);

#endif
