/* Preloaded into a program, makes one call of the system fail: REFUSE_CALL names it, REFUSE_ERROR is the error's number.
   Calls that are about files fail under the folder REFUSE_UNDER only; getaddrinfo finds no host at all. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static int is_refused(const char *call, const char *path) {
    const char *refused = getenv("REFUSE_CALL"), *under = getenv("REFUSE_UNDER");
    if (!refused || strcmp(refused, call) != 0) return 0;
    if (path && under && strncmp(path, under, strlen(under)) != 0) return 0;
    const char *error = getenv("REFUSE_ERROR");
    errno = error ? atoi(error) : 0;
    return 1;
}

int linkat(int from, const char *old, int to, const char *new, int flags) {
    int (*next)(int, const char *, int, const char *, int) = dlsym(RTLD_NEXT, "linkat");
    return is_refused("link", new) ? -1 : next(from, old, to, new, flags);
}

int link(const char *old, const char *new) { return linkat(AT_FDCWD, old, AT_FDCWD, new, 0); }

int open64(const char *path, int flags, ...) {
    int (*next)(const char *, int, ...) = dlsym(RTLD_NEXT, "open64");
    va_list rest;
    va_start(rest, flags);
    mode_t mode = va_arg(rest, mode_t);
    va_end(rest);
    return (flags & O_CREAT) && is_refused("create", path) ? -1 : next(path, flags, mode);
}

int mkdir(const char *path, mode_t mode) {
    int (*next)(const char *, mode_t) = dlsym(RTLD_NEXT, "mkdir");
    return is_refused("mkdir", path) ? -1 : next(path, mode);
}

int getaddrinfo(const char *node, const char *service, const struct addrinfo *hints, struct addrinfo **found) {
    int (*next)(const char *, const char *, const struct addrinfo *, struct addrinfo **) =
        dlsym(RTLD_NEXT, "getaddrinfo");
    return is_refused("getaddrinfo", NULL) ? EAI_NONAME : next(node, service, hints, found);
}
