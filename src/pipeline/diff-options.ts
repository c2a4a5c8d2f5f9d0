/** A request, resolved once: its files looked at, defaults filled, the dialect known. And what a comparison is recorded under. */
import { FORMATS, type DialectName } from '../livepatch/formats';
import type { SetData } from '../stages/assess';
import type { DeclaredTwin } from '../stages/declared-twins';
import { inputFile } from './files';
import type { ObjectPair } from './object-pairs';
import type { OutputRequest } from './output';
import type { PairRequest } from './pair';
import type { InputFile } from './types';

export interface DiffRequest extends PairRequest {
  /** Further pairs, of modules, that go into the same livepatch. */
  also?: readonly ObjectPair[];
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
  moduleImages?: readonly string[] | undefined;
  /** ORIG compiled as the kernel's build does it, without -ffunction-sections. */
  plain?: string | undefined;
  /** What is said to have changed ORIG into PATCHED: patches, whose hunks a report ties to what changed. */
  patches?: readonly string[] | undefined;
  /** Variables whose new value callbacks of PATCHED write. */
  setData?: readonly SetData[];
}

/** The files of a request besides the pair, each looked at once: what a result is recorded under is what it was made from. */
export interface RequestFiles {
  ftrace: InputFile | null;
  /** Where nothing is written: what is given all the same, to check with. */
  symvers: InputFile | null;
  kernel: InputFile | null;
  plain: InputFile | null;
}

export interface Resolved {
  orig: string;
  patched: string;
  module: string | undefined;
  twins: readonly DeclaredTwin[];
  allow: readonly string[];
  setData: readonly SetData[];
  structSizes: Record<string, number>;
  files: RequestFiles;
  output: OutputRequest | undefined;
  /** By the format to be written; a report is klp's. */
  dialect: DialectName;
  /** Several pairs are compared, each with a name of its own. */
  several: boolean;
  /** New variables that go in though only another pair's code uses them. */
  wanted: readonly string[];
}

/** @throws KlpflowError `unreadable` */
export function resolved(request: DiffRequest, several = false): Resolved {
  const { orig, patched, module, ftrace, output, symvers, vmlinux, plain } = request;
  const { twins = [], allow = [], setData = [], structSizes = {} } = request;
  const at = (path: string | undefined): InputFile | null => (path === undefined ? null : inputFile(path));
  return {
    orig,
    patched,
    module,
    twins,
    allow,
    setData,
    structSizes,
    files: {
      ftrace: at(ftrace),
      plain: at(plain),
      symvers: output === undefined ? at(symvers) : null,
      kernel: output === undefined ? at(vmlinux) : null,
    },
    output,
    dialect: FORMATS[output?.format ?? 'klp'].dialect,
    several,
    wanted: [],
  };
}

/** What a comparison depends on besides the two contents, so that its outcome is recorded under it. `name` is the object's, where it is known by now. */
export function optionsOf(
  { allow, setData, structSizes, output, twins, dialect, files, wanted }: Resolved,
  name: string,
): object {
  const { ftrace, symvers, kernel, plain } = files;
  return {
    ...(twins.length === 0 ? {} : { twins: twins.map(({ orig, patched }) => `${orig}=${patched}`).sort() }),
    ...(setData.length === 0 ? {} : { setData }),
    ...(wanted.length === 0 ? {} : { wanted }),
    dialect,
    module: name,
    allow: [...new Set(allow)].sort(),
    structSizes,
    ...(ftrace === null ? {} : { ftrace: ftrace.identity }),
    // A report holds what writing would find; where it is written that stands in the livepatch's own record.
    ...(output === undefined ? {} : { written: true }),
    ...(symvers === null ? {} : { symvers: symvers.identity }),
    ...(plain === null ? {} : { plain: plain.identity }),
    ...(kernel === null ? {} : { kernel: kernel.identity }),
  };
}
