import { diagnostic, type Diagnostic } from '../../diagnostics';
import { SHF_ALLOC, SHF_WRITE, STB_GLOBAL, STB_LOCAL, STT_FUNC, STT_OBJECT } from '../../elf';
import { CALLBACKS, type Callback, type LivepatchObject, type OutputSection, type OutputSymbol } from '../object';
import type { ModuleImage } from './image';
import type { KernelStructs } from './layouts';
import type { SymbolMap } from './merge';
import type { KlpState, ModuleOptions } from './types';

/** The kernel's structs hold kobjects and lists: they are written to while the patch is there. */
const ALIGN = 8;

/** A patched object with all its functions: the kernel refuses a second klp_object of one name. */
interface KlpTarget {
  name: string;
  funcs: Array<{ oldName: string; sympos: number; replacement: OutputSymbol }>;
  callbacks: Partial<Record<Callback, OutputSymbol>>;
}

interface DescriptorParts {
  /** Where the objects' symbols went. */
  symbols: SymbolMap;
  structs: KernelStructs;
  /** `__this_module`. */
  self: OutputSymbol;
  found: Diagnostic[];
}

/**
 * Adds klp_patch, klp_object[], klp_func[] and klp_state[], laid out as the kernel has them, each array ended by zeros.
 * Appends to `found` what the livepatch core would refuse.
 * @returns the symbol of klp_patch
 */
export function addDescriptors(
  image: ModuleImage,
  objects: readonly LivepatchObject[],
  { symbols, structs, self, found }: DescriptorParts,
  options: ModuleOptions,
): OutputSymbol {
  const descriptors = new Descriptors(image, structs);
  const targets = collectTargets(objects, symbols, found);
  const funcs = targets.map((target) => descriptors.funcs(target.name, target.funcs));
  const list = descriptors.objects(targets, funcs);
  const states =
    options.states === undefined || options.states.length === 0 ? undefined : descriptors.states(options.states);
  return descriptors.patch(self, list, states, options.replace ?? true);
}

/** Objects of one name become one target. */
function collectTargets(objects: readonly LivepatchObject[], symbols: SymbolMap, found: Diagnostic[]): KlpTarget[] {
  const targets = new Map<string, KlpTarget>();
  for (const object of objects) {
    const target = targets.get(object.name) ?? { name: object.name, funcs: [], callbacks: {} };
    targets.set(object.name, target);
    const refuse = (what: string): unknown =>
      found.push(diagnostic('duplicate-definition', `${object.name}: ${what}`, { object: object.name }));
    for (const { oldName, sympos, replacement } of object.funcs) {
      const moved = symbols.get(replacement)?.symbol;
      if (moved === undefined || (moved.info & 0xf) !== STT_FUNC || moved.size === 0) {
        found.push(
          diagnostic(
            'malformed-elf',
            `${object.name}: what replaces ${oldName} is no function with a size in a section of the module`,
            { object: object.name, symbol: oldName },
          ),
        );
        continue;
      }
      // In sysfs position 0 is called 1, so both would be one directory.
      if (target.funcs.some((other) => other.oldName === oldName && (other.sympos || 1) === (sympos || 1)))
        refuse(`${oldName},${sympos} is replaced twice`);
      target.funcs.push({ oldName, sympos, replacement: moved });
    }
    for (const callback of CALLBACKS) {
      const symbol = object.callbacks[callback];
      if (symbol === undefined) continue;
      const moved = symbols.get(symbol)?.symbol;
      if (target.callbacks[callback] !== undefined) refuse(`there are two ${callback} callbacks`);
      if (moved === undefined)
        found.push(
          diagnostic(
            'dropped-reference',
            `${object.name}: the ${callback} callback ${symbol.name} is not part of the module`,
            { object: object.name, symbol: symbol.name },
          ),
        );
      else target.callbacks[callback] = moved;
    }
  }
  return [...targets.values()];
}

class Descriptors {
  private readonly data: OutputSection;

  constructor(
    private readonly image: ModuleImage,
    private readonly structs: KernelStructs,
  ) {
    this.data = image.data;
  }

