// SPDX-License-Identifier: GPL-2.0
/*
 * The guest's init: runs the one program whose arguments stand in /.run, each
 * ended by a NUL, and reports how it ended; with no such file a shell.
 *
 * Its channels are apart from the kernel's console, so that neither can garble
 * the other: output is the virtio console hvc0, input the virtio port 1 (which,
 * unlike a terminal, knows an end of file), and the status goes out on port 2,
 * which can be opened only once and is ours.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/reboot.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <termios.h>
#include <unistd.h>

#define MAX_ARGS 256

static void die(const char *what)
{
	/* Standard error is the kernel's console here; no status says the rest. */
	perror(what);
	reboot(RB_AUTOBOOT);
}

static void mount_all(void)
{
	mount("proc", "/proc", "proc", 0, NULL);
	mount("sysfs", "/sys", "sysfs", 0, NULL);
	mount("debugfs", "/sys/kernel/debug", "debugfs", 0, NULL);
	if (mount("devtmpfs", "/dev", "devtmpfs", 0, NULL))
		die("/dev");
	mkdir("/dev/shm", 01777);
	mount("tmpfs", "/dev/shm", "tmpfs", 0, NULL);
	mkdir("/dev/pts", 0755);
	mount("devpts", "/dev/pts", "devpts", 0, "ptmxmode=0666");
	mount("tmpfs", "/tmp", "tmpfs", 0, NULL);
}

/* The driver makes its devices while we already run. */
static int open_device(const char *path, int flags)
{
	int fd;

	for (int ms = 0; ms < 5000; ms += 10) {
		fd = open(path, flags | O_CLOEXEC | O_NOCTTY);
		if (fd >= 0)
			return fd;
		usleep(10000);
	}
	die(path);
	return -1;
}

/*
 * A port whose other end is not yet known to be open reads as at its end. The
 * host announces the ports in order: once the last is open, the first is too.
 */
static int open_status(void)
{
	struct pollfd port = { .fd = open_device("/dev/vport0p2", O_RDWR) };

	while (poll(&port, 1, 0) >= 0 && port.revents & POLLHUP)
		usleep(10000);
	return port.fd;
}

static char **read_args(void)
{
	static char text[128 * 1024], *args[MAX_ARGS + 1];
	int fd = open("/.run", O_RDONLY | O_CLOEXEC);
	ssize_t len = fd < 0 ? 0 : read(fd, text, sizeof(text) - 1);
	int n = 0;

	for (char *p = text; p < text + len && n < MAX_ARGS; p++) {
		args[n++] = p;
		while (*p)
			p++;
	}
	return n ? args : NULL;
}

static void make_raw(int tty)
{
	struct termios t;

	if (tcgetattr(tty, &t))
		die("hvc0");
	cfmakeraw(&t);
	tcsetattr(tty, TCSANOW, &t);
}

static void run(char * const *args, int in, int out)
{
	static char * const shell[] = { "/bin/sh", "-l", NULL };

	setsid();
	if (!args)
		ioctl(out, TIOCSCTTY, 0);
	dup2(in, 0);
	dup2(out, 1);
	dup2(out, 2);
	if (!args)
		args = shell;
	execv(args[0], args);
	fprintf(stderr, "cannot execute %s: ", args[0]);
	perror(NULL);
	_exit(errno == ENOENT ? 127 : 126);
}

int main(void)
{
	char **args = read_args();
	int status, report, in, out, how;
	pid_t program, pid;

	mount_all();
	report = open_status();
	out = open_device("/dev/hvc0", O_RDWR);
	in = out;
	if (args) {
		in = open_device("/dev/vport0p1", O_RDONLY);
		make_raw(out);
	}
	setenv("PATH", "/bin:/", 1);

	program = fork();
	if (program == 0)
		run(args, in, out);
	do
		pid = wait(&how);
	while (pid != program && (pid > 0 || errno == EINTR));

	kill(-1, SIGKILL);
	tcdrain(out);
	status = WIFSIGNALED(how) ? dprintf(report, "signal %d\n", WTERMSIG(how))
				  : dprintf(report, "exit %d\n", WEXITSTATUS(how));
	if (status < 0)
		die("status");
	reboot(RB_AUTOBOOT);
}
