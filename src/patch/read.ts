/** Patches as files change by them: read, and judged by what they say of themselves. */
import { basename } from 'node:path';
import { parsePatch, type StructuredPatch } from 'diff';
import { diagnostic, type Diagnostic } from '../diagnostics';
import { readWhole } from '../files/whole-file';
import { append } from '../lists';

/** What a patch does to one file. */
export interface FilePatch {
  /** The patch's file. */
  from: string;
  /** Names as the patch has them, without a timestamp; `/dev/null` where the file is new or goes away. */
  oldName: string;
  newName: string;
  change: StructuredPatch;
  /** Of each hunk what stands behind its second `@@`: the line that begins what it is in, as git and diff find it. */
  headings: string[];
}

export interface ReadPatches {
  files: FilePatch[];
  diagnostics: Diagnostic[];
}

export const NOWHERE = '/dev/null';

/** @throws KlpflowError `unreadable` */
export function readPatches(paths: readonly string[]): ReadPatches {
  const all: ReadPatches = { files: [], diagnostics: [] };
  for (const path of paths) {
    const { files, diagnostics } = parsed(readWhole(path).toString('latin1'), path);
    append(all.files, files);
    append(all.diagnostics, diagnostics);
  }
  return all;
}

/**
 * What `git format-patch` puts behind the last hunk: two dashes with a blank, and git's version. To a reader of hunks it is one removed
 * line more than its header says.
 */
const SIGNATURE = /^-- \n\d+\.\d+[^\n]*\n+(?=From |diff |$(?![^]))/gm;

/** One patch's text. Bytes are Latin-1: sources and patches keep theirs, whatever encoding that is. */
export function parsed(text: string, path: string): ReadPatches {
  const refuse = (...said: Parameters<typeof diagnostic>[]): ReadPatches => ({
    files: [],
    diagnostics: said.map(([code, message]) => diagnostic(code, message, { object: path })),
  });
  if (/^(?:---|\+\+\+|@@) [^\n]*\r$/m.test(text))
    return refuse(['patch-crlf', `${basename(path)}: its lines end in CR LF, the kernel's in LF`]);
  let patches: StructuredPatch[];
  try {
    patches = parsePatch(`${text}${text.endsWith('\n') ? '' : '\n'}`.replace(SIGNATURE, ''));
  } catch (cause) {
    return refuse(['patch-malformed', `${basename(path)} is damaged: ${(cause as Error).message}`]);
  }
  const named = patches.filter(
    ({ oldFileName, newFileName }) => oldFileName !== undefined && newFileName !== undefined,
  );
  if (named.length === 0)
    return refuse(['patch-empty', `${basename(path)} changes no file: it has no "--- a/FILE" and "+++ b/FILE" lines`]);
  const found: ReadPatches = { files: [], diagnostics: [] };
  const binary = /^GIT binary patch$/m.test(text);
  const headings = headingsOf(text, named);
  for (const patch of named) {
    const [oldName, newName] = [patch.oldFileName!, patch.newFileName!];
    const say = (code: Parameters<typeof diagnostic>[0], what: string): void =>
      void found.diagnostics.push(diagnostic(code, `${basename(path)} ${what}`, { object: path }));
    if (patch.isBinary === true || (binary && patch.hunks.length === 0 && patch.isRename !== true))
      say('patch-binary', `changes ${newName} as binary data`);
    else if (patch.isRename === true || patch.isCopy === true)
      say('patch-renames', `${patch.isRename === true ? 'renames' : 'copies'} ${oldName} to ${newName}`);
    else if (patch.hunks.length > 0)
      found.files.push({ from: path, oldName, newName, change: patch, headings: headings.get(patch)! });
  }
  if (found.files.length === 0 && found.diagnostics.length === 0)
    return refuse(['patch-empty', `${basename(path)} changes no line of any file`]);
  return found;
}

/** The reader of patches leaves headings out. Lines of a hunk begin with a blank, a plus or a minus, so these stand in the order of the hunks. */
function headingsOf(text: string, patches: readonly StructuredPatch[]): Map<StructuredPatch, string[]> {
  const heads = [...text.matchAll(/^@@ -(\d+)(?:,(\d+))? \+(\d+)(?:,(\d+))? @@ ?(.*)$/gm)];
  let at = 0;
  // Of no lines the header names the line before, the reader the line behind it.
  const start = (line: string, count = '1'): number => Number(line) + Number(count === '0');
  const heading = ({ oldStart, newStart }: StructuredPatch['hunks'][number]): string => {
    const found = heads.findIndex(
      ([, from, ours, to, theirs], i) => i >= at && start(from!, ours) === oldStart && start(to!, theirs) === newStart,
    );
    if (found < 0) return '';
    at = found + 1;
    return heads[found]![5]!;
  };
  return new Map(patches.map((patch) => [patch, patch.hunks.map(heading)]));
}
