import { SHF_ALLOC, SHF_WRITE } from '../elf';
import type { Context } from './context';
import { functionAt, isBlank, isBlankBut, layoutOf, pointerAt, stringAt, strideOf } from './klp-structs';
import type { Spot } from './module';
import { DESCRIPTORS, checkDescriptors } from './klp-descriptors';
import { checkOld, noteReplacement, type PatchedFunction, type PatchedObject } from './klp-func';
import { callbacksOf, readPatchFacts } from './klp-facts';
import { KPATCH_FUNCS, checkKpatchFuncs } from './kpatch-funcs';
import { nameOf, targetInCode } from './references';

export type { PatchedFunction, PatchedObject } from './klp-func';

/** More elements than any livepatch has: what is not ended ends here. */
const MOST = 65536;

/** Finds klp_patch through init_module and follows it. @returns what it patches */
export function checkKlpPatch(context: Context): PatchedObject[] {
  const { module, code, findings } = context;
  const init = module.symbol('init_module');
  const section = init && module.sectionOf(init);
  if (init === undefined || section === undefined || init.size === 0) {
    findings.add('verify-klp-struct', undefined, 'there is no sized function init_module');
    return [];
  }
  let calls = false;
  const candidates: Spot[] = [];
  for (const rela of module.relasIn(section, init.value, init.value + init.size)) {
    const instruction = code.covering(section, rela.offset);
    if (instruction === undefined) continue;
    const target = targetInCode(module, rela, instruction);
    if (nameOf(module, target) === 'klp_enable_patch') calls = true;
    if (target.in === 'module' && (target.section.flags & (SHF_ALLOC | SHF_WRITE)) === (SHF_ALLOC | SHF_WRITE))
      candidates.push({ section: target.section, offset: target.offset });
  }
  if (!calls)
    findings.add('verify-klp-struct', { section, offset: init.value }, 'init_module does not call klp_enable_patch');
  const descriptors = module.section(DESCRIPTORS);
  if (descriptors !== undefined) return checkDescriptors(context, descriptors);
  const records = module.section(KPATCH_FUNCS);
  if (records !== undefined) return checkKpatchFuncs(context, records);
  const patch =
    candidates.find((candidate) => isThisModule(context, moved(candidate, layoutOf(context).klp_patch.at.mod))) ??
    candidates[0];
  if (patch === undefined || !calls) {
    if (calls) findings.add('verify-klp-struct', { section, offset: init.value }, 'init_module refers to no klp_patch');
    return [];
  }
  return checkPatch(context, patch);
}

function isThisModule({ module }: Context, place: Spot): boolean {
  const target = pointerAt({ module }, place);
  return target !== null && nameOf(module, target) === '__this_module';
}

const moved = ({ section, offset }: Spot, by: number): Spot => ({ section, offset: offset + by });

function checkPatch(context: Context, patch: Spot): PatchedObject[] {
  const { findings, types } = context;
  const add = (message: string, by = 0): void => findings.add('verify-klp-struct', moved(patch, by), message);
  if (types === null)
    findings.add(
      'verify-not-checked',
      undefined,
      'the sizes of klp_patch, klp_object and klp_func: no --btf was given',
    );
  const { size, at } = layoutOf(context).klp_patch;
  if (!checkPlace(context, patch, size, 'klp_patch')) return [];
  if (!isThisModule(context, moved(patch, at.mod))) add('klp_patch.mod is not __this_module', at.mod);
  context.patch = readPatchFacts(context, patch);
  const objects = pointerAt(context, moved(patch, at.objs));
  if (pointerAt(context, moved(patch, at.states)) === null && !isBlank(context, moved(patch, at.states), 8))
    add('klp_patch.states is neither a pointer nor zero', at.states);
  if (patch.section.bytes[patch.offset + at.replace]! > 1) add('klp_patch.replace is neither 0 nor 1', at.replace);
  if (
    !isBlankBut(context, patch, size, [
      [at.mod, 8],
      [at.objs, 8],
      [at.states, 8],
      [at.replace, 1],
    ])
  )
    add('members of klp_patch are set that the kernel fills in');
  checkSymbol(context, patch, size, 'klp_patch');
  if (objects?.in !== 'module') {
    add('klp_patch.objs points at no array of this module', at.objs);
    return [];
  }
  return checkObjects(context, { section: objects.section, offset: objects.offset });
}

/** Structures that the kernel writes to while the module lives. */
function checkPlace({ findings }: Context, { section, offset }: Spot, size: number, what: string): boolean {
  if (offset < 0 || offset + size > section.bytes.length) {
    findings.add(
      'verify-klp-struct',
      { section, offset: Math.max(0, offset) },
      `${what} of ${size} bytes ends past the section's ${section.bytes.length}`,
    );
    return false;
  }
  if ((section.flags & SHF_WRITE) === 0 || /^\.(init|exit|rodata)/.test(section.name))
    findings.add(
      'verify-klp-struct',
      { section, offset },
      `${what} must be in writable data that stays: the kernel keeps its own members in it`,
    );
  if (offset % 8 !== 0 || section.align % 8 !== 0)
    findings.add('verify-klp-struct', { section, offset }, `${what} is not aligned to 8 bytes`);
  return true;
}

/** A symbol over the structure, where there is one, has its size. */
function checkSymbol({ module, findings }: Context, { section, offset }: Spot, size: number, what: string): void {
  const symbol = module.symbolsIn(section).find(({ value, size: bytes }) => value === offset && bytes > 0);
  if (symbol !== undefined && symbol.size !== size)
    findings.add(
      'verify-klp-struct',
      { section, offset },
      `${symbol.name} has ${symbol.size} bytes, ${what} has ${size}`,
    );
}

