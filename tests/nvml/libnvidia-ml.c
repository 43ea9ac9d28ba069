/*
 * A stand-in for the driver's management library, libnvidia-ml.so.1: it answers what a data file says.
 *
 * The file is named by GPUDOCTOR_NVML_DATA and read when NVML is initialised. One statement a line; `#` begins
 * a comment; a value may hold \xHH for any byte and \\ for a backslash. A name that is not set is answered with
 * NVML_ERROR_NOT_SUPPORTED, as a GPU without that feature does. A file that cannot be read or understood aborts
 * the process: a test must never pass on a host that nobody described.
 *
 *     driver_version = 455.45.01
 *     nvml_version = 11.455.45.01
 *     cuda_driver_version = 11.1
 *     count = 3                           # answers nvmlDeviceGetCount_v2; left out: the number of GPUs below
 *     missing = nvmlDeviceGetMemoryInfo_v2  # the library is built without this symbol (see standin.py)
 *
 *     [gpu *]                             # what every GPU has that does not say otherwise itself
 *     name = GeForce RTX 3090
 *     compute_capability = 8.6
 *     memory_total = 24268 MiB            # also KiB, GiB, or bytes
 *
 *     [gpu 0]
 *     uuid = GPU-00c0ffee-0001-4000-8000-000000000001
 *     pci_bus_id = 00000000:01:00.0
 *     lost_after = nvmlDeviceGetName      # once that call was answered, this GPU answers nothing but 15
 *
 *     [mig 0.0]                           # MIG instance 0 of GPU 0
 *     name = NVIDIA A100-SXM4-40GB MIG 1g.5gb
 *
 * Faults stand at the head of the file or under a GPU or instance, where they hold for that device alone. The
 * call may end in `*`; the first statement that fits decides.
 *
 *     return nvmlInit* = 9                # the call answers with this nvmlReturn_t
 *     delay_ms nvmlInitWithFlags = 30     # ... after so many milliseconds
 *     hang nvmlDeviceGetName              # sleeps for ever, and a signal ends it
 *     hang nvmlDeviceGetName = spin       # uses the processor for ever
 *     hang nvmlDeviceGetName = uninterruptible   # state D, as in a driver that waits for a sick GPU
 *     hang nvmlDeviceGetName = helper     # starts a program and waits for it, as NVML does with nvidia-modprobe
 *     open nvmlDeviceGetName = PATH       # opens PATH: a file whose server never answers is a driver's D state
 *     abort nvmlDeviceGetName             # SIGABRT
 *     crash nvmlDeviceGetName             # SIGSEGV
 *
 * To add a call that reads a number, a pair of numbers or a text, add one line below.
 */
#define _GNU_SOURCE
#include <ctype.h>
#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <time.h>
#include <unistd.h>

enum {
    SUCCESS = 0,
    UNINITIALIZED = 1,
    INVALID_ARGUMENT = 2,
    NOT_SUPPORTED = 3,
    NOT_FOUND = 6,
    INSUFFICIENT_SIZE = 7,
    GPU_IS_LOST = 15,
    ARGUMENT_VERSION_MISMATCH = 25,
};

enum { MAX_STATEMENTS = 2048, MAX_DEVICES = 256, MAX_TEXT = 512, ANY = -1 };

/* A device is the key of its section in the file: a GPU, or an instance of one. The host is no device. */
typedef struct {
    int gpu; /* ANY: [gpu *] */
    int mig; /* ANY: not an instance */
    int lost;
} device;

typedef struct {
    const device *section; /* NULL: the head of the file */
    char name[MAX_TEXT];
    char value[MAX_TEXT];
    size_t length;
} statement;

static statement statements[MAX_STATEMENTS];
static int statement_count;
static device devices[MAX_DEVICES];
static int device_count;
static int initialised;

static void give_up(const char *format, ...) __attribute__((format(printf, 1, 2), noreturn));

