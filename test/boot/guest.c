/*
 * What the guest's busybox cannot do.
 *
 *   guest domainname            the domain name that the uname system call gives
 *   guest read ADDRESS LENGTH   bytes of kernel memory, from /proc/kcore, in hexadecimal
 *
 * Linked statically: the guest has no libraries.
 */
#define _GNU_SOURCE
#include <elf.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/utsname.h>
#include <unistd.h>

static int fail(const char *what)
{
	perror(what);
	return 1;
}

static int domainname(void)
{
	struct utsname name;

	if (uname(&name) != 0)
		return fail("uname");
	puts(name.domainname);
	return 0;
}

/* /proc/kcore is an ELF core file: its program headers say at which offset which addresses lie. */
static int read_kernel(unsigned long address, size_t length)
{
	unsigned char bytes[256];
	Elf64_Ehdr header;
	Elf64_Phdr segment;
	int fd = open("/proc/kcore", O_RDONLY);

	if (fd < 0 || pread(fd, &header, sizeof(header), 0) != sizeof(header))
		return fail("/proc/kcore");
	if (length > sizeof(bytes))
		length = sizeof(bytes);
	for (int i = 0; i < header.e_phnum; i++) {
		if (pread(fd, &segment, sizeof(segment), header.e_phoff + i * sizeof(segment)) != sizeof(segment))
			return fail("program header");
		if (segment.p_type != PT_LOAD || address < segment.p_vaddr || address - segment.p_vaddr + length > segment.p_memsz)
			continue;
		if (pread(fd, bytes, length, segment.p_offset + (address - segment.p_vaddr)) != (ssize_t)length)
			return fail("kernel memory");
		for (size_t at = 0; at < length; at++)
			printf("%02x", bytes[at]);
		putchar('\n');
		return 0;
	}
	fprintf(stderr, "%lx: in no segment of /proc/kcore\n", address);
	return 1;
}

int main(int argc, char **argv)
{
	if (argc == 2 && strcmp(argv[1], "domainname") == 0)
		return domainname();
	if (argc == 4 && strcmp(argv[1], "read") == 0)
		return read_kernel(strtoul(argv[2], NULL, 16), strtoul(argv[3], NULL, 10));
	fprintf(stderr, "usage: guest domainname | read ADDRESS LENGTH\n");
	return 2;
}
