/** Logs of programs that a build runs: each line that begins with `$` a command, all that it says, and behind it how it ended. */
import { readFileSync } from 'node:fs';

export const STARTED = '$ ';
const ENDED = '= ';

/** How a program ended, as the last line of its log. */
export function endLine(status: number | null, milliseconds: number): string {
  const how = status === null ? 'ended by a signal' : `exit code ${status}`;
  return `${ENDED}${how} after ${(milliseconds / 1000).toFixed(2)} s\n`;
}

export interface LogEnd {
  /** Null: by a signal. */
  status: number | null;
  seconds: number;
}

/** How the last program ended that a log tells of; undefined where it did not: it works, or was killed with klpflow. */
export function endOf(log: string): LogEnd | undefined {
  let text: string;
  try {
    text = readFileSync(log, 'latin1');
  } catch {
    return undefined;
  }
  const last = text.trimEnd().split('\n').at(-1) ?? '';
  const [, code, seconds] = /^= (?:exit code (\d+)|ended by a signal) after ([\d.]+) s$/.exec(last) ?? [];
  if (seconds === undefined) return undefined;
  return { status: code === undefined ? null : Number(code), seconds: Number(seconds) };
}

/** What every make above the one that failed adds, and a make that lets others finish. */
const ABOUT_OTHERS =
  /^make(?:\[\d+\])?: (?:\*\*\* (?:\[.*\] Error \d+|Waiting for unfinished jobs\.+)$|(?:Entering|Leaving) directory )/;

/** The last lines of what a program said that tell why it failed. */
export function lastLines(said: string, count: number): string[] {
  const lines = said.trimEnd().split('\n');
  const telling = lines.filter((line) => !ABOUT_OTHERS.test(line));
  return (telling.every((line) => line.trim() === '') ? lines : telling).slice(-count);
}
