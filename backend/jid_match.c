#include "backend/jid_match.h"

#include <string.h>

bool jid_match(const char *pattern, const struct jid *jid)
{
    if (strcmp(pattern, jid->bare) == 0 || strcmp(pattern, jid->domain) == 0) return true;
    return strcmp(pattern, jid->full) == 0;
}
