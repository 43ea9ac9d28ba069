/*
 * A stand-in for the driver's management library, libnvidia-ml.so.1: it answers what a data file says.
 *
 * The file is named by GPUDOCTOR_NVML_DATA and read when NVML is initialised; statements.h says how it is written and
 * which faults it may ask for. A name that is not set is answered with NVML_ERROR_NOT_SUPPORTED, as a GPU without that
 * feature does.
 *
 *     driver_version = 455.45.01
 *     nvml_version = 11.455.45.01
 *     cuda_driver_version = 11.1
 *     count = 3                           # answers nvmlDeviceGetCount_v2; left out: the number of GPUs below
 *     process_name 4242 = /usr/bin/python3  # answers nvmlSystemGetProcessName; left out: NVML_ERROR_NOT_FOUND
 *     missing = nvmlDeviceGetMemoryInfo_v2  # the library is built without this symbol (see standin.py)
 *
 *     [gpu *]                             # what every GPU has that does not say otherwise itself
 *     name = GeForce RTX 3090
 *     compute_capability = 8.6
 *     memory_total = 24268 MiB            # also KiB, GiB, or bytes; memory_free, memory_used, memory_reserved
 *     temperature = 41                    # temperature_slowdown, temperature_shutdown
 *     power_usage_milliwatts = 28500      # power_limit_milliwatts, power_default_limit_milliwatts
 *     clocks_event_reasons = 0x1          # the bits of nvmlClocksEventReason…
 *     ecc_mode = 1                        # ecc_mode_pending; likewise mig_mode
 *     ecc_uncorrected_volatile = 0        # ecc_uncorrected_aggregate, ecc_corrected_volatile, ecc_corrected_aggregate
 *     ecc_sram_threshold_exceeded = 0
 *     retired_pages_single_bit = 2        # retired_pages_double_bit, retired_pages_pending
 *     remapped_rows = 1 0 0 0             # correctable, uncorrectable, pending, failure
 *     exhausted_banks = 0
 *     nvlinks = 1 1 0 !15                 # state of each link: active, active, inactive, an error's code
 *     fabric_state = 3                    # fabric_status, an nvmlReturn_t; fabric_health: without it, no version 3
 *     recovery_action = 0                 # field 230
 *     inforom_valid = 1
 *     gsp_firmware = 535.129.03           # gsp_enabled
 *     compute_process = 4242 1024 MiB     # repeatable; without memory, not available; likewise graphics_process
 *
 *     [gpu 0]
 *     uuid = GPU-00c0ffee-0001-4000-8000-000000000001
 *     pci_bus_id = 00000000:01:00.0
 *     lost_after = nvmlDeviceGetName      # once that call was answered, this GPU answers nothing but 15
 *
 *     [mig 0.0]                           # MIG instance 0 of GPU 0
 *     name = NVIDIA A100-SXM4-40GB MIG 1g.5gb
 *
 * To add a call that reads a number, a pair of numbers or a text, add one line below.
 */
enum {
    SUCCESS = 0,
    UNINITIALIZED = 1,
    INVALID_ARGUMENT = 2,
    NOT_SUPPORTED = 3,
    NOT_FOUND = 6,
    INSUFFICIENT_SIZE = 7,
    CORRUPTED_INFOROM = 14,
    GPU_IS_LOST = 15,
    ARGUMENT_VERSION_MISMATCH = 25,
};

#define LIBRARY "NVML"
#define DATA_VARIABLE "GPUDOCTOR_NVML_DATA"
#include "statements.h"

static int initialised;

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
    const statement *found;
    code = told(of, name, &found);
    if (code != SUCCESS)
        return code;
    if (found->length + 1 > size)
        return INSUFFICIENT_SIZE;
    memcpy(buffer, found->value, found->length + 1);
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
    const statement *found;
    code = told(of, name, &found);
    if (code != SUCCESS)
        return code;
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

