import { diagnosticOf, type Diagnostic, type DiagnosticCode } from '../../../src/diagnostics';
import { ElfObject } from '../../../src/elf';
import { MappedFile } from '../../../src/files/mapped-file';

/** One kind of input that is damaged, and what reads it. */
export interface Subject {
  /** Errors that its damage may end in; anything else is a bug. */
  codes: ReadonlySet<DiagnosticCode>;
  /** Makes the mutant of a seed; the same seed, the same mutant. */
  mutant(seed: number): Mutant;
}

export interface Mutant {
  /** What was done to which file, for who has to understand a failure. */
  done: string[];
  /** What reads it. Returns one word about the result. @throws what the code under test throws */
  run(): string | Promise<string>;
}

/** What any damaged object may be called. */
export const ELF_CODES: readonly DiagnosticCode[] = [
  'malformed-elf',
  'not-elf',
  'not-relocatable',
  'unsupported-object',
  'compressed-section',
  'unsupported-section',
  'bitcode',
  'machine-mismatch',
];

/** Runs a mutant: the code of an error, a word about the result, or `BUG: ...`. */
export async function outcomeOf({ codes }: Subject, mutant: Mutant): Promise<string> {
  try {
    return await mutant.run();
  } catch (thrown) {
    if (thrown instanceof Wrong) return `BUG: ${thrown.message}`;
    const found = diagnosticOf(thrown);
    if (!codes.has(found.code)) return `BUG: ${found.code}: ${found.message}`;
    return problemOf([found]) ?? found.code;
  }
}

/** A result that must not be. */
class Wrong extends Error {}

/** Refuses results with numbers that are none, and diagnostics that nobody could act on. @throws Wrong */
export function checkResult(result: unknown, diagnostics: readonly Diagnostic[] = []): void {
  const place = notFinite(result, '');
  if (place !== undefined) throw new Wrong(`${place} is no number`);
  const problem = problemOf(diagnostics);
  if (problem !== undefined) throw new Wrong(problem.slice('BUG: '.length));
}

function problemOf(diagnostics: readonly Diagnostic[]): string | undefined {
  for (const { code, message, where } of diagnostics) {
    if (code === 'internal') return `BUG: internal: ${message}`;
    if (/\bNaN\b|\[object |\bundefined (of|at|bytes)\b/.test(message)) return `BUG: ${code} says "${message}"`;
    if (where.offset !== undefined && !Number.isFinite(where.offset)) return `BUG: ${code} is at ${where.offset}`;
  }
  return undefined;
}

/** Where a result holds a number that is none. Follows plain objects, arrays and Maps. */
function notFinite(value: unknown, place: string): string | undefined {
  if (typeof value === 'number') return Number.isFinite(value) ? undefined : place;
  if (typeof value !== 'object' || value === null || ArrayBuffer.isView(value)) return undefined;
  for (const [key, member] of value instanceof Map ? value : Object.entries(value)) {
    const found = notFinite(member, `${place}.${String(key)}`);
    if (found !== undefined) return found;
  }
  return undefined;
}

/** An object over a copy of these bytes: aligned, as a mapping is, and with nothing behind it. */
export function opened(bytes: Uint8Array, path = 'mutant.o'): ElfObject {
  return new ElfObject(mapped(bytes, path));
}

function mapped(bytes: Uint8Array, path: string): MappedFile {
  return MappedFile.ofBytes(new Uint8Array(bytes), path);
}
