#include "gateway/probe_rows.h"

enum probe_verdict probe_ssh_look(struct sight *sight)
{
    /* 1.99 is said by those who speak the old version, too. */
    static const char *const VERSIONS[] = {"SSH-2.0-", "SSH-1.99-"};
    return probe_literal(sight, VERSIONS, ARRAY_LEN(VERSIONS));
}