NUMBER(nvmlDeviceGetPowerManagementDefaultLimit, "power_default_limit_milliwatts")
NUMBER(nvmlDeviceGetPcieReplayCounter, "pcie_replays")
NUMBER(nvmlDeviceGetRetiredPagesPendingStatus, "retired_pages_pending")

PAIR(nvmlDeviceGetGspFirmwareMode, "gsp_enabled", "gsp_enabled_by_default")
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

/* The interface numbers its structures by version and size. */
#define VERSION(number, structure) ((unsigned)(number) << 24 | (unsigned)sizeof(structure))

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
    if (into->version != VERSION(2, *into))
        return ARGUMENT_VERSION_MISMATCH;
    return read_memory("nvmlDeviceGetMemoryInfo_v2", of, into);
}

static int read_long_number(const char *call, device *of, const char *name, uint64_t *into)
{
    int code = begin(call, of);
    return code != SUCCESS ? code : into ? number(of, name, into) : INVALID_ARGUMENT;
}

EXPORT int nvmlDeviceGetCurrentClocksEventReasons(device *of, uint64_t *reasons)
{
    return read_long_number("nvmlDeviceGetCurrentClocksEventReasons", of, "clocks_event_reasons", reasons);
}

EXPORT int nvmlDeviceGetCurrentClocksThrottleReasons(device *of, uint64_t *reasons)
{
    return read_long_number("nvmlDeviceGetCurrentClocksThrottleReasons", of, "clocks_event_reasons", reasons);
}

EXPORT int nvmlDeviceGetTotalEccErrors(device *of, unsigned kind, unsigned counter, uint64_t *count)
{
    static const char *const names[2][2] = {
        {"ecc_corrected_volatile", "ecc_corrected_aggregate"},
        {"ecc_uncorrected_volatile", "ecc_uncorrected_aggregate"},
    };
    if (kind > 1 || counter > 1)
        return INVALID_ARGUMENT;
    return read_long_number("nvmlDeviceGetTotalEccErrors", of, names[kind][counter], count);
}

typedef struct {
    unsigned version;
    uint64_t counters[11];
    unsigned threshold_exceeded;
} sram_errors;

EXPORT int nvmlDeviceGetSramEccErrorStatus(device *of, sram_errors *into)
{
    if (into->version != VERSION(1, *into))
        return ARGUMENT_VERSION_MISMATCH;
    return read_number("nvmlDeviceGetSramEccErrorStatus", of, "ecc_sram_threshold_exceeded", &into->threshold_exceeded);
}

EXPORT int nvmlDeviceGetRetiredPages(device *of, unsigned cause, unsigned *count, uint64_t *addresses)
{
    unsigned pages;
    const char *name = cause ? "retired_pages_double_bit" : "retired_pages_single_bit";
    int code = cause > 1 ? INVALID_ARGUMENT : read_number("nvmlDeviceGetRetiredPages", of, name, &pages);
    if (code != SUCCESS)
        return code;
    int too_small = *count < pages;
    *count = pages;
    if (too_small)
        return INSUFFICIENT_SIZE;
    for (unsigned i = 0; i < pages; i++)
        addresses[i] = 0x1000ull * (i + 1);
    return SUCCESS;
}

EXPORT int nvmlDeviceGetRemappedRows(device *of, unsigned *correctable, unsigned *uncorrectable, unsigned *pending,
                                     unsigned *failure)
{
    int code = begin("nvmlDeviceGetRemappedRows", of);
    const statement *found;
    if (code == SUCCESS)
        code = told(of, "remapped_rows", &found);
    if (code == SUCCESS && sscanf(found->value, "%u %u %u %u", correctable, uncorrectable, pending, failure) != 4)
        give_up("remapped_rows = %s is no four numbers", found->value);
    return code;
}

