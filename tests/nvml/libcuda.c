/*
 * A stand-in for the driver's CUDA library, libcuda.so.1: it answers what a data file says.
 *
 * The file is named by GPUDOCTOR_CUDA_DATA and read at the first call; statements.h says how it is written and which
 * faults it may ask for: `return cu* = 34` makes it a stub's.
 *
 *     init = 804                          # what cuInit gives; left out: 0
 *     version = 12.2                      # cuDriverGetVersion; left out: CUDA_ERROR_NOT_SUPPORTED
 *     count = 1                           # cuDeviceGetCount
 *     library = usr/lib/libcuda.so.1      # for the machine that is staged, see tests/machines; nothing to this library
 */
enum {
    SUCCESS = 0,
    INVALID_VALUE = 1,
    NOT_INITIALIZED = 3,
    NOT_SUPPORTED = 801,
};

#define LIBRARY "CUDA"
#define DATA_VARIABLE "GPUDOCTOR_CUDA_DATA"
#include "statements.h"

#define EXPORT __attribute__((visibility("default")))

static int initialised;

/* What stands before every answer. */
static int begin(const char *call)
{
    static int was_read;
    if (!was_read)
        read_data();
    was_read = 1;
    if (device_count)
        give_up("a data file of CUDA has no sections");
    for (int i = 0; i < statement_count; i++) {
        int code = suffer(&statements[i], call);
        if (code != SUCCESS)
            return code;
    }
    return SUCCESS;
}

EXPORT int cuInit(unsigned flags)
{
    int code = flags ? INVALID_VALUE : begin("cuInit");
    uint64_t init;
    if (code == SUCCESS && number(NULL, "init", &init) == SUCCESS)
        code = (int)init;
    initialised = code == SUCCESS;
    return code;
}

EXPORT int cuDriverGetVersion(int *version)
{
    int major, minor;
    int code = begin("cuDriverGetVersion");
    const statement *found;
    if (code == SUCCESS)
        code = told(NULL, "version", &found);
    if (code != SUCCESS)
        return code;
    if (sscanf(found->value, "%d.%d", &major, &minor) != 2)
        give_up("version = %s is no MAJOR.MINOR", found->value);
    *version = 1000 * major + 10 * minor;
    return SUCCESS;
}

EXPORT int cuDeviceGetCount(int *count)
{
    int code = begin("cuDeviceGetCount");
    uint64_t value = 0;
    if (code == SUCCESS)
        code = initialised ? number(NULL, "count", &value) : NOT_INITIALIZED;
    if (code == SUCCESS)
        *count = (int)value;
    return code;
}

EXPORT int cuGetErrorString(int code, const char **text)
{
    static const struct {
        int code;
        const char *text;
    } known[] = {
        {0, "no error"},
        {3, "initialization error"},
        {46, "CUDA-capable device(s) is/are busy or unavailable"},
        {100, "no CUDA-capable device is detected"},
        {304, "OS call failed or operation not supported on this OS"},
        {802, "system not yet initialized"},
        {803, "system has unsupported display driver / cuda driver combination"},
        {804, "forward compatibility was attempted on non supported HW"},
        {805, "MPS client failed to connect to the MPS control daemon or the MPS server"},
        {999, "unknown error"},
    };
    if (begin("cuGetErrorString") != SUCCESS)
        return INVALID_VALUE;
    for (unsigned i = 0; i < sizeof known / sizeof *known; i++)
        if (known[i].code == code) {
            *text = known[i].text;
            return SUCCESS;
        }
    *text = NULL;
    return INVALID_VALUE;
}
