import { KlpflowError, type Diagnostic } from '../diagnostics';
import { EM_AARCH64, EM_X86_64, SHN_LIVEPATCH, SHN_UNDEF } from '../elf';
import type { MappedFile } from '../files/mapped-file';
import { checkAarch64, checkA64Placeholders } from './aarch64';
import { checkAlternatives, replacementStarts } from './alternatives';
import { Code } from './code';
import { checkCompleteness } from './completeness';
import type { Context, PatchFacts } from './context';
import { checkElfForm } from './elf-form';
import { readExports } from './exports';
import { Findings } from './findings';
import { checkFunctions } from './functions';
import { checkImports, readVersions } from './imports';
import { Kernel } from './kernel';
import { parseKlpSymbol } from './klp-name';
import { checkKlpPatch, type PatchedObject } from './klp-patch';
import { checkKlpSymbols } from './klp-symbols';
import { checkModinfo } from './modinfo';
import { Module } from './module';
import { checkAgainstObjects } from './reference';
import { checkRelocations } from './relocations';
import { checkEntries } from './special';
import { STRUCTS, Sites } from './tables';
import { checkTargets } from './targets';
import { checkPlaceholders } from './placeholders';
import { checkStores } from './placement';
import { checkReplacements } from './replacements';
import { readTemplate } from './template';
import { checkThisModule } from './this-module';
import type { ShippedKernel } from './shipped';
import type { ShippedModule } from './shipped/modules';
import { parseTypes, readTypes, type KernelTypes } from './types';
import { checkPreambles, checkTypeHashes } from './type-hash';
import { checkUnwind } from './unwind';

export type { PatchedFunction, PatchedObject } from './klp-patch';

/** What holds for modules of one processor. */
interface OwnChecks {
  /** Constants that boot fills in in the kernel's own code. */
  checkPlaceholders(context: Context): void;
  /** Tables about code, and code that needs an entry. */
  checkCode(context: Context): void;
}

const OWN: ReadonlyMap<number, OwnChecks> = new Map([
  [EM_X86_64, { checkPlaceholders, checkCode: checkX86 }],
  [EM_AARCH64, { checkPlaceholders: checkA64Placeholders, checkCode: checkAarch64 }],
]);

function checkX86(context: Context): void {
  const sites = new Sites();
  checkEntries(context, sites);
  checkAlternatives(context, sites);
  checkCompleteness(context, sites);
  checkUnwind(context, sites);
  checkPreambles(context, sites);
}

export interface VerifyRequest {
  /** The finished module. */
  module: string;
  /** The running kernel: a linked vmlinux, or text of /proc/kallsyms, System.map or `readelf -sW`. */
  vmlinux?: string;
  /** Module.symvers of its build. */
  symvers?: string;
  /** Its types: raw BTF or an ELF file with .BTF. */
  btf?: string;
  /** Any module of it. */
  template?: string;
  /** The running kernel's image as `readShipped` reads it; then `vmlinux`, `symvers`, `btf` and its vermagic are there. */
  shipped?: ShippedKernel | undefined;
  /** Finished modules of the running kernel, as `readShippedModules` reads them. */
  modules?: readonly ShippedModule[] | undefined;
  /** PATCHED's objects, which the module's functions are from. */
  objects?: readonly string[];
  /** Told after each of `VERIFY_STEPS`. */
  stepped?: (() => void) | undefined;
}

/** Parts of a verification, of which progress is told. */
export const VERIFY_STEPS = 6;

export interface VerifyResult {
  schema: 'klpflow/verify@1';
  /** Nothing was found that would keep the livepatch from loading or working. */
  ok: boolean;
  module: {
    path: string;
    /** Run-time name, from struct module. */
    name: string;
    vermagic: string | null;
    /** A signature is appended. */
    signed: boolean;
    /** What klp_patch patches. */
    objects: PatchedObject[];
    /** Whether it replaces others, its states and callbacks; null where it makes its klp_patch when it is loaded. */
    patch: PatchFacts | null;
    klpSymbols: number;
    /** Relocations of loaded sections: those that the livepatch core applies, and the loader's. */
    relocations: { livepatch: number; ordinary: number };
  };
  /** All findings of all checks; notes say what was not checked, and why. */
  diagnostics: Diagnostic[];
}

/**
 * Checks a finished livepatch module by itself and against the kernel it is for. Shares nothing with what writes modules
 * but the ELF reader.
 * @throws KlpflowError where a file cannot be read or is malformed; findings are no errors
 */