static void give_up(const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    fputs("NVML stand-in: ", stderr);
    vfprintf(stderr, format, arguments);
    fputc('\n', stderr);
    va_end(arguments);
    abort();
}

static char *trimmed(char *text)
{
    while (isspace((unsigned char)*text))
        text++;
    char *end = text + strlen(text);
    while (end > text && isspace((unsigned char)end[-1]))
        *--end = '\0';
    return text;
}

static size_t unescaped(const char *from, char *to, int line)
{
    char *start = to;
    while (*from) {
        if (*from != '\\') {
            *to++ = *from++;
        } else if (from[1] == '\\') {
            *to++ = '\\';
            from += 2;
        } else if (from[1] == 'x' && isxdigit((unsigned char)from[2]) && isxdigit((unsigned char)from[3])) {
            char digits[3] = {from[2], from[3], '\0'};
            *to++ = (char)strtol(digits, NULL, 16);
            from += 4;
        } else {
            give_up("line %d: a backslash goes before another or before xHH", line);
        }
    }
    *to = '\0';
    return (size_t)(to - start);
}

static device *section_named(const char *title, int line)
{
    device found = {ANY, ANY, 0};
    int length = 0;
    if (strcmp(title, "gpu *") != 0 && (sscanf(title, "gpu %d%n", &found.gpu, &length) != 1 || title[length])
        && (sscanf(title, "mig %d.%d%n", &found.gpu, &found.mig, &length) != 2 || title[length]))
        give_up("line %d: [%s] is none of [gpu *], [gpu 0], [mig 0.0]", line, title);
    for (int i = 0; i < device_count; i++)
        if (devices[i].gpu == found.gpu && devices[i].mig == found.mig)
            return &devices[i];
    if (device_count == MAX_DEVICES)
        give_up("line %d: more than %d devices", line, MAX_DEVICES);
    devices[device_count] = found;
    return &devices[device_count++];
}

static void read_data(void)
{
    const char *path = getenv("GPUDOCTOR_NVML_DATA");
    if (!path)
        give_up("GPUDOCTOR_NVML_DATA is not set");
    FILE *file = fopen(path, "re");
    if (!file)
        give_up("cannot read %s", path);
    char buffer[MAX_TEXT];
    const device *section = NULL;
    statement_count = device_count = 0;
    for (int line = 1; fgets(buffer, sizeof buffer, file); line++) {
        if (!strchr(buffer, '\n') && !feof(file))
            give_up("line %d: longer than %d bytes", line, MAX_TEXT - 2);
        char *comment = strchr(buffer, '#');
        if (comment)
            *comment = '\0';
        char *text = trimmed(buffer);
        if (!*text)
            continue;
        size_t length = strlen(text);
        if (*text == '[' && text[length - 1] == ']') {
            text[length - 1] = '\0';
            section = section_named(trimmed(text + 1), line);
            continue;
        }
        char *value = strchr(text, '=');
        if (value)
            *value++ = '\0';
        else if (strncmp(text, "hang ", 5) != 0 && strncmp(text, "abort ", 6) != 0 && strncmp(text, "crash ", 6) != 0)
            give_up("line %d: expected NAME = VALUE", line);
        if (statement_count == MAX_STATEMENTS)
            give_up("line %d: more than %d statements", line, MAX_STATEMENTS);
        statement *next = &statements[statement_count++];
        next->section = section;
        strcpy(next->name, trimmed(text));
        next->length = unescaped(value ? trimmed(value) : "", next->value, line);
    }
    fclose(file);
}

static const statement *find(const device *section, const char *name)
{
    for (int i = 0; i < statement_count; i++)
        if (statements[i].section == section && strcmp(statements[i].name, name) == 0)
            return &statements[i];
    return NULL;
}

static const device *device_at(int gpu, int mig)
{
    for (int i = 0; i < device_count; i++)
        if (devices[i].gpu == gpu && devices[i].mig == mig)
            return &devices[i];
    return NULL;
}

