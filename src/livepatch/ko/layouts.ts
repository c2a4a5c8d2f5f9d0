import { diagnostic, KlpflowError, type Diagnostic } from '../../diagnostics';
import { structLayouts, type StructLayout } from '../../kernel/btf';
import { NAME_OFFSET, NAME_ROOM, type ModuleTemplate } from './template';
import { append } from '../../lists';

/** Members that a livepatch fills in, with the bytes of each. */
const MEMBERS = {
  module: { name: NAME_ROOM, init: 8, exit: 8 },
  klp_patch: { mod: 8, objs: 8, states: 8, replace: 1 },
  klp_object: { name: 8, funcs: 8, callbacks: 40 },
  klp_callbacks: { pre_patch: 8, post_patch: 8, pre_unpatch: 8, post_unpatch: 8 },
  klp_func: { old_name: 8, new_func: 8, old_sympos: 8 },
  klp_state: { id: 8, version: 4 },
} as const;

type StructName = keyof typeof MEMBERS;

/** Larger ones are no kernel's. */
const LARGEST = 65_536;

/** Structs of the target kernel: sizes, and offsets of the members that are filled in. */
export type KernelStructs = {
  readonly [K in StructName]: {
    readonly size: number;
    readonly offsets: Readonly<Record<keyof (typeof MEMBERS)[K], number>>;
  };
} & {
  /** Bytes to leave free behind klp_patch, whose size is not measured: it ends in a work_struct and a completion, which lock debugging makes larger. */
  readonly spare?: number;
};

/**
 * Structs of a livepatch from the kernel's types.
 * @throws KlpflowError `no-btf` where a struct or member is missing, `malformed-elf`
 */
export function readKernelStructs(btf: Uint8Array, path: string): KernelStructs {
  const layouts = structLayouts(btf, Object.keys(MEMBERS), path);
  for (const [name, members] of Object.entries(MEMBERS)) checkStruct(name, layouts[name], members, path);
  return layouts as unknown as KernelStructs;
}

function checkStruct(
  name: string,
  layout: StructLayout | undefined,
  members: Readonly<Record<string, number>>,
  path: string,
): void {
  if (layout === undefined)
    throw new KlpflowError(
      'no-btf',
      `${path} has no struct ${name}: it is not the BTF of a kernel with CONFIG_LIVEPATCH`,
      { object: path, symbol: name },
    );
  for (const [member, width] of Object.entries(members)) {
    const offset = layout.offsets[member];
    if (offset === undefined)
      throw new KlpflowError(
        'no-btf',
        `${path}: struct ${name} has no member ${member}: livepatches for kernels before 5.5 are not written`,
        { object: path, symbol: name },
      );
    if (layout.size > LARGEST || offset + width > layout.size) {
      throw new KlpflowError(
        'malformed-elf',
        `${path}: member ${member} of struct ${name} (${layout.size} bytes) lies at byte ${offset}`,
        { object: path, symbol: name },
      );
    }
  }
}

/** Sizes of kernels from 5.15 to 7.2 whose kobjects have no debugging members. Members that are filled in come first and have not moved. */
const PLAIN: Omit<KernelStructs, 'module'> = {
  spare: 312,
  klp_patch: { size: 200, offsets: { mod: 0, objs: 8, states: 16, replace: 24 } },
  klp_object: { size: 168, offsets: { name: 0, funcs: 8, callbacks: 16 } },
  klp_callbacks: { size: 40, offsets: { pre_patch: 0, post_patch: 8, pre_unpatch: 16, post_unpatch: 24 } },
  klp_func: { size: 152, offsets: { old_name: 0, new_func: 8, old_sympos: 16 } },
  klp_state: { size: 24, offsets: { id: 0, version: 8 } },
};

/**
 * The structs to lay out: from BTF, checked against a module of the kernel, or from such a module alone. Appends to `found`
 * why there are none.
 */
export function chooseStructs(
  structs: KernelStructs | undefined,
  template: ModuleTemplate | undefined,
  kobjectRelease: boolean,
  found: Diagnostic[],
): KernelStructs | undefined {
  if (structs !== undefined) {
    if (template !== undefined) append(found, disagreements(structs, template));
    return structs;
  }
  if (template === undefined) {
    found.push(
      diagnostic(
        'no-btf',
        'the layout of struct module is not known: neither --btf nor --template is given, nor an image that has BTF (CONFIG_DEBUG_INFO_BTF)',
      ),
    );
    return undefined;
  }
  const { size, init, exit, path } = template;
  if (kobjectRelease) {
    found.push(
      diagnostic(
        'no-btf',
        'the kernel has CONFIG_DEBUG_KOBJECT_RELEASE, so its livepatch structs are larger than usual, and --template does not tell their sizes',
        { object: path },
      ),
    );
    return undefined;
  }
  if (init === undefined || exit === undefined) {
    found.push(
      diagnostic(
        'not-a-module',
        `${path} has no ${init === undefined ? 'init' : 'exit'} function, so it does not tell where struct module points to it`,
        { object: path },
      ),
    );
    return undefined;
  }
  return { ...PLAIN, module: { size, offsets: { name: NAME_OFFSET, init, exit } } };
}

/** The loader compares sizeof(struct module) and nothing else: with `init` elsewhere it would call whatever stands there. */
function disagreements({ module }: KernelStructs, template: ModuleTemplate): Diagnostic[] {
  const pairs: Array<[what: string, btf: number, module: number | undefined]> = [
    ['sizeof(struct module)', module.size, template.size],
    ['offset of init', module.offsets.init, template.init],
    ['offset of exit', module.offsets.exit, template.exit],
  ];
  return pairs.flatMap(([what, btf, other]) => {
    if (other === undefined || other === btf) return [];
    return [
      diagnostic(
        'kernel-mismatch',
        `${what} is ${btf} in the kernel types and ${other} in ${template.path}: they are of different kernels`,
        { object: template.path },
      ),
    ];
  });
}
