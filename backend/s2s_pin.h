/* s2s_pin - the fingerprint of a server's key, as an administrator writes it. */
#ifndef POSTERN_BACKEND_S2S_PIN_H
#define POSTERN_BACKEND_S2S_PIN_H

#include "backend/s2s_policy.h"
#include "lib/check.h"

#include <stdbool.h>
#include <stdint.h>

enum { S2S_PIN_TEXT_BYTES = (int)sizeof("sha256:") + 2 * S2S_PIN_BYTES };

/* s2s_pin_parse - "sha256:" and 64 hexadecimal digits (colons may stand between bytes) or Base64.  false: it is none.
 */
MUSTCHECK bool s2s_pin_parse(const char *text, uint8_t pin[S2S_PIN_BYTES]);

/* s2s_pin_format - with hexadecimal digits, as s2s_pin_parse reads it; returns out (S2S_PIN_TEXT_BYTES). */
char *s2s_pin_format(const uint8_t pin[S2S_PIN_BYTES], char *out);

#endif
