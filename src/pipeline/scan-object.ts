import { lastValueFrom } from 'rxjs';
import { USE_WORDS } from '../stages/scan';
import type { RunOptions } from './flow';
import { checkUnchanged } from './files';
import { neededMemory } from './memory';
import { report, withFlow } from './run';
import { identify$, inputOf, scan$ } from './scan';
import type { RunReport } from './types';

export interface ScanResult {
  schema: 'klpflow/scan@1';
  object: {
    path: string;
    digest: string;
    bytes: number;
    symbols: number;
    sections: number;
    machine: number;
    littleEndian: boolean;
  };
  /** References to names that are not unique. */
  uses: number;
  unknownEntrySizes: Array<{ section: string; bytes: number }>;
  run: RunReport;
}

/** Scans one object into the run directory. */
export async function scanObject(request: RunOptions & { object: string }): Promise<ScanResult> {
  const { object: path } = request;
  return withFlow(request, async (flow) => {
    const identified = await lastValueFrom(identify$(flow, await inputOf(flow, path)));
    flow.reserve((threads) => neededMemory([identified.load], threads));
    const scanned = await lastValueFrom(scan$(flow, identified));
    checkUnchanged([identified]);
    return {
      schema: 'klpflow/scan@1',
      object: {
        path,
        digest: identified.digest,
        bytes: identified.identity.size,
        ...scanned.ref.table.shape,
        machine: identified.machine,
        littleEndian: identified.little,
      },
      uses: scanned.uses.length / USE_WORDS,
      unknownEntrySizes: scanned.unknownSizes,
      run: report(flow),
    };
  });
}
