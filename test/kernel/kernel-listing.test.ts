/** Listings of a running kernel: told apart by their content; one that says nothing is an error, not an empty kernel. */
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { KlpflowError } from '../../src/diagnostics';
import { ParentSymbols } from '../../src/livepatch/kpatch';
import { KernelListing } from '../../src/kernel/listing';
import { RETURN, code, object, u64 } from '../support/elf-builder';
import { linkImage } from '../support/linked-image';
import { readelf } from '../support/readelf';
import { tempFolder } from '../support/temp-folder';

const folder = tempFolder();
let serial = 0;

function file(content: string | Buffer): string {
  const path = join(folder, `listing-${serial++}`);
  writeFileSync(path, content);
  return path;
}

/** `code: message` of what opening a listing throws. */
function refusal(path: string): string {
  try {
    KernelListing.open(path);
  } catch (thrown) {
    expect(thrown).toBeInstanceOf(KlpflowError);
    const { code: what, message } = (thrown as KlpflowError).diagnostic;
    return `${what}: ${message}`;
  }
  return 'opened';
}

const image = (): string =>
  linkImage(folder, [
    object()
      .file('a.c')
      .func('static_one', code(RETURN), { bind: 'local' })
      .func('global_one', code(new Uint8Array(11).fill(0x90), RETURN))
      .data('state', [u64(1), u64(2)], { bind: 'local' })
      .label('.Lsomewhere', { section: '.text.global_one' })
      .label('__kcfi_typeid_x', { section: '.text.global_one' })
      .abs('sp_reg', 3)
      .undef('elsewhere'),
  ]);

describe('what a listing is', () => {
  test('a linked image: defined symbols of loaded sections, as kallsyms has them', () => {
    const path = image();
    const listing = KernelListing.open(path);
    expect(listing.kind).toBe('image');
    // The premise: the image's symbol table has what kallsyms leaves out.
    const all = readelf(path, '-sW').join('\n');
    for (const name of ['__kcfi_typeid_x', 'sp_reg', 'static_one']) expect(all).toContain(name);
    for (const name of ['static_one', 'global_one', 'state', '_stext']) expect(listing.find(name)).toHaveLength(1);
    for (const name of ['__kcfi_typeid_x', 'sp_reg', 'elsewhere', 'a.c', '.Lsomewhere'])
      expect(listing.find(name)).toEqual([]);
    const entry = listing.find('state')[0]!;
    expect(listing.columns.size[entry]).toBe(16);
    expect(all).toContain(listing.address(entry));
  });

  test('what readelf -sW prints of it says the same', () => {
    const path = image();
    const listing = KernelListing.open(file(readelf(path, '-sW').join('\n')));
    const own = KernelListing.open(path);
    expect(listing.kind).toBe('readelf');
    expect(listing.count).toBe(own.count);
    for (const name of ['static_one', 'global_one', 'state']) {
      const [entry, same] = [listing.find(name)[0]!, own.find(name)[0]!];
      expect([listing.address(entry), listing.columns.size[entry]]).toEqual([
        own.address(same),
        own.columns.size[same],
      ]);
    }
  });

  test('readelf prints large sizes in hexadecimal, and what else st_other holds between two columns', () => {
    const text = `Symbol table '.symtab' contains 3 entries:
   Num:    Value          Size Type    Bind   Vis      Ndx Name
     1: ffffffff81000000     0 NOTYPE  GLOBAL DEFAULT    1 _stext
     2: ffffffff81000040 0x1e8480 OBJECT  LOCAL  DEFAULT    1 huge
     3: ffffffff81000080    64 FUNC    GLOBAL DEFAULT [<localentry>: 8]     1 entry
`;
    const listing = KernelListing.open(file(text));
    expect(['huge', 'entry'].map((name) => listing.columns.size[listing.find(name)[0]!])).toEqual([0x1e8480, 64]);
  });

  test('a line of readelf that ends behind a bracket is passed over', () => {
    // The look for the column behind "[<other>: 88]" must not wait at the end of a line, or of the file, for ever.
    for (const end of ['', '\n', '\n     3: ffffffff81000040    16 FUNC    LOCAL  DEFAULT    1 behind\n']) {
      const text = `   Num:    Value          Size Type    Bind   Vis      Ndx Name\n     1: ffffffff81000000    16 FUNC    GLOBAL DEFAULT    1 _stext\n     2: ffffffff81000020    16 FUNC    LOCAL  DEFAULT [<other>: 88]${end}`;
      const listing = KernelListing.parse(new Uint8Array(Buffer.from(text)), 'rows');
      expect(listing.find('_stext')).toHaveLength(1);
      expect(listing.find('behind')).toHaveLength(end.length > 1 ? 1 : 0);
      expect(ParentSymbols.parse(new Uint8Array(Buffer.from(text))).globals('_stext')).toHaveLength(1);
    }
  });

  test("/proc/kallsyms: modules' symbols are apart", () => {
    const listing = KernelListing.open(
      file(
        'ffffffff81000000 T _stext\nffffffff81000040 t probe\nffffffffc0000000 t probe\t[nvme]\nffffffffc0001000 t probe\t[e1000]\nffffffffc0000040 t nvme_only\t[nvme]\n',
      ),
    );
    expect(listing.find('probe').map((entry) => listing.address(entry))).toEqual(['ffffffff81000040']);
    expect(listing.findInModule('nvme', 'probe')!.map((entry) => listing.address(entry))).toEqual(['ffffffffc0000000']);
    expect(listing.findInModule('nvme', 'absent')).toEqual([]);
    expect(listing.findInModule('xfs', 'probe')).toBeUndefined();
    expect(listing.find('nvme_only')).toEqual([]);
  });

  test('/proc/kallsyms itself, which says that it is empty', () => {
    // Where the kernel hides addresses that is what is said; either way the file was read.
    expect(refusal('/proc/kallsyms')).toMatch(/^opened$|^unusable-listing: .*(addresses are 0|no _stext)/);
  });

  test('addresses keep all 64 bits, and names several of one address', () => {
    const listing = KernelListing.open(
      file(
        'ffffffff81000000 T _stext\nffffffff81234569 t same\nffffffff81234567 t same\n0000000000001008 A same\nffffffff81234568 t same\n',
      ),
    );
    expect(listing.find('same').map((entry) => listing.address(entry))).toEqual([
      '0000000000001008',
      'ffffffff81234567',
      'ffffffff81234568',
      'ffffffff81234569',
    ]);
  });

  test("nm's lines of undefined and local absolute symbols are passed over", () => {
    const listing = KernelListing.open(
      file('                 U elsewhere\n0000000000000003 a sp_reg\nffffffff81000000 T _stext\n'),
    );
    expect(listing.count).toBe(1);
  });
});

