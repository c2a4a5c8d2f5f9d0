import type { LivepatchObject } from '../../livepatch/object';
import type { KlpSymbolReport } from './types';

/** What a livepatch will look up in the running kernel, each once: the functions it replaces and the targets of its klp relocations. */
export function klpSymbolsOf(output: LivepatchObject): KlpSymbolReport[] {
  const seen = new Map<string, KlpSymbolReport>();
  const add = (name: string, object: string, sympos: number, evidence: string): void => {
    seen.set(`${object}.${name},${sympos}`, { name, object, sympos, evidence });
  };
  for (const { oldName, sympos, evidence } of output.funcs) add(oldName, output.name, sympos, evidence);
  for (const { target } of output.klpRelas) add(target.name, target.module, target.sympos, target.evidence);
  return [...seen.values()].sort((a, b) =>
    a.object < b.object
      ? -1
      : a.object > b.object
        ? 1
        : a.name < b.name
          ? -1
          : a.name > b.name
            ? 1
            : a.sympos - b.sympos,
  );
}
