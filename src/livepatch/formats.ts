/** The formats of a livepatch, a row each. To know a further one is to add a row and its writer; docs/adding.md lists the rest. */

/** What decides which changes count and how they are carried: klp-build's rules, or kpatch-build's. */
export type DialectName = 'klp' | 'kpatch';

export interface Format {
  dialect: DialectName;
  /** A file of this ending is of this format where none is named. */
  ending?: string;
  /** klpflow links the extracted object itself, so it has to know how the kernel lays out its structs. */
  linked: boolean;
  /** It says where the patched functions are in the running kernel, so the list of its symbols is needed. */
  needsListing: boolean;
  /** Of two folders an object is made of each unit. */
  ofFolders: boolean;
  /** What a person does to ask for it, in words of the command line. */
  asked: string;
}

export const FORMATS = {
  /** An object as `objtool klp diff` writes it, for klp-build and `link`. */
  klp: { dialect: 'klp', linked: false, needsListing: false, ofFolders: false, asked: '--format klp -o FILE' },
  /** One as create-diff-object writes it, for kpatch-build's link and `create-klp-module`. */
  kpatch: { dialect: 'kpatch', linked: false, needsListing: true, ofFolders: true, asked: '--format kpatch -o FILE' },
  /** The finished module. */
  ko: {
    dialect: 'klp',
    ending: '.ko',
    linked: true,
    needsListing: false,
    ofFolders: false,
    asked: 'a finished module (-o FILE.ko)',
  },
} as const satisfies Record<string, Format>;

export type OutputFormat = keyof typeof FORMATS;

export const FORMAT_NAMES = Object.keys(FORMATS) as OutputFormat[];

/** The format of a file that is named without one. */
export function formatOfPath(path: string | undefined): OutputFormat {
  const ended = FORMAT_NAMES.find((name) => {
    const { ending }: Format = FORMATS[name];
    return ending !== undefined && path?.endsWith(ending);
  });
  return ended ?? 'klp';
}
