/*
 * An audit library (LD_AUDIT) under which no libnvidia-ml.so.1 can be found: test machines without a driver stay
 * without one on a developer's machine that has it. See rtld-audit(7).
 */
#define _GNU_SOURCE
#include <link.h>
#include <stdint.h>
#include <string.h>

unsigned int la_version(unsigned int offered)
{
    return offered < LAV_CURRENT ? offered : LAV_CURRENT;
}

char *la_objsearch(const char *name, uintptr_t *cookie, unsigned int flag)
{
    (void)cookie;
    (void)flag;
    const char *file = strrchr(name, '/');
    int hidden = strcmp(file ? file + 1 : name, "libnvidia-ml.so.1") == 0;
    /* A bare name rather than NULL, after which the loader says what it says where there is no library. */
    return hidden ? (char *)"libnvidia-ml.so.1" : (char *)name;
}
