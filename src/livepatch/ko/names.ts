import { diagnostic, type Diagnostic } from '../../diagnostics';
import type { LivepatchObject } from '../object';

/** MODULE_NAME_LEN and KSYM_NAME_LEN without their NULs. */
const MODULE_NAME = 55;
const SYMBOL_NAME = 511;

/** The run-time name of a module that is called `name`, as kbuild makes it; undefined where the kernel would not take it. */
export function runtimeModuleName(name: string): string | undefined {
  return /^[A-Za-z0-9_-]+$/.test(name) && name.length <= MODULE_NAME ? name.replaceAll('-', '_') : undefined;
}

/** A module name out of the base name of its file: what does not fit is replaced, what is too much cut. */
export function moduleNameOf(file: string): string {
  return file
    .replace(/\.ko$/, '')
    .replace(/[^A-Za-z0-9_-]/g, '_')
    .replaceAll('-', '_')
    .slice(0, MODULE_NAME);
}

/** Appends to `found` names that the livepatch core cannot parse: it reads `.klp.sym.%55[^.].%511[^,],%lu` and `.klp.rela.%55[^.]`. */
export function checkNames(objects: readonly LivepatchObject[], found: Diagnostic[]): void {
  for (const { name: object, funcs, klpRelas } of objects) {
    const check = (kind: 'object' | 'symbol', name: string): void => {
      const [most, not] = kind === 'object' ? [MODULE_NAME, '.'] : [SYMBOL_NAME, ','];
      if (
        name !== '' &&
        Buffer.byteLength(name) <= most &&
        !name.includes(not) &&
        (kind === 'symbol' || !/[/-]/.test(name))
      )
        return;
      found.push(
        diagnostic(
          'name-limit',
          `${object}: "${name}" is no name that the livepatch core reads as ${kind === 'object' ? 'a module' : 'a symbol'}: at most ${most} characters, none of them "${not}"`,
          { object, symbol: name },
        ),
      );
    };
    check('object', object);
    for (const { oldName } of funcs) check('symbol', oldName);
    for (const target of new Set(klpRelas.map((rela) => rela.target))) {
      check('object', target.module);
      check('symbol', target.name);
    }
  }
}
