/**
 * Programs by the names of other tools' that call klpflow, so that klp-build and kpatch-build run it unchanged. klp-build names objtool by its path in the kernel's
 * tree, where make links it anew: so there is a `make`, too, which puts the wrapper there when the kernel's make is done.
 */
import { chmodSync, existsSync, mkdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { KlpflowError, fileError } from '../diagnostics';
import { programInPath, quoted } from '../files/shell';

/** By which a wrapper is known; a program that was there before is kept beside it. */
const MARK = 'Written by klpflow wrappers';
const KEPT = '.real';

export interface Wrapper {
  program: string;
  path: string;
  /** What stood there, under its other name. */
  kept: string | null;
}

/** Writes the wrappers into a folder. `klpflow`: the words by which it is called. @throws KlpflowError `write-failed`, `usage` */
export function writeWrappers(folder: string, klpflow: readonly string[]): Wrapper[] {
  const make = programInPath('make', folder);
  if (make === undefined) throw new KlpflowError('usage', 'there is no make in PATH');
  const call = klpflow.map(quoted).join(' ');
  const texts: Record<string, string> = {
    objtool: OBJTOOL.replace('CALL', call),
    'create-diff-object': `exec ${call} create-diff-object "$@"\n`,
    'create-klp-module': `exec ${call} create-klp-module "$@"\n`,
    make: MAKE.replace('MAKE', quoted(make)),
  };
  try {
    mkdirSync(folder, { recursive: true });
    return Object.entries(texts).map(([program, text]) => put(resolve(folder), program, text));
  } catch (cause) {
    throw fileError(folder, cause, 'write');
  }
}

/** Whatever is compared here klpflow compares: checksums that only objtool's own diff reads are not made. */
const OBJTOOL = `if [ "$1" = klp ]; then
  case "$2" in
    checksum | diff) command=$2; shift 2; set -- klp "$command" --without-checksums "$@" ;;
  esac
  exec CALL objtool "$@"
fi
for real in "\${0%/*}/objtool${KEPT}" tools/objtool/objtool${KEPT} tools/objtool/objtool; do
  if [ -x "$real" ] && ! [ "$real" -ef "$0" ]; then exec "$real" "$@"; fi
done
echo "objtool: the kernel's own is not there (\${0%/*}/objtool${KEPT}, tools/objtool/objtool)" >&2
exit 127
`;

/** As old as the one that it stands for: units depend on objtool, and would all be compiled anew. */
const MAKE = `own=$(cd "\${0%/*}" && pwd)
MAKE "$@"
status=$?
tool=tools/objtool/objtool
if [ -x $tool ] && ! grep -qs '${MARK}' $tool; then
  mv $tool $tool${KEPT} && cp "$own/objtool" $tool && touch -r $tool${KEPT} $tool || status=1
fi
exit $status
`;

function put(folder: string, program: string, text: string): Wrapper {
  const path = join(folder, program);
  const other = existsSync(path) && !readFileSync(path, 'latin1').includes(MARK);
  if (other) renameSync(path, path + KEPT);
  writeFileSync(`${path}.new`, `#!/bin/sh\n# ${MARK}.\n${text}`);
  chmodSync(`${path}.new`, 0o755);
  renameSync(`${path}.new`, path);
  return { program, path, kept: existsSync(path + KEPT) ? path + KEPT : null };
}
