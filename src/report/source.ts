import type { Explanation } from '../index';

type Cell = NonNullable<Explanation['rows'][number]['orig']>;

/** The source line of an instruction, from the innermost function out: `show_val_kb proc/meminfo.c:31 < meminfo_proc_show proc/meminfo.c:62`. */
export function sourceWords({ source = [] }: Cell): string {
  const words = source.map(({ function: name, file, line }) => `${name} ${short(file)}:${line}`);
  return words.length === 1 ? words[0]!.slice(words[0]!.indexOf(' ') + 1) : words.join(' < ');
}

/** Builds name files from their root on; the folder and the name tell a reader which it is. */
function short(file: string): string {
  return file.split('/').slice(-2).join('/');
}
