import type { ProgressEvent } from '../index';

export type ProgressMode = 'auto' | 'tree' | 'lines' | 'json' | 'none';

/** Something that shows progress on stderr. */
export interface ProgressView {
  show(event: ProgressEvent): void;
  /** Says something in between. */
  note(text: string): void;
  /** Leaves the terminal as it should be; call before any result is printed. */
  end(): void;
}

/** A terminal shows bars that stay in place, a log gets lines, a wrapper JSON, one object a line. */
export function progressView(mode: ProgressMode, stream: NodeJS.WriteStream): ProgressView {
  const note = (text: string): void => void stream.write(`${text}\n`);
  switch (mode) {
    case 'none':
      return { show: () => undefined, note, end: () => undefined };
    case 'json':
      return {
        show: (event) => void stream.write(`${JSON.stringify(event)}\n`),
        note: (text) => void stream.write(`${JSON.stringify({ note: text })}\n`),
        end: () => undefined,
      };
    case 'tree':
      return tree(stream);
    case 'lines':
      return { show: lines(stream), note, end: () => undefined };
    case 'auto':
      return progressView(stream.isTTY && process.env['TERM'] !== 'dumb' ? 'tree' : 'lines', stream);
  }
}

/** One line when a stage of an object is done. */
function lines(stream: NodeJS.WriteStream): ProgressView['show'] {
  const seen = new Map<string, { reused: number; misses: Set<string> }>();
  return ({ stage, object, done, total, reused, miss, at }) => {
    const key = `${stage}:${object}`;
    const counts = seen.get(key) ?? { reused: 0, misses: new Set() };
    seen.set(key, counts);
    if (reused) counts.reused++;
    if (miss !== null && miss !== 'absent') counts.misses.add(miss);
    if (done < total) return;
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
}

const BAR = 24;

/** A line an object and stage, redrawn at most ten times a second. */
function tree(stream: NodeJS.WriteStream): ProgressView {
  const rows = new Map<string, ProgressEvent>();
  let drawn = 0;
  let last = -1;
  const erase = (): string => (drawn > 0 ? `\x1b[${drawn}A\x1b[J` : '');
  const draw = (): void => {
    const width = stream.columns || 80;
    let text = erase();
    for (const { stage, object, done, total, reused } of rows.values()) {
      const full = Math.round((done / total) * BAR);
      const head = `${stage.padEnd(10)} ${'█'.repeat(full)}${'░'.repeat(BAR - full)} ${done}/${total}${reused ? ' reused' : ''} `;
      text += `${head.slice(0, width - 1)}${tail(object ?? '', width - 1 - head.length)}\n`;
    }
    drawn = rows.size;
    stream.write(text);
  };
  const end = (): void => {
    stream.write(erase());
    drawn = 0;
    rows.clear();
  };
  return {
    show(event) {
      rows.set(`${event.stage}:${event.object}`, event);
      if (event.at - last < 0.1) return;
      last = event.at;
      draw();
    },
    note(text) {
      end();
      stream.write(`${text}\n`);
    },
    end,
  };
}

/** The end of a path, which is what tells two builds' objects apart. */
function tail(path: string, width: number): string {
  if (path.length <= width) return path;
  return width < 2 ? '' : `…${path.slice(1 - width)}`;
}
