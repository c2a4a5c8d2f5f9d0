/*
 * What the guest's busybox cannot do.
 *
 *   guest domainname            the domain name that the uname system call gives
 *   guest bpf                   what a small BPF program returns (see bpf() below)
 *   guest read ADDRESS LENGTH   bytes of kernel memory, from /proc/kcore, in hexadecimal
 *
 * Linked statically: the guest has no libraries.
 */
#define _GNU_SOURCE
#include <elf.h>
#include <fcntl.h>
#include <linux/bpf.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
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

#define INSN(op, dst, source, offset, value) \
	{ .code = (op), .dst_reg = (dst), .src_reg = (source), .off = (offset), .imm = (value) }

/*
 * r10[-8] holds 1, r10[-24] 0, and r2 is r10 - 16. fetch_or(r10 - 8, 6) makes the first one 7 and fetches 1: the program
 * returns 7 * 16 + 1. Where the interpreter takes the lower three bits of the register's number it works on r2 - 8: the first
 * one stays 1, and 0 is fetched.
 */
static int bpf(void)
{
	struct bpf_insn program[] = {
		INSN(BPF_ST | BPF_MEM | BPF_DW, BPF_REG_10, 0, -8, 1),
		INSN(BPF_ST | BPF_MEM | BPF_DW, BPF_REG_10, 0, -24, 0),
		INSN(BPF_ALU64 | BPF_MOV | BPF_X, BPF_REG_2, BPF_REG_10, 0, 0),
		INSN(BPF_ALU64 | BPF_ADD | BPF_K, BPF_REG_2, 0, 0, -16),
		INSN(BPF_ALU64 | BPF_MOV | BPF_K, BPF_REG_1, 0, 0, 6),
		INSN(BPF_STX | BPF_ATOMIC | BPF_DW, BPF_REG_10, BPF_REG_1, -8, BPF_OR | BPF_FETCH),
		INSN(BPF_LDX | BPF_MEM | BPF_DW, BPF_REG_0, BPF_REG_10, -8, 0),
		INSN(BPF_ALU64 | BPF_LSH | BPF_K, BPF_REG_0, 0, 0, 4),
		INSN(BPF_ALU64 | BPF_ADD | BPF_X, BPF_REG_0, BPF_REG_1, 0, 0),
		INSN(BPF_JMP | BPF_EXIT, 0, 0, 0, 0),
	};
	unsigned char packet[64] = { 0 };
	union bpf_attr attr;

	memset(&attr, 0, sizeof(attr));
	attr.prog_type = BPF_PROG_TYPE_SOCKET_FILTER;
	attr.insns = (unsigned long)program;
	attr.insn_cnt = sizeof(program) / sizeof(program[0]);
	attr.license = (unsigned long)"GPL";
	int fd = syscall(SYS_bpf, BPF_PROG_LOAD, &attr, sizeof(attr));

	if (fd < 0)
		return fail("BPF_PROG_LOAD");
	memset(&attr, 0, sizeof(attr));
	attr.test.prog_fd = fd;
	attr.test.data_in = (unsigned long)packet;
	attr.test.data_size_in = sizeof(packet);
	if (syscall(SYS_bpf, BPF_PROG_TEST_RUN, &attr, sizeof(attr)) != 0)
		return fail("BPF_PROG_TEST_RUN");
	printf("returned %x\n", attr.test.retval);
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
	if (argc == 2 && strcmp(argv[1], "bpf") == 0)
		return bpf();
	if (argc == 4 && strcmp(argv[1], "read") == 0)
		return read_kernel(strtoul(argv[2], NULL, 16), strtoul(argv[3], NULL, 10));
	fprintf(stderr, "usage: guest domainname | bpf | read ADDRESS LENGTH\n");
	return 2;
}
