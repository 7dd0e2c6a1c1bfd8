#include "backend/s2s_pin.h"

#include "lib/base64.h"

#include <stdio.h>
#include <string.h>

#define PREFIX "sha256:"

static int digit(char c)
{
    if (c >= '0' && c <= '9') return c - '0';
    if (c >= 'a' && c <= 'f') return c - 'a' + 10;
    return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

static bool parse_hex(const char *text, uint8_t pin[S2S_PIN_BYTES])
{
    for (size_t i = 0; i < S2S_PIN_BYTES; i++) {
        if (i > 0 && *text == ':') text++;
        const int high = digit(text[0]), low = high >= 0 ? digit(text[1]) : -1;
        if (low < 0) return false;
        pin[i] = (uint8_t)(high * 16 + low);
        text += 2;
    }
    return *text == '\0';
}

bool s2s_pin_parse(const char *text, uint8_t pin[S2S_PIN_BYTES])
{
    enum { BASE64_CHARS = BASE64_TEXT_BYTES(S2S_PIN_BYTES) - 1 };
    uint8_t data[BASE64_DATA_BYTES(BASE64_CHARS)];
    if (strncmp(text, PREFIX, strlen(PREFIX)) != 0) return false;
    text += strlen(PREFIX);
    if (strlen(text) != BASE64_CHARS) return parse_hex(text, pin);
    if (base64_decode(text, BASE64_CHARS, data) != S2S_PIN_BYTES) return false;
    memcpy(pin, data, S2S_PIN_BYTES);
    return true;
}

char *s2s_pin_format(const uint8_t pin[S2S_PIN_BYTES], char *out)
{
    int at = snprintf(out, S2S_PIN_TEXT_BYTES, PREFIX);
    for (size_t i = 0; i < S2S_PIN_BYTES; i++)
        at += snprintf(out + at, S2S_PIN_TEXT_BYTES - (size_t)at, "%02x", pin[i]);
    return out;
}
