/** Packages without types of their own. */
declare module 'lz4js' {
  export function decompressBlock(
    source: Uint8Array,
    target: Uint8Array,
    from: number,
    length: number,
    at: number,
  ): number;
}
declare module 'seek-bzip' {
  export function decode(bytes: Buffer): Buffer;
}
