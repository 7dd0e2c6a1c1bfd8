#include "backend/sm_wire.h"

#include "backend/ns.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

bool sm_wire_number(const struct elem *elem, const char *attribute, uint32_t *out)
{
    const char *text = elem_get(elem, attribute);
    char *end = NULL;
    if (!text || *text < '0' || *text > '9') return false;
    errno = 0;
    const unsigned long long value = strtoull(text, &end, 10);
    if (errno != 0 || *end || value > UINT32_MAX) return false;
    *out = (uint32_t)value;
    return true;
}

bool sm_wire_is_true(const struct elem *elem, const char *attribute)
{
    const char *text = elem_get(elem, attribute);
    return text && (strcmp(text, "true") == 0 || strcmp(text, "1") == 0);
}

void sm_wire_ack(uint32_t h, struct buf *out)
{
    buf_printf(out, "<a xmlns='" NS_SM "' h='%u'/>", h);
}

void sm_wire_resumed(const char *id, uint32_t h, struct buf *out)
{
    buf_printf(out, "<resumed xmlns='" NS_SM "' h='%u' previd='%s'/>", h, id);
}

void sm_wire_failed(const char *condition, struct buf *out)
{
    buf_printf(out, "<failed xmlns='" NS_SM "'><%s xmlns='" NS_STANZAS "'/></failed>", condition);
}

void sm_wire_too_high(uint32_t h, uint32_t sent, char out[SM_WIRE_TOO_HIGH_BYTES])
{
    snprintf(out, SM_WIRE_TOO_HIGH_BYTES, "<handled-count-too-high xmlns='" NS_SM "' h='%u' send-count='%u'/>", h,
             sent);
}
