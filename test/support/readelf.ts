import { execFileSync, spawnSync } from 'node:child_process';

/**
 * What binutils' readelf has to say against the file: its warnings and errors, one string, empty when there are none.
 * `-a` makes it decode headers, sections, groups, symbols, version tables, relocations, unwind tables and notes;
 * its time grows with the square of the number of sections where there are relocations (4 s for 70,000).
 */
export function readelfComplaints(path: string, options = '-aW'): string {
  const run = spawnSync('readelf', [options, path], { encoding: 'utf8', maxBuffer: 1 << 29 });
  if (run.error !== undefined) throw run.error;
  const printed = run.stdout
    .split('\n')
    .filter((line) => /\b(warning|error|corrupt|invalid)\b|<unknown|<no-strings>/i.test(line));
  return run.stderr + printed.join('\n');
}

/** Lines that `readelf ...options path` prints, trimmed, without empty ones. */
export function readelf(path: string, ...options: string[]): string[] {
  const text = execFileSync('readelf', [...options, path], { encoding: 'utf8', maxBuffer: 1 << 29 });
  return text
    .split('\n')
    .map((line) => line.trim())
    .filter((line) => line !== '');
}