/* Banks by how many spare rows they have left: all, many, some, few, none. */
EXPORT int nvmlDeviceGetRowRemapperHistogram(device *of, unsigned histogram[5])
{
    unsigned exhausted;
    int code = read_number("nvmlDeviceGetRowRemapperHistogram", of, "exhausted_banks", &exhausted);
    for (int i = 0; code == SUCCESS && i < 5; i++)
        histogram[i] = i == 0 ? 640 - exhausted : i == 4 ? exhausted : 0;
    return code;
}

typedef struct {
    unsigned version, sensor;
    int temperature;
} temperature_v1;

EXPORT int nvmlDeviceGetTemperatureV(device *of, temperature_v1 *into)
{
    if (into->version != VERSION(1, *into))
        return ARGUMENT_VERSION_MISMATCH;
    if (into->sensor)
        return INVALID_ARGUMENT;
    return read_number("nvmlDeviceGetTemperatureV", of, "temperature", (unsigned *)&into->temperature);
}

EXPORT int nvmlDeviceGetTemperature(device *of, unsigned sensor, unsigned *into)
{
    return sensor ? INVALID_ARGUMENT : read_number("nvmlDeviceGetTemperature", of, "temperature", into);
}

EXPORT int nvmlDeviceGetTemperatureThreshold(device *of, unsigned which, unsigned *into)
{
    static const char *const names[] = {"temperature_shutdown", "temperature_slowdown"};
    return which > 1 ? INVALID_ARGUMENT : read_number("nvmlDeviceGetTemperatureThreshold", of, names[which], into);
}

EXPORT int nvmlDeviceGetNvLinkState(device *of, unsigned link, unsigned *state)
{
    int code = begin("nvmlDeviceGetNvLinkState", of);
    const statement *found;
    if (code == SUCCESS && !(found = setting(of, "nvlinks")))
        code = NOT_SUPPORTED;
    if (code != SUCCESS)
        return code;
    const char *word = found->value;
    for (unsigned i = 0; i < link && *word; i++) {
        word += strcspn(word, " ");
        word += strspn(word, " ");
    }
    if (!*word)
        return INVALID_ARGUMENT;
    if (*word == '!')
        return atoi(word + 1);
    *state = (unsigned)atoi(word);
    return SUCCESS;
}

enum { FABRIC_INFO_V2_SIZE = 36 };

typedef struct {
    unsigned version;
    unsigned char cluster[16];
    int status;
    unsigned clique, state, health_mask;
    unsigned char health;
} fabric_info;

static int read_fabric(const char *call, device *of, int *status, unsigned *state)
{
    uint64_t value = 0;
    int code = read_number(call, of, "fabric_state", state);
    if (code == SUCCESS && number(of, "fabric_status", &value) == SUCCESS)
        *status = (int)value;
    return code;
}

EXPORT int nvmlDeviceGetGpuFabricInfoV(device *of, fabric_info *into)
{
    uint64_t health = 0;
    int tells_health = number(of, "fabric_health", &health) == SUCCESS;
    int wanted = into->version == VERSION(3, *into);
    if (!wanted && into->version != (2u << 24 | FABRIC_INFO_V2_SIZE))
        return ARGUMENT_VERSION_MISMATCH;
    int code = read_fabric("nvmlDeviceGetGpuFabricInfoV", of, &into->status, &into->state);
    if (code != SUCCESS)
        return code;
    if (wanted && !tells_health)
        return ARGUMENT_VERSION_MISMATCH;
    if (wanted)
        into->health = (unsigned char)health;
    return SUCCESS;
}

typedef struct {
    unsigned char cluster[16];
    int status;
    unsigned clique, state;
} fabric_info_v1;

EXPORT int nvmlDeviceGetGpuFabricInfo(device *of, fabric_info_v1 *into)
{
    return read_fabric("nvmlDeviceGetGpuFabricInfo", of, &into->status, &into->state);
}

typedef struct {
    unsigned field, scope;
    int64_t timestamp, latency;
    unsigned type; /* 1: unsigned */
    int code;
    union {
        unsigned number;
        uint64_t room;
    } value;
} field_value;

