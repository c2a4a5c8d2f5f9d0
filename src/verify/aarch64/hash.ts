import type { Module, ModuleSection } from '../module';
import { isMapping, wordAt } from './words';

/** The hash of a function's type, a word right before it that a mapping symbol calls data. */
export function hashBefore(module: Module, section: ModuleSection, value: number): number | undefined {
  const marked = module.symbolsAt(section, value - 4).some(({ name }) => isMapping(name) && name.startsWith('$d'));
  return marked ? wordAt(section, value - 4) : undefined;
}
