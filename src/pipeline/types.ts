/**
 * Everything that crosses a thread: one task, one answer each. A task is numbers, paths and shared columns, never file
 * contents; every thread maps the inputs itself.
 */
import type { Diagnostic } from '../diagnostics';
import type { FileIdentity } from '../files/mapped-file';
import type { Load } from './memory';
import type { KeptFile, RecordPlace } from '../records';
import type { AmbiguousGroup, Group, SharedPairing } from '../stages/correlate';
import type { ModuleInfo } from '../kernel/modinfo';
import type { DialectName } from '../livepatch/formats';
import type { BuildFacts } from '../kernel-image';
import type { Provenance } from '../livepatch/object';
import type { Assessment, IncludedFunction, ObjectResult, ProfileEvidence, SetData } from '../stages/assess';
import type { Gaps, UncoveredDifference, Verdict } from '../stages/compare';
import type { DeclaredTwin } from '../stages/declared-twins';
import type { SymbolExplanation } from '../stages/explain';
import type { Listed } from '../stages/explain/many';
import type { KlpSymbolReport } from '../stages/extract';
import type { KpatchPlan } from '../stages/kpatch';
import type { Census } from '../stages/running-kernel/image';
import type { Shape, SharedMemory } from '../stages/scan';
import type { UnitNames } from '../stages/unit-names';

export type Explanation = SymbolExplanation;
export type { SourceFrame } from '../stages/explain/rows';

/** A table as threads pass it around; `id` tells a thread that it has met it before. */
export interface SharedTable {
  id: string;
  shape: Shape;
  memory: SharedMemory;
}

/** An input as it was identified. */
export interface InputRef {
  path: string;
  identity: FileIdentity;
  /** What to map in its place: a file too large to be mapped is copied without its debugging sections into the run directory. */
  copy: string | null;
}

/** One build's object and columns. */
export interface ObjectRef extends InputRef {
  table: SharedTable;
}

export interface PairRef extends SharedPairing {
  /** Tells a thread that it has met the pair before. */
  id: string;
  orig: ObjectRef;
  patched: ObjectRef;
  structSizes: Record<string, number>;
}

/** A file that is read besides the pair. */
export interface InputFile {
  path: string;
  identity: FileIdentity;
  /** What messages call it, where it was made from another file. */
  called?: string;
}

/** What a kernel's image says of itself, and the files that it stands for. */
export interface ImageFacts {
  /** The image as it was given, and its content. */
  path: string;
  digest: string;
  machine: number;
  /** From outside to inside: `bzImage`, `zstd`. */
  wrappers: readonly string[];
  build: BuildFacts;
  retpoline: boolean;
  /** Numbers for people. */
  counts: { symbols: number; exports: number };
  /** The symbol list, as /proc/kallsyms has it. */
  symbols: KeptFile;
  /** Exports, as Module.symvers has them. */
  exports: KeptFile;
  /** Raw BTF; null where the kernel has none. */
  types: KeptFile | null;
  /** The kernel without its wrappers, and which form that has. */
  memory: KeptFile;
  form: 'elf' | 'raw';
}

/** What holds the code of an object as it runs. */
export interface SeenFiles {
  /** \`vmlinux\`, or a module's name. */
  objectName: string;
  /** What lists the running kernel's symbols, and what its image says; null where it was not given. */
  kernel: InputFile | null;
  image: ImageFacts | null;
  /** Of a module its finished file. */
  moduleFile: InputFile | null;
}

/** What extract adds to the report. */
export interface ExtractFindings {
  klpSymbols: KlpSymbolReport[];
  diagnostics: Diagnostic[];
  /** How many functions of a unit run; null for a whole kernel, which \`Counting\` counts, and where no file holds what runs. */
  census: Census | null;
}

/** What writing would find of a pair or a unit, and what only files that were not given could tell. */
export interface RehearsalAnswer {
  diagnostics: Diagnostic[];
  /** Names that are taken for exports, for want of Module.symvers. */
  imports: string[];
  /** Symbols that are taken for the running kernel's, for want of its list. */
  lookups: number;
  /** No object of dialect klp is written for this processor. */
  unwritable: boolean;
}

/** What assess says of a pair. */
export interface Judgement {
  assessment: Assessment;
  /** Whether a livepatch would hold anything. */
  changes: boolean;
  /** Of dialect kpatch, what extract needs besides. */
  plan: KpatchPlan | null;
}

/** What a unit's livepatch object, of dialect kpatch, is made from besides the pair. */
export interface UnitRequest {
  symvers: InputFile;
  /** What lists the parent's symbols. */
  kernel: InputFile;
  klpArch: boolean;
  /** Where the object is recorded. */
  place: RecordPlace;
}

