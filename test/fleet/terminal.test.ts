/**
 * `klpflow matrix` on a terminal, which is a real one (script of util-linux makes it). Guarded against: a table that scrolls away, is longer than the screen, or is left between the
 * lines of the result; and escape sequences in a log.
 */
import { spawnSync } from 'node:child_process';
import { beforeAll, describe, expect, test } from 'vitest';
import { writeFleet } from '../support/fleet';
import { MAIN } from '../support/run-klpflow';
import { tempFolder } from '../support/temp-folder';

const folder = tempFolder();
const reason = spawnSync('script', ['--version']).error === undefined ? undefined : 'there is no script (util-linux)';
const KERNELS = 4;

function onTerminal(size: { columns: number; rows: number }, env: Record<string, string> = { TERM: 'xterm' }): string {
  const command = `stty cols ${size.columns} rows ${size.rows}; "$0" "$1" matrix fleet.yaml --run-dir runs --fresh -o out --workers 1`;
  const { stdout, stderr } = spawnSync(
    'script',
    ['-qec', `bash -c '${command}' ${process.execPath} ${MAIN}`, '/dev/null'],
    {
      cwd: folder,
      encoding: 'utf8',
      stdio: ['ignore', 'pipe', 'pipe'],
      env: { ...process.env, ...env },
    },
  );
  expect(stderr).toBe('');
  return stdout.replaceAll('\r', '');
}

/** What each redraw leaves on the screen; what comes after the last one. */
function framesOf(shown: string): { frames: string[]; rest: string } {
  const parts = shown.split(/\x1b\[\d+A\x1b\[J/);
  const ups = [...shown.matchAll(/\x1b\[(\d+)A\x1b\[J/g)].map(([, lines]) => Number(lines));
  const frames = parts.slice(0, -1).map((text) => text.slice(text.indexOf(`/${KERNELS * 3} cells;`)));
  // Each goes up over all that was drawn and no further.
  parts.slice(0, -1).forEach((text, i) => {
    const drawn = text.slice(text.lastIndexOf('\n', text.indexOf(`/${KERNELS * 3} cells;`)) + 1);
    expect(ups[i], JSON.stringify(text)).toBe(drawn.split('\n').length - 1);
  });
  return { frames, rest: parts.at(-1)! };
}

describe.skipIf(reason !== undefined)(reason ?? 'on a terminal', () => {
  beforeAll(() => writeFleet(folder, KERNELS, 3));

  test('a table stays in place, and is gone when the result comes', () => {
    const { frames, rest } = framesOf(onTerminal({ columns: 100, rows: 24 }));
    expect(frames.length).toBeGreaterThan(2);
    for (const frame of frames) {
      const lines = frame.trimEnd().split('\n').slice(1);
      expect(lines.map((line) => line.split(/ +/)[0])).toEqual(['k0', 'k1', 'k2', 'k3']);
      for (const line of lines) expect(line).toMatch(/^k\d +[+=RF*.]{3}$/);
    }
    // One cell at a time, and those before it are done.
    expect(frames.some((frame) => /^k0 +\+/m.test(frame) && frame.split('*').length - 2 === 1)).toBe(true);
    const [, verdict, after = ''] = /^(\x1b\[31mREFUSED\x1b\[0m)([^]*)$/.exec(rest) ?? [];
    expect(verdict, rest).toBeDefined();
    expect(after).toMatch(/^ {2}4 kernels, 3 patches: 4 patchable, 4 refused, 4 unchanged$/m);
    expect(after).not.toContain('\x1b');
  });

  test('a screen that is smaller than the table has what is under way', () => {
    const { frames } = framesOf(onTerminal({ columns: 40, rows: 5 }));
    for (const frame of frames) {
      const lines = frame.trimEnd().split('\n').slice(1);
      expect(lines.length).toBeLessThanOrEqual(2);
      for (const line of lines) expect(line.length).toBeLessThan(40);
    }
    expect(frames.some((frame) => /^k1 .*\*/m.test(frame))).toBe(true);
  });

  test('a terminal that can do nothing gets lines', () => {
    const shown = onTerminal({ columns: 100, rows: 24 }, { TERM: 'dumb' });
    expect(shown).not.toContain('\x1b');
    expect(shown).toMatch(/^\[ +\d+\.\d\d s\] \d+\/12 k\d p\d: PATCHABLE, \d+\.\d\d s$/m);
  });
});
