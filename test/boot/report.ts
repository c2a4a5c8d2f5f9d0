/** Kernel memory: hexadecimal bytes, empty where they could not be read. */
export interface MemoryRead {
  address: bigint;
  bytes: string;
}

/** What a guest told of one trial. */
export interface TrialReport {
  /** Output of the command by phase; undefined for a phase that was not reached. */
  before?: string;
  after?: string;
  /** When the patched modules were unloaded and loaded again. */
  reloaded?: string;
  restored?: string;
  /** `loaded`, `patched`, `unpatched`, `unloaded` in the order in which they came, or what went wrong. */
  steps: string[];
  /** What was read back, in the order of the trial's sites. */
  memory: MemoryRead[];
}

export interface Report {
  /** The kernel's release; empty where the guest did not get so far. */
  release: string;
  mitigations: string[];
  /** Addresses of the symbols that were asked for, by name. */
  symbols: ReadonlyMap<string, bigint>;
  trials: ReadonlyMap<string, TrialReport>;
  done: boolean;
}

/** Reads the `@@` lines of a guest's report. */
export function readReport(text: string): Report {
  const report = {
    release: '',
    mitigations: [] as string[],
    symbols: new Map<string, bigint>(),
    trials: new Map<string, TrialReport>(),
    done: false,
  };
  const trial = (name: string): TrialReport => {
    let known = report.trials.get(name);
    if (known === undefined) report.trials.set(name, (known = { steps: [], memory: [] }));
    return known;
  };
  let open: { name: string; phase: 'before' | 'after' | 'reloaded' | 'restored'; lines: string[] } | undefined;
  for (const line of text.replaceAll('\r', '').split('\n')) {
    if (!line.startsWith('@@ ')) {
      open?.lines.push(line);
      continue;
    }
    const [what = '', name = '', ...rest] = line.slice(3).split(' ');
    if (what === 'begin') open = { name, phase: rest[0] as 'before', lines: [] };
    else if (what === 'end' && open !== undefined) {
      trial(open.name)[open.phase] = open.lines.join('\n');
      open = undefined;
    } else if (what === 'booted') report.release = name;
    else if (what === 'mitigation') report.mitigations.push([name, ...rest].join(' '));
    else if (what === 'symbol') report.symbols.set(rest[1]!, BigInt(`0x${name}`));
    else if (what === 'memory')
      trial(name).memory.push({ address: BigInt(`0x${rest[1] ?? '0'}`), bytes: rest[2] ?? '' });
    else if (what === 'done') report.done = true;
    else trial(name).steps.push(['stuck', 'refused'].includes(what) ? [what, ...rest].join(' ') : what);
  }
  return report;
}

/** Lines of a kernel log that no correct livepatch causes, each with the trial before it. */
export function complaints(log: string): string[] {
  let trial = 'boot';
  const found: string[] = [];
  for (const line of log.replaceAll('\r', '').split('\n')) {
    trial = /klpflow trial (\S+)/.exec(line)?.[1] ?? trial;
    if (COMPLAINT.test(line)) found.push(`${trial}: ${line}`);
  }
  return found;
}

// "MP-BIOS bug:" of an emulated board is no "BUG:".
const COMPLAINT =
  /WARNING:|BUG:|Oops|general protection|Call Trace|Unpatched return thunk|livepatch:.*(fail|unable|not found|unresolvable|mismatch)|Kernel panic/;
