// The schemas' histories, embedded.
#ifndef CMIGRATIONS_H
#define CMIGRATIONS_H

#include <stddef.h>

struct cmigrations_migration {
    const char *schema;
    const char *name;
    /// Not terminated.
    const char *sql;
    size_t length;
};

/// All of them; the last one is followed by an entry whose schema is NULL.
const struct cmigrations_migration *cmigrations_all(void);

#endif
