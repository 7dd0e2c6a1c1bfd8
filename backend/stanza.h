/* stanza - a stanza on its way: the element, its kind and type, its prepared addresses. */
#ifndef POSTERN_BACKEND_STANZA_H
#define POSTERN_BACKEND_STANZA_H

#include "backend/elem.h"
#include "backend/jid.h"
#include "backend/receipt.h"
#include "lib/check.h"
#include "lib/list.h"

#include <stdbool.h>
#include <stdint.h>

struct shard;
struct sm_share;

enum stanza_kind { STANZA_MESSAGE, STANZA_PRESENCE, STANZA_IQ };

enum stanza_type {
    STANZA_NORMAL, /* message; also one without a type, or with one that nobody knows (RFC 6121 section 5.2.2) */
    STANZA_CHAT,
    STANZA_GROUPCHAT,
    STANZA_HEADLINE,
    STANZA_AVAILABLE, /* presence without a type */
    STANZA_UNAVAILABLE,
    STANZA_SUBSCRIBE,
    STANZA_SUBSCRIBED,
    STANZA_UNSUBSCRIBE,
    STANZA_UNSUBSCRIBED,
    STANZA_PROBE,
    STANZA_GET, /* iq */
    STANZA_SET,
    STANZA_RESULT,
    STANZA_ERROR, /* of any kind */
    STANZA_WRONG, /* no such type for that kind */
};

/* Lives in the element's arena, and so moves between shards with it.  Invariant: once it is given to the router both
 * addresses are there and the attributes say the same. */
struct stanza {
    struct elem *elem;
    enum stanza_kind kind;
    enum stanza_type type;
    struct jid *from, *to;
    const char *text; /* the element as printed for a stream of jabber:client, not NUL-terminated; NULL: it is not */
    size_t text_len;
    uint64_t archive_id;     /* under which the recipient's archive has it, which its clients are told; 0: it has not */
    uint64_t stored_id;      /* of its entry in the recipient's offline queue, which session_send takes over; 0: none */
    struct receipt receipt;  /* settled when the stanza is freed */
    bool ephemeral;          /* of use to the session alone that it is sent to: nobody else gets it, nor is it stored */
    bool quiet;              /* a probe of somebody who takes silence for nobody being there */
    bool returned;           /* by a session that has ended without acknowledging it */
    struct sm_share *share;  /* while several sessions are sent it; NULL: none or one is */
    struct list link;        /* while it waits: on its shard, or for its user */
    struct shard *bound_for; /* while it lies in a mailbox */
    bool outbound;           /* while its sender's shard has it: not routed yet */
    bool farewell;           /* the last stanza of a session that has left: see presence_farewell */
    bool undirected; /* presence to nobody in particular: to is the sender's own bare JID, the attribute is not there */
};

/* stanza_new - takes elem; NULL (and elem is still the caller's) when it is no stanza of jabber:client. */
MUSTCHECK struct stanza *stanza_new(struct elem *elem);
/* stanza_read - the stanza of an element that was printed with both addresses; NULL (and elem is freed): it is none. */
MUSTCHECK struct stanza *stanza_read(struct elem *elem);
void stanza_free(struct stanza **stanza); /* settles its receipt */

/* stanza_copy - a deep copy, without receipt and stored_id. */
struct stanza *stanza_copy(const struct stanza *stanza);

/* stanza_address - set both addresses (takes them) and the attributes. */
void stanza_address(struct stanza *stanza, struct jid *from, struct jid *to);

/* stanza_text - have text made, in the arena, of the element as it is; who changes the element afterwards makes text
 * NULL again. */
void stanza_text(struct stanza *stanza);

/* stanza_print - append it as for a stream of jabber:client, with the id of the archive. */
void stanza_print(const struct stanza *stanza, struct buf *out);

/* stanza_is_right - whether its type is one, and an iq has an id and as many children as its type asks for.  Source:
 * RFC 6120 section 8.2.3. */
bool stanza_is_right(const struct stanza *stanza);

/* stanza_reply - a new stanza of the same kind back to the sender, without content: id copied, addresses swapped.  When
 * request has no (valid) address of its own, the reply's "from" is the text that stood in its "to". */
struct stanza *stanza_reply(const struct stanza *request, const char *type);

#endif
