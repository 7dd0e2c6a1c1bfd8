#include "backend/user_part.h"

#include "backend/user.h"
#include "lib/check.h"

static const struct {
    enum store_kind kind;
    user_part_load_fn *load;
    user_part_free_fn *free;
} ROWS[USER_PARTS] = {
#define USER_PART(id, load, free) [USER_PART_##id] = {STORE_##id, load, free},
#include "backend/user_part.def"
#undef USER_PART
};

unsigned user_parts_kinds(void)
{
    unsigned kinds = 0;
    for (size_t i = 0; i < USER_PARTS; i++)
        kinds |= 1U << ROWS[i].kind;
    return kinds;
}

void user_parts_load(struct user *user, const struct store_record *records, size_t count)
{
    for (size_t part = 0; part < USER_PARTS; part++) {
        size_t first = 0;
        while (first < count && records[first].kind != ROWS[part].kind)
            first++;
        size_t end = first;
        while (end < count && records[end].kind == ROWS[part].kind)
            end++;
        if (end > first) user->parts[part] = ROWS[part].load(user, records + first, end - first);
    }
}

void user_parts_free(struct user *user)
{
    for (size_t part = 0; part < USER_PARTS; part++) {
        if (user->parts[part]) ROWS[part].free(user->parts[part]);
        user->parts[part] = NULL;
    }
}
