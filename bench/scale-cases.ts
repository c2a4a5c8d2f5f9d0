/** A pair of objects at scale. */
export interface ScaleCase {
  name: string;
  /** What it is, in words. */
  text: string;
  /** Flags of `klpflow synth`. */
  flags: readonly string[];
  /** Disk that both objects and the run directory take at most. */
  gigabytes: number;
}

const CHANGED = [
  '--immediates',
  '20',
  '--call-targets',
  '20',
  '--strings',
  '20',
  '--instructions',
  '20',
  '--static-locals',
  '20',
  '--new-functions',
  '20',
  '--removed-functions',
  '10',
  '--moves',
  '20',
];

export const CASES: readonly ScaleCase[] = [
  { name: 'small', text: '20 MB, for a look', flags: ['--functions', '10000', ...CHANGED], gigabytes: 0.1 },
  { name: '100mb', text: '100 MB, 55,000 functions', flags: ['--functions', '55000', ...CHANGED], gigabytes: 0.5 },
  {
    name: '100mb-gcc',
    text: "100 MB of the GCC kernel's shape",
    flags: ['--functions', '55000', '--shape', 'debian-6.12-gcc', ...CHANGED],
    gigabytes: 0.5,
  },
  {
    name: '100mb-arm64',
    text: "100 MB of the arm64 kernel's shape",
    flags: ['--functions', '70000', '--shape', 'linux-7.3-arm64', ...CHANGED],
    gigabytes: 0.5,
  },
  { name: '300mb', text: '300 MB, 165,000 functions', flags: ['--functions', '165000', ...CHANGED], gigabytes: 1.5 },
  { name: '1gb', text: '1 GB, 550,000 functions', flags: ['--functions', '550000', ...CHANGED], gigabytes: 4 },
  {
    name: '1gb-debug',
    text: '1 GB, most of it debug information',
    flags: ['--functions', '110000', '--size', '1G', ...CHANGED],
    gigabytes: 4,
  },
  {
    name: 'single-text',
    text: 'one .text of 110,000 functions',
    flags: ['--functions', '110000', '--single-text', ...CHANGED],
    gigabytes: 1,
  },
  { name: 'sections', text: '1,000,000 sections', flags: ['--functions', '245000', ...CHANGED], gigabytes: 2 },
  {
    name: 'merged',
    text: '110,000 functions in 100,000 sections',
    flags: ['--functions', '110000', '--sections', '100000', ...CHANGED],
    gigabytes: 1,
  },
  // Functions half as long as a kernel's: whole ones would have 3.7 GB, of which no more than 2 GiB can be mapped.
  // Of the sections that are asked for, functions have some; data and tables of functions have the others.
  {
    name: '2m',
    text: '2,000,000 functions, 30 million relocations, 1.8 million sections',
    flags: ['--functions', '2000000', '--relas', '30000000', '--sections', '1500000', ...CHANGED],
    gigabytes: 8,
  },
  // As many functions of this shape as 2 GiB without debug information hold, give or take a tenth: more cannot be mapped.
  {
    name: '4gb',
    text: '4 GB, half of it debug information, 1,000,000 functions',
    flags: ['--functions', '1000000', '--size', '4G', ...CHANGED],
    gigabytes: 18,
  },
];

export const DEFAULT_CASES: readonly string[] = ['100mb', '100mb-gcc', '100mb-arm64', 'single-text', 'merged', '1gb'];
