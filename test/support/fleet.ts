/** A fleet of tiny synthetic kernels with as many patches, and workers for it. */
import { spawn, type ChildProcess } from 'node:child_process';
import { mkdirSync, readFileSync, readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { writePair } from '../../src/synth';
import type { MatrixResult } from '../../src/index';
import { MAIN } from './run-klpflow';

/** Patches take turns: one that is patched, one that is refused, one that changes nothing. */
const KINDS = ['patched', 'refused', 'orig'] as const;
export const VERDICTS = ['patchable', 'refused', 'unchanged'] as const;

/** Writes objects and `fleet.yaml`. */
export async function writeFleet(folder: string, kernels: number, patches: number): Promise<void> {
  const lines = ['kernels:'];
  for (let k = 0; k < kernels; k++) {
    const name = `k${k}`;
    mkdirSync(join(folder, name), { recursive: true });
    const at = (file: string): string => join(folder, name, `${file}.o`);
    await writePair({ functions: 30, seed: k + 1, changes: { data: 1 } }, at('orig'), at('refused'));
    await writePair({ functions: 30, seed: k + 1, changes: { immediates: 2 } }, at('orig'), at('patched'));
    lines.push(`  - { name: ${name}, orig: ${name}/orig.o }`);
  }
  lines.push('patches:');
  for (let p = 0; p < patches; p++) lines.push(`  - { name: p${p}, patched: "{kernel}/${KINDS[p % KINDS.length]}.o" }`);
  writeFileSync(join(folder, 'fleet.yaml'), `${lines.join('\n')}\n`);
}

/** What must be the same however a matrix was done. */
export function lasting(result: MatrixResult): string {
  return JSON.stringify({ ...result, run: undefined });
}

/** Files of cells, by name. */
export function cellFiles(out: string): Map<string, string> {
  const names = readdirSync(out, { recursive: true, encoding: 'utf8' }).filter((name) => /\/livepatch-/.test(name));
  return new Map(names.sort().map((name) => [name, readFileSync(join(out, name), 'latin1')]));
}

export interface LogLine {
  event?: string;
  job?: string;
  code?: string;
  verdict?: string;
}

/** A worker as its own process. */
export class TestWorker {
  readonly lines: LogLine[] = [];
  readonly ended: Promise<number | null>;
  private readonly child: ChildProcess;
  private text = '';
  private readonly waiting = new Set<() => void>();

  constructor(folder: string, argv: readonly string[], under: readonly string[] = []) {
    const [program, ...rest] = [...under, process.execPath, MAIN, 'worker', '--workers', '1', ...argv] as [
      string,
      ...string[],
    ];
    this.child = spawn(program, rest, { cwd: folder, stdio: ['ignore', 'ignore', 'pipe'] });
    this.child.stderr!.setEncoding('utf8').on('data', (text: string) => {
      this.text += text;
      const lines = this.text.split('\n');
      this.text = lines.pop()!;
      for (const line of lines) this.lines.push(JSON.parse(line) as LogLine);
      for (const look of this.waiting) look();
    });
    this.ended = new Promise((resolve) => this.child.on('close', (status) => resolve(status)));
  }

  /** Waits for a log line. @throws where the worker ends without it */
  async said(test: (line: LogLine) => boolean, from = 0): Promise<LogLine> {
    for (;;) {
      const found = this.lines.slice(from).find(test);
      if (found !== undefined) return found;
      let look = (): void => undefined;
      const heard = new Promise<'heard'>((resolve) => (look = () => resolve('heard')));
      this.waiting.add(look);
      const next = await Promise.race([heard, this.ended]);
      this.waiting.delete(look);
      if (next !== 'heard' && !this.lines.slice(from).some(test))
        throw new Error(`the worker ended with ${next}: ${JSON.stringify(this.lines.slice(-5))}`);
    }
  }

  signal(signal: NodeJS.Signals): void {
    this.child.kill(signal);
  }

  async end(signal: NodeJS.Signals = 'SIGTERM'): Promise<number | null> {
    this.child.kill('SIGCONT');
    this.child.kill(signal);
    return this.ended;
  }
}
