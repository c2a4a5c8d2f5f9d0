/** What lies in the queue, in both directions. It may be anybody's: it is checked before anything is done with it. */
import schema from '../../../schemas/job.schema.json';
import { KlpflowError, diagnostic, type Diagnostic } from '../../diagnostics';
import { jobId, type Job } from '../job';

/** What a worker answers; the result itself is in the store. */
export interface Returned {
  seconds: number | null;
  by: string;
}

export type Checked = (id: string | undefined, data: unknown) => Job;

/** A check of payloads. It throws KlpflowError `job-malformed` for what is none, or is not what it is called. */
export async function checker(): Promise<Checked> {
  const { Ajv2020 } = await import('ajv/dist/2020');
  const ajv = new Ajv2020({ strict: false });
  const validate = ajv.compile<Job>(schema);
  return (id, data) => {
    if (!validate(data)) throw malformed(ajv.errorsText(validate.errors, { dataVar: 'job' }).slice(0, 500));
    if (jobId(data) !== id) throw malformed('it is called by another digest than its own');
    return data;
  };
}

function malformed(why: string): KlpflowError {
  return new KlpflowError('job-malformed', `a job of the queue is none: ${why}`);
}

/** A diagnostic as the reason of a failed job, which BullMQ keeps as a text. */
export function asReason(found: Diagnostic): string {
  return JSON.stringify({ code: found.code, message: found.message.slice(0, 4000), where: found.where });
}

export function ofReason(reason: string | undefined): Diagnostic {
  try {
    const { code, message, where } = JSON.parse(reason ?? '') as Diagnostic;
    return diagnostic(code, String(message), where ?? {});
  } catch {
    // BullMQ's own words: a job that stalled too often.
    return diagnostic('cell-lost', `the workers that had it ended: ${reason ?? 'nothing is known'}`);
  }
}
