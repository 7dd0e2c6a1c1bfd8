/* list - an intrusive doubly linked list; the links live in the members. */
#ifndef POSTERN_LIB_LIST_H
#define POSTERN_LIB_LIST_H

#include "lib/check.h"

#include <stdbool.h>

/* Either the head of a list or the link in a member.  A link that is in no list points to itself or is zeroed. */
struct list {
    struct list *prev, *next;
};

static inline void list_init(struct list *l)
{
    l->prev = l->next = l;
}

static inline bool list_empty(const struct list *head)
{
    return head->next == head || head->next == NULL;
}

/* list_linked - whether a member is in some list. */
static inline bool list_linked(const struct list *link)
{
    return link->next != NULL && link->next != link;
}

static inline void list_append(struct list *head, struct list *link)
{
    link->prev = head->prev;
    link->next = head;
    head->prev->next = link;
    head->prev = link;
}

/* list_remove - take a member out; harmless when it is in none. */
static inline void list_remove(struct list *link)
{
    if (link->next == NULL) return;
    link->prev->next = link->next;
    link->next->prev = link->prev;
    list_init(link);
}

/* list_first - the first link, or NULL. */
static inline struct list *list_first(const struct list *head)
{
    return list_empty(head) ? NULL : head->next;
}

#define LIST_ENTRY(link, type, member) CONTAINER_OF(link, type, member)

/* Walk a list; the current member may be removed and freed in the body. */
/* NOLINTBEGIN(bugprone-macro-parentheses): pos is a name that the macro declares */
#define LIST_EACH(pos, head)                                                                                           \
    for (struct list *pos = (head)->next, *pos##_next = pos ? pos->next : NULL; pos && pos != (head);                  \
         pos = pos##_next, pos##_next = pos->next)
/* NOLINTEND(bugprone-macro-parentheses) */

#endif
