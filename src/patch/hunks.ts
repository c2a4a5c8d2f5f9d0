/** Hunks as a comparison is held against them: which lines of which file they change, and what they name. */
import { KlpflowError } from '../diagnostics';
import { NOWHERE, readPatches, type FilePatch } from './read';

/** One hunk of a patch. */
export interface Hunk {
  /** The file in the kernel's tree. */
  file: string;
  /** The first line that it changes, by PATCHED's numbers; of a file that goes away by ORIG's. */
  line: number;
  /** Functions and variables that its changed lines stand in, or define. */
  names: ReadonlySet<string>;
  orig: Lines;
  patched: Lines;
}

/** Lines of one build: those of the hunk, and which of them are changed. */
export interface Lines {
  from: number;
  to: number;
  changed: ReadonlySet<number>;
}

/** Hunks of patches, in their order. @throws KlpflowError `unreadable`, and what is wrong with a patch that changes nothing that can be read */
export function readHunks(paths: readonly string[]): Hunk[] {
  const { files, diagnostics } = readPatches(paths);
  const [wrong] = diagnostics;
  if (files.length === 0 && wrong !== undefined) throw new KlpflowError(wrong.code, wrong.message, wrong.where);
  return files.flatMap(hunksOf);
}

export function hunksOf(patch: FilePatch): Hunk[] {
  const file = pathInTree(patch);
  return patch.change.hunks.map((hunk, i): Hunk => {
    const { oldStart, oldLines, newStart, newLines, lines } = hunk;
    const changed = { orig: new Set<number>(), patched: new Set<number>() };
    let [ours, theirs] = [oldStart, newStart];
    let line: number | undefined;
    for (const text of lines) {
      if (text.startsWith('-')) changed.orig.add(ours);
      if (text.startsWith('+')) changed.patched.add(theirs);
      if (!text.startsWith(' ')) line ??= patch.newName === NOWHERE ? ours : theirs;
      if (text.startsWith('-') || text.startsWith(' ')) ours++;
      if (text.startsWith('+') || text.startsWith(' ')) theirs++;
    }
    return {
      file,
      line: line ?? newStart,
      names: namesIn(patch.headings[i] ?? '', lines),
      orig: { from: oldStart, to: oldStart + oldLines - 1, changed: changed.orig },
      patched: { from: newStart, to: newStart + newLines - 1, changed: changed.patched },
    };
  });
}

/** What both names have in common at their end; a file that only one build has stands below one folder more, as git writes it. */
function pathInTree({ oldName, newName }: FilePatch): string {
  const [ours, theirs] = [oldName.split('/'), newName.split('/')];
  if (oldName === NOWHERE || newName === NOWHERE) {
    const parts = oldName === NOWHERE ? theirs : ours;
    return (/^[a-z]$/.test(parts[0]!) ? parts.slice(1) : parts).join('/');
  }
  let common = 0;
  while (common < Math.min(ours.length, theirs.length) && ours.at(-1 - common) === theirs.at(-1 - common)) common++;
  return common === 0 ? newName : theirs.slice(-common).join('/');
}

/** Goes through the hunk as through the file: a line that begins at the margin begins something, `}` ends it. */
function namesIn(heading: string, lines: readonly string[]): Set<string> {
  const found = new Set<string>();
  let within = definedBy(heading);
  for (const line of lines) {
    const text = line.slice(1);
    const isChanged = !line.startsWith(' ');
    const defined = definedBy(text);
    const isWhole = text.trimEnd().endsWith(';');
    if (defined.length > 0 && !isWhole) within = defined;
    if (!isChanged) {
      if (text.startsWith('}')) within = [];
      continue;
    }
    for (const name of [...within, ...(isWhole ? defined : []), ...(/^\s+static\b/.test(text) ? variables(text) : [])])
      found.add(name);
    if (text.startsWith('}')) within = [];
  }
  return found;
}

/** What a line at the margin defines: `int f(void)`, `SYSCALL_DEFINE2(name, ...)`, `static int table[] = {`. */
function definedBy(text: string): string[] {
  if (!/^[A-Za-z_]/.test(text)) return [];
  const [, compat, call] = /^(COMPAT_)?SYSCALL_DEFINE\d\((\w+)/.exec(text) ?? [];
  if (call !== undefined) return [`${compat === undefined ? '' : 'compat_'}sys_${call}`];
  const functions = [...text.matchAll(/\b([A-Za-z_]\w*)\s*\(/g)].map(([, name]) => name!);
  return [...functions, ...variables(text)];
}

function variables(text: string): string[] {
  return [...text.matchAll(/\b([A-Za-z_]\w*)\s*(?:\[[^\]]*\]\s*)*(?:=(?!=)|;\s*$)/g)].map(([, name]) => name!);
}
