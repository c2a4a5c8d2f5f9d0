/** Which hunk an observed change is of. What decides, best first: the source lines of instructions that differ, then names. */
import { posix } from 'node:path';
import type { Hunk, Lines } from './hunks';

/**
 * `line`: an instruction that differs is of a line that the hunk changes, or was inlined from one. `context`: of a line that the hunk shows around these. `name`: only names say so, the
 * changed lines stand in a function or variable of this name.
 */
export type TiedBy = 'line' | 'context' | 'name';

export interface HunkTie {
  /** The file in the kernel's tree. */
  file: string;
  /** The first line that the hunk changes, by PATCHED's numbers. */
  line: number;
  by: TiedBy;
  /** How many instructions that differ are of its lines; 0 where only names say so. */
  instructions: number;
}

/** A comparison's changes by the hunks of a patch. */
export interface PatchTies {
  paths: string[];
  /** Whether any source line of an instruction was known; else only names were compared. */
  evidence: 'lines' | 'names';
  symbols: TiedSymbol[];
  /** Hunks that nothing is tied to: comments, declarations, or code that is not in these objects. */
  idle: Array<Pick<Hunk, 'file' | 'line'>>;
}

export interface TiedSymbol {
  object: string;
  kind: 'function' | 'data';
  state: 'changed' | 'new' | 'removed';
  name: string;
  file: string | null;
  /** Whether source lines of what differs were known. */
  lines: boolean;
  /** Empty where no hunk explains it. */
  hunks: HunkTie[];
}

/** A symbol that changed, is new or gone. */
export interface Subject {
  name: string;
  /** Its unit's name, without folders; null where the symbol table does not say. */
  unit: string | null;
  /** Source lines of each place that differs, from the innermost function out. */
  places: ReadonlyArray<{ orig: readonly SourceLine[]; patched: readonly SourceLine[] }>;
}

export interface SourceLine {
  file: string;
  line: number;
}

/** The hunks that a symbol's change is of, in the order of the patch. */
export function tiesOf(hunks: readonly Hunk[], subject: Subject): HunkTie[] {
  const ties = hunks.flatMap((hunk): HunkTie[] => {
    const { file, line } = hunk;
    const count = (at: (lines: Lines, line: number) => boolean): number =>
      subject.places.filter(({ orig, patched }) =>
        [[orig, hunk.orig] as const, [patched, hunk.patched] as const].some(([frames, lines]) =>
          frames.some((frame) => isFile(frame.file, file) && at(lines, frame.line)),
        ),
      ).length;
    const exact = count(({ changed }, at) => changed.has(at));
    if (exact > 0) return [{ file, line, by: 'line', instructions: exact }];
    if (isNamed(hunk, subject)) return [{ file, line, by: 'name', instructions: 0 }];
    const near = count(({ from, to }, at) => at >= from && at <= to);
    return near > 0 ? [{ file, line, by: 'context', instructions: near }] : [];
  });
  // Lines that a hunk shows may be the next function's: they tell something only where no line that it changes does.
  return ties.some(({ by }) => by === 'line') ? ties.filter(({ by }) => by !== 'context') : ties;
}

/** Debug information names files from the build's root, or from the compiler's folder. */
function isFile(named: string, file: string): boolean {
  const path = posix.normalize(named);
  return path === file || path.endsWith(`/${file}`);
}

/** `foo.llvm.123`, `foo.part.0` and `foo.cold` are code of foo, `f.count` and `count.3` are a static of a function. */
function isNamed({ file, names }: Hunk, { name, unit }: Subject): boolean {
  if (unit !== null && !file.endsWith('.h') && unit !== posix.basename(file)) return false;
  const parts = name.split('.');
  // __x64_sys_open, __do_sys_open and __se_sys_open come of one definition.
  const call = /(?:^|_)((?:compat_)?sys_\w+)$/.exec(parts[0]!)?.[1];
  return parts.some((part) => names.has(part)) || (call !== undefined && names.has(call));
}
