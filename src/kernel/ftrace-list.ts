import { KlpflowError } from '../diagnostics';

/**
 * The functions of one object that a running kernel can trace, from /sys/kernel/tracing/available_filter_functions: a name
 * a line, those of a module followed by `[module]`.
 * @throws KlpflowError `unusable-listing` for a text that is no such list
 */
export function traceableNames(text: string, objectName: string, path: string): Set<string> {
  const names = new Set<string>();
  const wanted = objectName === 'vmlinux' ? undefined : `[${objectName}]`;
  let number = 0;
  for (const line of text.split('\n')) {
    number++;
    if (line === '') continue;
    const [name = '', module, ...rest] = line.trim().split(/\s+/);
    if (rest.length > 0 || (module !== undefined && !/^\[.+\]$/.test(module)))
      throw new KlpflowError(
        'unusable-listing',
        `${path}: line ${number} is not a function's name, with its module in brackets`,
        { object: path },
      );
    if (module === wanted) names.add(name);
  }
  // Every kernel traces something; an empty list would have all changes carried to callers, and all of those refused.
  if (names.size === 0)
    throw new KlpflowError('unusable-listing', `${path} lists no function of ${objectName}`, { object: path });
  return names;
}
