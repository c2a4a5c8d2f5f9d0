import type { ProgressEvent } from '../index';

export type ProgressMode = 'auto' | 'tree' | 'lines' | 'json' | 'none';

/** Something that shows progress on stderr. */
export interface ProgressView {
  show(event: ProgressEvent): void;
  /** Leaves the terminal as it should be; call before any result is printed. */
  end(): void;
}

const SILENT: ProgressView = { show: () => undefined, end: () => undefined };

/** A terminal shows a bar that stays in place, a log gets lines, a wrapper JSON, one object a line. */
export function progressView(mode: ProgressMode, stream: NodeJS.WriteStream): ProgressView {
  const chosen = mode === 'auto' ? (stream.isTTY ? 'tree' : 'lines') : mode;
  if (chosen === 'none') return SILENT;
  if (chosen === 'json') return { show: (event) => void stream.write(`${JSON.stringify(event)}\n`), end: () => undefined };
  return chosen === 'tree' ? tree(stream) : lines(stream);
}

/** One line when a stage of an object is done. */
function lines(stream: NodeJS.WriteStream): ProgressView {
  return {
    show({ stage, object, done, total, reused, miss, at }) {
      if (done < total) return;
      const why = reused ? ', reused' : miss === null || miss === 'absent' ? '' : `, not reused: ${miss}`;
      stream.write(`[${at.toFixed(2).padStart(6)} s] ${stage}${object === null ? '' : ` ${object}`}${total > 1 ? ` ${done}/${total}` : ''}${why}\n`);
    },
    end: () => undefined,
  };
}

const BAR = 24;

/** A line an object and stage, redrawn at most ten times a second. */
function tree(stream: NodeJS.WriteStream): ProgressView {
  const rows = new Map<string, ProgressEvent>();
  let drawn = 0;
  let last = -1;
  const draw = (): void => {
    const width = stream.columns || 80;
    let text = drawn > 0 ? `\x1b[${drawn}A\x1b[J` : '';
    for (const { stage, object, done, total, reused } of rows.values()) {
      const full = Math.round((done / total) * BAR);
      const line = `${stage.padEnd(10)} ${'█'.repeat(full)}${'░'.repeat(BAR - full)} ${done}/${total}${reused ? ' reused' : ''} ${object ?? ''}`;
      text += `${line.length > width ? line.slice(0, width - 1) : line}\n`;
    }
    drawn = rows.size;
    stream.write(text);
  };
  return {
    show(event) {
      rows.set(`${event.stage}:${event.object}`, event);
      if (event.at - last < 0.1) return;
      last = event.at;
      draw();
    },
    end() {
      if (drawn > 0) stream.write(`\x1b[${drawn}A\x1b[J`);
      drawn = 0;
      rows.clear();
    },
  };
}
