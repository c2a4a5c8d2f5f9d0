import type { DiagnosticCode } from './diagnostic';

/** Why a code is told, in a sentence or two, and a message as it is met: what docs/diagnostics.md and `klpflow explain CODE` say besides the remedy. */
export const CAUSES: Readonly<Record<DiagnosticCode, readonly [cause: string, example: string]>> = {
  'added-unit': [
    'A folder of PATCHED has an object that ORIG lacks. A livepatch is made of pairs, so nothing would carry its code.',
    '1 object exists in PATCHED only, and nothing is made of it: net/new.o',
  ],
  'address-taken': [
    'Code of the livepatch keeps the address of a function that nothing kept in ORIG. With kCFI on arm64 such a function has no type before it, so that a call through the pointer would stop the kernel.',
    'f takes the address of g, before which the running kernel has no type (kCFI): the livepatch brings a copy',
  ],
  'ambiguous-data': [
    'Several variables share a name, code that goes into the livepatch uses one of them, and neither names, users nor contents tell which of ORIG it is. The wrong one would be read and written.',
    'functions that are otherwise unchanged disagree about which once.3 is which: at least one refers to another than before',
  ],
  'ambiguous-reference': [
    'A reference lies between two variables and may mean the end of one or the start of the other.',
    'f+0x24 may refer to the end of table or to the start of limit',
  ],
  'ambiguous-twin': [
    'Several functions share a name, at least one of them changed, and nothing tells which function of ORIG became which of PATCHED: the wrong one would be replaced.',
    '2 functions in ORIG and 2 in PATCHED share the name probe, at least one changed, and nothing tells which',
  ],
  'before-objtool': [
    'The object has not been through objtool, which writes unwind tables and call sites and changes code. A finished module of it would not work on this kernel.',
    'PATCHED has no .orc_unwind_ip and ORIG has: objtool has not run on PATCHED',
  ],
  bitcode: [
    'Under LTO the compiler leaves an intermediate language in object files; machine code comes with linking.',
    'fs/read_write.o is LLVM bitcode: code generation has not happened yet',
  ],
  'btf-ids': [
    'The code uses a list of BTF ids, which the kernel build fills in after linking; in a module nothing would.',
    'f refers to btf_allowed_ids, a list of BTF ids',
  ],
  'build-compiler': [
    'The running kernel was built by another compiler than the one found here, so that code differs which nobody edited.',
    'the kernel was built by gcc 12.2.0, and gcc is 13.1.0',
  ],
  'build-config': ['The configuration lacks what a livepatch needs.', 'config-6.12: CONFIG_LIVEPATCH is not set'],
  'build-config-changed': [
    "The source tree answers to the kernel's configuration with another one: it is of another version, or a tool is missing that an option asks for.",
    'the tree does not take /boot/config-6.12 as it is: CONFIG_DEBUG_INFO_BTF',
  ],
  'build-release': [
    'Image, source and the release that was asked for are of different kernels.',
    '/boot/vmlinuz says that it is 6.12.9, not 6.12.8',
  ],
  'build-tool-missing': [
    "The kernel's build calls a program, or includes a header, that is not installed.",
    "the kernel's build needs libelf.h, not found here",
  ],
  'cell-lost': [
    'The process in which a cell was done ended before it answered: killed, out of memory, or its input was cut while it was mapped. Other cells go on.',
    'the process of the cell ended (SIGKILL)',
  ],
  'changed-data': [
    'The initial value of a variable changed. The running kernel has the variable with the value of its own, and loading code does not change that.',
    'the initial value of beta changed',
  ],
  'changed-placement': [
    'A variable moved between kinds of memory: read-only, written once at boot, per CPU. New code relies on what the running kernel does not have.',
    "limit: only PATCHED's is read-only after boot",
  ],
  'changed-type': [
    'Under kCFI each function has a hash of its type before it, which indirect calls compare. The hash changed, so calls through pointers that are in use would trap.',
    'the type of f changed, and pointers to it may be in use',
  ],
  'compile-failed': [
    'The compiler refused the unit, as shipped or with the fix.',
    'gcc failed on net/core/dev.c with the fix: error: implicit declaration',
  ],
  'compressed-section': [
    'A section that the kernel loads is compressed, which no kernel build does.',
    'vmlinux.o: loaded section 12 is compressed',
  ],
  'data-set': [
    'The livepatch brings callbacks that give a variable in use its new initial value, and the old one back (--set-data). Each word that differs is listed.',
    'sysctl_answer is set while the livepatch is there: +0x0 (4 bytes) 0x2a -> 0x2b',
  ],
  'declared-twin': [
    'A pair was declared by hand with --twin. Reports say so, for no evidence stands behind it.',
    't.2 of ORIG is t.1 of PATCHED: declared, not proven',
  ],
  'different-profiles': [
    'The builds were optimised by different profiles. Code moves between hot and cold parts that nobody edited, and functions look changed.',
    'of 1,200 unchanged functions that show a profile 310 were counted otherwise',
  ],
  'dropped-reference': [
    'Code refers to a section that the linker script of modules drops.',
    'the pre-patch callback f is not part of the module',
  ],
  'duplicate-definition': ['Two objects of one livepatch define the same global.', 'b.o: f is defined by a.o, too'],
  'export-version': [
    'A changed function is exported with another CRC: the types in its signature changed. Modules that are loaded were built for the old ones.',
    'register_x is exported with another version',
  ],
  'finished-livepatch': [
    'The file is a livepatch that was made already, and stands where an object of a build belongs. Compared with one it would differ in everything.',
    'livepatch-fix.ko is a finished livepatch (its .modinfo has livepatch=Y), not an object of a build',
  ],
  'header-mismatch': [
    'The ELF headers differ in what a compiler decides once: ABI flags, or segments in an object.',
    'the ELF headers of a.o and b.o differ: they are not of one make',
  ],
  'header-too-wide': [
    'The patch changes a header that very many units include: compiling all of them twice takes as long as building the kernel.',
    'include/linux/mm.h is included by up to 9120 units of the kernel',
  ],
  'init-change': [
    "The changed function or variable lies in memory that the kernel gives back after boot, or after a module's init. Nothing runs it any more.",
    'proc_cmdline_init changed, but its section .init.text is gone from the running kernel',
  ],
  'input-changed': [
    'A file was written to while klpflow read it. What was read is of no one version.',
    'vmlinux.o changed during the run',
  ],
  'input-too-large': [
    'The file is larger than what can be mapped, or has more symbols and sections than fit into memory.',
    'vmlinux.o has 9000000000 bytes; this version maps at most 2147483647',
  ],
  'inside-function': [
    'Code jumps to, or keeps the address of, a place in the middle of a function that stays in the kernel.',
    'f leads to g+0x40, the middle of a function that stays in the kernel',
  ],
  'instrumented-build': [
    'The build counts how often code runs. Every function differs from the kernel that was shipped.',
    'ORIG gathers a profile (__llvm_prf_cnts)',
  ],
  internal: ['klpflow met a state that its authors took for impossible.', 'no instruction at 12'],
  interrupted: ['Ctrl-C, or a signal, ended the run. What was finished is recorded.', 'interrupted'],
  'job-malformed': [
    'What lies in a queue of a matrix is held against a schema, and is called by the digest of its content. This is no such job.',
    'a job of the queue is none: it is called by another digest than its own',
  ],
  'job-not-allowed': [
    'A worker builds only kernels that its own configuration lists, and does jobs of its own version only.',
    'this worker does not build the kernel 3f2a',
  ],
  'kernel-mismatch': [
    'Two files that should describe one kernel contradict each other: CRCs, struct layouts, vermagic or symbols.',
    'Module.symvers and vmlinuz are of different kernels: printk has version 0x11111111 and 0x22222222',
  ],
  'kernel-not-found': [
    'A file of the running kernel is not where distributions put it, and no flag names it.',
    'the image of kernel 6.12.0 is not there (--vmlinux)',
  ],
  'kpatch-marked': [
    'A macro of kpatch-macros.h in the patch changed what klpflow would have done.',
    'KPATCH_IGNORE_SECTION(".data") ignores a change',
  ],
  'kpatch-marker': [
    'A macro of kpatch-macros.h names something that the unit does not have.',
    'KPATCH_IGNORE_FUNCTION names f, which is not there',
  ],
  'label-table': [
    'A table holds addresses of labels in a function (computed goto, jump table). In the livepatch it would lead into one body and be read by another.',
    'f reads table, which holds addresses inside g, and that function stays in the kernel',
  ],
  'late-key': [
    'A static key or static call of a module is set up when the livepatch is loaded, before its symbols in that module are resolved.',
    'f uses the static branch key module_key, which is not resolved when such keys are set up',
  ],
  'late-key-dropped': [
    'The same of a key that only tracing or debugging uses: it stays off in the new code.',
    "f: a tracepoint stays off, for its key is the module's own",
  ],
  'late-relocation': [
    'The kernel uses bytes (alternatives, paravirt) when the livepatch is loaded that can only be filled in when the patched module is there.',
    'f+0x10 lies in an alternative and refers to a symbol of the module',
  ],
  'machine-mismatch': [
    'The two objects are for different processors or byte orders.',
    'a.o and b.o are for x86-64 and aarch64',
  ],
  'make-failed': ["The kernel's own build ended with an error.", 'make modules_prepare failed'],
  'malformed-elf': [
    'The file says of itself what cannot be: tables beyond its end, names that do not end, symbols that do not exist.',
    'a.o: its section table lies past the end of the file',
  ],
  'malformed-image': [
    'The kernel image ends early, or what it says of its payload is wrong.',
    'vmlinuz: at offset 0x1f1: a setup header is expected',
  ],
  'malformed-kpatch-object': [
    "The object has kpatch's sections, and they contradict each other.",
    'out.o: .kpatch.funcs has 30 bytes',
  ],
  'malformed-matrix': [
    'The file that says which kernels and patches there are is no YAML, has keys that there are not, or names what is not in it.',
    'fleet.yaml:12:5: there is no patchd here; did you mean patched?',
  ],
  'malformed-symbol-list': [
    "The file is no list of a kernel's symbols, or addresses in it are all zero (/proc/kallsyms read without privileges).",
    "map does not list _stext: it is not a kernel's symbol list, or a stub of one",
  ],
  'malformed-symvers': [
    'A line of Module.symvers has another form than every kernel since 5.4 writes.',
    'Module.symvers: line 3 is not "crc, symbol, module, type, namespace" separated by tabs',
  ],
  'memory-too-small': [
    'Columns for the two objects do not fit into what --memory allows or what is free.',
    '--memory 100 MB: the objects need 170 MB with one thread',
  ],
  'missing-checksums': [
    "klp-build's `objtool klp diff` reads checksums that an earlier step writes into both objects.",
    "'vmlinux.o' has no section .discard.sym_checksum",
  ],
  'module-not-found': [
    "The patch changes a unit of a module, and the module's file (NAME.ko, compressed or not) is not among the kernel's modules. It proves that what was compiled is the code that the module runs.",
    'module tun of 6.12.107+deb12-amd64 is not there in /lib/modules/6.12.107+deb12-amd64/kernel',
  ],
  'name-limit': [
    'The livepatch core reads names into buffers of fixed size.',
    'foo...: has 600 characters, 511 is the most',
  ],
  'nameless-module': [
    "Nothing in the object says which module it is, and the file's name is a guess.",
    'ext4.o says no name of its module: it is taken for ext4',
  ],
  'new-static-local': [
    'A static local variable is in PATCHED only. It starts with its initial value, which is right for a new one and wrong for one that the compiler renamed.',
    'f has the static local variable calls.1, which nothing in ORIG is: it counts as new and starts anew',
  ],
  'no-addon': [
    'The addon that maps files is compiled when klpflow is installed. That failed or was left out (`--ignore-scripts`), or another Node.js runs it.',
    "the mmap addon does not load in Node.js v20.20.2: Cannot find module '/usr/lib/node_modules/klpflow/dist/addon/build/Release/mmap_io.node'",
  ],
  'no-btf': ["The kernel's types are needed, and the file has none.", 'vmlinux has no .BTF section'],
  'no-kcfi-donor': [
    "Under kCFI the module's init and exit functions need the hash of their type, which only other code of the kernel shows.",
    'the kernel checks types of called functions (kCFI), and nothing shows them',
  ],
  'no-objects': ['A folder holds nothing that can be compared.', 'orig holds no relocatable object'],
  'no-llvm': [
    'Bitcode is shown as the text that LLVM itself makes of it, by llvm-dis or clang. Neither is here, or all are older than what wrote the file.',
    'a.bc: neither llvm-dis nor clang is on the PATH',
  ],
  'no-space': ['The disk is full, or will be.', '/tmp/run: no space left'],
  'no-symbol-version': [
    'The kernel checks versions of imported symbols (CONFIG_MODVERSIONS), and Module.symvers has none for one of them.',
    'Module.symvers has none for module_layout',
  ],
  'no-vermagic': [
    "A module must repeat the kernel's version string, and no file says it.",
    'no object says which kernel it is for: vmlinux has no vermagic',
  ],
  'not-a-livepatch': [
    '`verify` reads what the kernel loads: a module that was linked to its end, with a struct module and a .modinfo. An object of a build has neither.',
    'vmlinux.o is the vmlinux.o of a kernel build, or a unit that is built in, no module: it has no .gnu.linkonce.this_module',
  ],
  'not-a-module': [
    'The file for --template is no finished module.',
    'ext4.o is not a finished kernel module: it has no .gnu.linkonce.this_module',
  ],
  'not-bitcode': [
    'With --ir two files of LLVM bitcode are compared, and this is something else.',
    'vmlinux.o is no LLVM bitcode',
  ],
  'not-checked': [
    'A file that was not given would tell whether the livepatch works.',
    'not checked: whether the kernel exports kfree (--symvers)',
  ],
  'not-elf': ['The file is not an ELF object.', 'vmlinux.a is an ar archive, not an object'],
  'not-exported': [
    'The module would import a symbol that the kernel does not export to it.',
    'secret is exported to GPL modules in namespace X only',
  ],
  'not-in-kernel': [
    'ORIG has a function or variable that the running kernel lacks: ORIG is a build of something else.',
    'System.map has no meminfo_proc_show',
  ],
  'not-kernel-source': [
    'The folder is no source tree of Linux.',
    '/usr/src: there is no Makefile with VERSION and PATCHLEVEL',
  ],
  'not-klpflow-object': [
    '`link` was given an object that klpflow did not write.',
    'a.o says nothing of the kernel it is for: klpflow did not write it',
  ],
  'not-linked': ['A file for --vmlinux has no addresses.', 'vmlinux.o is a relocatable object'],
  'not-one-kernel': [
    'So much differs that the objects are not two builds of one kernel with a fix between them.',
    '31,461 of 60,000 functions differ; ORIG was made by clang 19, PATCHED by gcc 12',
  ],
  'not-registered': [
    'The patch adds something that the kernel registers at boot: an export, a parameter, a tracepoint, an initcall. Loading a livepatch registers none.',
    'do_fix: an initcall that only PATCHED has; a livepatch registers none',
  ],
  'not-regular-file': ['The path is a folder, a device or a pipe.', '/dev/null is not a regular file'],
  'not-relocatable': [
    'The file is linked: what instructions refer to is resolved, and cannot be told any more.',
    'vmlinux is an executable, not a relocatable object',
  ],
  'not-traceable': [
    'ftrace cannot redirect the function: it is notrace, too short, or in a section without call sites. Its callers cannot take its place either.',
    'do_idle changed and has no ftrace site',
  ],
  'nothing-redirected': [
    'The livepatch would hold new functions only, and nothing leads to them.',
    'no function of vmlinux is redirected: only f would be added, which nothing there calls',
  ],
  'objects-unfit': [
    'A built tree was to be taken over whose objects do not have a section for each function and variable.',
    '/src/linux: its objects were compiled without -ffunction-sections -fdata-sections',
  ],
  'orig-differs': [
    'Init code of ORIG is not what the image holds. It is gone from the running kernel, so nothing depends on it.',
    "3 init functions are not the image's",
  ],
  'orig-not-running-kernel': [
    'Code or data that the livepatch counts on is another one in the running kernel than in ORIG.',
    "vfs_read is not the running kernel's: ORIG has 859 bytes, the image 872",
  ],
  'other-compiler': [
    'The two objects were made by different compilers.',
    'the compilers differ (.comment): ORIG has GCC 12.2.0, PATCHED has GCC 13.1.0',
  ],
  'other-release': [
    'The builds call themselves otherwise: release, build number, time or host are in their code or data.',
    'ORIG is release 7.2.0, PATCHED 7.2.0-dirty: 2 symbols differ in nothing else',
  ],
  'patch-adds-file': [
    'The patch adds a unit that no Makefile of the tree builds.',
    'the patch adds net/new.c, and no Makefile of this kernel builds it',
  ],
  'patch-binary': ['A part of the patch is binary data.', 'changes logo.bin as binary data'],
  'patch-build-files': [
    'The patch changes Makefile, Kconfig or a linker script: the build of everything may change.',
    'the patch changes net/Makefile, which says how the kernel is built',
  ],
  'patch-crlf': [
    'Lines of the patch end in CR LF, as mail programs write them.',
    "fix.patch: its lines end in CR LF, the kernel's in LF",
  ],
  'patch-empty': ['The file holds no change.', 'fix.patch changes no line of any file'],
  'patch-files-aside': [
    'The patch changes documentation, tests or tools, of which no kernel code comes.',
    'no kernel code comes of Documentation/x.rst',
  ],
  'patch-fuzz': [
    'The patch fits only where some of the lines around a change may differ.',
    'it fits net/core/dev.c only where 2 lines of context may differ',
  ],
  'patch-level': [
    "Paths in the patch begin at another folder than the tree's root.",
    'fix.patch: paths begin with linux-6.12/',
  ],
  'patch-malformed': [
    'The patch is damaged: counts of lines do not fit, or a path leads out of the tree.',
    '../etc/passwd is no path inside of a kernel tree',
  ],
  'patch-not-applicable': [
    'The lines that the patch names are not in the tree.',
    'net/core/dev.c: hunk 2 fits nowhere',
  ],
  'patch-removes-file': ['The patch removes a file.', 'the patch removes net/old.c'],
  'patch-renames': ['The patch renames or copies a file.', 'renames a.c to b.c'],
  'patch-reversed': [
    'The tree has the fix already.',
    'net/core/dev.c has the fix already: the patch is reversed, or the tree is patched',
  ],
  'position-unknown': [
    'The running kernel has several symbols of a name and nothing tells which is meant; the livepatch core finds symbols by name and position.',
    'System.map has 10 symbols name_show, ORIG 10: nothing tells which one is meant',
  ],
  'raised-alignment': [
    'PATCHED aligns a variable more than the running kernel, and code may rely on it.',
    'table, which is aligned to 8 bytes in the running kernel and to 64 in PATCHED',
  ],
  'redis-unavailable': [
    'The Redis that has the queues of a matrix does not answer, or does not let klpflow in.',
    'Redis redis://queue:6379: connect ECONNREFUSED 10.0.0.7:6379',
  ],
  'run-dir-unusable': [
    'The run directory cannot be made or read, or another version of klpflow laid it out.',
    '/var/run/klpflow is not writable',
  ],
  'runtime-constant': [
    'The kernel writes the value of a variable into its own code at boot. In a livepatch the placeholder would stay.',
    '__fput holds file_cachep in its code',
  ],
  'sealed-endbr': [
    'The kernel found no indirect call of a function at build and removed its ENDBR at boot. The new code takes its address: an indirect call would fault.',
    'f takes the address of get_avenrun, whose ENDBR the running kernel removed at boot',
  ],
  'section-anchors': [
    'The compiler names several variables of a section by the address of one and a distance in the instruction (GCC, and Clang for statics that it merges). What such a reference means is found in the code; where it is several variables, and they do not all lie in the running kernel as they do in PATCHED, a copy would read or write what happens to lie there.',
    'monitor+0x88 reaches __func__.0, names by one address, and they do not lie so in the running kernel',
  ],
  'set-data': [
    'A variable named with --set-data cannot be given its new initial value: it is read-only, its size changes, code writes to it, or the value leads to what goes with the livepatch.',
    'net_table cannot be set: at +0x18 its new value is proc_checked, which comes and goes with the livepatch',
  ],
  'several-symbols': [
    'A name means several symbols, and no one of them changed alone.',
    'probe is a.c:probe (same); b.c:probe (same)',
  ],
  'shared-address': [
    'Two functions of PATCHED are one body in ORIG. ftrace redirects an address, so both names would lead to one of them.',
    'f and g have one body in ORIG and two in PATCHED',
  ],
  'shared-input': ['Both files have the same content.', 'the two files have the same content'],
  'sibling-call': [
    'ppc64: a tail call to another module does not restore the TOC pointer.',
    'f+0x40 is a sibling call',
  ],
  'signing-key': [
    'The files for the signature are no key and no certificate, or do not belong together.',
    'cert.pem is the certificate of another key than key.pem',
  ],
  'since-dropped': [
    'The older livepatch (--since) redirects functions that the new one does not.',
    'livepatch_first redirects what the new livepatch does not: meminfo_proc_show',
  ],
  'since-left': [
    'The older livepatch (--since) changed more than functions, and that stays or changes when the new one takes its place.',
    'pipe_max_size+0x0 keeps the value that livepatch_first set',
  ],
  'since-refused': [
    'The kernel does not let the new livepatch take the place of the older one (--since).',
    'the new livepatch may not take the place of livepatch_first: it has changed state 7, of which the new one does not know',
  ],
  'skipped-files': [
    'Files are named like objects and hold no machine code.',
    '3 files are named like objects and hold no machine code: a.o',
  ],
  'special-entry-size': [
    'A table of the kernel has entries of a size that klpflow does not know, so they cannot be told apart.',
    'no known entry size fits the 130 bytes of __bug_table',
  ],
  'special-klp-reference': [
    'An entry that the kernel reads when the module is loaded refers to something that is found only later.',
    'an entry of __jump_table refers to key, which only the livepatch core can find',
  ],
  'store-damaged': [
    'Contents in the store are called by their digest, and this one has another: a disk that failed, or somebody who wrote there.',
    'the store /srv/klpflow holds something else under 3f2a...',
  ],
  'store-unavailable': [
    'Contents and results of a matrix are kept in a store, which cannot be read or written now.',
    'the store: cannot read /srv/klpflow: permission denied',
  ],
  'symbol-not-found': [
    'No function or variable of the objects has the name.',
    'neither object defines a function or variable foo',
  ],
  'thread-lost': [
    'A thread ended without an answer, most often for want of memory.',
    'a thread ended during the task compare',
  ],
  'twin-ambiguous': ['--twin names several symbols.', 't.1=t.2: ORIG has 2 of the name'],
  'twin-mismatch': [
    'The two symbols of --twin cannot be one: kinds or sizes differ, or one of them is declared twice.',
    '--twin a=b: one is a function, the other a variable',
  ],
  'twin-not-found': ['--twin names a symbol that is not there.', 't.9=t.1: ORIG defines no function or variable t.9'],
  'uncovered-bytes': [
    'Bytes differ that belong to no symbol with a size, so klpflow cannot say what they are.',
    '.text+0x40 is in PATCHED only; no symbol with a size covers it',
  ],
  'undeclared-dependency': [
    'New code of a module uses another module that the patched one does not depend on: it may not be loaded.',
    'f refers to g of module ext4, and btrfs of ORIG uses nothing of that module',
  ],
  'unexplained-change': [
    'Something changed that no hunk of --patch is about: none of its instructions that differ are of lines that a hunk changes or shows, and no hunk names it. Without debug information in the objects only names are compared, so that what changed by inlining is named here, too.',
    'no hunk of fix.patch explains show_stat (1 of 3 that differ; by source lines, then names)',
  ],
  'unit-mismatch': [
    'Compilation units exist in one build only.',
    '1 compilation unit of ORIG and 0 of PATCHED have no counterpart',
  ],
  'unit-not-built': ['The configuration of this kernel leaves the file out.', 'net/x.c is not compiled in this kernel'],
  'unit-not-patchable': [
    'The file is no C code that runs in the kernel: assembly, a linker script, the vDSO, the decompressor, what runs before the kernel.',
    'arch/x86/entry/vdso/vma.c is code of the vDSO, which runs in processes',
  ],
  'unit-of-several': ['The file is compiled into several modules.', 'lib/x.c is in several modules: a, b'],
  unreadable: ['The file is not there, or may not be read.', 'cannot read vmlinux.o: no such file'],
  'unresolved-reference': [
    'A reference leads to something that has no name in the kernel and cannot be copied.',
    'f refers to .text+0x40, which is no symbol',
  ],
  'unsized-code': [
    'Code without a size (assembly) changed and something that runs reaches it.',
    'entry.S: code is in PATCHED only, and no symbol with a size covers it',
  ],
  'unsupported-object': [
    'The object is for a processor or of a class that klpflow does not read.',
    'a.o: processor 40 (arm) is not supported',
  ],
  'unsupported-relocation': [
    'Code has a relocation that the module loader does not apply.',
    'f has a relocation of R_X86_64_GOTPCREL, which the module loader does not apply',
  ],
  'unsupported-section': [
    'A section has a type that klpflow does not read.',
    'a.o: section 3 (.crel.text) holds compact relocations',
  ],
  'unusable-image': [
    'The image lacks what is asked of it, or is wrapped in a way that klpflow does not read.',
    'vmlinuz has no symbol list (CONFIG_KALLSYMS is off)',
  ],
  'unusable-listing': ['The list has no addresses, or is of something else.', 'kallsyms lists no function of ext4'],
  'unused-allow': [
    '--allow names a refusal that there was not: the command line is of another patch, or the symbol is misspelt.',
    '--allow sealed-endbr:get_avenrum: nothing of this code and symbol was found',
  ],
  'unused-twin': [
    '--twin declares a pair that evidence tells as well: the command line is of another build, or the declaration was never needed.',
    '--twin once.3=once.5: evidence pairs these two by itself',
  ],
  usage: [
    'The command line is not understood, or asks for what does not go together.',
    '--format ko: say with -o FILE where the livepatch goes',
  ],
  'value-encoding': [
    "Clang keeps a static variable of two values as a flag, and PATCHED has other values: the running kernel's flag means the old ones.",
    'mode holds 0 or 5 in ORIG and 0 or 7 in PATCHED',
  ],
  'verify-discarded-target': [
    'The module refers to memory that the kernel gave back after boot.',
    'setup_x lies between __init_begin and __init_end',
  ],
  'verify-elf-form': [
    "The module's ELF form is one that the loader refuses or reads otherwise.",
    'it is not loaded (SHF_ALLOC), so the kernel would not see it',
  ],
  'verify-entry': [
    'An entry of a special section is damaged, or points to where its kind cannot.',
    '30 bytes are not whole entries of 12',
  ],
  'verify-function-address': [
    "The module keeps the address of its own copy where the original's is meant.",
    "the address of f is kept, which takes the place of f: the original's is meant",
  ],
  'verify-import': [
    'An imported symbol is not exported, or in a namespace that the module does not declare.',
    'secret is not exported',
  ],
  'verify-klp-func': [
    'An entry of klp_func names what cannot be patched, or its replacement is no function.',
    'vmlinux has no function foo',
  ],
  'verify-klp-section': [
    'A section of klp relocations has another name or other flags than the livepatch core reads.',
    'not called .klp.rela.OBJECT.SECTION',
  ],
  'verify-klp-struct': [
    'klp_patch and what it points to are not laid out as this kernel has them.',
    'init_module does not call klp_enable_patch',
  ],
  'verify-klp-symbol': [
    'A klp symbol has a wrong name or section index.',
    '.klp.sym.vmlinux.f: not of the form .klp.sym.OBJECT.NAME,POSITION',
  ],
  'verify-late-relocation': [
    'A relocation would be applied after the kernel has used the bytes.',
    '.klp.rela.ext4..altinstructions is applied when its module is there',
  ],
  'verify-lock': [
    'A lock prefix is in no entry of .smp_locks: on one processor it stays, which costs time only.',
    'a lock prefix has no entry in .smp_locks',
  ],
  'verify-missing-entry': [
    'An instruction that the kernel rewrites has no entry that says so.',
    'jmp __x86_return_thunk has no entry in .return_sites',
  ],
  'verify-modinfo': [
    '.modinfo lacks or contradicts what the kernel asks of a livepatch.',
    'vermagic is "6.1.0 SMP", the kernel\'s "6.12.0 SMP"',
  ],
  'verify-module-struct': [
    "The module's struct module has another size or other places than this kernel's.",
    "struct module has 1280 bytes, the kernel's 1344",
  ],
  'verify-not-checked': [
    'For want of a file something was not checked.',
    'the sizes of klp_patch, klp_object and klp_func: no --btf was given',
  ],
  'verify-object-differs': [
    'Code or entries of the module are not those of the object that it should be made from.',
    'f+0x12: 0x74 in the module, 0x75 in patched.o',
  ],
  'verify-placement': [
    'Code writes a variable that the kernel keeps read-only.',
    'limit is written, which the kernel keeps read-only',
  ],
  'verify-prefix': ['The padding before a function is missing, or not of NOPs.', 'f has no 16 NOPs before it'],
  'verify-relocation': [
    'A relocation is of a type that the loader does not know, or changes other bytes than an operand.',
    'relocation type 9 is not one that the module loader knows',
  ],
  'verify-runtime-constant': [
    'The code holds the placeholder of a constant that the kernel fills in for itself only.',
    'the placeholder 0x0123456789abcdef is in the code',
  ],
  'verify-sealed-target': [
    'The address of a function is taken whose ENDBR is gone.',
    'the address of get_avenrun is taken, whose ENDBR the kernel removed',
  ],
  'verify-target': [
    'A reference leads to where no object or function is.',
    'it refers to f, which is no symbol of the module or the kernel',
  ],
  'verify-target-range': [
    'A reference leads right outside of an object.',
    'the address table+0x40 lies outside the object of 64 bytes',
  ],
  'verify-type-hash': [
    'A replacement has another kCFI hash than the original, or none.',
    "f has no type hash before it: the kernel's call of it would trap",
  ],
  'verify-unresolved': [
    'A klp symbol is not in the running kernel, or not at the position named.',
    'f,2: the kernel has one symbol f',
  ],
  'verify-unwind': [
    'Unwind tables are missing or out of order.',
    'the module has no ORC tables, modules of this kernel do',
  ],
  'verify-version': [
    "Versions of imported symbols are missing or not the kernel's.",
    'kfree has version 0x11111111, the kernel 0x22222222',
  ],
  'write-failed': ['A file could not be written.', 'cannot write fix.ko: permission denied'],
};