/** One pair of a folder. */
export interface UnitResult {
  object: ObjectResult & { klpSymbols: KlpSymbolReport[] };
  profile: ProfileEvidence;
  diagnostics: Diagnostic[];
  /** Whether a livepatch would hold anything of it, and whether an object was recorded. */
  changes: boolean;
  made: boolean;
  /** Of a report what could not be checked; null where an object was made, or nothing would be. */
  unchecked: Omit<RehearsalAnswer, 'diagnostics'> | null;
}

/** Entry of every answer: what the task cost, and whether a record spared the work (else why it did not). */
export interface Cost {
  /** Milliseconds since the epoch. */
  start: number;
  end: number;
  /** Milliseconds of processor time. */
  cpu: number;
  thread: number;
  reused: boolean;
  miss: string | null;
}

export interface Tasks {
  identify: {
    task: { input: InputRef; place: RecordPlace; fresh: boolean };
    answer: { digest: string; machine: number; little: boolean; load: Load; module: ModuleInfo };
  };
  /** `place`: where it is recorded; null where that is still to be told, to `keepTable`. */
  readTable: {
    task: { input: InputRef; place: RecordPlace | null; fresh: boolean };
    answer: { table: SharedTable; bounds: number[]; bytes: number };
  };
  keepTable: { task: { object: ObjectRef; place: RecordPlace }; answer: Record<string, never> };
  digest: {
    task: { object: ObjectRef; from: number; to: number; place: RecordPlace; fresh: boolean };
    answer: { uses: Uint32Array; bytes: number };
  };
  special: {
    task: { object: ObjectRef; place: RecordPlace; fresh: boolean; structSizes: Record<string, number> };
    answer: {
      uses: Uint32Array;
      unknown: Array<{ section: string; bytes: number }>;
      traceKnown: boolean;
      gaps: Uint32Array;
    };
  };
  unitNames: { task: { input: InputRef }; answer: UnitNames };
  unit: {
    task: {
      orig: InputRef;
      patched: InputRef;
      name: string;
      place: RecordPlace;
      fresh: boolean;
      structSizes: Record<string, number>;
      /** LTO's hashes of units that were edited, ORIG's and PATCHED's. */
      unitHashes: Array<[string, string]>;
      /** Digests of promoted constants of both links, by full name. */
      constants: Array<[string, string]>;
      /** The object that the unit is linked into (`vmlinux`, or a module's name), and what can be traced of it. */
      parentName: string;
      ftrace: InputFile | null;
      dialect: DialectName;
      /** The livepatch object to make of it; null for a report only. */
      livepatch: UnitRequest | null;
    };
    answer: UnitResult;
  };
  users: { task: { object: ObjectRef; targets: number[] }; answer: { users: number[] } };
  /** The symbols that declarations name, ORIG's and PATCHED's in turn. */
  twins: {
    task: { orig: ObjectRef; patched: ObjectRef; twins: DeclaredTwin[]; structSizes: Record<string, number> };
    answer: { pairs: number[] };
  };
  /** Pairs in the shared columns what changed functions tell of open groups; answers with what stays open. */
  align: {
    task: { pair: PairRef; uses: { orig: Uint32Array; patched: Uint32Array }; groups: Group[] };
    answer: { open: Group[] };
  };
  warm: { task: { objects: ObjectRef[]; structSizes: Record<string, number> }; answer: Record<string, never> };
  compare: { task: { pair: PairRef; pairs: Uint32Array; detail: boolean }; answer: { verdicts: Verdict[] } };
  losses: { task: { pair: PairRef; objectName: string }; answer: { losses: Diagnostic[] } };
  uncovered: { task: { pair: PairRef; gaps: Gaps }; answer: { uncovered: UncoveredDifference[] } };
  profile: { task: { pair: PairRef; verdicts: Array<Pick<Verdict, 'status' | 'orig'>> }; answer: ProfileEvidence };
  assess: {
    task: {
      pair: PairRef;
      verdicts: Verdict[];
      ambiguous: AmbiguousGroup[];
      contradicted: number[];
      unpaired: { orig: number[]; patched: number[] };
      lineOnly: number[];
      uncovered: UncoveredDifference[];
      losses: Diagnostic[];
      traceKnown: boolean;
      ftrace: InputFile | null;
      objectName: string;
      unknownSizes: Array<{ section: string; bytes: number }>;
      dialect: DialectName;
      setData: SetData[];
      wanted: readonly string[];
    };
    answer: Judgement;
  };
  extract: {
    task: {
      pair: PairRef;
      included: IncludedFunction[];
      brought: readonly number[];
      undecided: number[];
      copied: number[];
      objectName: string;
      provenance: Provenance;
      /** Module.symvers, and what lists the running kernel's symbols; files as they were when the run began. */
      symvers: InputFile;
      kernel: InputFile | null;
      /** What the kernel's image says; null where it was not given. */
      image: ImageFacts | null;
      /** Of a module its finished file, as it runs. */
      moduleFile: InputFile | null;
      /** The unit compiled as the kernel's build does, all functions in one section. */
      plain: InputFile | null;
      place: RecordPlace;
      dialect: DialectName;
      /** Of dialect kpatch; there `kernel` is given. */
      plan: KpatchPlan | null;
      klpArch: boolean;
    };
    answer: { object: Uint8Array; findings: ExtractFindings };
  };
  /** How many functions of sections [from, to) of ORIG stand in what runs. */
  census: {
    task: { object: ObjectRef; from: number; to: number; seen: SeenFiles };
    answer: Census;
  };
  /** What extract would find; nothing is made. Null for files that were not given. */
  rehearse: {
    task: {
      pair: PairRef;
      included: IncludedFunction[];
      brought: readonly number[];
      undecided: number[];
      copied: number[];
      objectName: string;
      symvers: InputFile | null;
      kernel: InputFile | null;
      image: ImageFacts | null;
      moduleFile: InputFile | null;
      plain: InputFile | null;
    };
    answer: RehearsalAnswer;
  };
  kernelImage: {
    /** `place`: where the content's digest is recorded; `folder`: where facts are, by digest. */
    task: { input: InputFile; place: RecordPlace; folder: string; fresh: boolean };
    answer: ImageFacts;
  };
  /** What a compressed file holds, kept below `folder` by content. */
  /** Adds to the exports of vmlinux those of modules, given plain. */
  moduleExports: {
    task: { vmlinux: KeptFile; modules: readonly InputFile[]; folder: string; scratch: string };
    answer: KeptFile;
  };
  unpackFile: { task: { input: InputFile; folder: string; scratch: string }; answer: KeptFile };
  /** Fills in checksums (objtool's) of an object that another thread has read, a shard at a time. */
  checksum: { task: { input: InputRef; memory: SharedMemory }; answer: Record<string, never> };
  explain: { task: { pair: PairRef; symbol: string; context: number }; answer: Explanation };
  explainListed: {
    task: { pair: PairRef; wanted: Listed[]; context: number };
    answer: { explanations: Array<Explanation | null> };
  };
}

