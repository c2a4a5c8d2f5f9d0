import type { ProgressEvent } from '../index';

export type ProgressMode = 'auto' | 'tree' | 'lines' | 'json' | 'none';

/** Something that shows progress on stderr. */
export interface ProgressView {
  show(event: ProgressEvent): void;
  /** Says something in between. */
  note(text: string): void;
  /** Says something after Ctrl-C, which a terminal shows as `^C` where the cursor is. */
  interrupted(text: string): void;
  /** Leaves the terminal as it should be; call before any result is printed. */
  end(): void;
}

/** Seconds since the process began. */
const now = (): number => performance.now() / 1000;

/** A terminal shows bars that stay in place, a log gets lines, a wrapper JSON, one object a line. */
export function progressView(mode: ProgressMode, stream: NodeJS.WriteStream, workers: number): ProgressView {
  const note = (text: string): void => void stream.write(`${text}\n`);
  const interrupted = (text: string): void => note(stream.isTTY ? `\n${text}` : text);
  switch (mode) {
    case 'none':
      return { show: () => undefined, note, interrupted, end: () => undefined };
    case 'json': {
      const said = (text: string): void => void stream.write(`${JSON.stringify({ note: text })}\n`);
      return {
        show: (event) => void stream.write(`${JSON.stringify(event)}\n`),
        note: said,
        interrupted: said,
        end: () => undefined,
      };
    }
    case 'tree':
      return tree(stream, workers);
    case 'lines':
      return { ...lines(stream), interrupted };
    case 'auto':
      return progressView(stream.isTTY && process.env['TERM'] !== 'dumb' ? 'tree' : 'lines', stream, workers);
  }
}

/** A log that has been silent for so long gets a line that says where the run is. */
const HEARTBEAT_MS = 10_000;

/** One line when a stage of an object is done, and where that takes long one that says how far it is. */
function lines(stream: NodeJS.WriteStream): Pick<ProgressView, 'show' | 'note' | 'end'> {
  const seen = new Map<string, { reused: number; misses: Set<string> }>();
  let last: string | undefined;
  const beat = setInterval(() => {
    if (last !== undefined) stream.write(`[${now().toFixed(2).padStart(6)} s] still at work: ${last}\n`);
  }, HEARTBEAT_MS).unref();
  const show = (event: ProgressEvent): void => {
    const { stage, object, done, total, reused, miss, at } = event;
    last = `${stage}${object === null ? '' : ` ${object}`} ${done}/${total}`;
    const key = `${stage}:${object}`;
    const counts = seen.get(key) ?? { reused: 0, misses: new Set() };
    seen.set(key, counts);
    if (reused) counts.reused++;
    if (miss !== null && miss !== 'absent') counts.misses.add(miss);
    if (done < total) return;
    beat.refresh();
    const parts = [
      `[${at.toFixed(2).padStart(6)} s] ${stage}`,
      ...(object === null ? [] : [object]),
      ...(total > 1 ? [`${done}/${total}`] : []),
    ].join(' ');
    const reuse = counts.reused === 0 ? '' : counts.reused >= total ? ', reused' : `, ${counts.reused} reused`;
    stream.write(
      `${parts}${reuse}${counts.misses.size === 0 ? '' : `, not reused: ${[...counts.misses].join(', ')}`}\n`,
    );
  };
  // A build's make takes minutes and has no stages.
  const note = (text: string): void => {
    stream.write(`${text}\n`);
    last = text.replace(/^\[ *[\d.]+ s\] /, '');
    beat.refresh();
  };
  return { show, note, end: () => clearInterval(beat) };
}

const BAR = 24;

/** A row of a terminal: the last that was told of a stage of an object, and when the first was. */
interface BarRow {
  event: ProgressEvent;
  since: number;
  /** What was done by then. */
  from: number;
}

/** A line an object and stage and one for the run, redrawn at most ten times a second and at least twice: a clock that stands still looks like a program that does. */
function tree(stream: NodeJS.WriteStream, workers: number): ProgressView {
  const rows = new Map<string, BarRow>();
  let drawn = 0;
  let last = -1;
  // To the first column: `^C` of a terminal stands there.
  const erase = (): string => (drawn > 0 ? `\r\x1b[${drawn}A\x1b[J` : '');
  const draw = (): void => {
    if (rows.size === 0) return;
    const width = stream.columns || 80;
    last = now();
    let text = erase();
    for (const row of rows.values()) {
      const { stage, object, done, total, reused } = row.event;
      const full = Math.round((done / total) * BAR);
      const head = `${stage.padEnd(10)} ${'█'.repeat(full)}${'░'.repeat(BAR - full)} ${done}/${total}${reused ? ' reused' : ''}${pace(row)} `;
      text += `${head.slice(0, width - 1)}${tail(object ?? '', width - 1 - head.length)}\n`;
    }
    const foot = `${last.toFixed(1)} s, ${workers} ${workers === 1 ? 'worker' : 'workers'}`;
    drawn = rows.size + 1;
    stream.write(`${text}${foot.slice(0, width - 1)}\n`);
  };
  const clock = setInterval(draw, 500).unref();
  const clear = (): void => {
    stream.write(erase());
    drawn = 0;
    rows.clear();
  };
  const note = (text: string): void => {
    clear();
    stream.write(`${text}\n`);
  };
  return {
    show(event) {
      const key = `${event.stage}:${event.object}`;
      const { since, from } = rows.get(key) ?? { since: event.at, from: event.done };
      rows.set(key, { event, since, from });
      if (event.at - last >= 0.1) draw();
    },
    note,
    interrupted: note,
    end: () => {
      clearInterval(clock);
      clear();
    },
  };
}

/** How fast a row goes, and how long it will take, where it goes on for more than a second. */
function pace({ event: { done, total, at }, since, from }: BarRow): string {
  const seconds = at - since;
  if (seconds < 1 || done === from || done === total) return '';
  const rate = (done - from) / seconds;
  return `  ${rate.toFixed(rate < 10 ? 1 : 0)}/s, ${Math.ceil((total - done) / rate)} s left`;
}

/** The end of a path, which is what tells two builds' objects apart. */
function tail(path: string, width: number): string {
  if (path.length <= width) return path;
  return width < 2 ? '' : `…${path.slice(1 - width)}`;
}
