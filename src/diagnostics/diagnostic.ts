/**
 * What klpflow tells people, as data: a stable code, one sentence, a place, a remedy.
 *
 * Severity decides the verdict: `error` stops the run (exit 1), `refusal` lets it go on to collect every
 * other reason and then refuses the livepatch (exit 2), `warning` and `note` change nothing.
 */
export type Severity = 'error' | 'refusal' | 'warning' | 'note';

/** Where a diagnostic applies. `offset` is in bytes: from the symbol where one is named, else from the section, else from the file's start. */
export interface Where {
  object?: string;
  section?: string;
  symbol?: string;
  offset?: number;
}

export interface Diagnostic {
  code: DiagnosticCode;
  severity: Severity;
  message: string;
  where: Where;
  hint: string;
}

interface Entry {
  severity: Severity;
  /** What to do next, one sentence. */
  hint: string;
  /** Whether `--allow CODE[:SYMBOL]` may turn the refusal into a warning. */
  allowable?: boolean;
}

/** Every code there is, alphabetical. Codes are stable: scripts match them. */
export const CATALOGUE = {
  'added-unit': {
    severity: 'refusal',
    allowable: true,
    hint: 'Move the code to a unit that ORIG has, too; or link the new object yourself beside the others (ld -r) and pass --allow added-unit.',
  },
  'address-taken': {
    severity: 'note',
    hint: 'Calls by name go on to the one that the kernel has; pointers of the livepatch lead to its copy, and are not equal to any that the kernel may hold later.',
  },
  'ambiguous-data': {
    severity: 'refusal',
    hint: 'Nothing tells which variable is which; give the variables different names, or patch code that does not use them.',
  },
  'ambiguous-reference': {
    severity: 'refusal',
    hint: 'Let the two variables not lie side by side in PATCHED: build both objects with -fdata-sections, or define the new variable elsewhere in its file.',
  },
  'ambiguous-twin': {
    severity: 'refusal',
    hint: 'Several functions share this name and none of them can be recognised; rename one of them in both builds.',
  },
  'before-objtool': {
    severity: 'refusal',
    hint: 'Run objtool on both objects with the options that the build gives it for vmlinux.o, or compare the two vmlinux.o; --format klp and kpatch leave that to the build.',
  },
  bitcode: {
    severity: 'error',
    hint: "Under LTO a unit has no machine code before linking: pass the linked vmlinux.o (or a module's .o after `ld -r`) of each build; klpflow explain ORIG PATCHED FUNCTION --ir shows what differs of one function as it is.",
  },
  'btf-ids': {
    severity: 'refusal',
    hint: 'The build of the kernel fills such lists in: use one that the running kernel has, or look the id up at run time (bpf_find_btf_id, btf_find_by_name_kind).',
  },
  'build-compiler': {
    severity: 'refusal',
    allowable: true,
    hint: 'Compile with the compiler that made the kernel: install it, or name it (CC=gcc-12, LLVM=-19).',
  },
  'build-config': {
    severity: 'refusal',
    hint: 'Such a kernel cannot be livepatched, or not from single units; see which of the options its distribution can do without.',
  },
  'build-config-changed': {
    severity: 'refusal',
    hint: 'Pass the source of exactly this kernel, and install what its configuration asks for (pahole for CONFIG_DEBUG_INFO_BTF, the same binutils).',
  },
  'build-release': {
    severity: 'refusal',
    hint: 'Pass the source package of the release that runs, or the image that belongs to the source (--kernel).',
  },
  'build-tool-missing': {
    severity: 'error',
    hint: 'Install it, and run the same command again.',
  },
  'cell-lost': {
    severity: 'error',
    hint: 'Give it more memory, or fewer --workers; where it ends again, compare the pair by itself (klpflow diff) and report it.',
  },
  'changed-data': {
    severity: 'refusal',
    hint: 'Loading a livepatch does not change a variable that is already in use: `klpflow build --set-data NAME` writes callbacks that do, or set it in a pre-patch callback, or use a shadow variable.',
  },
  'changed-placement': {
    severity: 'refusal',
    hint: 'A livepatch cannot move a variable that is in use: give the new one another name, and set it in a pre-patch callback.',
  },
  'changed-type': {
    severity: 'refusal',
    allowable: true,
    hint: "The kernel checks types at indirect calls (kCFI): keep the function's type, or add a function of the new type beside it; pass --allow changed-type:SYMBOL if it is never called through a pointer.",
  },
  'compile-failed': {
    severity: 'error',
    hint: "Correct the patch; where the unit does not compile as shipped either, the tree or a tool is not the kernel's.",
  },
  'compressed-section': {
    severity: 'error',
    hint: 'Decompress it first: objcopy --decompress-debug-sections FILE.',
  },
  'data-set': {
    severity: 'note',
    hint: 'Callbacks write it where the old value is still there, else the livepatch does not go in; --no-replace or a later livepatch without it changes that: see docs/commands.md.',
  },
  'declared-twin': {
    severity: 'note',
    hint: 'Declared with --twin: nothing in the objects proves that the two are one, only that they could be.',
  },
  'different-profiles': {
    severity: 'warning',
    hint: "Build both with the same profile (-fprofile-use=FILE of the running kernel's build): block order and inlining follow it, so functions change that nobody edited.",
  },
  'dropped-reference': {
    severity: 'refusal',
    hint: 'The linker script of modules drops that section: move what is needed to ordinary code or data.',
  },
  'duplicate-definition': {
    severity: 'refusal',
    hint: 'Rename one of them, or make both static.',
  },
  'export-version': {
    severity: 'warning',
    hint: 'Modules go on using the types that they were built with: check that no struct which they share with the changed functions has another layout.',
  },
  'finished-livepatch': {
    severity: 'error',
    hint: 'Pass the objects that it was made from, vmlinux.o or a unit of both builds; klpflow verify FILE.ko checks a livepatch.',
  },
  'header-mismatch': {
    severity: 'refusal',
    hint: 'Build both objects with the same compiler and the same flags.',
  },
  'header-too-wide': {
    severity: 'refusal',
    hint: 'Put the change into the C files that need it, or build the whole kernel twice and use klpflow diff.',
  },
  'init-change': {
    severity: 'refusal',
    hint: 'Init and exit code is dropped from the running kernel: move the change to code that still runs, or into a callback.',
  },
  'input-changed': {
    severity: 'error',
    hint: 'Let the build finish, or copy the object, then run again; finished work on unchanged inputs is kept.',
  },
  'input-too-large': {
    severity: 'error',
    hint: 'Strip debug information from both objects (strip --strip-debug) and try again.',
  },
  'inside-function': {
    severity: 'refusal',
    hint: "Nothing may lead from a livepatch into the middle of the kernel's code: have the patch change that function, too, so that it goes along.",
  },
  'instrumented-build': {
    severity: 'refusal',
    hint: 'Build both objects as the running kernel is built: without -fprofile-generate and gcov (CONFIG_GCOV_KERNEL), with -fprofile-use=FILE where it has a profile.',
  },
  internal: {
    severity: 'error',
    hint: "This is a bug in klpflow: please report it with both objects' build details.",
  },
  interrupted: {
    severity: 'error',
    hint: 'Run the same command again: it goes on from the last finished shard.',
  },
  'job-malformed': {
    severity: 'error',
    hint: 'Somebody else wrote it there: see who may write to that Redis. Nothing was done with it.',
  },
  'job-not-allowed': {
    severity: 'error',
    hint: 'List the kernel in the --kernels file of a worker, or run workers of the version of klpflow that submits.',
  },
  'kernel-mismatch': {
    severity: 'refusal',
    hint: 'Take ORIG, --btf, --template and --symvers from one build of the kernel that runs.',
  },
  'kernel-not-found': {
    severity: 'refusal',
    hint: 'Name the file, or the folder where the packages are unpacked (--root DIR).',
  },
  'kpatch-marked': {
    severity: 'note',
    hint: 'The patch asks for this by a macro of kpatch-macros.h: check that it means it.',
  },
  'kpatch-marker': {
    severity: 'refusal',
    hint: 'Check the KPATCH_IGNORE_SECTION and KPATCH_IGNORE_FUNCTION lines of the patch: they must name sections and functions of this unit.',
  },
  'label-table': {
    severity: 'refusal',
    hint: 'Addresses of labels mean one body of their function only: keep the table const and in that function, and let nothing else read it.',
  },
  'late-key': {
    severity: 'refusal',
    hint: "A livepatch cannot use another module's key: test it with static_key_enabled(), call through KLP_STATIC_CALL(), or patch a caller.",
  },
  'late-key-dropped': {
    severity: 'warning',
    hint: 'Nothing else changes: the rest of the function works.',
  },
  'late-relocation': {
    severity: 'refusal',
    hint: "A livepatch of a module cannot use the module's own symbols there: patch a caller of the function.",
  },
  'machine-mismatch': {
    severity: 'error',
    hint: 'Both objects must be built for the same processor and byte order.',
  },
  'make-failed': {
    severity: 'error',
    hint: 'The log has the whole of it; the same command run again goes on from there.',
  },
  'malformed-elf': {
    severity: 'error',
    hint: 'The file is damaged or was not finished; build it again.',
  },
  'malformed-image': {
    severity: 'error',
    hint: 'The file is damaged or cut short: take the image from /boot, or from the package that it came in.',
  },
  'malformed-kpatch-object': {
    severity: 'error',
    hint: 'Pass the module as kpatch-build links it: outputs of create-diff-object and the hook code joined by `ld -r`.',
  },
  'malformed-matrix': {
    severity: 'error',
    hint: 'Correct what is named, line and column; schemas/matrix-file.schema.json describes the file.',
  },
  'malformed-symbol-list': {
    severity: 'error',
    hint: 'Pass a linked vmlinux, or the text of /proc/kallsyms, System.map or `readelf -sW vmlinux`, of the running kernel.',
  },
  'malformed-symvers': {
    severity: 'error',
    hint: 'Pass the Module.symvers that the original kernel build wrote.',
  },
  'memory-too-small': {
    severity: 'error',
    hint: 'Give it more memory, or fewer --workers; what it needs goes by symbols and sections, so debug information makes no difference.',
  },
  'missing-checksums': {
    severity: 'error',
    hint: 'Run `klpflow objtool klp checksum FILE` on both objects first, as klp-build does; klpflow diff itself needs none.',
  },
  'module-not-found': {
    severity: 'refusal',
    hint: "Name the folder of the kernel's modules (--modules DIR), or where its packages are unpacked (--root DIR): the module's file proves that what was compiled is what runs.",
  },
  'name-limit': {
    severity: 'refusal',
    hint: 'The kernel has no room for a longer name (55 characters for a module, 511 for a symbol): use a shorter one.',
  },
  'nameless-module': {
    severity: 'warning',
    hint: 'Name it with --module NAME, or say --module vmlinux if it is built in: under another name the livepatch core never finds its functions.',
  },
  'new-static-local': {
    severity: 'warning',
    hint: 'If the patch adds no such variable, the compiler renamed or split one: initialise it in a callback, or keep the function out of the patch.',
  },
  'no-addon': {
    severity: 'error',
    hint: 'Compile it for this Node.js: `npm rebuild klpflow` (`npm rebuild -g klpflow`), with Python 3, make and a C++ compiler; in a working tree `npm run setup`.',
  },
  'no-btf': {
    severity: 'error',
    hint: 'Pass /sys/kernel/btf/vmlinux of the running kernel, or a vmlinux that was built with CONFIG_DEBUG_INFO_BTF (--btf); a kernel without has a module to tell it (--template).',
  },
  'no-kcfi-donor': {
    severity: 'refusal',
    hint: "Pass the vmlinux.o of the whole kernel as its build left it: kCFI checks the type hashes of a module's init and exit functions, which initcalls, their callers and functions of these types show.",
  },
  'no-objects': {
    severity: 'error',
    hint: 'Pass folders of relocatable objects (.o files, or the partitions that ld.lld --lto-obj-path leaves), or two objects.',
  },
  'no-llvm': {
    severity: 'error',
    hint: 'Install the LLVM that the kernel is built with, or a newer one: llvm-19 has llvm-dis-19, clang-19 will do.',
  },
  'no-space': {
    severity: 'error',
    hint: 'Free some space, or choose another place with --run-dir DIR.',
  },
  'no-symbol-version': {
    severity: 'refusal',
    hint: 'Pass the Module.symvers of the build of the running kernel, with CONFIG_MODVERSIONS.',
  },
  'no-vermagic': {
    severity: 'refusal',
    hint: 'Pass any module of the running kernel with --template FILE.ko.',
  },
  'not-a-livepatch': {
    severity: 'error',
    hint: 'Pass the module that klpflow diff ORIG PATCHED -o FILE.ko or klpflow build wrote; klpflow doctor FILE says what an object is.',
  },
  'not-a-module': {
    severity: 'error',
    hint: 'Pass any module of the running kernel, uncompressed and as its build left it (modprobe can say where: modinfo -n NAME).',
  },
  'not-bitcode': {
    severity: 'error',
    hint: "Pass units as Clang's LTO leaves them (-flto=thin), or bitcode by -emit-llvm; for objects with machine code leave --ir out.",
  },
  'not-checked': {
    severity: 'note',
    hint: 'Pass what is missing to have this checked, too; with -o FILE it is needed anyway.',
  },
  'not-elf': {
    severity: 'error',
    hint: "Pass the vmlinux.o (or a module's .o) that the kernel build leaves.",
  },
  'not-exported': {
    severity: 'refusal',
    hint: 'A module can only import exported symbols: pass the Module.symvers of this build (--symvers), or pass all livepatch objects together.',
  },
  'not-in-kernel': {
    severity: 'refusal',
    hint: 'The running kernel lists no such symbol: rebuild ORIG from exactly its source and configuration, and pass its own listing with --vmlinux.',
  },
  'not-kernel-source': {
    severity: 'error',
    hint: "Pass the top folder of the kernel's source, or its tarball (linux-source-VERSION.tar.xz).",
  },
  'not-klpflow-object': {
    severity: 'error',
    hint: 'Pass the object that `klpflow diff ORIG PATCHED -o FILE.o` (or `klpflow objtool klp diff`) wrote.',
  },
  'not-linked': {
    severity: 'error',
    hint: 'Pass the linked vmlinux, which lies beside vmlinux.o; or a copy of /proc/kallsyms, read as root.',
  },
  'not-one-kernel': {
    severity: 'refusal',
    hint: 'Build both from one source, configuration and compiler, PATCHED with the fix alone.',
  },
  'not-registered': {
    severity: 'warning',
    hint: 'Where the patch needs it, register it in a pre-patch callback, or carry it in a module of its own.',
  },
  'not-regular-file': {
    severity: 'error',
    hint: 'Pass a file, not a directory, device or pipe.',
  },
  'not-relocatable': {
    severity: 'error',
    hint: 'Pass vmlinux.o, not vmlinux: only the relocatable object says what each instruction refers to.',
  },
  'not-traceable': {
    severity: 'refusal',
    hint: 'The kernel can only redirect functions that have an ftrace site: change a traceable caller instead.',
  },
  'nothing-redirected': {
    severity: 'warning',
    hint: 'Loading it changes nothing by itself: change a function that runs, or pass all objects of the patch where another one calls the new functions.',
  },
  'objects-unfit': {
    severity: 'refusal',
    hint: 'Build that tree with make KCFLAGS="-ffunction-sections -fdata-sections" (klp-build does so), or pass it with --source: then its objects are left alone.',
  },
  'orig-differs': {
    severity: 'warning',
    hint: 'Init code of ORIG is not that of the running kernel, which gave its own back: build ORIG with the configuration that was shipped.',
  },
  'orig-not-running-kernel': {
    severity: 'refusal',
    hint: "ORIG was not built from the running kernel's source, configuration and compiler: rebuild it, or pass the listing of the kernel that it belongs to.",
  },
  'other-compiler': {
    severity: 'warning',
    hint: 'Build both with the compiler of the running kernel: functions differ that nobody edited.',
  },
  'other-release': {
    severity: 'warning',
    hint: 'Pin what the build calls itself, or code that goes in shows another release: the same CONFIG_LOCALVERSION and .scmversion (or LOCALVERSION=), KBUILD_BUILD_VERSION, KBUILD_BUILD_TIMESTAMP, KBUILD_BUILD_USER and KBUILD_BUILD_HOST.',
  },
  'patch-adds-file': {
    severity: 'refusal',
    hint: 'Put new code into a file that the kernel has.',
  },
  'patch-binary': {
    severity: 'refusal',
    hint: 'A livepatch is made of C code: leave the file out of the patch.',
  },
  'patch-build-files': {
    severity: 'refusal',
    hint: 'A livepatch keeps the configuration of the running kernel: leave this file out of the patch.',
  },
  'patch-crlf': {
    severity: 'refusal',
    hint: "Convert it: sed -i 's/\\r$//' FILE.",
  },
  'patch-empty': {
    severity: 'refusal',
    hint: 'Pass a unified diff: git diff, git format-patch, or diff -u.',
  },
  'patch-files-aside': {
    severity: 'note',
    hint: 'Nothing of them is in the livepatch.',
  },
  'patch-fuzz': {
    severity: 'refusal',
    hint: 'Make the patch anew against exactly this source (git diff): where it is put must not be a guess.',
  },
  'patch-level': {
    severity: 'refusal',
    hint: "Say with --strip N how many folders to take off the names, or make the patch in the tree's top folder.",
  },
  'patch-malformed': {
    severity: 'refusal',
    hint: 'Make it anew with git diff, git format-patch or diff -u; mail programs break lines.',
  },
  'patch-not-applicable': {
    severity: 'refusal',
    hint: "Take the fix from the kernel's own stable series, or make it anew against this source.",
  },
  'patch-removes-file': {
    severity: 'refusal',
    hint: 'Leave the file where it is, and change what uses it.',
  },
  'patch-renames': {
    severity: 'refusal',
    hint: 'Make the patch without renames (git diff --no-renames) and without the new file: code stays in the file that the kernel has it in.',
  },
  'patch-reversed': {
    severity: 'refusal',
    hint: 'Turn it round (git apply -R of the tree, diff with old and new exchanged), or pass the source without the fix.',
  },
  'position-unknown': {
    severity: 'refusal',
    hint: 'Several symbols have this name and nothing tells which one is meant: pass the linked vmlinux with --vmlinux FILE.',
  },
  'raised-alignment': {
    severity: 'refusal',
    allowable: true,
    hint: 'A livepatch cannot move a variable: give the new one another name, or pass --allow raised-alignment:SYMBOL if no code relies on its alignment.',
  },
  'redis-unavailable': {
    severity: 'error',
    hint: 'Start it, or correct the URL, user or password; jobs that it has are kept.',
  },
  'run-dir-unusable': {
    severity: 'error',
    hint: 'Choose another place with --run-dir DIR; --fresh starts over in a run directory that is damaged or of another version.',
  },
  'runtime-constant': {
    severity: 'refusal',
    hint: 'The kernel fills this constant in at boot, in its own code only: patch a caller, or read the variable instead.',
  },
  'sealed-endbr': {
    severity: 'refusal',
    allowable: true,
    hint: "The kernel removed this function's ENDBR at boot, an indirect call would fault: call it directly, or pass --allow sealed-endbr:SYMBOL if it is never called through the pointer.",
  },
  'section-anchors': {
    severity: 'refusal',
    hint: 'Compile both builds with -fdata-sections, by GCC with -fno-section-anchors, too.',
  },
  'set-data': {
    severity: 'refusal',
    hint: 'Leave --set-data away for it, and let new code read a variable of its own, or write callbacks that know what the value is used for.',
  },
  'several-symbols': {
    severity: 'error',
    hint: 'Say which is meant: unit:name, or unit#2:name where units share a name.',
  },
  'shared-address': {
    severity: 'refusal',
    hint: 'One address cannot be redirected to two functions: change both names alike, or let the callers of the one call a new function of another name.',
  },
  'shared-input': {
    severity: 'note',
    hint: 'ORIG and PATCHED are the same file: there is nothing to compare.',
  },
  'sibling-call': {
    severity: 'refusal',
    hint: 'A tail call would leave the TOC pointer of the module behind: build with -fno-optimize-sibling-calls, or change the function so that it calls.',
  },
  'signing-key': {
    severity: 'error',
    hint: 'Pass the private key in PEM with --sign-key, its certificate with --sign-cert; KBUILD_SIGN_PIN holds the passphrase of an encrypted key.',
  },
  'since-dropped': {
    severity: 'warning',
    hint: "When the new livepatch takes the place these are the kernel's own again: pass the old one's patches, too, where their fixes are still wanted.",
  },
  'since-left': {
    severity: 'warning',
    hint: 'The kernel calls no callbacks of a livepatch that is replaced: disable the old one before, or let the new one take care of it.',
  },
  'since-refused': {
    severity: 'warning',
    hint: 'Disable and unload the old livepatch before the new one is loaded, or remove the reason.',
  },
  'skipped-files': {
    severity: 'note',
    hint: 'Under LTO a unit has no machine code before linking: compare the linked objects, or the partitions that ld.lld --lto-obj-path leaves.',
  },
  'special-entry-size': {
    severity: 'refusal',
    hint: "Pass the kernel's types with --btf FILE (/sys/kernel/btf/vmlinux, or a vmlinux with .BTF).",
  },
  'special-klp-reference': {
    severity: 'refusal',
    hint: 'The kernel reads these entries before the livepatch core relocates them: patch code that does not need one here.',
  },
  'store-damaged': {
    severity: 'error',
    hint: 'Remove that file from the store and run again: it is made again.',
  },
  'store-unavailable': {
    severity: 'error',
    hint: 'See that the store can be reached and written, and run the same command again: what is done is kept.',
  },
  'symbol-not-found': {
    severity: 'error',
    hint: 'Give the full ELF name as `diff` prints it.',
  },
  'thread-lost': {
    severity: 'error',
    hint: 'Most often memory ran out: run the same command again, it goes on where it was, with fewer --workers.',
  },
  'twin-ambiguous': {
    severity: 'error',
    hint: 'Say which is meant: unit:name, and unit#2:name where units share a name.',
  },
  'twin-mismatch': {
    severity: 'error',
    hint: 'Declare only what is one symbol in both builds: of one type, of one size, and in the same kind of section.',
  },
  'twin-not-found': {
    severity: 'error',
    hint: "Give full ELF names: ORIG's before the equal sign, PATCHED's behind it (klpflow explain lists the candidates).",
  },
  'uncovered-bytes': {
    severity: 'warning',
    hint: 'No symbol with a size covers these bytes, and no livepatch changes them: give the assembly .type and .size, or see whether anything that runs depends on them.',
  },
  'undeclared-dependency': {
    severity: 'refusal',
    hint: 'Use what the patched module already depends on, or look the symbol up at run time (symbol_get).',
  },
  'unexplained-change': {
    severity: 'warning',
    hint: 'See each with klpflow explain: a macro or a struct that the patch changes may be behind it, or a choice of the compiler; if neither is, the two builds differ by more than the patch.',
  },
  'unit-mismatch': {
    severity: 'warning',
    hint: 'Some compilation units exist in one build only; check that both were built from the same configuration.',
  },
  'unit-not-built': {
    severity: 'refusal',
    hint: 'Nothing of it is in the kernel: leave it out of the patch.',
  },
  'unit-not-patchable': {
    severity: 'refusal',
    hint: 'Change C code that runs in the kernel and calls it, or carry the fix in a new kernel.',
  },
  'unit-of-several': {
    severity: 'refusal',
    hint: 'One object for several modules is not supported: leave it out, or build those modules and use klpflow diff --also.',
  },
  unreadable: {
    severity: 'error',
    hint: 'Check the path and its permissions.',
  },
  'unresolved-reference': {
    severity: 'refusal',
    hint: 'Nothing tells what this reference should reach in a module; patch a caller instead, and report the case.',
  },
  'unsized-code': {
    severity: 'refusal',
    hint: 'Nothing tells where this code ends, so it cannot be replaced: give it .type and .size (SYM_FUNC_START and SYM_FUNC_END) in both builds, or patch its callers.',
  },
  'unsupported-object': {
    severity: 'error',
    hint: 'klpflow reads ELF64 objects of x86-64, ppc64le, s390x, aarch64 and loongarch64.',
  },
  'unsupported-relocation': {
    severity: 'refusal',
    hint: "Build both objects with the kernel's own flags (no PIC, -mcmodel=kernel).",
  },
  'unsupported-section': {
    severity: 'error',
    hint: "Build both objects without it: for compact relocations without -Wa,--crel and without --crel; other types are a newer compiler's, please report them.",
  },
  'unusable-image': {
    severity: 'error',
    hint: "Pass the kernel's own image (/boot/vmlinuz-RELEASE, Image, Image.gz) or a linked vmlinux; without a symbol list, pass a copy of /proc/kallsyms, and the other facts with --symvers, --btf and --template.",
  },
  'unusable-listing': {
    severity: 'error',
    hint: 'Pass the linked vmlinux with its symbol table, or a copy of /proc/kallsyms that root made.',
  },
  'unused-allow': {
    severity: 'note',
    hint: 'Take it off, or see whether the symbol is spelled as the report has it.',
  },
  'unused-twin': {
    severity: 'note',
    hint: 'Take it off: klpflow explain says which evidence pairs the two.',
  },
  usage: {
    severity: 'error',
    hint: 'See --help.',
  },
  'value-encoding': {
    severity: 'warning',
    hint: 'Clang keeps a variable of two values as a flag: set the variable to what PATCHED calls its value in a pre-patch callback, or give the new one another name.',
  },
  'verify-discarded-target': {
    severity: 'refusal',
    hint: 'The kernel gives this memory back after boot: make the livepatch without references to init or exit code and data.',
  },
  'verify-elf-form': {
    severity: 'refusal',
    hint: 'The module loader would refuse this file or misread it: write the module again from its objects.',
  },
  'verify-entry': {
    severity: 'refusal',
    hint: 'The kernel would rewrite or look up the wrong bytes when it loads the module: take the entries from the object that the code is from.',
  },
  'verify-function-address': {
    severity: 'refusal',
    hint: 'Refer to the original through a klp relocation: ftrace redirects whoever calls it, and its address stays valid.',
  },
  'verify-import': {
    severity: 'refusal',
    hint: 'The loader cannot resolve this symbol: reach it through a klp relocation, or export it with its namespace declared.',
  },
  'verify-klp-func': {
    severity: 'refusal',
    hint: 'klp_enable_patch() would fail: name a function of the running kernel that has an ftrace site, and a sized function of the module.',
  },
  'verify-klp-section': {
    severity: 'refusal',
    hint: 'The livepatch core reads sections .klp.rela.OBJECT.SECTION with the flags ALLOC and RELA_LIVEPATCH: write the module again.',
  },
  'verify-klp-struct': {
    severity: 'refusal',
    hint: "Lay klp_patch, klp_object and klp_func out as the kernel's BTF says, each array ended by a zero entry.",
  },
  'verify-klp-symbol': {
    severity: 'refusal',
    hint: 'A klp symbol is called .klp.sym.OBJECT.NAME,POSITION and its section index is SHN_LIVEPATCH (0xff20).',
  },
  'verify-late-relocation': {
    severity: 'refusal',
    hint: 'Relocations of a module are applied after the kernel has used these bytes: patch code that does not need one here.',
  },
  'verify-lock': {
    severity: 'warning',
    hint: 'Harmless on a machine with several processors; compare with the object that the code is from.',
  },
  'verify-missing-entry': {
    severity: 'refusal',
    hint: 'The kernel would leave this instruction as it is: carry the entry over from the object that the code is from.',
  },
  'verify-modinfo': {
    severity: 'refusal',
    hint: 'Take vermagic from a module of the running kernel (--template), and write license=GPL and livepatch=Y.',
  },
  'verify-module-struct': {
    severity: 'refusal',
    hint: "Take the size of struct module and the places of init and exit from the kernel's BTF or from any of its modules.",
  },
  'verify-not-checked': {
    severity: 'note',
    hint: 'Pass what is missing (--vmlinux, --symvers, --btf, --template, --object) to have this checked, too.',
  },
  'verify-object-differs': {
    severity: 'refusal',
    hint: 'The module is not made from this object, or was damaged: write it again.',
  },
  'verify-placement': {
    severity: 'refusal',
    hint: 'The running kernel has this variable in another kind of memory than the new code needs: keep new values in a new variable.',
  },
  'verify-prefix': {
    severity: 'refusal',
    hint: "The kernel writes into the padding before a function: keep it, as NOPs, and the function's alignment.",
  },
  'verify-relocation': {
    severity: 'refusal',
    hint: 'The loader would refuse this relocation, or change other bytes than the operand: write the module again.',
  },
  'verify-runtime-constant': {
    severity: 'refusal',
    hint: 'The kernel fills boot-time constants in for its own code only: the module must read the variable.',
  },
  'verify-sealed-target': {
    severity: 'warning',
    hint: "The kernel removed this function's ENDBR at boot: an indirect call of it faults. Harmless only if nothing calls through the pointer.",
  },
  'verify-target': {
    severity: 'refusal',
    hint: "The instruction would jump to, read or write a place that makes no sense: check the relocation's symbol and addend.",
  },
  'verify-target-range': {
    severity: 'warning',
    hint: 'Compilers do this for the end of a loop; compare with the object that the code is from (--object).',
  },
  'verify-type-hash': {
    severity: 'refusal',
    hint: "Callers of the original through a pointer would trap: keep the function's type, and give new arguments to a new function.",
  },
  'verify-unresolved': {
    severity: 'refusal',
    hint: 'Make the livepatch for the kernel that runs: the livepatch core finds symbols by name and position in kallsyms.',
  },
  'verify-unwind': {
    severity: 'refusal',
    hint: 'Stacks through this code would be unreliable and transitions would never end: carry the ORC entries and their terminators over.',
  },
  'verify-version': {
    severity: 'refusal',
    hint: "Take the CRCs from the Module.symvers of the running kernel's build.",
  },
  'write-failed': {
    severity: 'error',
    hint: 'Check the path and its permissions; nothing was left half-written.',
  },
} as const satisfies Record<string, Entry>;

export type DiagnosticCode = keyof typeof CATALOGUE;

/** Makes one diagnostic; the catalogue supplies severity and remedy. */
export function diagnostic(code: DiagnosticCode, message: string, where: Where = {}): Diagnostic {
  const entry: Entry = CATALOGUE[code];
  return { code, severity: entry.severity, message, where, hint: entry.hint };
}

export function isAllowable(code: string): boolean {
  return Object.hasOwn(CATALOGUE, code) && (CATALOGUE as Record<string, Entry>)[code]!.allowable === true;
}

/** Whether any of them keeps a livepatch from being made. */
export function isRefused(diagnostics: readonly Diagnostic[]): boolean {
  return diagnostics.some(({ severity }) => severity === 'refusal');
}
