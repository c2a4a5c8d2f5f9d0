import type { Context } from './context';
import { checkOld, noteReplacement, type PatchedFunction, type PatchedObject } from './klp-func';
import { functionAt, pointerAt, stringAt } from './klp-structs';
import type { Spot } from './module';
import type { ModuleSection } from './module';

/** What the hook code of kpatch-build makes klp_patch of, when the module is loaded: records of struct kpatch_patch_func. */
export const KPATCH_FUNCS = '.kpatch.funcs';

const FUNC = { size: 56, newAddress: 0, position: 32, oldName: 40, object: 48 };
const CALLBACK = { size: 16, function: 0, object: 8 };
const KINDS = ['pre_patch', 'post_patch', 'pre_unpatch', 'post_unpatch'] as const;
/** What create-klp-module turns into klp relocations and takes out. */
const UNFINISHED = ['.kpatch.relocations', '.kpatch.symbols', '.kpatch.arch'];

/** The records of a module that kpatch-build linked. @returns what it patches */
export function checkKpatchFuncs(context: Context, section: ModuleSection): PatchedObject[] {
  const { findings, module } = context;
  for (const name of UNFINISHED) {
    const left = module.section(name);
    if (left !== undefined)
      findings.add(
        'verify-klp-section',
        { section: left },
        'create-klp-module has not turned it into klp relocations yet: the places in it are never filled in',
      );
  }
  const found: PatchedObject[] = [];
  if (section.bytes.length === 0 || section.bytes.length % FUNC.size !== 0)
    findings.add(
      'verify-klp-struct',
      { section },
      `${section.bytes.length} bytes are not whole records of ${FUNC.size}`,
    );
  checkBounds(context, section, '__kpatch_funcs', section.size);
  for (let offset = 0; offset + FUNC.size <= section.bytes.length; offset += FUNC.size) {
    const name = objectAt(context, { section, offset: offset + FUNC.object });
    let object = found.find((other) => other.name === name);
    if (object === undefined) found.push((object = { name, functions: [] }));
    const func = checkRecord(context, name, { section, offset });
    if (object.functions.some((other) => other.name === func.name && (other.sympos || 1) === (func.sympos || 1)))
      findings.add('verify-klp-func', { section, offset }, `${func.name}, position ${func.sympos}, is there twice`);
    object.functions.push(func);
  }
  for (const kind of KINDS) checkCallbacks(context, kind);
  return found;
}

function checkRecord(context: Context, object: string, { section, offset }: Spot): PatchedFunction {
  const { findings, module } = context;
  const pointer = pointerAt(context, { section, offset: offset + FUNC.oldName });
  const name = (pointer === null ? undefined : stringAt(pointer)) ?? '';
  context.replacementPointers.add(`${section.index}:${offset + FUNC.newAddress}`);
  const replacement = functionAt(context, pointerAt(context, { section, offset: offset + FUNC.newAddress }));
  if (replacement === undefined)
    findings.add(
      'verify-klp-func',
      { section, offset: offset + FUNC.newAddress },
      `the replacement of ${name || '?'} is not the start of a sized function of this module, whose size the kernel looks up`,
    );
  const bytes = Buffer.from(section.bytes.buffer, section.bytes.byteOffset + offset, FUNC.size);
  const sympos = bytes.readUInt32LE(FUNC.position);
  if (bytes.readUInt32LE(FUNC.position + 4) !== 0 || module.relaAt(section, offset + FUNC.position) !== undefined)
    findings.add('verify-klp-struct', { section, offset: offset + FUNC.position }, 'sympos is no position');
  if (name === '' || name.length >= 512)
    findings.add('verify-klp-struct', { section, offset: offset + FUNC.oldName }, 'the record names no function');
  else {
    noteReplacement(context, replacement, { object, name, sympos, place: { section, offset } });
    checkOld(context, object, name, sympos, { section, offset });
  }
  return { name, sympos, replacement: replacement?.name ?? null };
}

/** The name of the patched object that a record refers to. */
function objectAt(context: Context, place: Spot): string {
  const pointer = pointerAt(context, place);
  const name = pointer === null ? undefined : stringAt(pointer);
  if (name === undefined || !/^[^.]{1,55}$/.test(name))
    context.findings.add(
      'verify-klp-struct',
      place,
      `the patched object is ${name === undefined ? 'not named' : `"${name}"`}: vmlinux or a module's run-time name is meant`,
    );
  return name ?? '';
}

/** Records that KPATCH_PRE_PATCH_CALLBACK and its kin leave; the linker script puts a word of zeros behind them. */
function checkCallbacks(context: Context, kind: (typeof KINDS)[number]): void {
  const { findings, module } = context;
  const section = module.section(`.kpatch.callbacks.${kind}`);
  if (section === undefined) return;
  const size = section.bytes.length - (section.bytes.length % CALLBACK.size);
  checkBounds(context, section, `__kpatch_callbacks_${kind}`, size);
  const objects = new Set<string>();
  for (let offset = 0; offset < size; offset += CALLBACK.size) {
    if (functionAt(context, pointerAt(context, { section, offset: offset + CALLBACK.function })) === undefined)
      findings.add('verify-klp-struct', { section, offset }, 'a callback is not a function of this module');
    const object = objectAt(context, { section, offset: offset + CALLBACK.object });
    if (objects.has(object))
      findings.add(
        'verify-klp-struct',
        { section, offset },
        `two ${kind} callbacks of ${object}: the hook takes one of each kind`,
      );
    objects.add(object);
  }
}

/** The hook walks from one symbol to the other. */
function checkBounds({ findings, module }: Context, section: ModuleSection, start: string, size: number): void {
  for (const [name, at] of [
    [start, 0],
    [`${start}_end`, size],
  ] as const) {
    const symbol = module.symbol(name);
    if (symbol === undefined || symbol.section !== section.index || symbol.value !== at)
      findings.add(
        'verify-klp-struct',
        { section },
        `${name}, to which the hook walks, is ${symbol === undefined ? 'not defined' : `not at ${at === 0 ? 'its start' : `byte ${at} of it`}`}`,
      );
  }
}
