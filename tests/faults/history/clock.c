// A wall clock that stands some seconds from true time: preloaded into a server (LD_PRELOAD), see clock.py.
//
// CLOCK_OFFSET names a file of eight bytes, the seconds as a number of this machine. Whoever writes it moves the clock,
// at once. Monotonic time stays true, as it does when the clock of a machine is set.
//
// Not libfaketime: with 0.9.10 (Debian 12) and monotonic time left true, sleeping fails with EINVAL and waiting on a
// condition returns at once, so that a server is busy with nothing.

#define _GNU_SOURCE
#include <dlfcn.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

static const volatile int64_t *offset;
static int (*true_time)(clockid_t, struct timespec *);

__attribute__((constructor)) static void find_offset(void) {
  const char *name = getenv("CLOCK_OFFSET");
  int file = name ? open(name, O_RDONLY | O_CLOEXEC) : -1;
  if (file < 0) return;
  void *mapped = mmap(NULL, sizeof *offset, PROT_READ, MAP_SHARED, file, 0);
  if (mapped != MAP_FAILED) offset = mapped;
  close(file);
}

int clock_gettime(clockid_t clock, struct timespec *now) {
  if (!true_time) true_time = (int (*)(clockid_t, struct timespec *))dlsym(RTLD_NEXT, "clock_gettime");
  int failure = true_time(clock, now);
  if (!failure && offset && (clock == CLOCK_REALTIME || clock == CLOCK_REALTIME_COARSE)) now->tv_sec += *offset;
  return failure;
}

int gettimeofday(struct timeval *restrict now, void *restrict zone) {
  (void)zone; // obsolete, and NULL
  struct timespec fine;
  int failure = clock_gettime(CLOCK_REALTIME, &fine);
  if (!failure) *now = (struct timeval){fine.tv_sec, fine.tv_nsec / 1000};
  return failure;
}

time_t time(time_t *at) {
  struct timespec fine;
  if (clock_gettime(CLOCK_REALTIME, &fine)) return (time_t)-1;
  if (at) *at = fine.tv_sec;
  return fine.tv_sec;
}
