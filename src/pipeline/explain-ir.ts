/** What differs of one function before the linker has seen it: LLVM's own text of two bitcode files, aligned. */
import { spawn } from 'node:child_process';
import { readdirSync } from 'node:fs';
import { delimiter, join } from 'node:path';
import { KlpflowError } from '../diagnostics';
import { alignIr, irFunction, irFunctions, type IrRow } from '../stages/explain/ir';
import { headOf } from './files';

export interface IrExplanation {
  name: string;
  /** The program that made text of the bitcode. */
  program: string;
  /** Lines of the function in each build; null for one that lacks it. */
  lines: { orig: number | null; patched: number | null };
  rows: IrRow[];
  /** How many behind the last row are left out: they are the same. */
  skipped: number;
}

/** A unit's text is some megabytes; a damaged file may keep the program busy. */
const LONGEST_MS = 60_000;
const MOST_NEAR = 8;

/** @throws KlpflowError `not-bitcode`, `no-llvm`, `symbol-not-found`, `unreadable` */
export async function explainIr(asked: {
  orig: string;
  patched: string;
  symbol: string;
  context: number;
}): Promise<IrExplanation> {
  const { orig, patched, symbol, context } = asked;
  for (const path of [orig, patched]) checkBitcode(path);
  const [a, b] = [await textOf(orig), await textOf(patched)];
  const [ours, theirs] = [irFunction(a.text, symbol), irFunction(b.text, symbol)];
  if (ours === null && theirs === null) {
    const like = irFunctions(a.text).filter((name) => name.includes(symbol));
    throw new KlpflowError(
      'symbol-not-found',
      `neither ${orig} nor ${patched} defines a function ${symbol}${like.length === 0 ? '' : `; there is ${like.slice(0, MOST_NEAR).join(', ')}`}`,
      { symbol },
    );
  }
  return {
    name: symbol,
    program: a.program,
    lines: { orig: ours?.length ?? null, patched: theirs?.length ?? null },
    ...alignIr(ours ?? [], theirs ?? [], context),
  };
}

/** Raw bitcode is `BC` C0 DE, its wrapper 0B17C0DE. @throws KlpflowError `not-bitcode`, `unreadable` */
function checkBitcode(path: string): void {
  const head = Buffer.from(headOf(path, 4)).toString('hex');
  if (head !== '4243c0de' && head !== 'dec0170b')
    throw new KlpflowError('not-bitcode', `${path} is no LLVM bitcode`, { object: path });
}

/** A newer LLVM reads what an older one wrote, so the newest is asked first. @throws KlpflowError `no-llvm` */
async function textOf(path: string): Promise<{ text: string; program: string }> {
  let said = '';
  for (const program of programs()) {
    const args = program.startsWith('clang')
      ? ['-S', '-emit-llvm', '-Xclang', '-disable-llvm-passes', '-Wno-everything', '-x', 'ir', path, '-o', '-']
      : ['-o', '-', path];
    const { text, complaint } = await ran(program, args);
    if (text !== null) return { text, program };
    said = `${program}: ${complaint}`;
  }
  throw new KlpflowError(
    'no-llvm',
    `${path}: ${said === '' ? 'neither llvm-dis nor clang is on the PATH' : `no LLVM here can read it (${said})`}`,
    { object: path },
  );
}

/** `llvm-dis-19` and `clang-22` on the PATH, newest first; those without a number last. */
function programs(): string[] {
  const names = new Set(
    (process.env['PATH'] ?? '').split(delimiter).flatMap((folder) => {
      try {
        return readdirSync(join(folder)).filter((name) => /^(?:llvm-dis|clang)(?:-\d+)?$/.test(name));
      } catch {
        return [];
      }
    }),
  );
  const version = (name: string): number => Number(/\d+$/.exec(name)?.[0] ?? 0);
  return [...names].sort((a, b) => version(b) - version(a) || (a < b ? 1 : -1));
}

function ran(program: string, args: readonly string[]): Promise<{ text: string | null; complaint: string }> {
  return new Promise((done) => {
    const child = spawn(program, args, {
      env: { ...process.env, LC_ALL: 'C' },
      stdio: ['ignore', 'pipe', 'pipe'],
      timeout: LONGEST_MS,
    });
    const [text, complaint]: [Buffer[], Buffer[]] = [[], []];
    child.stdout.on('data', (part: Buffer) => text.push(part));
    child.stderr.on('data', (part: Buffer) => complaint.push(part));
    child
      .on('error', ({ message }) => done({ text: null, complaint: message }))
      .on('close', (status) =>
        done({
          text: status === 0 ? Buffer.concat(text).toString() : null,
          complaint: Buffer.concat(complaint).toString().split('\n')[0]!.slice(0, 300),
        }),
      );
  });
}
