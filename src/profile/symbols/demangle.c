/* SPDX-License-Identifier: MIT */
/*
 * demangle.c: the demangler of the C++ runtime, which is looked for when the first mangled name is met: the
 * program's own, else libstdc++ is loaded for it, and stays. Nothing here is linked with a C++ library, and
 * without one names are shown as they are. Called while symbols.c names functions, by any thread.
 */
#include "demangle.h"

#include <dlfcn.h>
#include <errno.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

typedef char *demangler_fn(const char *mangled, char *buffer, size_t *bytes, int *status);

#define NO_MEMORY (-1) /* a status of theirs */

static char *leave_mangled(const char *mangled, char *buffer, size_t *bytes, int *status)
{
    (void)mangled;
    (void)buffer;
    (void)bytes;
    *status = 0;
    return NULL;
}

/* Two threads that look for it at once find the same. */
static demangler_fn *find_demangler(void)
{
    static _Atomic(demangler_fn *) found;
    demangler_fn *demangler = atomic_load_explicit(&found, memory_order_acquire);
    if (demangler != NULL)
        return demangler;
    void *symbol = dlsym(RTLD_DEFAULT, "__cxa_demangle");
    if (symbol == NULL) {
        void *library = dlopen("libstdc++.so.6", RTLD_LAZY | RTLD_LOCAL);
        if (library != NULL)
            symbol = dlsym(library, "__cxa_demangle");
    }
    if (symbol != NULL)
        memcpy(&demangler, &symbol, sizeof demangler); /* ISO C has no cast from an object's address */
    else
        demangler = leave_mangled;
    atomic_store_explicit(&found, demangler, memory_order_release);
    return demangler;
}

int awi_demangle(const char *linkage, char **name)
{
    *name = NULL;
    const char *version = linkage[0] != '\0' ? strchr(linkage + 1, '@') : NULL;
    char *bare = NULL; /* without the version */
    if (version != NULL) {
        bare = strndup(linkage, (size_t)(version - linkage));
        if (bare == NULL)
            return -ENOMEM;
        linkage = bare;
    }
    if (linkage[0] == '_' && linkage[1] == 'Z') {
        int status = 0;
        *name = find_demangler()(linkage, NULL, NULL, &status);
        if (*name == NULL && status == NO_MEMORY) {
            free(bare);
            return -ENOMEM;
        }
    }
    if (*name == NULL)
        *name = bare;
    else
        free(bare);
    return 0;
}
