/** What a person sees while a run goes on: a clock that moves, how fast and how long still, a log that does not fall silent, and a terminal left as it was. */
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import type { ProgressEvent } from '../../src/index';
import { painted, showsColour } from '../../src/report/paint';
import { progressView, type ProgressMode } from '../../src/report/progress';

const event = (done: number, total: number, at: number): ProgressEvent => ({
  ...{ stage: 'digest', object: 'orig.o', done, total, reused: false, miss: null, at },
});

/** A view on a stream that remembers, at a time that tests set. */
function view(mode: ProgressMode, isTTY: boolean) {
  const written: string[] = [];
  const stream = {
    isTTY,
    columns: 100,
    write: (text: string) => written.push(text) > 0,
  } as unknown as NodeJS.WriteStream;
  return { view: progressView(mode, stream, 2), written };
}

beforeEach(() => {
  vi.useFakeTimers({ toFake: ['setInterval', 'clearInterval', 'performance'] });
});
afterEach(() => {
  vi.useRealTimers();
});

describe('on a terminal', () => {
  test('elapsed time, workers, rate and time left; the clock moves though nothing is told', () => {
    const { view: shown, written } = view('tree', true);
    shown.show(event(10, 100, 1));
    shown.show(event(30, 100, 3));
    expect(written.at(-1)).toMatch(/30\/100 {2}10\/s, 7 s left +orig\.o\n\d+\.\d s, 2 workers\n$/);
    const before = written.length;
    vi.advanceTimersByTime(2000);
    expect(written.length).toBeGreaterThanOrEqual(before + 3);
    shown.end();
    expect(written.at(-1)).toBe('\r\x1b[2A\x1b[J');
    vi.advanceTimersByTime(5000);
    expect(written.at(-1)).toBe('\r\x1b[2A\x1b[J');
  });

  test('what is said after ^C begins in the first column, without bars and with', () => {
    const { view: bars, written } = view('tree', true);
    bars.show(event(1, 2, 1));
    bars.interrupted('interrupted');
    expect(written.slice(-2)).toEqual(['\r\x1b[2A\x1b[J', 'interrupted\n']);
    bars.end();
    const plain = view('none', true);
    plain.view.interrupted('interrupted');
    expect(plain.written).toEqual(['\ninterrupted\n']);
  });
});

test('a log gets a line every ten seconds in which nothing is done, and none after the end', () => {
  const { view: log, written } = view('lines', false);
  log.show(event(1, 50, 1));
  expect(written).toEqual([]);
  vi.advanceTimersByTime(25_000);
  expect(written.map((line) => line.replace(/^\[.*\] /, ''))).toEqual([
    'still at work: digest orig.o 1/50\n',
    'still at work: digest orig.o 1/50\n',
  ]);
  // What a build says that it does is then what goes on.
  log.note('[  3.14 s] building vmlinux.o as shipped');
  vi.advanceTimersByTime(10_000);
  expect(written.slice(2).map((line) => line.replace(/^\[.*\] /, ''))).toEqual([
    'building vmlinux.o as shipped\n',
    'still at work: building vmlinux.o as shipped\n',
  ]);
  log.end();
  vi.advanceTimersByTime(60_000);
  expect(written).toHaveLength(4);
  log.interrupted('interrupted');
  expect(written.at(-1)).toBe('interrupted\n');
});

test('colour is for terminals that want it, and changes no text', () => {
  expect(showsColour({ isTTY: true }, {})).toBe(true);
  expect(showsColour({ isTTY: false }, {})).toBe(false);
  expect(showsColour({ isTTY: true }, { NO_COLOR: '1' })).toBe(false);
  expect(showsColour({ isTTY: true }, { TERM: 'dumb' })).toBe(false);
  const text = 'REFUSED  vmlinux: functions 1 changed\n\n      + call f\n      - call g\n  f  (code)\n';
  expect(painted(text)).toBe(
    '\x1b[31mREFUSED\x1b[0m  vmlinux: functions 1 changed\n\n\x1b[32m      + call f\x1b[0m\n\x1b[31m      - call g\x1b[0m\n  f  (code)\n',
  );
});
