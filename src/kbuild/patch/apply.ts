/** Patches put onto sources, in memory: nothing is written. What does not fit exactly is refused, with what would make it fit. */
import { basename, join } from 'node:path';
import { applyPatch, reversePatch, type StructuredPatch } from 'diff';
import { diagnostic, type Diagnostic, type DiagnosticCode } from '../../diagnostics';
import { contentOf } from './content';
import { NOWHERE, type FilePatch } from '../../patch/read';

/** A file of the tree before and after all patches; null where it is not there. */
export interface ChangedFile {
  path: string;
  original: string | null;
  patched: string | null;
}

export interface Applied {
  files: ChangedFile[];
  diagnostics: Diagnostic[];
}

/** Levels of folders that people put before a file's name. */
const LEVELS = [1, 0, 2, 3];

/** As GNU patch does by default: so many lines of context may differ. */
const FUZZ = 2;

/** `strip`: how many folders to take off the names in the patches (`patch -p`). */
export function applyAll(patches: readonly FilePatch[], tree: string, strip: number): Applied {
  const files = new Map<string, ChangedFile>();
  const diagnostics: Diagnostic[] = [];
  const wrong = wrongLevels(patches, tree, strip);
  for (const [from, message] of wrong) diagnostics.push(diagnostic('patch-level', message, { object: from }));
  for (const patch of patches) {
    if (wrong.has(patch.from)) continue;
    const path = stripped(patch.newName === NOWHERE ? patch.oldName : patch.newName, strip);
    const say = (code: DiagnosticCode, what: string): void =>
      void diagnostics.push(diagnostic(code, `${basename(patch.from)}: ${what}`, { object: patch.from }));
    if (path === undefined) {
      say('patch-malformed', `${patch.newName} is no path inside of a kernel tree`);
      continue;
    }
    const known = files.get(path) ?? { path, original: contentOf(tree, path), patched: contentOf(tree, path) };
    const after = appliedTo(known.patched, patch, path);
    if (typeof after === 'object' && after !== null) say(after.code, after.what);
    else files.set(path, { ...known, patched: after });
  }
  return { files: [...files.values()].filter(({ original, patched }) => original !== patched), diagnostics };
}

interface Refused {
  code: DiagnosticCode;
  what: string;
}

function appliedTo(
  before: string | null,
  { oldName, newName, change }: FilePatch,
  path: string,
): string | null | Refused {
  if (oldName === NOWHERE) {
    if (before !== null) return { code: 'patch-not-applicable', what: `adds ${path}, which the tree has already` };
    return applyPatch('', change, EXACT) || { code: 'patch-malformed', what: `what it adds as ${path} is damaged` };
  }
  if (before === null) return { code: 'patch-not-applicable', what: `changes ${path}, which the tree does not have` };
  const after = applyPatch(before, change, EXACT);
  if (after !== false) {
    const twice = severalPlaces(before, change);
    if (twice !== undefined)
      return {
        code: 'patch-fuzz',
        what: `the lines of ${path} that it names stand elsewhere than at line ${twice}, and more than once: which are meant?`,
      };
    return newName === NOWHERE ? null : after;
  }
  if (applyPatch(before, reversePatch(change), EXACT) !== false)
    return {
      code: 'patch-reversed',
      what: `${path} has the fix already: the patch is reversed, or the tree is patched`,
    };
  if (applyPatch(before, change, { ...EXACT, fuzzFactor: FUZZ }) !== false)
    return {
      code: 'patch-fuzz',
      what: `it fits ${path} only where ${FUZZ} lines of context may differ: it was made for another version`,
    };
  return { code: 'patch-not-applicable', what: `it does not fit ${path}: ${firstMissing(before, change)}` };
}

const EXACT = { fuzzFactor: 0, autoConvertLineEndings: false };

const oldLines = (lines: readonly string[]): string[] =>
  lines.filter((line) => line.startsWith('-') || line.startsWith(' ')).map((line) => line.slice(1));

/** The first hunk whose lines are not at all in the file. */
function firstMissing(before: string, { hunks }: StructuredPatch): string {
  const text = `\n${before}`;
  const hunk = hunks.find(({ lines }) => !text.includes(`\n${oldLines(lines).join('\n')}`)) ?? hunks[0]!;
  return `the lines at ${hunk.oldStart} are others`;
}

/** Where a hunk's own lines are not at its line number and stand at several places: the line, else undefined. */
function severalPlaces(before: string, { hunks }: StructuredPatch): number | undefined {
  const lines = before.split('\n');
  return hunks.find(({ lines: hunk, oldStart, oldLines: count }) => {
    const wanted = oldLines(hunk);
    const at = (from: number): boolean => wanted.every((line, i) => lines[from + i] === line);
    if (count === 0 || at(oldStart - 1)) return false;
    let places = 0;
    for (let from = 0; from + wanted.length <= lines.length; from++)
      if (lines[from] === wanted[0] && at(from)) places++;
    return places > 1;
  })?.oldStart;
}

/** Patches whose names fit the tree at another level only, and what to say of each. */
function wrongLevels(patches: readonly FilePatch[], tree: string, strip: number): Map<string, string> {
  const wrong = new Map<string, string>();
  for (const from of new Set(patches.map((patch) => patch.from))) {
    const names = patches
      .filter((patch) => patch.from === from && patch.oldName !== NOWHERE)
      .map(({ newName, oldName }) => (newName === NOWHERE ? oldName : newName));
    const fits = (folders: number): boolean =>
      names.every((name) => {
        const path = stripped(name, folders);
        return path !== undefined && contentOf(tree, path) !== null;
      });
    if (names.length === 0 || fits(strip)) continue;
    const level = LEVELS.find((other) => other !== strip && fits(other));
    if (level !== undefined)
      wrong.set(from, `${basename(from)}: ${names[0]} is in the tree with --strip ${level}, not with ${strip}`);
  }
  return wrong;
}

/** A name without its first folders; undefined where it has too few, or leads out of the tree. */
function stripped(name: string, level: number): string | undefined {
  const parts = name.split('/');
  const rest = parts.slice(level).filter((part) => part !== '.' && part !== '');
  if (parts.length <= level || rest.length === 0 || rest.includes('..') || name.startsWith('/')) return undefined;
  return join(...rest);
}
