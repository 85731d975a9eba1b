/*
 * Preloaded into LXD 5.0, so that it finds idmapped mounts on Linux 6.18 and later.
 *
 * To learn whether the kernel has them, LXD clones a child into a user namespace that has no id map and tries a mount with
 * that namespace. Newer kernels refuse an empty map with EINVAL, and LXD concludes that idmapped mounts do not exist.
 * This gives exactly that child a map. Incus does so itself, and would fail where there is one already. Instances are not affected: they are cloned with more flags, or by clone3.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdarg.h>
#include <stdio.h>
#include <sys/types.h>
#include <unistd.h>

typedef int clone_function(int (*)(void *), void *, int, void *, ...);

static void map_root(int pid, const char *file)
{
    static const char map[] = "0 0 1\n";
    char path[64];
    snprintf(path, sizeof path, "/proc/%d/%s", pid, file);
    int fd = open(path, O_WRONLY | O_CLOEXEC);
    if (fd < 0)
        return;
    ssize_t written = write(fd, map, sizeof map - 1);
    (void)written; /* without the map LXD decides as it would have without us */
    close(fd);
}

int clone(int (*entry)(void *), void *stack, int flags, void *argument, ...)
{
    static clone_function *next;
    if (!next)
        next = (clone_function *)dlsym(RTLD_NEXT, "clone");

    va_list rest;
    va_start(rest, argument);
    void *parent_tid = va_arg(rest, void *);
    void *tls = va_arg(rest, void *);
    void *child_tid = va_arg(rest, void *);
    va_end(rest);

    int pid = next(entry, stack, flags, argument, parent_tid, tls, child_tid);
    if (pid > 0 && (flags & ~0xff) == CLONE_NEWUSER) {
        int saved = errno;
        map_root(pid, "uid_map");
        map_root(pid, "gid_map");
        errno = saved;
    }
    return pid;
}
