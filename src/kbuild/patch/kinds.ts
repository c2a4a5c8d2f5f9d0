/** What each file of a patch is to a livepatch, by its name: which may change, which count for nothing, which can't be livepatched. */
import { basename } from 'node:path';
import { diagnostic, type Diagnostic } from '../../diagnostics';
import type { ChangedFile } from './apply';

export interface SortedFiles {
  /** C files that are compiled. */
  units: string[];
  headers: string[];
  diagnostics: Diagnostic[];
}

/** Code of the kernel's that does not run in the kernel as other code does, by the folder that it is in. */
const ELSEWHERE: ReadonlyArray<[folder: RegExp, why: string]> = [
  // Two files there are the kernel's own: they map it.
  [
    /^arch\/[^/]+\/(?:entry|kernel)\/vdso[^/]*\/(?!vma\.c|extable\.c)|^lib\/vdso\//,
    'is code of the vDSO, which runs in processes',
  ],
  [/^arch\/[^/]+\/realmode\//, 'runs before the kernel does (real mode)'],
  [/^arch\/[^/]+\/boot\//, 'is part of the decompressor, which runs before the kernel'],
  [/^arch\/[^/]+\/purgatory\//, 'is the purgatory of kexec, a program of its own'],
  [/^drivers\/firmware\/efi\/libstub\//, 'is the EFI stub, which runs before the kernel'],
  [/^usr\//, 'is made into the initramfs, not into kernel code'],
];

/** No kernel code comes of these. */
const NO_CODE =
  /^(?:Documentation|LICENSES|samples|tools|\.[^/]*)(?:\/|$)|^(?:MAINTAINERS|CREDITS|COPYING|README)$|\.(?:rst|txt|md|yaml)$/;

/** These decide how the kernel is built. */
const BUILD = /^(?:Makefile|Kbuild|Kconfig.*|.*\.mk|.*\.config|.*_defconfig|Makefile\..*)$/;

export function sortFiles(files: readonly ChangedFile[]): SortedFiles {
  const sorted: SortedFiles = { units: [], headers: [], diagnostics: [] };
  const aside: string[] = [];
  for (const { path, original, patched } of files) {
    const say = (code: Parameters<typeof diagnostic>[0], message: string): void =>
      void sorted.diagnostics.push(diagnostic(code, message, { object: path }));
    const elsewhere = ELSEWHERE.find(([folder]) => folder.test(path));
    if (NO_CODE.test(path)) aside.push(path);
    else if (BUILD.test(basename(path)) || path.startsWith('scripts/'))
      say('patch-build-files', `the patch changes ${path}, which says how the kernel is built`);
    else if (elsewhere !== undefined) say('unit-not-patchable', `${path} ${elsewhere[1]}`);
    else if (patched === null) say('patch-removes-file', `the patch removes ${path}`);
    else if (path.endsWith('.h')) sorted.headers.push(path);
    else if (!path.endsWith('.c')) say('unit-not-patchable', `${path} ${whatItIs(path)}`);
    else if (original === null)
      say('patch-adds-file', `the patch adds ${path}, and no Makefile of this kernel builds it`);
    else sorted.units.push(path);
  }
  if (aside.length > 0)
    sorted.diagnostics.push(
      diagnostic(
        'patch-files-aside',
        `no kernel code comes of ${aside.slice(0, 5).join(', ')}${aside.length > 5 ? ` and ${aside.length - 5} more` : ''}: left aside`,
      ),
    );
  return sorted;
}

function whatItIs(path: string): string {
  if (path.endsWith('.lds.S')) return 'is a linker script: it lays out the whole kernel';
  if (path.endsWith('.S'))
    return 'is assembly: nothing can be compiled with a section a function, and most of it has no ftrace site';
  if (path.endsWith('.rs')) return 'is Rust, which klpflow does not compile';
  return 'is no C file: some program of the build makes code of it';
}
