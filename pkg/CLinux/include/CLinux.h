// What Glibc's Swift module lacks: epoll, eventfd, timerfd, thread names, parent-death signals.
#ifndef CLINUX_H
#define CLINUX_H

#include <spawn.h>
#include <stdint.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/timerfd.h>

/// Names the calling thread (15 bytes are kept).
void clinux_name_thread(const char *name);

/// Asks the kernel to send `signal` to the calling process when its parent dies. Returns 0, or errno.
int clinux_signal_on_parent_death(int signal);

/// CLOCK_MONOTONIC in nanoseconds.
uint64_t clinux_monotonic_ns(void);

/// CLOCK_REALTIME in milliseconds since 1970.
int64_t clinux_realtime_ms(void);

/// CPU time used by the whole process, in nanoseconds.
uint64_t clinux_process_cpu_ns(void);

/// Fills `buffer` from the kernel's generator. Returns 0, or errno.
int clinux_random(void *buffer, uint64_t count);

/// epoll_ctl with the 64 bits of user data spelled out. Returns 0, or errno.
int clinux_epoll_control(int epoll, int operation, int descriptor, uint32_t events, uint64_t data);

/// Arms a timerfd for an absolute CLOCK_MONOTONIC time; 0 disarms it. Returns 0, or errno.
int clinux_timer_arm(int timer, uint64_t deadline_ns);

/// Unblocks every signal for the calling thread (a child inherits the mask).
void clinux_unblock_signals(void);

/// Blocks `signals` (count of them) for the calling thread and the threads it creates from now on, and returns a non-blocking
/// signalfd that reads them, or -errno.
int clinux_signal_descriptor(const int *signals, int count);

/// The next signal that is waiting at a descriptor made by clinux_signal_descriptor, or 0.
int clinux_next_signal(int descriptor);

/// The flag of posix_spawnattr_setflags that gives the child a session of its own.
int clinux_spawn_setsid(void);

/// Removes a directory and everything in it; links are not followed. Returns 0, or an errno.
int clinux_remove_tree(const char *path);

/// Has the child close every descriptor from `first` on, so that it inherits nothing by accident. Returns 0, or an errno.
int clinux_spawn_close_from(posix_spawn_file_actions_t *actions, int first);

#endif
