// A new migration is a file `<schema>/<NNNN_name>.sql` and two lines here. Applied ones are never edited: the migrator compares
// digests and refuses.
#include "CMigrations.h"

#pragma clang diagnostic ignored "-Wc23-extensions"

static const char gateway_0001[] = {
#embed "gateway/0001_users.sql"
};

static const char gateway_0002[] = {
#embed "gateway/0002_delivery_scope.sql"
};

static const char observability_0001[] = {
#embed "observability/0001_history.sql"
};

static const char observability_0002[] = {
#embed "observability/0002_dead_letters.sql"
};

static const char observability_0003[] = {
#embed "observability/0003_failure.sql"
};

static const char observability_0004[] = {
#embed "observability/0004_open_lists.sql"
};

static const char registry_0001[] = {
#embed "registry/0001_webhooks.sql"
};

static const char registry_0002[] = {
#embed "registry/0002_retry.sql"
};

static const char registry_0003[] = {
#embed "registry/0003_gate.sql"
};

static const char registry_0004[] = {
#embed "registry/0004_failing.sql"
};

#define MIGRATION(schema, name, text) {schema, name, text, sizeof text}

static const struct cmigrations_migration migrations[] = {
    MIGRATION("gateway", "0001_users", gateway_0001),
    MIGRATION("gateway", "0002_delivery_scope", gateway_0002),
    MIGRATION("observability", "0001_history", observability_0001),
    MIGRATION("observability", "0002_dead_letters", observability_0002),
    MIGRATION("observability", "0003_failure", observability_0003),
    MIGRATION("observability", "0004_open_lists", observability_0004),
    MIGRATION("registry", "0001_webhooks", registry_0001),
    MIGRATION("registry", "0002_retry", registry_0002),
    MIGRATION("registry", "0003_gate", registry_0003),
    MIGRATION("registry", "0004_failing", registry_0004),
    {NULL, NULL, NULL, 0},
};

const struct cmigrations_migration *cmigrations_all(void) { return migrations; }
