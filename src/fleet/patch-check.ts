/** Whether patches fit the sources that they are for, before anything is unpacked or built: of a tarball only the files that they name are read. */
import { mkdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { diagnostic, diagnosticOf, type Diagnostic } from '../diagnostics';
import { append, put } from '../lists';
import { applyAll } from '../kbuild/patch/apply';
import { sortFiles } from '../kbuild/patch/kinds';
import { NOWHERE, readPatches, type FilePatch } from '../patch/read';
import { someFiles, sourceOf, versionFits, versionOf } from '../kbuild/source';
import { sha256 } from './digest';
import type { BuiltKernel, Cell } from './matrix';
import type { Owner, Problem } from './places';

/** A cell of a kernel whose release is known. */
export interface BuiltCell {
  cell: Cell;
  kernel: BuiltKernel;
  release: string;
}

export interface PatchCheckSettings {
  /** Where files of tarballs are put while they are looked at. */
  folder: string;
  signal?: AbortSignal | undefined;
  step: (what: string) => void;
}

/** As `applyAll` looks for files that are not where --strip says. */
const LEVELS = [0, 1, 2, 3];

/** What keeps patches from their kernel's source, by cell: the source is no such kernel's, or the patch does not fit. @throws KlpflowError `interrupted`, `write-failed` */
export async function checkPatches(
  cells: readonly BuiltCell[],
  settings: PatchCheckSettings,
): Promise<Map<Cell, Problem[]>> {
  const bySource = new Map<string, BuiltCell[]>();
  for (const one of cells) put(bySource, one.kernel.source, one);
  const found = new Map<Cell, Problem[]>();
  for (const [source, of] of bySource) {
    const names = new Set(of.flatMap(({ cell }) => cell.patch.files));
    const patches = new Map([...names].map((path) => [path, readPatches([path])]));
    const own = join(settings.folder, `sources-${process.pid}-${sha256(source).slice(0, 16)}`);
    try {
      settings.step(`looking whether patches fit ${source}`);
      mkdirSync(own, { recursive: true });
      const all = namesOf([...patches.values()].flatMap(({ files }) => files));
      const tree = await someFiles(await sourceOf(source, settings.signal), all, own, settings.signal);
      for (const { cell, release } of of) {
        const told: Diagnostic[] = [];
        const ofKernel: Diagnostic[] = [];
        const version = versionOf(tree);
        if (version !== undefined && !versionFits(version, release))
          ofKernel.push(
            diagnostic('build-release', `${source} is Linux ${version}, and the kernel is ${release}`, {
              object: source,
            }),
          );
        const files = cell.patch.files.map((path) => patches.get(path)!);
        for (const { diagnostics } of files) append(told, diagnostics);
        const applied = applyAll(
          files.flatMap((read) => read.files),
          tree,
          cell.patch.strip,
        );
        append(told, applied.diagnostics);
        append(told, sortFiles(applied.files).diagnostics);
        found.set(cell, [...problems('kernel', ofKernel), ...problems('patch', told)]);
      }
    } catch (cause) {
      const wrong = diagnosticOf(cause);
      if (wrong.code === 'interrupted') throw cause;
      for (const { cell } of of) found.set(cell, problems('kernel', [wrong]));
    } finally {
      rmSync(own, { recursive: true, force: true });
    }
  }
  return found;
}

function problems(owner: Owner, diagnostics: readonly Diagnostic[]): Problem[] {
  return diagnostics.map((one) => ({ owner, diagnostic: one }));
}

/** All that the patches may name, at each level that people put before names. */
function namesOf(patches: readonly FilePatch[]): string[] {
  const names = patches.flatMap(({ oldName, newName }) => [oldName, newName]).filter((name) => name !== NOWHERE);
  const all = names.flatMap((name) => LEVELS.map((level) => name.split('/').slice(level).join('/')));
  return [...new Set(all)].filter((name) => name !== '');
}
