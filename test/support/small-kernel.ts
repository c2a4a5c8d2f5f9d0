/** A tree that builds as a kernel's does, of three units, and the files of the kernel that was made of it: for what `build` does before it compares. */
import { createHash } from 'node:crypto';
import { chmodSync, lstatSync, mkdirSync, readFileSync, readdirSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { smallImage } from './kernel-image';

export const RELEASE = '6.12.0-test';

const MAKEFILE = `VERSION = 6
PATCHLEVEL = 12
SUBLEVEL = 0
CC = gcc
FLAGS = -O2 -std=gnu11 -Iinclude -Iinclude/generated -fno-pie -mcmodel=kernel
.PHONY: FORCE fs/ olddefconfig prepare modules_prepare tools/bpf/resolve_btfids
olddefconfig:
	@sleep 0.1; test ! -e broken || { echo 'Kconfig:7: syntax error' >&2; exit 1; }
prepare modules_prepare: include/generated/made.h tools/objtool/objtool
prepare: tools/bpf/resolve_btfids
tools/bpf/resolve_btfids:
	@$(MAKE) -s -C $@
# As the kernel's: made anew where its commands name another folder.
tools/objtool/objtool: FORCE
	@mkdir -p tools/objtool; test "$$(cat $@ 2>/dev/null)" = "$(CURDIR)" || echo "$(CURDIR)" > $@
include/generated/made.h:
	@mkdir -p include/generated; sleep 0.1; echo '#define MADE 1' > $@
# In scope units nothing is built and all is listed; in scope whole make goes by times, as kbuild does, and notes commands.
FORCED = $(if $(KCFLAGS),,FORCE)
FLAGS += $(KCFLAGS)
BUILT = $(KBUILD_BUILD_USER)@$(KBUILD_BUILD_TIMESTAMP)
note = @echo $@ >> compiled; echo "savedcmd_$@ := $(CC) $(FLAGS) $(1) -DKBUILD_MODNAME='\\"$(2)\\"' -c -o $@ $<" > $(@D)/.$(@F).cmd
fs/: fs/answer.o fs/driver.o fs/format.o fs/compat.o
fs/answer.o: fs/answer.c include/answer.h include/generated/made.h tools/objtool/objtool $(FORCED)
	$(CC) $(FLAGS) -DKBUILD_MODNAME='"answer"' -c -o $@ $<
	$(call note,,answer)
fs/format.o: fs/format.c $(FORCED)
	$(CC) $(FLAGS) -DPREFIX=format -DKBUILD_MODNAME='"format"' -c -o $@ $<
	$(call note,-DPREFIX=format,format)
fs/compat.o: fs/compat.c fs/format.c $(FORCED)
	$(CC) $(FLAGS) -DKBUILD_MODNAME='"compat"' -c -o $@ $<
	$(call note,,compat)
fs/driver.o: fs/driver.c $(FORCED)
	$(CC) $(FLAGS) -DMODULE -DKBUILD_MODFILE='"fs/driver"' -DKBUILD_MODNAME='"driver"' -c -o $@ $<
	$(call note,-DMODULE -DKBUILD_MODFILE='\\"fs/driver\\"',driver)
vmlinux modules: fs/
vmlinux_o: fs/answer.o fs/format.o fs/compat.o
	echo 'char built[] = "$(BUILT)";' | $(CC) $(FLAGS) -x c -c -o built.o -
	$(LD) -r -o vmlinux.o $^ built.o
	@echo vmlinux.o >> compiled
`;

const ANSWER = `#include <answer.h>
#include <made.h>

int seen;

/* The first. */
int first(int n)
{
	seen += n;
	return n * 3 + MADE;
}

/* The second. */
int second(int n)
{
	return first(n) - ANSWER;
}
`;

/** What callbacks are declared by. */
const LIVEPATCH = `struct klp_object;
struct klp_callbacks {
	int (*pre_patch)(struct klp_object *);
	void (*post_patch)(struct klp_object *);
	void (*pre_unpatch)(struct klp_object *);
	void (*post_unpatch)(struct klp_object *);
};
`;

/** Compiled by itself and as a part of another, as fs/binfmt_elf.c is. */
const FORMAT = 'int PREFIX(int n)\n{\n\treturn n + 7;\n}\n';
const COMPAT = '#define PREFIX compat_format\n#include "format.c"\n';

/** What every livepatch needs. */
export const CONFIG = ['LIVEPATCH', 'MODULES', 'KALLSYMS_ALL', 'DYNAMIC_FTRACE']
  .map((name) => `CONFIG_${name}=y\n`)
  .join('');

export interface SmallKernel {
  source: string;
  root: string;
}

export function smallKernel(folder: string): SmallKernel {
  const put = (path: string, content: string | Uint8Array): void => {
    mkdirSync(dirname(join(folder, path)), { recursive: true });
    writeFileSync(join(folder, path), content);
  };
  put('source/Makefile', MAKEFILE);
  put('source/Kconfig', 'mainmenu "small"\n');
  put('source/tools/bpf/resolve_btfids/Makefile', 'all:\n\t@echo built > resolve_btfids\n');
  put('source/include/linux/livepatch.h', LIVEPATCH);
  put('source/include/answer.h', '#define ANSWER 42\n');
  put('source/fs/Makefile', 'obj-y := answer.o\nobj-y += format.o compat.o\nobj-m := driver.o\n');
  put('source/fs/format.c', FORMAT);
  put('source/fs/compat.c', COMPAT);
  put('source/fs/answer.c', ANSWER);
  put('source/fs/unused.c', 'int unused(void)\n{\n\treturn 1;\n}\n');
  put('source/fs/driver.c', 'int driver(void)\n{\n\treturn 1;\n}\n');
  put('source/Documentation/answer.rst', 'Answers\n');
  put(`root/boot/vmlinuz-${RELEASE}`, smallImage('6.12').bytes);
  put(`root/boot/config-${RELEASE}`, CONFIG);
  mkdirSync(join(folder, 'root/lib/modules', RELEASE), { recursive: true });
  chmodSync(join(folder, 'source/fs/answer.c'), 0o444);
  return { source: join(folder, 'source'), root: join(folder, 'root') };
}

/** A unified diff of one file, as `git diff` writes it. */
export function patchOf(source: string, path: string, from: string, to: string): string {
  const lines = readFileSync(join(source, path), 'latin1').split('\n');
  const at = lines.findIndex((line) => line.includes(from));
  if (at < 0) throw new Error(`${path} has no line with ${from}`);
  const [before, after] = [lines.slice(Math.max(0, at - 3), at), lines.slice(at + 1, at + 4)];
  if (after.at(-1) === '') after.pop();
  const count = before.length + 1 + after.length;
  const start = Math.max(0, at - 3) + 1;
  return [
    `diff --git a/${path} b/${path}`,
    `--- a/${path}`,
    `+++ b/${path}`,
    `@@ -${start},${count} +${start},${count} @@`,
    ...before.map((line) => ` ${line}`),
    `-${lines[at]}`,
    `+${lines[at]!.replace(from, to)}`,
    ...after.map((line) => ` ${line}`),
    '',
  ].join('\n');
}

/** Content, mode and times of everything below a folder: what a build may not change. */
export function stateOf(folder: string): string {
  const digest = createHash('sha256');
  for (const name of (readdirSync(folder, { recursive: true }) as string[]).sort()) {
    const { mode, mtimeMs, ctimeMs, ino, nlink } = lstatSync(join(folder, name));
    digest.update([name, mode, mtimeMs, ctimeMs, ino, nlink].join('\0'));
    if (lstatSync(join(folder, name)).isFile()) digest.update(readFileSync(join(folder, name)));
  }
  return digest.digest('hex');
}
