/**
 * Which source line an instruction is of, and through which inlined functions: what the objects' own debug information says, read by binutils' addr2line where something is asked. It
 * takes half a second for a kernel of 143 MB with debug information, and applies the relocations of .debug_line as a linker does.
 */
import { spawn } from 'node:child_process';
import { ElfObject } from '../elf';
import type { Explanation, SourceFrame } from './types';

const PROGRAM = 'addr2line';
/** Sections whose lines are asked for at once: each is a process. */
const AT_ONCE = 2;
/** Sections of a report that are asked for; of a thousand changed functions nobody reads lines. */
const MOST_SECTIONS = 200;
/** A damaged object may keep the program busy for ever. */
const LONGEST_MS = 60_000;

type Build = 'orig' | 'patched';
type Cell = NonNullable<Explanation['rows'][number]['orig']>;

/** Adds to each instruction that differs the line that it is of. Where an object has no debug information, or there is no addr2line, nothing is added. */
export async function addSourceLines(
  explanations: ReadonlyArray<Explanation | null>,
  objects: Readonly<Record<Build, string>>,
): Promise<void> {
  for (const build of ['orig', 'patched'] as const) {
    const wanted = cellsBySection(explanations, build);
    if (wanted.size === 0 || !hasLines(objects[build])) continue;
    const sections = [...wanted].slice(0, MOST_SECTIONS);
    for (let at = 0; at < sections.length; at += AT_ONCE)
      await Promise.all(
        sections.slice(at, at + AT_ONCE).map(([section, cells]) => addLines(objects[build], section, cells)),
      );
  }
}

/** Instructions that differ, with their addresses, by sections that are the only ones of their name: addr2line knows them by name. */
function cellsBySection(
  explanations: ReadonlyArray<Explanation | null>,
  build: Build,
): Map<string, Array<{ cell: Cell; address: number }>> {
  const found = new Map<string, Array<{ cell: Cell; address: number }>>();
  for (const explanation of explanations) {
    const place = explanation?.places[build];
    if (place === null || place === undefined) continue;
    for (const row of explanation!.rows) {
      const cell = row[build];
      if (cell === null || row.same) continue;
      let cells = found.get(place.section);
      if (cells === undefined) found.set(place.section, (cells = []));
      cells.push({ cell, address: place.value + cell.offset });
    }
  }
  return found;
}

function hasLines(path: string): boolean {
  return ElfObject.open(path).sectionsNamed('.debug_line').length > 0;
}

async function addLines(
  object: string,
  section: string,
  cells: ReadonlyArray<{ cell: Cell; address: number }>,
): Promise<void> {
  const said = await asked(
    ['-a', '-i', '-f', '-e', object, '-j', section],
    cells.map(({ address }) => `0x${address.toString(16)}\n`).join(''),
  );
  // An address, then pairs of lines: function and place, from the innermost function out.
  const answers = said.split(/^0x[0-9a-f]+\n/m).slice(1);
  if (answers.length !== cells.length) return;
  for (const [i, { cell }] of cells.entries()) {
    const frames = framesOf(answers[i]!);
    if (frames.length > 0) cell.source = frames;
  }
}

function framesOf(answer: string): SourceFrame[] {
  const lines = answer.split('\n');
  const frames: SourceFrame[] = [];
  for (let i = 0; i + 1 < lines.length; i += 2) {
    const place = /^(.*):(\d+)(?: \(discriminator \d+\))?$/.exec(lines[i + 1]!);
    // `??:0`, `??:?`: nothing is known.
    if (place !== null && place[1] !== '??' && place[2] !== '0')
      frames.push({ function: lines[i]!, file: place[1]!, line: Number(place[2]) });
  }
  return frames;
}

/** What the program says; nothing where it is missing, fails or hangs: lines are a help, and no reason against a comparison. */
function asked(args: readonly string[], input: string): Promise<string> {
  return new Promise((done) => {
    const child = spawn(PROGRAM, args, {
      env: { ...process.env, LC_ALL: 'C' },
      stdio: ['pipe', 'pipe', 'ignore'],
      timeout: LONGEST_MS,
    });
    const said: Buffer[] = [];
    child.stdout.on('data', (part: Buffer) => said.push(part));
    child.stdin.on('error', () => undefined).end(input);
    child.on('error', () => done('')).on('close', (status) => done(status === 0 ? Buffer.concat(said).toString() : ''));
  });
}