describe('what is no use', () => {
  test("a distribution's stub of System.map", () => {
    expect(
      refusal(
        file('ffffffffffffffff B The real System.map is in the linux-image-6.12.117+deb12-cloud-amd64-dbg package\n'),
      ),
    ).toMatch(/^unusable-listing: .*stub/);
    expect(refusal(file('ffffffff81000000 T somewhere\n'))).toMatch(/^unusable-listing: .*no _stext/);
  });

  test('addresses that were hidden from the reader', () => {
    // All names would be at one address, and every duplicated one at position 1.
    expect(refusal(file('0000000000000000 T _stext\n0000000000000000 t one\n0000000000000000 t one\n'))).toMatch(
      /^unusable-listing: .*all addresses are 0/,
    );
  });

  test('an object instead of the linked image, a stripped image, other files', () => {
    expect(refusal(file(object().func('f', code(RETURN)).bytes()))).toMatch(/^not-linked: .*relocatable object/);
    expect(refusal(file('hello\n'))).toMatch(/^unusable-listing: /);
    expect(refusal(file(`${'ffffffff81000000 T _stext\n'.repeat(500)}garbage\n`))).toMatch(
      /^unusable-listing: .*line 501/,
    );
    expect(refusal(file('ffffffff81000000 T _stext\nffffffff810000001 T long\n'))).toMatch(/^unusable-listing: /);
    expect(refusal(join(folder, 'absent'))).toMatch(/^unreadable: /);
    mkdirSync(join(folder, 'directory'), { recursive: true });
    expect(refusal(join(folder, 'directory'))).toMatch(/^not-regular-file: /);
    expect(refusal(file(''))).toMatch(/^unusable-listing: /);
  });

  test('damaged images end in a typed error or an answer', async () => {
    const { readFileSync } = await import('node:fs');
    const bytes = readFileSync(image());
    let errors = 0;
    // Every byte of the header, the section table and the symbol table, one at a time.
    const table = Number(bytes.readBigUInt64LE(40));
    const places = [
      ...Array.from({ length: 64 }, (_, i) => i),
      ...Array.from({ length: bytes.length - table }, (_, i) => table + i),
    ];
    for (const at of places) {
      const damaged = Buffer.from(bytes);
      damaged[at] = damaged[at]! ^ 0xff;
      const path = file(damaged);
      const said = refusal(path);
      if (said !== 'opened') errors++;
    }
    expect(errors).toBeGreaterThan(50);
    for (const length of [0, 3, 63, 64, table - 1, bytes.length - 1])
      expect(refusal(file(bytes.subarray(0, length)))).not.toBe('opened');
  });
});