static const statement *setting(const device *of, const char *name)
{
    const statement *own = find(of, name);
    if (own || !of || of->mig != ANY)
        return own;
    const device *every = device_at(ANY, ANY);
    return every ? find(every, name) : NULL;
}

static int fits(const char *pattern, const char *call)
{
    size_t length = strlen(pattern);
    if (length && pattern[length - 1] == '*')
        return strncmp(pattern, call, length - 1) == 0;
    return strcmp(pattern, call) == 0;
}

static void hang(const char *how)
{
    if (strcmp(how, "spin") == 0)
        for (volatile unsigned turns = 0;; turns++)
            ;
    if (strcmp(how, "helper") == 0 && vfork() == 0) {
        execlp("sleep", "sleep", "600", (char *)NULL);
        _exit(127);
    }
    /* The parent of a vfork waits in state D for its child, which dies with it. */
    if (strcmp(how, "uninterruptible") == 0 && vfork() == 0)
        prctl(PR_SET_PDEATHSIG, SIGKILL);
    for (;;)
        pause();
}

static int suffer(const statement *fault, const char *call)
{
    const char *pattern = strchr(fault->name, ' ');
    if (!pattern || !fits(pattern + 1, call))
        return SUCCESS;
    if (strncmp(fault->name, "return ", 7) == 0)
        return atoi(fault->value);
    if (strncmp(fault->name, "hang ", 5) == 0)
        hang(fault->value);
    if (strncmp(fault->name, "abort ", 6) == 0)
        abort();
    if (strncmp(fault->name, "crash ", 6) == 0)
        raise(SIGSEGV);
    if (strncmp(fault->name, "open ", 5) == 0) {
        int descriptor = open(fault->value, O_RDONLY | O_CLOEXEC);
        if (descriptor >= 0)
            close(descriptor);
    }
    if (strncmp(fault->name, "delay_ms ", 9) == 0) {
        long milliseconds = atol(fault->value);
        struct timespec pause_for = {milliseconds / 1000, milliseconds % 1000 * 1000000};
        nanosleep(&pause_for, NULL);
    }
    return SUCCESS;
}

/* What stands before every answer: the faults of the device, of all GPUs, of the host. */
static int begin(const char *call, device *of)
{
    if (!initialised)
        return UNINITIALIZED;
    if (of && (of < devices || of >= devices + device_count))
        return INVALID_ARGUMENT;
    if (of && of->lost)
        return GPU_IS_LOST;
    const device *sections[] = {of, of && of->mig == ANY ? device_at(ANY, ANY) : NULL, NULL};
    for (int i = of ? 0 : 2; i < 3; i++) {
        if (i == 1 && !sections[1])
            continue;
        for (int j = 0; j < statement_count; j++) {
            int code = statements[j].section == sections[i] ? suffer(&statements[j], call) : SUCCESS;
            if (code != SUCCESS)
                return code;
        }
    }
    if (of) {
        const statement *last = find(of, "lost_after");
        of->lost = last && fits(last->value, call);
    }
    return SUCCESS;
}

static int read_text(const char *call, device *of, const char *name, char *buffer, unsigned size)
{
    int code = begin(call, of);
    if (code != SUCCESS)
        return code;
    if (!buffer)
        return INVALID_ARGUMENT;
    const statement *found = setting(of, name);
    if (!found)
        return NOT_SUPPORTED;
    if (found->length + 1 > size)
        return INSUFFICIENT_SIZE;
    memcpy(buffer, found->value, found->length + 1);
    return SUCCESS;
}

static int number(const device *of, const char *name, uint64_t *into)
{
    const statement *found = setting(of, name);
    if (!found)
        return NOT_SUPPORTED;
    char *end;
    uint64_t value = strtoull(found->value, &end, 0);
    end = trimmed(end);
    if (end == found->value || (*end && strcmp(end, "KiB") && strcmp(end, "MiB") && strcmp(end, "GiB")))
        give_up("%s = %s is no number", name, found->value);
    *into = value << (*end == 'K' ? 10 : *end == 'M' ? 20 : *end == 'G' ? 30 : 0);
    return SUCCESS;
}

