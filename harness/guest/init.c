// SPDX-License-Identifier: GPL-2.0
/*
 * The guest's init: runs the program of /.run, which contains its arguments, each ended
 * by a NUL, and reports its exit status.  Without that file it runs a shell.
 *
 * It does not use the kernel's console, so that output of program and kernel do not mix.
 * Output is the virtio console hvc0, or the device OUTPUT of the kernel's command line.
 * Input is virtio port 1, which, unlike a terminal, has an end of file.  The status goes
 * to port 2, which can be opened only once, by this init.
 *
 * It uses nolibc of the kernel, because Debian does not have a C library for all guests.
 */
#include "nolibc.h"

#include <asm/termbits.h>

#define MAX_ARGS 256

static void die(const char *what)
{
	/* Standard error is the kernel's console.  vm.sh reports the missing status. */
	perror(what);
	reboot(LINUX_REBOOT_CMD_RESTART);
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

/* Wait until the driver has made the device. */
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
 * Until the host has announced that the other end of a port is open, the port reads as
 * at its end.  The host announces ports in order, so wait for the last one.
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

/* The part of cfmakeraw(3) that affects output */
static void make_raw(int tty)
{
	struct termios t;

	if (ioctl(tty, TCGETS, &t))
		die("terminal settings");
	t.c_oflag &= ~OPOST;
	t.c_lflag &= ~(ECHO | ICANON | ISIG | IEXTEN);
	ioctl(tty, TCSETS, &t);
}

static void run(char * const *args, int in, int out)
{
	static char * const shell[] = { "/bin/sh", "-l", NULL };
	static char * const env[] = { "PATH=/bin:/", "HOME=/", "TERM=linux", NULL };

	setsid();
	if (!args)
		ioctl(out, TIOCSCTTY, 0);
	dup2(in, 0);
	dup2(out, 1);
	dup2(out, 2);
	if (!args)
		args = shell;
	execve(args[0], args, env);
	in = errno;
	fprintf(stderr, "cannot execute %s: errno %d\n", args[0], in);
	exit(in == ENOENT ? 127 : 126);
}

int main(void)
{
	char **args = read_args();
	const char *output = getenv("OUTPUT") ?: "hvc0";
	int report, in, out, how = 0;
	pid_t program, pid;
	FILE *status;
	char path[64] = "/dev/";

	mount_all();
	strlcat(path, output, sizeof(path));
	report = open_status();
	out = open_device(path, O_RDWR);
	in = out;
	if (args) {
		in = open_device("/dev/vport0p1", O_RDONLY);
		make_raw(out);
	}

	program = fork();
	if (program < 0)
		die("fork");
	if (program == 0)
		run(args, in, out);
	do
		pid = wait(&how);
	while (pid != program && (pid > 0 || errno == EINTR));

	kill(-1, SIGKILL);
	ioctl(out, TCSBRK, (void *)1);	/* wait until all output is written */
	status = fdopen(report, "w");
	if (!status ||
	    (WIFEXITED(how) ? fprintf(status, "exit %d\n", WEXITSTATUS(how)) :
			      fprintf(status, "signal %d\n", WTERMSIG(how))) < 0)
		die("status");
	reboot(LINUX_REBOOT_CMD_RESTART);
	return 1;
}
