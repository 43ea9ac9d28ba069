/*
 * What the stand-in libraries share: a data file of statements, and the faults that it may ask for.
 *
 * Whoever includes it defines LIBRARY, its name in messages, DATA_VARIABLE, the variable of the environment that names
 * the data file, and NOT_SUPPORTED, the code that answers for what the file does not set.
 *
 * One statement a line; `#` begins a comment; a value may hold \xHH for any byte and \\ for a backslash. Where a value
 * is `!CODE`, that code is the answer of whatever asks for it. A file that cannot be read or understood aborts the
 * process: a test must never pass on a host that nobody described.
 *
 * Faults stand at the head of the file or under a device, where they hold for that device alone. The call may end in
 * `*`; the first statement that fits decides.
 *
 *     return CALL = 9                # the call answers with this code
 *     delay_ms CALL = 30             # ... after so many milliseconds
 *     hang CALL                      # sleeps for ever, and a signal ends it
 *     hang CALL = spin               # uses the processor for ever
 *     hang CALL = uninterruptible    # state D, as in a driver that waits for a sick GPU
 *     hang CALL = helper             # starts a program and waits for it, as NVML does with nvidia-modprobe
 *     open CALL = PATH               # opens PATH: a file whose server never answers is a driver's D state
 *     abort CALL                     # SIGABRT
 *     crash CALL                     # SIGSEGV
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

enum { MAX_STATEMENTS = 8192, MAX_DEVICES = 256, MAX_TEXT = 512, ANY = -1 };

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

static void give_up(const char *format, ...) __attribute__((format(printf, 1, 2), noreturn));

static void give_up(const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    fputs(LIBRARY " stand-in: ", stderr);
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
    const char *path = getenv(DATA_VARIABLE);
    if (!path)
        give_up(DATA_VARIABLE " is not set");
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
        return 0;
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
    return 0;
}

/* What a device says of `name`: 0, the code after `!`, or NOT_SUPPORTED where the file does not set it. */
static int told(const device *of, const char *name, const statement **found)
{
    *found = setting(of, name);
    if (!*found)
        return NOT_SUPPORTED;
    return (*found)->value[0] == '!' ? atoi((*found)->value + 1) : 0;
}

/* A number at the start of `text`, with KiB, MiB or GiB after it; `text` goes on behind it. */
static int scan_number(const char **text, uint64_t *into)
{
    char *end;
    uint64_t value = strtoull(*text, &end, 0);
    if (end == *text)
        return 0;
    const char *unit = end + strspn(end, " ");
    int shift = !strncmp(unit, "KiB", 3) ? 10 : !strncmp(unit, "MiB", 3) ? 20 : !strncmp(unit, "GiB", 3) ? 30 : 0;
    *into = value << shift;
    *text = shift ? unit + 3 : end;
    return 1;
}

static int number(const device *of, const char *name, uint64_t *into)
{
    const statement *found;
    int code = told(of, name, &found);
    if (code != 0)
        return code;
    const char *text = found->value;
    if (!scan_number(&text, into) || *text)
        give_up("%s = %s is no number", name, found->value);
    return 0;
}
