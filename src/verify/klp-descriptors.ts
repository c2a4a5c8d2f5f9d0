import type { Context } from './context';
import { checkOld, noteReplacement, type PatchedFunction, type PatchedObject } from './klp-func';
import { functionAt, pointerAt, stringAt } from './klp-structs';
import type { Spot } from './module';
import type { ModuleSection } from './module';

/** What klp-build's start-up code makes klp_patch of, when the module is loaded (Linux 6.19 and later). */
export const DESCRIPTORS = '.init.klp_objects';

/** Public members by offset: name, funcs, four callbacks, the number of funcs. */
const OBJECT = { size: 64, name: 0, funcs: 8, callbacks: 16, count: 56 };
const FUNC = { size: 24, oldName: 0, newFunc: 8, position: 16 };

/** The descriptors of a module that klp-build made. @returns what it patches */
export function checkDescriptors(context: Context, section: ModuleSection): PatchedObject[] {
  const { findings } = context;
  const found: PatchedObject[] = [];
  if (section.size === 0 || section.size % OBJECT.size !== 0)
    findings.add('verify-klp-struct', { section }, `${section.size} bytes are not whole descriptors of ${OBJECT.size}`);
  for (let offset = 0; offset + OBJECT.size <= section.bytes.length; offset += OBJECT.size) {
    const pointer = pointerAt(context, { section, offset: offset + OBJECT.name });
    const name = pointer === null ? 'vmlinux' : (stringAt(pointer) ?? '');
    for (let at = OBJECT.callbacks; at < OBJECT.callbacks + 32; at += 8) {
      const callback = pointerAt(context, { section, offset: offset + at });
      if (callback !== null && functionAt(context, callback) === undefined)
        findings.add(
          'verify-klp-struct',
          { section, offset: offset + at },
          'a callback is not a function of this module',
        );
    }
    const count = Buffer.from(section.bytes).readUInt32LE(offset + OBJECT.count);
    const funcs = pointerAt(context, { section, offset: offset + OBJECT.funcs });
    if (funcs?.in !== 'module' || funcs.offset < 0 || funcs.offset + count * FUNC.size > funcs.section.bytes.length) {
      if (count > 0)
        findings.add(
          'verify-klp-struct',
          { section, offset: offset + OBJECT.funcs },
          `${count} functions are not in this module`,
        );
      continue;
    }
    const functions: PatchedFunction[] = [];
    for (let i = 0; i < count; i++)
      functions.push(checkFunc(context, name, { section: funcs.section, offset: funcs.offset + i * FUNC.size }));
    found.push({ name, functions });
  }
  return found;
}

function checkFunc(context: Context, object: string, { section, offset }: Spot): PatchedFunction {
  const pointer = pointerAt(context, { section, offset: offset + FUNC.oldName });
  const name = pointer === null ? undefined : stringAt(pointer);
  const sympos = Buffer.from(section.bytes).readUInt32LE(offset + FUNC.position);
  const replacement = functionAt(context, pointerAt(context, { section, offset: offset + FUNC.newFunc }));
  context.replacementPointers.add(`${section.index}:${offset + FUNC.newFunc}`);
  if (replacement === undefined)
    context.findings.add(
      'verify-klp-func',
      { section, offset: offset + FUNC.newFunc },
      `the replacement of ${name ?? '?'} is not the start of a sized function of this module`,
    );
  if (name === undefined || name === '')
    context.findings.add('verify-klp-struct', { section, offset }, 'old_name points at no name');
  else {
    noteReplacement(context, replacement, { object, name, sympos, place: { section, offset } });
    checkOld(context, object, name, sympos, { section, offset });
  }
  return { name: name ?? '', sympos, replacement: replacement?.name ?? null };
}
