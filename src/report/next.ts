/** What a person does next, as a command line that works where it is pasted. */
import { accessSync, constants } from 'node:fs';
import { delimiter, join } from 'node:path';
import type { DiffResult, OutputReport } from '../index';

/** The command line as it was typed, as far as a next one repeats it. */
export interface Typed {
  orig: string;
  patched: string;
  runDir?: string | undefined;
  vmlinux?: string | undefined;
  symvers?: string | undefined;
  btf?: string | undefined;
  template?: string | undefined;
}

/** Undefined where nothing is left to do. */
export function nextStep({ output, objects }: DiffResult, typed: Typed): string | undefined {
  if (output !== null) return afterWriting(output, typed, objects.length);
  const [first] = objects[0]?.functions.changed ?? [];
  if (first === undefined || objects.length !== 1) return undefined;
  return command(['explain', typed.orig, typed.patched, first.name, ...flags({ 'run-dir': typed.runDir })]);
}

/** What a livepatch of each format is for. */
function afterWriting({ path, format }: OutputReport, typed: Typed, objects: number): string {
  const { vmlinux, symvers, btf, template } = typed;
  switch (format) {
    case 'klp':
      return command([
        'link',
        path,
        '-o',
        'FILE.ko',
        ...flags({ symvers: symvers ?? 'Module.symvers', btf: btf ?? 'FILE' }),
      ]);
    case 'kpatch':
      return 'kpatch-build links it with its hook (ld -r), then klpflow create-klp-module';
    case 'ko':
      return command([
        'verify',
        path,
        ...flags({ vmlinux, symvers, btf, template, object: objects === 1 ? typed.patched : undefined }),
      ]);
  }
}

function flags(given: Record<string, string | undefined>): string[] {
  return Object.entries(given).flatMap(([name, value]) => (value === undefined ? [] : [`--${name}`, value]));
}

/** A command line of klpflow, by the name that a shell finds it under. */
function command(words: readonly string[]): string {
  return [...program(), ...words].map(quoted).join(' ');
}

function program(): string[] {
  const found = (process.env['PATH'] ?? '').split(delimiter).some((folder) => {
    try {
      accessSync(join(folder, 'klpflow'), constants.X_OK);
      return true;
    } catch {
      return false;
    }
  });
  return found ? ['klpflow'] : ['node', process.argv[1] ?? 'klpflow'];
}

/** A word of a shell's command line. */
export function quoted(word: string): string {
  return /^[\w@%+=:,./-]+$/.test(word) ? word : `'${word.replaceAll("'", "'\\''")}'`;
}