export type TaskName = keyof Tasks;
export type TaskOf<N extends TaskName> = Tasks[N]['task'];
export type AnswerOf<N extends TaskName> = Tasks[N]['answer'];

/** What a thread sends back: a result with its cost, or the diagnostic of what it threw. */
export type Reply<N extends TaskName> = { answer: AnswerOf<N>; cost: Cost } | { failed: Diagnostic };

/** Words that the pool and its threads share, one each. */
export interface SharedWithThreads {
  /** 1 when threads shall begin no task more. */
  closing: Int32Array;
  /** How many threads have loaded their code. */
  loaded: Int32Array;
  /** Whether the process is klpflow's own; see src/v8-flags.ts. */
  ownProcess: boolean;
}

/** The stages in the order in which they run. */
export const STAGES = ['identify', 'scan', 'digest', 'correlate', 'compare', 'assess', 'extract', 'link'] as const;
export type StageName = (typeof STAGES)[number];

/** Told after the work it speaks of is done and recorded. */
export interface ProgressEvent {
  /** A stage of the flow; of `verify`, which has none, `verify`. */
  stage: StageName | 'verify';
  /** Path of the object, or null for the pair. */
  object: string | null;
  done: number;
  total: number;
  reused: boolean;
  /** Why a record was not reused, where one was looked for. */
  miss: string | null;
  /** Seconds since the run began; of the command line, since the process began. */
  at: number;
}

export interface StageReport {
  name: StageName | 'startup';
  /** Wall-clock seconds from the stage's first task to its last; stages overlap. */
  seconds: number;
  /** Processor time of its tasks. */
  cpuSeconds: number;
  items: number;
  bytes: number;
  reused: number;
}

/** What varies from run to run; everything else of a result does not. */
export interface RunReport {
  stages: StageReport[];
  seconds: number;
  /** Processor time of the process so far, all threads and V8's own among them. */
  cpuSeconds: number;
  /** The main thread's part of it. */
  mainCpuSeconds: number;
  peakAnonBytes: number;
  /** The most that the formula of src/pipeline/memory.ts allowed for; 0 where nothing had to be read. */
  neededBytes: number;
  workers: number;
  runDir: string;
}
