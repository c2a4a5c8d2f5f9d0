/** Signatures are made here, on the side that submits: what workers send is verified and unsigned, and no key goes to them. */
import { readFile } from 'node:fs/promises';
import { KlpflowError, diagnosticOf, type Diagnostic } from '../diagnostics';
import { ModuleSigner } from '../livepatch/signature';
import { sha256 } from './digest';
import type { Cell, FleetKernel, Signing } from './matrix';
import type { CellResult } from './perform';
import { damaged, type Store } from './store';

/** A livepatch as it is handed out. */
export interface HandedOut {
  bytes: Buffer;
  /** The subject of the certificate; null where the kernel has no `signing`. */
  signedBy: string | null;
}

export class Signers {
  private readonly known = new Map<string, ModuleSigner | Diagnostic>();

  /** What is wrong with the key of a kernel: told before anything is done for it. */
  problemOf(kernel: FleetKernel): Diagnostic | undefined {
    const signer = kernel.signing === undefined ? undefined : this.of(kernel.signing);
    return signer instanceof ModuleSigner ? undefined : signer;
  }

  subjectOf(kernel: FleetKernel): string | null {
    const signer = kernel.signing === undefined ? undefined : this.of(kernel.signing);
    return signer instanceof ModuleSigner ? signer.subject : null;
  }

  /** The livepatch of a cell, held against its digest first; null where it has none. @throws KlpflowError `store-unavailable`, `store-damaged`, `signing-key` */
  async livepatch(
    { cell, result }: { cell: Cell; result: CellResult | null },
    store: Store,
  ): Promise<HandedOut | null> {
    const blob = result?.livepatch ?? null;
    if (blob === null) return null;
    const bytes = await readFile(await store.file(blob));
    if (sha256(bytes) !== blob.sha256) throw damaged(store.name, blob);
    const { signing } = cell.kernel;
    if (signing === undefined) return { bytes, signedBy: null };
    const signer = this.of(signing);
    if (!(signer instanceof ModuleSigner)) throw new KlpflowError(signer.code, signer.message, signer.where);
    return { bytes: signer.signed(bytes, signing.hash), signedBy: signer.subject };
  }

  private of(signing: Signing): ModuleSigner | Diagnostic {
    const name = JSON.stringify([signing.key, signing.certificate]);
    const known = this.known.get(name) ?? attempt(signing);
    this.known.set(name, known);
    return known;
  }
}

function attempt(signing: Signing): ModuleSigner | Diagnostic {
  try {
    return ModuleSigner.of(signing);
  } catch (cause) {
    return diagnosticOf(cause);
  }
}