/** Elements of an array up to the first whose `external` members, of 8 bytes each, are zero; null where it is not ended within the section. */
function walk(context: Context, array: Spot, stride: number, what: string, external: readonly number[]): Spot[] | null {
  const { section } = array;
  const elements: Spot[] = [];
  for (let offset = array.offset; elements.length < MOST; offset += stride) {
    if (offset < 0 || offset + stride > section.bytes.length) break;
    if (external.every((at) => isBlank(context, { section, offset: offset + at }, 8))) {
      if (!isBlank(context, { section, offset }, stride))
        context.findings.add(
          'verify-klp-struct',
          { section, offset },
          `the terminator of the ${what} array is not all zero`,
        );
      checkSymbol(context, array, (elements.length + 1) * stride, `${elements.length} ${what} and the terminator`);
      return elements;
    }
    elements.push({ section, offset });
  }
  context.findings.add('verify-klp-struct', array, `the ${what} array is not ended by a zero element`);
  return null;
}

function checkObjects(context: Context, array: Spot): PatchedObject[] {
  const { findings } = context;
  const { size, at } = layoutOf(context).klp_object;
  const stride = strideOf(context, 'klp_object', array, at.funcs) ?? size;
  if (!checkPlace(context, array, stride, 'klp_object')) return [];
  const found: PatchedObject[] = [];
  for (const object of walk(context, array, stride, 'klp_object', [at.name, at.funcs]) ?? []) {
    const add = (message: string, member = 0): void =>
      findings.add('verify-klp-struct', moved(object, member), message);
    const pointer = pointerAt(context, moved(object, at.name));
    const name = pointer === null ? 'vmlinux' : stringAt(pointer);
    if (pointer === null && !isBlank(context, moved(object, at.name), 8))
      add('klp_object.name is neither a pointer nor zero (which means vmlinux)', at.name);
    if (name === undefined || !/^[^.]{1,55}$/.test(name) || (pointer !== null && name === 'vmlinux'))
      add(
        name === undefined
          ? 'klp_object.name points at no string'
          : `klp_object.name is "${name}": a module's run-time name is meant`,
        at.name,
      );
    if (found.some((other) => other.name === name)) add(`two klp_object are called ${name}`);
    for (let callback = at.callbacks; callback < at.callbacks + 32; callback += 8) {
      const target = pointerAt(context, moved(object, callback));
      if (target === null ? !isBlank(context, moved(object, callback), 8) : functionAt(context, target) === undefined)
        add('a callback is not a function of this module', callback);
    }
    if (
      !isBlankBut(context, object, stride, [
        [at.name, 8],
        [at.funcs, 8],
        [at.callbacks, 32],
      ])
    )
      add('members of klp_object are set that the kernel fills in');
    for (const callback of callbacksOf(context, object, name ?? '')) context.patch?.callbacks.push(callback);
    const funcs = pointerAt(context, moved(object, at.funcs));
    if (funcs?.in !== 'module') {
      add('klp_object.funcs points at no array of this module', at.funcs);
      continue;
    }
    found.push({
      name: name ?? '',
      functions: checkFuncs(context, name ?? '', { section: funcs.section, offset: funcs.offset }),
    });
  }
  if (found.length === 0) findings.add('verify-klp-struct', array, 'klp_patch has no objects');
  return found;
}

function checkFuncs(context: Context, object: string, array: Spot): PatchedFunction[] {
  const { findings, module } = context;
  const { size, at } = layoutOf(context).klp_func;
  const stride = strideOf(context, 'klp_func', array, at.new_func) ?? size;
  if (!checkPlace(context, array, stride, 'klp_func')) return [];
  const found: PatchedFunction[] = [];
  for (const func of walk(context, array, stride, 'klp_func', [at.old_name, at.new_func, at.old_sympos]) ?? []) {
    const { section, offset } = func;
    const pointer = pointerAt(context, moved(func, at.old_name));
    const name = pointer === null ? undefined : stringAt(pointer);
    context.replacementPointers.add(`${section.index}:${offset + at.new_func}`);
    const replacement = functionAt(context, pointerAt(context, moved(func, at.new_func)));
    const [sympos, high] = new Uint32Array(
      section.bytes.slice(offset + at.old_sympos, offset + at.old_sympos + 8).buffer,
    ) as unknown as [number, number];
    if (name === undefined || name === '' || name.length >= 512)
      findings.add('verify-klp-struct', moved(func, at.old_name), 'klp_func.old_name points at no name');
    if (replacement === undefined)
      findings.add(
        'verify-klp-func',
        moved(func, at.new_func),
        `the replacement of ${name ?? '?'} is not the start of a sized function of this module, whose size the kernel looks up`,
      );
    if (high !== 0 || module.relaAt(section, offset + at.old_sympos) !== undefined)
      findings.add('verify-klp-struct', moved(func, at.old_sympos), 'klp_func.old_sympos is no position');
    if (
      !isBlankBut(context, func, stride, [
        [at.old_name, 8],
        [at.new_func, 8],
        [at.old_sympos, 8],
      ])
    )
      findings.add('verify-klp-struct', func, 'members of klp_func are set that the kernel fills in');
    if (found.some((other) => other.name === name && (other.sympos || 1) === (sympos || 1)))
      findings.add('verify-klp-func', func, `${name}, position ${sympos}, is there twice`);
    if (name !== undefined) {
      noteReplacement(context, replacement, { object, name, sympos, place: func });
      checkOld(context, object, name, sympos, func);
    }
    found.push({ name: name ?? '', sympos, replacement: replacement?.name ?? null });
  }
  return found;
}