export function verify(request: VerifyRequest): VerifyResult {
  const module = Module.open(request.module);
  const { elf } = module;
  const own = OWN.get(elf.machine)!;
  const { shipped, stepped = () => undefined } = request;
  const types = typesOf(request, ['module', 'klp_patch', 'klp_object', 'klp_func', 'klp_state', ...STRUCTS]);
  const context: Context = {
    module,
    code: new Code(module, replacementStarts(module, types)),
    findings: new Findings(module),
    livepatch: module.modinfo().some(({ key, value }) => key === 'livepatch' && value === 'Y'),
    kernel: kernelOf(request, wantedNames(module)),
    exports: request.symvers === undefined ? (shipped?.exports ?? null) : readExports(request.symvers),
    vermagic: shipped?.vermagic ?? null,
    types,
    template: request.template === undefined ? null : readTemplate(request.template),
    replacementPointers: new Set(),
    replacements: new Map(),
    patch: null,
    compared: request.objects !== undefined && request.objects.length > 0,
  };
  stepped();
  checkElfForm(context);
  const name = checkThisModule(context);
  const versions = readVersions(context);
  const info = checkModinfo(context, name, versions !== null);
  checkImports(context, versions, info);
  const klpSymbols = checkKlpSymbols(context);
  const objects = checkKlpPatch(context);
  if (context.kernel?.knowsSites === false && objects.length > 0) {
    context.findings.add(
      'verify-not-checked',
      undefined,
      `whether ftrace can redirect the patched functions: ${context.kernel.path} has no __mcount_loc, pass a linked vmlinux`,
    );
  }
  stepped();
  checkFunctions(context);
  own.checkPlaceholders(context);
  checkReplacements(context);
  checkStores(context);
  stepped();
  checkRelocations(context);
  checkTargets(context);
  stepped();
  own.checkCode(context);
  stepped();
  if (context.compared) checkAgainstObjects(context, request.objects ?? []);
  else {
    checkTypeHashes(context, undefined);
    context.findings.add(
      'verify-not-checked',
      undefined,
      'that each reference and entry is that of PATCHED: no --object was given',
    );
  }
  stepped();

  const { diagnostics } = context.findings;
  const livepatch = module.relas.filter((rela) => rela.livepatch !== null).length;
  return {
    schema: 'klpflow/verify@1',
    ok: diagnostics.every(({ severity }) => severity === 'warning' || severity === 'note'),
    module: {
      path: request.module,
      name,
      vermagic: info.vermagic ?? null,
      signed: isSigned(elf.file),
      objects,
      patch: context.patch,
      klpSymbols,
      relocations: { livepatch, ordinary: module.relas.length - livepatch },
    },
    diagnostics,
  };
}

/** The running kernel with those of its modules that were given. @throws KlpflowError `kernel-mismatch` for a module of another kernel */
function kernelOf({ shipped, vmlinux, modules = [] }: VerifyRequest, wanted: ReadonlySet<string>): Kernel | null {
  const kernel =
    shipped !== undefined
      ? Kernel.ofShipped(shipped, wanted)
      : vmlinux === undefined
        ? null
        : Kernel.open(vmlinux, wanted);
  for (const module of modules) {
    const other = shipped?.vermagic?.trim();
    if (other !== undefined && module.vermagic !== null && module.vermagic.trim() !== other)
      throw new KlpflowError(
        'kernel-mismatch',
        `${module.path} and ${shipped!.path} are of different kernels: vermagic is "${module.vermagic.trim()}" and "${other}"`,
        { object: module.path },
      );
    kernel?.addModule(module);
  }
  return kernel;
}

/** Types that were given, else the image's. */
function typesOf({ btf, shipped }: VerifyRequest, names: readonly string[]): KernelTypes | null {
  if (btf !== undefined) return readTypes(btf, names);
  return shipped === undefined || shipped.types === null ? null : parseTypes(shipped.types, names, shipped.path);
}

/** Names to look up in the kernel: klp symbols, imports, and all that a klp_func may name, which are strings of the module. */
function wantedNames(module: Module): Set<string> {
  const names = new Set<string>();
  for (const { name, section } of module.symbols) {
    if (section === SHN_UNDEF || section === SHN_LIVEPATCH || name.startsWith('.klp.sym.'))
      names.add(parseKlpSymbol(name)?.name ?? name);
  }
  for (const section of module.sections) {
    if (!/rodata|data|str/.test(section.name)) continue;
    for (const text of Buffer.from(section.bytes).toString('latin1').split('\0'))
      if (/^[\w.$]{1,511}$/.test(text)) names.add(text);
  }
  return names;
}

const SIGNATURE = '~Module signature appended~\n';

function isSigned({ bytes }: MappedFile): boolean {
  return Buffer.from(bytes.subarray(Math.max(0, bytes.length - SIGNATURE.length))).toString('latin1') === SIGNATURE;
}