static int read_number(const char *call, device *of, const char *name, unsigned *into)
{
    int code = begin(call, of);
    uint64_t value = 0;
    if (code == SUCCESS)
        code = into ? number(of, name, &value) : INVALID_ARGUMENT;
    if (code == SUCCESS)
        *into = (unsigned)value;
    return code;
}

/* The second number is the first where the file does not set it: nothing is pending. */
static int read_pair(const char *call, device *of, const char *first, const char *second, unsigned *a, unsigned *b)
{
    int code = read_number(call, of, first, a);
    if (code != SUCCESS || !b)
        return code != SUCCESS ? code : INVALID_ARGUMENT;
    uint64_t value = *a;
    number(of, second, &value);
    *b = (unsigned)value;
    return SUCCESS;
}

static int read_version(const char *call, device *of, const char *name, int *major, int *minor)
{
    int code = begin(call, of);
    if (code != SUCCESS)
        return code;
    const statement *found = setting(of, name);
    if (!found)
        return NOT_SUPPORTED;
    if (sscanf(found->value, "%d.%d", major, minor) != 2)
        give_up("%s = %s is no MAJOR.MINOR", name, found->value);
    return SUCCESS;
}

#define EXPORT __attribute__((visibility("default")))
#define HOST_TEXT(call, name) \
    EXPORT int call(char *text, unsigned size) { return read_text(#call, NULL, name, text, size); }
#define TEXT(call, name) \
    EXPORT int call(device *of, char *text, unsigned size) { return read_text(#call, of, name, text, size); }
#define NUMBER(call, name) \
    EXPORT int call(device *of, unsigned *value) { return read_number(#call, of, name, value); }
#define PAIR(call, first, second) \
    EXPORT int call(device *of, unsigned *a, unsigned *b) { return read_pair(#call, of, first, second, a, b); }

HOST_TEXT(nvmlSystemGetDriverVersion, "driver_version")
HOST_TEXT(nvmlSystemGetNVMLVersion, "nvml_version")

TEXT(nvmlDeviceGetName, "name")
TEXT(nvmlDeviceGetUUID, "uuid")
TEXT(nvmlDeviceGetSerial, "serial")
TEXT(nvmlDeviceGetVbiosVersion, "vbios_version")
TEXT(nvmlDeviceGetBoardPartNumber, "board_part_number")
TEXT(nvmlDeviceGetInforomImageVersion, "inforom_image_version")

NUMBER(nvmlDeviceGetBrand, "brand")
NUMBER(nvmlDeviceGetArchitecture, "architecture")
NUMBER(nvmlDeviceGetMinorNumber, "minor_number")
NUMBER(nvmlDeviceGetComputeMode, "compute_mode")
NUMBER(nvmlDeviceGetPersistenceMode, "persistence_mode")
NUMBER(nvmlDeviceGetDisplayActive, "display_active")
NUMBER(nvmlDeviceGetDisplayMode, "display_mode")
NUMBER(nvmlDeviceGetPerformanceState, "performance_state")
NUMBER(nvmlDeviceGetPowerUsage, "power_usage_milliwatts")
NUMBER(nvmlDeviceGetEnforcedPowerLimit, "power_limit_milliwatts")
NUMBER(nvmlDeviceGetCurrPcieLinkGeneration, "pcie_generation")
NUMBER(nvmlDeviceGetMaxPcieLinkGeneration, "pcie_max_generation")
NUMBER(nvmlDeviceGetCurrPcieLinkWidth, "pcie_width")
NUMBER(nvmlDeviceGetMaxPcieLinkWidth, "pcie_max_width")
NUMBER(nvmlDeviceGetMaxMigDeviceCount, "max_mig_devices")
NUMBER(nvmlDeviceGetGpuInstanceId, "gpu_instance_id")
NUMBER(nvmlDeviceGetComputeInstanceId, "compute_instance_id")

PAIR(nvmlDeviceGetMigMode, "mig_mode", "mig_mode_pending")
PAIR(nvmlDeviceGetEccMode, "ecc_mode", "ecc_mode_pending")

static int initialise(const char *call)
{
    /* Read again each time: a process may shut NVML down and look at another host. */
    if (!initialised)
        read_data();
    int before = initialised;
    initialised = 1;
    int code = begin(call, NULL);
    initialised = before + (code == SUCCESS);
    return code;
}

EXPORT int nvmlInit(void) { return initialise("nvmlInit"); }
EXPORT int nvmlInit_v2(void) { return initialise("nvmlInit_v2"); }
EXPORT int nvmlInitWithFlags(unsigned flags)
{
    (void)flags;
    return initialise("nvmlInitWithFlags");
}

EXPORT int nvmlShutdown(void)
{
    int code = begin("nvmlShutdown", NULL);
    initialised -= code == SUCCESS;
    return code;
}

EXPORT const char *nvmlErrorString(int code)
{
    static const char *const words[] = {
        "Success", "Uninitialized", "Invalid Argument", "Not Supported", "Insufficient Permissions",
        "Already Initialized", "Not Found", "Insufficient Size", "Insufficient External Power",
        "Driver Not Loaded", "Timeout", "Interrupt Request Issue", "NVML Shared Library Not Found",
        "Function Not Found", "Corrupted infoROM", "GPU is lost", "GPU requires reset",
        "The operating system has blocked the request", "Driver/library version mismatch", "In use by another client",
        "Insufficient memory", "No data", "Not supported with vGPU ECC", "Insufficient resources",
        "Frequency not supported", "Argument version mismatch", "Deprecated", "Not ready", "GPU not found",
        "Invalid state", "Reset type not supported",
    };
    return code >= 0 && code < (int)(sizeof words / sizeof *words) ? words[code] : "Unknown Error";
}

static int cuda_driver_version(const char *call, int *version)
{
    int major = 0, minor = 0;
    int code = read_version(call, NULL, "cuda_driver_version", &major, &minor);
    if (code == SUCCESS)
        *version = 1000 * major + 10 * minor;
    return code;
}

EXPORT int nvmlSystemGetCudaDriverVersion(int *version)
{
    return cuda_driver_version("nvmlSystemGetCudaDriverVersion", version);
}

EXPORT int nvmlSystemGetCudaDriverVersion_v2(int *version)
{
    return cuda_driver_version("nvmlSystemGetCudaDriverVersion_v2", version);
}

EXPORT int nvmlDeviceGetCount_v2(unsigned *count)
{
    int code = begin("nvmlDeviceGetCount_v2", NULL);
    if (code != SUCCESS)
        return code;
    uint64_t told;
    if (number(NULL, "count", &told) == SUCCESS) {
        *count = (unsigned)told;
        return SUCCESS;
    }
    *count = 0;
    for (int i = 0; i < device_count; i++)
        *count += devices[i].gpu != ANY && devices[i].mig == ANY;
    return SUCCESS;
}

static int handle_of(const char *call, int gpu, int mig, device **handle)
{
    device *found = (device *)device_at(gpu, mig);
    int code = begin(call, found);
    if (code != SUCCESS)
        return code;
    *handle = found;
    return found ? SUCCESS : mig == ANY ? INVALID_ARGUMENT : NOT_FOUND;
}

EXPORT int nvmlDeviceGetHandleByIndex_v2(unsigned index, device **handle)
{
    return handle_of("nvmlDeviceGetHandleByIndex_v2", (int)index, ANY, handle);
}

EXPORT int nvmlDeviceGetMigDeviceHandleByIndex(device *of, unsigned index, device **handle)
{
    int code = begin("nvmlDeviceGetMigDeviceHandleByIndex", of);
    if (code != SUCCESS)
        return code;
    uint64_t limit = 0;
    if (number(of, "max_mig_devices", &limit) != SUCCESS || index >= limit)
        return INVALID_ARGUMENT;
    return handle_of("nvmlDeviceGetMigDeviceHandleByIndex", of->gpu, (int)index, handle);
}

EXPORT int nvmlDeviceIsMigDeviceHandle(device *of, unsigned *is_mig)
{
    int code = begin("nvmlDeviceIsMigDeviceHandle", of);
    if (code == SUCCESS)
        *is_mig = of->mig != ANY;
    return code;
}

EXPORT int nvmlDeviceGetIndex(device *of, unsigned *index)
{
    int code = begin("nvmlDeviceGetIndex", of);
    if (code == SUCCESS)
        *index = (unsigned)(of->mig != ANY ? of->mig : of->gpu);
    return code;
}

EXPORT int nvmlDeviceGetCudaComputeCapability(device *of, int *major, int *minor)
{
    return read_version("nvmlDeviceGetCudaComputeCapability", of, "compute_capability", major, minor);
}

/* The bus id had 16 bytes once; the longer one lies where reserved words were. */
typedef struct {
    char bus_id_of_16[16];
    unsigned domain, bus, slot, device_id, subsystem_id;
    char bus_id[32];
} pci_info;

static int read_pci(const char *call, device *of, pci_info *info, int with_long_id)
{
    char text[32] = "";
    int code = read_text(call, of, "pci_bus_id", text, sizeof text);
    if (code != SUCCESS)
        return code;
    /* The older call fills the first 52 bytes and knows no longer id. */
    memset(info, 0, with_long_id ? sizeof *info : sizeof *info - 16);
    if (with_long_id)
        memcpy(info->bus_id, text, sizeof text);
    if (sscanf(text, "%x:%x:%x", &info->domain, &info->bus, &info->slot) == 3)
        snprintf(info->bus_id_of_16, sizeof info->bus_id_of_16, "%04X:%02X:%02X.0", info->domain & 0xffff,
                 info->bus & 0xff, info->slot & 0xff);
    uint64_t id = 0;
    number(of, "pci_device_id", &id);
    info->device_id = (unsigned)id;
    return SUCCESS;
}

EXPORT int nvmlDeviceGetPciInfo_v2(device *of, pci_info *info)
{
    return read_pci("nvmlDeviceGetPciInfo_v2", of, info, 0);
}

EXPORT int nvmlDeviceGetPciInfo_v3(device *of, pci_info *info)
{
    return read_pci("nvmlDeviceGetPciInfo_v3", of, info, 1);
}

typedef struct {
    uint64_t total, free, used;
} memory;

typedef struct {
    unsigned version;
    uint64_t total, reserved, free, used;
} memory_v2;

static int read_memory(const char *call, device *of, memory_v2 *into)
{
    int code = begin(call, of);
    if (code == SUCCESS)
        code = number(of, "memory_total", &into->total);
    if (code != SUCCESS)
        return code;
    into->reserved = into->used = 0;
    number(of, "memory_reserved", &into->reserved);
    number(of, "memory_used", &into->used);
    into->free = into->total - into->reserved - into->used;
    number(of, "memory_free", &into->free);
    return SUCCESS;
}

EXPORT int nvmlDeviceGetMemoryInfo(device *of, memory *into)
{
    memory_v2 read = {0};
    int code = read_memory("nvmlDeviceGetMemoryInfo", of, &read);
    if (code == SUCCESS)
        *into = (memory){read.total, read.free, read.used + read.reserved};
    return code;
}

EXPORT int nvmlDeviceGetMemoryInfo_v2(device *of, memory_v2 *into)
{
    /* Second version of a structure of this size, as the interface numbers them. */
    if (into->version != (2u << 24 | sizeof *into))
        return ARGUMENT_VERSION_MISMATCH;
    return read_memory("nvmlDeviceGetMemoryInfo_v2", of, into);
}
