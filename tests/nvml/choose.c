/*
 * An audit library (LD_AUDIT) that chooses the driver's libraries: libnvidia-ml.so.1 is the file that
 * GPUDOCTOR_TEST_NVML names, libcuda.so.1 the one that GPUDOCTOR_TEST_CUDA names, and what is not named cannot be found.
 * So test machines without a driver stay without one on a developer's machine that has it, and LD_LIBRARY_PATH is
 * theirs. See rtld-audit(7).
 */
#define _GNU_SOURCE
#include <link.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

unsigned int la_version(unsigned int offered)
{
    return offered < LAV_CURRENT ? offered : LAV_CURRENT;
}

char *la_objsearch(const char *name, uintptr_t *cookie, unsigned int flag)
{
    static const char *const chosen[][2] = {
        {"libnvidia-ml.so.1", "GPUDOCTOR_TEST_NVML"},
        {"libcuda.so.1", "GPUDOCTOR_TEST_CUDA"},
    };
    (void)cookie;
    const char *file = strrchr(name, '/');
    for (unsigned i = 0; i < sizeof chosen / sizeof *chosen; i++) {
        if (strcmp(file ? file + 1 : name, chosen[i][0]) != 0)
            continue;
        const char *path = getenv(chosen[i][1]);
        if (path && *path)
            return flag == LA_SER_ORIG ? (char *)path : (char *)name;
        /* A bare name rather than NULL, after which the loader says what it says where there is no library. */
        return (char *)chosen[i][0];
    }
    return (char *)name;
}
