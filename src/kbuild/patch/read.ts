/** Patches as files change by them: read, and judged by what they say of themselves. */
import { basename } from 'node:path';
import { parsePatch, type StructuredPatch } from 'diff';
import { diagnostic, type Diagnostic } from '../../diagnostics';
import { readWhole } from '../../files/whole-file';
import { append } from '../../lists';

/** What a patch does to one file. */
export interface FilePatch {
  /** The patch's file. */
  from: string;
  /** Names as the patch has them, without a timestamp; `/dev/null` where the file is new or goes away. */
  oldName: string;
  newName: string;
  change: StructuredPatch;
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
  for (const patch of named) {
    const [oldName, newName] = [patch.oldFileName!, patch.newFileName!];
    const say = (code: Parameters<typeof diagnostic>[0], what: string): void =>
      void found.diagnostics.push(diagnostic(code, `${basename(path)} ${what}`, { object: path }));
    if (patch.isBinary === true || (binary && patch.hunks.length === 0 && patch.isRename !== true))
      say('patch-binary', `changes ${newName} as binary data`);
    else if (patch.isRename === true || patch.isCopy === true)
      say('patch-renames', `${patch.isRename === true ? 'renames' : 'copies'} ${oldName} to ${newName}`);
    else if (patch.hunks.length > 0) found.files.push({ from: path, oldName, newName, change: patch });
  }
  if (found.files.length === 0 && found.diagnostics.length === 0)
    return refuse(['patch-empty', `${basename(path)} changes no line of any file`]);
  return found;
}