  funcs(object: string, funcs: KlpTarget['funcs']): OutputSymbol {
    const { size, offsets } = this.structs.klp_func;
    const array = this.array(`klp_funcs.${object}`, (funcs.length + 1) * size);
    funcs.forEach(({ oldName, sympos, replacement }, i) => {
      const at = array.value + i * size;
      this.name(at + offsets.old_name, oldName);
      this.point(at + offsets.new_func, replacement);
      this.number(at + offsets.old_sympos, sympos, 8);
    });
    return array;
  }

  objects(targets: readonly KlpTarget[], funcs: readonly OutputSymbol[]): OutputSymbol {
    const { size, offsets } = this.structs.klp_object;
    const callbacks = this.structs.klp_callbacks.offsets;
    const array = this.array('klp_objects', (targets.length + 1) * size);
    targets.forEach((target, i) => {
      const at = array.value + i * size;
      // vmlinux is the object without a name.
      if (target.name !== 'vmlinux') this.name(at + offsets.name, target.name);
      this.point(at + offsets.funcs, funcs[i]!);
      for (const callback of CALLBACKS) {
        const symbol = target.callbacks[callback];
        if (symbol !== undefined) this.point(at + offsets.callbacks + callbacks[callback], symbol);
      }
    });
    return array;
  }

  states(states: readonly KlpState[]): OutputSymbol {
    const { size, offsets } = this.structs.klp_state;
    const array = this.array('klp_states', (states.length + 1) * size);
    states.forEach(({ id, version }, i) => {
      this.number(array.value + i * size + offsets.id, id, 8);
      this.number(array.value + i * size + offsets.version, version, 4);
    });
    return array;
  }

  patch(self: OutputSymbol, objects: OutputSymbol, states: OutputSymbol | undefined, replace: boolean): OutputSymbol {
    const { size, offsets } = this.structs.klp_patch;
    const patch = this.array('klp_patch', size);
    this.data.append(this.structs.spare ?? 0);
    this.point(patch.value + offsets.mod, self);
    this.point(patch.value + offsets.objs, objects);
    if (states !== undefined) this.point(patch.value + offsets.states, states);
    this.number(patch.value + offsets.replace, replace ? 1 : 0, 1);
    return patch;
  }

  private array(name: string, size: number): OutputSymbol {
    return this.image.define({
      name,
      info: (STB_LOCAL << 4) | STT_OBJECT,
      section: this.data,
      value: this.data.append(new Uint8Array(size), ALIGN),
      size,
    });
  }

  private point(at: number, symbol: OutputSymbol, addend = 0): void {
    this.data.relas.push({ offset: at, type: this.image.address64, symbol, addend });
  }

  private name(at: number, text: string): void {
    this.point(at, this.image.sectionSymbol(this.image.rodata), this.image.string(text));
  }

  private number(at: number, value: number, width: 1 | 4 | 8): void {
    const view = new DataView(this.data.bytes.buffer, this.data.bytes.byteOffset);
    if (width === 8) view.setBigUint64(at, BigInt(value), true);
    else if (width === 4) view.setUint32(at, value, true);
    else view.setUint8(at, value);
  }
}

/** `struct module`, empty but for the name and the two functions; the loader fills in the rest. */
export function addThisModule(image: ModuleImage, { module }: KernelStructs, name: string): OutputSymbol {
  const section = image.section('.gnu.linkonce.this_module', SHF_ALLOC | SHF_WRITE);
  const content = new Uint8Array(module.size);
  content.set(new TextEncoder().encode(name), module.offsets.name);
  section.append(content, 64);
  return image.define({
    name: '__this_module',
    info: (STB_GLOBAL << 4) | STT_OBJECT,
    section,
    value: 0,
    size: module.size,
  });
}

export function pointThisModule(
  { address64 }: ModuleImage,
  self: OutputSymbol,
  { module }: KernelStructs,
  init: OutputSymbol,
  exit: OutputSymbol,
): void {
  const { relas } = self.section as OutputSection;
  relas.push(
    { offset: module.offsets.init, type: address64, symbol: init, addend: 0 },
    { offset: module.offsets.exit, type: address64, symbol: exit, addend: 0 },
  );
}