enum { RECOVERY_ACTION = 230 };

EXPORT int nvmlDeviceGetFieldValues(device *of, int count, field_value *values)
{
    int code = begin("nvmlDeviceGetFieldValues", of);
    for (int i = 0; code == SUCCESS && i < count; i++) {
        uint64_t told_number = 0;
        values[i].code = values[i].field == RECOVERY_ACTION ? number(of, "recovery_action", &told_number)
                                                            : INVALID_ARGUMENT;
        values[i].type = 1;
        values[i].value.number = (unsigned)told_number;
    }
    return code;
}

EXPORT int nvmlDeviceValidateInforom(device *of)
{
    unsigned valid = 0;
    int code = read_number("nvmlDeviceValidateInforom", of, "inforom_valid", &valid);
    return code == SUCCESS && !valid ? CORRUPTED_INFOROM : code;
}

EXPORT int nvmlDeviceGetGspFirmwareVersion(device *of, char *text)
{
    return read_text("nvmlDeviceGetGspFirmwareVersion", of, "gsp_firmware", text, 64);
}

typedef struct {
    unsigned process;
    uint64_t memory;
} process_v1;

typedef struct {
    unsigned process;
    uint64_t memory;
    unsigned gpu_instance, compute_instance;
} process_v2;

/* Processes of a GPU in turn: the next one behind `after`, which is NULL at first. */
static const statement *next_process(const device *of, const char *name, const statement *after)
{
    for (const statement *one = after ? after + 1 : statements; one < statements + statement_count; one++)
        if (one->section == of && strcmp(one->name, name) == 0)
            return one;
    return NULL;
}

static int list_processes(const char *call, device *of, const char *name, unsigned *count, void *room, int long_ones)
{
    int code = begin(call, of);
    if (code != SUCCESS)
        return code;
    unsigned there = 0;
    for (const statement *one = NULL; (one = next_process(of, name, one));)
        there++;
    int too_small = *count < there;
    *count = there;
    if (too_small)
        return INSUFFICIENT_SIZE;
    unsigned i = 0;
    for (const statement *one = NULL; (one = next_process(of, name, one)); i++) {
        const char *text = one->value;
        uint64_t process, memory = UINT64_MAX;
        if (!scan_number(&text, &process))
            give_up("%s = %s is no process", name, one->value);
        text += strspn(text, " ");
        if (*text && (!scan_number(&text, &memory) || *text))
            give_up("%s = %s is no process and its memory", name, one->value);
        if (long_ones)
            ((process_v2 *)room)[i] = (process_v2){(unsigned)process, memory, UINT32_MAX, UINT32_MAX};
        else
            ((process_v1 *)room)[i] = (process_v1){(unsigned)process, memory};
    }
    return SUCCESS;
}

#define PROCESSES(call, name, long_ones) \
    EXPORT int call(device *of, unsigned *count, void *room) \
    { \
        return list_processes(#call, of, name, count, room, long_ones); \
    }

PROCESSES(nvmlDeviceGetComputeRunningProcesses_v3, "compute_process", 1)
PROCESSES(nvmlDeviceGetComputeRunningProcesses_v2, "compute_process", 1)
PROCESSES(nvmlDeviceGetComputeRunningProcesses, "compute_process", 0)
PROCESSES(nvmlDeviceGetGraphicsRunningProcesses_v3, "graphics_process", 1)
PROCESSES(nvmlDeviceGetGraphicsRunningProcesses_v2, "graphics_process", 1)
PROCESSES(nvmlDeviceGetGraphicsRunningProcesses, "graphics_process", 0)

EXPORT int nvmlSystemGetProcessName(unsigned process, char *text, unsigned size)
{
    char name[32];
    snprintf(name, sizeof name, "process_name %u", process);
    int code = read_text("nvmlSystemGetProcessName", NULL, name, text, size);
    return code == NOT_SUPPORTED && !setting(NULL, name) ? NOT_FOUND : code;
}
