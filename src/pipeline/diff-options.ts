/** What a comparison depends on besides the two contents, so that its outcome is recorded under it. */
import { inputFile } from './files';
import type { OutputRequest } from './output';
import type { PairRequest } from './pair';
import type { Dialect, InputFile } from './types';

/** The files of a request besides the pair, each looked at once: what a result is recorded under is what it was made from. */
export interface RequestFiles {
  ftrace: InputFile | null;
  /** Where nothing is written: what is given all the same, to check with. */
  symvers: InputFile | null;
  kernel: InputFile | null;
}

/** @throws KlpflowError `unreadable` */
export function requestFiles({ ftrace, output, symvers, vmlinux }: DiffRequest): RequestFiles {
  const at = (path: string | undefined): InputFile | null => (path === undefined ? null : inputFile(path));
  return {
    ftrace: at(ftrace),
    symvers: output === undefined ? at(symvers) : null,
    kernel: output === undefined ? at(vmlinux) : null,
  };
}

/** The format to be written decides what counts; a report is klp's. */
export function dialectOf({ output: wanted }: Pick<DiffRequest, 'output'>): Dialect {
  return wanted?.format === 'kpatch' ? 'kpatch' : 'klp';
}

/** `name` is the object's, where it is known by now. */
export function optionsOf(request: DiffRequest, { ftrace, symvers, kernel }: RequestFiles, name: string): object {
  const { allow = [], structSizes = {}, output, twins = [] } = request;
  return {
    ...(twins.length === 0 ? {} : { twins: twins.map(({ orig, patched }) => `${orig}=${patched}`).sort() }),
    dialect: dialectOf(request),
    module: name,
    allow: [...new Set(allow)].sort(),
    structSizes,
    ...(ftrace === null ? {} : { ftrace: ftrace.identity }),
    // A report holds what writing would find; where it is written that stands in the livepatch's own record.
    ...(output === undefined ? {} : { written: true }),
    ...(symvers === null ? {} : { symvers: symvers.identity }),
    ...(kernel === null ? {} : { kernel: kernel.identity }),
  };
}

export interface DiffRequest extends PairRequest {
  /** Name of the patched object; default: what its `.modinfo` says, else `vmlinux`. */
  module?: string | undefined;
  /** `CODE` or `CODE:SYMBOL` of refusals to turn into warnings. */
  allow?: readonly string[];
  /** The running kernel's list of functions that can be traced (`available_filter_functions`); default: what ORIG says. */
  ftrace?: string | undefined;
  /** The livepatch to write; without it there is only the report. */
  output?: OutputRequest;
  /** Without `output`: what a livepatch would be checked with, as in KernelFiles. */
  symvers?: string | undefined;
  vmlinux?: string | undefined;
}
